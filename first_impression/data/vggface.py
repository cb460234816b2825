"""VGG-16's convolutions, and the files of weights that hold them: VGG-Face's above all.

SciPy reads MatConvNet's files, h5py those of Keras (keras_weights.py). A damaged file can crash either, and a small one
can make SciPy fill the memory, so only files that are known by their MD5 are read in this process. Any other is read in
a child process with limits, which runs this module:

    python -m first_impression.data.vggface < vgg-face.mat > arrays.npz
"""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.io import loadmat

from first_impression.common.errors import UserError, damage_as_user_error, short_message
from first_impression.common.files import md5
from first_impression.data import keras_weights

BYTES, MD5 = 1_086_058_494, "3d6cd504bf9c98af4a561aad059565d1"  # of vgg-face.mat, as MatConvNet's pages have it
# Of Keras' VGG-16 without and with its top (keras/src/applications/vgg16.py)
KERAS_MD5S = ("6d6bbae143d832006294945121d1f1fc", "64373286793e3c8b2b4e3219cbf3544b")
VGG_FACE, IMAGENET = "VGG-Face", "ImageNet"  # what convolutions were trained on
MEAN_COLOUR = keras_weights.MEAN_COLOURS[keras_weights.KERAS_VGGFACE]  # RGB, 0..255, as vgg-face.mat has it

# VGG-16's convolutions (Simonyan and Zisserman 2014, configuration D), block by block: their numbers of filters.
# 2 x 2 max pooling follows each block
FILTERS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
BLOCKS = [[f"conv{block}_{number + 1}" for number in range(len(FILTERS[block - 1]))] for block in range(1, 6)]
_CHANNELS = itertools.pairwise([3, *itertools.chain(*FILTERS)])
# The shapes of their kernels: [height, width, in, out]
CONVOLUTIONS = {name: (3, 3, *pair) for name, pair in zip(itertools.chain(*BLOCKS), _CHANNELS, strict=True)}

READER = (sys.executable, "-m", "first_impression.data.vggface")
READER_LIMITS = {
    # bytes: SciPy keeps all layers. VGG-16's 145 million weights are 0.6 GB, 2.3 GB in double precision with momentum
    "RLIMIT_AS": 3 * 2**30,
    "RLIMIT_CPU": 300,  # seconds; 1 GB takes about ten
    "RLIMIT_CORE": 0,  # bytes: a crash leaves no dump
}
REMEDY = "fetch it again and compare its size and MD5"
NOT_VGG_FACE, DIFFERS = "NOT the published VGG-Face", "its size or MD5 differs"


class Weights(NamedTuple):
    """What a file of VGG-16's convolutions holds."""

    convolutions: dict  # name -> [kernel float32 [3, 3, in, out], bias float32 [out]]
    mean_colour: list | None  # RGB, three floats, 0..255; None where the file has none
    pretrained: str  # VGG_FACE or IMAGENET, what they were trained on; "" where that is not known
    published: bool | None  # whether the file is as published; None where no checksum of that is known
    words: str  # both, for a reader: "VGG-Face, as published"
    md5: str


def identify(path):
    """(what a file of weights was trained on, what it is in words, its MD5); ("", "", MD5) of one not known by that."""
    checksum = md5(path)
    if (Path(path).stat().st_size, checksum) == (BYTES, MD5):
        return VGG_FACE, "VGG-Face, as published", checksum
    if checksum in KERAS_MD5S:
        return IMAGENET, "ImageNet's VGG-16, as Keras publishes it", checksum
    return "", "", checksum


def read(path):
    """Read the 13 convolutions and the mean colour from a file of weights; returns `Weights`.

    Takes vgg-face.mat in its current layout (`layers` with `weights`, and `meta`), its older one (`filters` and
    `biases`, `normalization` beside them) and the Oxford release (all under `net`), and Keras' two HDF5 files.
    Fully connected layers are ignored. What is not known by its MD5 is said to be so, before it is parsed.
    Raises `UserError` for a missing or unreadable file, and for one whose convolutions are not VGG-16's, naming all
    the missing, misshapen and unknown ones.
    """
    path = Path(path)
    if not path.exists():
        source = f"www.vlfeat.org/matconvnet/models/vgg-face.mat ({BYTES:,} bytes, MD5 {MD5})"
        others = "; check_data.py names other files that can stand in its place"
        raise UserError(f"{path.absolute()} is missing: fetch it from {source}{others}")
    pretrained, words, checksum = identify(path)
    with open(path, "rb") as file:
        is_hdf5 = _is_hdf5(file)
        if not words:
            differs = "NOT a file that Keras publishes: its MD5 differs" if is_hdf5 else f"{NOT_VGG_FACE}: {DIFFERS}"
            print(f"{path}: {differs}", flush=True)
        try:
            arrays = _parse(file) if words else _parse_in_child(file)
        except UserError as reason:
            raise UserError(f"{path} {reason}") from None
    convolutions = {name: [arrays[f"{name}_kernel"], arrays[f"{name}_bias"]] for name in CONVOLUTIONS}
    published = bool(words)
    if not words:
        pretrained, published, words = _unverified(str(arrays["layout"]), str(arrays["note"]))
    return Weights(convolutions, arrays["mean_colour"].tolist() or None, pretrained, published, words, checksum)


def _unverified(layout, note):
    """What a file that is not known by its MD5 may be said to be: (`pretrained`, `published`, `words`) of `Weights`."""
    if layout == keras_weights.KERAS_VGGFACE:
        return VGG_FACE, None, "VGG-Face by its layout, keras-vggface's, which publishes no checksum to compare"
    if layout == keras_weights.KERAS:
        return "", False, "NOT the VGG-16 that Keras publishes: its MD5 differs"
    return "", False, f"{NOT_VGG_FACE}: {note or 'size or MD5 differ'}"


def _parse_in_child(file):
    """`_parse` in a child process, so that a crash or a lack of memory does not end this one."""
    with tempfile.TemporaryFile() as arrays:  # has no name, so nothing is left of it however this process ends
        pipes = {"stdin": file, "stdout": arrays, "stderr": subprocess.PIPE, "text": True, "errors": "replace"}
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # each thread takes 40 MB of the memory limit
        root = Path(__file__).parents[2]  # where Python finds the package
        child = subprocess.run(READER, **pipes, cwd=root, env=environment)
        if child.returncode == 0:
            arrays.seek(0)
            with np.load(arrays, allow_pickle=False) as content:
                return dict(content)
    if child.returncode < 0:
        if child.returncode == -signal.SIGKILL:
            raise UserError("could not be read: the process that reads it was killed, perhaps for lack of memory")
        raise UserError(f"crashes its reader ({signal.strsignal(-child.returncode)}): {REMEDY}")
    raise UserError(child.stderr.strip().rpartition("\n")[2])


def _main():
    """The child: reads a file of weights from stdin, writes its arrays to stdout, or why it cannot to stderr."""
    with contextlib.suppress(ImportError):  # Windows has no such limits
        import resource

        for name, most in READER_LIMITS.items():
            limit = getattr(resource, name)
            with contextlib.suppress(ValueError):  # the limit is lower already
                resource.setrlimit(limit, (most, resource.getrlimit(limit)[1]))
    try:
        kind = "HDF5" if _is_hdf5(sys.stdin.buffer) else "MAT"
        with damage_as_user_error(f"is not a readable {kind} file", REMEDY):
            arrays = _parse(sys.stdin.buffer)
        np.savez(sys.stdout.buffer, **arrays)
    except UserError as reason:
        sys.exit(str(reason))
    except OSError as error:
        print(f"could not be read: {error}", file=sys.stderr, flush=True)
        os._exit(1)  # a normal exit would flush the rest of the buffer, and its error would be the last line


def _is_hdf5(file):
    file.seek(0)  # the child's stdin stands where this process has read to
    start = file.read(len(keras_weights.SIGNATURE))
    file.seek(0)
    return start == keras_weights.SIGNATURE


def _parse(file):
    """{name: array} of an open file of weights, as `_parse_in_child` hands them over.

    Those of a convolution are "<name>_kernel" and "<name>_bias"; "mean_colour" is empty where the file has none, "note"
    is what a MAT file says of itself, "layout" which of Keras' an HDF5 file has.
    Raises `UserError`, without the file's name, for other contents, and whatever SciPy or h5py raise for damaged files.
    """
    if _is_hdf5(file):
        found, complaints, layout = keras_weights.read(file, CONVOLUTIONS)
        mean, note = np.array(keras_weights.MEAN_COLOURS[layout]), ""
    else:
        root = loadmat(file, simplify_cells=True, variable_names=["layers", "meta", "normalization", "net"])
        root = root.get("net", root)
        found, complaints = _convolutions(root)
        mean, layout = _mean_colour(root, complaints), ""
        note = _field(root, "meta", "note")
        note = short_message(note) if isinstance(note, str) and note else ""  # SciPy gives an empty text as an array
    for name, arrays in found.items():
        if not all(np.isfinite(array).all() for array in arrays):
            complaints.append(f"{name} has values that are not finite")
    if complaints:
        raise UserError(f"does not hold VGG-16's convolutions: {'; '.join(complaints)}")
    arrays = {f"{name}_kernel": kernel for name, (kernel, _) in found.items()}
    arrays |= {f"{name}_bias": bias for name, (_, bias) in found.items()}
    return {**arrays, "mean_colour": mean, "note": np.array(note), "layout": np.array(layout)}


def _convolutions(root):
    """What `keras_weights.read` gives of an HDF5 file, of the layers of a MAT file named conv*; without a layout."""
    layers = _layers(root)
    complaints, found = [f"{name} is not one of them" for name in layers if name not in CONVOLUTIONS], {}
    for name, shape in CONVOLUTIONS.items():
        if name not in layers:
            complaints.append(f"{name} is missing")
            continue
        # [height, width, in, out] is TensorFlow's order as well; SciPy makes columns and rows one-dimensional
        kernel, bias = found[name] = layers[name]
        if (kernel.shape, bias.shape) != (shape, shape[-1:]):
            complaints.append(f"{name} has {kernel.shape} and {bias.shape}, not {shape}")
    return found, complaints


def _mean_colour(root, complaints):
    """The mean colour, float64 [3], empty where a MAT file has none; adds to `complaints` where it has no sense."""
    mean = _field(root, "meta", "normalization", "averageImage")
    if mean is None:
        mean = _field(root, "normalization", "averageImage")
    if mean is None:
        return np.empty(0)
    is_numeric = isinstance(mean, np.ndarray) and mean.dtype.kind in "iuf"
    if is_numeric and mean.shape[-1:] == (3,) and np.isfinite(mean).all():
        return mean.reshape(-1, 3).mean(axis=0, dtype=np.float64)
    complaints.append("averageImage is not an array of finite numbers [1, 1, 3] or [height, width, 3]")
    return np.empty(0)


def _layers(root):
    """{layer name: (kernel, bias)} of the layers named conv*, as float32 arrays."""
    found = {}
    try:
        layers = root["layers"]
        for layer in [layers] if isinstance(layers, dict) else layers:  # a single layer comes without a list
            if layer["name"].startswith("conv"):
                pair = layer["weights"] if "weights" in layer else (layer["filters"], layer["biases"])
                with np.errstate(over="ignore"):  # too large a number becomes infinite, and is refused as such
                    kernel, bias = (np.asarray(array).astype(np.float32, casting="same_kind") for array in pair)
                found[layer["name"]] = kernel, bias
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"is not laid out like vgg-face.mat ({type(error).__name__}: {short_message(error)})") from None
    return found


def _field(struct, *names):
    """The field at this path of nested MATLAB structs; None where there is none."""
    for name in names:
        struct = struct.get(name) if isinstance(struct, dict) else None
    return struct


if __name__ == "__main__":
    _main()
