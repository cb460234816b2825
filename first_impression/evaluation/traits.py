"""The order and the colours in which every table and picture shows the five traits.

Arrays keep the order of `TRAITS`, the annotation's; `SHOWN` is that of ChaLearn's CSV files and of the word "EACNO".
"""

import numpy as np

from first_impression.data.chalearn import TRAITS
from first_impression.data.label_table import COLUMNS, columns

SHOWN = tuple(COLUMNS.values())
ROWS = tuple(TRAITS.index(trait) for trait in SHOWN)  # where each of them lies in an array
# Okabe and Ito's, which colour-blind people can tell apart; their yellow darkened for lines on white
COLOURS = dict(zip(SHOWN, ("#0072B2", "#009E73", "#CC79A7", "#D55E00", "#B8860B"), strict=True))


def shown(targets):
    """The names of `Targets` in the order in which tables and pictures show them: ChaLearn's five first."""
    return tuple(columns(targets))


def rows(targets):
    """Where each of the `shown` names lies in an array."""
    return tuple(map(targets.names.index, shown(targets)))


def by_trait(values):
    """Values [5, ...] in the order of TRAITS as {trait: value}, in the order of SHOWN; numbers become Python's own."""
    return {trait: np.asarray(values[row]).tolist() for trait, row in zip(SHOWN, ROWS, strict=True)}
