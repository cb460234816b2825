"""Scores: how near predicted traits come to the labels, and the floors that use no pixel.

Everywhere `predicted` and `true` are [clips or frames, 5] in [0, 1], in the order of TRAITS, and a score is [5].
"""

import numpy as np

from first_impression.data.chalearn import TRAITS


def accuracy(predicted, true):
    """The challenge's measure: 1 minus the mean absolute error."""
    return 1 - np.abs(np.asarray(predicted, np.float64) - true).mean(axis=0)


def mean_squared_error(predicted, true):
    return np.square(np.asarray(predicted, np.float64) - true).mean(axis=0)


def r_squared(predicted, true):
    """1 minus squared error over the labels' variance: 0 for answering their mean; nan where all labels are equal."""
    return 1 - _ratio(mean_squared_error(predicted, true), np.var(np.asarray(true, np.float64), axis=0))


def pearson(predicted, true):
    """Pearson's correlation; nan where either side is constant."""
    covariance, spread, spread_true = _moments(predicted, true)
    return _ratio(covariance, np.sqrt(spread * spread_true))


def concordance(predicted, true):
    """The concordance correlation coefficient (Lin 1989), variances over n; nan where both sides are one constant."""
    covariance, spread, spread_true = _moments(predicted, true)
    shift = np.mean(predicted, axis=0, dtype=np.float64) - np.mean(true, axis=0, dtype=np.float64)
    return _ratio(2 * covariance, spread + spread_true + shift**2)


def _moments(predicted, true):
    """Covariance and both variances per trait, over n."""
    predicted, true = (values - np.mean(values, axis=0) for values in (np.float64(predicted), np.float64(true)))
    return (predicted * true).mean(axis=0), np.square(predicted).mean(axis=0), np.square(true).mean(axis=0)


def _ratio(above, below):
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)


SCORES = {
    "accuracy": accuracy,
    "R2": r_squared,
    "Pearson": pearson,
    "CCC": concordance,
    "MSE": mean_squared_error,
}


def bootstrap_interval(predicted, true, resamples=1000, seed=0):
    """Bounds within which 95 % of `resamples` draws of the clips, with replacement, put the mean accuracy."""
    of_clip = 1 - np.abs(np.asarray(predicted, np.float64) - true).mean(axis=1)
    random = np.random.default_rng(seed)
    means = [of_clip[random.integers(0, len(of_clip), len(of_clip))].mean() for _ in range(resamples)]
    return tuple(np.percentile(means, [2.5, 97.5]).tolist())


def by_clip(clips, values):
    """Average the rows of `values` [n, k] that belong to one clip.

    Returns (the clip names in order of their first row, float64 [clips, k]).
    """
    names, first, member, counts = np.unique(clips, return_index=True, return_inverse=True, return_counts=True)
    sums = np.zeros((len(names), np.shape(values)[1]))
    np.add.at(sums, member, values)
    order = np.argsort(first)
    return names[order].tolist(), (sums / counts[:, None])[order]


def source(clip):
    """The video that a clip was cut from: its name before the last dot-number, the YouTube id."""
    return clip.rpartition(".")[0]


def constant_guess(clips, training_labels):
    """Answer the mean training label for each of `clips`: float64 [clips, 5]. `training_labels`: {clip: [5]}."""
    return np.tile(np.mean(list(training_labels.values()), axis=0, dtype=np.float64), (len(clips), 1))


def same_source_lookup(clips, training_labels):
    """Answer the mean label of the training clips from the same source video, else the constant guess: [clips, 5]."""
    names, means = by_clip([source(clip) for clip in training_labels], list(training_labels.values()))
    of_source = dict(zip(names, means, strict=True))
    guess = constant_guess(clips, training_labels)
    return np.array([of_source.get(source(clip), guess[row]) for row, clip in enumerate(clips)]).reshape(
        -1, len(TRAITS)
    )


def fuse(predictions, weights):
    """Late fusion: the weighted mean of several models' answers, for every clip that any of them knows.

    `predictions`: one {clip: [5]} per model, `weights`: one number each. A clip that a model does not know (one
    without sound, say) is the mean of the others.
    """
    known = {}
    for of_model, weight in zip(predictions, weights, strict=True):
        for clip, values in of_model.items():
            known.setdefault(clip, []).append((weight, values))
    fused = {}
    for clip, answers in known.items():
        parts, values = zip(*answers, strict=True)
        if sum(parts) > 0:
            fused[clip] = np.average(values, axis=0, weights=parts)
    return fused


def table(rows):
    """Scores as text: `rows` is {label: [5] values, in the order of TRAITS}; their mean comes first."""
    names = ("mean", *TRAITS)
    width = max(map(len, rows)) + 2
    lines = [" " * width + "".join(f"  {name:>8}" for name in names)]
    for label, values in rows.items():
        cells = (
            f"  {value:{max(8, len(name))}.4f}" for name, value in zip(names, (np.mean(values), *values), strict=True)
        )
        lines.append(f"{label:<{width}}" + "".join(cells))
    return "\n".join(lines)
