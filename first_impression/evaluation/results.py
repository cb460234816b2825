"""The results of evaluate.py: answers, the report of all scores, a dict as in docs/scores.md, and their files."""

import itertools
import json
from dataclasses import dataclass, field

import numpy as np

from first_impression.common import files
from first_impression.common.errors import UserError, counted, damage_as_user_error, name_some
from first_impression.data.targets import FIVE, Targets
from first_impression.evaluation import comparison, fusion, groups, metrics, predictions
from first_impression.evaluation.metrics import by_column, picked, sources_of

PICTURES = ("models", "scatter", "errors", "calibration")  # the beginnings of their files' names


@dataclass
class Answered:
    """The answers of a model, a CSV file or the fusion, and where they come from."""

    answers: dict  # {clip: [k]}
    made_from: dict  # {file: its MD5}
    targets: Targets = FIVE  # what is answered
    model: str | None = None  # the run's MODEL
    settings: dict = field(default_factory=dict)  # the run's settings.json; empty for others
    numbers: str | None = None  # the run's number format, see number_format.py
    by_frame: dict | None = None  # accuracy by frame, {"mean" and each target: number}, for models of images
    remarks: list = field(default_factory=list)  # what to bear in mind with the scores, as texts


def refuse_other_result(path, names, annotation):
    """Raises `UserError` where the scores in `path` are not of just these names by this annotation, or unreadable."""
    if not path.exists():
        return
    with damage_as_user_error(f"{path} is not readable", "choose another OUT, or delete it"):
        earlier = json.loads(path.read_text(encoding="utf-8"))
        others, other_annotation = earlier["models"].keys() - {fusion.NAME}, earlier["annotation"]
    if others != set(names) or other_annotation != str(annotation):
        what = f"the scores of {name_some(others)} by {other_annotation}"
        raise UserError(f"{path} holds {what}: choose another OUT, or delete it")


def remarks_on_file(path, answers, labels, names):
    """What to bear in mind with the scores of a file's answers, {clip: [k]}: a list of texts; printed as well."""
    clips = sorted(answers.keys() & labels.keys())
    if len(clips) < 2 or len(names) < 2:
        return []
    pearson = metrics.all_scores(*(np.array([side[clip] for clip in clips]) for side in (answers, labels)))["Pearson"]
    pearson = dict(zip(names, pearson, strict=True))
    if [name for name, value in pearson.items() if value < 0] != ["neuroticism"]:
        return []
    remark = (
        f"emotional stability correlates with the labels by {pearson['neuroticism']:.2f}, and nothing else below 0: if "
        "its column means neurotic, where ChaLearn's means stable, give 1 minus it in a column named "
        "emotional_stability"
    )
    print(f"{path}: {remark}")
    return [remark]


def collect(answered, weights, reference, people, shared, fuse_shared=False):
    """The report: the scores of all {name: `Answered`}, the differences of each two, mean and spread over runs' seeds.

    Each is scored by its own targets, out of those of the `reference`; the fusion and all comparisons are of `shared`,
    the targets that all have. Where there are `weights`, {name: number}, the fusion of these is added to `answered`: of
    the clips that any of them answers, or with `fuse_shared` of those that all do. `people` are groups of clips,
    {column: {clip: group}}. Prints which clips are without a label or without an answer. Raises `UserError` where no
    clip has both, and where none is left to fuse.
    """
    for name, model in answered.items():
        _compare_names(name, model.answers.keys(), reference.labels.keys())
    answers = {name: picked(model.answers, model.targets.names, shared.names) for name, model in answered.items()}
    if weights:
        made_from = {file: md5 for name in weights for file, md5 in answered[name].made_from.items()}
        of_members = [answers[name] for name in weights]
        fused = fusion.fuse(_shared_answers(of_members, weights) if fuse_shared else of_members, weights.values())
        answered[fusion.NAME], answers[fusion.NAME] = Answered(fused, made_from, shared), fused
    models, pairs = {}, []
    for name, model in answered.items():
        own = reference.of(model.targets.names)
        models[name] = {"model": model.model, "made_from": model.made_from, "numbers": model.numbers}
        models[name] |= {"remarks": model.remarks, "groups": comparison.score(model.answers, own)}
        models[name] |= {"spread": _spread(model.answers, own)}
        models[name] |= {"by_frame": model.by_frame, "people": groups.score(model.answers, people, own)}
    of_shared = reference.of(shared.names)
    for first, second in itertools.combinations(answered, 2):
        compared = comparison.compare(answers[first], answers[second], of_shared)
        pairs.append({"first": first, "second": second, "groups": compared})
    seeds = [
        {"runs": runs, "groups": comparison.over_seeds([models[name]["groups"] for name in runs])}
        for runs in comparison.runs_by_seed({name: model.settings for name, model in answered.items()})
    ]
    differ = any(model.targets.names != shared.names for model in answered.values())
    return {"models": models, "common": _on_common_clips(answers, of_shared, differ), "pairs": pairs, "seeds": seeds}


def _shared_answers(answers, names):
    """A list of answers {clip: [k]}, each to the clips alone that all of them have. Prints how many these are."""
    shared, known = set.intersection(*map(set, answers)), set.union(*map(set, answers))
    if not shared:
        raise UserError(f"no clip is answered by all of {', '.join(names)}: score them one by one, or FUSE others")
    if shared != known:
        print(f"{fusion.NAME}: of the {counted(len(shared), 'clip')} that all of {', '.join(names)} answer")
    return [{clip: of_file[clip] for clip in of_file if clip in shared} for of_file in answers]


def _on_common_clips(answers, reference, always):
    """The "common" of docs/scores.md, of {name: {clip: [k]}}: scores on the clips that all models answer.

    None where all answer the same clips, unless it is to be there `always`.
    """
    labelled = [of_model.keys() & reference.labels.keys() for of_model in answers.values()]
    shared = set.intersection(*labelled)
    if not always and all(clips == shared for clips in labelled):
        return None
    return {
        name: {"groups": comparison.score({clip: of_model[clip] for clip in shared}, reference)}
        for name, of_model in answers.items()
        if shared
    }


def _spread(answers, reference):
    """How spread the answers to the labelled clips are: their standard deviation over that of the labels, by column."""
    clips = sorted(answers.keys() & reference.labels.keys())
    answered, true = (np.std([values[clip] for clip in clips], axis=0) for values in (answers, reference.labels))
    ratio = np.divide(answered, true, out=np.full(len(true), np.nan), where=true > 0)
    return by_column(ratio, reference.targets.names)


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

    beside = report["common"] or report["models"]
    contents = {out / f"models_{ending}.png": plots.side_by_side(beside, f"Models side by side, {ending}")}
    for name, folder in folders.items():
        if name not in answered:  # there is no fusion
            continue
        answers, targets, title = answered[name].answers, answered[name].targets, f"{name}, {ending}"
        labels = reference.of(targets.names).labels
        clips = sorted(answers.keys() & labels.keys())
        sides = [np.array([values[clip] for clip in clips]) for values in (answers, labels)]
        sources = sources_of(clips, reference.sources)
        contents[folder / f"predictions_{ending}.csv"] = predictions.as_csv(answers, targets)
        contents[folder / f"scatter_{ending}.png"] = plots.scatter(*sides, targets, title)
        contents[folder / f"errors_{ending}.png"] = plots.errors(*sides, targets, title)
        contents[folder / f"calibration_{ending}.png"] = plots.calibration(*sides, targets, sources, title)
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
