"""The results of evaluate.py: answers, the report of all scores, a dict as in docs/scores.md, and their files."""

import itertools
from dataclasses import dataclass, field

import numpy as np

from first_impression.common import files
from first_impression.common.errors import UserError, counted, name_some
from first_impression.evaluation import comparison, fusion, groups, predictions
from first_impression.evaluation.metrics import by_column, sources_of

PICTURES = ("models", "scatter", "errors", "calibration")  # the beginnings of their files' names


@dataclass
class Answered:
    """The answers of a model, a CSV file or the fusion, and where they come from."""

    answers: dict  # {clip: [5]}
    made_from: dict  # {file: its MD5}
    model: str | None = None  # the run's MODEL
    settings: dict = field(default_factory=dict)  # the run's settings.json; empty for others
    numbers: str | None = None  # the run's number format, see number_format.py
    by_frame: dict | None = None  # accuracy by frame, {"mean" and each trait: number}, for models of images
    remarks: list = field(default_factory=list)  # what to bear in mind with the scores, as texts


def collect(answered, weights, reference, people):
    """The report: the scores of all {name: `Answered`}, the differences of each two, mean and spread over runs' seeds.

    Where there are `weights`, {name: number}, the fusion of these is added to `answered`. `people` are groups of clips,
    {column: {clip: group}}. Prints which clips are
    without a label or without an answer. Raises `UserError` where no clip has both.
    """
    for name, model in answered.items():
        _compare_names(name, model.answers.keys(), reference.labels.keys())
    if weights:
        members = [answered[name] for name in weights]
        made_from = {file: md5 for member in members for file, md5 in member.made_from.items()}
        fused = fusion.fuse([member.answers for member in members], weights.values())
        answered[fusion.NAME] = Answered(fused, made_from)
    models, pairs = {}, []
    for name, model in answered.items():
        models[name] = {"model": model.model, "made_from": model.made_from, "numbers": model.numbers}
        models[name] |= {"remarks": model.remarks, "groups": comparison.score(model.answers, reference)}
        models[name] |= {"spread": _spread(model.answers, reference.labels)}
        models[name] |= {"by_frame": model.by_frame, "people": groups.score(model.answers, people, reference)}
    for first, second in itertools.combinations(answered, 2):
        compared = comparison.compare(answered[first].answers, answered[second].answers, reference)
        pairs.append({"first": first, "second": second, "groups": compared})
    seeds = [
        {"runs": runs, "groups": comparison.over_seeds([models[name]["groups"] for name in runs])}
        for runs in comparison.runs_by_seed({name: model.settings for name, model in answered.items()})
    ]
    return {"models": models, "pairs": pairs, "seeds": seeds}


def _spread(answers, labels):
    """How spread the answers to the labelled clips are: their standard deviation over that of the labels, by column."""
    clips = sorted(answers.keys() & labels.keys())
    answered, true = (np.std([values[clip] for clip in clips], axis=0) for values in (answers, labels))
    return by_column(np.divide(answered, true, out=np.full(5, np.nan), where=true > 0))


def _compare_names(name, answers, labels):
    for clips, what in ((answers - labels, "without a label, ignored"), (labels - answers, "missing")):
        if clips:
            print(f"{name}: {counted(len(clips), 'clip')} {what}: {name_some(clips)}")
    if not answers & labels:
        raise UserError(f"{name}: none of its clips has a label; is this the annotation of these clips?")


def write(out, folders, ending, answered, reference, report):
    """Write the report of all {name: `Answered`} into the folder `out`, predictions and pictures of each into its own.

    `folders` is {name: folder} of those that have one; `ending` is a part of all files' names. What an earlier command
    of this ending has left is removed first, and the scores are written last, so that a kill never leaves scores beside
    answers that they do not belong to.
    """
    from first_impression.evaluation import plots  # here, since Matplotlib takes seconds

    labels = reference.labels
    contents = {out / f"models_{ending}.png": plots.side_by_side(report["models"], f"Models side by side, {ending}")}
    for name, folder in folders.items():
        if name not in answered:  # there is no fusion
            continue
        answers = answered[name].answers
        clips = sorted(answers.keys() & labels.keys())
        predicted, true = (np.array([values[clip] for clip in clips]) for values in (answers, labels))
        contents[folder / f"predictions_{ending}.csv"] = predictions.as_csv(answers)
        contents[folder / f"scatter_{ending}.png"] = plots.scatter(predicted, true, f"{name}, {ending}")
        contents[folder / f"errors_{ending}.png"] = plots.errors(predicted, true, f"{name}, {ending}")
        sources = sources_of(clips, reference.sources)
        title = f"{name}, {ending}"
        contents[folder / f"calibration_{ending}.png"] = plots.calibration(predicted, true, sources, title)
    for folder in {out, *folders.values()}:
        for name in ("scores_{}.json", "predictions_{}.csv", *(f"{picture}_{{}}.png" for picture in PICTURES)):
            files.remove(folder / name.format(ending))
    for path, content in contents.items():
        with files.whole_file(path) as tmp:
            tmp.write_bytes(content)
    files.write_json(out / f"scores_{ending}.json", without_nan(report))
    print(f"\nscores: {out / f'scores_{ending}.json'}, with pictures beside it")


def without_nan(value):
    """`value` with None for every number that is not finite, for which JSON has no word."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
