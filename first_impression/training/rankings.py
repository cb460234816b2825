"""What the answers of runs are ranked among, as a `Ranking`: their own answers to unseen clips, or training labels."""

import numpy as np

from first_impression.common.errors import counted
from first_impression.data.targets import FIVE, shared_names
from first_impression.evaluation import unseen
from first_impression.evaluation.ranking import Ranking, quantiles_of
from first_impression.training import manifest
from first_impression.training.runs import PublishedRun


def among_answers(runs, names=FIVE.names):
    """The runs' fused answers to the clips that none of them was trained on and all of them answered; or None.

    They are to the targets of these `names`, in their order, which all runs have. Fused is what a clip's answer is, the
    plain mean of these very runs: means are less spread than what they are of.
    """
    about = _published(runs) if isinstance(runs[0], PublishedRun) else _answered(runs, names)
    if about is None:
        return None
    whose = "the model's answers" if len(runs) == 1 else f"the mean answers of the {len(runs)} models"
    words = f"{whose} to {counted(about['clips'], about['of'] + ' clip')}"
    quantiles = np.array([about["quantiles"][name] for name in names], np.float64).T
    return Ranking(words, about["clips"], about["sources"], quantiles)


def among_labels(runs, names=FIVE.names):
    """The training labels of these `names` of the first of the runs that knows them; None where none does."""
    for run in runs:
        if count := run.training_clips:
            sources = run.training.get("sources", count)
            quantiles = run.quantiles[:, run.targets.columns(names)]
            return Ranking(f"the labels of {counted(count, 'training clip')}", count, sources, quantiles)
    return None


def for_manifest(runs):
    """What a manifest says of the answers to unseen clips: a list of dicts, for each set of runs that may answer alone.

    These are each of the `runs`, those of one kind (a clip may have no sound, or no pictures), and all.
    """
    kinds = [[run for run in runs if run.kind == kind] for kind in ("image", "audio")]
    sets = {frozenset(run.name for run in members): members for members in [*([run] for run in runs), *kinds, runs]}
    return [
        about
        for members in sets.values()
        if members and (about := _answered(members, shared_names([run.targets for run in members])))
    ]


def _answered(runs, names):
    """The answers of one's own runs to unseen clips, as a manifest has them; None where there are none."""
    if not names:
        return None
    for kind in unseen.KINDS:
        known = [run.unseen.get(kind, {}) for run in runs]
        if clips := sorted(set.intersection(*map(set, known))):
            columns = [run.targets.columns(names) for run in runs]
            pairs = list(zip(known, columns, strict=True))
            fused = np.mean([[answers[clip][0][at] for clip in clips] for answers, at in pairs], axis=0)
            quantiles = quantiles_of(fused).round(manifest.QUANTILE_DECIMALS).T.tolist()
            about = {"runs": sorted(run.name for run in runs), "of": kind, "clips": len(clips)}
            about["sources"] = len({known[0][clip][1] for clip in clips})
            return about | {"quantiles": dict(zip(names, quantiles, strict=True))}
    return None


def _published(runs):
    names = sorted(run.name for run in runs)
    return next((about for about in runs[0].published.get("unseen", ()) if about["runs"] == names), None)
