"""For whom the answers are wrong: groups of clips, such as age groups, beside the other clips.

A model can be right on average and place all of one group too low. Of every group and target: how near the answers
come, how far the group is from the others in labels and in answers, and the difference of the two.
"""

from pathlib import Path

import numpy as np

from first_impression.common.errors import UserError, name_some
from first_impression.data import csv_rows
from first_impression.data.label_table import CLIP_NAMES, clip_of
from first_impression.evaluation import bootstrap, metrics
from first_impression.evaluation.display import in_words
from first_impression.evaluation.metrics import sources_of, with_mean

CONFIDENCE = 95  # per cent, that all intervals of one kind hold at once
MOST = 50  # groups in a column: more are hardly groups


def read(path):
    """Read a CSV file of groups: {column: {clip without suffix: group}}. An empty cell says that it is not known.

    Raises `UserError` for a missing or unreadable file, one without a column for the clips or any other, a clip that
    is there twice, and a column of more than `MOST` groups.
    """
    path = Path(path)
    header, rows = csv_rows.read(path, padded=True)
    rows = [dict(zip(header, cells, strict=True)) for _, cells in rows]
    columns = list(rows[0]) if rows else []
    of_clips = [column for column in columns if column.strip().lower() in ("file_name", *CLIP_NAMES)]
    if len(of_clips) != 1 or len(columns) < 2:
        raise UserError(f"{path} needs one column named clip and one or more of groups, not {name_some(columns)}")
    clips = [clip_of(row[of_clips[0]]) for row in rows]
    if len(set(clips)) < len(clips):
        raise UserError(f"{path} has several rows for {name_some({clip for clip in clips if clips.count(clip) > 1})}")
    groups = {}
    for column in columns:
        if column not in of_clips:
            found = {clip: row[column].strip() for clip, row in zip(clips, rows, strict=True) if row[column].strip()}
            if len(set(found.values())) > MOST:
                raise UserError(f"{path}: the column {column} has more than {MOST} groups; leave it out")
            groups[column.strip()] = found
    return groups


def score(answers, groups, reference):
    """The "people" of docs/scores.md, {column: {group: {..}}}, of answers {clip: [k]} to the `reference`'s targets.

    `groups` is what `read` gives. Clips without a label, an answer or a group count nowhere; a column in which fewer
    than two groups are left is left out. All intervals of one kind, over groups, targets and columns, hold at once.
    """
    clips = sorted(clip for clip in answers if clip in reference.labels)
    sources = np.array(sources_of(clips, reference.sources))
    predicted, true = (np.array([side[clip] for clip in clips], np.float64) for side in (answers, reference.labels))
    names, members, known = _members(clips, groups)
    if not names:
        return {}
    terms = np.concatenate([np.ones((len(clips), 1)), np.abs(predicted - true), predicted, true], axis=1)
    # [clips, groups and what is known of their columns, 1 + 3 k]
    terms = np.concatenate([members, known], axis=1)[:, :, None] * terms[:, None, :]
    targets = reference.targets.names
    found = _statistics(terms.mean(axis=0), targets)
    resampled = _statistics(bootstrap.resampled_means(terms, sources, reference.resamples, reference.seed), targets)
    counts = [len(np.unique(sources[member])) for member in members.T]
    # Under so many sources a group's resamples say too little of its spread
    enough = np.array(counts) >= bootstrap.FEW_SOURCES
    reach = {kind: _reach(values, resampled[kind], enough) for kind, values in found.items()}
    estimates = {kind: (values, values - reach[kind][0], values + reach[kind][0]) for kind, values in found.items()}
    gaps = ("answer_gap", "label_gap")
    estimates["amplification"] = _ratio(
        *(found[gap] for gap in gaps), *(resampled[gap] for gap in gaps), reach["label_gap"][1], enough
    )
    result = {}
    for number, (column, group) in enumerate(names):
        about = {"clips": int(members[:, number].sum()), "sources": counts[number]}
        about |= {
            kind: metrics.estimates(targets, *(side[number] for side in sides)) for kind, sides in estimates.items()
        }
        result.setdefault(column, {})[group] = about
    return result


def _members(clips, groups):
    """([(column, group)], who is in it, who is in any of its column), the latter two bool [clips, groups]."""
    names, members, known = [], [], []
    for column, group_of in groups.items():
        of_clips = np.array([group_of.get(clip, "") for clip in clips])
        present = [group for group in np.unique(of_clips) if group]
        for group in present if len(present) > 1 else ():
            names.append((column, str(group)))
            members.append(of_clips == group)
            known.append(of_clips != "")
    return names, np.array(members).T, np.array(known).T


def _statistics(means, names):
    """{kind: [..., groups, k + 1]} of the means of the terms [..., 2 groups, 1 + 3 k]."""
    own, everyone = np.split(means, 2, axis=-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        of_group = own[..., 1:] / own[..., :1]
        others = (everyone - own)[..., 1:] / (everyone - own)[..., :1]
    error, predicted, true = np.split(of_group, 3, axis=-1)
    _, others_predicted, others_true = np.split(others, 3, axis=-1)
    label_gap, answer_gap = with_mean(true - others_true, names), with_mean(predicted - others_predicted, names)
    return {
        "accuracy": with_mean(1 - error, names),
        "error": with_mean(predicted - true, names),
        "label_gap": label_gap,
        "answer_gap": answer_gap,
        "gap_difference": answer_gap - label_gap,
    }


def _reach(values, resampled, enough):
    """How far the bounds are from values [groups, k + 1], [n, groups, k + 1] on resamples: ([groups, k + 1], c).

    It is c standard deviations of the resamples, where c is what the largest deviation among all values, counted in
    these, exceeds in 5 % of the resamples only (the studentised maximum: Westfall and Young, Resampling-Based Multiple
    Testing, 1993). So all true values are within their bounds in 95 of 100 studies. nan where not `enough`.
    """
    deviation = np.where(enough[:, None], np.std(resampled, axis=0), np.nan)
    kept = deviation > 0
    if not kept.any():
        return np.full_like(values, np.nan), np.nan
    largest = np.max(np.abs(resampled - values)[:, kept] / deviation[kept], axis=1)
    c = np.percentile(largest, CONFIDENCE)
    return c * deviation, c


def _ratio(above, below, resampled_above, resampled_below, c, enough):
    """(above / below, low, high), each [groups, k + 1]; nan where `below` is within c standard deviations of 0.

    The bounds are Fieller's (Journal of the Royal Statistical Society B 16, 1954): those ratios x for which
    above - x below is within c standard deviations of 0.
    """
    covariance = np.mean(resampled_above * resampled_below, axis=0)
    covariance -= resampled_above.mean(axis=0) * resampled_below.mean(axis=0)
    square = below**2 - c**2 * np.var(resampled_below, axis=0)
    half = above * below - c**2 * covariance
    rest = above**2 - c**2 * np.var(resampled_above, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        root = np.sqrt(half**2 - square * rest)
        sides = (above / below, (half - root) / square, (half + root) / square)
    return tuple(np.where(enough[:, None] & (square > 0), side, np.nan) for side in sides)


def verdicts(by_group):
    """In words, whom the answers place elsewhere than the labels do, by a whole interval: a list of texts."""
    found = []
    for column, of_column in by_group.items():
        for group, about in of_column.items():
            for target, gap in about["gap_difference"].items():
                if gap["low"] > 0 or gap["high"] < 0:
                    where = "higher" if gap["value"] > 0 else "lower"
                    bounds = f"{gap['low']:+.4f}..{gap['high']:+.4f}"
                    text = f"placed {where} than by the labels in {in_words(target)}, {gap['value']:+.4f} ({bounds})"
                    found.append(f"{column} {group}: {text}")
    return found
