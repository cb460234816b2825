"""The reliability of labels, on simulated judgements whose true values are known."""

import numpy as np
import pytest
from scipy import optimize
from simulated import pairs, ratings_of, true_values, votes_on

from first_impression.common.errors import UserError
from first_impression.evaluation import ceiling, metrics, reliability


def fit_all(votes, ridge=0.5):
    left, right, answers = reliability.known_votes(votes, "x")
    return reliability.bradley_terry(left, right, answers, len(votes.clips), ridge)


def test_the_fit_is_the_maximum_of_the_penalised_likelihood():
    random = np.random.default_rng(0)
    left, right = pairs(12, 10, random)
    answers = np.round(random.random(len(left)) * 2) / 2  # 0, 0.5 and 1

    def loss(strengths):
        ahead = strengths[left] - strengths[right]
        return np.sum(np.logaddexp(0, ahead) - answers * ahead) + 0.5 / 2 * np.sum(strengths**2)

    expected = optimize.minimize(loss, np.zeros(12), tol=1e-10).x
    assert np.allclose(reliability.bradley_terry(left, right, answers, 12, 0.5), expected, atol=1e-4)


def test_a_clip_that_won_every_vote_stays_finite():
    fit = reliability.bradley_terry(np.array([0, 0, 1]), np.array([1, 2, 2]), np.ones(3), 3)
    assert np.isfinite(fit).all() and fit[0] > fit[1] > fit[2]


def test_halves_give_every_clip_half_of_its_votes():
    random = np.random.default_rng(0)
    left, right = pairs(300, 40, random)
    first = reliability.halves(left, right, 300, random)
    sides = np.concatenate([left, right])
    counts = np.bincount(sides[np.tile(first, 2)], minlength=300)
    assert np.abs(counts - 20).max() <= 2 and abs(first.mean() - 0.5) < 0.01
    assert not np.array_equal(first, reliability.halves(left, right, 300, random))


def covered(simulate, times):
    """Which share of `times` simulations has the reliability within its interval, and the mean error of estimates.

    The reliability is the mean over the simulations of the squared correlation of labels and true values. What that is
    in one simulation varies around it; which share of the intervals holds it is printed.
    """
    found = [simulate(np.random.default_rng(seed)) for seed in range(times)]
    reliability_ = np.mean([true for true, _ in found])
    inside = [low <= reliability_ <= high for _, (_, low, high) in found]
    own = [low <= true <= high for true, (_, low, high) in found]
    print(f"the reliability is held by {np.mean(inside):.3f}, the simulation's own by {np.mean(own):.3f}")
    return np.mean(inside), np.mean([value - reliability_ for _, (value, _, _) in found])


@pytest.mark.parametrize("spread", [0.4, 0.8])
def test_the_interval_of_a_fits_reliability_covers_the_truth(spread):
    def simulate(random):
        true, sources = true_values(500, 1, random, spread)
        votes = votes_on(true, *pairs(500, 40, random), random)
        fits = reliability.fits_of_halves(votes, "x", splits=3, seed=1)
        known = np.corrcoef(fit_all(votes), true)[0, 1] ** 2
        return known, reliability.of_fit(fits, sources, 300)

    share, bias = covered(simulate, 30)
    assert share >= 0.86 and abs(bias) < 0.015  # 95 % of 30 simulations: at least 26 in 98 of 100 cases


def labels_of_more_votes(random, clips=1200, per_source=3):
    """(true values, sources, labels, votes): the labels are made of 40 votes a clip, the votes known are 24 of these.

    They are fitted with another ridge, rounded and bent, as labels from 0 to 1 may be.
    """
    true, sources = true_values(clips, per_source, random)
    left, right = pairs(clips, 40, random)
    votes = votes_on(true, left, right, random, unknown=0)
    known = slice(0, len(left) * 24 // 40)
    public = votes._replace(left=left[known], right=right[known], answers={"x": votes.answers["x"][known]})
    labels = np.round(1 / (1 + np.exp(-0.8 * fit_all(votes, 2.0))), 2)
    return true, sources, labels, public


def test_the_interval_of_labels_made_of_more_votes_covers_the_truth():
    def simulate(random):
        true, sources, labels, public = labels_of_more_votes(random)
        fits = reliability.fits_of_halves(public, "x", splits=3, seed=1)
        return np.corrcoef(labels, true)[0, 1] ** 2, reliability.of_labels(labels, fits, sources, 300)

    share, bias = covered(simulate, 40)
    assert share >= 0.87 and abs(bias) < 0.015


def test_labels_of_more_votes_are_more_reliable_than_the_fit_of_those_known():
    true, sources, labels, public = labels_of_more_votes(np.random.default_rng(0), 3000)
    fits = reliability.fits_of_halves(public, "x", splits=3)
    (of_labels, low, _), (of_fit, _, high) = (
        reliability.of_labels(labels, fits, sources, 200),
        reliability.of_fit(fits, sources, 200),
    )
    assert low > high and of_labels - of_fit > 0.05


def test_labels_without_clips_of_one_source_are_refused():
    true, _, labels, public = labels_of_more_votes(np.random.default_rng(0), 200)
    fits = reliability.fits_of_halves(public, "x", splits=1)
    with pytest.raises(UserError, match="no two"):
        reliability.of_labels(labels, fits, np.arange(200).astype(str), 20)


def test_neither_ridge_nor_unknown_votes_decide():
    random = np.random.default_rng(0)
    true, sources = true_values(2000, 1, random)
    votes = votes_on(true, *pairs(2000, 40, random), random, unknown=0.12)
    found = [
        reliability.of_fit(reliability.fits_of_halves(votes, "x", ridge, ties, splits=3), sources, 20)[0]
        for ridge, ties in ((0.5, False), (0.1, False), (2.5, False), (0.5, True))
    ]
    assert np.ptp(found) < 0.03, found


def icc_1k(values):
    """ICC(1,k) of ratings [clips, k] by the analysis of variance."""
    clips, k = values.shape
    between = k * np.sum((values.mean(axis=1) - values.mean()) ** 2) / (clips - 1)
    within = np.sum((values - values.mean(axis=1, keepdims=True)) ** 2) / (clips * (k - 1))
    return (between - within) / between


def test_ratings_of_equal_number_give_the_intraclass_correlation():
    ratings = ratings_of(np.random.default_rng(0).normal(size=50), 4, 200, np.random.default_rng(1))
    value, low, high = reliability.of_ratings(ratings, "x", ratings.clips, resamples=50)
    assert value == pytest.approx(icc_1k(ratings.answers["x"].reshape(50, 4)), abs=1e-12)
    assert low < value < high


@pytest.mark.parametrize(("over", "leniency"), [("clips", 0.0), ("raters", 0.6)])
def test_the_interval_of_mean_ratings_covers_the_truth(over, leniency):
    def simulate(random):
        true = random.normal(size=150)
        ratings = ratings_of(true, random.integers(3, 8, 150), 40, random, leniency=leniency)
        error = (1 + leniency**2) * np.mean(1 / np.bincount(ratings.clip))
        return np.var(true) / (np.var(true) + error), reliability.of_ratings(ratings, "x", ratings.clips, over, 300)

    share, bias = covered(simulate, 80)
    assert share >= 0.85 and abs(bias) < 0.02


def test_single_ratings_have_no_reliability():
    ratings = ratings_of(np.random.default_rng(0).normal(size=20), 1, 5, np.random.default_rng(0))
    assert np.isnan(reliability.of_ratings(ratings, "x", ratings.clips, resamples=5)[0])


def test_who_knows_the_true_values_scores_the_ceiling():
    """Labels fitted to votes, spread over 0 to 1, and the answers that the true values allow."""
    random = np.random.default_rng(0)
    true, _ = true_values(4000, 1, random)
    fit = fit_all(votes_on(true, *pairs(4000, 40, random), random))
    labels = np.clip(0.5 + 0.15 * fit / fit.std(), 0, 1)
    known = np.corrcoef(labels, true)[0, 1] ** 2
    best = ceiling.ceilings(known, labels.std())
    slope, intercept = np.polyfit(true, labels, 1)
    answers = np.tile((slope * true + intercept)[:, None], 5)
    scores = {name: values[0] for name, values in metrics.all_scores(answers, np.tile(labels[:, None], 5)).items()}
    assert scores["accuracy"] == pytest.approx(best["accuracy"], abs=0.002)  # the errors are nearly normal
    for score in ("R2", "Pearson"):
        assert scores[score] == pytest.approx(best[score], abs=1e-9)
    assert scores["CCC"] == pytest.approx(2 * known / (1 + known), abs=1e-9)
    stretched = (answers - answers.mean()) * labels.std() / answers.std() + labels.mean()
    assert metrics.all_scores(stretched, np.tile(labels[:, None], 5))["CCC"][0] == pytest.approx(best["CCC"], abs=1e-9)


def gain_of_a_cheat(clips, random):
    """How far votes between training and test clips lift R2 over its ceiling, for the best cheat there can be.

    It knows the true value of every clip, the training labels, and who met whom in the votes: from the errors of the
    training labels of a test clip's opponents it guesses the error of its own.
    """
    true, _ = true_values(clips, 1, random)
    votes = votes_on(true, *pairs(clips, 40, random), random)
    left, right, _ = reliability.known_votes(votes, "x")
    fit, test = fit_all(votes), np.arange(clips) < clips // 5
    errors = fit - np.polyval(np.polyfit(true, fit, 1), true)
    known = np.where(test, 0, errors)
    of_opponents = np.bincount(left, known[right], clips) + np.bincount(right, known[left], clips)
    explained = np.corrcoef(of_opponents[test], errors[test])[0, 1] ** 2
    return explained * errors[test].var() / fit[test].var()


def test_votes_between_training_and_test_clips_lift_the_ceiling_by_little():
    gains = [gain_of_a_cheat(2000, np.random.default_rng(seed)) for seed in range(5)]
    print(f"R2 over its ceiling, mean of five simulations: {np.mean(gains):.4f}")
    assert np.mean(gains) < 0.01
