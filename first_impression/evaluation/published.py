"""The paper's published scores, and ours beside them."""

from first_impression.data.chalearn import ANNOTATION_MD5, TRAITS
from first_impression.evaluation import fusion
from first_impression.evaluation.comparison import ALL
from first_impression.evaluation.metrics import columns_of
from first_impression.evaluation.summary import grid, row_of, with_interval

COLUMNS = columns_of(TRAITS)
# Accuracies by clip, in the order of TRAITS
PAPER_FUSED = dict(zip(TRAITS, (0.9133, 0.9100, 0.9126, 0.9166, 0.9123), strict=True))
PAPER_AUDIO = dict(zip(TRAITS, (0.8878, 0.8876, 0.9022, 0.8785, 0.8939), strict=True))

# {(our run of the same model, or the fusion of all four; split): ({"mean" and each trait: accuracy}, its source)}
AUDIO_SOURCE = "computed from the authors' answers, audio/utils/y_test.csv of tzzcl/ChaLearn-APA-Code"
PUBLISHED = {
    ("paper_audio", "validation"): ({"mean": 0.8900, **PAPER_AUDIO}, AUDIO_SOURCE),
    (fusion.NAME, "test"): ({"mean": 0.9130, **PAPER_FUSED}, "the challenge's results, in the paper's table"),
}

CLIPS = 2000  # of ChaLearn's validation split and of its test split
ANNOTATIONS = dict(ANNOTATION_MD5)  # of the files that these were scored by


def table(split, report, models):
    """Our accuracies beside the published ones, the baselines' and the ceiling, as text.

    `report` is the dict of docs/scores.md for this split, `models` are the names of runs, scored or not.
    """
    rows, comparable = [], {name: model for name, model in report["models"].items() if answers_the_five(model)}
    for name in (*models, fusion.NAME):
        scored = comparable.get(name)
        known, _ = PUBLISHED.get((name, split), (None, ""))
        accuracy = scored and _of_five(scored["groups"][ALL]["scores"])
        rows.append(row_of(name, accuracy) if scored else (name, dict.fromkeys(COLUMNS, "-")))
        if known:
            rows.append(("  published", {column: f"{known[column]:.4f}" for column in COLUMNS}))
        if known and scored:
            rows += _difference("published", {column: _less(accuracy[column], known[column]) for column in COLUMNS})
        if scored:
            for baseline, against in scored["groups"][ALL]["baselines"].items():
                rows += _difference(f"the {baseline}", _of_five(against["differences"]))
    if comparable:
        widest = max(comparable.values(), key=lambda model: model["groups"][ALL]["clips"])
        for baseline, against in widest["groups"][ALL]["baselines"].items():
            rows.append(row_of(baseline, _of_five(against["scores"])))
        if ceiling := widest["groups"][ALL].get("ceiling"):
            rows.append(row_of("ceiling", _of_five(ceiling["scores"])))
    return grid(rows)


def answers_the_five(model):
    """Whether a model of a report, as docs/scores.md has it, was scored by all of the challenge's five traits."""
    return set(TRAITS) <= model["groups"][ALL]["scores"]["accuracy"].keys()


def _of_five(scores):
    """The accuracy of the five and their mean, without that of other targets."""
    return {column: scores["accuracy"][column] for column in COLUMNS}


def _less(estimate, number):
    """An estimate, {"value", "low", "high"}, less a number; what is None, for want of an interval, stays None."""
    return {key: None if value is None else value - number for key, value in estimate.items()}


def _difference(other, columns):
    title = f"  less {other}"
    if any(None in column.values() for column in columns.values()):  # one source alone has no interval
        return [row_of(title, columns, sign="+")]
    return with_interval(title, columns, sign="+", indent="  ")
