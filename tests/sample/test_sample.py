"""The drawn sample, and the whole pipeline on a smaller one."""

import contextlib
import hashlib
import json
import subprocess
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import FFMPEG, PROJECT, ok, refused, run, run_alone

from first_impression.common.errors import UserError
from first_impression.data import annotations, audio, chalearn, clip_log, inventory, media, sound, vggface
from first_impression.sample import dataset, drawing, plan, voice, weights

SMALL = ("--TRAINING_CLIPS", "12", "--VALIDATION_CLIPS", "6", "--SECONDS", "1")
MIDDLING = dict.fromkeys(chalearn.TRAITS, 0.5)
SPEAKER = plan.draw_speaker(0, 0)
FRAME = np.zeros((drawing.HEIGHT, drawing.WIDTH, 3), np.uint8)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small sample as the script makes it; tests leave it as it is."""
    folder = tmp_path_factory.mktemp("small")
    done = run_alone("sample_data.py", *SMALL, "--WORKERS", "2", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "NOT VGG-Face" in done.stdout
    return folder


def digests(folder):
    files = [path for pattern in ("data/*.zip", "Annotations/*.pkl") for path in folder.glob(pattern)]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.slow
def test_equal_seeds_draw_equal_clips_however_many_workers(small, folder):
    assert run("sample_data.py", *SMALL, "--WORKERS", "1").returncode == 0
    first = digests(small)
    assert len(first) == 4 and digests(folder) == first
    assert Path("README.txt").read_bytes() == (small / "README.txt").read_bytes()
    assert "complete" in run("sample_data.py", *SMALL).stdout
    refused(run("sample_data.py", *SMALL, "--SEED", "1"), "sample of other settings")
    Path("data/validation80_01.zip").unlink()
    done = run("sample_data.py", *SMALL)
    assert done.returncode == 0 and digests(folder) == first


def test_another_seed_draws_other_people_and_labels():
    for name in ("name", "traits"):
        first, second = ([getattr(clip, name) for clip in planned(seed)] for seed in (0, 1))
        assert not any(value in second for value in first)
    assert not np.array_equal(plan.draw_speaker(0, 0).skin, plan.draw_speaker(0, 1).skin)


def planned(seed):
    return [clip for clips in plan.plan_clips(12, 6, seed).values() for clip in clips]


@pytest.mark.parametrize("seed", range(3))
def test_no_two_traits_rise_together(seed):
    for clips in plan.plan_clips(80, 40, seed).values():
        labels = np.array([list(clip.traits.values()) for clip in clips])
        assert np.abs(np.corrcoef(labels.T) - np.eye(5)).max() < 0.25  # the first draw's, mostly: 0.3 to 0.5


def test_the_default_plan_is_unchanged():
    """The scores in the README are of this plan; a digest of all names and labels of the default sample."""
    clips = [clip for clips in plan.plan_clips(80, 40, 0).values() for clip in clips]
    lines = [f"{clip.name} {list(clip.traits.values())}" for clip in clips]
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest().startswith("f4edfd7e7c8b5c86")


@pytest.mark.parametrize("foreign", ["vgg-face.mat", "README.txt", "data/training80_07.zip"])
def test_foreign_files_in_the_folder_are_refused(folder, foreign):
    Path(foreign).parent.mkdir(exist_ok=True)
    Path(foreign).write_bytes(b"the real thing")
    refused(run("sample_data.py", *SMALL), foreign, "empty folder")
    assert [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()] == [foreign]


def test_labels_are_spread_and_half_of_the_validation_shares_sources(small):
    labels = annotations.read_annotation(small / "Annotations/annotation_training.pkl")
    values = np.array(list(labels.values()))
    assert values.shape == (12, 5) and values.min() > 0.1 and values.max() < 0.9
    assert np.allclose(values.mean(axis=0), 0.5, atol=1e-6) and values.std(axis=0).min() > 0.2
    known = {clip.rpartition(".")[0] for clip in labels}
    validation = annotations.read_annotation(small / "Annotations/annotation_validation.pkl")
    assert any(clip.startswith("-") for clip in [*labels, *validation])
    assert sum(clip.rpartition(".")[0] in known for clip in validation) == 3


@pytest.mark.slow
def test_the_weights_are_vgg16s_and_say_that_they_are_not_vggface(folder):
    weights.write("made-up.mat")
    read = vggface.read("made-up.mat")
    assert not read.published and "NOT VGG-Face" in read.words
    assert np.allclose(read.mean_colour, vggface.MEAN_COLOUR)
    assert Path("made-up.mat").stat().st_size < 500_000
    kernel, bias = read.convolutions["conv1_1"]
    answers = np.maximum(np.einsum("hwio,i->o", kernel, [60.0, 60.0, 60.0]) + bias, 0)  # to an even light grey
    assert answers[:4].all() and not answers[4:10].any()  # brighter by 60 than -40, -10, 10 and 40, not 70; none darker
    assert np.allclose(answers[60:], 0, atol=1e-2)  # no edge
    kernel, bias = read.convolutions["conv2_1"]
    there = np.arange(64.0)
    assert np.array_equal(kernel[1, 1].T @ there, weights.GAIN * np.concatenate([there, there])) and not bias.any()
    assert np.count_nonzero(kernel) == 128


def test_clips_have_the_promised_frames_and_sound(small, folder):
    with zipfile.ZipFile(small / "data/training80_01.zip") as archive:
        names = archive.namelist()
        archive.extract(names[0])
    labels = annotations.read_annotation(small / "Annotations/annotation_training.pkl")
    assert names == [f"{clip}.mp4" for clip in labels]
    video = cv2.VideoCapture(names[0])
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 10
    assert (video.get(cv2.CAP_PROP_FRAME_WIDTH), video.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (320, 240)
    sound.extract_sound(Path(names[0]), "a.wav")
    assert audio.read_wav("a.wav").shape[0] == pytest.approx(sound.SAMPLE_RATE, rel=0.1)


@pytest.mark.parametrize("trait", chalearn.TRAITS)
def test_every_trait_can_be_seen_and_heard(trait):
    def frame(value):
        return next(drawing.draw_frames({**MIDDLING, trait: value}, SPEAKER, [0.5], 10, np.random.default_rng(0)))

    def spectrum(value, seed):
        sound = voice.speak({**MIDDLING, trait: value}, 150.0, 1.0, np.random.default_rng(seed))
        return np.log(np.abs(np.fft.rfft(sound))[:20000].reshape(200, 100).mean(axis=1))

    assert np.array_equal(frame(0.2), frame(0.2))
    assert np.abs(frame(0.2).astype(int) - frame(0.8)).mean() > 3  # of 255
    by_chance = np.abs(spectrum(0.2, 0) - spectrum(0.2, 1)).mean()
    assert np.abs(spectrum(0.2, 0) - spectrum(0.8, 0)).mean() > 1.5 * by_chance


def test_the_mouth_opens():
    def frame(opening):
        frames = list(drawing.draw_frames(MIDDLING, SPEAKER, [opening], 10, np.random.default_rng(0)))
        assert len(frames) == 1 and frames[0].shape == (240, 320, 3) and frames[0].dtype == np.uint8
        return frames[0].astype(int)

    rows, columns = np.nonzero((frame(0.0) != frame(1.0)).any(axis=2))
    assert len(rows) > 100 and np.ptp(rows) < 60 and np.ptp(columns) < 60 and rows.min() > 0.47 * 240


def test_an_ffmpeg_that_fails_is_named(monkeypatch):
    monkeypatch.setattr(media, "ffmpeg", lambda: "false")
    with pytest.raises(UserError, match=r"false could not make a clip \(no reason given\)"):
        dataset.encode([FRAME], np.zeros(4410), 10)


@pytest.mark.parametrize("cut", [1, 100, 2000])
def test_a_truncated_clip_is_refused_though_ffmpeg_reports_success(monkeypatch, folder, cut):
    """As one of version 5 does on a full disk."""
    cutting = folder / "ffmpeg"
    cutting.write_text(f'#!/bin/sh\n"{FFMPEG}" "$@" && for last; do :; done && truncate -s -{cut} "$last"\n')
    cutting.chmod(0o755)
    assert dataset.encode([FRAME], np.zeros(4410), 10)
    monkeypatch.setattr(media, "ffmpeg", lambda: str(cutting))
    with pytest.raises(UserError, match="could not make a clip"):
        dataset.encode([FRAME], np.zeros(4410), 10)


@pytest.fixture(scope="module")
def through(tmp_path_factory):
    """(A folder in which the commands of run_pipeline.sh were run, each with fewer clips; what evaluate.py printed)."""
    steps = [
        ("sample_data.py", "--TRAINING_CLIPS", "24", "--VALIDATION_CLIPS", "4", "--SECONDS", "1"),
        ("Video_to_Image.py", "--FRAMES_PER_CLIP", "1"),
        ("vid_to_wav.py",),
        ("Write_Into_TFRecords.py",),
        ("feat_extraction_from_wav.py",),
        ("train.py", PROJECT / "recipes/sample_dan.py", "--N_EPOCHS", "1"),
        ("train.py", PROJECT / "recipes/sample_audio.py"),
        ("evaluate.py",),
    ]
    folder = tmp_path_factory.mktemp("through")
    with contextlib.chdir(folder):
        for name, *arguments in steps:
            said = ok(run(name, *arguments))
    return folder, said


@pytest.mark.slow
def test_the_whole_pipeline_on_a_smaller_sample(through, monkeypatch):
    folder, scores = through
    monkeypatch.chdir(folder)
    assert all(word in scores for word in ("dan", "audio", "fusion", "constant guess", "same-source lookup"))
    history = pd.read_csv("runs/sample_audio/history.csv")
    assert history["training_loss"].iloc[-1] < history["training_loss"].iloc[0] / 3
    for name in ("sample_dan", "sample_audio"):
        for file in "final.keras best.keras history.csv settings.json curves.png training_labels.csv".split():
            assert Path("runs", name, file).stat().st_size > 0
    clip = next(Path("unzippedData/validation80_01").iterdir())
    said = ok(run("predict.py", "--FRAMES_PER_CLIP", "2", "--EVIDENCE", "True", f"./{clip}", "--JSON", "answer.json"))
    assert "extraversion" in said and "NOT the published VGG-Face" in said
    assert Path("answer.json").exists() and list(Path("predictions").rglob("*.png"))
    assert not list(folder.rglob(".partial*"))


@pytest.mark.slow
def test_light_moves_what_light_was_drawn_by_and_loudness_what_was_spoken_by_it(through, monkeypatch):
    """Neuroticism sets the light, and the breath's level; extraversion the voice's."""
    folder, _ = through
    monkeypatch.chdir(folder)
    ok(run("train.py", PROJECT / "recipes/head_dan.py"))
    clips, models = list(Path("unzippedData/validation80_01").iterdir())[:2], "--MODELS=head_dan,sample_audio"
    outputs = "--PICTURE=False", "--WHAT_IF", "--JSON=edited.json"
    ok(run("predict.py", *(f"./{clip}" for clip in clips), models, "--FRAMES_PER_CLIP=4", *outputs))
    answered = json.loads(Path("edited.json").read_text())["clips"].values()
    assert len(answered) == 2
    for clip in answered:
        edits = {name: edit["models"] for name, edit in clip["what_if"]["edits"].items()}
        light = {name: edits[name]["head_dan"]["neuroticism"] for name in ("brighter", "darker")}
        assert light["brighter"] > 0.02 and light["darker"] < -0.02
        for trait in ("extraversion", "neuroticism"):
            assert edits["louder"]["sample_audio"][trait] > 0.02 > -0.02 > edits["softer"]["sample_audio"][trait]


def test_the_shell_scripts_are_sound():
    for name in ("run_pipeline.sh", "run_tests.sh", "environment.sh", ".ci/run"):
        assert subprocess.run(["bash", "-n", PROJECT / name]).returncode == 0


def commands_of(folder, *arguments):
    """The commands that run_pipeline.sh runs in `folder`, as it prints them; none of them does anything."""
    (folder / "run_pipeline.sh").write_bytes((PROJECT / "run_pipeline.sh").read_bytes())
    (folder / "environment.sh").write_text(f"PROJECT={folder}\nPYTHON=true\nmake_environment() {{ :; }}\n")
    done = subprocess.run(["bash", "run_pipeline.sh", *arguments], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return [line.removeprefix("$ python ./") for line in done.stdout.splitlines() if line.startswith("$ ")]


def test_the_pipeline_trains_sound_alone_without_weights_and_takes_any_that_are_there(folder):
    (folder / "data").mkdir()
    assert commands_of(folder) == [
        "check_data.py",
        "vid_to_wav.py",
        "feat_extraction_from_wav.py",
        "train.py ./recipes/paper_audio.py",
        "evaluate.py --MODELS paper_audio",
    ]
    imagenet, faces = inventory.WEIGHTS.keys() - {"vgg-face.mat"}, "rcmalli_vggface_tf_notop_vgg16.h5"
    for name in sorted(imagenet, reverse=True):  # VGG-Face comes before ImageNet's
        (folder / name).touch()
        commands = commands_of(folder)
        assert commands[0] == f"check_data.py --WEIGHTS {name}" and f"train.py --WEIGHTS {name}" in commands
    assert name == faces and len(imagenet) == 2
    (folder / "vgg-face.mat").touch()
    assert "train.py" in commands_of(folder) and "--WEIGHTS" not in "".join(commands_of(folder))


def test_the_paper_takes_92_frames_or_those_that_are_there(folder):
    (folder / "rcmalli_vggface_tf_notop_vgg16.h5").touch()
    commands, start = commands_of(folder, "paper"), "--WEIGHTS rcmalli_vggface_tf_notop_vgg16.h5"
    assert commands[:2] == [
        f"check_data.py --PAPER --FRAMES_PER_CLIP 92 {start}",
        "Video_to_Image.py --FRAMES_PER_CLIP 92",
    ]
    for model in ("dan", "dan_plus"):
        assert f"train.py ./recipes/paper_{model}.py {start}" in commands
    assert "train.py ./recipes/paper_audio.py" in commands
    log = clip_log.ClipLog(chalearn.IMAGES)
    chalearn.IMAGES.mkdir()
    log.begin({"FRAMES_PER_CLIP": 100, "SAMPLING": "even", "FFMPEG": "7.1"})
    assert "Video_to_Image.py --FRAMES_PER_CLIP 100" in commands_of(folder, "paper")


def test_an_unsupported_python_is_refused_at_once(folder):
    (folder / "python9").write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 9.9.9" || echo 9.9\n')
    (folder / "python9").chmod(0o755)
    for name in ("run_pipeline.sh", "environment.sh"):
        (folder / name).write_bytes((PROJECT / name).read_bytes())
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": str(folder / "python9")}
    done = subprocess.run(["bash", folder / "run_pipeline.sh"], capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and not done.stdout
    assert "no wheel for Python 9.9.9: install one of Python 3.11, 3.12, 3.13" in done.stderr
