"""Predictions as ChaLearn takes them: a CSV file with one row of five traits per clip."""

import numpy as np
import pandas as pd

from first_impression.common.errors import UserError, name_some
from first_impression.common.files import whole_file
from first_impression.data.chalearn import TRAITS
from first_impression.data.label_table import CLIP, COLUMNS, as_cell


def write_csv(path, predictions):
    """Write {clip name: five values in the order of TRAITS} as `as_csv` has them. Raises `UserError` as that does."""
    with whole_file(path) as tmp:
        tmp.write_bytes(as_csv(predictions))


def as_csv(predictions):
    """{clip name: five values in the order of TRAITS} in ChaLearn's columns, clips as `<clip>.mp4`: bytes.

    Raises `UserError` where a value is not finite.
    """
    bad = [clip for clip, values in predictions.items() if not np.isfinite(values).all()]
    if bad:
        raise UserError(f"predictions not written, since the values of {name_some(bad)} are not finite")
    table = pd.DataFrame.from_dict(predictions, orient="index", columns=TRAITS)[list(COLUMNS.values())]
    table.columns = list(COLUMNS)
    table.index = [as_cell(f"{clip}.mp4") for clip in predictions]
    return table.to_csv(index_label=CLIP, float_format="%.8f").encode()
