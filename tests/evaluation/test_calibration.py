"""Labels regressed on answers."""

import numpy as np
import pytest

from first_impression.evaluation import bootstrap, calibration, metrics


def sides(slope, intercept, count=600, seed=0):
    random = np.random.default_rng(seed)
    predicted = random.normal(0.5, 0.08, (count, 5))
    return predicted, intercept + slope * predicted + random.normal(0, 0.1, (count, 5)), np.arange(count) // 3


def test_slope_and_intercept_are_those_of_least_squares():
    predicted, true, _ = sides(0.7, 0.2)
    found = calibration.line(metrics.terms(predicted, true).mean(axis=0), true.mean(axis=0))
    for trait in range(5):
        slope, intercept = np.polyfit(predicted[:, trait], true[:, trait], 1)
        assert found["slope"][trait] == pytest.approx(slope)
        assert found["intercept"][trait] == pytest.approx(intercept)


def test_intervals_hold_the_slope_and_intercept_of_the_simulation():
    held = []
    for seed in range(60):
        predicted, true, sources = sides(0.8, 0.1, 300, seed)
        means = bootstrap.resampled_means(metrics.terms(predicted, true), sources, 200)
        for name, value in (("slope", 0.8), ("intercept", 0.1)):
            low, high = bootstrap.interval(calibration.line(means, true.mean(axis=0))[name])
            held += list((low <= value) & (value <= high))
    assert 0.9 < np.mean(held) < 0.98


def test_equal_answers_have_no_slope():
    true = np.random.default_rng(0).uniform(size=(20, 5))
    found = calibration.line(metrics.terms(np.full((20, 5), 0.5), true).mean(axis=0), true.mean(axis=0))
    assert np.isnan(found["slope"]).all() and np.isnan(found["intercept"]).all()


def test_bins_hold_equal_numbers_and_their_mean_labels():
    predicted, true, sources = sides(0.7, 0.2)
    answers, labels, low, high = calibration.bins(predicted[:, 0], true[:, 0], sources, 200)
    order = np.argsort(predicted[:, 0]).reshape(10, 60)
    assert np.allclose(answers, predicted[order, 0].mean(axis=1)) and np.allclose(labels, true[order, 0].mean(axis=1))
    assert (low < labels).all() and (labels < high).all()


@pytest.mark.parametrize("predicted", [[0.5] * 6, [0.1, 0.9], [0.3]])
def test_few_or_equal_answers_fill_fewer_bins(predicted):
    predicted = np.array(predicted)
    answers, labels, _, _ = calibration.bins(predicted, predicted, np.arange(len(predicted)), 20)
    assert np.allclose(answers, np.unique(predicted)) and np.allclose(labels, answers)
