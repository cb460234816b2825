"""Step 7: what the trained runs answer to any video: the five traits, or their own targets.

Reads   the videos or sound files on the command line, or those in the folders there
        runs/<NAME>/final.keras, or the epochs named
Writes  predictions/<clip's path>.png: frames, answers, answers over time, loudness
        with --JSON out.json everything that is known of the answers (docs/answers.md), with --CSV out.csv
        ChaLearn's columns or the targets' own, with --TIMES_CSV times.csv the answers over time
Run     python predict.py clip.mp4

Several runs are fused by the plain mean of their answers to the targets that all of them have. A clip without sound is
answered by the visual models alone, one without pictures by the audio model alone. A clip longer than the training
clips is split into windows of their length; its answer is the mean over these. A clip whose name starts with a dash is
given as ./-clip.mp4.
"""

import functools
import hashlib
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from first_impression.common import files, parallel, rules, script
from first_impression.common.errors import BadClipError, UserError, counted, name_some
from first_impression.data import media
from first_impression.data.chalearn import CLIP_SECONDS, VIDEO_SUFFIXES
from first_impression.inference import document, models, pool, tables, variation, what_if
from first_impression.inference.answer import answer_clip
from first_impression.inference.clip import open_clip
from first_impression.inference.window import LEAST_SOUND
from first_impression.sharing.fetching import published_folder
from first_impression.training import number_format
from first_impression.training.runs import epochs_rule, find_runs

# Who answers
RUNS = "runs"  # folder of the trained runs; or a published folder, a zip of one, or the address of its manifest.json
MODELS = ""  # the runs to ask, by name, commas between them; empty: all that are trained
EPOCHS = ""  # of each run; "": the last, "best": that of the best validation accuracy, "1" or "1,2": these, averaged

# What is asked for
RECURSIVE = False  # True: the folders' subfolders are searched too
START = 0.0  # seconds of each clip to pass over
SECONDS = 0.0  # how much of it to answer then; 0: to its end
WINDOW = CLIP_SECONDS  # seconds that the models answer at a time; a longer clip in parts of that length
FRAMES_PER_CLIP = 100  # frames looked at, spread over the clip, or over each window; a shorter one gives all it has
BATCH_SIZE = 25  # frames at a time
MIXED_PRECISION = "auto"  # convolutions: "auto": in bfloat16 where the GPU or CPU has it; "bfloat16"; "float32"

# What comes out besides the table
JSON = ""  # file for everything that is known about the answers
CSV = ""  # file for the fused answers as ChaLearn takes them
TIMES_CSV = ""  # file for each model's answers over time, one value per row
PICTURE = True  # one picture per clip
PICTURES = "predictions"  # folder of the pictures
FACES = True  # look for faces: warnings where there is none or several, and how much of DAN's evidence lies in them
EVIDENCE = False  # True: where in the middle frame DAN's answers come from
WHAT_IF = False  # True: ask again about the clip brighter, darker, cropped, mirrored, louder ..: up to 25 of its frames
POOL = ""  # a JSON file of an earlier predict.py: rank the answers among those to its clips

RULES = {
    "EPOCHS": epochs_rule,
    "START": rules.at_least(0),
    "SECONDS": rules.at_least(0),
    "WINDOW": rules.between(LEAST_SOUND, CLIP_SECONDS),
    "FRAMES_PER_CLIP": rules.whole(1, 10**6),
    "BATCH_SIZE": rules.whole(1, 10**6),
    "MIXED_PRECISION": number_format.RULE,
}

# Of the files in a folder that are taken for clips
SUFFIXES = VIDEO_SUFFIXES.union(".gif .wav .mp3 .m4a .aac .flac .ogg .opus .wma".split())


def main(settings):
    clips, unusable = find_clips(settings.CLIPS, settings.RECURSIVE)
    pictures = {name: picture_of(path, settings.PICTURES) for name, path in clips.items() if settings.PICTURE}
    inputs = [*clips.values(), settings.POOL] if settings.POOL else clips.values()
    remove_earlier([settings.JSON, settings.CSV, settings.TIMES_CSV], pictures.values(), inputs)
    if not clips:
        raise UserError(complaint(unusable, len(unusable)))
    runs = find_runs(published_folder(settings.RUNS), settings.MODELS, settings.EPOCHS, settings.MIXED_PRECISION)
    targets = models.shared_targets(runs)
    own_answers = pool.read(settings.POOL, runs, targets) if settings.POOL else None
    media.require_ffmpeg()
    part = settings.FRAMES_PER_CLIP, settings.START, settings.SECONDS, settings.WINDOW, settings.FACES
    answers, paths = {}, iter(clips.values())
    with ThreadPoolExecutor(1) as reader:

        def open_next():
            path = next(paths, None)
            return path and reader.submit(open_clip, path, *part)

        coming = open_next()  # a clip is decoded while TensorFlow starts, or while the one before it is answered
        ensemble = models.load(runs, targets, own_answers)
        about = document.about_models(ensemble, settings.EVIDENCE)
        heading = f"{counted(len(clips), 'clip')}, {counted(len(runs), 'model')}: {', '.join(run.name for run in runs)}"
        print(*document.first_lines(about, heading), sep="\n")
        for name, path in clips.items():
            opening, coming = coming, open_next()
            try:
                opened_clip = opening.result()
                bar = functools.partial(with_bar, len(opened_clip.spans), as_text(path))
                answer = answer_clip(opened_clip, ensemble, settings.BATCH_SIZE, settings.EVIDENCE, bar)
                effects = ask_again(answer, ensemble.models, settings.BATCH_SIZE) if settings.WHAT_IF else None
            except BadClipError as reason:
                unusable[as_text(path)] = str(reason)
                print(f"\n{as_text(path)}: cannot be used: {reason}")
                continue
            answers[name] = document.as_json(answer, settings.EVIDENCE) | {"what_if": effects}
            if settings.PICTURE:
                from first_impression.inference import report  # here: Matplotlib takes seconds to load

                report.draw(pictures[name], name, answers[name], about)
                answers[name]["picture"] = as_text(pictures[name])
            tables.print_answer(as_text(path), answers[name], about)
    if settings.JSON:
        files.write_json(settings.JSON, document.whole(about, answers, unusable))
    if settings.CSV and answers:
        tables.write_csv(settings.CSV, answers)
    if settings.TIMES_CSV and answers:
        tables.write_times_csv(settings.TIMES_CSV, answers)
    if unusable:
        raise UserError(complaint(unusable, len(answers) + len(unusable)))


def with_bar(count, title, clip_windows):
    """Yield the windows of a clip; where it has several, a bar shows how many of the `count` are answered."""
    if count == 1:
        yield from clip_windows
        return
    with parallel.progress(count, title, "window", delay=2) as bar:
        for window in clip_windows:
            yield window
            bar.update()


def ask_again(answer, models, batch_size):
    """What the models answer to edits of a clip that they have given this `answer` to, as JSON holds it."""
    asked = what_if.WhatIf(answer, models, batch_size)
    with parallel.progress(asked.count, "what if", "answer", delay=2) as bar:
        for _ in asked.steps():
            bar.update()
    return asked.as_json(variation.parts_of(answer, models))


def find_clips(inputs, recursive=False):
    """The clips among the paths `inputs`, and those in folders among them: ({name: path}, {unusable path: reason}).

    The name of a clip is that of its file, or its path where several files have one name. Each path comes once.
    """
    found, unusable = {}, {}
    for given in inputs:
        path = Path(given)
        clips = sorted(clips_in(path, recursive)) if path.is_dir() else [path]
        if not clips:
            where = "in it or its subfolders" if recursive else "in it; RECURSIVE = True searches its subfolders"
            unusable[as_text(path)] = f"no video or sound file of the usual suffixes {where}"
        for clip in clips:
            try:
                media.refuse_no_file(given if clip == path else clip)
                found.setdefault(os.path.abspath(clip), clip)
            except BadClipError as reason:
                unusable[as_text(given if clip == path else clip)] = str(reason)
    files_named = Counter(path.name for path in found.values())
    return {as_text(path if files_named[path.name] > 1 else path.name): path for path in found.values()}, unusable


def clips_in(folder, recursive):
    """The paths of the video and sound files in `folder`, by their suffixes; hidden ones are skipped."""
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


def remove_earlier(tables_and_json, pictures, inputs):
    """Remove the outputs of an earlier run that this one will write, so that stale results are not mistaken for new.

    `tables_and_json` are paths, "" for one that is not wanted. Raises `UserError` where one of them would replace an
    input, a folder or another output.
    """
    wanted = [path for path in tables_and_json if path]
    taken = {os.path.realpath(path) for path in inputs}
    for path in wanted:
        if os.path.realpath(path) in taken or os.path.isdir(path):
            raise UserError(f"{path}: an output needs a file name of its own, which no clip and no other output has")
        taken.add(os.path.realpath(path))
    for path in [*wanted, *pictures]:
        Path(path).unlink(missing_ok=True)


def as_text(path):
    """A path as text that any file can hold: a file's name need not be text."""
    return os.fsencode(path).decode(errors="backslashreplace")


def complaint(unusable, count):
    """Which of the `count` clips could not be used, {path: reason}, in a line."""
    reasons = name_some(f"{path} ({reason})" for path, reason in unusable.items())
    return f"{len(unusable)} of {counted(count, 'clip')} could not be used: {reasons}"


if __name__ == "__main__":
    script.run(main, inputs="CLIPS", single_instance=("PICTURES",))
