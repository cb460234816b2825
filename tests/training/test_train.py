"""Training: what it saves, how it resumes, what it refuses."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from conftest import PROJECT, label_of, ok, refused, run, vgg_layers, write_annotation, write_mat
from PIL import Image

from first_impression.common import signals
from first_impression.common.errors import UserError
from first_impression.common.files import write_json
from first_impression.data import batching, record_reader, record_writer
from first_impression.data.chalearn import TRAITS
from first_impression.training import checkpoint
from first_impression.training.number_format import BFLOAT16, in_format
from first_impression.training.runs import Run, find_runs


def write_records(path, key, clips, frames):
    """Noise pictures; two or more clips, so that there is a constant guess and something to average."""
    random = np.random.default_rng([len(key), clips])
    items = []
    for clip in range(clips):
        for frame in range(frames):
            source = Path(f"{key}-{clip}-{frame}.jpg")
            Image.fromarray(random.integers(0, 256, (224, 224, 3)).astype(np.uint8)).save(source)
            items.append(record_writer.Example(f"{key}.{clip:03d}", label_of(10 * clip).astype(np.float32), source))
    record_writer.write(path, key, "image", items, lambda sources: (source.read_bytes() for source in sources), {})


@pytest.fixture
def material(folder):
    """Six training pictures of three clips, four validation pictures of two, weights in VGG-Face's place."""
    write_records(Path("train_full.tfrecords"), "train", 3, 2)
    write_records(Path("val_full.tfrecords"), "val", 2, 2)
    write_mat("vgg-face.mat", vgg_layers(np.random.default_rng(0)))
    return folder


ARGUMENTS = ("--BATCH_SIZE", "2", "--N_EPOCHS", "2", "--MIXED_PRECISION", "bfloat16")  # emulated where need be


def variables(path):
    return [np.asarray(variable) for variable in keras.models.load_model(path).variables]


@pytest.mark.slow
@pytest.mark.pictures
def test_a_resumed_training_equals_an_uninterrupted_one(material):
    done = run("train.py", *ARGUMENTS, "--RUNS", "whole")
    assert done.returncode == 0, done.stderr
    assert "convolutions in bfloat16" in done.stdout
    assert "running on the CPU" in done.stdout and "NOT the published VGG-Face" in done.stdout
    traits = {*TRAITS} - {"neuroticism"} | {"emotional", "stability"}  # what it is called in tables
    assert all(word in done.stdout for word in ("by frame", "by clip", "constant guess", "epoch 2/2", *traits))
    assert re.search(r"(image/s|s/image), step 3/3, loss 0\.\d+", done.stderr)

    # The same in two runs, stopped in the second epoch; tests/faults stops and kills others in the first
    command = [sys.executable, str(PROJECT / "train.py"), *ARGUMENTS, "--RUNS", "parts"]
    shown = {**os.environ, "TQDM_MININTERVAL": "0"}  # each step
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=shown)
    seen = ""
    while not re.search("epoch 2/2.*step 1/3", seen):
        seen += process.stderr.read(1) or pytest.fail(seen)
    process.send_signal(signal.SIGINT)
    rest = process.communicate()[1]
    assert process.returncode == 130, rest
    assert "the same command does the rest" in rest
    assert not Path("parts/dan/final.keras").exists()
    done = run("train.py", *ARGUMENTS, "--RUNS", "parts")
    assert done.returncode == 0 and "going on after epoch 1, step" in done.stdout
    for one, other in zip(variables("whole/dan/final.keras"), variables("parts/dan/final.keras"), strict=True):
        assert (one == other).all()
    assert Path("whole/dan/history.csv").read_text() == Path("parts/dan/history.csv").read_text()

    # What a run leaves
    history = pd.read_csv("whole/dan/history.csv")
    assert history["epoch"].tolist() == [1, 2] and history.notna().all(axis=None)
    constant = 1 - np.abs(
        np.mean([label_of(0), label_of(10), label_of(20)], axis=0) - [label_of(0), label_of(10)]
    ).mean(0)
    assert np.allclose(history[[f"constant_{trait}" for trait in TRAITS]].iloc[0], constant, atol=1e-6)
    settings = json.loads(Path("whole/dan/settings.json").read_text())
    assert settings["constants"]["BATCH_SIZE"] == 2 and settings["made_by"]["tensorflow"] == tf.__version__
    assert len(settings["made_by"]["revision"]) >= 9 and settings["made_by"]["numbers"] == BFLOAT16
    md5 = hashlib.md5(Path("vgg-face.mat").read_bytes()).hexdigest()
    assert settings["start"]["file"] == "vgg-face.mat" and settings["start"]["md5"] == md5
    assert settings["start"]["published"] is False and "NOT the published VGG-Face" in settings["start"]["words"]
    with Image.open("whole/dan/curves.png") as picture:
        assert picture.width > 600
    assert list(Path("whole/dan/logs").glob("events*"))
    assert {path.name for path in Path("whole/dan").glob("*.keras")} == {
        "best.keras",
        "epoch-1.keras",
        "epoch-2.keras",
        "final.keras",
    }
    for one, other in zip(variables("whole/dan/epoch-2.keras"), variables("whole/dan/final.keras"), strict=True):
        assert (one == other).all()

    # A stopped run goes on in the format in which it began, and the model opens anywhere
    with np.load("whole/dan/checkpoint.npz") as state:
        assert BFLOAT16 in json.loads(str(state["about"]))["architecture"]
    model = keras.models.load_model("whole/dan/final.keras")
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}

    # The scores are those of the saved model on the validation records
    contents = record_reader.open_records("val_full.tfrecords", "val", "image")
    ((images, labels, rows, _),) = batching.batches(contents, 9)
    names = record_reader.read_names(contents)[0][rows.numpy()]
    predicted = in_format(model, BFLOAT16)(images).numpy()
    assert np.isclose(history["frame_mean"].iloc[1], 1 - np.abs(predicted - labels).mean(), atol=1e-6)
    clip_errors = [np.abs(predicted[names == name].mean(0) - labels[names == name][0]) for name in set(names)]
    assert np.isclose(history["clip_mean"].iloc[1], 1 - np.mean(clip_errors), atol=1e-6)

    # A finished run says so, and refuses other constants
    assert "trained, all 2 epochs" in run("train.py", *ARGUMENTS, "--RUNS", "parts").stdout
    refused(
        run("train.py", *ARGUMENTS, "--RUNS", "parts", "--LEARNING_RATE", "0.1"), "was made with LEARNING_RATE = 0.0005"
    )
    content = Path("parts/dan/checkpoint.npz").read_bytes()
    Path("parts/dan/checkpoint.npz").write_bytes(content[: len(content) // 2])
    refused(run("train.py", "--BATCH_SIZE", "2", "--N_EPOCHS", "3", "--RUNS", "parts"), "checkpoint.npz is damaged")


@pytest.mark.soak
def test_dan_plus_trains_on_the_originals_records_and_the_penalty_is_in_the_loss(material):
    """Raw records without clip names, as the original wrote them: scores by frame only."""
    for path, key in (("train_full.tfrecords", "train"), ("val_full.tfrecords", "val")):
        with tf.io.TFRecordWriter(path) as writer:
            for n in range(2):
                pixels = np.random.default_rng(n).integers(0, 256, 150_528).astype(np.uint8).tobytes()
                features = {f"{key}/image": pixels, f"{key}/label": label_of(n).astype("<f4").tobytes()}
                features = {k: tf.train.Feature(bytes_list=tf.train.BytesList(value=[v])) for k, v in features.items()}
                writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    losses = []
    for penalty in ("0", "1000"):
        done = run("train.py", "--MODEL", "dan_plus", "--N_EPOCHS", "1", "--RUNS", penalty, "--REG_PENALTY", penalty)
        assert done.returncode == 0, done.stderr
        assert "by frame" in done.stdout and "by clip" not in done.stdout
        losses.append(pd.read_csv(f"{penalty}/dan_plus/history.csv")["training_loss"].iloc[0])
    # The head's weights at the first step: a truncated normal of 0.1 has variance 0.774 * 0.1 ** 2
    assert np.isclose(losses[1] - losses[0], 1000 * 0.00774 / 2, rtol=0.05)


@pytest.mark.parametrize("lacking", ["train_full.tfrecords", "val_full.tfrecords", "vgg-face.mat"])
def test_a_missing_file_is_named(material, lacking):
    Path(lacking).unlink()
    refused(run("train.py"), lacking, "is missing")
    assert not Path("runs").exists()


@pytest.mark.slow
def test_unusable_files_are_refused_by_name(material):
    Path("vgg-face.mat").write_bytes(b"no MAT file" * 99)
    refused(run("train.py"), "vgg-face.mat is not a readable MAT file")
    Path("val_full.tfrecords").write_bytes(Path("val_full.tfrecords").read_bytes()[:-9])
    refused(run("train.py"), "val_full.tfrecords is damaged")
    Path("train_full.tfrecords").write_bytes(b"")
    refused(run("train.py"), "train_full.tfrecords is empty")
    assert not Path("runs").exists()


@pytest.mark.slow
def test_nonfinite_features_and_losses_are_reported_with_their_clips(folder):
    """A value of one clip's sound; then the loss, at a rate far too high."""
    write_sounds("train_audio_full.tfrecords", "train", 6)
    write_sounds("val_audio_full.tfrecords", "val", 3)
    arguments = ("--MODEL", "audio", "--BATCH_SIZE", "1")
    assert run("train.py", *arguments, "--N_EPOCHS", "1").returncode == 0
    content = bytearray(Path("train-2.f32").read_bytes())
    content[400:404] = np.float32(np.inf).tobytes()
    sounds = {name: name.read_bytes() for name in Path().glob("train-*.f32")}
    items = [
        record_writer.Example(f"train.{clip:03d}", label_of(10 * clip).astype(np.float32), Path(f"train-{clip}.f32"))
        for clip in range(6)
    ]
    sounds[Path("train-2.f32")] = bytes(content)
    record_writer.write(Path("broken"), "train", "audio", items, lambda paths: (sounds[path] for path in paths), {})
    before = Path("runs/audio/checkpoint.npz").read_bytes()
    done = run("train.py", *arguments, "--N_EPOCHS", "2", "--TRAIN_RECORDS", "broken")
    refused(done, "trained on other training records")
    assert Path("runs/audio/checkpoint.npz").read_bytes() == before
    done = run("train.py", *arguments, "--NAME", "other", "--TRAIN_RECORDS", "broken")
    refused(done, "broken: the features of train.002 are not finite")
    done = run("train.py", *arguments, "--N_EPOCHS", "2", "--NAME", "fast", "--LEARNING_RATE", "1e38")
    refused(done, "epoch 1/2, step 2: loss or gradient is not finite, on train.00")


def test_clips_in_both_splits_and_reordered_labels_are_refused(material):
    write_records(Path("val_full.tfrecords"), "val", 3, 1)
    features = Path("train_full.tfrecords").read_bytes()  # given as validation: other keys
    Path("copy.tfrecords").write_bytes(features)
    refused(run("train.py", "--VAL_RECORDS", "copy.tfrecords"), "copy.tfrecords holds train/image")
    items = [record_writer.Example("train.001", label_of(9).astype(np.float32), Path("train-0-0.jpg"))]
    record_writer.write(Path("shared"), "val", "image", items, lambda paths: (path.read_bytes() for path in paths), {})
    refused(run("train.py", "--VAL_RECORDS", "shared"), "training and shared share 1 clip (train.001)")
    labels = {f"train.{clip:03d}": label_of(10 * clip)[[1, 0, 2, 3, 4]] for clip in range(3)}
    write_annotation("Annotations/annotation_training.pkl", labels)
    refused(run("train.py"), "train_full.tfrecords has other labels than Annotations", "another order of the targets")


def write_sounds(path, key, clips, seed=0):
    random = np.random.default_rng([clips, seed])
    items = []
    for clip in range(clips):
        source = Path(f"{key}-{clip}.f32")
        source.write_bytes(random.normal(9, 3, 79_534).astype("<f4").tobytes())
        items.append(record_writer.Example(f"{key}.{clip:03d}", label_of(10 * clip).astype(np.float32), source))
    record_writer.write(
        Path(path), key, "audio", items, lambda sources: (source.read_bytes() for source in sources), {"contents": seed}
    )
    return np.array([np.frombuffer(item.source.read_bytes(), "<f4") for item in items], np.float64)


def descend(inputs, labels, kernel, epochs, rate, loss="squared", momentum=0.9, dampening=0.9, decay=6.5, falls=()):
    """The regressor by Torch's `optim.sgd`, in NumPy and full batches.

    The weight decay is part of the gradient; the first velocity is the bare gradient; the rate falls by update and
    by epoch (`falls`: both decays).
    """
    by_update, by_epoch = falls or (0.0, 1.0)
    weights, velocity = [kernel.astype(np.float64), np.zeros(5)], None
    for update in range(epochs):
        predicted = 1 / (1 + np.exp(-(inputs @ weights[0] + weights[1])))
        error = predicted - labels
        if loss == "squared":
            outer = 2 * error / error.size
        else:
            outer = error / np.linalg.norm(error, axis=1, keepdims=True) / len(error)
        logits = outer * predicted * (1 - predicted)
        gradients = [inputs.T @ logits + decay * weights[0], logits.sum(axis=0) + decay * weights[1]]
        if velocity is None:
            velocity = gradients
        else:
            pairs = zip(velocity, gradients, strict=True)
            velocity = [momentum * v + (1 - dampening) * gradient for v, gradient in pairs]
        now = rate * by_epoch**update / (1 + update * by_update)
        weights = [part - now * v for part, v in zip(weights, velocity, strict=True)]
    return weights


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((), {"falls": (1.01e-6, 1)}),
        (
            ("--LOSS", "euclidean", "--LEARNING_RATE_DECAY", "0.5", "--LEARNING_RATE_UPDATE_DECAY", "0.25")
            + ("--WEIGHT_DECAY", "0.5", "--MOMENTUM", "0.6", "--DAMPENING", "0"),
            {"loss": "euclidean", "falls": (0.25, 0.5), "decay": 0.5, "momentum": 0.6, "dampening": 0.0},
        ),
    ],
)
def test_the_audio_regressor_learns_as_torch_does(folder, arguments, options):
    sounds = write_sounds("train_audio_full.tfrecords", "train", 6)
    write_sounds("val_audio_full.tfrecords", "val", 3)
    recipe = str(PROJECT / "recipes/paper_audio.py")
    done = run("train.py", recipe, "--N_EPOCHS", "4", *arguments)
    assert done.returncode == 0, done.stderr
    model = keras.models.load_model("runs/paper_audio/final.keras")
    assert model.count_params() == 397_675
    labels = np.array([label_of(10 * clip) for clip in range(6)])
    inputs = (sounds - sounds.mean()) / sounds.std()
    reach = 79_534**-0.5
    first = keras.initializers.RandomUniform(-reach, reach, seed=0)((79_534, 5)).numpy()
    kernel, bias = descend(inputs, labels, first, 4, 8.3e-4, **options)
    found = model.get_layer("traits").get_weights()
    assert np.abs(found[0] - kernel).max() < 1e-6 and np.abs(found[1] - bias).max() < 1e-6
    assert np.abs(found[0] - first).max() > 1e-5  # it did learn
    # The mean and the deviation live in the saved model: it takes the energies as they are
    wanted = 1 / (1 + np.exp(-(inputs @ kernel + bias)))
    assert np.abs(model(sounds.astype(np.float32)).numpy() - wanted).max() < 1e-4
    history = pd.read_csv("runs/paper_audio/history.csv")
    assert len(history) == 4 and history["training_loss"].iloc[-1] < history["training_loss"].iloc[0]


def test_nonfinite_weights_are_not_saved(folder):
    write_sounds("train_audio_full.tfrecords", "train", 6)
    write_sounds("val_audio_full.tfrecords", "val", 3)
    arguments = ("--MODEL", "audio", "--OPTIMIZER", "sgd", "--WEIGHT_DECAY", "6.5", "--LEARNING_RATE", "1e38")
    done = run("train.py", *arguments, "--MOMENTUM", "0.9", "--N_EPOCHS", "3", "--BATCH_SIZE", "2")
    refused(done, "not finite")
    assert not list(Path("runs").rglob("final.keras"))


@pytest.mark.slow
def test_weights_that_are_not_resnets_are_refused(material):
    arguments = (str(PROJECT / "recipes/paper_resnet.py"), "--RESNET_WEIGHTS", "no.h5")
    refused(run("train.py", *arguments), "no.h5 is missing")
    Path("no.h5").write_bytes(b"nothing")
    refused(run("train.py", *arguments), "no.h5 does not hold")


@pytest.mark.soak
def test_resnet_trains_by_its_recipe_and_resumed_as_uninterrupted(material):
    """Its batch normalisation has statistics beside the weights."""
    arguments = (str(PROJECT / "recipes/paper_resnet.py"), "--BATCH_SIZE", "3")
    for epochs, runs in (("2", "whole"), ("1", "parts"), ("2", "parts")):
        said = ok(run("train.py", *arguments, "--N_EPOCHS", epochs, "--RUNS", runs))
        assert "RANDOM, not ImageNet's" in said and "the average of 6 training images" in said
    whole, parts = (variables(f"{runs}/paper_resnet/final.keras") for runs in ("whole", "parts"))
    assert all((one == other).all() for one, other in zip(whole, parts, strict=True))
    assert sum(values.size for values in whole) == 23_597_957
    records = record_reader.open_records(Path("train_full.tfrecords"), "train", "image")
    subtracted = keras.models.load_model("whole/paper_resnet/final.keras").get_layer("minus_mean").offset
    assert np.allclose(subtracted, -batching.average_image(records), atol=0.001)


@pytest.mark.slow
def test_a_run_resumes_with_its_own_records_only(folder):
    write_sounds("train_audio_full.tfrecords", "train", 6)
    write_sounds("val_audio_full.tfrecords", "val", 3)
    assert run("train.py", "--MODEL", "audio", "--N_EPOCHS", "1").returncode == 0
    write_sounds("val_audio_full.tfrecords", "val", 4)
    refused(run("train.py", "--MODEL", "audio", "--N_EPOCHS", "2"), "was trained on other validation records")
    write_sounds("val_audio_full.tfrecords", "val", 3)
    for change in ({"clips": 5}, {"clips": 6, "seed": 1}):  # the latter: other sounds of the same clips and labels
        write_sounds("train_audio_full.tfrecords", "train", **change)
        done = run("train.py", "--MODEL", "audio", "--N_EPOCHS", "2")
        refused(done, "runs/audio was trained on other training records", "another NAME")
    # Without its settings.json the run knows its constants all the same
    write_sounds("train_audio_full.tfrecords", "train", 6)
    Path("runs/audio/settings.json").unlink()
    done = run("train.py", "--MODEL", "audio", "--N_EPOCHS", "2", "--LEARNING_RATE", "0.1")
    refused(done, "was made with LEARNING_RATE = 0.0005")


@pytest.mark.slow
def test_models_of_another_training_are_removed_or_refused(folder, monkeypatch):
    write_sounds("train_audio_full.tfrecords", "train", 6)
    write_sounds("val_audio_full.tfrecords", "val", 3)
    arguments, final = ("--MODEL", "audio", "--N_EPOCHS"), Path("runs/audio/final.keras")
    ok(run("train.py", *arguments, 1))
    shutil.copy2(final, "first.keras")
    ok(run("train.py", *arguments, 2))
    wanted = variables(final)
    # As after a kill between checkpoint and model, and a copy of the run: all times are later than the checkpoint's
    shutil.copy("first.keras", final)
    ok(run("train.py", *arguments, 2))
    assert all((one == other).all() for one, other in zip(variables(final), wanted, strict=True))
    assert "trained, all 2 epochs" in ok(run("train.py", *arguments, 2))

    # While it is trained further, there is no trained model, and nobody takes the one of fewer epochs for it
    def stop(*_):
        raise signals.Stopped(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", stop)
        assert run("train.py", *arguments, 3).returncode == 143
    assert not final.exists()
    with pytest.raises(UserError, match="holds no trained run"):
        find_runs(Path("runs"))
    assert "epoch 3/3" in ok(run("train.py", *arguments, 3))
    assert pd.read_csv(final.with_name("history.csv"))["epoch"].tolist() == [1, 2, 3]

    # A model in another's place is told by whoever reads it
    content = (final.parent / "epoch-2.keras").read_bytes()
    shutil.copy(final.parent / "epoch-1.keras", final.parent / "epoch-2.keras")
    refused(run("train.py", *arguments, 3), "runs/audio/epoch-2.keras is not as train.py made it last")
    with pytest.raises(UserError, match="epoch-2.keras is not as train.py made it last"):
        print(Run(final.parent, "1,2").networks)
    (final.parent / "epoch-2.keras").write_bytes(content)
    ok(run("train.py", *arguments, 3))

    # Without the checkpoint nobody knows what the models are of
    (final.parent / "checkpoint.npz").unlink()
    refused(run("train.py", *arguments, 1), "runs/audio holds models", "without the checkpoint", "another NAME")
    assert len(list(final.parent.glob("*.keras"))) == 5


@pytest.mark.slow
def test_clips_that_are_missing_from_their_source_are_named_in_training(folder):
    write_sounds("train_audio_full.tfrecords", "train", 3)
    write_sounds("val_audio_full.tfrecords", "val", 2)
    write_json("VoiceData/clips.jsonl", {})
    Path("VoiceData/clips.jsonl").write_text('{"ended": true, "missing": ["train.001", "val.000", "else.000"]}')
    done = run("train.py", "--MODEL", "audio", "--N_EPOCHS", "1")
    assert "2 clips still used although missing from the source: train.001, val.000" in ok(done)
