"""Made-up weights in place of VGG-Face: they detect colours and edges, and no faces."""

import numpy as np
import scipy.io

from first_impression.common import files
from first_impression.data import vggface

NOTE = "Made-up weights of First-Impression's sample data: colours and edges only. They are NOT VGG-Face."

# Scaling the kernels leaves the network's prediction as it was, since the descriptors are normalised, but makes each
# training step smaller in proportion: at 1, Adam would overwrite them in its first steps; from 15 on, float32 would
# overflow in the norm.
GAIN = 10.0

# The directions in RGB along which the first convolution separates colours, each with both signs: light, red against
# green, blue, green, red; and the thresholds, as distances from the mean colour on the scale of 0..255
COLOURS = ((1 / 3, 1 / 3, 1 / 3), (1.5, -1.5, 0), (-0.75, -0.75, 1.5), (-0.75, 1.5, -0.75), (1.5, -0.75, -0.75))
THRESHOLDS = (-40, -10, 10, 40, 70)
EDGES = (0, 45, 90, 135)  # degrees


def write(path):
    """Write VGG-16's 13 convolutions in the layout of vgg-face.mat, with a note that they are not VGG-Face."""
    layers = []
    for block, names in enumerate(vggface.BLOCKS, 1):
        for name in names:
            shape = vggface.CONVOLUTIONS[name]
            kernel, bias = _colours_and_edges(shape) if name == "conv1_1" else _identity(shape)
            weights = np.empty((1, 2), object)  # MATLAB's cell of two
            weights[0] = [np.float32(kernel * GAIN), np.float32(bias * GAIN)[:, None]]
            steps = {"pad": np.ones((1, 4)), "stride": np.ones((1, 2))}
            layers.append({"name": name, "type": "conv", "weights": weights, **steps})
            layers.append({"name": name.replace("conv", "relu"), "type": "relu"})
        steps = {"pool": [[2.0, 2.0]], "stride": [[2.0, 2.0]], "pad": np.zeros((1, 4))}
        layers.append({"name": f"pool{block}", "type": "pool", "method": "max", **steps})
    cell = np.empty((1, len(layers)), object)
    cell[0] = layers
    average = np.float32(vggface.MEAN_COLOUR).reshape(1, 1, 3)
    meta = {"normalization": {"averageImage": average}, "note": NOTE}
    with files.whole_file(path) as tmp, open(tmp, "wb") as target:  # a path would get ".mat" appended
        scipy.io.savemat(target, {"layers": cell, "meta": meta}, do_compression=True)


def _colours_and_edges(shape):
    """Kernel of this shape, and bias: 50 channels respond to a colour beyond a threshold, the last 4 to an edge.

    The 10 between them do not respond.
    """
    kernel, bias = np.zeros(shape), np.zeros(shape[-1])
    colours = ((sign, colour, threshold) for colour in COLOURS for sign in (1, -1) for threshold in THRESHOLDS)
    for channel, (sign, colour, threshold) in enumerate(colours):
        kernel[:, :, :, channel] = sign * np.array(colour) / 9
        bias[channel] = -threshold
    y, x = np.mgrid[-1:2, -1:2]
    for channel, angle in enumerate(np.deg2rad(EDGES), len(bias) - len(EDGES)):
        edge = np.cos(angle) * x + np.sin(angle) * y
        kernel[:, :, :, channel] = (edge / np.abs(edge).sum())[:, :, None]
    return kernel, bias


def _identity(shape):
    """Kernel of this shape, and bias: the input unchanged, repeated where there are more outputs than inputs."""
    *_, channels, filters = shape
    kernel = np.zeros(shape, np.float32)
    kernel[1, 1, np.arange(filters) % channels, np.arange(filters)] = 1
    return kernel, np.zeros(filters)
