"""The ceiling: what the best answers possible would score, since labels carry noise of their own.

A label is t + e: t is the true value, what very many judges would say of the clip, e the error of the few who did. The
reliability r = var t / var(t + e) (reliability.py) bounds every score of answers that know nothing of e.
"""

import json
from pathlib import Path

import numpy as np

from first_impression.common import files
from first_impression.common.errors import damage_as_user_error
from first_impression.evaluation.display import in_words
from first_impression.evaluation.metrics import estimates, with_mean

FILE = "label_ceiling.json"  # of label_ceiling.py, beside the annotation that it is about
# Reliability of ChaLearn's labels: (value, low, high), an interval over sources. Found by
#   python label_ceiling.py AMT_results/videopair_*.csv --LABELS <the three annotation files>
# from the 199,998 votes in the history of andrewcby/AutomaticPersonalityAnalysisBaseline (commit 788be6a, "Codalab
# competition/AMT_results") and the labels of all 10,000 clips.
CHALEARN = {
    "extraversion": (0.749, 0.731, 0.768),
    "neuroticism": (0.698, 0.677, 0.719),
    "agreeableness": (0.564, 0.537, 0.593),
    "conscientiousness": (0.762, 0.746, 0.777),
    "openness": (0.628, 0.605, 0.650),
    "interview": (0.737, 0.719, 0.757),
}
# MD5 of ChaLearn's annotation files of the training, validation and test clips
ANNOTATIONS = (
    "f980ecb11edf8cf492f55f12acc4307a",
    "9af44c3046278076d1df055e44f29934",
    "255866f2efd7e0675a7b806e87089398",
)
SCORES = ("accuracy", "R2", "Pearson", "CCC")  # that have a ceiling


def ceilings(reliability, spread=None):
    """The best scores possible, {score: value}, of labels of this reliability and standard deviation `spread`.

    R2        r: the error that is left is e, (1 - r) of the labels' variance
    Pearson   sqrt(r): the correlation of labels and true values (attenuation: Spearman, American Journal of
              Psychology 15, 1904)
    CCC       sqrt(r) too, which it reaches at answers spread as the labels are. The true values themselves score
              2 r / (1 + r), since they are less spread than the labels
    accuracy  1 - sqrt(2 / pi (1 - r)) spread: the mean absolute error of a normal e. That e is normal is assumed, as
              it nearly is with 40 votes a clip. None without a spread

    Arrays of one shape give arrays.
    """
    left = 1 - np.clip(reliability, 0, 1)
    accuracy = None if spread is None else 1 - np.sqrt(2 / np.pi * left) * spread
    return {"accuracy": accuracy, "R2": 1 - left, "Pearson": np.sqrt(1 - left), "CCC": np.sqrt(1 - left)}


def with_interval(reliability, spread=None):
    """The ceilings of a reliability (value, low, high): {score: {"value", "low", "high"}}; None for what has none."""
    return {
        score: None if values is None else dict(zip(("value", "low", "high"), values.tolist(), strict=True))
        for score, values in ceilings(np.array(reliability), spread).items()
    }


def reliabilities(annotation, names):
    """The reliability of the labels in the file `annotation`, {target: (value, low, high)}, of those that are known.

    It is read from label_ceiling.json beside the file, if there is one, or it is known, for ChaLearn's own files. Which
    of the targets of these `names` are missing in the former is printed. Raises `UserError` for a damaged one.
    """
    beside = Path(annotation).with_name(FILE)
    if not beside.exists():
        known = Path(annotation).exists() and files.md5(annotation) in ANNOTATIONS
        return CHALEARN if known else {}
    with damage_as_user_error(f"{beside} is damaged or not label_ceiling.py's", "run label_ceiling.py again"):
        found = json.loads(beside.read_text(encoding="utf-8"))
        found = {target: (about["reliability"], *about["interval"]) for target, about in found.items()}
        known = [name for name in names if name in found and found[name][0] is not None]  # null: of single ratings
        found = {name: tuple(map(float, found[name])) for name in known}
    if missing := ", ".join(in_words(name) for name in names if name not in found):
        print(f"{beside} does not have {missing}: scores come without the ceiling")
    return found


def beside_scores(reliability, labels, names, scores, differences):
    """The ceiling of a group of clips, and how far a model is on the way to it from the constant guess.

    `reliability` is {target: (value, low, high)}, `labels` are the group's [clips, k] of these `names`, `scores` those
    of the constant guess and `differences` those of the model less these, both as in docs/scores.md. Returns {"scores":
    SCORES, "share": SCORES}; the shares of what the constant guess has no score in are left out. The mean of several
    targets has the mean of their bounds for an interval, and a share has the widest that the bounds
    of the difference and of the ceiling allow: both are wider than they need be.
    """
    bounds = np.transpose([reliability[name] for name in names])  # [3, k]
    of_scores = ceilings(bounds, np.std(labels, axis=0))
    best = {score: estimates(names, *with_mean(values, names)) for score, values in of_scores.items()}
    share = {
        score: {column: _share(gained, best[score][column], of_guess[column]) for column, gained in columns.items()}
        for score, columns in differences.items()
        if score in SCORES and np.isfinite((of_guess := scores[score])["mean"]["value"])
    }
    return {"scores": best, "share": share}


def _share(gained, best, of_guess):
    """{"value", "low", "high"} of the part that `gained` is of the way to `best`; nan where there is no way to go."""
    way = {bound: value - of_guess["value"] for bound, value in best.items()}
    if not way["low"] > 0:
        return dict.fromkeys(("value", "low", "high"), float("nan"))
    low = min(gained["low"] / way["low"], gained["low"] / way["high"])
    high = max(gained["high"] / way["low"], gained["high"] / way["high"])
    return {"value": gained["value"] / way["value"], "low": low, "high": high}
