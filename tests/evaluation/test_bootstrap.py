"""The bootstrap over sources against one that copies the clips of every draw."""

import numpy as np
import pytest
from scipy import stats

from first_impression.evaluation import bootstrap, metrics


def clips_of(count, sources, seed=0, ties=False):
    random = np.random.default_rng(seed)
    true = random.uniform(size=(count, 5))
    predicted = true + random.normal(0, 0.1, true.shape)
    if ties:
        true, predicted = np.round(true, 1), np.round(predicted, 1)
    return predicted, true, [f"source{number}" for number in random.integers(0, sources, count)]


def draws(count, resamples, seed):
    """The numbers of the sources in each draw, as the library draws them."""
    return np.random.default_rng(seed).integers(0, count, (resamples, count))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("count", "sources"), [(200, 80), (40, 40), (30, 2)])
def test_every_score_of_every_draw_is_that_of_the_copied_clips(count, sources, ties):
    predicted, true, of_clip = clips_of(count, sources, ties=ties)
    fast = metrics.scores(bootstrap.resampled_means(metrics.terms(predicted, true), of_clip, 60, seed=7))
    names = sorted(set(of_clip))
    for number, draw in enumerate(draws(len(names), 60, 7)):
        rows = [row for source in draw for row, name in enumerate(of_clip) if name == names[source]]
        p, t = predicted[rows], true[rows]
        assert np.allclose(fast["accuracy"][number], 1 - np.abs(p - t).mean(axis=0))
        assert np.allclose(fast["MSE"][number], np.square(p - t).mean(axis=0))
        for trait in range(5):
            assert np.isclose(fast["Pearson"][number, trait], stats.pearsonr(p[:, trait], t[:, trait]).statistic)
            (var_p, cov), (_, var_t) = np.cov(p[:, trait], t[:, trait], ddof=0)
            lin = 2 * cov / (var_p + var_t + (p[:, trait].mean() - t[:, trait].mean()) ** 2)
            assert np.isclose(fast["CCC"][number, trait], lin)
            assert np.isclose(fast["R2"][number, trait], 1 - np.square(p - t)[:, trait].mean() / var_t)


def test_draws_at_several_times_are_as_many_and_seeded(monkeypatch):
    predicted, true, of_clip = clips_of(50, 20)
    terms = metrics.terms(predicted, true)
    whole = bootstrap.resampled_means(terms, of_clip, 500, seed=3)
    assert np.array_equal(whole, bootstrap.resampled_means(terms, of_clip, 500, seed=3))
    assert not np.array_equal(whole, bootstrap.resampled_means(terms, of_clip, 500, seed=4))
    monkeypatch.setattr(bootstrap, "DRAWS_AT_A_TIME", 7 * len(set(of_clip)))
    parts = bootstrap.resampled_means(terms, of_clip, 500, seed=3)
    assert parts.shape == whole.shape
    assert np.allclose(parts.std(axis=0), whole.std(axis=0), rtol=0.3)
    assert len(np.unique(parts[:, 0, 0])) > 490  # no draw comes again with the next part


def test_with_one_clip_per_source_the_interval_is_the_normal_one():
    predicted, true, _ = clips_of(400, 1)
    means = bootstrap.resampled_means(metrics.terms(predicted, true), [str(n) for n in range(400)], 4000)
    low, high = bootstrap.interval(metrics.scores(means)["accuracy"].mean(axis=-1))
    of_clip = 1 - np.abs(predicted - true).mean(axis=1)
    error = of_clip.std() / np.sqrt(400)
    assert low == pytest.approx(of_clip.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(of_clip.mean() + 1.96 * error, abs=0.15 * error)


def test_clips_of_one_source_that_share_their_error_widen_the_interval():
    random = np.random.default_rng(5)
    true = random.uniform(size=(400, 5))
    shared = np.repeat(random.normal(0, 0.1, (100, 5)), 4, axis=0)  # 100 videos of 4 clips, with one error each
    terms = metrics.terms(true + shared, true)
    widths = []
    for sources in ([str(n) for n in range(400)], [str(n // 4) for n in range(400)]):
        accuracy = metrics.scores(bootstrap.resampled_means(terms, sources, 4000))["accuracy"]
        widths.append(np.subtract(*bootstrap.interval(accuracy)[::-1]))
    assert np.allclose(widths[1] / widths[0], 2, rtol=0.15)  # as with a quarter of the clips


def test_one_source_gives_no_interval():
    predicted, true, _ = clips_of(5, 1)
    for count in (1, 5):
        means = bootstrap.resampled_means(metrics.terms(predicted[:count], true[:count]), ["a"] * count, 20)
        assert np.isnan(means).all()
        assert np.isnan(bootstrap.interval(metrics.scores(means)["CCC"])).all()


def test_draws_without_a_correlation_are_left_out():
    """Two sources of one clip each: half of the draws have the same clip twice."""
    predicted, true = np.array([[0.2] * 5, [0.6] * 5]), np.array([[0.1] * 5, [0.7] * 5])
    pearson = metrics.scores(bootstrap.resampled_means(metrics.terms(predicted, true), ["a", "b"], 100))["Pearson"]
    assert 20 < np.isnan(pearson[:, 0]).sum() < 80
    assert np.allclose(bootstrap.interval(pearson), 1)
