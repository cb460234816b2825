"""The four models of the paper, and the loaders of their first weights.

"Deep Bimodal Regression for Apparent Personality Analysis" (Zhang, Zhang, Wei, Wu; ECCV 2016 workshops): the
Descriptor Aggregation Networks DAN and DAN+, a ResNet, and a linear regressor on sound. The numbers of parameters are
those for its five traits.
They use built-in Keras layers only, so that `keras.models.load_model` opens a saved model without this file.
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers

from first_impression.common.errors import UserError, damage_as_user_error
from first_impression.common.files import md5
from first_impression.data import keras_weights, vggface
from first_impression.data.audio import FEATURES
from first_impression.data.chalearn import FRAME_SIZE
from first_impression.data.targets import FIVE

RESNET_MEAN_COLOUR = keras_weights.MEAN_COLOURS[keras_weights.KERAS]  # what keras.applications.resnet50 subtracts
RESNET_MD5 = "4d473c1dd8becc155b73f8504c6f6626"  # of Keras's file without the top, as keras.applications.resnet has it
MEAN_DECIMALS = 3  # of a mean image in a model's file; more would only make that larger

INITIALIZERS = {"truncated_normal": keras.initializers.TruncatedNormal, "normal": keras.initializers.RandomNormal}

# Which feature maps each network describes. The authors' x31 is pool5, their x28 relu5_2.
DESCRIBED = {"dan": ["pool5"], "dan_plus": ["pool5", "conv5_2"]}


def build_model(
    name,
    image_size=FRAME_SIZE,
    head_init="truncated_normal",
    head_stddev=0.1,
    head_bias=1.0,
    seed=None,
    targets=FIVE,
):
    """DAN ("dan", 14,719,813 parameters) or DAN+ ("dan_plus", 14,724,933), with random weights.

    From RGB images [batch, image_size, image_size, 3] with values 0..255 (float or uint8) to the `targets`
    [batch, targets] in (0, 1), whose names the model's name has. Each described map's mean and maximum over its places,
    512 values each, are L2-normalised and feed one dense layer. Its weights are drawn with `seed` from a normal
    distribution of `head_stddev`, or one cut at twice that; its biases start at `head_bias`. The convolutions follow
    Keras's dtype policy, all else is float32.
    """
    images = keras.Input((image_size, image_size, 3), name="images")
    x = _minus_mean(vggface.MEAN_COLOUR)(images)
    maps = {}
    for block, convolutions in enumerate(vggface.BLOCKS, 1):
        for conv in convolutions:
            filters = vggface.CONVOLUTIONS[conv][-1]
            x = maps[conv] = layers.Conv2D(filters, 3, padding="same", activation="relu", name=conv)(x)
        x = maps[f"pool{block}"] = layers.MaxPooling2D(2, name=f"pool{block}")(x)  # pool5: [batch, 7, 7, 512]
    descriptors = []  # [batch, 512] each
    for source in DESCRIBED[name]:
        for pooling, pool in (("average", layers.GlobalAveragePooling2D), ("max", layers.GlobalMaxPooling2D)):
            pooled = pool(name=f"{source}_{pooling}", dtype="float32")(maps[source])
            normalise = layers.UnitNormalization(name=f"{source}_{pooling}_l2", dtype="float32")
            descriptors.append(normalise(pooled))
    traits = _head(INITIALIZERS[head_init](stddev=head_stddev, seed=seed), head_bias, targets)
    answers = traits(layers.Concatenate(name="descriptors")(descriptors))
    return keras.Model(images, answers, name=targets.model_name(name))


def build_resnet(
    image_size=FRAME_SIZE, head_init="truncated_normal", head_stddev=0.1, head_bias=1.0, seed=None, targets=FIVE
):
    """ResNet-50 and the same head on its pooled features: 23,597,957 parameters; inputs, outputs as `build_model`."""
    images = keras.Input((image_size, image_size, 3), name="images")
    centred = _minus_mean(RESNET_MEAN_COLOUR)(images)
    body = keras.applications.ResNet50(include_top=False, weights=None, input_tensor=centred, pooling="avg")
    traits = _head(INITIALIZERS[head_init](stddev=head_stddev, seed=seed), head_bias, targets)
    return keras.Model(images, traits(body.output), name=targets.model_name("resnet"))


def build_audio(mean, stddev, seed=None, targets=FIVE):
    """The linear regressor on sound: float32 [batch, 79534] log energies to [batch, targets]; 397,675 parameters.

    `mean` and `stddev` are those of all energies of the training set, two numbers. The first weights are uniform
    within 1 over the square root of the number of features, small enough not to saturate the sigmoid.
    """
    energies = keras.Input((FEATURES,), name="energies")
    rescaling = layers.Rescaling(1 / stddev, offset=-mean / stddev, name="standardised", dtype="float32")
    reach = FEATURES**-0.5
    traits = _head(keras.initializers.RandomUniform(-reach, reach, seed=seed), 0.0, targets)
    return keras.Model(energies, traits(rescaling(energies)), name=targets.model_name("audio"))


def _minus_mean(colour):
    return layers.Rescaling(1.0, offset=[-value for value in colour], name="minus_mean", dtype="float32")


def subtract_image(model, mean):
    """Have an image model subtract the image `mean`, float [image_size, image_size, 3], 0..255, and no colour."""
    # An array, since Keras keeps track of every element of a list: a model would take seconds to open
    model.get_layer("minus_mean").offset = -np.asarray(mean, np.float64).round(MEAN_DECIMALS)


def _head(kernel_initializer, bias, targets):
    start = {"kernel_initializer": kernel_initializer, "bias_initializer": keras.initializers.Constant(bias)}
    return layers.Dense(len(targets.names), activation="sigmoid", **start, dtype="float32", name="traits")


def load_vggface(model, path):
    """Fill the 13 convolutions of `model`, and the mean colour it subtracts, from a file that `vggface.read` takes.

    Returns what the weights are: {"words": text, "file": path, "md5": text, "published": whether they are as published,
    None where that cannot be known, "pretrained": on what, "VGG-Face", "ImageNet" or ""}.
    Raises `UserError` as `vggface.read` does, and leaves the model unchanged then.
    """
    weights = vggface.read(path)
    for name, values in weights.convolutions.items():
        model.get_layer(name).set_weights(values)
    if weights.mean_colour is not None:
        model.get_layer("minus_mean").offset = [-value for value in weights.mean_colour]
    start = {"words": f"{path}, {weights.words}", "file": str(path), "md5": weights.md5}
    return start | {"published": weights.published, "pretrained": weights.pretrained}


def load_resnet(model, path):
    """Fill the body of a `build_resnet` model from Keras's file of ImageNet weights without the top ("notop").

    Returns what the weights are, as `load_vggface` does; a `path` of "" leaves the random ones.
    Raises `UserError` where the file is missing or is another one.
    """
    if not path:
        words = "RANDOM, not ImageNet's: name Keras's file in RESNET_WEIGHTS for those"
        return {"words": words, "file": "", "md5": "", "published": False, "pretrained": ""}
    if not Path(path).exists():
        raise UserError(f"{Path(path).absolute()} is missing: name Keras's ResNet-50 file without the top (notop.h5)")
    body = keras.Model(model.input, model.get_layer("avg_pool").output)
    with damage_as_user_error(f"{path} does not hold ResNet-50's weights without the top", "name Keras's notop.h5"):
        body.load_weights(path)
    # Keras made these weights for colours in the order blue, green, red: turn the kernel that sees them
    kernel, *bias = body.get_layer("conv1_conv").get_weights()
    body.get_layer("conv1_conv").set_weights([kernel[:, :, ::-1], *bias])
    checksum = md5(path)
    published = checksum == RESNET_MD5
    words = "ImageNet's, as Keras publishes them" if published else "NOT the file that Keras publishes: its MD5 differs"
    start = {"words": f"{path}, {words}", "file": path, "md5": checksum, "published": published}
    return start | {"pretrained": vggface.IMAGENET if published else ""}
