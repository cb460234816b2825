"""A table of labels without splits: its clips dealt to training and validation, no speaker to both."""

import csv
import hashlib
import io

from first_impression.common.errors import UserError, counted
from first_impression.common.files import whole_file
from first_impression.data import csv_rows, label_table
from first_impression.data.chalearn import ALL_SPLITS, ANNOTATIONS, TRAINING, VALIDATION
from first_impression.data.targets import NONE

SHARE = 0.2  # of the clips, to validation


def deal_splits(sources_of):
    """Write a column "split" into Annotations/annotations.csv, which has none; the file as it was stays beside it.

    About `SHARE` of the clips are for validation. A speaker's clips, or without such a column those of a source as
    `sources_of(clips)` finds them by name, are all in one split. Who goes where follows from the names alone.
    Raises `UserError` where the table has splits, cannot be read, or has the clips of one speaker only.
    """
    path = ANNOTATIONS / ALL_SPLITS
    table = label_table.read(path, NONE)
    if table.splits:
        raise UserError(f"{path} has a column for the split: take it out to have the clips dealt anew")
    clips = list(table.values)
    of_clips = [table.sources.get(clip, source) for clip, source in zip(clips, sources_of(clips), strict=True)]
    speakers = sorted(set(of_clips), key=lambda name: hashlib.sha256(name.encode()).digest())
    if len(speakers) < 2:
        raise UserError(f"{path}: all clips are of one speaker, who cannot be in training and in validation")
    validation = set()
    for speaker in speakers[:-1]:
        if sum(name in validation for name in of_clips) >= SHARE * len(clips):
            break
        validation.add(speaker)
    split_of = {
        clip: VALIDATION.name if speaker in validation else TRAINING.name
        for clip, speaker in zip(clips, of_clips, strict=True)
    }
    before = path.with_name(f"{path.stem}_without_splits.csv")
    with whole_file(before) as tmp:
        tmp.write_bytes(path.read_bytes())
    header, rows = csv_rows.read(path)
    at = label_table.columns_of(path, header)["clip"]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*header, "split"])
    writer.writerows([*cells, split_of[label_table.clip_of(cells[at])]] for _, cells in rows)
    with whole_file(path) as tmp:
        tmp.write_text(text.getvalue(), encoding="utf-8")
    kind = "speaker" if table.sources else "source"
    counts = [list(split_of.values()).count(split.name) for split in (TRAINING, VALIDATION)]
    print(
        f"{path}: a column split, with {counts[0]:,} training and {counts[1]:,} validation clips of "
        f"{counted(len(speakers), kind)}, none in both; {before} is the file as it was"
    )
