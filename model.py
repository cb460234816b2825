"""The four models of the paper, and the loader of the VGG-Face weights.

"Deep Bimodal Regression for Apparent Personality Analysis" (Zhang, Zhang, Wei, Wu; ECCV 2016 workshops): the
Descriptor Aggregation Networks DAN and DAN+, a ResNet, and a linear regressor on sound.
Built-in Keras layers only, so that `keras.models.load_model` opens a saved model without this file.
"""

import hashlib
from pathlib import Path

import keras
import numpy as np
from keras import layers

from first_impression import Problem, mat
from first_impression.files import damage, why

IMAGE_SIZE = 224  # pixels, of VGG-16
TRAITS = 5
SOUND_FEATURES = 79_534  # 3059 windows x 26 log filterbank energies

# VGG-16's convolutions: filters and number of layers of each block; 2 x 2 max pooling follows each block
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
CONVOLUTIONS = [f"conv{block}_{layer}" for block, (_, count) in enumerate(BLOCKS, 1) for layer in range(1, count + 1)]

VGG_FACE_BYTES, VGG_FACE_MD5 = 1_086_058_494, "3d6cd504bf9c98af4a561aad059565d1"
MEAN_COLOUR = (129.1863, 104.7624, 93.5940)  # RGB, 0..255, as vgg-face.mat has it

RESNET_MEAN_COLOUR = (123.68, 116.779, 103.939)  # RGB, 0..255: what keras.applications.resnet50 subtracts

# Which feature maps each network describes. The authors' x31 is pool5, their x28 relu5_2.
DESCRIBED = {"dan": ["pool5"], "dan_plus": ["pool5", "conv5_2"]}


def build_model(name, image_size=IMAGE_SIZE, head_deviation=0.1, head_bias=1.0, seed=None):
    """DAN ("dan", 14,719,813 parameters) or DAN+ ("dan_plus", 14,724,933), with random weights.

    From RGB images [batch, image_size, image_size, 3] with values 0..255 (float or uint8) to the five traits
    [batch, 5] in (0, 1). Each described feature map is averaged and maximised over its places to 512 values
    each, each L2-normalised; together they feed one dense layer. Its weights start from a truncated normal
    distribution of `head_deviation` (drawn with `seed`), its biases from `head_bias`: the original's values.
    Only the convolutions follow Keras's dtype policy, all else is float32.
    """
    images = keras.Input((image_size, image_size, 3), name="images")
    x = layers.Rescaling(1.0, offset=[-value for value in MEAN_COLOUR], name="minus_mean", dtype="float32")(images)
    maps = {}
    for block, (filters, count) in enumerate(BLOCKS, 1):
        for layer in range(1, count + 1):
            conv = f"conv{block}_{layer}"
            x = maps[conv] = layers.Conv2D(filters, 3, padding="same", activation="relu", name=conv)(x)
        x = maps[f"pool{block}"] = layers.MaxPooling2D(2, name=f"pool{block}")(x)  # pool5: [batch, 7, 7, 512]
    descriptors = [
        layers.UnitNormalization(name=f"{source}_{pooling}_l2", dtype="float32")(
            pool(name=f"{source}_{pooling}", dtype="float32")(maps[source])
        )
        for source in DESCRIBED[name]
        for pooling, pool in (("average", layers.GlobalAveragePooling2D), ("max", layers.GlobalMaxPooling2D))
    ]  # [batch, 512] each
    traits = _head(keras.initializers.TruncatedNormal(stddev=head_deviation, seed=seed), head_bias)
    return keras.Model(images, traits(layers.Concatenate(name="descriptors")(descriptors)), name=name)


def build_resnet(weights="", image_size=IMAGE_SIZE, head_deviation=0.1, head_bias=1.0, seed=None):
    """ResNet-50 and the same head on its pooled features: 23,597,957 parameters; images and traits as `build_model`.

    `weights` names Keras's file of ImageNet weights without the top ("notop"); "" starts from random ones.
    Raises `Problem` where the file is missing or is not that.
    """
    images = keras.Input((image_size, image_size, 3), name="images")
    centred = layers.Rescaling(
        1.0, offset=[-value for value in RESNET_MEAN_COLOUR], name="minus_mean", dtype="float32"
    )(images)
    body = keras.applications.ResNet50(include_top=False, weights=None, input_tensor=centred, pooling="avg")
    if weights:
        if not Path(weights).exists():
            raise Problem(
                f"{Path(weights).absolute()} is missing: name Keras's ResNet-50 file without the top (notop.h5)"
            )
        try:
            body.load_weights(weights)
        except (ValueError, KeyError, OSError) as error:
            if isinstance(error, OSError) and error.errno:  # the machine's fault
                raise
            reason = str(error).partition("\n")[0]
            raise Problem(f"{weights} does not hold ResNet-50's weights without the top: {reason}") from None
        # Keras made these weights for colours in the order blue, green, red: turn the kernel that sees them
        kernel, *bias = body.get_layer("conv1_conv").get_weights()
        body.get_layer("conv1_conv").set_weights([kernel[:, :, ::-1], *bias])
    traits = _head(keras.initializers.TruncatedNormal(stddev=head_deviation, seed=seed), head_bias)
    return keras.Model(images, traits(body.output), name="resnet")


def build_audio(mean, deviation, seed=None):
    """The linear regressor on sound: float32 [batch, 79534] log energies to traits [batch, 5]; 397,675 parameters.

    `mean` and `deviation` are those of all energies of the training set, two numbers. The first weights are uniform
    within 1 over the square root of the number of features, which leaves the sigmoid its slope.
    """
    energies = keras.Input((SOUND_FEATURES,), name="energies")
    standardised = layers.Rescaling(1 / deviation, offset=-mean / deviation, name="standardised", dtype="float32")(
        energies
    )
    reach = SOUND_FEATURES**-0.5
    traits = _head(keras.initializers.RandomUniform(-reach, reach, seed=seed), 0.0)
    return keras.Model(energies, traits(standardised), name="audio")


def _head(kernel_initializer, bias):
    return layers.Dense(
        TRAITS,
        activation="sigmoid",
        kernel_initializer=kernel_initializer,
        bias_initializer=keras.initializers.Constant(bias),
        dtype="float32",
        name="traits",
    )


def mean_colour(model):
    """The RGB colour (three floats, 0..255) that the model subtracts."""
    return [-value for value in model.get_layer("minus_mean").offset]


def load_vggface(model, path):
    """Fill the 13 convolutions of `model`, and the mean colour it subtracts, from a MatConvNet file.

    Takes vgg-face.mat in its current layout (`layers` with `weights`, and `meta`), its older one (`filters`
    and `biases`, `normalization` beside them) and the Oxford release (all under `net`). Layers are matched by
    name and shape; fully connected ones are ignored. Returns in words what the file is: VGG-Face or not.
    Raises `Problem` for a missing or unreadable file, and for one whose convolutions are not VGG-16's: all
    that are missing, misshapen or too many are named at once. The model is unchanged then.
    """
    path = Path(path)
    root = _read_mat(path)
    found = _convolutions(path, root)
    complaints = [f"{name} is too many" for name in found if name not in CONVOLUTIONS]
    arrays = {}
    for name in CONVOLUTIONS:
        if name not in found:
            complaints.append(f"{name} is missing")
            continue
        layer = model.get_layer(name)
        kernel, bias = found[name]
        # [height, width, in, out] is TensorFlow's order as well; biases come as columns or rows
        shapes = (kernel.shape, (bias.size,))
        if shapes != (tuple(layer.kernel.shape), tuple(layer.bias.shape)):
            complaints.append(f"{name} has {shapes[0]} and {shapes[1]}, not {tuple(layer.kernel.shape)}")
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
        raise Problem(f"{path} does not hold VGG-16's convolutions: {'; '.join(complaints)}")
    for name, values in arrays.items():
        model.get_layer(name).set_weights(values)
    if mean is not None:
        colour = np.mean(mean.reshape(-1, 3), axis=0, dtype=np.float64)
        model.get_layer("minus_mean").offset = (-colour).tolist()
    return _describe(path, _field(meta, "note"))


def _describe(path, note):
    with open(path, "rb") as file:
        official = (
            path.stat().st_size == VGG_FACE_BYTES and hashlib.file_digest(file, "md5").hexdigest() == VGG_FACE_MD5
        )
    if official:
        return "VGG-Face, as published"
    return f"NOT the published VGG-Face: {why(note) if note and isinstance(note, str) else 'size or MD5 differ'}"


def _read_mat(path):
    if not path.exists():
        raise Problem(
            f"{path.absolute()} is missing: it comes from www.vlfeat.org/matconvnet/models/vgg-face.mat "
            f"({VGG_FACE_BYTES:,} bytes, MD5 {VGG_FACE_MD5})"
        )
    with damage(f"{path} is no complete MAT file", "fetch it again and compare its size and MD5"):
        variables = mat.read(path, ["layers", "meta", "normalization", "net"])
    if "net" not in variables:
        return variables
    if not isinstance(variables["net"], dict):
        raise Problem(f"{path} is not laid out like vgg-face.mat: its `net` is no struct")
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
        raise Problem(f"{path} is not laid out like vgg-face.mat ({type(error).__name__}: {why(error)})") from None
    return found


def _field(struct, name):
    """A field of a MATLAB struct; None where there is no such field or struct."""
    return struct.get(name) if isinstance(struct, dict) else None
