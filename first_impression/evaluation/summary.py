"""Scores as text: the tables that evaluate.py prints of its report, the dict of docs/scores.md, and those of others."""

import math

from first_impression.common.errors import counted
from first_impression.evaluation.baselines import CONSTANT
from first_impression.evaluation.bootstrap import FEW_SOURCES
from first_impression.evaluation.comparison import ALL, UNSEEN
from first_impression.evaluation.groups import verdicts
from first_impression.evaluation.metrics import COLUMNS, with_mean

# What is printed of a group of people
PEOPLE = {
    "accuracy": ("accuracy", ""),
    "error": ("mean error", "+"),
    "label_gap": ("labels, less the others'", "+"),
    "answer_gap": ("answers, less the others'", "+"),
    "gap_difference": ("  less the same of labels", "+"),
    "amplification": ("amplification", ""),
}
SEED_SCORES = ("accuracy", "Pearson", "CCC")


def print_report(report):
    """Print every score of every model, then the models side by side."""
    for name, model in report["models"].items():
        print_model(name, model)
        _print_people(name, model["people"])
    _print_comparison(report)


def print_model(name, model):
    """Every score of a model with its interval, and how far it is above the baselines, group by group."""
    for group, scored in model["groups"].items():
        sources = counted(scored["sources"], "source")
        print(f"\n{name}, {group}: {counted(scored['clips'], 'clip')} of {sources}")
        rows = [row for score, columns in scored["scores"].items() for row in with_interval(score, columns)]
        if group == ALL and model["by_frame"]:
            rows.append(("accuracy by frame", [f"{value:.4f}" for value in model["by_frame"].values()]))
        for baseline, beside in scored["baselines"].items():
            rows.append(row_of(f"accuracy of the {baseline}", beside["scores"]["accuracy"]))
            rows += with_interval("  difference to it", beside["differences"]["accuracy"], sign="+")
        rows += _ceiling_rows(scored["ceiling"])
        for what, columns in scored["calibration"].items():
            rows += with_interval(f"calibration, {what}", columns)
        print(grid(rows))
        if scored["sources"] < FEW_SOURCES:
            print(f"{sources}: with fewer than {FEW_SOURCES}, these intervals mean little")


def _print_people(name, people):
    """Groups of people beside the others in their column, and whom the answers place elsewhere than the labels do."""
    for column, groups in people.items():
        for group, about in groups.items():
            sources = counted(about["sources"], "source")
            print(f"\n{name}, {column} {group}: {counted(about['clips'], 'clip')} of {sources}")
            rows = []
            for kind, (title, sign) in PEOPLE.items():
                columns = about[kind]
                if any(math.isfinite(column["low"]) for column in columns.values()):
                    rows += with_interval(title, columns, sign)
                elif any(math.isfinite(column["value"]) for column in columns.values()):
                    rows.append(row_of(title, columns, sign))
            print(grid(rows))
            if about["sources"] < FEW_SOURCES:
                print(f"{sources}: too few for intervals, which need {FEW_SOURCES}")
    if people:
        found = verdicts(people) or ["no group is placed elsewhere than by the labels, beyond chance"]
        print("", *(f"{name}: {text}" for text in found), sep="\n")


def _print_comparison(report):
    """The accuracy of all models, which of them beat the baselines, and how they differ."""
    for group in (ALL, UNSEEN):
        scored = {name: model["groups"][group] for name, model in report["models"].items() if group in model["groups"]}
        if not scored:
            continue
        print(f"\n{report['split']}, accuracy by clip, {group}")
        print(grid(_accuracies(scored)))
        for name, scores in scored.items():
            if scores["baselines"]:
                print(verdict(name, group, scores))
            if scores["ceiling"]:
                print(way(name, group, scores))
        rows = []
        for pair in report["pairs"]:
            if group in pair["groups"]:
                columns = pair["groups"][group]["differences"]["accuracy"]
                rows += with_interval(f"{pair['first']} - {pair['second']}", columns, sign="+")
        if rows:
            print(f"\n{report['split']}, differences in accuracy, {group}")
            print(grid(rows))
    for alike in report["seeds"]:
        _print_seeds(report["split"], alike)


def verdict(name, group, scored):
    """Whether a model beats both baselines on a group of clips, in words."""
    if scored["beats_baselines"]:
        return f"{name} beats both baselines on {group}"
    if scored["beats_baselines"] is None:
        return f"{name}: without intervals, it is not known whether it beats the baselines on {group}"
    parts = []
    for baseline, beside in scored["baselines"].items():
        mean = beside["differences"]["accuracy"]["mean"]
        if mean["high"] < 0:
            parts.append(f"it is below the {baseline}")
        elif mean["low"] <= 0:
            parts.append(f"the interval of its difference to the {baseline} holds 0")
    return f"{name} does not beat both baselines on {group}: {', and '.join(parts)}"


def way(name, group, scored):
    """How far a model is on the way from the constant guess to the ceiling, in words."""
    shares = {score: columns["mean"] for score, columns in scored["ceiling"]["share"].items()}
    parts = [
        f"{share['value']:.0%} in {score} ({share['low']:.0%} to {share['high']:.0%})"
        for score, share in shares.items()
        if score in ("accuracy", "R2")
    ]
    return f"{name} is on {group} this far from the {CONSTANT} to the ceiling: {', '.join(parts)}"


def _accuracies(scored):
    """A row per model and per baseline; with the number of clips where the models answer different ones."""
    counts = {scores["clips"] for scores in scored.values()}
    rows = []
    for name, scores in scored.items():
        title = f"{name} ({counted(scores['clips'], 'clip')})" if len(counts) > 1 else name
        rows.append(row_of(title, scores["scores"]["accuracy"]))
    most = max(scored.values(), key=lambda scores: scores["clips"])
    rows += [row_of(name, beside["scores"]["accuracy"]) for name, beside in most["baselines"].items()]
    return rows + ([row_of("ceiling", most["ceiling"]["scores"]["accuracy"])] if most["ceiling"] else [])


def _ceiling_rows(ceiling):
    rows = []
    for score in ("accuracy", "R2") if ceiling else ():
        rows += with_interval(f"{score} of the ceiling", ceiling["scores"][score])
        rows += with_interval("  share of the way to it", ceiling["share"][score])
    return rows


def _print_seeds(split, alike):
    runs = ", ".join(f"{name} ({seed})" for name, seed in alike["runs"].items())
    for group, scores in alike["groups"].items():
        print(f"\n{split}, {group}: {len(alike['runs'])} runs that differ in SEED only, {runs}")
        rows = []
        for score in SEED_SCORES:
            rows.append((f"{score}, mean", [f"{value:.4f}" for value in scores[score]["mean"].values()]))
            rows.append(("  standard deviation", [f"{value:.4f}" for value in scores[score]["stddev"].values()]))
        print(grid(rows))


def row_of(title, columns, sign=""):
    """A row of a table: the values of {column: {"value", ..}}."""
    return title, [f"{column['value']:{sign}.4f}" for column in columns.values()]


def with_interval(title, columns, sign="", indent=""):
    """Two rows of a table: the values of {column: {"value", "low", "high"}}, and the intervals, set in by `indent`."""
    intervals = [f"{column['low']:{sign}.4f}..{column['high']:{sign}.4f}" for column in columns.values()]
    return [row_of(title, columns, sign), (f"{indent}  95 %", intervals)]


def table(rows):
    """Scores as text: `rows` is {label: [5] values, in the order of TRAITS}; their mean comes first."""
    return grid([(label, [f"{value:.4f}" for value in with_mean(values)]) for label, values in rows.items()])


def grid(rows):
    """Text in the columns of `metrics.COLUMNS`. `rows` is a list of (label, six words)."""
    rows = [("", COLUMNS), *rows]
    margin = max(len(label) for label, _ in rows) + 2
    widths = [max(8, *map(len, column)) for column in zip(*(words for _, words in rows), strict=True)]
    return "\n".join(
        f"{label:<{margin}}" + "".join(f"  {word:>{width}}" for word, width in zip(words, widths, strict=True))
        for label, words in rows
    )
