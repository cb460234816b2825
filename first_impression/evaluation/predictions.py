"""Predictions as CSV files with a row per clip: in ChaLearn's columns, or with the targets' own names."""

import numpy as np
import pandas as pd

from first_impression.common.errors import UserError, name_some
from first_impression.common.files import whole_file
from first_impression.data.label_table import CLIP, COLUMNS, as_cell, scaled
from first_impression.data.targets import FIVE, INTERVIEW
from first_impression.evaluation.display import shown

# ChaLearn's sixth column stands behind the five
CHALEARNS = {trait: column for column, trait in COLUMNS.items()} | {INTERVIEW: "ValueInterview"}


def columns_of(names):
    """{target: its column}, in the order of display: ChaLearn's columns where all of the five are among the names."""
    of_chalearn = set(FIVE.names) <= set(names)
    return {name: CHALEARNS.get(name, name) if of_chalearn else name for name in shown(names)}


def write_csv(path, predictions, targets=FIVE):
    """Write {clip name: [k] in the order of the `targets`} as `as_csv` has them. Raises `UserError` as that does."""
    with whole_file(path) as tmp:
        tmp.write_bytes(as_csv(predictions, targets))


def as_csv(predictions, targets=FIVE):
    """{clip name: [k] in the order of the `targets`} as a table from 0 to 1, clips as `<clip>.mp4`: bytes.

    Where the labels have a scale of their own, the values on that stand behind these. Raises `UserError` where a value
    is not finite.
    """
    bad = [clip for clip, values in predictions.items() if not np.isfinite(values).all()]
    if bad:
        raise UserError(f"predictions not written, since the values of {name_some(bad)} are not finite")
    columns = columns_of(targets.names)
    table = pd.DataFrame.from_dict(predictions, orient="index", columns=targets.names)[list(columns)]
    if targets.has_own_scale:
        on_scale = {name: scaled(name, targets.low, targets.high) for name in columns}
        table = table.join(targets.from_unit(table).rename(columns=on_scale))
    table = table.rename(columns=columns)
    table.index = [as_cell(f"{clip}.mp4") for clip in predictions]
    return table.to_csv(index_label=CLIP, float_format="%.8f").encode()
