"""Predictions as ChaLearn takes them: a CSV file with one row of five traits per clip."""

import csv
import math
from pathlib import Path

import numpy as np
import pandas as pd

from first_impression.common.errors import UserError, name_some, short_message
from first_impression.common.files import whole_file
from first_impression.data.chalearn import TRAITS

CLIP = "VideoName"
# ChaLearn's order, which is not that of TRAITS, and ChaLearn's spelling
COLUMNS = {
    "ValueExtraversion": "extraversion",
    "ValueAgreeableness": "agreeableness",
    "ValueConscientiousness": "conscientiousness",
    "ValueNeurotisicm": "neuroticism",
    "ValueOpenness": "openness",
}
SOURCE = ("source", "speaker")  # a column that says of which video, or of which speaker, a clip is


def write_csv(path, predictions):
    """Write {clip name: five values in the order of TRAITS} in ChaLearn's columns, clips as `<clip>.mp4`.

    Raises `UserError` where a value is not finite.
    """
    bad = [clip for clip, values in predictions.items() if not np.isfinite(values).all()]
    if bad:
        raise UserError(f"{path}: not written, since the values of {name_some(bad)} are not finite")
    table = pd.DataFrame.from_dict(predictions, orient="index", columns=TRAITS)[list(COLUMNS.values())]
    table.columns = list(COLUMNS)
    table.index = [f"{clip}.mp4" for clip in predictions]
    with whole_file(path) as tmp:
        table.to_csv(tmp, index_label=CLIP, float_format="%.8f")


def read_csv(path):
    """Read a ChaLearn CSV, whoever made it: ({clip name without .mp4: float64 [5], in the order of TRAITS}, doubled).

    Columns are found by name in any order, "neuroticism" in both spellings; others are ignored. `doubled` lists the
    clips that stand more than once, of which the first row counts.
    Raises `UserError` for a missing or unreadable file, a column that is missing or there twice, a row of another
    length than the header, and a value that is not a number from 0 to 1.
    """
    header, rows = _read_rows(path)
    at = {trait: _places(header, trait, column) for column, trait in COLUMNS.items()} | {CLIP: _places(header, CLIP)}
    missing = [name for name in (CLIP, *TRAITS) if not at[name]]
    if missing:
        raise UserError(
            f"{path} has no column for {', '.join(missing)}: its columns should be {','.join([CLIP, *COLUMNS])}"
        )
    for name, places in at.items():
        if len(places) > 1:
            columns = " and ".join(header[place] for place in places)
            raise UserError(f"{path} has several columns for {name}, {columns}: leave the one that counts")
    predictions, doubled = {}, []
    for number, row in rows:
        clip = row[at[CLIP][0]].removesuffix(".mp4")
        values = np.array([_number(row[at[trait][0]]) for trait in TRAITS])
        for trait, value in zip(TRAITS, values, strict=True):
            if not 0 <= value <= 1:
                cell = row[at[trait][0]][:40]
                raise UserError(f"{path}, row {number}, {trait} of {clip[:80]!r}: {cell!r} is not a number from 0 to 1")
        if clip in predictions:
            doubled.append(clip)
        predictions.setdefault(clip, values)
    return predictions, doubled


def read_sources(path):
    """{clip name without .mp4: source} of a CSV file with a column "source" or "speaker"; {} for any other file.

    Raises `UserError` as `read_csv` does for the file and its rows, and where a clip has no source, or two.
    """
    if Path(path).suffix.lower() != ".csv":
        return {}
    header, rows = _read_rows(path)
    clip_at, source_at = _places(header, CLIP), _places(header, *SOURCE)
    if not clip_at or not source_at:
        return {}
    sources = {}
    for number, row in rows:
        clip, source = row[clip_at[0]].removesuffix(".mp4"), row[source_at[0]].strip()
        if not source or sources.setdefault(clip, source) != source:
            raise UserError(
                f"{path}, row {number}: {clip[:80]!r} needs one {header[source_at[0]]}, not {source[:80]!r}"
            )
    return sources


def _read_rows(path):
    """(header, [(row number, cells)]) of a CSV file. Rows are numbered as in a spreadsheet; empty ones are left out."""
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path.absolute()} is missing")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            table = [row for row in enumerate(csv.reader(file, skipinitialspace=True), 1) if row[1]]
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a readable CSV file: {short_message(error)}") from None
    if not table:
        raise UserError(f"{path} is not a readable CSV file: it is empty")
    (_, header), *rows = table
    for number, row in rows:
        if len(row) != len(header):
            raise UserError(
                f"{path}, row {number}: {len(row)} cells under {len(header)} columns. Decimals take a point, 0.5, "
                "since commas divide the cells"
            )
    return header, rows


def _places(header, *names):
    """The numbers of the columns of any of these names."""
    wanted = {_plain(name) for name in names}
    return [place for place, column in enumerate(header) if _plain(column) in wanted]


def _plain(column):
    """A column's name without case and the words "Value" and "Video" before it."""
    return column.strip().lower().removeprefix("value").removeprefix("video")


def _number(cell):
    try:
        return float(cell)
    except ValueError:
        return math.nan
