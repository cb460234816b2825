"""Calibration: how labels depend on answers. "What is the label of a clip that is answered 0.6?"

Answers are calibrated where clips answered x have labels of the mean x: labels regressed on answers have the slope 1
and the intercept 0 (Cox, Biometrika 45, 1958). A slope under 1 says that answers are too far from each other, over 1
too near. Answers less spread than the labels may be calibrated all the same: nobody can foresee the whole label.
"""

import numpy as np

from first_impression.evaluation import bootstrap
from first_impression.evaluation.metrics import LEAST_VARIANCE

BINS = 10  # of clips, by their answer, in the picture


def line(means, middle):
    """The regression of labels on answers, {"slope" and "intercept": [..., k]}; nan where all answers are equal.

    `means` [..., 7, k] are those of `metrics.terms`, `middle` [k] is the mean label that these have subtracted.
    """
    _, _, p, t, pp, _, pt = np.moveaxis(means, -2, 0)
    variance = pp - p**2
    slope = np.divide(pt - p * t, variance, out=np.full(np.shape(p), np.nan), where=variance > LEAST_VARIANCE)
    return {"slope": slope, "intercept": middle + t - slope * (middle + p)}


def bins(predicted, true, sources, resamples=1000, seed=0):
    """Clips in up to `BINS` bins of equal size by their answer to one trait: (answers, labels, low, high), each [bins].

    Mean answer, mean label, and the latter's interval over `sources`. `predicted` and `true` are [clips].
    """
    edges = np.quantile(predicted, np.linspace(0, 1, BINS + 1)[1:-1])
    number = np.unique(np.searchsorted(edges, predicted, side="right"), return_inverse=True)[1]
    member = np.eye(number.max() + 1)[number]  # [clips, bins]
    counts = member.sum(axis=0)
    terms = np.stack([member, member * true[:, None]], axis=1)
    resampled = bootstrap.resampled_means(terms, sources, resamples, seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = bootstrap.interval(resampled[:, 1] / resampled[:, 0])
    return predicted @ member / counts, true @ member / counts, low, high
