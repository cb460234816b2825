"""VGG-Face: its convolutions, and the MatConvNet file that holds them.

SciPy reads that file. A damaged file can crash its reader, and a small one can make it fill the memory, so only the
published file is read in this process. Any other is read in a child process with limits, which runs this module:

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

BYTES, MD5 = 1_086_058_494, "3d6cd504bf9c98af4a561aad059565d1"  # of vgg-face.mat, as MatConvNet's pages have it
MEAN_COLOUR = (129.1863, 104.7624, 93.5940)  # RGB, 0..255, as vgg-face.mat has it

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


class Weights(NamedTuple):
    """What a MatConvNet file of VGG-16's convolutions holds."""

    convolutions: dict  # name -> [kernel float32 [3, 3, in, out], bias float32 [out]]
    mean_colour: list | None  # RGB, three floats, 0..255; None where the file has none
    published: bool  # whether the file is vgg-face.mat as published
    words: str  # whether it is, for a reader: "VGG-Face, as published"
    md5: str


def read(path):
    """Read the 13 convolutions and the mean colour from a MatConvNet file; returns `Weights`.

    Takes vgg-face.mat in its current layout (`layers` with `weights`, and `meta`), its older one (`filters` and
    `biases`, `normalization` beside them) and the Oxford release (all under `net`). Fully connected layers are ignored.
    A warning is printed for a file other than the published one, before it is parsed.
    Raises `UserError` for a missing or unreadable file, and for one whose convolutions are not VGG-16's, naming all
    the missing, misshapen and unknown ones.
    """
    path = Path(path)
    if not path.exists():
        source = f"www.vlfeat.org/matconvnet/models/vgg-face.mat ({BYTES:,} bytes, MD5 {MD5})"
        raise UserError(f"{path.absolute()} is missing: fetch it from {source}")
    checksum = md5(path)
    published = (path.stat().st_size, checksum) == (BYTES, MD5)
    if not published:
        print(f"{path}: NOT the published VGG-Face: its size or MD5 differs", flush=True)
    try:
        with open(path, "rb") as file:
            arrays = _parse(file) if published else _parse_in_child(file)
    except UserError as reason:
        raise UserError(f"{path} {reason}") from None
    convolutions = {name: [arrays[f"{name}_kernel"], arrays[f"{name}_bias"]] for name in CONVOLUTIONS}
    other = str(arrays["note"]) or "size or MD5 differ"
    words = "VGG-Face, as published" if published else f"NOT the published VGG-Face: {other}"
    return Weights(convolutions, arrays["mean_colour"].tolist() or None, published, words, checksum)


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
        raise UserError(f"crashes SciPy ({signal.strsignal(-child.returncode)}): {REMEDY}")
    raise UserError(child.stderr.strip().rpartition("\n")[2])


def _main():
    """The child: reads a MAT file from stdin, and writes its arrays to stdout or why it cannot to stderr."""
    with contextlib.suppress(ImportError):  # Windows has no such limits
        import resource

        for name, most in READER_LIMITS.items():
            limit = getattr(resource, name)
            with contextlib.suppress(ValueError):  # the limit is lower already
                resource.setrlimit(limit, (most, resource.getrlimit(limit)[1]))
    try:
        with damage_as_user_error("is not a readable MAT file", REMEDY):
            arrays = _parse(sys.stdin.buffer)
        np.savez(sys.stdout.buffer, **arrays)
    except UserError as reason:
        sys.exit(str(reason))
    except OSError as error:
        print(f"could not be read: {error}", file=sys.stderr, flush=True)
        os._exit(1)  # a normal exit would flush the rest of the buffer, and its error would be the last line


def _parse(file):
    """{name: array} of an open MAT file, as `_parse_in_child` hands them over.

    Those of a convolution are "<name>_kernel" and "<name>_bias"; "mean_colour" is empty where the file has none.
    Raises `UserError`, without the file's name, for other contents, and whatever SciPy raises for a damaged file.
    """
    root = loadmat(file, simplify_cells=True, variable_names=["layers", "meta", "normalization", "net"])
    root = root.get("net", root)
    found = _convolutions(root)
    complaints = [f"{name} is not one of them" for name in found if name not in CONVOLUTIONS]
    arrays = {}
    for name, shape in CONVOLUTIONS.items():
        if name not in found:
            complaints.append(f"{name} is missing")
            continue
        kernel, bias = found[name]
        # [height, width, in, out] is TensorFlow's order as well; SciPy makes columns and rows one-dimensional
        if (kernel.shape, bias.shape) != (shape, shape[-1:]):
            complaints.append(f"{name} has {kernel.shape} and {bias.shape}, not {shape}")
        elif not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            complaints.append(f"{name} has values that are not finite")
        arrays |= {f"{name}_kernel": kernel, f"{name}_bias": bias}
    mean = _field(root, "meta", "normalization", "averageImage")
    if mean is None:
        mean = _field(root, "normalization", "averageImage")
    is_numeric = isinstance(mean, np.ndarray) and mean.dtype.kind in "iuf"
    if mean is None:
        arrays["mean_colour"] = np.empty(0)
    elif is_numeric and mean.shape[-1:] == (3,) and np.isfinite(mean).all():
        arrays["mean_colour"] = mean.reshape(-1, 3).mean(axis=0, dtype=np.float64)
    else:
        complaints.append("averageImage is not an array of finite numbers [1, 1, 3] or [height, width, 3]")
    if complaints:
        raise UserError(f"does not hold VGG-16's convolutions: {'; '.join(complaints)}")
    note = _field(root, "meta", "note")
    note = short_message(note) if isinstance(note, str) and note else ""  # SciPy gives an empty text as an array
    return {**arrays, "note": np.array(note)}


def _convolutions(root):
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
