"""Remove clips from everything that steps 1 to 4 have made of them, as for a person who withdraws consent.

Reads   data/, Annotations/, the logs of ImageData/ and VoiceData/, runs/, predictions/
Removes the clips' frames, sound and unpacked videos, the record files that hold them, and their names in the logs
Run     python remove_clips.py abc123           all clips of a source: a YouTube id, or a speaker of annotations.csv
        python remove_clips.py anna_1.mp4       one clip; ./-name for a name that begins with a dash
        python remove_clips.py --MISSING True   all clips whose video is gone from data/

Records are removed as whole files: run steps 3 and 4 to write them again without these clips. What is yours or cannot
lose a clip stays and is listed: data/, Annotations/, trained runs and predictions that still contain them.
"""

import contextlib
from pathlib import Path

from first_impression.common import rules, script
from first_impression.common.errors import UserError, counted, name_some
from first_impression.common.files import listed, locked
from first_impression.data import annotations, removal
from first_impression.data.chalearn import SPLITS, name_of_video
from first_impression.data.clips import NoClips, find_clips
from first_impression.data.targets import NONE
from first_impression.evaluation.metrics import sources_of

MISSING = False  # True: remove all clips whose video is gone from DATA
DATA = "data"  # folder of the clips, in zips or not
MAX_ZIP_MEGABYTES = 2000.0  # what the clips of one zip may unpack to, and the zips in it
ZIP_PASSWORD = ""  # for encrypted zips; the environment variable CHALEARN_ZIP_PASSWORD does as well
RUNS = "runs"  # the folder of the runs
PICTURES = "predictions"  # folder of the pictures of predict.py

RULES = {"MAX_ZIP_MEGABYTES": rules.more_than(0)}


def main(settings):
    if bool(settings.NAMES) == settings.MISSING:
        raise UserError("name clips or sources to remove, or give --MISSING True for those that are gone from data/")
    with contextlib.ExitStack() as held:
        for lock in listed(".", ".*.lock"):  # a step that is running here may be at these clips
            held.enter_context(locked(lock, lock.stem.removeprefix(".")))
        try:
            clips = find_clips(settings.DATA, settings.MAX_ZIP_MEGABYTES, settings.ZIP_PASSWORD)
        except NoClips:
            clips = []
        names = removal.missing_clips(clips) if settings.MISSING else clips_named(settings.NAMES, clips)
        removed = removal.remove(names)
        removed += removal.remove_inner_zips(clips) if settings.MISSING else []
    print(f"removed {counted(len(names), 'clip')} ({name_some(names)}): {counted(len(removed), 'file and folder')}")
    if any(".tfrecords" in path.name for path in removed):
        print("  run Write_Into_TFRecords.py and feat_extraction_from_wav.py to write the records without them")
    for line in still_held(names, clips, settings.RUNS, settings.PICTURES):
        print(f"  {line}")


def clips_named(words, clips):
    """The names of the clips that `words` name, each a clip or a source of clips: a set.

    Raises `UserError` for a word that names neither.
    """
    names = sorted(removal.known_clips() | {clip.name for clip in clips})
    sources = dict(zip(names, sources_of(names, known_sources()), strict=True))
    chosen = set()
    for word in words:
        word = name_of_video(word.removeprefix("./"))
        found = {name for name in names if word in (name, sources[name])}
        if not found:
            raise UserError(f"{word} is neither a clip nor a source of clips that is known here")
        chosen |= found
    return chosen


def known_sources():
    """{clip: its source}, as the annotations here say."""
    found = {}
    for split in SPLITS:
        if split.annotation.exists():
            found |= annotations.read_sources(split.annotation)
    return found


def still_held(names, clips, runs, pictures):
    """Yield what still contains these clips, as lines."""
    for clip in clips:
        if clip.name in names:
            yield f"{clip.place} is still there: remove it, or step 1 takes it again"
    for annotation in {split.annotation: None for split in SPLITS if split.annotation.exists()}:  # one table is of all
        if kept := annotations.read_annotation(annotation, targets=NONE).keys() & names:
            yield f"{annotation} still has the labels of {name_some(kept)}"
    for table in [*Path(runs).rglob("training_labels.csv"), *Path(runs).rglob("predictions_*.csv")]:
        if kept := clips_in(table) & names:
            verb = "was trained with" if table.name.startswith("training") else f"has, in {table.name}, predictions for"
            yield f"{table.parent} {verb} {counted(len(kept), 'clip')} of them: train or score again, and delete it"
    for picture in Path(pictures).rglob("*.png"):
        if name_of_video(picture.stem) in names:
            yield f"{picture} is a picture of one of them: delete it"


def clips_in(table):
    """The clips in the first column of a CSV file: a set of names."""
    lines = table.read_text(encoding="utf-8", errors="replace").splitlines()[1:]
    return {name_of_video(line.partition(",")[0].strip('"')) for line in lines}


if __name__ == "__main__":
    script.run(main, inputs="[NAMES]")
