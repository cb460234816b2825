"""A run's answers to clips that it was not trained on, among which its other answers are ranked.

They are tables of predictions in the run's folder, put on record in predictions.json beside them:

    {"predictions_validation.csv": {"md5": of the table, "clips": one of KINDS, "models": [the MD5 of each that
     answered], "sources": [a number per row, the same for rows of one source]}}

evaluate.py writes those of the validation clips. A table that has changed since, or that is of other models than those
that are asked, does not count.
"""

import numpy as np

from first_impression.common import files
from first_impression.data import label_table
from first_impression.data.targets import FIVE

RECORD = "predictions.json"
VALIDATION, OUT_OF_FOLD = "validation", "out-of-fold"
KINDS = (OUT_OF_FOLD, VALIDATION)  # of clips; the first that there is counts
_FIELDS = {"md5", "clips", "models", "sources"}


def record(table, kind, models, sources):
    """Put a table of predictions on record: answers to clips of the `kind` by `models`, MD5s of the run's files.

    `sources` are those of its rows, in their order.
    """
    numbers = np.unique(list(sources), return_inverse=True)[1].tolist()  # no names of people
    entry = {"md5": files.md5(table), "clips": kind, "models": sorted(models), "sources": numbers}
    files.write_json(table.parent / RECORD, _recorded(table.parent) | {table.name: entry})


def read(folder, models, targets=FIVE):
    """The answers of these models, MD5s of files of the run in `folder`: {kind: {clip: (float64 [k], its source)}}.

    They are to the `targets`. A source is a number. Raises `UserError` for a damaged record.
    """
    found = {}
    for name, entry in _recorded(folder).items():
        table = files.below(folder, name)
        if entry["models"] == sorted(models) and table.exists() and files.md5(table) == entry["md5"]:
            answers = label_table.read(table, targets.unit, quiet=True).values
            pairs = zip(answers.values(), entry["sources"], strict=True)
            found[entry["clips"]] = dict(zip(answers, pairs, strict=True))
    return found


def _recorded(folder):
    return files.read_record(folder / RECORD, _FIELDS, "delete it, and run evaluate.py again")
