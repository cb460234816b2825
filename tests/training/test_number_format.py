"""The number format of convolutions: chosen by the device, and what follows from it for models, weights and answers."""

import keras
import numpy as np
import pytest

from first_impression.training import number_format
from first_impression.training.number_format import BFLOAT16, FLOAT32
from model import build_audio, build_model, build_resnet

INTEL = "processor\t: 0\nflags\t\t: fpu sse2 avx512f avx512_bf16 amx_bf16 amx_tile\n\nprocessor\t: 1\nflags\t\t: fpu\n"
OLD = "processor\t: 0\nflags\t\t: fpu sse2 avx2 avx512f\nbugs\t\t: amx_bf16\n"


@pytest.mark.parametrize(("info", "expected"), [(INTEL, BFLOAT16), (OLD, FLOAT32), ("", FLOAT32), (None, FLOAT32)])
def test_auto_is_bfloat16_where_the_cpu_multiplies_it(folder, monkeypatch, info, expected):
    path = folder / "cpuinfo"
    if info is not None:
        path.write_text(info)
    monkeypatch.setattr(number_format, "CPU_INFO", path)
    assert number_format.choose("auto") == expected
    assert number_format.choose("bfloat16") == BFLOAT16 and number_format.choose("float32") == FLOAT32


@pytest.mark.parametrize(
    ("capabilities", "expected"), [([(8, 0)], BFLOAT16), ([(9, 0), (7, 5)], FLOAT32), ([None], FLOAT32)]
)
def test_auto_is_bfloat16_where_all_gpus_multiply_it(monkeypatch, capabilities, expected):
    import tensorflow as tf

    details = [{"compute_capability": capability} if capability else {} for capability in capabilities]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: range(len(details)))
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details.__getitem__)
    assert number_format.choose("auto") == expected


@pytest.mark.parametrize(
    "build", [lambda: build_model("dan_plus", 32, seed=1), lambda: build_resnet(64, head_stddev=1e-3, seed=1)]
)
def test_only_convolutions_change_their_format_and_nothing_its_weights(build):
    keras.utils.set_random_seed(0)  # of ResNet's body, whose large activations the small head keeps from saturating
    model = build()
    copy = number_format.in_format(model, BFLOAT16)
    assert number_format.format_of(copy) == BFLOAT16 and number_format.format_of(model) == FLOAT32
    formats = {type(layer).__name__: layer.dtype_policy.name for layer in copy.layers}
    assert formats["Conv2D"] == formats["MaxPooling2D"] == BFLOAT16
    for name in ("InputLayer", "Rescaling", "GlobalAveragePooling2D", "Dense"):
        assert formats.get(name, FLOAT32) == FLOAT32
    for one, other in zip(model.weights, copy.weights, strict=True):
        assert one.path == other.path and other.dtype == "float32" and np.array_equal(one.numpy(), other.numpy())
    images = np.random.default_rng(0).integers(0, 256, (3, *model.input_shape[1:]), dtype=np.uint8)
    answers = np.asarray(model(images)), np.asarray(copy(images))
    assert answers[1].dtype == np.float32 and 0 < np.abs(answers[0] - answers[1]).max() < 0.02
    back = number_format.in_format(copy, FLOAT32)
    assert np.array_equal(np.asarray(back(images)), answers[0])
    assert np.array_equal(np.asarray(number_format.in_format(model, BFLOAT16)(images)), answers[1])  # the same bits


def test_a_model_in_its_format_is_not_copied():
    for model in (build_model("dan", 32), build_audio(0.0, 1.0)):
        assert number_format.in_format(model, FLOAT32) is model
    assert number_format.in_format(model, BFLOAT16) is model  # it has no convolutions


def test_other_words_for_the_precision_are_refused():
    assert number_format.RULE("float16") and not number_format.RULE("auto")
