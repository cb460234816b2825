"""Scores against numbers worked out by hand and against SciPy's."""

import numpy as np
import pytest
from scipy import stats

from first_impression.evaluation import metrics, summary


def test_accuracy_is_one_minus_the_mean_absolute_error():
    predicted = [[0.5, 0.2, 0.9, 0.0, 1.0], [0.7, 0.4, 0.9, 0.5, 0.0]]
    true = [[0.4, 0.2, 1.0, 0.5, 1.0], [0.4, 0.8, 0.8, 0.5, 1.0]]
    assert np.allclose(metrics.accuracy(predicted, true), [0.8, 0.8, 0.9, 0.75, 0.5])
    assert np.allclose(metrics.all_scores(predicted, true)["accuracy"], [0.8, 0.8, 0.9, 0.75, 0.5])


def test_correlations_and_squared_errors_equal_scipys():
    random = np.random.default_rng(0)
    true = random.uniform(size=(60, 5))
    predicted = 0.6 * true + 0.1 + random.normal(0, 0.1, (60, 5)) * np.arange(5)
    scores = metrics.all_scores(predicted, true)
    for column in range(5):
        p, t = predicted[:, column], true[:, column]
        assert np.isclose(scores["Pearson"][column], stats.pearsonr(p, t).statistic)
        # Lin's definition, from covariance matrix and means
        (var_p, cov), (_, var_t) = np.cov(p, t, ddof=0)
        lin = 2 * cov / (var_p + var_t + (p.mean() - t.mean()) ** 2)
        assert np.isclose(scores["CCC"][column], lin)
        residual = np.sum((t - p) ** 2)
        assert np.isclose(scores["R2"][column], 1 - residual / np.sum((t - t.mean()) ** 2))
        assert np.isclose(scores["MSE"][column], residual / 60)


def test_correlation_of_a_model_that_hardly_moves_is_exact():
    random = np.random.default_rng(3)
    true = random.uniform(size=(200, 5))
    predicted = np.float32(0.9 + 1e-4 * random.normal(size=(200, 5)))
    expected = [stats.pearsonr(np.float64(predicted[:, n]), true[:, n]).statistic for n in range(5)]
    assert np.allclose(metrics.all_scores(predicted, true)["Pearson"], expected, atol=1e-9)


def test_extremes():
    true = np.random.default_rng(1).uniform(size=(30, 5))
    assert np.allclose(metrics.all_scores(true, true)["CCC"], 1) and np.allclose(
        metrics.all_scores(true, true)["R2"], 1
    )
    assert np.allclose(metrics.all_scores(1 - true, true)["Pearson"], -1)
    flat = np.tile(true.mean(axis=0), (30, 1))
    assert np.allclose(metrics.all_scores(flat, true)["R2"], 0) and np.allclose(
        metrics.all_scores(flat, true)["CCC"], 0
    )


@pytest.mark.parametrize("constant", [0.5, 0.3, 0.1 + 0.2, np.float32(0.7), 1 / 3])
def test_a_constant_has_no_correlation_however_it_is_rounded(constant):
    true = np.random.default_rng(1).uniform(size=(37, 5))
    flat = np.full((37, 5), constant)
    assert np.isnan(metrics.all_scores(flat, true)["Pearson"]).all()
    assert np.abs(metrics.all_scores(flat, true)["CCC"]).max() < 1e-15
    assert np.isnan(metrics.all_scores(true, flat)["R2"]).all()
    assert np.isnan(metrics.all_scores(flat, flat)["CCC"]).all()


def test_frames_are_averaged_by_clip_however_they_are_mixed():
    names, means = metrics.by_clip(np.array(["b", "a", "b", "b", "a"]), [[1, 0], [2, 5], [3, 0], [8, 3], [4, 6]])
    assert names == ["b", "a"]
    assert means.tolist() == [[4, 1], [3, 5.5]]


def test_frames_in_float32_are_averaged_in_float64():
    random = np.random.default_rng(0)
    values, clips = random.uniform(size=(3000, 5)).astype(np.float32), np.repeat([f"c{n}" for n in range(3)], 1000)
    _, means = metrics.by_clip(clips, values)
    exact = [np.mean(values[start : start + 1000], axis=0, dtype=np.longdouble) for start in (0, 1000, 2000)]
    assert means.dtype == np.float64 and np.abs(means - exact).max() < 1e-15


def test_a_source_is_the_name_before_the_last_dot_number():
    names = {"-a.b.000": "-a.b", "c.003": "c", "holiday": "holiday", "mr. x": "mr. x", ".000": ".000", "": ""}
    assert {name: metrics.source(name) for name in names} == names
    assert metrics.sources_of(["c.003", "holiday", "x"], {"c.003": "Anna", "x": "Anna"}) == ["Anna", "holiday", "Anna"]


def test_table_shows_the_mean_and_four_decimals():
    text = summary.table({"by clip": np.array([0.9, 0.8, 0.7, 0.6, 0.5]), "constant guess": np.full(5, 0.88336)})
    above, head, first, second = text.splitlines()
    assert above.strip() == "emotional" and head.index("stability") == above.index("emotional")
    assert head.split() == ["mean", "extraversion", "agreeableness", "conscientiousness", "stability", "openness"]
    assert first.split() == ["by", "clip", "0.7000", "0.9000", "0.7000", "0.6000", "0.8000", "0.5000"]  # E A C N O
    assert second.split()[2] == "0.8834"
