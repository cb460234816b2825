"""Runs: which models EPOCHS names, how several of them answer, and models changed since training."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from first_impression.common.errors import UserError
from first_impression.data.audio import FEATURES
from first_impression.training import saved_models
from first_impression.training.runs import Run, epochs_rule, find_runs


def save_audio(path, seed):
    sound = keras.Input((FEATURES,))
    start = keras.initializers.RandomNormal(stddev=1e-3, seed=seed)
    model = keras.Model(sound, keras.layers.Dense(5, "sigmoid", kernel_initializer=start)(sound))
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    return model


@pytest.fixture
def audio_run(folder):
    """A run of two epochs, the first of which was the best: (its folder, [the models of its epochs])."""
    run = folder / "runs/audio"
    models = [save_audio(run / f"epoch-{epoch}.keras", epoch) for epoch in (1, 2)]
    models[0].save(run / "best.keras")
    models[1].save(run / "final.keras")
    return run, models


@pytest.mark.parametrize("text", ["", "best", "1", "10", "1,2", "2, 1"])
def test_epochs_are_the_last_the_best_or_numbers(text):
    assert epochs_rule(text) is None


@pytest.mark.parametrize("text", ["last", "0", "1,", "-1", "1,best", "1;2", "01", "1-2", 1, "1,1", "2,1, 2"])
def test_other_epochs_are_refused(text):
    assert epochs_rule(text)


def test_files_of_the_epochs(audio_run):
    run, _ = audio_run
    expected = {"": ["final"], "best": ["best"], "1": ["epoch-1"], "2, 1": ["epoch-2", "epoch-1"]}
    for text, names in expected.items():
        assert find_runs(run.parent, "audio", text)[0].files == [run / f"{name}.keras" for name in names]
    Path(run / ".partial.epoch-4.keras").touch()
    with pytest.raises(UserError, match="has no epoch-3.keras, epoch-4.keras, only best.keras, epoch-1.keras, epoch-2"):
        find_runs(run.parent, epochs="1,3,4")
    (run / "best.keras").unlink()
    with pytest.raises(UserError, match="EPOCHS = 'best': .* has no best.keras, only epoch-1.keras"):
        find_runs(run.parent, epochs="best")


def test_several_epochs_answer_the_mean_of_their_answers(audio_run):
    run, models = audio_run
    sounds = np.random.default_rng(0).normal(size=(3, FEATURES)).astype(np.float32)
    answers = [model(sounds).numpy() for model in models]
    assert not np.allclose(*answers, atol=0.01)
    for text, expected in {"": answers[1], "best": answers[0], "1,2": (answers[0] + answers[1]) / 2}.items():
        found = Run(run, text)
        assert found.kind == "audio" and len(found.networks) == (2 if "," in text else 1)
        assert np.allclose(found.network(sounds), expected, atol=1e-6)


def test_each_epoch_is_loaded_as_safely_as_the_last(audio_run):
    run, _ = audio_run
    sound = keras.Input((FEATURES,))
    keras.Model(sound, keras.layers.Dense(5)(keras.layers.Dropout(0.5)(sound))).save(run / "epoch-2.keras")
    with pytest.raises(UserError, match="epoch-2.keras is damaged or not a model of train.py's .*Dropout"):
        print(Run(run, "1,2").networks)
    images = keras.Input((224, 224, 3))
    keras.Model(images, keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(images))).save(
        run / "epoch-2.keras"
    )
    with pytest.raises(UserError, match="models of images and of sound"):
        print(Run(run, "1,2").networks)


def test_a_model_that_training_did_not_write_last_is_refused(folder):
    """In a copy of the folder with other times as well; models without a record are taken as they are."""
    run = folder / "runs/audio"
    models = [save_audio(run / f"epoch-{epoch}.keras", epoch) for epoch in (1, 2)]
    assert len(saved_models.verify(run, Run(run, "1,2").files)) == 2
    for epoch, model in enumerate(models, 1):
        saved_models.save(model, run / f"epoch-{epoch}.keras", {"epoch": epoch})
    copy = shutil.copytree(run, folder / "copy/audio", copy_function=shutil.copy)
    assert Run(copy, "1,2").kind == "audio"
    shutil.copy2(run / "epoch-1.keras", run / "epoch-2.keras")
    with pytest.raises(UserError, match="runs/audio/epoch-2.keras is not as train.py made it last"):
        print(Run(run, "1,2").networks)
    assert Run(run, "1").kind == "audio"


def test_the_final_model_is_known_by_its_content_and_by_what_it_was_made_from(folder):
    run = folder / "runs/audio"
    model = save_audio(run / "final.keras", 1)
    assert not saved_models.is_final(run, {"epoch": 1})
    saved_models.save(model, run / "final.keras", {"epoch": 1})
    assert saved_models.is_final(run, {"epoch": 1}) and not saved_models.is_final(run, {"epoch": 2})
    save_audio(run / "final.keras", 2)
    assert not saved_models.is_final(run, {"epoch": 1})
    (run / "models.json").write_text('{"final.keras": "x"}')
    with pytest.raises(UserError, match="runs/audio/models.json is damaged .*: delete it"):
        saved_models.is_final(run, {"epoch": 1})
