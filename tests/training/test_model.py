"""The networks against a forward pass in NumPy, and the loader against files of every layout and defect."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import BLOCKS, SPOILT, spoil_layers, vgg_layers, write_mat

from first_impression.common.errors import UserError
from first_impression.data import vggface
from first_impression.training.opening import check_architecture
from model import build_model, build_resnet, load_resnet, load_vggface, subtract_image

SIDE = 64  # pixels: a small picture for a slow forward pass; pool5 is 2 x 2


def mean_colour(model):
    """The RGB colour (three floats, 0..255) that the model subtracts."""
    return [-value for value in model.get_layer("minus_mean").offset]


def forward(images, layers, head, described, mean):
    """DAN in NumPy, float64: nothing of it is shared with model.py. `described`: names of the feature maps."""
    x, maps = images.astype(np.float64) - mean, {}
    for block, (_, count) in enumerate(BLOCKS, 1):
        for layer in range(1, count + 1):
            kernel, bias = layers[f"conv{block}_{layer}"]
            padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            patches = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))  # [b, h, w, in, 3, 3]
            x = np.einsum("bhwcij,ijco->bhwo", patches, kernel.astype(np.float64), optimize=True)
            x = np.maximum(x + bias.reshape(-1), 0)
            maps[f"relu{block}_{layer}"] = x
        b, h, w, c = x.shape
        x = maps[f"pool{block}"] = x.reshape(b, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))
    parts = []
    for name in described:
        for pooled in (maps[name].mean(axis=(1, 2)), maps[name].max(axis=(1, 2))):
            parts.append(pooled / np.sqrt((pooled**2).sum(axis=1, keepdims=True)))
    kernel, bias = head
    return 1 / (1 + np.exp(-(np.concatenate(parts, axis=1) @ kernel + bias)))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "described"), [("dan", ["pool5"]), ("dan_plus", ["pool5", "relu5_2"])])
def test_network_equals_an_independent_forward_pass(folder, name, described):
    random = np.random.default_rng(1)
    layers = vgg_layers(random)
    write_mat("vgg-face.mat", layers)
    model = build_model(name, image_size=SIDE, head_stddev=2.0, seed=3)
    load_vggface(model, "vgg-face.mat")
    images = random.integers(0, 256, (2, SIDE, SIDE, 3)).astype(np.uint8)
    head = model.get_layer("traits").get_weights()
    wanted = forward(images, layers, head, described, np.array([120.0, 110.0, 100.0]))
    assert np.abs(model(images).numpy() - wanted).max() < 1e-4
    assert wanted.std(axis=0).min() > 0 and wanted.std() > 0.05  # so that equality says something
    assert (model(images).numpy() == model(images.astype(np.float32)).numpy()).all()


@pytest.mark.parametrize(
    ("name", "parameters", "descriptor"), [("dan", 14_719_813, 1024), ("dan_plus", 14_724_933, 2048)]
)
def test_sizes_are_the_papers(name, parameters, descriptor):
    model = build_model(name)
    assert model.count_params() == parameters
    assert model.input_shape == (None, 224, 224, 3) and model.output_shape == (None, 5)
    assert model.get_layer("descriptors").output.shape == (None, descriptor)
    assert model.get_layer("pool5").output.shape == (None, 7, 7, 512)
    assert all(type(layer).__module__.startswith("keras.") for layer in model.layers)


def test_the_head_starts_as_in_the_tensorflow_1_code():
    kernel, bias = build_model("dan", seed=0).get_layer("traits").get_weights()
    assert (bias == 1).all() and abs(kernel.mean()) < 0.01
    assert np.abs(kernel).max() <= 0.2 and 0.08 < kernel.std() < 0.1  # truncated at two deviations
    again, _ = build_model("dan", seed=0).get_layer("traits").get_weights()
    assert (kernel == again).all()


@pytest.mark.slow
def test_a_saved_model_opens_without_this_project(folder):
    write_mat("vgg-face.mat", vgg_layers(np.random.default_rng(2)))
    model = build_model("dan", image_size=SIDE, seed=1)
    load_vggface(model, "vgg-face.mat")
    images = np.random.default_rng(3).integers(0, 256, (2, SIDE, SIDE, 3)).astype(np.uint8)
    model.save("saved.keras")
    np.savez("case.npz", images=images, traits=model(images))
    code = """import keras, numpy as np
case = np.load("case.npz")
assert (np.asarray(keras.models.load_model("saved.keras")(case["images"])) == case["traits"]).all()"""
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["current", "old", "oxford"])
def test_all_three_layouts_fill_the_same_network(folder, layout):
    layers = vgg_layers(np.random.default_rng(4))
    write_mat("weights.mat", layers, layout)
    model = build_model("dan", image_size=SIDE)
    start = load_vggface(model, "weights.mat")
    assert start["published"] is False and "NOT the published VGG-Face" in start["words"]
    assert mean_colour(model) == [120.0, 110.0, 100.0]
    for name, (kernel, bias) in layers.items():
        found_kernel, found_bias = model.get_layer(name).get_weights()
        assert (found_kernel == kernel).all() and (found_bias == bias.reshape(-1)).all()


@pytest.mark.slow
def test_a_mean_per_pixel_is_averaged_and_none_leaves_vgg_faces(folder):
    layers = vgg_layers(np.random.default_rng(4))
    mean = np.random.default_rng(0).uniform(90, 130, (224, 224, 3)).astype(np.float32)
    from scipy.io import loadmat, savemat

    write_mat("a.mat", layers)
    content = {name: value for name, value in loadmat("a.mat").items() if not name.startswith("__")}
    savemat("b.mat", {**content, "meta": {"normalization": {"averageImage": mean}}})
    model = build_model("dan", image_size=SIDE)
    load_vggface(model, "b.mat")
    assert np.allclose(mean_colour(model), mean.mean(axis=(0, 1)), atol=1e-3)
    savemat("c.mat", {"layers": content["layers"]})
    model = build_model("dan", image_size=SIDE)
    load_vggface(model, "c.mat")
    assert np.allclose(mean_colour(model), [129.1863, 104.7624, 93.5940])


@pytest.mark.slow
def test_all_wrong_layers_are_listed_together_and_nothing_is_loaded(folder):
    write_mat("vgg-face.mat", vgg_layers(np.random.default_rng(5), spoil_layers))
    model = build_model("dan", image_size=SIDE, seed=0)
    before = [weights.copy() for weights in model.get_weights()]
    with pytest.raises(UserError) as refusal:
        load_vggface(model, "vgg-face.mat")
    text = str(refusal.value)
    assert text.startswith("vgg-face.mat does not hold VGG-16's convolutions: ")
    assert all(complaint in text for complaint in SPOILT)
    assert "conv1_2" not in text
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("mean", [np.zeros((0, 0)), np.ones((2, 2)), np.array(["grey"]), np.full((1, 1, 3), np.nan)])
def test_a_senseless_mean_colour_is_refused_and_nothing_is_loaded(folder, mean):
    from scipy.io import loadmat, savemat

    write_mat("a.mat", vgg_layers(np.random.default_rng(4)))
    savemat("b.mat", {"layers": loadmat("a.mat")["layers"], "meta": {"normalization": {"averageImage": mean}}})
    model = build_model("dan", image_size=SIDE, seed=0)
    before = [weights.copy() for weights in model.get_weights()]
    with pytest.raises(UserError, match="b.mat .*averageImage"):
        load_vggface(model, "b.mat")
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.slow
def test_unusable_files_are_refused_by_name(folder):
    model = build_model("dan", image_size=SIDE)
    with pytest.raises(UserError, match=r"vgg-face.mat is missing: .*1,086,058,494 bytes, MD5 3d6cd504bf9c98af"):
        load_vggface(model, "vgg-face.mat")
    (folder / "vgg-face.mat").write_bytes(b"no MAT file " * 1000)
    with pytest.raises(UserError, match="vgg-face.mat is not a readable MAT file"):
        load_vggface(model, "vgg-face.mat")
    (folder / "vgg-face.mat").write_bytes(b"")
    with pytest.raises(UserError, match="vgg-face.mat is not a readable MAT file"):
        load_vggface(model, "vgg-face.mat")
    write_mat("vgg-face.mat", vgg_layers(np.random.default_rng(6)))
    content = (folder / "vgg-face.mat").read_bytes()
    (folder / "vgg-face.mat").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="vgg-face.mat is not a readable MAT file"):
        load_vggface(model, "vgg-face.mat")
    from scipy.io import savemat

    savemat("other.mat", {"x": np.arange(3)})
    with pytest.raises(UserError, match="other.mat is not laid out like vgg-face.mat"):
        load_vggface(model, "other.mat")


KERAS_VGG, VGG_FACE = ("block1_conv1", "block1_conv1_W_1:0"), ("conv1_1", "conv1_1/kernel:0")


@pytest.mark.parametrize(("layer", "member", "mean"), [(*KERAS_VGG, None), (*VGG_FACE, [93.5940, 104.7624, 129.1863])])
def test_colours_come_to_keras_files_of_weights_as_their_own_preprocessing_has_them(folder, layer, member, mean):
    """The first convolution as Keras calculates it of its preprocessing, and of keras-vggface's version 1: blue first,
    less the `mean`."""
    import h5py

    random = np.random.default_rng(0)
    first = random.normal(size=(3, 3, 3, 64)).astype(np.float32)
    with h5py.File("weights.h5", "w") as file:
        for name, shape in vggface.CONVOLUTIONS.items():
            theirs = name if mean else f"block{name[4]}_conv{name[6]}"
            kernel = first if theirs == layer else np.zeros(shape, np.float32)
            file[f"{theirs}/{member.replace(layer, theirs)}"] = kernel
            file[f"{theirs}/{theirs}_b"] = np.zeros(shape[-1], np.float32)
    ours = build_model("dan", image_size=SIDE)
    load_vggface(ours, "weights.h5")
    images = random.integers(0, 256, (2, SIDE, SIDE, 3)).astype(np.float32)
    blue_first = images[..., ::-1] - mean if mean else keras.applications.vgg16.preprocess_input(images.copy())
    wanted = np.maximum(keras.ops.conv(blue_first.astype(np.float32), first, padding="same"), 0)
    found = keras.Model(ours.input, ours.get_layer("conv1_1").output)(images).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5 * wanted.max())
    assert not np.allclose(found[..., ::-1], wanted, atol=0.01 * wanted.max())


def test_a_mean_image_is_subtracted_and_survives_saving(folder):
    random = np.random.default_rng(0)
    mean, images = random.uniform(0, 255, (SIDE, SIDE, 3)), random.integers(0, 256, (2, SIDE, SIDE, 3)).astype(np.uint8)
    for model in (build_model("dan", image_size=SIDE, seed=1), build_resnet(image_size=SIDE, seed=1)):
        subtract_image(model, mean)
        model.save("saved.keras")
        check_architecture(json.loads(model.to_json()))
        opened = keras.models.load_model("saved.keras")
        centred = keras.Model(opened.input, opened.get_layer("minus_mean").output)(images).numpy()
        np.testing.assert_allclose(centred, images - mean, atol=0.001)
        np.testing.assert_array_equal(opened(images), model(images))


@pytest.mark.slow
def test_resnet_takes_colours_as_keras_own_does(folder):
    """Keras's file without the top, in its format, gives the features that Keras's network gives on its own input."""
    import h5py
    from keras.applications import resnet50
    from keras.src.legacy.saving import legacy_h5_format

    theirs = resnet50.ResNet50(include_top=False, weights=None, pooling="avg")
    with h5py.File("notop.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, theirs)
    ours = build_resnet(image_size=SIDE)
    start = load_resnet(ours, "notop.h5")
    assert start["published"] is False and "NOT the file that Keras publishes" in start["words"]
    images = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3)).astype(np.float32)
    features = keras.Model(ours.input, ours.layers[-2].output)
    wanted = theirs(resnet50.preprocess_input(images.copy())).numpy()
    assert np.allclose(features(images).numpy(), wanted, atol=1e-4 * np.abs(wanted).max())
    turned = theirs(resnet50.preprocess_input(images[..., ::-1].copy())).numpy()
    assert not np.allclose(turned, wanted, atol=1e-2 * np.abs(wanted).max())  # so the order of colours matters
    ours.save("resnet.keras")
    assert keras.models.load_model("resnet.keras").count_params() == 23_597_957
