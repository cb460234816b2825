"""Where an answer lies among others: which share of them is lower, in whole per cent, and how sure that is.

The others stand for all clips like theirs, so a share of few is uncertain. Its interval is Wilson's (Journal of the
American Statistical Association 22, 1927), with the number of sources in the place of that of clips: clips of one
source resemble each other, and count as one here.
"""

from dataclasses import dataclass

import numpy as np

QUANTILES = 101  # 0 %, 1 % .. 100 %
NORMAL = 1.959964  # of the normal distribution 95 % lie within so many standard deviations


@dataclass(frozen=True)
class Ranking:
    """The values of many clips, to rank an answer among."""

    what: str  # these values in words: "the model's answers to 2,000 validation clips"
    clips: int
    sources: int  # of these clips
    quantiles: np.ndarray  # of the values, float64 [QUANTILES, k]

    def rank(self, answer):
        """The share of the values below an `answer` [k], {"percent", "low", "high"}: whole per cent, int [k].

        Rounded down; "low" and "high" bound its 95 % interval.
        """
        percent = self._below(np.asarray(answer))
        low, high = wilson(percent / 100, self.sources)
        return {"percent": percent, "low": np.floor(100 * low).astype(int), "high": np.ceil(100 * high).astype(int)}

    def histogram(self, bins):
        """The share of the values in each of so many parts of the scale from 0 to 1: per cent, int [bins, k]."""
        below = [self._below(edge) for edge in np.linspace(0, 1, bins + 1)[1:-1]]
        return np.diff(below, axis=0, prepend=0, append=100)

    def _below(self, value):
        return (self.quantiles[1:] < value).sum(axis=0)


def quantiles_of(values):
    """The quantiles of `values` [n, k] at 0 %, 1 % .. 100 %: float64 [QUANTILES, k], each one of the values.

    k % of the values, or more, are not above the k-th: so the number of quantiles below a value is its rank.
    """
    values = np.sort(np.asarray(values, np.float64), axis=0)
    percent = np.arange(QUANTILES)
    return values[np.maximum(-(-percent * len(values) // 100) - 1, 0)]


def wilson(share, count):
    """The bounds (low, high) of Wilson's 95 % interval of a `share` (0 to 1) of `count`."""
    share, spread = np.asarray(share), NORMAL**2 / count
    middle = share + spread / 2
    width = np.sqrt(spread * share * (1 - share) + spread**2 / 4)
    # an end that rounding has moved by 1e-17 would be rounded up to a whole per cent
    return tuple(np.clip(np.round((middle + sign * width) / (1 + spread), 12), 0, 1) for sign in (-1, 1))
