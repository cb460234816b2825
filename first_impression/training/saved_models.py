"""Trained models written to disk: whole, finite, in float32, and on record.

The record of a run, models.json beside its models, is {file name: {"md5", "made_from"}} of each as training wrote it
last: a model that was damaged since, or has another's place, is recognised by it, in a copy of the folder as well.
"""

import platform
import subprocess
from pathlib import Path

import numpy as np

from first_impression.common.errors import UserError, name_some
from first_impression.common.files import md5, read_record, whole_file, write_json
from first_impression.training.number_format import FLOAT32, in_format

FINAL = "final.keras"
BEST = "best.keras"
CHECKPOINT = "checkpoint.npz"
RECORD = "models.json"
TRAINING_LABELS = "training_labels.csv"


def save(model, path, made_from):
    """Write a model in float32, whatever it was trained in, and put `made_from`, a dict for JSON, on record.

    Raises `UserError` where a weight is not finite.
    """
    refuse_nonfinite(model, path)
    with whole_file(path) as tmp:
        in_format(model, FLOAT32).save(tmp)
        # Put on record before the file gets its name: what a kill between the two leaves there is refused
        record = _recorded(path.parent) | {path.name: {"md5": md5(tmp), "made_from": made_from}}
        write_json(path.parent / RECORD, record)


def is_final(folder, made_from):
    """Whether the trained model in `folder` is that of `made_from`: a kill or a copy may have left an earlier one."""
    path = folder / FINAL
    return path.exists() and _recorded(folder).get(FINAL) == {"md5": md5(path), "made_from": made_from}


def verify(folder, models):
    """{path: its MD5} of these `models`, paths in the `folder` of a run.

    Raises `UserError` where one is not as training wrote it last. What has no record is taken as it is.
    """
    record, found = _recorded(folder), {}
    for path in models:
        found[path] = md5(path)
        if path.name in record and record[path.name]["md5"] != found[path]:
            raise UserError(f"{path} is not as train.py made it last: run that again, or move the file away")
    return found


def _recorded(folder):
    return read_record(folder / RECORD, ("md5", "made_from"), "delete it, and run train.py again")


def refuse_nonfinite(model, path):
    """Raises `UserError` where a weight of `model`, to be saved as `path`, is not finite."""
    if bad := nonfinite(model):
        what = f"{path}: not saved, since {bad} is not finite after the last step. What was saved before is sound"
        raise UserError(f"{what}; train with a lower LEARNING_RATE under another NAME")


def nonfinite(model):
    """The names of the variables of `model` that have a value which is not finite, as text; "" where all are."""
    return name_some(variable.path for variable in model.variables if not np.isfinite(np.asarray(variable)).all())


def made_by(number_format=FLOAT32):
    """The versions of Python and the libraries, this project's revision, if git knows it, and the number format."""
    import keras
    import tensorflow

    found = {module.__name__: module.__version__ for module in (tensorflow, keras, np)}
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        revision = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    except OSError:  # no git
        revision = ""
    return {
        "python": platform.python_version(),
        **found,
        "revision": revision or "not known",
        "numbers": number_format,  # what MIXED_PRECISION = "auto" has come to
    }
