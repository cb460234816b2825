"""CSV files with five traits per clip, whoever made them: labels, or a model's answers."""

import csv
import functools
import math
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from first_impression.common.errors import UserError, short_message
from first_impression.data.chalearn import SPLITS, TRAITS, name_of_video

CLIP = "VideoName"
# ChaLearn's order, which is not that of TRAITS, and ChaLearn's spelling
COLUMNS = {
    "ValueExtraversion": "extraversion",
    "ValueAgreeableness": "agreeableness",
    "ValueConscientiousness": "conscientiousness",
    "ValueNeurotisicm": "neuroticism",
    "ValueOpenness": "openness",
}
STABILITY = "emotionalstability"  # another name for what the dataset calls neuroticism
# Names of columns, in small letters and without anything between the words
CLIP_NAMES = ("videoname", "video", "clip", "clipname", "file", "filename", "name")
SOURCE_NAMES = ("source", "speaker")  # of which video, or of which person, a clip is
SPLIT_NAMES = ("split", "set", "subset")
SPLIT_WORDS = dict.fromkeys(("val", "valid", "validation", "dev"), "validation")
SPLIT_WORDS |= {"train": "training", "training": "training", "test": "test"}
SCALES = ((1, 5), (1, 7), (0, 10), (0, 100))  # on which people are rated


def as_cell(text):
    """`text` for a cell of a CSV file: behind an apostrophe where a spreadsheet would take it for a formula.

    `clip_of` takes that away. Names that begin with "-", as ChaLearn's do, stay as they are.
    """
    return f"'{text}" if re.match("'*[=+@]", text) else text


def clip_of(text):
    """The clip that a cell names, with the suffix of a video or without."""
    return name_of_video(re.sub("^'('*[=+@])", r"\1", text.strip()))


class Table(NamedTuple):
    """What a CSV file says of its clips, by their names without suffix."""

    values: dict  # clip -> float64 [5], from 0 to 1, in the order of TRAITS
    doubled: list  # clips that stand more than once, of which the first row counts
    sources: dict  # clip -> of which video or speaker it is; empty where no column says so
    splits: dict  # clip -> name of its split; empty where no column says so


def read(path):
    """Read a CSV file: `Table`. Columns are found by name, in any order and case; others are ignored.

    How a column named neuroticism is read is printed, once per file.
    Raises `UserError` for a missing or unreadable file, a column that is missing or there twice, a row of another
    length than the header, a value that is not a number from 0 to 1, an unknown split, and a clip of two sources or
    splits or of none.
    """
    header, rows = _read_rows(Path(path))
    at = _columns(path, header)
    numbers = np.array([[_number(row[at[trait]]) for trait in TRAITS] for _, row in rows])
    values, doubled, sources, splits = {}, [], {}, {}
    for (number, row), traits in zip(rows, numbers, strict=True):
        clip = clip_of(row[at["clip"]])
        for trait, value in zip(TRAITS, traits, strict=True):
            if not 0 <= value <= 1:
                of_clip, cell = f"{path}, row {number}, {trait} of {clip[:80]!r}", row[at[trait]][:40]
                raise UserError(f"{of_clip}: {cell!r} is not a number from 0 to 1{_scaling(numbers)}")
        for kind, found in (("source", sources), ("split", splits)):
            if kind in at:
                word = row[at[kind]].strip()
                word = SPLIT_WORDS.get(word.lower(), "") if kind == "split" else word
                if not word or found.setdefault(clip, word) != word:
                    cell = row[at[kind]][:80]
                    allowed = f", one of {', '.join(split.name for split in SPLITS)}" if kind == "split" else ""
                    raise UserError(f"{path}, row {number}: {clip[:80]!r} needs one {kind}{allowed}, not {cell!r}")
        if values.setdefault(clip, traits) is not traits:
            doubled.append(clip)
    if _plain(column := header[at["neuroticism"]]) not in (STABILITY, "neurotisicm"):
        _warn_of_neuroticism(Path(path), column)
    return Table(values, doubled, sources, splits)


@functools.cache
def _warn_of_neuroticism(path, column):
    print(
        f"{path}: the column {column} is read as in ChaLearn's files, where a high value means emotionally stable. If "
        "yours means neurotic, give 1 minus it in a column named emotional_stability"
    )


def _columns(path, header):
    """{"clip", each trait, and "source" and "split" if there are any: the number of its column}."""
    plain = [_plain(column) for column in header]
    names = {"clip": CLIP_NAMES, "source": SOURCE_NAMES, "split": SPLIT_NAMES}
    names |= {trait: (trait, _plain(column)) for column, trait in COLUMNS.items()}
    names["neuroticism"] += (STABILITY,)
    names["openness"] += ("opennesstoexperience",)
    at = {name: [place for place, column in enumerate(plain) if column in known] for name, known in names.items()}
    missing = [name for name in ("clip", *TRAITS) if not at[name]]
    if missing:
        expected = f"{','.join([CLIP, *COLUMNS])}, or clip and the traits by name"
        raise UserError(f"{path} has no column for {', '.join(missing)}: its columns should be {expected}")
    for name, places in at.items():
        if len(places) > 1:
            columns = " and ".join(header[place][:40] for place in places[:5])
            raise UserError(f"{path} has several columns for {name}, {columns}: leave the one that counts")
    return {name: places[0] for name, places in at.items() if places}


def _scaling(values):
    """What to do with values of a usual scale of ratings; empty where they are of none."""
    least, most = np.min(values), np.max(values)  # nan where one is not a number
    for low, high in SCALES:
        if low <= least and most <= high:
            above = f"(x - {low})" if low else "x"
            return f". Ratings from {low} to {high} become {above} / {high - low}"
    return ""


def _read_rows(path):
    """(header, [(row number, cells)]) of a CSV file. Rows are numbered as in a spreadsheet; empty ones are left out."""
    if not path.exists():
        raise UserError(f"{path.absolute()} is missing")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            table = [row for row in enumerate(csv.reader(file, skipinitialspace=True), 1) if row[1]]
        if not table:
            raise csv.Error("it is empty")
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a readable CSV file: {short_message(error)}") from None
    (_, header), *rows = table
    for number, row in rows:
        if len(row) != len(header):
            counts = f"{len(row)} cells under {len(header)} columns"
            raise UserError(f"{path}, row {number}: {counts}. Decimals take a point, 0.5: commas divide the cells")
    return header, rows


def _plain(column):
    """A column's name in small letters, without the word "Value" before it and without anything between words."""
    return re.sub(r"[^a-z0-9]", "", column.lower()).removeprefix("value")


def _number(cell):
    try:
        return float(cell)
    except ValueError:
        return math.nan
