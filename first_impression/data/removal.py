"""Clips removed from everything that steps 1 to 4 have made of them, and who else still holds them."""

from pathlib import Path

from first_impression.common import files
from first_impression.data import records
from first_impression.data.chalearn import IMAGES, SPLITS, UNZIPPED, VOICES, is_video, name_of_video, output_path
from first_impression.data.clip_log import ClipLog, forget
from first_impression.data.clips import INNER_ZIPS
from first_impression.data.steps import find_leftovers


def missing_clips(clips):
    """The names of the clips that step 1 or 2 has logged, and that are not among `clips` any more: a set."""
    return {name for folder in (IMAGES, VOICES) for _, name in find_leftovers(clips, ClipLog(folder).entries).missing}


def known_clips():
    """The names of all clips that have a line in a log, an output or an unpacked video: a set."""
    logged = {name for folder in (IMAGES, VOICES) for _, name in ClipLog(folder).entries}
    return logged | {name_of_video(path.name) for path in _unpacked()}


def remove(clip_names):
    """Remove the outputs, the unpacked videos and the records of these clips, and their names in the logs.

    Record files are removed whole: the next run of their step writes them without these clips. Returns the paths that
    were removed.
    """
    found = [path for path in _unpacked() if name_of_video(path.name) in clip_names]
    for split in SPLITS:
        found += [output_path(folder, (split.name, name)) for folder in (IMAGES, VOICES) for name in clip_names]
        for path in (split.image_records, split.audio_records):
            for file in records.files_here(path):
                if records.read_table(file, of_any_file=True).get("labels", {}).keys() & clip_names:
                    found += [file, records.table_path(file)]
    found = [path for path in found if path.exists()]
    # what a kill has left of these clips, or of any where its name does not say
    found += [path for folder in (IMAGES, VOICES, UNZIPPED) for path in Path(folder).rglob(".partial.*")]
    for path in found:
        files.remove(path)
    for folder in (IMAGES, VOICES):
        forget(clip_names, folder)
    return found


def remove_inner_zips(clips):
    """Remove the unpacked inner zips of outer archives that are not here any more; returns their paths."""
    used = {clip.archive for clip in clips}
    unused = [path for path in INNER_ZIPS.glob("*/*") if path not in used]
    for path in unused:
        files.remove(path.parent)
    return unused


def _unpacked():
    return [path for path in UNZIPPED.rglob("*") if is_video(path.name) and path.is_file()]
