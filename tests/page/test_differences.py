"""Take A beside take B."""

import numpy as np
import pytest

from first_impression.evaluation.display import COLOURS
from first_impression.page import comparison

SHOWN = tuple(COLOURS)  # the five, in the order of display


def clip(**scores):
    return {"models": {name: dict.fromkeys(SHOWN, score) for name, score in scores.items()}}


def test_a_difference_stands_beside_the_larger_variation_of_the_two():
    moves = dict.fromkeys(SHOWN, 0.01), dict.fromkeys(SHOWN, 0.05)
    found = comparison.compare(clip(dan=0.5), clip(dan=0.53), ["dan"], moves)
    assert list(found) == list(SHOWN)
    assert found["openness"]["difference"] == pytest.approx(0.03) and found["openness"]["within"] == 0.05


def test_takes_are_compared_over_the_models_that_have_answered_both():
    mute, whole = clip(dan=0.5, resnet=0.7), clip(audio=0.1, resnet=0.8, dan=0.6)
    models = comparison.models_of_both(mute, whole)
    found = comparison.compare(mute, whole, models, (None, None))["openness"]
    assert models == ["dan", "resnet"]
    assert (found["a"], found["b"], found["difference"]) == (pytest.approx(0.6), pytest.approx(0.7), pytest.approx(0.1))


def test_difference_within_take_variation_is_not_reported():
    for difference, within in ((0.031, 0.05), (-0.05, 0.05), (0.009, 0.0)):
        assert "no difference that this model can see" in comparison.in_words(difference, within)
    assert "larger than the variation" in comparison.in_words(-0.051, 0.05)
    assert "not known" in comparison.in_words(-0.2, None)


def test_no_verdict_without_the_variation_of_both_takes():
    found = comparison.compare(clip(dan=0.5), clip(dan=0.9), ["dan"], (None, dict.fromkeys(SHOWN, 0.05)))
    assert {difference["within"] for difference in found.values()} == {None}


def test_the_course_is_the_mean_of_the_models_and_its_mean_the_answer():
    seen = {name: dict.fromkeys(SHOWN, values) for name, values in (("a", [0.2, 0.4, 0.3]), ("b", [0.4, 0.8, 0.3]))}
    models = clip(a=0.3, b=0.5, ear=0.7)["models"]
    windows = [
        {"start": 0.0, "end": 2.0, "models": clip(a=0.3, b=0.6, ear=0.9)["models"]},
        {"start": 2.0, "end": 4.0, "models": clip(a=0.3, b=0.3, ear=0.5)["models"]},
    ]
    answer = {"by_frame": {"times": [0.0, 1.0, 2.0], "models": seen}, "models": models, "windows": windows}
    course = comparison.course(answer)["openness"]
    np.testing.assert_allclose(course, [0.5, 0.7, 1.1 / 3])
    assert np.mean(course[:2]) == pytest.approx((0.3 + 0.6 + 0.9) / 3)  # the answer to the first window
    np.testing.assert_allclose(comparison.course(answer, ["a", "b"])["openness"], [0.3, 0.6, 0.3])
    assert not len(comparison.course(answer, ["ear"])["openness"])
    blind = {"by_frame": {"times": [], "models": {}}, "models": clip(ear=0.5)["models"], "windows": []}
    assert not len(comparison.course(blind)["openness"])
