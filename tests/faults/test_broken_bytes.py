"""Broken copies of every file that is read: never a hang, a traceback, 2 GB of memory, or a wrong result.

50 copies of each kind, fewer where each takes a process. FAULTS_TIMES=60 in the environment tries 60 times as many,
FAULTS_SEED=1 others. A seed always breaks a specimen in the same ways; copies that fail stay in the test's folder,
`work/<number>`.
"""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from broken import GIGABYTES, READERS, SMALL_VGG
from conftest import label_of, make_clip, make_zip, write_annotation, write_mat
from PIL import Image

from first_impression.data import audio, record_writer
from first_impression.data.sound import extract_sound
from first_impression.evaluation import predictions
from first_impression.training import checkpoint

COUNT = 50 * int(os.environ.get("FAULTS_TIMES", "1"))
SEED = int(os.environ.get("FAULTS_SEED", "0"))

CONTAINERS = {  # and what they hold, where it is not H.264 and AAC
    ".3gp": "",
    ".avi": "-c:v mpeg4 -c:a mp3",
    ".flv": "-c:v flv -c:a mp3",
    ".mkv": "-bf 2",
    ".mov": "-movflags +faststart",
    ".mp4": "-movflags +frag_keyframe+empty_moov",  # as a browser records it
    ".mpg": "-c:v mpeg2video -c:a mp2",
    ".mts": "",
    ".ogv": "-c:v libtheora -c:a libvorbis",
    ".ts": "-bf 2",
    ".webm": "-c:v libvpx -c:a libopus",
    ".wmv": "-c:v wmv2 -c:a wmav2",
}


def make_specimen(kind, folder):
    """A small, whole file of this kind."""
    if kind in ("zip", "outer zip"):
        for name in ("a.000", "b.001", "c.002"):
            make_clip(folder / f"{name}.mp4", [90] * 3)
        inner = make_zip(folder / "training80_01.zip", ["a.000", "b.001", "c.002"], folder)
        if kind == "zip":
            return inner
        with zipfile.ZipFile(folder / "train-1.zip", "w", zipfile.ZIP_DEFLATED) as outer:
            outer.write(inner, "train-1/training80_01.zip")
        return folder / "train-1.zip"
    if kind == "mp4":
        return make_clip(folder / "clip.mp4", range(40, 64), options=["-g", "8", "-bf", "2"])
    if kind == "long clip":  # the mp4 with its table at the end has been broken above
        (folder / "clips").mkdir()
        for suffix, codecs in CONTAINERS.items():
            make_clip(folder / f"clips/long{suffix}", range(40, 90), options=["-g", "8", *codecs.split()])
        return folder / "clips"
    if kind == "wav":
        extract_sound(make_clip(folder / "clip.mp4", [90] * 5), folder / "clip.wav")
        return folder / "clip.wav"
    if kind == "annotation":
        write_annotation(folder / "annotation.pkl", {f"clip{n}.{n:03d}": label_of(n % 100) for n in range(120)})
        return folder / "annotation.pkl"
    if kind == "labels":
        rows = ["clip,split,speaker,extraversion,agreeableness,conscientiousness,emotional_stability,openness"]
        for number in range(50):
            cells = (f"clip{number}.mov", ("train", "val", "test")[number % 3], f"who{number % 7}", *label_of(number))
            rows.append(",".join(map(str, cells)))
        (folder / "annotations.csv").write_text("\n".join(rows))
        return folder / "annotations.csv"
    if kind == "csv":
        predictions.write_csv(folder / "a.csv", {f"clip{n}.{n:03d}": label_of(n) for n in range(50)})
        return folder / "a.csv"
    random = np.random.default_rng(0)
    if kind == "mat":
        layers = {name: (random.normal(size=shape), random.normal(size=(2, 1))) for name, shape in SMALL_VGG.items()}
        return write_mat(folder / "vgg.mat", layers)
    if kind == "keras weights":
        with h5py.File(folder / "notop.h5", "w") as file:
            for name, shape in SMALL_VGG.items():
                group = file.create_group(f"block{name[4]}_conv{name[6]}")
                group["kernel:0"] = random.normal(size=shape).astype(np.float32)
                group["bias:0"] = random.normal(size=shape[-1]).astype(np.float32)
        return folder / "notop.h5"
    if kind == "tfrecords":
        items = []
        for number in range(8):
            smooth = Image.fromarray(random.integers(0, 255, (4, 4, 3), np.uint8)).resize((224, 224))
            smooth.save(folder / f"{number}.jpg", quality=50)
            items.append(record_writer.Example(f"clip.{number:03d}", label_of(number), folder / f"{number}.jpg"))
        path = folder / "train_full.tfrecords"
        record_writer.write(path, "train", "image", items, lambda sources: (s.read_bytes() for s in sources), {})
        return path
    sound = keras.Input((audio.FEATURES,))
    model = keras.Model(sound, keras.layers.Dense(5, activation="sigmoid")(sound))
    if kind == "keras":
        model.save(folder / "final.keras")
        return folder / "final.keras"
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    about = {"constants": {}, "records": {}, "start": {}}
    checkpoint.save(folder, model, optimizer, checkpoint.TrainingState(about=about))
    return folder / "checkpoint.npz"


@pytest.fixture(scope="module")
def reader():
    """A running broken.py."""
    command = [sys.executable, str(Path(__file__).with_name("broken.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.stdin.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", READERS)
def test_broken_file_is_refused_by_name_or_read_whole(folder, reader, kind):
    (folder / "whole").mkdir()
    specimen = make_specimen(kind, folder / "whole")
    work = folder / "work"
    work.mkdir()
    count = round(COUNT * READERS[kind].share)
    asked = {"folder": str(work), "kind": kind, "specimen": str(specimen), "count": count, "seed": SEED}
    print(json.dumps(asked), file=reader.stdin, flush=True)
    status, at = int(reader.stdout.readline()), work / "at.txt"
    said = (work / "said.txt").read_text()
    assert status == 0, f"status {status} at {at.read_text() if at.exists() else '?'}: {said[-3000:]}"
    report = json.loads((work / "report.json").read_text())
    print(report)
    assert not report["faults"], "\n".join(f"{number}: {error}" for number, error in report["faults"][:10])
    assert report["refused"] > count / 20 and report["refused"] + report["whole"] > count * 0.9
    assert report["gigabytes"] < GIGABYTES
    assert not list(work.glob("*.partial*"))
    shutil.rmtree(work)
