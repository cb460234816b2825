"""Predictions as ChaLearn takes them: a CSV file with one row of five traits per clip."""

from pathlib import Path

import numpy as np
import pandas as pd

from first_impression.common.errors import UserError
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


def write_csv(path, predictions):
    """Write {clip name: five values in the order of TRAITS} in ChaLearn's columns, clips as `<clip>.mp4`."""
    table = pd.DataFrame.from_dict(predictions, orient="index", columns=TRAITS)[list(COLUMNS.values())]
    table.columns = list(COLUMNS)
    table.index = [f"{clip}.mp4" for clip in predictions]
    with whole_file(path) as tmp:
        table.to_csv(tmp, index_label=CLIP, float_format="%.8f")


def read_csv(path):
    """Read a ChaLearn CSV, whoever made it: ({clip name without .mp4: float64 [5], in the order of TRAITS}, doubled).

    Columns are found by name in any order, "neuroticism" in both spellings; others are ignored. `doubled` lists the
    clips that stand more than once, of which the first row counts.
    Raises `UserError` for a missing or unreadable file, a missing column, or a value that is no finite number.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path.absolute()} is missing")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True, index_col=False)
    except (ValueError, OSError, pd.errors.ParserError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise UserError(f"{path} is not a readable CSV file: {str(error).strip()}") from None
    names = {_plain(column): column for column in table.columns}
    wanted = {trait: names.get(trait, names.get(_plain(column))) for column, trait in COLUMNS.items()}
    missing = [trait for trait, column in wanted.items() if column is None]
    if "name" not in names or missing:
        lacking = ", ".join([CLIP] * ("name" not in names) + missing)
        raise UserError(f"{path} has no column for {lacking}: its columns should be {','.join([CLIP, *COLUMNS])}")
    values = table[[wanted[trait] for trait in TRAITS]].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    clips = [clip.removesuffix(".mp4") for clip in table[names["name"]]]
    for clip, row in zip(clips, values, strict=True):
        if not np.isfinite(row).all():
            raise UserError(f"{path}: the row of {clip!r} does not hold five finite numbers")
    predictions, doubled = {}, []
    for clip, row in zip(clips, values, strict=True):
        if clip in predictions:
            doubled.append(clip)
        predictions.setdefault(clip, row)
    return predictions, doubled


def _plain(column):
    """A column's name without case and the words "Value" and "Video" before it."""
    return column.strip().lower().removeprefix("value").removeprefix("video")
