"""VGG-Face: its convolutions, and the MatConvNet file that they come in."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from first_impression.common.errors import UserError, damage_as_user_error, short_message
from first_impression.common.files import md5
from first_impression.data import mat

BYTES, MD5 = 1_086_058_494, "3d6cd504bf9c98af4a561aad059565d1"  # of vgg-face.mat, as MatConvNet's pages have it
MEAN_COLOUR = (129.1863, 104.7624, 93.5940)  # RGB, 0..255, as vgg-face.mat has it

# VGG-16's convolutions, {name: shape of the kernel [height, width, in, out]}, in blocks, each followed by 2 x 2 max
# pooling (Simonyan and Zisserman 2014, configuration D)
_FILTERS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
BLOCKS = [[f"conv{block}_{n}" for n in range(1, len(filters) + 1)] for block, filters in enumerate(_FILTERS, 1)]
_OUT = [count for filters in _FILTERS for count in filters]
_NAMES = [name for block in BLOCKS for name in block]
CONVOLUTIONS = {name: (3, 3, *ends) for name, *ends in zip(_NAMES, [3, *_OUT[:-1]], _OUT, strict=True)}


class Weights(NamedTuple):
    """What a MatConvNet file of VGG-16's convolutions holds."""

    convolutions: dict  # name -> [kernel float32 [3, 3, in, out], bias float32 [out]]
    mean_colour: list | None  # RGB, three floats, 0..255; None where the file has none
    published: bool  # whether the file is vgg-face.mat as published
    words: str  # the same in words
    md5: str


def read(path):
    """Read the 13 convolutions and the mean colour from a MatConvNet file: `Weights`.

    Takes vgg-face.mat in its current layout (`layers` with `weights`, and `meta`), its older one (`filters`
    and `biases`, `normalization` beside them) and the Oxford release (all under `net`). Layers are matched by
    name and shape; fully connected ones are ignored.
    Raises `UserError` for a missing or unreadable file, and for one whose convolutions are not VGG-16's: all
    that are missing, misshapen or too many are named at once.
    """
    path = Path(path)
    root = _read_mat(path)
    found = _convolutions(path, root)
    complaints = [f"{name} is too many" for name in found if name not in CONVOLUTIONS]
    arrays = {}
    for name, shape in CONVOLUTIONS.items():
        if name not in found:
            complaints.append(f"{name} is missing")
            continue
        kernel, bias = found[name]
        # [height, width, in, out] is TensorFlow's order as well; biases come as columns or rows
        if (kernel.shape, bias.size) != (shape, shape[-1]):
            complaints.append(f"{name} has {kernel.shape} and ({bias.size},), not {shape}")
        elif not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            complaints.append(f"{name} has values that are not finite")
        else:
            arrays[name] = [kernel, bias.reshape(-1)]
    meta = _field(root, "meta")
    mean = _field(_field(meta, "normalization") or _field(root, "normalization"), "averageImage")
    if mean is not None:  # [1, 1, 3], or one value per pixel: [224, 224, 3]
        if not isinstance(mean, np.ndarray):
            complaints.append("averageImage holds no numbers")
        elif not mean.size or mean.shape[-1] != 3 or not np.isfinite(mean).all():
            complaints.append(f"averageImage has {mean.shape}, not finite numbers [1, 1, 3]")
    if complaints:
        raise UserError(f"{path} does not hold VGG-16's convolutions: {'; '.join(complaints)}")
    colour = None if mean is None else np.mean(mean.reshape(-1, 3), axis=0, dtype=np.float64).tolist()
    checksum = md5(path)
    published = (path.stat().st_size, checksum) == (BYTES, MD5)
    note = _field(meta, "note")
    other = short_message(note) if note and isinstance(note, str) else "size or MD5 differ"
    words = "VGG-Face, as published" if published else f"NOT the published VGG-Face: {other}"
    return Weights(arrays, colour, published, words, checksum)


def _read_mat(path):
    if not path.exists():
        raise UserError(
            f"{path.absolute()} is missing: it comes from www.vlfeat.org/matconvnet/models/vgg-face.mat "
            f"({BYTES:,} bytes, MD5 {MD5})"
        )
    with damage_as_user_error(f"{path} is no complete MAT file", "fetch it again and compare its size and MD5"):
        variables = mat.read(path, ["layers", "meta", "normalization", "net"])
    if "net" not in variables:
        return variables
    if not isinstance(variables["net"], dict):
        raise UserError(f"{path} is not laid out like vgg-face.mat: its `net` is no struct")
    return variables["net"]


def _convolutions(path, root):
    """{layer name: (kernel, bias)} of the layers named conv*, as float32 arrays."""
    found = {}
    try:
        for layer in root["layers"]:
            if layer["name"].startswith("conv"):
                kernel, bias = layer["weights"] if "weights" in layer else (layer["filters"], layer["biases"])
                with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused as such
                    found[layer["name"]] = np.asarray(kernel, np.float32), np.asarray(bias, np.float32)
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is not laid out like vgg-face.mat ({type(error).__name__}: {short_message(error)})"
        ) from None
    return found


def _field(struct, name):
    """A field of a MATLAB struct; None where there is no such field or struct."""
    return struct.get(name) if isinstance(struct, dict) else None
