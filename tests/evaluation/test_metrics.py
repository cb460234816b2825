"""Scores against numbers worked out by hand and against SciPy's."""

import numpy as np
import pytest
from scipy import stats

from first_impression.evaluation import metrics


def test_accuracy_is_one_minus_the_mean_absolute_error():
    predicted = [[0.5, 0.2, 0.9, 0.0, 1.0], [0.7, 0.4, 0.9, 0.5, 0.0]]
    true = [[0.4, 0.2, 1.0, 0.5, 1.0], [0.4, 0.8, 0.8, 0.5, 1.0]]
    assert np.allclose(metrics.accuracy(predicted, true), [0.8, 0.8, 0.9, 0.75, 0.5])


def test_correlations_and_squared_errors_equal_scipys():
    random = np.random.default_rng(0)
    true = random.uniform(size=(60, 5))
    predicted = 0.6 * true + 0.1 + random.normal(0, 0.1, (60, 5)) * np.arange(5)
    for column in range(5):
        p, t = predicted[:, column], true[:, column]
        assert np.isclose(metrics.pearson(predicted, true)[column], stats.pearsonr(p, t).statistic)
        # Lin's definition, from covariance matrix and means
        (var_p, cov), (_, var_t) = np.cov(p, t, ddof=0)
        lin = 2 * cov / (var_p + var_t + (p.mean() - t.mean()) ** 2)
        assert np.isclose(metrics.concordance(predicted, true)[column], lin)
        residual = np.sum((t - p) ** 2)
        assert np.isclose(metrics.r_squared(predicted, true)[column], 1 - residual / np.sum((t - t.mean()) ** 2))
        assert np.isclose(metrics.mean_squared_error(predicted, true)[column], residual / 60)


def test_extremes():
    true = np.random.default_rng(1).uniform(size=(30, 5))
    assert np.allclose(metrics.concordance(true, true), 1) and np.allclose(metrics.r_squared(true, true), 1)
    assert np.allclose(metrics.pearson(1 - true, true), -1)
    flat = np.tile(true.mean(axis=0), (30, 1))
    assert np.allclose(metrics.r_squared(flat, true), 0) and np.allclose(metrics.concordance(flat, true), 0)
    assert np.isnan(metrics.pearson(np.full((30, 5), 0.5), true)).all()


def test_bootstrap_interval_is_seeded_and_near_the_normal_one():
    random = np.random.default_rng(2)
    true = random.uniform(size=(400, 5))
    predicted = true + random.normal(0, 0.1, true.shape)
    low, high = metrics.bootstrap_interval(predicted, true)
    assert (
        (low, high)
        == metrics.bootstrap_interval(predicted, true)
        != metrics.bootstrap_interval(predicted, true, seed=1)
    )
    of_clip = 1 - np.abs(predicted - true).mean(axis=1)
    error = of_clip.std() / np.sqrt(400)
    assert low == pytest.approx(of_clip.mean() - 1.96 * error, abs=0.2 * error)
    assert high == pytest.approx(of_clip.mean() + 1.96 * error, abs=0.2 * error)


def test_frames_are_averaged_by_clip_however_they_are_mixed():
    names, means = metrics.by_clip(np.array(["b", "a", "b", "b", "a"]), [[1, 0], [2, 5], [3, 0], [8, 3], [4, 6]])
    assert names == ["b", "a"]
    assert means.tolist() == [[4, 1], [3, 5.5]]


def test_floors_look_at_names_alone():
    labels = {"-a.b.000": np.full(5, 0.2), "-a.b.001": np.full(5, 0.4), "c.000": np.full(5, 0.9)}
    assert [metrics.source(clip) for clip in labels] == ["-a.b", "-a.b", "c"]
    clips = ["-a.b.005", "c.003", "d.000", "-a.000"]
    assert np.allclose(metrics.constant_guess(clips, labels), 0.5)
    assert np.allclose(metrics.same_source_lookup(clips, labels)[:, 0], [0.3, 0.9, 0.5, 0.5])


def test_fusion_is_the_weighted_mean_of_the_models_that_know_the_clip():
    first, second = {"x": np.zeros(5), "y": np.full(5, 0.6)}, {"x": np.ones(5), "z": np.full(5, 0.1)}
    fused = metrics.fuse([first, second], [1, 1])
    assert {clip: values[0] for clip, values in fused.items()} == {"x": 0.5, "y": 0.6, "z": 0.1}
    fused = metrics.fuse([first, second], [3, 1])
    assert {clip: values[0] for clip, values in fused.items()} == {"x": 0.25, "y": 0.6, "z": 0.1}
    assert set(metrics.fuse([first, second], [1, 0])) == {"x", "y"}


def test_table_shows_the_mean_and_four_decimals():
    text = metrics.table({"by clip": np.array([0.9, 0.8, 0.7, 0.6, 0.5]), "constant guess": np.full(5, 0.88336)})
    head, first, second = text.splitlines()
    assert head.split()[:2] == ["mean", "extraversion"]
    assert first.split() == ["by", "clip", "0.7000", "0.9000", "0.8000", "0.7000", "0.6000", "0.5000"]
    assert second.split()[2] == "0.8834"
