"""Answers compared with labels, with the baselines and with each other. The dicts are those of docs/scores.md."""

from dataclasses import dataclass, field, replace

import numpy as np

from first_impression.data import annotations, chalearn
from first_impression.data.targets import FIVE, Targets
from first_impression.evaluation import baselines, bootstrap, calibration, ceiling, metrics

ALL, UNSEEN = "all clips", "clips of unseen sources"
NOT_OF_THE_RESULT = ("SEED", "NAME", "RUNS", "KEEP_EPOCHS", "CHECKPOINT_MINUTES")  # constants of train.py


@dataclass(frozen=True)
class Reference:
    """What answers are scored by."""

    labels: dict  # {clip: [k]}
    training_labels: dict  # those that the baselines know, {clip: [k]}; empty: no baselines
    sources: dict = field(default_factory=dict)  # {clip: source}, for clips whose names do not give it
    resamples: int = 1000
    seed: int = 0
    reliability: dict = field(
        default_factory=dict
    )  # of the labels, {target: (value, low, high)}; no ceiling where one is missing
    targets: Targets = FIVE  # what the labels are of

    def of(self, names):
        """The same of the targets of these names alone."""
        labels, training = (
            metrics.picked(labels, self.targets.names, names) for labels in (self.labels, self.training_labels)
        )
        return replace(self, labels=labels, training_labels=training, targets=replace(self.targets, names=names))

    def groups(self, clips):
        """Those of `clips` that have a label, {group: sorted list}: all, and those of no training source, if any."""
        clips = sorted(clip for clip in clips if clip in self.labels)
        groups = {ALL: clips}
        if self.training_labels:
            seen = set(metrics.sources_of(self.training_labels, self.sources))
            of_clips = zip(clips, metrics.sources_of(clips, self.sources), strict=True)
            groups[UNSEEN] = [clip for clip, source in of_clips if source not in seen]
        return {group: members for group, members in groups.items() if members}

    def baselines(self, clips):
        """The baselines' answers, {name: float64 [clips, k]}."""
        if not self.training_labels:
            return {}
        return {
            baselines.CONSTANT: baselines.constant_guess(clips, self.training_labels),
            baselines.LOOKUP: baselines.same_source_lookup(clips, self.training_labels, self.sources),
        }


def read_reference(split, annotation, training, resamples, seed, targets=FIVE):
    """The `Reference` of a split, whose labels are in the file `annotation`, and the training labels in `training`.

    Both are labels of the `targets`. Raises `UserError` where the two share clips. Without `training` there are no
    baselines, which is printed.
    """
    labels, sources = annotations.read_annotation(annotation, split.name, targets), annotations.read_sources(annotation)
    training_labels = {}
    if training.exists():
        training_labels = annotations.read_annotation(training, chalearn.TRAINING.name, targets)
        sources = annotations.read_sources(training) | sources
        if split is not chalearn.TRAINING:
            annotations.refuse_shared(training_labels, labels, f"{training} and the annotation to score")
    else:
        print(f"{training} is missing: scores come without the baselines and without the unseen sources")
    reliability = ceiling.reliabilities(annotation, targets.names)
    return Reference(labels, training_labels, sources, resamples, seed, reliability, targets)


def score(answers, reference):
    """All scores of `answers`, {clip: [k]} to the targets of the `reference`, beside the baselines': {group: {..}}."""
    result = {}
    for group, clips in reference.groups(answers).items():
        of_baselines = reference.baselines(clips)
        sides = _Sides([_rows(answers, clips), *of_baselines.values()], clips, reference)
        result[group] = {"clips": len(clips), "sources": sides.sources, "scores": sides.scores(0)}
        beside = result[group]["baselines"] = {
            name: {"scores": sides.scores(number), "differences": sides.differences(0, number)}
            for number, name in enumerate(of_baselines, 1)
        }
        # Whether the mean accuracy is above every baseline's, by a whole interval; None where there is no interval
        lows = [baseline["differences"]["accuracy"]["mean"]["low"] for baseline in beside.values()]
        result[group]["beats_baselines"] = min(lows) > 0 if lows and np.isfinite(lows).all() else None
        result[group] |= {"ceiling": _ceiling(reference, clips, beside), "calibration": sides.calibration(0)}
    return result


def _ceiling(reference, clips, beside):
    names = reference.targets.names
    if not (beside and set(names) <= reference.reliability.keys()):
        return {}
    labels = _rows(reference.labels, clips)
    return ceiling.beside_scores(reference.reliability, labels, names, **beside[baselines.CONSTANT])


def compare(first, second, reference):
    """The differences in every score between two {clip: [k]}, on the clips that both answer: {group: {..}}."""
    result = {}
    for group, clips in reference.groups(first.keys() & second.keys()).items():
        sides = _Sides([_rows(first, clips), _rows(second, clips)], clips, reference)
        result[group] = {"clips": len(clips), "sources": sides.sources, "differences": sides.differences(0, 1)}
    return result


class _Sides:
    """Several answers [clips, k] to the same clips, with every score of each on all clips and on all resamples."""

    def __init__(self, answers, clips, reference):
        true = _rows(reference.labels, clips)
        terms = np.stack([metrics.terms(predicted, true) for predicted in answers], axis=1)  # [clips, answers, 7, k]
        of_clips = metrics.sources_of(clips, reference.sources)
        self.sources, self._names = len(set(of_clips)), reference.targets.names
        resampled = bootstrap.resampled_means(terms, of_clips, reference.resamples, reference.seed)
        self._scores, self._resampled = (
            metrics.scores(means, reference.targets) for means in (terms.mean(axis=0), resampled)
        )
        self._lines = [calibration.line(means, true.mean(axis=0)) for means in (terms.mean(axis=0), resampled)]

    def scores(self, number):
        """{score: {"mean" and each target: {"value", "low", "high"}}} of one of the answers."""
        return {name: self._estimate(*both) for name, both in self._of(number).items()}

    def calibration(self, number):
        """{"slope" and "intercept": the same} of the labels regressed on one of the answers."""
        line, resampled = self._lines
        return {name: self._estimate(values[number], resampled[name][:, number]) for name, values in line.items()}

    def differences(self, first, second):
        """The same of a difference. Paired: both answers are scored on the same resamples."""
        others = self._of(second)
        return {name: self._estimate(*map(np.subtract, both, others[name])) for name, both in self._of(first).items()}

    def _of(self, number):
        return {name: (scores[number], self._resampled[name][:, number]) for name, scores in self._scores.items()}

    def _estimate(self, values, resampled):
        """{"mean" and each target: {"value", "low", "high"}} of values [k] and what they are on resamples [n, k]."""
        values, resampled = (metrics.with_mean(side, self._names) for side in (values, resampled))
        return metrics.estimates(self._names, values, *bootstrap.interval(resampled))


def _rows(answers, clips):
    return np.array([answers[clip] for clip in clips], np.float64)


def runs_by_seed(settings):
    """Runs that differ in SEED only: a list of {name: seed}, two or more each. `settings`: {name: settings.json}."""
    alike = []
    for name, about in settings.items():
        constants = about.get("constants")
        if not isinstance(constants, dict) or "SEED" not in constants:
            continue
        rest = {key: value for key, value in constants.items() if key not in NOT_OF_THE_RESULT}
        kind = (rest, about.get("records"), about.get("start"))
        if kind not in [other for other, _ in alike]:
            alike.append((kind, {}))
        runs = next(runs for other, runs in alike if other == kind)
        if constants["SEED"] not in runs.values():  # a copy of a run adds nothing
            runs[name] = constants["SEED"]
    return [runs for _, runs in alike if len(runs) > 1]


def over_seeds(scored):
    """Mean and standard deviation (over n - 1) of the scores of several runs: {group: {score: {"mean", "stddev"}}}.

    `scored` is a list of what `score` gives; "mean" and "stddev" are {"mean" and each target: number}.
    """
    result = {}
    for group in [group for group in scored[0] if all(group in of_run for of_run in scored)]:
        result[group] = {}
        for name, columns in scored[0][group]["scores"].items():
            runs = [[of_run[group]["scores"][name][column]["value"] for column in columns] for of_run in scored]
            statistics = {"mean": np.mean(runs, axis=0), "stddev": np.std(runs, axis=0, ddof=1)}
            result[group][name] = {
                statistic: dict(zip(columns, values.tolist(), strict=True)) for statistic, values in statistics.items()
            }
    return result
