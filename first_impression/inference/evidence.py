"""Where in a picture DAN's answer comes from.

The head is linear in descriptors that are averages and maxima over the places of a feature map, each divided by
one number per picture. So a target's logit is exactly the bias plus a sum over places:

    average  a place's share is (weights . its features) / (places * norm of the averages)
    max      a channel's maximum, times its weight / norm of the maxima, goes to the place where it lies
"""

from dataclasses import dataclass

import numpy as np

from first_impression.data.targets import FIVE
from first_impression.evaluation.display import by_target
from first_impression.inference.faces import share_inside

SMALLEST = 1e-12  # Keras' UnitNormalization takes no squared norm below this


@dataclass
class Evidence:
    """How a model's answer to one picture comes about: bias + places = logit, and the score is its sigmoid."""

    time: float  # of the frame, seconds of the clip
    maps: np.ndarray  # each place's share of the logits, float64 [h, w, k]; its sum over the places: "places"
    bias: np.ndarray  # float64 [k]
    faces: np.ndarray | None = None  # boxes in the picture, float64 [n, 4]; None where they were not looked for
    names: tuple = FIVE.names  # of the k targets

    def as_json(self, with_maps):
        """The fields that docs/answers.md describes, as JSON holds them."""
        places = self.maps.sum(axis=(0, 1))
        logits = self.bias + places
        fields = {
            "time": self.time,
            "bias": by_target(self.bias, self.names),
            "places": by_target(places, self.names),
            "logit": by_target(logits, self.names),
            "score": by_target(1 / (1 + np.exp(-logits)), self.names),
            "face": self._in_faces(),
        }
        if with_maps:
            fields |= {"grid": list(self.maps.shape[:2]), "maps": by_target(np.moveaxis(self.maps, -1, 0), self.names)}
        return fields

    def _in_faces(self):
        """The share of the evidence inside the boxes of faces; None without any."""
        if self.faces is None or not len(self.faces):
            return None
        inside = share_inside(self.faces, *self.maps.shape[:2])[:, :, None]
        return {
            "boxes": self.faces.tolist(),
            "area": float(inside.mean()),
            "inside": by_target((self.maps * inside).sum(axis=(0, 1)), self.names),
            "outside": by_target((self.maps * (1 - inside)).sum(axis=(0, 1)), self.names),
        }


def explain(model, image, time, faces, names, columns):
    """The `Evidence` of the one picture in `image`, uint8 [1, size, size, 3], shown at `time` (seconds).

    It is of the targets of these `names`, which lie in these `columns` of the model's answers.
    """
    maps, bias = evidence_maps(model, image)
    # `take` keeps the order of the numbers in memory, and with it that in which they are added
    return Evidence(time, np.take(combined(maps)[0], columns, axis=-1), bias[columns], faces, names)


def described(model):
    """The descriptors in the order of the head's weights: a list of (feature map's name, "average" or "max").

    Empty for a model that is not a DAN and so has no evidence maps.
    """
    names = [layer.name for layer in model.layers]
    if "descriptors" not in names or "traits" not in names:
        return []
    sources = {id(layer.output): layer.name for layer in model.layers}
    parts = [sources[id(tensor)].removesuffix("_l2") for tensor in model.get_layer("descriptors").input]
    return [(name, pooling) for name, _, pooling in (part.rpartition("_") for part in parts)]


def evidence_maps(model, images):
    """Split each picture's logits into places: ({feature map's name: float64 [n, h, w, k]}, bias float64 [k]).

    `images` is what the model takes, [n, size, size, 3] with values 0..255. The maps summed over their places, all
    of them added, plus the bias are the logits. Where a channel has its maximum at several places, the first one
    (row by row) has it all.
    """
    import keras

    parts = described(model)
    names = list(dict.fromkeys(name for name, _ in parts))
    outputs = keras.Model(model.input, [model.get_layer(name).output for name in names])(images)
    outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
    features = {name: np.asarray(values, np.float64) for name, values in zip(names, outputs, strict=True)}
    kernel, bias = (np.asarray(values, np.float64) for values in model.get_layer("traits").get_weights())
    maps = {name: np.zeros((*x.shape[:3], len(bias))) for name, x in features.items()}
    first = 0
    for name, pooling in parts:
        x = features[name]
        weights = kernel[first : first + x.shape[-1]]  # [channels, k]
        first += len(weights)
        maps[name] += (_average_shares if pooling == "average" else _max_shares)(x, weights)
    return maps, bias


def combined(maps):
    """All maps on the finest one's grid: [n, h, w, k]. A coarse place's share is spread evenly, so sums stay."""
    finest = max(maps.values(), key=lambda values: values.shape[1])
    total = np.zeros_like(finest)
    for values in maps.values():
        times = finest.shape[1] // values.shape[1]
        total += values.repeat(times, axis=1).repeat(times, axis=2) / times**2
    return total


def _average_shares(x, weights):
    norm = _norm(x.mean(axis=(1, 2)))
    return x @ weights / (x.shape[1] * x.shape[2] * norm[:, None, None, None])


def _max_shares(x, weights):
    pictures, height, width, channels = x.shape
    flat = x.reshape(pictures, height * width, channels)
    where, most = flat.argmax(axis=1), flat.max(axis=1)  # [n, channels]
    shares = np.zeros((pictures, height * width, weights.shape[1]))
    parts = (most / _norm(most)[:, None])[:, :, None] * weights  # [n, channels, k]
    np.add.at(shares, (np.arange(pictures)[:, None], where), parts)
    return shares.reshape(pictures, height, width, -1)


def _norm(descriptors):
    return np.sqrt(np.maximum(np.square(descriptors).sum(axis=-1), SMALLEST))
