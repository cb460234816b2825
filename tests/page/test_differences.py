"""Take A beside take B."""

import re

import numpy as np
import pytest

from first_impression.evaluation.display import COLOURS
from first_impression.page import comparison
from first_impression.page.views import drawing
from first_impression.page.views.measured import facts

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


def difference(a, b, within):
    return {"a": a, "b": b, "difference": b - a, "within": within}


def test_difference_within_take_variation_is_not_reported():
    for b, within in ((0.531, 0.05), (0.45, 0.05), (0.509, 0.0), (0.4475, 0.05)):
        assert "no more than a take moves by itself" in comparison.in_words(difference(0.5, b, within))
    assert comparison.in_words(difference(0.5, 0.44, 0.05)) == "-0.06, more than a take moves by itself (0.05)"
    assert "not known" in comparison.in_words(difference(0.5, 0.3, None))


@pytest.mark.parametrize(("moved", "within"), [(0.0149, 0.0), (0.0249, 0.0151)])
def test_of_two_numbers_that_are_shown_as_the_same_none_is_larger(moved, within):
    assert not comparison.is_larger(moved, within) and comparison.is_larger(-moved - 0.01, within)


def test_a_difference_is_that_of_the_numbers_that_are_shown():
    assert comparison.in_words(difference(0.371, 0.6152, 0.0)).startswith("+0.25,")  # 0.37 and 0.62


def face(x=0.5, y=0.4, size=0.1, counts=(0, 9)):
    return {"faces": list(counts), "measured": {"face": {"x": x, "y": y, "size": size}}}


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (face(x=0.2), "the face lies elsewhere, by 30 % of the width and 0 % of the height"),
        (face(size=0.35), "one face is 3.5 times as large as the other"),
        (face(counts=(0, 1, 8)), "most frames show 1 and 2 faces: compare takes of one person alone"),
        (face(0.45, 0.45, 0.19), None),  # somebody who leans forward
        (face(None, None, None, counts=(9,)), "most frames show 1 and 0 faces: compare takes of one person alone"),
        ({"faces": None, "measured": {"face": None}}, None),
    ],
)
def test_takes_are_not_to_be_compared_where_faces_clearly_differ(other, told):
    assert list(comparison.unlike(face(), other)) == ([told] if told else [])


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        ([0.5, 0.51], 0.405, 0.605),
        ([0.01, 0.02], 0, 0.2),
        ([0.99, 1.0], 0.8, 1),
        ([0.2, 0.8], 0.18, 0.82),
        ([0, 1], 0, 1),
    ],
)
def test_an_axis_is_never_so_narrow_that_noise_fills_it(values, low, high):
    assert drawing.axis(values) == pytest.approx((low, high))


@pytest.mark.parametrize(
    ("values", "least", "bounds", "low", "high"),
    [
        ([-23.5, -18.0], 4.7, (-np.inf, np.inf), -23.97, -17.53),
        ([0, 0], 4, (0, np.inf), 0, 4),
        ([-20.0], 4, (-np.inf, np.inf), -22, -18),
    ],
)
def test_an_axis_may_go_on_without_an_end(values, least, bounds, low, high):
    assert drawing.axis(values, least, bounds) == pytest.approx((low, high))


def test_what_is_measured_of_two_takes_stands_in_one_row_each():
    sound = {key: 0.5 for key in ("speaking_share", "longest_pause", "syllables_per_second", "loudness_range", "pitch")}
    sound |= {"pauses": 2, "pause_seconds": 9.0, "loudness": -23.0, "pitch_range": None}
    first = {"sound": sound, "pictures": None, "face": {"one_face_share": 1.0, "size": 0.08, "x": None, "y": None}}
    second = {
        "sound": sound | {"pauses": 2, "pause_seconds": 4.04, "loudness": -18.0},
        "pictures": None,
        "face": {"one_face_share": 1.0, "size": 0.15, "x": 0.5, "y": 0.5},
    }
    rows = dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", facts({"measured": first}, {"measured": second})))
    assert rows["Pauses in all"] == "9.0 → 4.0 s" and rows["Pauses"] == "2" and rows["Loudness"] == "-23.0 → -18.0 dB"
    assert rows["Size of the face"] == "8.0 → 15.0 % of the picture" and rows["Speaking"] == "50 % of the time"
    assert not {"Brightness", "Pitch range", "Face from the left"} & rows.keys()


def test_a_band_lies_about_the_answer_and_on_the_axis():
    line = drawing.Line([0.0, 2.0], np.array([0.5, 0.5]), "#000", 0.5, 0.2)
    drawn = drawing.lines([line], 0, 2)
    assert '<span class="high">0.72</span><span class="low">0.28</span>' in drawn
    assert 'y="4.5" height="90.9"' in drawn  # per cent of the axis from the top: 0.02 / 0.44, 0.4 / 0.44
    assert "band" not in drawing.lines([line._replace(moves=None)], 0, 2)


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
