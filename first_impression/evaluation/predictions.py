"""Predictions as ChaLearn takes them: a CSV file with one row of five traits per clip."""

import numpy as np
import pandas as pd

from first_impression.common.errors import UserError, name_some
from first_impression.common.files import whole_file
from first_impression.data import label_table
from first_impression.data.chalearn import TRAITS
from first_impression.data.label_table import CLIP, COLUMNS


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

    `doubled` lists the clips that stand more than once, of which the first row counts. Raises `UserError` as
    `label_table.read` does.
    """
    table = label_table.read(path)
    return table.values, table.doubled
