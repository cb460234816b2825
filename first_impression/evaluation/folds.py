"""Cross-validation by source: clips dealt to folds so that no source is in two of them."""

import re

import numpy as np

from first_impression.common.errors import UserError
from first_impression.evaluation.metrics import sources_of

ALL = "all"


def rule(value):
    """A rule for a FOLD: "" for none, "3/10" for the third of ten, "all/10" for each of ten in turn."""
    match = re.fullmatch(rf"([1-9][0-9]*|{ALL})/([1-9][0-9]{{0,3}})", value) if isinstance(value, str) else None
    fits = match and int(match[2]) > 1 and (match[1] == ALL or int(match[1]) <= int(match[2]))
    return None if value == "" or fits else 'must be "", a fold such as "3/10", the third of ten, or "all/10"'


def named(fold):
    """The single folds that `fold` names, a list: ["1/10", "2/10" ..] for "all/10", else [fold]."""
    number, _, count = fold.partition("/")
    return [f"{one}/{count}" for one in range(1, int(count) + 1)] if number == ALL else [fold]


def deal(clips, count, sources=None, seed=0):
    """The fold of each of `clips`, {clip: 0 .. count - 1}, with about equally many clips in each.

    `sources` is {clip: source} for clips whose names do not give it. Sources come in an order drawn with `seed`, the
    longest first, and each goes to the fold that is the shortest then. Raises `UserError` for fewer sources than folds.
    """
    clips = sorted(clips)
    of_clips = dict(zip(clips, sources_of(clips, sources), strict=True))
    names, lengths = np.unique(list(of_clips.values()), return_counts=True)
    if len(names) < count:
        raise UserError(f"{len(names)} sources cannot be dealt to {count} folds: take fewer folds, or give more clips")
    drawn = np.random.default_rng(seed).permutation(len(names))
    filled, fold_of = np.zeros(count, int), {}
    for source in drawn[np.argsort(-lengths[drawn], kind="stable")]:
        fold = fold_of[names[source]] = int(filled.argmin())
        filled[fold] += lengths[source]
    return {clip: fold_of[source] for clip, source in of_clips.items()}
