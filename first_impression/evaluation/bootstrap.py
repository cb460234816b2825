"""Intervals of scores and of their differences, by a bootstrap that draws sources.

Clips of one video are not independent, so whole sources are drawn, with replacement and as many as there are (Davison
and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8). A draw is how often each source is in it, and
a score of the draw follows from the sums of its terms: no clip is copied.
"""

import warnings

import numpy as np

PERCENTILES = (2.5, 97.5)  # the bounds of a 95 % interval
FEW_SOURCES = 30  # under so many clusters intervals are too narrow: Cameron, Gelbach and Miller 2008
DRAWS_AT_A_TIME = 2**22  # 32 MB of numbers


def resampled_means(terms, sources, resamples=1000, seed=0):
    """Means of `terms` [clips, ...] over each draw of sources: float64 [resamples, ...]; nan for one source alone.

    `sources` is the source of each clip. The draws follow from the seed and the number of sources, in alphabetical
    order: what is drawn once stays comparable with what is drawn again.
    """
    names, member = np.unique(sources, return_inverse=True)
    flat = np.column_stack([np.ones(len(terms)), np.reshape(terms, (len(terms), -1))])
    sums = np.zeros((len(names), flat.shape[1]))
    np.add.at(sums, member, flat)
    random, parts = np.random.default_rng(seed), []
    most = max(1, DRAWS_AT_A_TIME // len(names))
    for start in range(0, resamples, most):
        count = min(most, resamples - start)
        drawn = random.integers(0, len(names), (count, len(names))) + len(names) * np.arange(count)[:, None]
        times = np.bincount(drawn.ravel(), minlength=count * len(names)).reshape(count, len(names))
        totals = times @ sums
        parts.append(totals[:, 1:] / totals[:, :1])
    means = np.concatenate(parts).reshape(resamples, *np.shape(terms)[1:])
    return means if len(names) > 1 else np.full_like(means, np.nan)


def interval(values):
    """The bounds (low, high), each [...], of 95 % of `values` [resamples, ...], nan left out; nan where all are nan."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return tuple(np.nanpercentile(values, PERCENTILES, axis=0))
