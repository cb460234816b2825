"""Training: what it saves, how it resumes, what it refuses."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from conftest import PROJECT, label_of, refused, run, vgg_layers, write_mat
from PIL import Image

from first_impression import records
from first_impression.chalearn import TRAITS


def write_records(path, key, clips, frames):
    """Noise pictures; two or more clips, so that there is a constant guess and something to average."""
    random = np.random.default_rng([len(key), clips])
    items = []
    for clip in range(clips):
        for frame in range(frames):
            source = Path(f"{key}-{clip}-{frame}.jpg")
            Image.fromarray(random.integers(0, 256, (224, 224, 3)).astype(np.uint8)).save(source)
            items.append(records.Item(f"{key}.{clip:03d}", label_of(10 * clip).astype(np.float32), source))
    records.write(path, key, "image", items, lambda sources: (source.read_bytes() for source in sources), {})


@pytest.fixture
def material(folder):
    """Six training pictures of three clips, four validation pictures of two, weights in VGG-Face's place."""
    write_records(Path("train_full.tfrecords"), "train", 3, 2)
    write_records(Path("val_full.tfrecords"), "val", 2, 2)
    write_mat("vgg-face.mat", vgg_layers(np.random.default_rng(0)))
    return folder


ARGUMENTS = ("--BATCH_SIZE", "2", "--N_EPOCHS", "2")


def variables(path):
    return [np.asarray(variable) for variable in keras.models.load_model(path).variables]


@pytest.mark.slow
def test_a_stopped_training_goes_on_as_if_it_had_not_stopped(material):
    done = run("train.py", *ARGUMENTS, "--RUNS", "whole")
    assert done.returncode == 0, done.stderr
    assert "training on the CPU" in done.stdout and "NOT the published VGG-Face" in done.stdout
    assert all(word in done.stdout for word in ("by frame", "by clip", "constant guess", "epoch 2/2", *TRAITS))
    assert re.search(r"image/s, step 3/3, loss 0\.\d+", done.stderr)

    # The same in three runs: stopped in the first epoch, and in the second one
    for wanted in ("epoch 1/2.*step 1/3", "epoch 2/2.*step 2/3"):
        command = [sys.executable, str(PROJECT / "train.py"), *ARGUMENTS, "--RUNS", "parts"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        seen = ""
        while not re.search(wanted, seen):
            seen += process.stderr.read(1) or pytest.fail(seen)
        process.send_signal(signal.SIGINT)
        rest = process.communicate()[1]
        assert process.returncode == 130 and "Traceback" not in rest
        assert "stopped. The same command goes on from here" in rest
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
    assert settings["constants"]["BATCH_SIZE"] == 2 and settings["versions"]["tensorflow"] == tf.__version__
    assert "NOT the published VGG-Face" in settings["start"]
    with Image.open("whole/dan/curves.png") as picture:
        assert picture.width > 600
    assert list(Path("whole/dan/logs").glob("events*"))
    best = keras.models.load_model("whole/dan/final.keras")
    best.load_weights("whole/dan/best.weights.h5")

    # The scores are those of the saved model on the validation records
    model = keras.models.load_model("whole/dan/final.keras")
    contents = records.open_records("val_full.tfrecords", "val", "image")
    ((images, labels, names),) = records.batches(contents, 9)
    predicted = model(images).numpy()
    assert np.isclose(history["frame_mean"].iloc[1], 1 - np.abs(predicted - labels).mean(), atol=1e-6)
    clip_errors = [
        np.abs(predicted[names.numpy() == name].mean(0) - labels[names.numpy() == name][0])
        for name in set(names.numpy())
    ]
    assert np.isclose(history["clip_mean"].iloc[1], 1 - np.mean(clip_errors), atol=1e-6)

    # A finished run says so, may be trained further, and refuses other constants
    assert "trained, all 2 epochs" in run("train.py", *ARGUMENTS, "--RUNS", "parts").stdout
    refused(
        run("train.py", *ARGUMENTS, "--RUNS", "parts", "--LEARNING_RATE", "0.1"), "was made with LEARNING_RATE = 0.0005"
    )
    done = run("train.py", "--BATCH_SIZE", "2", "--N_EPOCHS", "3", "--RUNS", "parts")
    assert done.returncode == 0 and "epoch 3/3" in done.stdout
    assert pd.read_csv("parts/dan/history.csv")["epoch"].tolist() == [1, 2, 3]

    content = Path("parts/dan/checkpoint.npz").read_bytes()
    Path("parts/dan/checkpoint.npz").write_bytes(content[: len(content) // 2])
    refused(run("train.py", "--BATCH_SIZE", "2", "--N_EPOCHS", "4", "--RUNS", "parts"), "checkpoint.npz is damaged")


@pytest.mark.slow
def test_dan_plus_trains_on_the_originals_records_and_the_penalty_counts(material):
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


def test_unfit_files_end_in_a_line(material):
    Path("vgg-face.mat").write_bytes(b"no MAT file" * 99)
    refused(run("train.py"), "vgg-face.mat is no complete MAT file")
    Path("val_full.tfrecords").write_bytes(Path("val_full.tfrecords").read_bytes()[:-9])
    refused(run("train.py"), "val_full.tfrecords is damaged")
    Path("train_full.tfrecords").write_bytes(b"")
    refused(run("train.py"), "train_full.tfrecords is empty")
    assert not Path("runs").exists()
