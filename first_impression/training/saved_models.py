"""Trained models written to disk: whole, finite, in float32, and on record.

The record of a run, models.json beside its models, is {file name: {"md5", "made_from"}} of each as training wrote it
last: a model that was damaged since, or has another's place, is recognised by it, in a copy of the folder as well.

Keras is imported where it is needed, since that takes seconds.
"""

import json
import platform
import subprocess
from pathlib import Path

import numpy as np

from first_impression.common.errors import UserError, damage_as_user_error, name_some
from first_impression.common.files import md5, whole_file, write_json
from first_impression.training.number_format import FLOAT32, in_format

FINAL = "final.keras"
BEST = "best.keras"
CHECKPOINT = "checkpoint.npz"
RECORD = "models.json"
TRAINING_LABELS = "training_labels.csv"


def save(model, path, made_from):
    """Write a whole model, architecture and weights, for use anywhere, in float32, whatever it was trained in.

    `made_from`, a dict that JSON can hold, is put on record. Raises `UserError` where a weight is not finite.
    """
    refuse_nonfinite(model, path)
    with whole_file(path) as tmp:
        in_format(model, FLOAT32).save(tmp)
        # Put on record before the file gets its name: what a kill between the two leaves there is refused
        record = _recorded(path.parent) | {path.name: {"md5": md5(tmp), "made_from": made_from}}
        write_json(path.parent / RECORD, record)


def save_epoch(model, folder, rows, keep, made_from):
    """Write the model of the epoch that is done, the last of `rows` of the history, if it is to `keep` or the best."""
    epoch = rows[-1]["epoch"]
    by = "clip_mean" if "clip_mean" in rows[-1] else "frame_mean"  # the validation accuracy; the first of equals wins
    if keep:
        save(model, folder / f"epoch-{epoch}.keras", made_from)
    if max(rows, key=lambda row: (row[by], -row["epoch"]))["epoch"] == epoch:
        save(model, folder / BEST, made_from)


def is_final(folder, made_from):
    """Whether the trained model in `folder` is there as it was made from `made_from`.

    A kill or a copy may have left one of an earlier training there.
    """
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
    path = folder / RECORD
    if not path.exists():
        return {}
    with damage_as_user_error(f"{path} is damaged", "delete it, and run train.py again"):
        record = json.loads(path.read_text(encoding="utf-8"))
        return {name: {"md5": model["md5"], "made_from": model["made_from"]} for name, model in record.items()}


def refuse_nonfinite(model, path):
    """Raises `UserError` where a weight of `model`, to be saved as `path`, is not finite."""
    if bad := nonfinite(model):
        raise UserError(
            f"{path}: not saved, since {bad} is not finite after the last step. What was saved before is "
            "sound; train with a lower LEARNING_RATE under another NAME"
        )


def nonfinite(model):
    """The names of the variables of `model` that have a value which is not finite, as text; "" where all are."""
    bad = (variable.path for variable in model.variables if not np.isfinite(np.asarray(variable)).all())
    return name_some(bad)


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
