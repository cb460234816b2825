"""Model files and checkpoints, whoever made them, opened without running code from them or filling the memory."""

import contextlib
import json
import math
import zipfile

from first_impression.common import files
from first_impression.common.errors import UserError, damage_as_user_error
from first_impression.data.audio import FEATURES
from first_impression.data.chalearn import FRAME_SIZE
from first_impression.data.targets import of_model
from first_impression.training.saved_models import nonfinite

# All that the configuration of a model of ours names, as (module, class), and of the tests' smaller ones
PARTS = {("keras.src.models.functional", "Functional"), (None, "__keras_tensor__"), ("keras", "DTypePolicy")}
PARTS.add((None, "__numpy__"))  # the image that is subtracted
LAYERS = """InputLayer Rescaling Conv2D Dense MaxPooling2D AveragePooling2D GlobalAveragePooling2D GlobalMaxPooling2D
UnitNormalization Concatenate BatchNormalization Activation Add ZeroPadding2D"""
PARTS |= {("keras.layers", name) for name in LAYERS.split()}
INITIALIZERS = "Constant Zeros Ones GlorotUniform RandomUniform RandomNormal TruncatedNormal"
PARTS |= {("keras.initializers", name) for name in INITIALIZERS.split()}
MOST_WEIGHTS = 2**28  # by a rough estimate, which is 122 million for ResNet-50, five times what it has

MOST_VALUES = 2**22  # that one layer gives of one frame; VGG-16's first ones give 3.2 million


def load_model(file):
    """(the model in the `file`, a `keras.Model`; "image" or "audio", what it takes; the `Targets` that it answers).

    Raises `UserError` for a file that is damaged or not a model of train.py's, and for weights that are not finite.
    """
    import keras

    open(file, "rb").close()  # Keras reports a file without the right to read it as missing
    with damage_as_user_error(f"{file} is damaged or not a model of train.py's", "train it again"):
        with open_whole_zip(file) as archive:
            check_architecture(json.loads(archive.read("config.json")))
        model = keras.models.load_model(file, compile=False)
        if (most := _largest_output(model)) > MOST_VALUES:
            raise ValueError(f"a layer of it gives up to {most:,} values of one frame")
        targets = of_model(model.name)
        shapes = tuple(model.input_shape[1:]), tuple(model.output_shape[1:])
    if bad := nonfinite(model):
        raise UserError(f"{file}: {bad} is not finite: train it again, with a lower LEARNING_RATE")
    kind = {(FRAME_SIZE, FRAME_SIZE, 3): "image", (FEATURES,): "audio"}.get(shapes[0])
    if kind is None or shapes[1] != (len(targets.names),):
        raise UserError(f"{file} takes {shapes[0]} and gives {shapes[1]}: not a model of train.py's")
    return model, kind, targets


def _largest_output(model):
    """The number of values that a layer of `model` gives at most; a side of any length counts as too many."""
    return max(
        _largest_output(layer)
        if hasattr(layer, "layers")
        else math.prod(MOST_VALUES + 1 if side is None else side for side in layer.output.shape[1:])
        for layer in model.layers
    )


@contextlib.contextmanager
def open_whole_zip(path):
    """The opened zip `path` of Keras or NumPy, neither of which always compares the checksums in it.

    They pack nothing. Raises `ValueError`, before anything is unpacked, where an entry is packed or the entries claim
    more than the zip's own size, and where a checksum is wrong.
    """
    with zipfile.ZipFile(path) as archive:
        files.refuse_packing(archive, zipfile.ZIP_STORED)
        if sum(info.file_size for info in archive.infolist()) > path.stat().st_size:
            raise ValueError("it unpacks to more than its own size")
        if damaged := archive.testzip():
            raise ValueError(f"the checksum of {damaged} is wrong")
        yield archive


def check_architecture(config):
    """Raises `ValueError` for a model of other parts than ours have, or with so many weights that they fill the memory.

    Keras instantiates whatever class of its own the `config`, a dict, names; not all are safe with a foreign file.
    """
    outputs, widest, joined, rest = 0, 1, 1, [config]
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
            if len(part.get("inbound_nodes", [])) > 1:
                raise ValueError(f"its {kind} {part.get('name')!r} is used more than once")
            if kind == "__numpy__" and settings["dtype"] not in (
                "float32",
                "float64",
            ):  # one number may fill the memory
                raise ValueError(f"it has an array of {settings['dtype']!r}")
            width = abs(settings.get("filters") or settings.get("units") or 0)
            outputs += width * abs(math.prod(settings.get("kernel_size", [1])))
            widest = max(widest, width, (settings.get("batch_shape") or [1])[-1])
            if kind == "Concatenate":
                joined *= str(part["inbound_nodes"]).count("__keras_tensor__")
    if outputs * widest * joined > MOST_WEIGHTS:
        raise ValueError(f"it would have up to {outputs * widest * joined:,} weights")
