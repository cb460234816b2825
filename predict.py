"""Step 7: the five traits of any video, from the trained runs.

Reads   the videos or sound files on the command line, or those in the folders there
        runs/<NAME>/final.keras, or the epochs named
Writes  predictions/<clip's path>.png: frames, traits, traits over time, loudness
        with --JSON out.json everything that is known of the answers (docs/answers.md), with --CSV out.csv
        ChaLearn's columns, with --TIMES_CSV times.csv the answers over time
Run     python predict.py clip.mp4

Several runs are fused by the plain mean of their answers. A clip without sound is answered by the visual models
alone, one without pictures by the audio model alone. A clip longer than those of the training is answered in windows
of their length: its answer is the mean over these. A clip whose name starts with a dash is given as ./-clip.mp4.
"""

import functools
import hashlib
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from first_impression.common import files, parallel, rules, script
from first_impression.common.errors import BadClipError, UserError, name_some
from first_impression.data import audio, media
from first_impression.data.chalearn import VIDEO_SUFFIXES
from first_impression.inference import answers, tables, windows
from first_impression.inference.clip import open_clip
from first_impression.sharing.fetching import published_folder
from first_impression.training import saved_models

# Who answers
RUNS = "runs"  # folder of the trained runs; or a published folder, a zip of one, or the address of its manifest.json
MODELS = ""  # the runs to ask, by name, commas between them; empty: all that are trained
EPOCHS = ""  # of each run; "": the last, "best": that of the best validation accuracy, "1" or "1,2": these, averaged

# What is asked for
RECURSIVE = False  # True: the folders' subfolders are searched too
START = 0.0  # seconds of each clip to pass over
SECONDS = 0.0  # how much of it to answer then; 0: to its end
WINDOW = (
    audio.CLIP_SECONDS
)  # seconds that the models answer at a time, as long as the clips of the training; a longer clip in parts
FRAMES_PER_CLIP = 100  # frames looked at, spread over the clip, or over each window; a shorter one gives all it has
BATCH_SIZE = 25  # frames at a time

# What comes out besides the table
JSON = ""  # file for everything that is known about the answers
CSV = ""  # file for the fused answers as ChaLearn takes them
TIMES_CSV = ""  # file for each model's answers over time, one value per row
PICTURE = True  # one picture per clip
PICTURES = "predictions"  # folder of the pictures
FACES = True  # look for faces: warnings where there is none or several, and how much of DAN's evidence lies in them
EVIDENCE = False  # True: where in the middle frame DAN's answers come from

RULES = {
    "EPOCHS": saved_models.epochs_rule,
    "START": rules.at_least(0),
    "SECONDS": rules.at_least(0),
    "WINDOW": rules.between(windows.LEAST_SOUND, audio.CLIP_SECONDS),
    "FRAMES_PER_CLIP": rules.whole(1, 10**6),
    "BATCH_SIZE": rules.whole(1, 10**6),
}

# Of the files in a folder that are taken for clips
SUFFIXES = VIDEO_SUFFIXES.union(".gif .wav .mp3 .m4a .aac .flac .ogg .opus .wma".split())


def main(settings):
    clips, unusable = find_clips(settings.CLIPS, settings.RECURSIVE)
    remove_earlier(settings, clips)
    if not clips:
        raise UserError(as_complaint(unusable, len(unusable)))
    folders = saved_models.find_trained(published_folder(settings.RUNS), settings.MODELS)
    for folder in folders.values():
        saved_models.epoch_files(folder, settings.EPOCHS)  # so that a missing one is told at once
    media.require_ffmpeg()
    answered = {}
    with ThreadPoolExecutor(1) as reader:
        # A clip is decoded while TensorFlow starts, or while the clip before it is answered
        part = settings.FRAMES_PER_CLIP, settings.START, settings.SECONDS, settings.WINDOW, settings.FACES
        paths = list(clips.values())
        coming = reader.submit(open_clip, paths[0], *part)
        models = answers.load_models(folders, settings.EPOCHS)
        cautions = models.cautions
        if settings.EVIDENCE:
            cautions += [f"{m.name} has no evidence maps, {m.no_evidence}" for m in models if m.no_evidence]
        about = answers.about_models(models, cautions)
        heading = f"{tables.counted(len(clips), 'clip')}, {tables.counted(len(models), 'model')}: {', '.join(folders)}"
        print(heading, answers.REMINDER, *cautions, sep="\n")
        for name, following in zip(clips, [*paths[1:], None], strict=True):
            path, text = clips[name], as_text(clips[name])
            this, coming = coming, reader.submit(open_clip, following, *part) if following else None
            try:
                clip = this.result()
                bar = functools.partial(with_bar, len(clip.spans), text)
                answer = answers.answer_clip(clip, models, settings.BATCH_SIZE, settings.EVIDENCE, bar)
            except BadClipError as reason:
                unusable[text] = str(reason)
                print(f"\n{text}: cannot be used: {reason}")
                continue
            answered[name] = told = answers.as_json(answer, settings.EVIDENCE)
            if settings.PICTURE:
                from first_impression.inference import report  # here: Matplotlib takes seconds to load

                picture = picture_of(path, settings.PICTURES)
                report.draw(picture, name, told, about)
                told["picture"] = as_text(picture)
            frames = tables.counted(told["frames"], "frame")
            print(f"\n{text}: {frames}, {told['sound_seconds']:.1f} s of sound")
            print(tables.as_table(told, about["training_clips"]))
            notes = [*tables.face_lines(told), *told["warnings"], told["picture"]]
            print("".join(f"  {line}\n" for line in notes if line), end="", flush=True)
    if settings.JSON:
        files.write_json(settings.JSON, answers.document(about, answered, unusable))
    if settings.CSV and answered:
        tables.write_csv(settings.CSV, answered)
    if settings.TIMES_CSV and answered:
        tables.write_times_csv(settings.TIMES_CSV, answered)
    if unusable:
        raise UserError(as_complaint(unusable, len(answered) + len(unusable)))


def with_bar(count, what, parts):
    """The windows of a clip one by one; where there are several, a bar shows how many of the `count` are answered."""
    if count == 1:
        yield from parts
        return
    with parallel.progress(count, what, "window", delay=2) as bar:
        for part in parts:
            yield part
            bar.update()


def find_clips(inputs, recursive=False):
    """The clips named, and those in the folders named: ({what to call it: path}, {what cannot be used: reason}).

    A clip is called by its file's name, or by its path where another one has that name. Each path comes once.
    """
    found, unusable = {}, {}
    for path in map(Path, inputs):
        if path.is_dir():
            clips = sorted(clips_in(path, recursive))
            if not clips:
                where = "in it or its subfolders" if recursive else "in it; RECURSIVE = True searches its subfolders"
                unusable[as_text(path)] = f"no video or sound file of the usual suffixes {where}"
        elif path.exists():
            clips = [path]
        else:
            clips, unusable[as_text(path)] = [], "not there"
        for clip in clips:
            found.setdefault(os.path.abspath(clip), clip)
    times = Counter(clip.name for clip in found.values())
    return {as_text(clip if times[clip.name] > 1 else clip.name): clip for clip in found.values()}, unusable


def clips_in(folder, recursive):
    """The paths of the video and sound files in `folder`, known by their suffixes; hidden ones are passed over."""
    for here, below, names in os.walk(folder):
        below[:] = [name for name in below if recursive and not name.startswith(".")]
        yield from (Path(here, name) for name in names if Path(name).suffix.lower() in SUFFIXES and name[0] != ".")


def picture_of(clip, pictures):
    """The path of a clip's picture: that of the clip itself, below the folder `pictures`, so that no two share one."""
    path = os.path.abspath(clip)
    below_here = os.path.relpath(path)
    inside = not below_here.startswith("..")
    picture = Path(pictures, f"{below_here if inside else path.lstrip(os.sep)}.png")
    if len(os.fsencode(picture.name)) > files.LONGEST_NAME:
        picture = picture.with_name(f"{hashlib.sha256(os.fsencode(picture.name)).hexdigest()}.png")
    return picture


def remove_earlier(settings, clips):
    """Remove what an earlier run has left where this one will write: nobody shall take it for the answer of this one.

    Raises `UserError` where an output would replace a clip, or another output.
    """
    wanted = [path for path in (settings.JSON, settings.CSV, settings.TIMES_CSV) if path]
    taken = {os.path.realpath(clip) for clip in clips.values()}
    for path in wanted:
        if os.path.realpath(path) in taken or os.path.isdir(path):
            raise UserError(f"{path}: an output needs a file name of its own, which no clip and no other output has")
        taken.add(os.path.realpath(path))
    if settings.PICTURE:
        wanted += [picture_of(clip, settings.PICTURES) for clip in clips.values()]
    for path in wanted:
        Path(path).unlink(missing_ok=True)


def as_text(path):
    """A path as text that any file can hold: a file's name need not be text."""
    return os.fsencode(path).decode(errors="backslashreplace")


def as_complaint(unusable, count):
    reasons = name_some(f"{path} ({reason})" for path, reason in unusable.items())
    return f"{len(unusable)} of {tables.counted(count, 'clip')} could not be used: {reasons}"


if __name__ == "__main__":
    script.run(main, inputs="CLIPS", single_instance=("PICTURES",))
