"""The evidence maps: they add up to the answer, and lie where it comes from."""

import keras
import numpy as np
import pytest
from conftest import vgg_layers, write_mat
from stand_ins import tiny_dan

from first_impression.inference import evidence
from model import build_model, load_vggface


@pytest.mark.slow
@pytest.mark.parametrize("name, sizes", [("dan", {"pool5": 2}), ("dan_plus", {"pool5": 2, "conv5_2": 4})])
def test_evidence_sums_to_the_logits(folder, name, sizes):
    model = build_model(name, image_size=64, seed=3)
    load_vggface(model, write_mat(folder / "vgg.mat", vgg_layers(np.random.default_rng(1))))
    model.save("model.keras")
    model = keras.models.load_model("model.keras")  # as predict.py has it
    images = np.random.default_rng(2).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)
    images[2] = 0  # a black picture: many ties
    probabilities = np.asarray(model(images), np.float64)
    logits = np.log(probabilities / (1 - probabilities))
    maps, bias = evidence.evidence_maps(model, images)
    assert {key: values.shape for key, values in maps.items()} == {
        key: (3, size, size, 5) for key, size in sizes.items()
    }
    total = sum(values.sum(axis=(1, 2)) for values in maps.values()) + bias
    np.testing.assert_allclose(total, logits, atol=1e-4)
    together = evidence.combined(maps)
    assert together.shape == (3, max(sizes.values()), max(sizes.values()), 5)
    np.testing.assert_allclose(together.sum(axis=(1, 2)) + bias, logits, atol=1e-4)


def test_evidence_lies_where_it_comes_from():
    """One bright place: the max part lies there alone, the average part in proportion to the brightness."""
    model = tiny_dan()
    kernel = np.zeros((6, 5), np.float32)
    kernel[0, 0] = 1  # extraversion: the average of red
    kernel[3, 1] = 1  # neuroticism: the maximum of red
    model.get_layer("traits").set_weights([kernel, np.zeros(5, np.float32)])
    image = np.zeros((1, 224, 224, 3), np.float32)
    image[0, 64:96, 32:64, 0] = 200  # place (2, 1)
    image[0, 0:32, 192:224, 0] = 50  # place (0, 6)
    shares = evidence.evidence_maps(model, image)[0]["pool5"][0]
    wanted = np.zeros((7, 7))
    wanted[2, 1], wanted[0, 6] = 0.8, 0.2
    np.testing.assert_allclose(shares[:, :, 0], wanted, atol=1e-6)
    np.testing.assert_allclose(shares[:, :, 1], wanted == 0.8, atol=1e-6)
    assert not shares[:, :, 2:].any()
