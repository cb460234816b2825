"""Scores as text: the tables that evaluate.py prints of its report, the dict of docs/scores.md, and those of others."""

import math
import textwrap

from first_impression.common.errors import counted
from first_impression.common.words import span
from first_impression.data.targets import FIVE
from first_impression.evaluation.baselines import CONSTANT
from first_impression.evaluation.bootstrap import FEW_SOURCES
from first_impression.evaluation.comparison import ALL, UNSEEN
from first_impression.evaluation.display import in_words
from first_impression.evaluation.groups import verdicts
from first_impression.evaluation.metrics import MEAN, by_column

# What is printed of a group of people
PEOPLE = {
    "accuracy": ("accuracy", ""),
    "error": ("mean error", "+"),
    "label_gap": ("labels, less the others'", "+"),
    "answer_gap": ("answers, less the others'", "+"),
    "gap_difference": ("  less the same of labels", "+"),
    "amplification": ("amplification", ""),
}
LINE = 120  # characters, the longest line of a table
LONGEST_NAME = 17  # characters of a column's name in one line, those of conscientiousness
LEAST_MARGIN = 24  # characters, for the labels of rows
SEED_SCORES = ("accuracy", "Pearson", "CCC")


def print_report(report):
    """Print every score of every model, then the models side by side."""
    low, high = report["scale"]
    if (low, high) != (0, 1):
        unit = "absolute errors are in this unit, all else is from 0 to 1"
        print(f"\nLabels were given from {span(low, high)}: {unit}")
    if any(_has_more_than_five(model) for model in report["models"].values()):
        print('\n"mean" is that of the five traits, the challenge\'s measure, without the other targets')
    for name, model in report["models"].items():
        print_model(name, model)
        _print_people(name, model["people"])
    _print_comparison(report)


def print_model(name, model):
    """Every score of a model with its interval, and how far it is above the baselines, group by group."""
    for group, scored in _different_groups(model).items():
        sources = counted(scored["sources"], "source")
        unseen = ", all unseen in training" if group == ALL and _is_all_unseen(model) else ""
        print()
        _print_text(f"{name}, {group}: {counted(scored['clips'], 'clip')} of {sources}{unseen}")
        rows = [row for score, columns in scored["scores"].items() for row in with_interval(score, columns)]
        if group == ALL and model["by_frame"]:
            rows.append(("accuracy by frame", _rounded(model["by_frame"])))
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
            print()
            _print_text(f"{name}, {column} {group}: {counted(about['clips'], 'clip')} of {sources}")
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
        print()
        for text in found:
            _print_text(f"{name}: {text}")


def _different_groups(model):
    """The groups of a model's scores, without the clips of unseen sources where those are all of its clips."""
    return {group: scored for group, scored in model["groups"].items() if group == ALL or not _is_all_unseen(model)}


def _has_more_than_five(model):
    columns = model["groups"][ALL]["scores"]["accuracy"].keys()
    return set(FIVE.names) < columns - {MEAN}


def _is_all_unseen(model):
    unseen = model["groups"].get(UNSEEN)
    return bool(unseen) and unseen["clips"] == model["groups"][ALL]["clips"]


def _print_comparison(report):
    """The accuracy of all models, which of them beat the baselines, and how they differ, on the clips all answer."""
    models, split = report["models"] if report["common"] is None else report["common"], report["split"]
    if not models:
        _print_text("no clip is answered by all of them: there is no table of their scores side by side")
    for group in (ALL, UNSEEN):
        scored = {name: model["groups"][group] for name, model in models.items() if group in _different_groups(model)}
        if not scored:
            continue
        clips = counted(next(iter(scored.values()))["clips"], "clip")
        which = f"the {clips} that all of them answer" if report["common"] else clips
        print(f"\n{split}, accuracy by clip, {group}: {which}")
        print(grid(_accuracies(scored)))
        for name, scores in scored.items():
            if scores["baselines"]:
                _print_text(verdict(name, group, scores))
            if words := scores["ceiling"] and way(name, group, scores):
                _print_text(words)
        rows = []
        for pair in report["pairs"]:
            if group in pair["groups"]:
                found = pair["groups"][group]
                of_clips = f" ({counted(found['clips'], 'clip')})" if report["common"] else ""
                title = f"{pair['first']} - {pair['second']}{of_clips}"
                rows += with_interval(title, found["differences"]["accuracy"], sign="+")
        if rows:
            print(f"\n{split}, differences in accuracy, {group}")
            print(grid(rows))
    for alike in report["seeds"]:
        _print_seeds(split, alike)


def _print_text(text):
    print(textwrap.fill(text, LINE, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))


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
    """How far a model is on the way from the constant guess to the ceiling, in words; "" where there is no way."""
    shares = {score: columns["mean"] for score, columns in scored["ceiling"]["share"].items()}
    parts = []
    for score, share in shares.items():
        if score in ("accuracy", "R2") and math.isfinite(share["value"]):
            interval = f" ({share['low']:.0%} to {share['high']:.0%})" if math.isfinite(share["low"]) else ""
            parts.append(f"{share['value']:.0%} in {score}{interval}")
    return f"{name} is on {group} this far from the {CONSTANT} to the ceiling: {', '.join(parts)}" if parts else ""


def _accuracies(scored):
    """A row per model, which all answer the same clips, and per baseline."""
    rows = [row_of(name, scores["scores"]["accuracy"]) for name, scores in scored.items()]
    first = next(iter(scored.values()))
    rows += [row_of(name, beside["scores"]["accuracy"]) for name, beside in first["baselines"].items()]
    return rows + ([row_of("ceiling", first["ceiling"]["scores"]["accuracy"])] if first["ceiling"] else [])


def _ceiling_rows(ceiling):
    rows = []
    for score in ("accuracy", "R2") if ceiling else ():
        rows += with_interval(f"{score} of the ceiling", ceiling["scores"][score])
        if score in ceiling["share"]:  # where labels are all alike, R2 has none
            rows += with_interval("  share of the way to it", ceiling["share"][score])
    return rows


def _print_seeds(split, alike):
    runs = ", ".join(f"{name} ({seed})" for name, seed in alike["runs"].items())
    for group, scores in alike["groups"].items():
        print(f"\n{split}, {group}: {len(alike['runs'])} runs that differ in SEED only, {runs}")
        rows = []
        for score in SEED_SCORES:
            rows.append((f"{score}, mean", _rounded(scores[score]["mean"])))
            rows.append(("  standard deviation", _rounded(scores[score]["stddev"])))
        print(grid(rows))


def row_of(title, columns, sign=""):
    """A row of a table: the values of {column: {"value", ..}}."""
    return title, _rounded({name: column["value"] for name, column in columns.items()}, sign)


def with_interval(title, columns, sign="", indent=""):
    """Three rows of a table: the values of {column: {"value", "low", "high"}}, and the bounds, set in by `indent`."""
    bounds = [_rounded({name: column[end] for name, column in columns.items()}, sign) for end in ("low", "high")]
    return [row_of(title, columns, sign), (f"{indent}  95 %, from", bounds[0]), (f"{indent}        to", bounds[1])]


def _rounded(numbers, sign=""):
    return {name: f"{number:{sign}.4f}" for name, number in numbers.items()}


def table(rows, targets=FIVE):
    """Scores as text: `rows` is {label: [k] values, in the order of the `targets`}; their mean comes first."""
    return grid([(label, _rounded(by_column(values, targets.names))) for label, values in rows.items()])


def grid(rows):
    """Text in columns, in lines of `LINE` characters at most; what does not fit beside it follows below.

    `rows` is a list of (label, {column: word}), all of the same columns. A label that is too long, as a file's path may
    be, has a line of its own, and the name of a column several.
    """
    heads = {column: textwrap.wrap(in_words(column), LONGEST_NAME) for column in rows[0][1]}
    widths = {
        column: max(8, *map(len, head), *(len(words[column]) for _, words in rows)) for column, head in heads.items()
    }
    longest, lines = max(len(label) for label, _ in rows) + 2, []
    for columns in _side_by_side(widths):
        margin = min(longest, LINE - sum(widths[column] + 2 for column in columns))
        lines += _block(rows, {column: heads[column] for column in columns}, widths, margin)
    return "\n".join(lines)


def _side_by_side(widths):
    """The columns of these `widths`, {column: characters}, in lists of as many as there is room for in a line."""
    lists, room = [], 0
    for column, width in widths.items():
        if (room := room - width - 2) < 0:
            lists.append([])
            room = LINE - LEAST_MARGIN - width - 2
        lists[-1].append(column)
    return lists


def _block(rows, heads, widths, margin):
    depth = max(map(len, heads.values()))
    above = [
        {column: ([""] * depth + head)[number - depth] for column, head in heads.items()} for number in range(depth)
    ]
    lines = []
    for label, words in [*(("", names) for names in above), *rows]:
        if len(label) > margin - 1:
            lines.append(label if len(label) <= LINE else f"..{label[2 - LINE :]}")
            label = ""
        cells = "".join(f"  {words[column]:>{widths[column]}}" for column in heads)
        lines.append(f"{label:<{margin}}{cells}".rstrip())
    return lines
