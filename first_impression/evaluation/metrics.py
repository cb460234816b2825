"""Scores: how close predicted targets are to the labels. docs/scores.md explains each of them.

Everywhere `predicted` and `true` are [clips or frames, k] in [0, 1], in the order of the names of k targets, and a
score is [k].
"""

import re

import numpy as np
import pandas as pd

from first_impression.data.targets import FIVE
from first_impression.evaluation.display import rows, shown

# Networks answer in float32, whose steps near 0.5 are 6e-8: a smaller spread than 1e-7 is rounding, and counts as none
LEAST_VARIANCE = 1e-14
MEAN = "mean"  # the first column of every table of scores
ERROR = "absolute error"  # the score that accuracy is 1 minus of, in the unit of the labels' own scale


def accuracy(predicted, true):
    """The challenge's measure: 1 minus the mean absolute error."""
    return 1 - np.abs(np.asarray(predicted, np.float64) - true).mean(axis=0)


def terms(predicted, true):
    """What all scores are made of, per clip: float64 [clips, 7, k], |p - t|, (p - t)^2, p, t, p^2, t^2 and pt.

    From the third on p and t are both less the mean of the labels: that changes no variance, and leaves more digits.
    """
    predicted, true = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    error, middle = predicted - true, true.mean(axis=0)
    p, t = predicted - middle, true - middle
    return np.stack([np.abs(error), error**2, p, t, p**2, t**2, p * t], axis=1)


def scores(means, targets=FIVE):
    """Every score, {name: [..., k]}, of the means of `terms` over clips [..., 7, k].

    Where the labels of the `targets` have a scale of their own, the last one is `ERROR`, in its unit. R2 is nan
    where all labels are equal, Pearson where either side is constant, the CCC where both are one constant.
    """
    absolute, squared, p, t, pp, tt, pt = np.moveaxis(means, -2, 0)
    variance, variance_true, covariance = _no_rounding(pp - p**2), _no_rounding(tt - t**2), pt - p * t
    found = {
        "accuracy": 1 - absolute,
        "R2": 1 - _ratio(squared, variance_true),
        "Pearson": _ratio(covariance, np.sqrt(variance * variance_true)),
        "CCC": _ratio(2 * covariance, _no_rounding(variance + variance_true + (p - t) ** 2)),
        "MSE": squared,
    }
    return found | ({ERROR: absolute * (targets.high - targets.low)} if targets.has_own_scale else {})


def all_scores(predicted, true):
    """Every score of these predictions, {name: [k]}."""
    return scores(terms(predicted, true).mean(axis=0))


def _no_rounding(variance):
    return np.where(variance > LEAST_VARIANCE, variance, 0)


def _ratio(above, below):
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)


def by_clip(clips, values):
    """(the clips in order of their first row, the mean of each one's rows of `values` [n, k]: float64 [clips, k])."""
    means = pd.DataFrame(np.asarray(values, np.float64)).groupby(np.asarray(clips), sort=False).mean()
    return means.index.tolist(), means.to_numpy()


def source(clip):
    """The video that a clip was cut from: its name before the last dot-number, the YouTube id; else its whole name."""
    return re.sub(r"\.[0-9]+$", "", clip) or clip


def sources_of(clips, sources=None):
    """The source of each of `clips`: the one that `sources`, {clip: source}, gives it, else the one in its name."""
    return [(sources or {}).get(clip, source(clip)) for clip in clips]


def columns_of(names):
    """The columns of every table of scores of targets of these names."""
    return (MEAN, *shown(names))


def averaged(names):
    """Those of these targets that the "mean" is of: the challenge's five where all of them are here, else all."""
    return FIVE.names if set(FIVE.names) <= set(names) else names


def with_mean(values, names):
    """Values [..., k] in the order of `names` as [..., k + 1] in that of `columns_of`."""
    values = np.asarray(values)
    of_mean = values[..., [names.index(name) for name in averaged(names)]]
    return np.concatenate([of_mean.mean(axis=-1, keepdims=True), values[..., rows(names)]], axis=-1)


def by_column(values, names):
    """Values [k] in the order of `names` as {"mean" and each target: number}, in that of `columns_of`."""
    return dict(zip(columns_of(names), with_mean(values, names).tolist(), strict=True))


def estimates(names, values, low, high):
    """{"mean" and each target: {"value", "low", "high"}} of [k + 1] each, in the order of `columns_of`."""
    bounds = zip(columns_of(names), np.transpose([values, low, high]).tolist(), strict=True)
    return {column: dict(zip(("value", "low", "high"), found, strict=True)) for column, found in bounds}


def picked(answers, names, wanted):
    """Answers or labels {clip: [k]} in the order of `names` as those of the `wanted` targets alone, in their order."""
    if names == wanted:
        return answers
    at = [names.index(name) for name in wanted]
    return {clip: np.asarray(values)[at] for clip, values in answers.items()}
