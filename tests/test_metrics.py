"""Scores against numbers worked out by hand."""

import numpy as np

from first_impression import metrics


def test_accuracy_is_one_minus_the_mean_absolute_error():
    predicted = [[0.5, 0.2, 0.9, 0.0, 1.0], [0.7, 0.4, 0.9, 0.5, 0.0]]
    true = [[0.4, 0.2, 1.0, 0.5, 1.0], [0.4, 0.8, 0.8, 0.5, 1.0]]
    assert np.allclose(metrics.accuracy(predicted, true), [0.8, 0.8, 0.9, 0.75, 0.5])


def test_frames_are_averaged_by_clip_however_they_are_mixed():
    names, means = metrics.by_clip(np.array(["b", "a", "b", "b", "a"]), [[1, 0], [2, 5], [3, 0], [8, 3], [4, 6]])
    assert names == ["b", "a"]
    assert means.tolist() == [[4, 1], [3, 5.5]]


def test_table_shows_the_mean_and_four_decimals():
    text = metrics.table({"by clip": np.array([0.9, 0.8, 0.7, 0.6, 0.5]), "constant guess": np.full(5, 0.88336)})
    head, first, second = text.splitlines()
    assert head.split()[:2] == ["mean", "extraversion"]
    assert first.split() == ["by", "clip", "0.7000", "0.9000", "0.8000", "0.7000", "0.6000", "0.5000"]
    assert second.split()[2] == "0.8834"
