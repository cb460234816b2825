"""Keras' HDF5 files of VGG-16's weights: both layouts, the order of colours, and files that mean harm."""

import itertools
from pathlib import Path

import h5py
import numpy as np
import pytest

from first_impression.common.errors import UserError
from first_impression.common.files import md5
from first_impression.data import keras_weights, vggface

NAMES = list(vggface.CONVOLUTIONS)
SMALL = {name: (3, 3, *pair) for name, pair in zip(NAMES, itertools.pairwise([3, *[4] * 13]), strict=True)}
# What the layers of each layout are called, and the arrays in them: as Keras 1 and Keras 2 write them
KERAS = ("block{}_conv{}", "{0}_W_1:0", "{0}_b_1:0")
KERAS_VGGFACE = ("conv{}_{}", "{0}/kernel:0", "{0}/bias:0")


def arrays_of(shapes=SMALL, seed=0):
    """{name: (kernel, bias)} as the project has them, red first."""
    random = np.random.default_rng(seed)
    return {name: (random.normal(size=shape), random.normal(size=shape[-1])) for name, shape in shapes.items()}


def write(path, arrays, layout, root=""):
    """A file of weights as Keras writes it: `arrays` with the first kernel's colours turned, blue first."""
    layer, *members = layout
    with h5py.File(path, "w") as file:
        top = file.require_group(root) if root else file
        for name, (kernel, bias) in arrays.items():
            theirs = layer.format(name[4], name[6:])
            group = top.create_group(theirs)
            kernel = kernel[:, :, ::-1] if name == "conv1_1" else kernel
            for member, array in zip(members, (kernel, bias), strict=True):
                group[member.format(theirs)] = np.float32(array)
        for number in range(1, 6):
            top.create_group(f"block{number}_pool" if layout is KERAS else f"pool{number}")
        top.create_group("fc6")["kernel:0"] = np.zeros((7, 7), np.float32)
    return path


def read(path, shapes=SMALL):
    with open(path, "rb") as file:
        return keras_weights.read(file, shapes)


@pytest.mark.parametrize("root", ["", "model_weights"])
@pytest.mark.parametrize("layout", [KERAS, KERAS_VGGFACE])
def test_both_layouts_give_the_convolutions_with_red_first(folder, layout, root):
    arrays = arrays_of()
    found, complaints, name = read(write("a.h5", arrays, layout, root))
    assert not complaints and name == {KERAS: "keras", KERAS_VGGFACE: "keras-vggface"}[layout]
    assert found.keys() == arrays.keys()
    for layer, (kernel, bias) in arrays.items():
        assert found[layer][0].dtype == np.float32
        np.testing.assert_array_equal(found[layer][0], np.float32(kernel))
        np.testing.assert_array_equal(found[layer][1], np.float32(bias))


@pytest.fixture
def small(monkeypatch):
    """`vggface.read` of the small network, in its child too."""
    code = f"from first_impression.data import vggface; vggface.CONVOLUTIONS = {SMALL}; vggface._main()"
    monkeypatch.setattr(vggface, "CONVOLUTIONS", SMALL)
    monkeypatch.setattr(vggface, "READER", (vggface.READER[0], "-c", code))


def test_a_file_is_named_for_what_it_is(folder, small, monkeypatch, capsys):
    weights = vggface.read(write("faces.h5", arrays_of(), KERAS_VGGFACE))
    assert (weights.pretrained, weights.published) == ("VGG-Face", None)
    assert "keras-vggface" in weights.words and "no checksum" in weights.words
    assert weights.mean_colour == [129.1863, 104.7624, 93.5940]  # keras_vggface/utils.py, version 1, turned
    weights = vggface.read(write("objects.h5", arrays_of(), KERAS))
    assert (weights.pretrained, weights.published) == ("", False) and "NOT the VGG-16" in weights.words
    assert weights.mean_colour == [123.68, 116.779, 103.939]  # keras/src/applications/imagenet_utils.py, turned
    assert "objects.h5: NOT a file that Keras publishes: its MD5 differs" in capsys.readouterr().out
    monkeypatch.setattr(vggface, "KERAS_MD5S", (md5("objects.h5"),))
    monkeypatch.setattr(vggface, "_parse_in_child", lambda file: pytest.fail("read in another process"))
    weights = vggface.read("objects.h5")
    assert (weights.pretrained, weights.published) == ("ImageNet", True)
    assert weights.words == "ImageNet's VGG-16, as Keras publishes it" and not capsys.readouterr().out


def test_a_damaged_file_is_a_line(folder, small):
    content = write("a.h5", arrays_of(), KERAS) and Path("a.h5").read_bytes()
    for cut in (8, 100, len(content) // 2):
        Path("a.h5").write_bytes(content[:cut])
        with pytest.raises(UserError, match="^a.h5 (is not a readable HDF5 file|does not hold VGG-16)") as refusal:
            vggface.read("a.h5")
        assert "\n" not in str(refusal.value)
    arrays = arrays_of()
    arrays["conv3_2"][1][2] = np.nan
    with pytest.raises(UserError, match="^a.h5 does not hold VGG-16's convolutions: conv3_2 has values that are not"):
        vggface.read(write("a.h5", arrays, KERAS))


def replaced(change):
    """The complaints about a file whose kernel of conv2_1 is made by `change(group, array)` in the place of its own."""
    arrays = arrays_of()
    with h5py.File(write("a.h5", arrays, KERAS_VGGFACE), "a") as file:
        del file["conv2_1/conv2_1/kernel:0"]
        change(file["conv2_1/conv2_1"], np.float32(arrays["conv2_1"][0]))
    found, complaints, _ = read("a.h5")
    assert len(complaints) == 1 and "conv2_1" not in found
    return complaints[0]


def test_nothing_outside_the_file_is_read(folder):
    shape = SMALL["conv2_1"]
    with h5py.File("secret.h5", "w") as file:
        file["a"] = np.ones(shape, np.float32)
    np.ones(shape, np.float32).tofile("secret.raw")

    def external_link(group, _):
        group["kernel:0"] = h5py.ExternalLink(str(folder / "secret.h5"), "a")

    def soft_link(group, _):
        group["kernel:0"] = h5py.SoftLink("/conv1_2/conv1_2/kernel:0")

    def external_data(group, _):
        group.create_dataset("kernel:0", shape, "f4", external=[(str(folder / "secret.raw"), 0, h5py.h5f.UNLIMITED)])

    def virtual(group, _):
        layout = h5py.VirtualLayout(shape, "f4")
        layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "a", shape)
        group.create_virtual_dataset("kernel:0", layout)

    assert replaced(external_link) == replaced(soft_link) == "conv2_1 is missing"
    assert replaced(external_data) == replaced(virtual) == "conv2_1 lies in another file"


def test_no_array_is_read_that_is_not_as_expected(folder, monkeypatch):
    monkeypatch.setattr(h5py.Dataset, "__array__", lambda *_, **__: pytest.fail("read"))

    def of(**options):
        return replaced(lambda group, array: group.create_dataset("kernel:0", **{"data": array, **options}))

    huge = {"data": None, "shape": (3, 3, 2**20, 2**20), "chunks": (3, 3, 64, 64), "dtype": "f4"}  # 38 TB, of nothing
    assert "has (3, 3, 1048576, 1048576)" in of(**huge)
    assert of(compression="gzip") == "conv2_1 is packed"
    assert of(dtype="i4") == "conv2_1 has values that are no numbers"
    assert of(data=np.full(SMALL["conv2_1"], "x", h5py.string_dtype())) == "conv2_1 has values that are no numbers"
    assert of(data=h5py.Empty("f4")) == "conv2_1 is missing"

    def two(group, array):
        group["a"] = group["b"] = array

    def in_circles(group, _):
        group["again"] = group

    assert replaced(two) == replaced(in_circles) == "conv2_1 is missing"


def test_another_network_is_named_in_a_line(folder):
    with h5py.File("a.h5", "w") as file:
        for number in range(50):
            file[f"conv{number}_block/kernel:0"] = np.zeros((1, 1, 2, 2), np.float32)
    _, complaints, _ = read("a.h5")
    assert complaints[0].endswith("and 45 more not among them") and "conv1_1 is missing" in complaints
