"""The drawn sample, and the whole pipeline on a smaller one."""

import hashlib
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import PROJECT, refused, run
from scipy.io import loadmat

from first_impression.data import annotations, chalearn
from first_impression.data.sound import extract_sound

SMALL = ("--TRAINING_CLIPS", "12", "--VALIDATION_CLIPS", "6", "--SECONDS", "1")


def digests(*patterns):
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for pattern in patterns for p in Path().glob(pattern)}


def test_equal_seeds_draw_equal_clips_however_many_workers(folder):
    done = run("sample_data.py", *SMALL, "--WORKERS", "1")
    assert done.returncode == 0, done.stderr
    assert "NOT VGG-Face" in done.stdout and "NOT VGG-Face" in Path("README.txt").read_text()
    first = digests("data/*.zip", "Annotations/*.pkl")
    assert len(first) == 4
    assert "complete" in run("sample_data.py", *SMALL).stdout
    Path("data/validation80_01.zip").unlink()
    assert run("sample_data.py", *SMALL, "--WORKERS", "2").returncode == 0
    assert digests("data/*.zip", "Annotations/*.pkl") == first
    refused(run("sample_data.py", *SMALL, "--SEED", "1"), "sample of other settings")


def test_it_does_not_mix_with_what_is_not_its_own(folder):
    Path("vgg-face.mat").write_bytes(b"the real thing")
    refused(run("sample_data.py", *SMALL), "vgg-face.mat")
    assert [path.name for path in folder.iterdir()] == ["vgg-face.mat"]


def test_labels_are_spread_and_weights_say_what_they_are(folder):
    run("sample_data.py", *SMALL)
    labels = annotations.read_annotation("Annotations/annotation_training.pkl")
    values = np.array(list(labels.values()))
    assert values.shape == (12, 5) and values.min() > 0.1 and values.max() < 0.9
    assert np.allclose(values.mean(axis=0), 0.5, atol=1e-6) and values.std(axis=0).min() > 0.2
    known = {clip.rpartition(".")[0] for clip in labels}
    validation = annotations.read_annotation("Annotations/annotation_validation.pkl")
    assert any(clip.startswith("-") for clip in [*labels, *validation])
    assert sum(clip.rpartition(".")[0] in known for clip in validation) == 3  # half from sources that training knows
    mat = loadmat("vgg-face.mat")
    assert "NOT VGG-Face" in str(mat["meta"]["note"][0, 0][0])
    kernel, bias = mat["layers"][0][0][0, 0]["weights"][0]
    assert kernel.shape == (3, 3, 3, 64) and bias.shape == (64, 1)
    assert Path("vgg-face.mat").stat().st_size < 500_000


def test_clips_are_what_they_claim(folder):
    run("sample_data.py", *SMALL)
    clip = chalearn.find_clips()[0]
    video = cv2.VideoCapture(str(chalearn.unzip(clip)))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 10
    assert (video.get(cv2.CAP_PROP_FRAME_WIDTH), video.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (320, 240)
    extract_sound(clip.video, folder / "a.wav")


@pytest.mark.slow
def test_the_whole_pipeline_on_a_smaller_sample(folder):
    """The commands of run_pipeline.sh, each with fewer clips, in a folder of its own."""
    steps = [
        ("sample_data.py", *SMALL),
        ("Video_to_Image.py", "--FRAMES_PER_CLIP", "1"),
        ("vid_to_wav.py",),
        ("Write_Into_TFRecords.py",),
        ("feat_extraction_from_wav.py",),
        ("train.py", "--BATCH_SIZE", "4", "--N_EPOCHS", "1"),
        ("train.py", "--MODEL", "audio", "--N_EPOCHS", "20"),
        ("evaluate.py",),
    ]
    for name, *arguments in steps:
        done = run(name, *arguments)
        assert done.returncode == 0, f"{name}: {done.stderr}"
    assert all(word in done.stdout for word in ("dan", "audio", "fusion", "constant guess", "same-source lookup"))
    history = pd.read_csv("runs/audio/history.csv")
    assert history["training_loss"].iloc[-1] < history["training_loss"].iloc[0] / 3
    for name in ("dan", "audio"):
        for file in (
            "final.keras",
            "best.keras",
            "history.csv",
            "settings.json",
            "curves.png",
            "training_labels.csv",
        ):
            assert Path("runs", name, file).stat().st_size > 0
    clip = next(Path("unzippedData/validation80_01").iterdir())
    done = run("predict.py", "--FRAMES_PER_CLIP", "2", "--EVIDENCE", "True", f"./{clip}", "--JSON", "answer.json")
    assert done.returncode == 0, done.stderr
    assert "extraversion" in done.stdout and "NOT the published VGG-Face" in done.stdout
    assert Path("answer.json").exists() and list(Path("predictions").glob("*.png"))
    assert not list(folder.rglob(".partial*"))


def test_the_shell_scripts_are_sound():
    for name in ("run_pipeline.sh", "run_tests.sh", "environment.sh", ".ci/run"):
        assert subprocess.run(["bash", "-n", PROJECT / name]).returncode == 0


def test_a_python_without_wheels_is_named_at_once(folder):
    (folder / "python9").write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 9.9.9" || echo 9.9\n')
    (folder / "python9").chmod(0o755)
    for name in ("run_pipeline.sh", "environment.sh"):
        (folder / name).write_bytes((PROJECT / name).read_bytes())
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": str(folder / "python9")}
    done = subprocess.run(["bash", folder / "run_pipeline.sh"], capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and not done.stdout
    assert "no wheel for Python 9.9.9: install one of Python 3.11, 3.12, 3.13" in done.stderr
