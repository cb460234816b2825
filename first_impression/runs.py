"""Training runs on disk: the folder of one that trains, and those that are trained.

Keras and Matplotlib are imported where they are needed, since both take seconds.
"""

import contextlib
import json
import math
import platform
import subprocess
import time
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from first_impression import Problem
from first_impression.audio import FEATURES
from first_impression.chalearn import FRAME_SIZE, TRAITS
from first_impression.files import damage, keep_settings, md5, only_one, partial, whole_file
from first_impression.predictions import read_csv, write_csv

FINAL = "final.keras"
TRAINING_LABELS = "training_labels.csv"
NOT_VGG_FACE = "NOT the published VGG-Face"  # model.py's words on weights that are made up or of another origin

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

ABOUT = "about"  # the name of the JSON text among the checkpoint's arrays


@dataclass
class Progress:
    """How far a run is: with the variables, all that a stopped training needs to go on as if it had not stopped."""

    epoch: int = 0  # epochs that are done
    step: int = 0  # steps done in the epoch at work
    loss_sum: float = 0.0  # over the records of the epoch at work so far
    losses: list = field(default_factory=list)  # [step since the start, mean loss of the epoch so far]
    history: list = field(default_factory=list)  # the rows of history.csv, dicts
    start: str = ""  # what the weights at the start were
    data: str = ""  # identity of the training records


class Run:
    """The folder `runs/<MODEL>/` and the progress of the training in it.

    A new run: make the model, `attach` it. A run that was stopped (`begun`): `model` gives it back as built, and
    `attach` fills it. Raises `Problem` for a damaged checkpoint, or one that other constants than `constants` made,
    those in `free` excepted.

    To be used as a context, which keeps a second training out of the folder. Where several processes train one model,
    only one of them `writes`; for the others all that would write does nothing.
    """

    def __init__(self, folder, constants, free, writes=True):
        self.folder = folder
        self._writes = writes
        self.checkpoint = folder / "checkpoint.npz"
        self.begun = self.checkpoint.exists()
        self.progress = Progress()
        self._constants, self._free = constants, free
        self._saved_at = time.monotonic()
        self._saved = "There is no checkpoint yet"

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            if self._writes:
                lock = self.folder.parent / f".{self.folder.name}.lock"
                if not lock.parent.exists():
                    stack.callback(_remove_if_empty, lock.parent)  # after the lock, where nothing came of the run
                stack.enter_context(only_one(lock, f"a training of {self.folder}"))
            if self.begun:
                if self._writes:
                    keep_settings(self.folder, self._constants, self._free)
                self._arrays, about = _read(self.checkpoint)
                self._architecture, self.progress = about
                self._name_checkpoint()
            self._lock = stack.pop_all()
        return self

    def __exit__(self, *error):
        self._lock.close()

    def model(self):
        """The model of a run that was stopped, as it was built. Its weights come with `attach`."""
        import keras

        return keras.models.model_from_json(self._architecture)

    def attach(self, model, optimizer, training):
        """Take charge of a model and its built optimizer; set their variables if the run was stopped.

        `training` are the `records.Contents` it is trained on. A new run notes their clips' labels, for comparison
        with later predictions, and in its settings.json what it takes to make it again.
        Raises `Problem` where a stopped run had other records, or another model or optimizer.
        """
        if self.begun and self.progress.data != training.identity:
            raise Problem(f"{self.folder} was trained on other records: bring those back, or delete it to start anew")
        self.progress.data = training.identity
        self._model = model
        self._variables = model.variables + optimizer.variables
        if not self.begun:
            if self._writes:
                about = {"start": self.progress.start, "weights_md5": self._weights_md5(), "made_by": made_by()}
                keep_settings(self.folder, self._constants, self._free, **about)
                write_csv(self.folder / TRAINING_LABELS, training.labels)
            return
        ours = {variable.path: tuple(variable.shape) for variable in self._variables}
        if ours != {name: array.shape for name, array in self._arrays.items()}:
            raise Problem(f"{self.checkpoint} is of another model or optimizer: delete it to start the training anew")
        for variable in self._variables:
            variable.assign(self._arrays.pop(variable.path))

    def _weights_md5(self):
        """{file: MD5} of the weights that it started from."""
        names = {"dan": "WEIGHTS", "dan_plus": "WEIGHTS", "resnet": "RESNET_WEIGHTS"}
        file = self._constants.get(names.get(self._constants["MODEL"]))
        return {file: md5(file)} if file else {}

    def save(self):
        """Write the checkpoint."""
        self._saved_at = time.monotonic()
        if not self._writes:
            return
        about = {"architecture": self._model.to_json(), "progress": asdict(self.progress)}
        arrays = {variable.path: np.asarray(variable) for variable in self._variables}
        with whole_file(self.checkpoint) as growing, open(growing, "wb") as file:
            np.savez(file, **arrays, **{ABOUT: np.array(json.dumps(about))})
        self._name_checkpoint()

    def _name_checkpoint(self):
        progress = self.progress
        self._saved = f"The last good checkpoint is {self.checkpoint}, epoch {progress.epoch + 1}, step {progress.step}"

    def last_good(self):
        """A sentence that names the last checkpoint."""
        return self._saved

    def minutes_unsaved(self):
        """Minutes of training that are in no checkpoint. 0 where another process saves."""
        return (time.monotonic() - self._saved_at) / 60 if self._writes else 0.0

    def end_epoch(self, row, score):
        """Add a row (a dict of numbers) to the history; keep the weights as the best if its `score` is the highest.

        The history lies in the checkpoint too, so that a kill between the two loses no row and doubles none.
        """
        from first_impression import plots

        progress = self.progress
        best = all(row[score] > earlier[score] for earlier in progress.history)
        progress.history.append(row)
        if self._writes:
            if best:
                _write_weights(self.folder / "best.weights.h5", self._model)
            with whole_file(self.folder / "history.csv") as growing:
                pd.DataFrame(progress.history).to_csv(growing, index=False)
            title = f"{self.folder.name}, from {progress.start}"
            plots.draw_curves(self.folder / "curves.png", progress.losses, progress.history, title)
        progress.epoch, progress.step, progress.loss_sum = progress.epoch + 1, 0, 0.0
        self.save()

    @property
    def final(self):
        return self.folder / FINAL

    @property
    def finished(self):
        """Whether the whole model is there, and of the last checkpoint: a kill may come between the two."""
        return self.final.exists() and self.final.stat().st_mtime_ns >= self.checkpoint.stat().st_mtime_ns

    def finish(self):
        """Write the whole model, architecture and weights, for use anywhere: in float32, whatever it was trained in."""
        if self._writes:
            with whole_file(self.final) as growing:
                _in_float32(self._model).save(growing)


def _remove_if_empty(folder):
    with contextlib.suppress(OSError):
        folder.rmdir()


def _write_weights(path, model):
    """Write the file that Keras's `load_weights` takes, by way of a whole model.

    Keras makes that in memory and Python writes it: HDF5 brings the process down when it writes to a full disk.
    """
    saved = partial(path.with_suffix(".keras"))
    try:
        model.save(saved)
        with zipfile.ZipFile(saved) as archive, whole_file(path) as growing:
            growing.write_bytes(archive.read("model.weights.h5"))
    finally:
        saved.unlink(missing_ok=True)


def _in_float32(model):
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

    Raises `Problem` where there is none, or a named one is missing.
    """
    trained = {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{FINAL}"))}
    if not trained:
        raise Problem(
            f"{folder.absolute()} holds no trained run: train one with `python train.py`, or let ./run_pipeline.sh "
            "make one from the sample and say --RUNS=sample/runs"
        )
    wanted = [name.strip() for name in models.split(",") if name.strip()] or list(trained)
    missing = [name for name in wanted if name not in trained]
    if missing:
        raise Problem(f"MODELS: {folder} holds no trained {', '.join(missing)}, only {', '.join(trained)}")
    return {name: trained[name] for name in wanted}


def load_model(folder):
    """(the trained model of a run, "image" or "audio"). Raises `Problem` for a file that is no such model."""
    import keras

    file = folder / FINAL
    open(file, "rb").close()  # where that may not be read, Keras says that there is none
    with damage(f"{file} is damaged or no model of train.py's", "train it again"):
        with _whole_zip(file) as archive:
            _check_architecture(json.loads(archive.read("config.json")))
        model = keras.models.load_model(file, compile=False)
        shapes = tuple(model.input_shape[1:]), tuple(model.output_shape[1:])
    kinds = {(FRAME_SIZE, FRAME_SIZE, 3): "image", (FEATURES,): "audio"}
    kind = kinds.get(shapes[0])
    if kind is None or shapes[1] != (len(TRAITS),):
        raise Problem(f"{file} takes {shapes[0]} and gives {shapes[1]}: no model of train.py's")
    return model, kind


def training_clips(folder):
    """The names of the clips that a run was trained on; empty where its records did not tell."""
    file = folder / TRAINING_LABELS
    return read_csv(file)[0].keys() if file.exists() else set()


def start_of(folder):
    """What the weights of a run were at its start, in words, as its settings.json has them."""
    try:
        return str(json.loads((folder / "settings.json").read_text(encoding="utf-8"))["start"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return "not known"


def _read(checkpoint):
    """(arrays by variable path, (the model's architecture as JSON, the `Progress`)) of a checkpoint file."""
    with damage(f"{checkpoint} is damaged", "delete it to start the training anew"):
        with _whole_zip(checkpoint), np.load(checkpoint, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(str(arrays.pop(ABOUT)))
        _check_architecture(json.loads(about["architecture"]))
        return arrays, (about["architecture"], Progress(**about["progress"]))


@contextlib.contextmanager
def _whole_zip(path):
    """The opened zip `path` of Keras or NumPy, with all its checksums compared: neither of the two does that always.

    They pack nothing, so a zip of theirs never unpacks to more than its own size.
    """
    with zipfile.ZipFile(path) as archive:
        if sum(info.file_size for info in archive.infolist()) > path.stat().st_size:
            raise ValueError("it unpacks to more than its own size")
        if damaged := archive.testzip():
            raise ValueError(f"the checksum of {damaged} is wrong")
        yield archive


def _check_architecture(config):
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
