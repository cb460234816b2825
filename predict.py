"""Step 7: the five traits of any video, from the trained runs.

Reads   the videos or sound files on the command line, or those in the folders there; runs/<MODEL>/final.keras
Writes  predictions/<clip>.png: frames, traits, traits over time, loudness
        with --JSON out.json and --CSV out.csv, the answers as such (the CSV in ChaLearn's columns)
Run     python predict.py clip.mp4

Several runs are fused by the plain mean of their answers. A clip without sound is answered by the visual models
alone, one without pictures by the audio model alone. A clip whose name starts with a dash is given as ./-clip.mp4.
"""

import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from first_impression.common import files, script
from first_impression.common.errors import BadClipError, UserError, name_some
from first_impression.data import media
from first_impression.evaluation import predictions
from first_impression.inference import answers
from first_impression.inference.clip import decode_clip
from first_impression.training import saved_models

# Who answers
RUNS = "runs"  # folder of the trained runs
MODELS = ""  # the runs to ask, by name, commas between them; empty: all that are trained

# How
FRAMES_PER_CLIP = 100  # frames looked at, spread over the clip; a shorter clip gives all it has
BATCH_SIZE = 25  # frames at a time

# What comes out besides the table
JSON = ""  # file for everything that is known about the answers
CSV = ""  # file for the fused answers as ChaLearn takes them
PICTURE = True  # one picture per clip
PICTURES = "predictions"  # folder of the pictures
EVIDENCE = False  # True: the pictures also show where in the middle frame DAN's answers come from

RULES = {"FRAMES_PER_CLIP": script.whole(1, 10**6), "BATCH_SIZE": script.whole(1, 10**6)}

SUFFIXES = set(".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .wmv .flv .ts .mts .3gp .ogv .gif".split()) | set(
    ".wav .mp3 .m4a .aac .flac .ogg .opus .wma".split()
)


def main(settings):
    if settings.EVIDENCE and not settings.PICTURE:
        raise UserError("EVIDENCE is drawn into the picture: leave PICTURE = True")
    clips = find_clips(settings.CLIPS)
    folders = saved_models.find_trained(Path(settings.RUNS), settings.MODELS)
    media.require_ffmpeg()
    answered, unusable = {}, {}
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(1) as reader:
        # A clip is decoded while TensorFlow starts, or while the clip before it is answered
        decode = [(path, tempfile.mkdtemp(dir=scratch), settings.FRAMES_PER_CLIP) for path in clips.values()]
        coming = reader.submit(decode_clip, *decode[0])
        models = answers.load_models(folders)
        cautions = models.cautions
        if settings.EVIDENCE:
            without = [model.name for model in models if not model.has_evidence]
            cautions += [f"{name} has no evidence maps, since it is not a DAN" for name in without]
        print(f"{len(clips)} clips, {len(models)} models: {', '.join(folders)}", answers.REMINDER, *cautions, sep="\n")
        for name, following in zip(clips, [*decode[1:], None], strict=True):
            this, coming = coming, reader.submit(decode_clip, *following) if following else None
            try:
                clip = this.result()
                answered[name] = answer = answers.answer_clip(clip, models, settings.BATCH_SIZE)
            except BadClipError as reason:
                unusable[str(clips[name])] = str(reason)
                print(f"\n{clips[name]}: cannot be used: {reason}")
                continue
            print(f"\n{clip.path}: {answer.frames} frames, {answer.sound_seconds:.1f} s of sound")
            print(answers.as_table(answer, len(models.labels)))
            if settings.PICTURE:
                from first_impression.inference import report  # here: Matplotlib takes seconds to load

                answer.picture = str(Path(settings.PICTURES) / f"{name}.png")
                report.draw(answer.picture, name, clip, answer, models, settings.EVIDENCE)
            print("".join(f"  {line}\n" for line in (*answer.warnings, answer.picture) if line), end="", flush=True)
            shutil.rmtree(clip.folder)
    if settings.JSON:
        files.write_json(settings.JSON, answers.as_json(answered, models, unusable, cautions))
    if settings.CSV and answered:
        predictions.write_csv(settings.CSV, {name: answer.fused for name, answer in answered.items()})
    if unusable:
        raise UserError(
            f"{len(unusable)} of {len(clips)} clips could not be used: "
            + name_some(f"{path} ({reason})" for path, reason in unusable.items())
        )


def find_clips(inputs):
    """The clips named, and those in the folders named: {file name without suffix: path}, each file once.

    Raises `UserError` for what is not there, for a folder without clips, and for two files of one name.
    """
    missing = [path for path in inputs if not os.path.exists(path)]
    if missing:
        raise UserError(f"not there: {', '.join(missing)}")
    clips = {}
    for path in map(Path, inputs):
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
            if not found:
                raise UserError(f"{path.absolute()} holds no video or sound file of the usual suffixes: name the files")
        else:
            found = [path]
        for clip in found:
            name = os.fsencode(clip.stem).decode(errors="replace")  # a file's name need not be text
            if not os.path.samefile(clips.setdefault(name, clip), clip):
                raise UserError(f"{clips[name]} and {clip} have one name, {name!r}: ask for them one by one")
    return clips


if __name__ == "__main__":
    script.run(main, inputs="CLIPS", single_instance=("PICTURES",))
