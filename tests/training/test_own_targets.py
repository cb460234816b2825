"""Four targets of one's own on a scale from 1 to 7, from the table to the published model."""

import json
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import PROJECT, make_clip, ok, refused, run

from first_impression.common.errors import UserError
from first_impression.data import label_table, record_reader
from first_impression.data.targets import FIVE, INTERVIEW, Targets
from first_impression.training import manifest
from first_impression.training.runs import find_runs
from model import build_model

NAMES = ("warmth", "competence", "honesty_humility", "trust")
FOUR = Targets(NAMES, 1.0, 7.0)
RECIPE = str(PROJECT / "recipes/head_audio.py")
SPEAKERS = "abcdef"


def ratings(number):
    """The four ratings of a clip, 1 to 7."""
    return np.array([1 + number / 2, 7 - number / 2, 1 + (number * 5 % 12) / 2, 4])


@pytest.fixture
def study(folder):
    """A folder with two clips of each of six speakers, the louder the more warmth, rated by two: {clip: [4]}."""
    Path("data").mkdir()
    Path("Annotations").mkdir()
    lines, found = ["Trust,clip,split,speaker,WARMTH,Competence,Honesty Humility"], {}
    for number in range(12):
        clip, speaker = f"{SPEAKERS[number // 2]}_{number % 2}", SPEAKERS[number // 2]
        volume = ("-af", f"volume={0.02 * 1.5**number}")
        make_clip(f"data/{clip}.mp4", [30, 60, 90], sound=300, options=volume)
        found[clip] = ratings(number)
        for shift in (-0.25, 0.25) if number == 5 else (0,):  # of several raters
            warmth, competence, honesty, trust = found[clip] + shift
            split = "val" if speaker == "f" else "train"
            lines.append(f"{trust},{clip}.mp4,{split},{speaker},{warmth},{competence},{honesty}")
    Path("Annotations/annotations.csv").write_text("\n".join(lines) + "\n")
    return found


SETTINGS = ("--TARGETS", "warmth, competence, honesty-humility, trust", "--SCALE", "1..7")


def test_from_a_table_to_the_published_model(study):
    ok(run("vid_to_wav.py"))
    ok(run("feat_extraction_from_wav.py", *SETTINGS))
    unit = {clip: (rated - 1) / 6 for clip, rated in study.items()}
    done = ok(run("train.py", RECIPE))
    assert "warmth" in done and "runs/head_audio: trained" in done

    # What the run says of itself
    folder = Path("runs/head_audio")
    settings = json.loads((folder / "settings.json").read_text())
    assert settings["targets"] == list(NAMES) and settings["scale"] == [1, 7]
    (own,) = find_runs(Path("runs"))
    assert own.targets == FOUR
    training = {clip: label for clip, label in unit.items() if clip[0] != "f"}
    assert own.training_labels.keys() == training.keys()
    assert all(np.allclose(own.training_labels[clip], label, atol=1e-7) for clip, label in training.items())
    history = pd.read_csv(folder / "history.csv")
    error = np.abs(np.mean(list(training.values()), axis=0) - [unit["f_0"], unit["f_1"]]).mean(axis=0)
    for name, wrong in zip(NAMES, error, strict=True):
        assert history[f"constant_{name}"].item() == pytest.approx(1 - wrong, abs=1e-6)
    assert history["constant_mean"].item() == pytest.approx(1 - error.mean(), abs=1e-6)

    # The model's file names them, and Keras alone opens it
    model = keras.models.load_model(folder / "final.keras")
    assert model.name == "audio.warmth.competence.honesty_humility.trust.1.0..7.0" and model.output_shape == (None, 4)
    records = record_reader.open_records("train_audio_full.tfrecords", "train", "audio")
    inputs, labels = record_reader.decode(records, next(iter(records.stream(0).batch(99))))
    assert np.allclose(labels, [training[clip] for clip in record_reader.read_names(records)[0]], atol=1e-7)
    loud = np.argsort(labels[:, 0])
    assert np.all(np.diff(model(inputs).numpy()[loud, 0]) > 0)  # it has learnt that the loud ones are warm
    assert np.allclose(own.network(inputs), model(inputs))

    # Cross-validation: each clip answered in the folds' tables, by target
    ok(run("train.py", RECIPE, "--FOLD", "all/5"))
    table = label_table.read("runs/head_audio/constant_5-folds.csv", FOUR.unit).values
    for clip in training:
        others = [label for other, label in training.items() if other[0] != clip[0]]
        assert np.allclose(table[clip], np.mean(others, axis=0), atol=1e-6)
    assert label_table.read("runs/head_audio/predictions_5-folds.csv", FOUR.unit).values.keys() == training.keys()

    # The published model
    ok(run("publish.py", "head_audio", "--TO", "mine", "--LICENSE", "mit"))
    about = manifest.read("mine")
    assert about["traits"] == about["runs"]["head_audio"]["targets"] == list(NAMES) and about["note"] == ""
    assert about["runs"]["head_audio"]["scale"] == [1, 7]
    quantiles = about["runs"]["head_audio"]["training"]["quantiles"]
    assert quantiles.keys() == set(NAMES) and quantiles["trust"] == [0.5] * 101
    card = Path("mine/README.md").read_text()
    assert "would rate the person in it on warmth, competence, honesty_humility, trust." in card
    assert "it answers warmth, competence, honesty_humility, trust, from 1 to 7" in card
    assert "Big Five" not in card and "neuroticism" not in card and "job interview" not in card
    (theirs,) = find_runs(Path("mine"))
    assert theirs.targets == FOUR and np.allclose(theirs.network(inputs), model(inputs))
    assert np.array_equal(theirs.quantiles, own.quantiles)

    # Other targets are other runs
    ok(run("feat_extraction_from_wav.py", "--TARGETS", "trust, warmth", "--SCALE", "1..7"))
    refused(run("train.py", RECIPE), "head_audio was trained on other training and validation records")
    Path("mine/manifest.json").write_text(json.dumps(about | {"traits": ["warmth"]}))
    with pytest.raises(UserError, match="its traits are .'warmth'., not those of its runs"):
        manifest.read("mine")


def test_training_and_validation_of_different_targets_are_refused(study):
    ok(run("vid_to_wav.py"))
    ok(run("feat_extraction_from_wav.py", *SETTINGS))
    for name in ("val_audio_full.tfrecords", "val_audio_full.tfrecords.json"):
        Path(name).rename(f"kept_{name}")
    ok(run("feat_extraction_from_wav.py", "--TARGETS", "warmth, trust", "--SCALE", "1..7"))
    words = "is of warmth, trust, from 1 to 7; kept_val_audio_full.tfrecords of warmth, competence"
    refused(run("train.py", RECIPE, "--VAL_RECORDS", "kept_val_audio_full.tfrecords"), words, "one TARGETS and SCALE")


def test_a_model_of_other_targets_than_its_settings_say_is_refused(study):
    ok(run("vid_to_wav.py"))
    ok(run("feat_extraction_from_wav.py", *SETTINGS))
    ok(run("train.py", RECIPE))
    path = Path("runs/head_audio/settings.json")
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | {"scale": [1, 5]}))
    with pytest.raises(UserError, match="answers warmth, .*, from 1 to 7, not .*, from 1 to 5, as its settings say"):
        print(find_runs(Path("runs"))[0].networks)
    path.write_text(json.dumps(about | {"targets": ["../warmth"]}))
    with pytest.raises(UserError, match="settings.json is damaged .its targets have no usable names"):
        print(find_runs(Path("runs"))[0].targets)


@pytest.mark.parametrize("targets", [FIVE, Targets((INTERVIEW,)), Targets((*FIVE.names, INTERVIEW))])
def test_networks_of_images_answer_any_targets(targets):
    model = build_model("dan_plus", image_size=32, seed=1, targets=targets)
    assert model.output_shape == (None, len(targets.names))
    assert model.name == ("dan_plus" if targets == FIVE else f"dan_plus.{'.'.join(targets.names)}.0.0..1.0")
    again = keras.models.model_from_json(model.to_json())
    assert again.name == model.name


def test_the_card_says_what_interview_is_not_for(folder):
    from first_impression.sharing import card, packing

    note = packing._note((*FIVE.names, INTERVIEW))
    assert note.startswith('A high "neuroticism" means emotionally stable.') and "must not be used for hiring" in note
    six = Targets((*FIVE.names, INTERVIEW)).as_json
    about = {"traits": six["targets"], "runs": {"dan": six}}
    text = card._use(about, of_chalearn=True)
    assert "must not be used for hiring" in text and "emotionally stable*, as in the dataset." in text
    of_five = card._use({"traits": list(FIVE.names), "runs": {"dan": {}}}, of_chalearn=False)
    assert (
        "job interview" not in of_five and 'on the "Big Five"\ntraits. They answer numbers from 0 to 1: an' in of_five
    )
