"""The order, the words and the colours in which every table and picture shows targets.

Arrays and files keep the order of `Targets.names`; people read that of ChaLearn's CSV files and of the word "EACNO",
with what is not one of the five after them, in its own order.
"""

import itertools

import numpy as np

STABILITY = "emotional_stability"  # what ChaLearn's "neuroticism" is, of which a high value means emotionally stable
# Okabe and Ito's, which colour-blind people can tell apart; their yellow darkened for lines on white
COLOURS = {
    "extraversion": "#0072B2",
    "agreeableness": "#009E73",
    "conscientiousness": "#CC79A7",
    "neuroticism": "#D55E00",
    "openness": "#B8860B",
}
# For what is not one of the five, where these are shown too: the first, second and fourth of the scheme "muted" in Paul
# Tol's Colour Schemes (SRON/EPS/TN/09-002), the others Okabe and Ito's. Ten are about as many as anybody can tell
# apart; after them they repeat, so that names stand beside lines
MORE_COLOURS = ("#332288", "#882255", "#56B4E9", "#117733", "#E69F00")


def shown(names):
    """These names of targets in the order of display: a tuple."""
    return (*(name for name in COLOURS if name in names), *(name for name in names if name not in COLOURS))


def rows(names):
    """Where each of `shown` lies in an array whose order is that of `names`: a list."""
    return [names.index(name) for name in shown(names)]


def colours(names):
    """{name: colour as "#RRGGBB"} in the order of `shown`; the five have one of their own."""
    own = {name: COLOURS[name] for name in names if name in COLOURS}
    free = itertools.cycle(colour for colour in (*COLOURS.values(), *MORE_COLOURS) if colour not in own.values())
    return {name: own.get(name) or next(free) for name in shown(names)}


def in_words(name):
    """A target, or another column of a table, as people read it: "emotional stability", "honesty humility"."""
    return {"neuroticism": STABILITY}.get(name, name).replace("_", " ")


def names_in(found):
    """The names of the targets in what `by_target` gives, each once, in the order of `shown`."""
    return tuple(name for name in found if not (name == STABILITY and "neuroticism" in found))


def by_target(values, names):
    """Values [k, ...] in the order of `names` as {name: value}, in that of `shown`; numbers become Python's own.

    What ChaLearn calls neuroticism is there under the name of `STABILITY` as well, last.
    """
    found = {name: np.asarray(values[row]).tolist() for name, row in zip(shown(names), rows(names), strict=True)}
    return found | ({STABILITY: found["neuroticism"]} if "neuroticism" in found and STABILITY not in names else {})
