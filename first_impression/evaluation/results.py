"""What was found about models' answers, as one dict that JSON can hold: docs/scores.md says what is in it."""

import itertools
from dataclasses import dataclass, field

import numpy as np

from first_impression.evaluation import comparison, metrics


@dataclass
class Answered:
    """What a model, a CSV file or the fusion answers, and whence the answers come."""

    answers: dict  # {clip: [5]}
    made_from: dict  # {file: its MD5}
    model: str | None = None  # the run's MODEL
    settings: dict = field(default_factory=dict)  # the run's settings.json; empty for others
    by_frame: np.ndarray | None = None  # accuracy by frame [5], for models of images
    remarks: list = field(default_factory=list)  # what to bear in mind with the scores, in words


def collect(answered, reference):
    """The scores of all {name: `Answered`}, the differences of each two, and mean and spread over runs' seeds."""
    models = {
        name: {
            "model": each.model,
            "made_from": each.made_from,
            "remarks": each.remarks,
            "groups": comparison.score(each.answers, reference),
            "by_frame": None if each.by_frame is None else _columns(each.by_frame),
        }
        for name, each in answered.items()
    }
    pairs = [
        {
            "first": first,
            "second": second,
            "groups": comparison.compare(answered[first].answers, answered[second].answers, reference),
        }
        for first, second in itertools.combinations(answered, 2)
    ]
    seeds = [
        {"runs": runs, "groups": comparison.over_seeds([models[name]["groups"] for name in runs])}
        for runs in comparison.runs_by_seed({name: each.settings for name, each in answered.items()})
    ]
    return {"models": models, "pairs": pairs, "seeds": seeds}


def _columns(values):
    return dict(zip(metrics.COLUMNS, metrics.with_mean(values).tolist(), strict=True))


def without_nan(value):
    """`value` with None for every number that is not finite, since JSON has no word for it."""
    if isinstance(value, dict):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, list):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
