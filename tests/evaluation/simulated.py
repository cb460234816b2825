"""Votes and ratings of clips whose true values are known."""

import numpy as np

from first_impression.data.judgements import Ratings, Votes


def pairs(clips, votes_per_clip, random):
    """Both sides of votes, int [votes] each, in which every clip has nearly the same number of votes."""
    rounds = [random.permutation(clips) for _ in range(votes_per_clip)]
    left, right = np.concatenate([order[0::2] for order in rounds]), np.concatenate([order[1::2] for order in rounds])
    return left, right


def votes_on(true, left, right, random, unknown=0.08):
    """`Votes` on a target "x" by the Bradley-Terry model; the share `unknown` of them is "don't know"."""
    wins = random.random(len(left)) < 1 / (1 + np.exp(true[right] - true[left]))
    answers = np.where(random.random(len(left)) < unknown, np.nan, wins)
    return Votes([f"clip{number}" for number in range(len(true))], left, right, {"x": answers})


def true_values(clips, per_source, random, spread=0.8, alike=0.85):
    """(true values [clips], sources [clips]); the values of two clips of one source correlate by `alike`."""
    member = np.arange(clips) // per_source
    of_source, own = random.normal(size=member.max() + 1)[member], random.normal(size=clips)
    return spread * (np.sqrt(alike) * of_source + np.sqrt(1 - alike) * own), member.astype(str)


def ratings_of(true, per_clip, raters, random, noise=1.0, leniency=0.0):
    """`Ratings` of a target "x": true value, noise, and how lenient the rater is, of this standard deviation."""
    clip = np.repeat(np.arange(len(true)), per_clip)
    rater = np.concatenate([random.choice(raters, count, replace=False) for count in np.bincount(clip)])
    values = true[clip] + random.normal(0, noise, len(clip)) + random.normal(0, leniency, raters)[rater]
    return Ratings([f"clip{number}" for number in range(len(true))], clip, rater, {"x": values})
