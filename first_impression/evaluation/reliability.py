"""How reliable labels are that people's judgements were made into: the share of their variance that is not noise.

A label is a true value, what very many judges would say of the clip, plus the error of the few who did. Its reliability
is var(true) / var(label), the squared correlation of labels and true values (Lord and Novick, Statistical Theories of
Mental Test Scores, 1968, chapter 3). Everything here assumes that the errors of different judgements are independent:
what all judges of one panel have in common counts as true.
"""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import cg

from first_impression.common.errors import UserError
from first_impression.evaluation import bootstrap

STEPS, SMALL = 30, 1e-4  # of Newton's method: it ends where no clip's strength moves by more


def bradley_terry(left, right, answers, clips, ridge=0.5):
    """The strengths of clips that explain votes best: float64 [clips], with the mean 0.

    The left clip wins with the probability 1 / (1 + exp(strength of right - strength of left)) (Bradley and Terry,
    Biometrika 39, 1952). `left` and `right` are int [votes], `answers` float [votes]: 1 where the left clip won, 0
    where the right one did, 0.5 for half a vote each. Half of `ridge` times the squared strengths is added to the
    negative logarithm of the likelihood: a clip that won every vote would be infinitely strong without it.
    """
    strengths, both = np.zeros(clips), (np.concatenate([left, right]), np.concatenate([right, left]))
    for _ in range(STEPS):
        wins = 1 / (1 + np.exp(strengths[right] - strengths[left]))
        slope = np.bincount(left, answers - wins, clips) - np.bincount(right, answers - wins, clips)
        weights = np.tile(wins * (1 - wins), 2)
        diagonal = sparse.diags(np.bincount(both[0], weights, clips) + ridge)
        curvature = diagonal - sparse.coo_matrix((weights, both), (clips, clips)).tocsr()
        step, _ = cg(curvature, slope - ridge * strengths, rtol=SMALL)
        strengths += step
        if np.abs(step).max() < SMALL:
            break
    return strengths - strengths.mean()


def halves(left, right, clips, random):
    """A random half of the votes, as bool [votes], in which every clip has about half of its own.

    Votes are dealt in random order, each to the half in which its two clips have fewer. Halves of a coin per vote give
    some clips few votes in one of them, and the reliability by Spearman and Brown comes out about 0.01 too low.
    """
    first, more = np.zeros(len(left), bool), [0] * clips  # by how many votes a clip has more in the first half
    order = random.permutation(len(left))
    coins = (random.random(len(left)) < 0.5).tolist()
    for vote, one, other, coin in zip(order, left[order].tolist(), right[order].tolist(), coins, strict=True):
        balance = more[one] + more[other]
        if balance < 0 or (balance == 0 and coin):
            first[vote] = True
            change = 1
        else:
            change = -1
        more[one] += change
        more[other] += change
    return first


def fits_of_halves(votes, target, ridge=0.5, ties=False, splits=10, seed=0):
    """Fits to both of `splits` random halves of the votes on a target: float64 [splits, 2, clips].

    "Don't know" is left out, or with `ties` half a vote each. Clips without a vote in a half are nan there.
    """
    left, right, answers = known_votes(votes, target, ties)
    count, random, fits = len(votes.clips), np.random.default_rng(seed), []
    for _ in range(splits):
        first = halves(left, right, count, random)
        pair = []
        for half in (first, ~first):
            fit = bradley_terry(left[half], right[half], answers[half], count, ridge)
            fit[np.bincount(np.concatenate([left[half], right[half]]), minlength=count) == 0] = np.nan
            pair.append(fit)
        fits.append(pair)
    return np.array(fits)


def known_votes(votes, target, ties=False):
    """(left, right, answers), each [votes], without those that say "don't know"; with `ties` these are 0.5."""
    answers = votes.answers[target]
    known = np.full(len(answers), True) if ties else np.isfinite(answers)
    return votes.left[known], votes.right[known], np.where(np.isfinite(answers), answers, 0.5)[known]


def of_fit(fits, sources, resamples=1000, seed=0):
    """The reliability of a fit to all votes, from fits to halves of them [splits, 2, clips]: (value, low, high).

    The correlation r of two halves is the reliability of half the votes, that of all is 2 r / (1 + r) (Spearman and
    Brown, both British Journal of Psychology 3, 1910). The interval is a bootstrap over `sources` [clips].
    """
    fits, sources = _with_all(fits, sources)
    terms = _moments(fits[:, 0], fits[:, 1])  # [clips, splits, 5]

    def spearman_brown(means):
        r = _correlation(means).mean(axis=-1)
        return 2 * r / (1 + r)

    return _estimate(spearman_brown, terms, sources, resamples, seed)


def of_labels(labels, fits, sources, resamples=1000, seed=0):
    """The reliability of labels [clips] that may be made from more votes than those behind `fits`: (value, low, high).

    Clips of one source resemble each other. Their labels correlate by the reliability times the correlation of their
    true values; the latter is what their fits have in common across halves, over what the fits of one clip have:

        reliability = correlation of labels within sources * cov(first half, second half of a clip)
                      / cov(first half of a clip, second half of another of its source)

    Neither the number of votes behind the labels nor the way that they were fitted is in it. Errors that the labels
    of one source share count as true. Raises `UserError` where no source has several clips.
    """
    fits, sources, labels = _with_all(fits, sources, labels)
    _, member = np.unique(sources, return_inverse=True)
    others = np.bincount(member)[member] - 1.0
    if not others.any():
        raise UserError("no two of the labelled clips are of one source: the labels' reliability cannot be found")
    columns = [others[:, None], _moments(labels, labels)[:, None, :], _with_siblings(labels, labels, member)[:, None]]
    columns += [_moments(fits[:, 0], fits[:, 1]), _with_siblings(fits[:, 0], fits[:, 1], member)]
    widths = [1, 5, 1, 5 * len(fits), len(fits)]
    terms = np.column_stack([np.reshape(column, (len(labels), -1)) for column in columns])

    def within_sources(means):
        count, moments, siblings, halves_, halves_siblings = np.split(means, np.cumsum(widths)[:-1], axis=-1)
        halves_ = halves_.reshape(*halves_.shape[:-1], -1, 5)
        squared_mean = moments[..., 0] * moments[..., 1]
        labels_within = (siblings[..., 0] / count[..., 0] - squared_mean) / (moments[..., 4] - squared_mean)
        means_of_halves = halves_[..., 0] * halves_[..., 1]
        own = (halves_[..., 4] - means_of_halves).mean(axis=-1)
        across = (halves_siblings / count - means_of_halves).mean(axis=-1)
        return labels_within * own / across

    return _estimate(within_sources, terms, sources, resamples, seed)


def of_ratings(ratings, target, sources, over="clips", resamples=1000, seed=0):
    """The reliability of the mean ratings of clips: (value, low, high); nan where no clip has two ratings.

    The intraclass correlation of a mean of k ratings, ICC(1,k) of Shrout and Fleiss, Psychological Bulletin 86, 1979.
    Variances are estimated from products of two ratings of one clip, less those of two clips. Where clips have
    different numbers of ratings, the error of a label is averaged over the clips. The interval is a bootstrap over
    "clips", by their `sources` [clips], or "raters"; a rater drawn twice is never compared with him- or herself.
    """
    values, known = ratings.answers[target], np.isfinite(ratings.answers[target])
    rated, clip = np.unique(ratings.clip[known], return_inverse=True)
    _, rater = np.unique(ratings.rater[known], return_inverse=True)
    values = values[known] - values[known].mean()
    share = np.mean(1 / np.bincount(clip))  # of a rating's error that is left in a label

    def intraclass(means):
        count = clip.max() + 1
        within, pairs, squares, weight, total, of_clip, weight_of_clip = np.moveaxis(means, -1, 0)
        between = (count * total**2 - of_clip) / (count * weight**2 - weight_of_clip)
        with np.errstate(invalid="ignore", divide="ignore"):
            true = within / pairs - between
            error = squares / weight - between - true
            return true / (true + share * error)

    terms = _rating_terms(values, clip, np.ones(len(values)))
    value = intraclass(terms.mean(axis=0))
    if over == "clips":
        resampled = intraclass(bootstrap.resampled_means(terms, np.asarray(sources)[rated], resamples, seed))
    else:
        random, number = np.random.default_rng(seed), rater.max() + 1
        draws = random.multinomial(number, np.full(number, 1 / number), resamples)
        resampled = intraclass(
            np.array([_rating_terms(values, clip, draw[rater].astype(float)).mean(axis=0) for draw in draws])
        )
    return float(value), *map(float, bootstrap.interval(resampled))


def _rating_terms(values, clip, weights):
    """Sums per clip [clips, 7], of ratings that count `weights` times: what variances within and between are of."""
    total, weight = np.bincount(clip, weights * values), np.bincount(clip, weights)
    within = total**2 - np.bincount(clip, weights**2 * values**2)
    pairs = weight**2 - np.bincount(clip, weights**2)
    return np.stack([within, pairs, np.bincount(clip, weights * values**2), weight, total, total**2, weight**2], axis=1)


def _with_all(fits, sources, *labels):
    """The same of the clips alone that have votes in all halves, and a label."""
    known = np.isfinite(fits).all(axis=(0, 1))
    for values in labels:
        known &= np.isfinite(values)
    if known.sum() < 3:
        raise UserError("fewer than three clips have the votes (and labels) that a reliability is estimated from")
    return fits[:, :, known], np.asarray(sources)[known], *(values[known] - values[known].mean() for values in labels)


def _moments(first, second):
    """x, y, x^2, y^2 and xy per clip, [clips, ..., 5], of [..., clips]."""
    return np.moveaxis(np.stack([first, second, first**2, second**2, first * second], axis=-1), -2, 0)


def _correlation(means):
    x, y, xx, yy, xy = np.moveaxis(means, -1, 0)
    return (xy - x * y) / np.sqrt((xx - x**2) * (yy - y**2))


def _with_siblings(first, second, member):
    """Each clip's value times the sum of those of the other clips of its source, [clips, ...], of [..., clips]."""
    first, second = np.moveaxis(first, -1, 0), np.moveaxis(second, -1, 0)
    sums = np.zeros((2, member.max() + 1, *first.shape[1:]))
    np.add.at(sums[0], member, first)
    np.add.at(sums[1], member, second)
    return (first * (sums[1][member] - second) + second * (sums[0][member] - first)) / 2


def _estimate(statistic, terms, sources, resamples, seed):
    resampled = statistic(bootstrap.resampled_means(terms, sources, resamples, seed))
    return float(statistic(terms.mean(axis=0))), *map(float, bootstrap.interval(resampled))
