"""Trained models on disk: saved by training, found and opened, safely, by whoever asks them.

Keras is imported where it is needed, since that takes seconds.
"""

import contextlib
import json
import math
import platform
import re
import subprocess
import zipfile
from pathlib import Path

import numpy as np

from first_impression.common.errors import UserError, damage_as_user_error, name_some
from first_impression.common.files import md5, whole_file
from first_impression.common.provenance import Ledger
from first_impression.data.audio import FEATURES
from first_impression.data.chalearn import FRAME_SIZE, TRAITS
from first_impression.evaluation.predictions import read_csv
from first_impression.training import manifest

FINAL = "final.keras"
BEST = "best.keras"
CHECKPOINT = "checkpoint.npz"
TRAINING_LABELS = "training_labels.csv"

# All that the configuration of a model of ours names, as (module, class), and of the tests' smaller ones
PARTS = {("keras.src.models.functional", "Functional"), (None, "__keras_tensor__"), ("keras", "DTypePolicy")}
PARTS |= {
    ("keras.layers", name)
    for name in "InputLayer Rescaling Conv2D Dense MaxPooling2D AveragePooling2D GlobalAveragePooling2D "
    "GlobalMaxPooling2D UnitNormalization Concatenate BatchNormalization Activation Add ZeroPadding2D".split()
}
PARTS |= {
    ("keras.initializers", name)
    for name in "Constant Zeros Ones GlorotUniform RandomUniform RandomNormal TruncatedNormal".split()
}
MOST_WEIGHTS = 2**28  # by a rough estimate, which is 122 million for ResNet-50, five times what it has


def save(model, path, made_from):
    """Write a whole model, architecture and weights, for use anywhere, and note what it was made from beside it.

    In float32, whatever it was trained in. Returns the file's MD5. Raises `UserError` where a weight is not finite.
    """
    refuse_nonfinite(model, path)
    with whole_file(path) as tmp:
        in_float32(model).save(tmp)
        Ledger(path.parent).note(path, tmp, made_from)
    return md5(path)


def save_epoch(model, folder, rows, keep, made_from):
    """Write the model of the epoch that is done, the last of `rows` of the history, if it is to `keep` or the best."""
    epoch = rows[-1]["epoch"]
    by = "clip_mean" if "clip_mean" in rows[-1] else "frame_mean"  # the validation accuracy; the first of equals wins
    if keep:
        save(model, folder / f"epoch-{epoch}.keras", made_from)
    if max(rows, key=lambda row: (row[by], -row["epoch"]))["epoch"] == epoch:
        save(model, folder / BEST, made_from)


def refuse_nonfinite(model, path):
    """Raises `UserError` where a weight of `model`, to be saved as `path`, is not finite."""
    if bad := nonfinite(model):
        raise UserError(
            f"{path}: not saved, since {bad} is not finite after the last step. What was saved before is "
            "sound; train with a lower LEARNING_RATE under another NAME"
        )


def nonfinite(model):
    """The names of the variables of `model` that have a value which is not finite, as text; "" where all are."""
    return name_some(each.path for each in model.variables if not np.isfinite(np.asarray(each)).all())


def is_final(folder, checksum):
    """Whether the trained model in `folder` is the one of this MD5: a kill may have left an earlier one there."""
    path = folder / FINAL
    return bool(checksum) and path.exists() and md5(path) == checksum


def refuse_changed(*models):
    """Raises `UserError` where one of these files is not as training wrote it last, as after an exchange of two."""
    for file in map(Path, models):
        ledger = Ledger(file.parent)
        if file in ledger and not ledger.is_last_made(file, ledger.content(file)):
            raise UserError(f"{file} is not as train.py made it last: run that again, or move the file away")


def in_float32(model):
    import keras

    def same(layer):
        return layer.from_config({**layer.get_config(), "dtype": "float32"})

    if all(layer.dtype_policy.name == "float32" for layer in model.layers):
        return model
    copy = keras.models.clone_model(model, clone_function=same)
    copy.set_weights(model.get_weights())
    return copy


def made_by():
    """The versions of Python and the libraries, this project's revision, if git knows it, and the number format."""
    import keras
    import tensorflow

    found = {module.__name__: module.__version__ for module in (tensorflow, keras, np)}
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        revision = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    except OSError:  # no git
        revision = ""
    numbers = keras.config.dtype_policy().name  # what MIXED_PRECISION = "auto" has come to
    return {"python": platform.python_version(), **found, "revision": revision or "not known", "numbers": numbers}


def find_trained(folder, models=""):
    """{name: folder} of the trained runs in `folder`, or of those that `models` names, with commas between.

    A folder that publish.py has made holds the runs that its manifest names. Without `models`, those whose training
    has not ended are named in a printed line.
    Raises `UserError` where there is none, or a named one is missing.
    """
    published = manifest.read(folder)
    trained = {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{FINAL}"))}
    if published:
        trained = {name: folder / name for name in sorted(published["runs"])}
    if not trained:
        raise UserError(
            f"{folder.absolute()} holds no trained run: train one with `python train.py`, or let ./run_pipeline.sh "
            "make one from the sample and say --RUNS=sample/runs"
        )
    unfinished = [path.parent.name for path in folder.glob(f"*/{CHECKPOINT}") if path.parent.name not in trained]
    if unfinished and not models:
        print(f"{folder}: passed over, since their training has not ended: {name_some(unfinished)}")
    wanted = [name.strip() for name in models.split(",") if name.strip()] or list(trained)
    missing = [name for name in wanted if name not in trained]
    if missing:
        raise UserError(f"MODELS: {folder} holds no trained {', '.join(missing)}, only {', '.join(trained)}")
    return {name: trained[name] for name in wanted}


def epochs_rule(value):
    """A rule for a script's EPOCHS: the value is "", "best", or the numbers of epochs with commas between."""
    numbers = [part.strip() for part in value.split(",")] if isinstance(value, str) else [""]
    if value in ("", "best") or all(re.fullmatch("[1-9][0-9]*", part) for part in numbers):
        return "names an epoch twice" if len(set(numbers)) < len(numbers) else None
    return 'must be "" (the last), "best", or epochs as "1" or "1,2"'


def epoch_files(folder, epochs=""):
    """The models of the run in `folder` that the text `epochs` names: paths. The text is one that `epochs_rule` takes.

    "" is the last epoch's, "best" that of the best validation accuracy, "1,2" are those after these epochs. Of a
    published run it is what was published.
    Raises `UserError` where one is missing, and where a published one is not as its manifest says.
    """
    published, root = manifest.run_in(folder)
    if published:
        if epochs:
            raise UserError(f"EPOCHS = {epochs!r}: {folder} is published, and has the epochs that were chosen")
        for name in published["files"]:
            manifest.refuse_changed(root, name)
        return [root / name for name in published["files"]]
    names = {"": [FINAL], "best": [BEST]}.get(epochs) or [f"epoch-{part.strip()}.keras" for part in epochs.split(",")]
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        here = [path.name for path in folder.glob("*.keras") if not path.name.startswith(".")]
        raise UserError(
            f"EPOCHS = {epochs!r}: {folder} has no {', '.join(missing)}, only {name_some(here) or 'no model at all'}; "
            "train.py keeps every epoch's model with KEEP_EPOCHS = True"
        )
    return [folder / name for name in names]


def load_networks(folder, epochs=""):
    """(the networks of a run's epochs, a list as of `epoch_files`; "image" or "audio").

    Raises `UserError` for a missing file, and for one that is not a model of train.py's.
    """
    loaded = [load_model(file) for file in epoch_files(folder, epochs)]
    if len({kind for _, kind in loaded}) > 1:
        raise UserError(f"{folder} holds models of images and of sound: they are of different runs")
    return [network for network, _ in loaded], loaded[0][1]


def mean_of(networks):
    """A function of inputs [n, ...] in the place of `networks`: the plain mean of their answers, tensor [n, 5]."""

    def answer(inputs, training=False):
        return sum(network(inputs, training=training) for network in networks) / len(networks)

    return answer


def load_model(file):
    """(the trained model in `file`, "image" or "audio"). Raises `UserError` for a file that is not such a model."""
    import keras

    open(file, "rb").close()  # where that may not be read, Keras says that there is none
    refuse_changed(file)
    with damage_as_user_error(f"{file} is damaged or not a model of train.py's", "train it again"):
        with open_whole_zip(file) as archive:
            check_architecture(json.loads(archive.read("config.json")))
        model = keras.models.load_model(file, compile=False)
        shapes = tuple(model.input_shape[1:]), tuple(model.output_shape[1:])
    if bad := nonfinite(model):
        raise UserError(f"{file}: {bad} is not finite: train it again, with a lower LEARNING_RATE")
    kinds = {(FRAME_SIZE, FRAME_SIZE, 3): "image", (FEATURES,): "audio"}
    kind = kinds.get(shapes[0])
    if kind is None or shapes[1] != (len(TRAITS),):
        raise UserError(f"{file} takes {shapes[0]} and gives {shapes[1]}: not a model of train.py's")
    return model, kind


def training_labels(folder):
    """The labels of the clips that a run was trained on, {clip: [5]}; empty where nothing tells, or it is published."""
    file = folder / TRAINING_LABELS
    return read_csv(file)[0] if file.exists() else {}


def trained_on(folder, clips):
    """Those of `clips` that the run was trained on: a set of names. A published run knows its own by their hashes."""
    published, _ = manifest.run_in(folder)
    if published is None:
        return training_labels(folder).keys() & set(clips)
    hashed = manifest.hashed(clips, published["training"]["salt"])
    return {hashed[name] for name in hashed.keys() & set(published["training"]["names"])}


def about_training(folders):
    """(how many clips the runs were trained on, quantiles of their labels: float64 [QUANTILES, 5]).

    The quantiles are without rows where nothing tells, and those of the first run that does else: runs that are asked
    together are expected to have seen the same clips.
    """
    for folder in folders:
        published, _ = manifest.run_in(folder)
        about = published["training"] if published else manifest.about_training(training_labels(folder), "")
        if about["clips"]:
            return about["clips"], np.array([about["quantiles"][trait] for trait in TRAITS]).T
    return 0, np.empty((0, len(TRAITS)))


def settings_of(folder):
    """What a run's settings.json holds, a dict: "constants", "start", "records" ..; empty where it cannot be read.

    Of a published run it is what the manifest has of that.
    """
    published, _ = manifest.run_in(folder)
    if published:
        return published["settings"]
    try:
        about = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def model_of(folder):
    """The MODEL that a run is of, "dan" for example; None where its settings.json does not tell."""
    constants = settings_of(folder).get("constants")
    return constants.get("MODEL") if isinstance(constants, dict) else None


def start_of(folder):
    """The weights that a run started from, as its settings.json has them: {"words", "file", "md5", "published"}."""
    try:
        start = settings_of(folder)["start"]
        return {"words": str(start["words"]), "published": start["published"], **start}
    except (KeyError, TypeError):
        return {"words": "not known", "file": "", "md5": "", "published": None}


@contextlib.contextmanager
def open_whole_zip(path):
    """The opened zip `path` of Keras or NumPy, with all its checksums compared: neither of the two does that always.

    They pack nothing, so a zip of theirs never unpacks to more than its own size.
    """
    with zipfile.ZipFile(path) as archive:
        if sum(info.file_size for info in archive.infolist()) > path.stat().st_size:
            raise ValueError("it unpacks to more than its own size")
        if damaged := archive.testzip():
            raise ValueError(f"the checksum of {damaged} is wrong")
        yield archive


def check_architecture(config):
    """Raises `ValueError` for a model of other parts than ours have, or with so many weights that they fill the memory.

    Keras makes an object of whatever class of its own a configuration names; not all are safe with a foreign file.
    """
    outputs, widest, joined = 0, 1, 1
    rest = [config]
    while rest:
        part = rest.pop()
        if isinstance(part, list):
            rest.extend(part)
        elif isinstance(part, dict):
            rest.extend(part.values())
            if "class_name" not in part:
                continue
            kind, settings = part["class_name"], part["config"]
            if (part.get("module"), kind) not in PARTS:
                raise ValueError(f"it has a part that none of our models has: {part.get('module')}.{kind}")
            width = abs(settings.get("filters") or settings.get("units") or 0)
            outputs += width * abs(math.prod(settings.get("kernel_size", [1])))
            widest = max(widest, width, (settings.get("batch_shape") or [1])[-1])
            if kind == "Concatenate":
                joined *= str(part["inbound_nodes"]).count("__keras_tensor__")
    if outputs * widest * joined > MOST_WEIGHTS:
        raise ValueError(f"it would have up to {outputs * widest * joined:,} weights")
