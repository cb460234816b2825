"""What a take holds, and what is asked of it later on."""

import re
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import make_clip
from pages import LABELS, audio_model, image_model, save_run, tiny_dan

from first_impression.common.errors import BadClipError
from first_impression.evaluation.display import COLOURS
from first_impression.inference import document, models, unlike
from first_impression.inference.answer import STRIP
from first_impression.page import events, layout, takes, visitors
from first_impression.page.views import answer, around, beside, course, measured, moment
from first_impression.training.runs import Run, find_runs

SHOWN = tuple(COLOURS)  # the five, in the order of display

LIMITS = layout.Limits(10, 10, 60.0, 10**6, 15, 6)


@pytest.fixture
def ensemble(folder):
    keras.utils.set_random_seed(3)
    save_run("dan", tiny_dan(seed=3), LABELS)
    save_run("audio", audio_model(), LABELS)
    return models.load(find_runs(Path("runs")))


def take_of(frames, ensemble, **options):
    clip = make_clip("take-1.mp4", frames, **options)
    return takes.answer_take(1, "my clip.mp4", clip, ensemble, 10, 60.0)


def test_a_moment_is_the_frame_next_to_it_and_its_places_add_up(ensemble):
    take = take_of([20] * 50 + [(200, 90)] * 50, ensemble)
    time, jpeg, evidence = takes.moment(take, ensemble.models, 3.0)
    assert abs(time - 3.0) < 0.25 and jpeg == take.frames[time]
    of_dan = evidence["dan"]
    assert list(evidence) == ["dan"] and of_dan["face"] is None and set(of_dan["share"].values()) == {None}
    nearest = np.argmin(np.abs(np.array(take.answer_json["by_frame"]["times"]) - 3.0))
    for trait in SHOWN:
        assert of_dan["bias"][trait] + np.sum(of_dan["maps"][trait]) == pytest.approx(of_dan["logit"][trait])
        answered = take.answer_json["by_frame"]["models"]["dan"][trait][nearest]
        assert of_dan["score"][trait] == pytest.approx(answered, abs=1e-5)
    assert takes.moment(take, ensemble.models, 3.01)[2] is evidence


def test_the_share_inside_a_face_counts_what_raises_and_what_lowers(ensemble, monkeypatch):
    left_half = np.array([[0.0, 0.0, 0.5, 1.0]])
    monkeypatch.setattr(unlike, "find_faces", lambda picture, aspect: left_half)
    take = take_of([(200, 20)] * 20, ensemble)
    evidence = takes.moment(take, ensemble.models, 0.0)[2]["dan"]
    for trait in SHOWN:
        amounts = np.abs(evidence["maps"][trait])
        half = amounts[:, : amounts.shape[1] // 2].sum() + (amounts[:, 3].sum() / 2 if amounts.shape[1] % 2 else 0)
        assert evidence["share"][trait] == pytest.approx(half / amounts.sum())
    assert "covers 50 % of the picture" in moment.section((0.0, b"", {"dan": evidence}), "openness", take.answer_json)


@pytest.mark.slow
def test_a_take_moves_where_its_thirds_are_answered_differently(folder):
    save_run("image", image_model(), LABELS)
    ensemble = models.load(find_runs(Path("runs")))
    still, moving = take_of([90] * 99, ensemble), take_of([20] * 33 + [120] * 33 + [220] * 33, ensemble)
    for trait in SHOWN:
        thirds = np.array(moving.answer_json["by_frame"]["models"]["image"][trait])
        times = np.array(moving.answer_json["by_frame"]["times"])
        means = [thirds[(times >= at) & (times < at + 1.32)].mean() for at in (0, 1.32, 2.64)]
        assert moving.moves()[trait] == pytest.approx(np.std(means), abs=1e-6)
        assert still.moves()[trait] < 1e-4 < moving.moves()[trait]


@pytest.mark.slow
def test_a_short_take_tells_nothing_of_how_it_moves_and_a_long_one_has_its_windows(ensemble):
    assert take_of([90] * 50, ensemble).moves() is None  # thirds of less than a second
    long = take_of([20] * 80 + [200] * 80, ensemble, rate=5)
    assert long.moves() == pytest.approx(long.answer_json["spread"])


def test_sound_alone_and_pictures_alone_are_takes_too(ensemble):
    mute = take_of([20] * 50 + [200] * 50, ensemble, sound=None)
    assert list(mute.answer_json["models"]) == ["dan"] and mute.moves()
    sound = take_of([20] * 100, ensemble, options=("-vn",))
    assert list(sound.answer_json["models"]) == ["audio"] and sound.moves()
    assert takes.moment(sound, ensemble.models, 1.0) is None
    for take in (mute, sound):
        shown = answer.section(take, document.about_models(ensemble)) + measured.section(take.answer_json)
        assert shown.count("higher than") == 5 and "<h2>Measured</h2>" in shown
        (model,) = take.answer_json["models"]  # of one model, its mark would lie on the line
        assert f"The line is the answer of {model}" in shown and "●" not in shown
        assert ("nothing over time" in course.section(take)) == (take is sound)
    about = document.about_models(ensemble)
    assert "No model has answered both" in beside.section(mute, sound, about)
    whole = take_of([20] * 50 + [200] * 50, ensemble)
    assert answer.section(whole, about).count("● ") == 6  # in the legend, and with each number
    shown = beside.section(mute, whole, about)
    assert "By the models that answered both takes: dan.<" in shown and shown.index("Measured") < shown.index("Guessed")
    for trait in SHOWN:  # the same pictures, by the same model: the sound of one of them is no difference
        value = mute.answer_json["models"]["dan"][trait]
        assert f"{value:.2f} → {value:.2f}" in shown and whole.answer_json["fused"][trait] != value
    assert whole.moves(["dan"]) == pytest.approx(mute.moves(), abs=1e-9)


def test_the_player_has_the_frames_of_a_clip_for_a_browser_that_cannot_play_it(ensemble):
    take = take_of([20] * 50 + [200] * 50, ensemble)
    assert around.player(take, "address").count("<img") == len(take.answer_json["strip"]) == STRIP
    assert takes.middle(take) == take.answer_json["strip"][STRIP // 2]["time"] and takes.middle(None) is None
    heard = around.player(take_of([20] * 50, ensemble, options=("-vn",)), "address")
    assert "<audio" in heard and "<video" not in heard and "<img" not in heard


def test_a_clip_longer_than_the_page_takes_is_refused(ensemble):
    with pytest.raises(BadClipError, match="it lasts 4.0 s, and 3 are the most"):
        takes.answer_take(1, "a.mp4", make_clip("a.mp4", [90] * 100), ensemble, 10, 3.0)


@pytest.mark.parametrize(
    ("name", "called"),
    [("me.MP4", "take-7.mp4"), ("a.html", "take-7.bin"), ("a.svg", "take-7.bin"), ("..", "take-7.bin")],
)
def test_a_file_s_name_has_nothing_of_the_visitor_s_but_a_suffix_of_sound_or_video(name, called):
    assert takes.file_name(7, name) == called


def test_a_page_of_the_drawn_sample_says_so_first(ensemble, folder):
    words = "dan: trained on drawn clips with made-up labels: its numbers say nothing about anybody"
    about = document.about_models(ensemble)
    for drawn in ("", words):
        about["drawn_sample"] = drawn
        page = layout.build(ensemble, about, visitors.Visitors(folder / "visitors", 1), LIMITS, draw=None)
        head = next(part for part in page.blocks.values() if part.elem_id == "reminder").value
        assert head.startswith(f'<p class="drawn">{words}</p>') == bool(drawn)
        nothing = next(part for part in page.blocks.values() if part.elem_id == "answer").value
        assert "<b>dan</b> looks at the pictures" in nothing and "<b>audio</b> listens to the sound" in nothing


def test_what_speaks_against_a_model_is_on_the_page(ensemble, monkeypatch):
    monkeypatch.setattr(Run, "verdicts", ["beat no baseline when it was scored on validation (60 clips)"])
    take, about = take_of([90] * 50, ensemble), document.about_models(ensemble)
    caution = "<li>dan beat no baseline when it was scored on validation (60 clips)</li>"
    for shown in (answer.section(take, about), beside.section(take, take, about)):
        assert 0 < shown.index(caution) < shown.index("Extraversion")  # before the numbers
    assert answer.section(take, about, folded=True).startswith('<section class="traits"><details><summary><h2>Take 1')


def test_the_downloads_speak_of_neuroticism_where_it_is_answered():
    for targets in (SHOWN, ["warmth"]):
        assert ("neuroticism" in around.downloads({"CSV": "address"}, targets)) == (targets == SHOWN)


def test_the_time_left_goes_on_while_the_models_are_asked():
    pace, said = events.Pace(), []
    pace.seconds = 5.0  # for a window of the clip before
    with pace.shown_by(lambda share, desc: said.append(desc), "a.mp4") as on_step:
        on_step("asking the models", 0, 2)
        time.sleep(1.3)
    left = [int(re.search(r"about (\d+) s left", text)[1]) for text in said[1:]]
    assert said[0] == "a.mp4: opening it" and left == [10, 9]
    assert pace.seconds == pytest.approx(0.65, abs=0.2)  # of two windows
    with pace.shown_by(lambda share, desc: said.append(desc), "a.mp4") as on_step:
        on_step("asking the models", 0, 1)
        time.sleep(1.1)
    assert said[-1] == "a.mp4: asking the models, longer than expected"


def test_what_a_visitor_names_is_text_on_the_page(ensemble):
    take = take_of([90] * 50, ensemble)
    take.name = "<script>alert(1)</script>"
    about = document.about_models(ensemble)
    shown = answer.section(take, about) + beside.section(take, take, about)
    assert "<script" not in shown and "&lt;script&gt;" in shown
