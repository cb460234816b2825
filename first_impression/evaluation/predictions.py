"""Predictions as ChaLearn takes them: a CSV file with a row per clip, in [0, 1] whatever the labels' own scale is."""

import numpy as np
import pandas as pd

from first_impression.common.errors import UserError, name_some
from first_impression.common.files import whole_file
from first_impression.data.label_table import CLIP, as_cell, columns
from first_impression.data.targets import FIVE


def write_csv(path, predictions, targets=FIVE):
    """Write {clip name: values [targets]} as `as_csv` has them. Raises `UserError` as that does."""
    with whole_file(path) as tmp:
        tmp.write_bytes(as_csv(predictions, targets))


def as_csv(predictions, targets=FIVE):
    """{clip name: values [targets]} in ChaLearn's columns and others like them, clips as `<clip>.mp4`: bytes.

    Raises `UserError` where a value is not finite.
    """
    bad = [clip for clip, values in predictions.items() if not np.isfinite(values).all()]
    if bad:
        raise UserError(f"predictions not written, since the values of {name_some(bad)} are not finite")
    column_of = columns(targets)
    table = pd.DataFrame.from_dict(predictions, orient="index", columns=targets.names)[list(column_of)]
    table.columns = list(column_of.values())
    table.index = [as_cell(f"{clip}.mp4") for clip in predictions]
    return table.to_csv(index_label=CLIP, float_format="%.8f").encode()
