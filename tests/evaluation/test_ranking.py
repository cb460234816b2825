"""Ranks: the share of others that is lower, and its interval."""

import numpy as np
import pytest

from first_impression.evaluation.ranking import QUANTILES, Ranking, quantiles_of, wilson


def ranking(values, sources=None):
    return Ranking("of a test", len(values), sources or len(values), quantiles_of(values))


@pytest.mark.parametrize("count", [1, 3, 7, 75, 100, 101, 400, 2000])
def test_the_share_is_that_of_a_count_rounded_down(count):
    values = np.random.default_rng(count).permuted(np.tile(np.arange(count) / count, (5, 1)), axis=1).T
    found = ranking(values)
    assert found.quantiles.shape == (QUANTILES, 5)
    for lower in {0, 1, count // 3, count // 2, count - 1, count}:
        answer = (lower - 0.5) / count  # `lower` of the values 0, 1/n .. are below
        assert found.rank(np.full(5, answer))["percent"].tolist() == [100 * lower // count] * 5
    assert (found.rank(np.full(5, values.min()))["percent"] == 0).all()  # equal is not lower


def test_each_trait_is_ranked_among_its_own():
    # of the 200 values k / 199 .. of a trait, k = 0 .. 198, 99, 66, 49 and 39 are lower
    values = np.linspace(0, 1, 200)[:, None] * [0.1, 0.2, 0.3, 0.4, 0.5]
    assert ranking(values).rank(np.full(5, 0.0999))["percent"].tolist() == [99, 50, 33, 25, 20]


def test_the_histogram_is_of_the_values_and_has_all_of_them():
    values = np.tile(np.repeat([0.11, 0.45, 0.99], [50, 30, 20])[:, None], 5)
    histogram = ranking(values).histogram(10)
    assert histogram.shape == (10, 5) and histogram[:, 3].tolist() == [0, 50, 0, 0, 30, 0, 0, 0, 0, 20]


def test_wilson_s_interval():
    # By hand: share 1/2 of 4 has the middle 1/2, and half the width sqrt(z^2 / 16 + z^4 / 64) / (1 + z^2 / 4)
    z = 1.959964
    half = np.sqrt(z**2 / 16 + z**4 / 64) / (1 + z**2 / 4)
    assert wilson(0.5, 4) == pytest.approx((0.5 - half, 0.5 + half))
    low, high = wilson(0.0, 10)
    assert low == 0 and high == pytest.approx(z**2 / (10 + z**2))  # nothing found in 10
    assert wilson(1.0, 10)[1] == 1


@pytest.mark.parametrize("alike", [0.0, 0.5, 0.95])
def test_the_interval_holds_the_true_share_though_clips_of_a_source_are_alike(alike):
    random = np.random.default_rng(3)
    answer, held = np.full(5, 0.56), 0
    for _ in range(300):
        of_source = np.repeat(random.normal(size=(25, 5)), 3, axis=0)
        values = 0.5 + 0.1 * (np.sqrt(alike) * of_source + np.sqrt(1 - alike) * random.normal(size=(75, 5)))
        found = ranking(values, 25).rank(answer)
        held += ((found["low"] <= 72.57) & (found["high"] >= 72.57)).mean()  # of the normal distribution below 0.6
    assert held / 300 >= 0.93
    if not alike:  # then each clip says as much as a source, and the interval is wider than it need be
        assert held / 300 > 0.98
