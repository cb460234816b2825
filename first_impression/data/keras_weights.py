"""VGG-16's convolutions in the HDF5 files of weights that Keras writes, whoever wrote them.

Two of these files are published, each with a name of its own for every convolution:

    block1_conv1 ..  ImageNet's, as Keras has them (keras/src/applications/vgg16.py)
    conv1_1 ..       VGG-Face, as keras-vggface has it (rcmalli/keras-vggface, keras_vggface/models.py)

Both were made from Caffe's, for pictures whose colours come in the order blue, green, red, less the mean colour: Keras'
preprocessing "caffe" (keras/src/applications/imagenet_utils.py), keras-vggface's version 1 (keras_vggface/utils.py).
Their first kernel is turned here, so that it takes red, green, blue.
"""

import h5py
import numpy as np

from first_impression.common.errors import name_some

SIGNATURE = b"\x89HDF\r\n\x1a\n"  # the first bytes of an HDF5 file
KERAS, KERAS_VGGFACE = "keras", "keras-vggface"  # the layouts
# RGB, 0..255, subtracted by each layout's preprocessing
MEAN_COLOURS = {KERAS: (123.68, 116.779, 103.939), KERAS_VGGFACE: (129.1863, 104.7624, 93.5940)}
DEEPEST = 3  # groups in one another between a layer's name and its arrays; Keras has up to 2


def read(file, shapes):
    """The convolutions in an open HDF5 file: ({name: (kernel, bias)}, complaints about it, its layout).

    `shapes` are the kernels', {name: (3, 3, in, out)} with the names conv1_1 .. The arrays are float32, the first
    kernel turned; one of another shape or of no numbers is not read, but complained about, as is one that lies in
    another file or is packed: a small file could fill the memory. Raises whatever h5py raises for a damaged file.
    """
    with h5py.File(file, "r") as content:
        layers = _members(content)
        if "model_weights" in layers:  # a whole model
            layers = _members(layers["model_weights"])
        layout = KERAS if any(name.startswith("block") for name in layers) else KERAS_VGGFACE
        names = {name if layout == KERAS_VGGFACE else _keras_name(name): name for name in shapes}
        others = [name for name in layers if "conv" in name and name not in names]
        complaints = [f"{name_some(others)} not among them"] if others else []
        found = {}
        for theirs, name in names.items():
            arrays = _arrays(layers.get(theirs))
            problem = _problem(arrays, shapes[name])
            if problem:
                complaints.append(f"{theirs} {problem}")
            else:
                found[name] = [np.asarray(arrays[axes][()], np.float32) for axes in (4, 1)]
    if "conv1_1" in found:
        found["conv1_1"][0] = found["conv1_1"][0][:, :, ::-1]
    return found, complaints, layout


def _keras_name(name):
    """Keras' name of the convolution that others call conv1_2: block1_conv2."""
    block, _, number = name.removeprefix("conv").partition("_")
    return f"block{block}_conv{number}"


def _members(group):
    """{name: group or dataset} of what lies in `group` itself: a link of another kind can lead into any file."""
    links = {name: group.get(name, getlink=True) for name in group}
    return {name: group[name] for name, link in links.items() if isinstance(link, h5py.HardLink)}


def _arrays(item, deepest=DEEPEST):
    """{number of axes: dataset} of the datasets below a layer's group; two of one number of axes count as none."""
    if isinstance(item, h5py.Dataset):
        return {len(item.shape or ()): item}
    found = {}
    for member in _members(item).values() if isinstance(item, h5py.Group) and deepest else ():
        for axes, array in _arrays(member, deepest - 1).items():
            found[axes] = None if axes in found else array
    return found


def _problem(arrays, shape):
    """Why kernel and bias among `arrays` cannot be read as those of a convolution of `shape`; "" where they can."""
    kernel, bias = arrays.get(4), arrays.get(1)
    if kernel is None or bias is None:
        return "is missing"
    if (kernel.shape, bias.shape) != (shape, shape[-1:]):
        return f"has {kernel.shape} and {bias.shape}, not {shape}"
    for array in (kernel, bias):
        if array.dtype.kind != "f":
            return "has values that are no numbers"
        if array.external or array.is_virtual:
            return "lies in another file"
        if array.id.get_create_plist().get_nfilters():
            return "is packed"
    return ""
