"""Scores: how near predicted traits come to the labels."""

import numpy as np

from first_impression.chalearn import TRAITS


def accuracy(predicted, true):
    """The challenge's measure per trait: 1 minus the mean absolute error. Both [n, 5] in [0, 1]; returns [5]."""
    return 1 - np.abs(np.asarray(predicted, np.float64) - true).mean(axis=0)


def by_clip(clips, values):
    """Average the rows of `values` [n, k] that belong to one clip.

    Returns (the clip names in order of their first row, float64 [clips, k]).
    """
    names, first, member, counts = np.unique(clips, return_index=True, return_inverse=True, return_counts=True)
    sums = np.zeros((len(names), np.shape(values)[1]))
    np.add.at(sums, member, values)
    order = np.argsort(first)
    return names[order].tolist(), (sums / counts[:, None])[order]


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
