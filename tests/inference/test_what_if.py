"""What if: the effects of edits on models whose answers are known functions of light, place and loudness."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import make_clip
from keras import layers
from stand_ins import LABELS, ask, audio_model, image_model, save_run

from first_impression.data import audio
from first_impression.data.chalearn import TRAITS
from first_impression.evaluation.display import names_in
from first_impression.inference import edits, models, unlike
from first_impression.inference.answer import ASKED_AGAIN, answer_clip
from first_impression.inference.clip import open_clip
from first_impression.inference.edits import EDITS, Edit
from first_impression.inference.what_if import WhatIf
from first_impression.training.runs import find_runs

GREY = 100  # of the clips
SLOPES = np.array([4, -4, 1, 0, 0])  # of the traits' logits, in their order, by light from 0 to 1
BY_LOUDNESS = SLOPES / 20  # the same, by log energy
BOX = np.array([[0.4, 0.3, 0.2, 0.2]])  # a face in the middle


def eye():
    """A model of which the logits are SLOPES times the mean light of the picture's left half."""
    images = keras.Input((224, 224, 3))
    scaled = layers.Rescaling(1 / 255)(images)
    light = layers.GlobalAveragePooling2D()(layers.Conv2D(1, 224, use_bias=False)(scaled))
    model = keras.Model(images, layers.Dense(5, activation="sigmoid", use_bias=False)(light))
    left = np.zeros((224, 224, 3, 1))
    left[:, :112] = 1 / (224 * 112 * 3)
    model.set_weights([left, SLOPES[None]])
    return model


def ear():
    """A model of which the logits are BY_LOUDNESS times the mean log energy."""
    sound = keras.Input((audio.FEATURES,))
    model = keras.Model(sound, layers.Dense(5, activation="sigmoid", use_bias=False)(sound))
    model.set_weights([np.outer(np.full(audio.FEATURES, 1 / audio.FEATURES), BY_LOUDNESS)])
    return model


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def asked(clip, changes=EDITS, batch_size=25, count=8, **options):
    """The answer to a clip of the runs that are there, and a `WhatIf` of it that has been asked all."""
    ensemble = models.load(find_runs(Path("runs")))
    answer = answer_clip(open_clip(clip, count, **options), ensemble)
    found = WhatIf(answer, ensemble.models, batch_size, changes)
    assert len(list(found.steps())) == found.count
    return answer, found


def same(inputs, faces=None):
    return inputs.copy()


def test_what_is_edited_to_be_the_same_has_no_effect_at_all(folder):
    save_run("eye", image_model(seed=1)), save_run("ear", audio_model())
    nothing = [Edit(kind, "the same", kind, same) for kind in ("image", "audio")]
    answer, found = asked(make_clip("clip.mp4", [(n, 2 * n) for n in range(0, 120, 2)]), nothing)
    told = found.as_json([])
    for edit in ("image", "audio"):
        assert set(told["edits"][edit]["fused"].values()) == {0.0}
        assert set(told["edits"][edit]["models"]) == {"eye", "ear"}
        for effects in told["edits"][edit]["models"].values():
            assert set(effects.values()) == {0.0}
    for name, scores in answer.scores.items():
        np.testing.assert_allclose(found.unedited[name], scores, atol=1e-6)


def test_light_left_and_right_and_loudness_have_the_effects_that_the_models_were_given(folder):
    """A clip whose halves are grey, and a tone."""
    save_run("eye", eye()), save_run("ear", ear())
    answer, found = asked(make_clip("clip.mp4", [(GREY, GREY + 60)] * 20), with_faces=True)
    stop = 2 ** (1 / 2.2)
    for name, left in {"brighter": GREY * stop, "darker": GREY / stop, "mirrored": GREY + 60}.items():
        wanted = sigmoid(SLOPES * left / 255) - sigmoid(SLOPES * GREY / 255)
        np.testing.assert_allclose(found.effects[name]["eye"], wanted, atol=4 * 2.5 / 255 / 4)  # 2.5 levels of coding
    before = answer.scores["ear"]
    logits = np.log(before / (1 - before))
    for name, decibels in {"louder": 6, "softer": -6}.items():
        wanted = sigmoid(logits + BY_LOUDNESS * decibels / 10 * np.log(10)) - before
        np.testing.assert_allclose(found.effects[name]["ear"], wanted, atol=1e-5)
    told = found.as_json([])["edits"]
    for name, edit in told.items():
        if edit["fused"] is None:
            assert edit["missing"] == "no face was found" and name in ("head_and_shoulders", "grey_background")
            continue
        reached, other = ("ear", "eye") if name in ("louder", "softer") else ("eye", "ear")
        assert edit["missing"] == "" and set(edit["models"][other].values()) == {0.0}
        for trait in TRAITS:
            assert edit["fused"][trait] == pytest.approx(edit["models"][reached][trait] / 2)
    effects = {name: edit["fused"] and edit["fused"]["extraversion"] for name, edit in told.items()}
    assert effects["brighter"] > 0 > effects["darker"] and effects["louder"] > 0 > effects["softer"]


def test_features_of_a_sound_twice_as_large():
    sound = np.random.default_rng(0).integers(-8000, 8000, (44100, 2)).astype(np.int16)
    sound[20000:30000] = 0  # digital silence
    louder = audio.amplified(audio.log_filterbank(sound), 20 * np.log10(2))
    np.testing.assert_allclose(louder, audio.log_filterbank(2 * sound), atol=1e-5)
    assert louder.dtype == np.float32 and louder.min() < -36
    np.testing.assert_allclose(audio.amplified(louder, -20 * np.log10(2)), audio.log_filterbank(sound), atol=1e-5)


@pytest.mark.parametrize(
    "level, stops, wanted", [(100, 1, 137), (100, -1, 73), (220, 1, 255), (0, 1, 0), (255, 0, 255)]
)
def test_a_stop_is_twice_the_light_and_white_stays_white(level, stops, wanted):
    images = np.full((1, 4, 4, 3), level, np.uint8)
    found = edits.exposed(images, stops)
    assert (found == wanted).all() and found.dtype == np.uint8


@pytest.mark.parametrize(
    "face, part",
    [
        ([0.4, 0.3, 0.2, 0.2], (0.18, 0.2, 0.64)),  # by its width: 3.2 times 0.2; half its height above it
        ([0.45, 0.3, 0.1, 0.2], (0.27, 0.2, 0.46)),  # by its height: 2.3 times 0.2
        ([0.0, 0.0, 0.1, 0.2], (0.0, 0.0, 0.46)),  # at the corners, inside the picture
        ([0.9, 0.9, 0.1, 0.2], (0.54, 0.54, 0.46)),
        ([0.2, 0.2, 0.6, 0.6], (0.0, 0.0, 1.0)),  # near: as it is
    ],
)
def test_head_and_shoulders_are_cut_out_in_the_picture_s_own_shape(face, part):
    assert edits.crop_around(face) == pytest.approx(part)
    size = 200
    left, top, side = (round(share * size) for share in part)
    images = np.zeros((1, size, size, 3), np.uint8)
    images[0, top : top + side, left : left + side] = (10, 20, 30)
    found = edits.cropped(images, np.array([face]))
    assert found.shape == images.shape and (found == (10, 20, 30)).all()


def test_all_but_head_and_shoulders_are_grey():
    images = np.full((1, 200, 200, 3), 77, np.uint8)
    found = edits.greyed(images, BOX)[0]
    assert set(np.unique(found)) == {77, 128}
    for x, y, seen in [
        (0.5, 0.4, True),  # the face
        (0.5, 0.3, True),  # hair
        (0.5, 0.65, True),  # under the chin
        (0.25, 0.95, True),  # an arm
        (0.5, 0.1, False),  # above
        (0.25, 0.4, False),  # beside the head
        (0.1, 0.95, False),  # beside the arm
    ]:
        assert (found[round(200 * y), round(200 * x)] == (77 if seen else 128)).all(), (x, y)


def test_edits_around_a_face_follow_it_and_take_the_largest(folder, monkeypatch):
    """A frame without a face is cut as the others are on average."""
    save_run("eye", eye())
    small = np.array([[0.8, 0.8, 0.05, 0.05]])
    found = iter([np.concatenate([small, BOX]), BOX, BOX[:0], BOX] * 2)
    monkeypatch.setattr(unlike, "find_faces", lambda picture, aspect: next(found))
    _, effects = asked(make_clip("clip.mp4", [GREY] * 8, sound=None), with_faces=True)
    assert effects.faces.tolist() == [BOX[0].tolist()] * 8 and not effects.no_faces
    told = effects.as_json([])["edits"]
    assert told["head_and_shoulders"]["fused"]["extraversion"] == pytest.approx(0, abs=1e-6)  # all is grey
    assert told["grey_background"]["fused"]["extraversion"] > 0.01  # 128 is brighter
    assert told["louder"]["missing"] and told["louder"]["fused"] is None and told["louder"]["models"] == {}


@pytest.mark.parametrize("found, reason", [([BOX] + [BOX[:0]] * 3, "a face in 1 of 4 frames only"), (None, "FACES")])
def test_edits_around_a_face_are_left_out_where_there_is_none(folder, monkeypatch, found, reason):
    save_run("eye", eye())
    faces = iter(found or ())
    monkeypatch.setattr(unlike, "find_faces", lambda picture, aspect: next(faces))
    _, effects = asked(make_clip("clip.mp4", [GREY] * 4, sound=None), with_faces=bool(found))
    told = effects.as_json([])["edits"]
    for name in ("head_and_shoulders", "grey_background"):
        assert reason in told[name]["missing"] and told[name]["fused"] is None
    assert told["brighter"]["fused"]


def test_a_long_clip_is_asked_about_by_25_frames_and_windows_spread_over_it(folder):
    save_run("eye", eye()), save_run("ear", ear())
    clip = make_clip("clip.mp4", np.repeat(range(20, 200, 3), 5), rate=5)  # 60 s, brighter each second
    answer, found = asked(clip, window=1.5, batch_size=10)
    times = [time for time, _ in answer.excerpt.frames]
    assert len(times) == len(answer.excerpt.features) == ASKED_AGAIN and len(answer.windows) == 40
    np.testing.assert_allclose(times, np.linspace(0, 59.8, 25), atol=0.2)
    np.testing.assert_allclose(found.unedited["eye"], answer.scores["eye"], atol=0.02)
    told = found.as_json([{"eye": np.zeros(5), "ear": np.zeros(5)}, {"eye": np.ones(5), "ear": np.ones(5)}])
    assert (told["frames"], told["windows"]) == (25, 25)
    assert told["moves"] == dict.fromkeys(told["moves"], 0.5)


def test_what_was_not_asked_about_yet_says_so(folder):
    save_run("eye", eye())
    ensemble = models.load(find_runs(Path("runs")))
    answer = answer_clip(open_clip(make_clip("clip.mp4", [GREY] * 8, sound=None), 4), ensemble)
    found = WhatIf(answer, ensemble.models)
    steps = found.steps()
    assert [next(steps), next(steps)] == ["as it is", "brighter by 1 stop"]
    found.seconds = {"image": 3.0, "audio": 0.5}  # of an edit of each kind
    assert found.seconds_left == 2 * 3.0  # darker and mirrored: there is no face, and no sound
    told = found.as_json([])["edits"]
    assert told["brighter"]["fused"] and told["darker"]["missing"] == "not asked"


def test_predict_tells_effects_beside_how_much_the_clip_moves(folder, capsys):
    """The clip grows a little brighter by itself, less than a stop does, and stays as loud as it is."""
    save_run("eye", eye(), LABELS), save_run("ear", ear(), LABELS)
    clip = make_clip("clip.mp4", np.repeat([GREY, GREY + 6, GREY + 12], 33))
    assert ask(clip)["clips"]["clip.mp4"]["what_if"] is None
    assert "what if" not in capsys.readouterr().out
    told = ask(clip, "--WHAT_IF")["clips"]["clip.mp4"]["what_if"]
    assert told == json.loads(Path("out.json").read_text())["clips"]["clip.mp4"]["what_if"]
    parts = sigmoid(np.outer([GREY, GREY + 6, GREY + 12], SLOPES) / 255).std(axis=0) / 2  # of two models
    for trait, wanted in zip(TRAITS, parts, strict=True):
        assert told["moves"][trait] == pytest.approx(wanted, abs=0.004)
    printed = capsys.readouterr().out
    assert "what if the clip were edited: the change of the guess (99 frames" not in printed
    assert "(25 frames, 1 window of sound)" in printed and "moves by itself" in printed
    (row,) = [line for line in printed.splitlines() if line.strip().startswith("brighter by 1 stop")]
    shown = dict(
        zip(names_in(told["edits"]["brighter"]["fused"]), row.split("stop")[1].replace(" *", "*").split(), strict=True)
    )
    for trait, cell in shown.items():
        effect = told["edits"]["brighter"]["fused"][trait]
        assert float(cell.rstrip("*")) == pytest.approx(effect, abs=1e-4)
        assert cell.endswith("*") == (trait in ("extraversion", "neuroticism", "agreeableness"))
    ask(make_clip("short.mp4", [GREY] * 20), "--WHAT_IF")
    assert "How much it moves by itself is not known" in capsys.readouterr().out
