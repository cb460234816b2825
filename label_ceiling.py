"""How good an answer can be at best: the reliability of labels, from the judgements that they were made of.

Reads   CSV files of votes between two clips: the columns left and right (or ChaLearn's videoLeft and videoRight), then
        one per target with LEFT, RIGHT, or anything else for "don't know"
        or CSV files of ratings: the columns clip and rater, then one per target with numbers
        the files of LABELS
Writes  label_ceiling.json (docs/scores.md says what is in it); evaluate.py looks for it beside its annotation
Run     python label_ceiling.py votes.csv more_votes.csv
        python label_ceiling.py ratings.csv --LABELS Annotations/annotations.csv --OUT Annotations/label_ceiling.json

Of votes it is the labels of a Bradley-Terry fit whose reliability is found, from two halves of the votes; with LABELS
those labels', whatever votes and fit they come from, if several clips are of one source. Ratings: the means per clip.
Half a minute for 200,000 votes on six targets, with 2 cores.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from first_impression.common import files, rules, script
from first_impression.common.errors import UserError, counted
from first_impression.data import annotations, judgements
from first_impression.data.targets import of_settings, scale_rule
from first_impression.evaluation import ceiling, reliability
from first_impression.evaluation.bootstrap import FEW_SOURCES
from first_impression.evaluation.display import in_words
from first_impression.evaluation.metrics import sources_of
from first_impression.evaluation.results import without_nan

LABELS = ""  # annotation files of the labels made from these judgements, with commas between; "": none
SCALE = "0..1"  # on which LABELS are given, and ratings: "1..7" and the like
OUT = "label_ceiling.json"  # the file to write

RIDGE = 0.5  # strength of the ridge of the Bradley-Terry fits
SPLITS = 10  # random splits of the votes into halves; their correlations are averaged
OVER = "clips"  # what the bootstrap draws: "clips", those of one source together, or for ratings "raters"
RESAMPLES = 1000  # of the bootstrap
SEED = 0  # of the splits and the bootstrap

RULES = {
    "SCALE": scale_rule,
    "RIDGE": rules.more_than(0),
    "SPLITS": rules.whole(1, 1000),
    "OVER": rules.one_of("clips", "raters"),
    "RESAMPLES": rules.whole(1, 10**5),
    "SEED": rules.whole(0),
}


def main(settings):
    judged = judgements.read(settings.VOTES)
    of_target = of_votes if isinstance(judged, judgements.Votes) else of_ratings
    if of_target is of_votes and settings.OVER == "raters":
        raise UserError("OVER = 'raters' is for ratings: votes come without their raters")
    labels, speakers = read_labels(settings.LABELS, judged.answers, of_settings("", settings.SCALE))
    if labels and not labels.keys() & set(judged.clips):
        raise UserError(f"{settings.LABELS}: none of these clips was judged; are these the labels of these judgements?")
    sources, found = np.array(sources_of(judged.clips, speakers)), {}
    for target in judged.answers:
        known = np.array([labels.get(clip, {}).get(target, np.nan) for clip in judged.clips])
        found[target] = of_target(judged, target, known, sources, settings)
        print(line_of(target, found[target]), flush=True)
    if len(set(sources)) < FEW_SOURCES:
        print(f"{counted(len(set(sources)), 'source')}: with fewer than {FEW_SOURCES}, these intervals mean little")
    files.write_json(Path(settings.OUT), without_nan(found))
    print(f"\nceilings: {settings.OUT}")


def read_labels(paths, judged, targets):
    """({clip: {target: label}}, {clip: source}) of these annotation files, of which ChaLearn's have a split each.

    The labels are of what was `judged`, as far as a file has it, on the scale of the `targets`.
    """
    labels, sources = {}, {}
    for path in filter(None, map(str.strip, paths.split(","))):
        sources |= annotations.read_sources(path)
        known = annotations.numbers_in(path)
        names = tuple(target for target in judged if target in known)
        if not names:
            raise UserError(f"{path} has no labels of what was judged: {', '.join(judged)}")
        for clip, values in annotations.read_annotation(path, targets=replace(targets, names=names)).items():
            labels[clip] = dict(zip(names, values.astype(float), strict=True))
    return labels, sources


def of_votes(votes, target, labels, sources, settings):
    """The entry of label_ceiling.json of a target that was voted on.

    `labels` are float64 [clips], nan where there is none; `sources` [clips].
    """
    options, exist = {"resamples": settings.RESAMPLES, "seed": settings.SEED}, np.isfinite(labels)
    deal = {"splits": settings.SPLITS, "seed": settings.SEED}

    def estimate(fits, **options):
        if exist.any():
            return reliability.of_labels(labels, fits, sources, **options)
        return reliability.of_fit(fits, sources, **options)

    fits = reliability.fits_of_halves(votes, target, settings.RIDGE, **deal)
    known = np.isfinite(votes.answers[target])
    about = {"labels": settings.LABELS if exist.any() else "a Bradley-Terry fit of these votes"}
    about |= {"clips": len(votes.clips), "judgements": len(known), "don't know": int((~known).sum())}
    if exist.any():
        value, interval = split(reliability.of_fit(fits, sources, **options))
        left, right, answers = reliability.known_votes(votes, target)
        fit = reliability.bradley_terry(left, right, answers, len(votes.clips), settings.RIDGE)
        correlation = float(np.corrcoef(fit[exist], labels[exist])[0, 1])
        about["fit"] = {"reliability": value, "interval": interval, "correlation": correlation}
    deal["splits"] = min(3, settings.SPLITS)
    about["choices"] = {
        name: estimate(reliability.fits_of_halves(votes, target, **changed, **deal), resamples=1)[0]
        for name, changed in choices_of(settings).items()
    }
    return entry_of(estimate(fits, **options), labels, about)


def choices_of(settings):
    """What might have been chosen otherwise: {in words: arguments of `fits_of_halves`}."""
    return {
        f"ridge {settings.RIDGE / 5:g}": {"ridge": settings.RIDGE / 5},
        f"ridge {settings.RIDGE * 5:g}": {"ridge": settings.RIDGE * 5},
        "don't know as half a vote each": {"ridge": settings.RIDGE, "ties": True},
    }


def of_ratings(ratings, target, labels, sources, settings):
    """The same of a target that was rated."""
    found = reliability.of_ratings(ratings, target, sources, settings.OVER, settings.RESAMPLES, settings.SEED)
    values = ratings.answers[target]
    known = np.isfinite(values)
    about = {"labels": "the mean ratings of clips", "clips": len(np.unique(ratings.clip[known]))}
    about |= {"judgements": int(known.sum()), "raters": len(np.unique(ratings.rater[known]))}
    unit = of_settings("", settings.SCALE).to_unit(values[known])
    if not np.isfinite(labels).any() and 0 <= unit.min() and unit.max() <= 1:
        sums, counts = (np.bincount(ratings.clip[known], weights, len(labels)) for weights in (unit, None))
        labels = np.divide(sums, counts, out=np.full(len(labels), np.nan), where=counts > 0)
    return entry_of(found, labels, about)


def entry_of(found, labels, about):
    """An entry of label_ceiling.json, of a reliability (value, low, high) of labels [clips] and what it is `about`."""
    spread = float(np.nanstd(labels)) if np.isfinite(labels).any() else None
    value, interval = split(found)
    return (
        {"reliability": value, "interval": interval}
        | about
        | {
            "spread": spread,
            "ceilings": ceiling.with_interval(found, spread),
        }
    )


def split(found):
    value, low, high = found
    return value, [low, high]


def line_of(target, entry):
    """What is printed of an entry."""
    low, high = entry["interval"]
    scores = ", ".join(f"{score} {best['value']:.4f}" for score, best in entry["ceilings"].items() if best)
    text = f"{in_words(target)}: reliability {entry['reliability']:.3f}, 95 % {low:.3f}..{high:.3f}; at best {scores}"
    if "fit" in entry:
        fit = entry["fit"]
        text += f"\n  a fit of these votes: reliability {fit['reliability']:.3f}, correlation with the labels "
        text += f"{fit['correlation']:.3f}"
    for name, value in entry.get("choices", {}).items():
        text += f"\n  {name}: {value:.3f}"
    return text


if __name__ == "__main__":
    script.run(main, inputs="VOTES")
