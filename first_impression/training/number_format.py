"""The number format of the networks' convolutions: bfloat16 where the device multiplies it natively, else float32.

Descriptors, head, loss, weights and optimizer are float32 in either, and so is every saved model. What the choice means
for reproducing results stands in docs/reproducing.md.
"""

from pathlib import Path

from first_impression.common import rules

FLOAT32, BFLOAT16 = "float32", "mixed_bfloat16"  # as Keras calls them
RULE = rules.one_of("auto", "bfloat16", "float32")  # of the settings MIXED_PRECISION

CPU_INFO = Path("/proc/cpuinfo")
CPU_FLAGS = {"amx_bf16", "avx512_bf16"}  # Intel's since Sapphire Rapids, AMD's since Zen 4
GPU_CAPABILITY = (8, 0)  # compute capability: NVIDIA's since Ampere

# The layers of our networks that follow the format; see model.py
LAYERS = {"Conv2D", "MaxPooling2D", "BatchNormalization", "Activation", "Add", "ZeroPadding2D"}


def choose(setting):
    """The format for a script's MIXED_PRECISION: "auto", "bfloat16" or "float32"."""
    if setting == "auto":
        return BFLOAT16 if is_native() else FLOAT32
    return BFLOAT16 if setting == "bfloat16" else FLOAT32


def is_native():
    """Whether all devices multiply bfloat16 natively: every GPU, or the CPU where there is none."""
    import tensorflow as tf

    if gpus := tf.config.list_physical_devices("GPU"):
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        return min(detail.get("compute_capability") or (0, 0) for detail in details) >= GPU_CAPABILITY
    return bool(CPU_FLAGS & cpu_flags())


def cpu_flags():
    """The features of the CPU as Linux names them, a set; empty on other systems."""
    if not CPU_INFO.exists():
        return set()
    lines = CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    return {flag for line in lines if line.startswith("flags") for flag in line.partition(":")[2].split()}


def format_of(model):
    """The format of a model's convolutions."""
    formats = {layer.dtype_policy.name for layer in model.layers if type(layer).__name__ in LAYERS}
    return BFLOAT16 if BFLOAT16 in formats else FLOAT32


def describe(model):
    """The format of a model's convolutions in words."""
    return "convolutions in bfloat16" if format_of(model) == BFLOAT16 else "all in float32"


def in_format(model, number_format):
    """`model` itself where it calculates in this format already, else a copy with its weights that does."""
    import keras

    def converted(layer):
        dtype = number_format if type(layer).__name__ in LAYERS else FLOAT32
        return layer.from_config({**layer.get_config(), "dtype": dtype})

    formats = {layer.dtype_policy.name for layer in model.layers if type(layer).__name__ in LAYERS}
    if formats <= {number_format}:
        return model
    copy = keras.models.clone_model(model, clone_function=converted)
    copy.set_weights(model.get_weights())
    return copy
