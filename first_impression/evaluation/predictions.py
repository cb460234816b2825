"""Predictions as CSV files with a row per clip: in ChaLearn's columns, or with the targets' own names."""

import numpy as np
import pandas as pd

from first_impression.common.errors import UserError, name_some
from first_impression.common.files import whole_file
from first_impression.data.label_table import CLIP, COLUMNS, as_cell
from first_impression.data.targets import FIVE
from first_impression.evaluation.display import shown

INTERVIEW = {"interview": "ValueInterview"}  # ChaLearn's name of the sixth label's column, behind the five


def columns_of(names):
    """{target: its column}, in the order of display: ChaLearn's columns where all of the five are among the names."""
    chalearns = {trait: column for column, trait in COLUMNS.items()} | INTERVIEW
    of_chalearn = set(FIVE.names) <= set(names)
    return {name: chalearns.get(name, name) if of_chalearn else name for name in shown(names)}


def write_csv(path, predictions, targets=FIVE):
    """Write {clip name: [k] in the order of the `targets`} as `as_csv` has them. Raises `UserError` as that does."""
    with whole_file(path) as tmp:
        tmp.write_bytes(as_csv(predictions, targets))


def as_csv(predictions, targets=FIVE):
    """{clip name: [k] in the order of the `targets`} as a table from 0 to 1, clips as `<clip>.mp4`: bytes.

    Raises `UserError` where a value is not finite.
    """
    bad = [clip for clip, values in predictions.items() if not np.isfinite(values).all()]
    if bad:
        raise UserError(f"predictions not written, since the values of {name_some(bad)} are not finite")
    columns = columns_of(targets.names)
    table = pd.DataFrame.from_dict(predictions, orient="index", columns=targets.names)[list(columns)]
    table.columns = list(columns.values())
    table.index = [as_cell(f"{clip}.mp4") for clip in predictions]
    return table.to_csv(index_label=CLIP, float_format="%.8f").encode()
