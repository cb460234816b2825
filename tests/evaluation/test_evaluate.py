"""evaluate.py on CSV files of anyone and on small trained stand-ins, and ChaLearn's CSV format."""

import json
import os
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import PROJECT, label_of, refused, run, run_alone, write_annotation
from PIL import Image

from first_impression.common.errors import UserError
from first_impression.data import record_writer
from first_impression.evaluation import metrics, predictions

HEADER = "VideoName,ValueExtraversion,ValueAgreeableness,ValueConscientiousness,ValueNeurotisicm,ValueOpenness"


def test_csv_has_chalearns_order_and_spelling():
    predictions.write_csv("p.csv", {"-x.000": [0.1, 0.2, 0.3, 0.4, 0.5]})  # E N A C O
    assert Path("p.csv").read_text().splitlines()[0] == HEADER
    assert Path("p.csv").read_text().splitlines()[1].split(",")[0] == "-x.000.mp4"
    assert [float(v) for v in Path("p.csv").read_text().splitlines()[1].split(",")[1:]] == [0.1, 0.3, 0.4, 0.2, 0.5]
    found, doubled = predictions.read_csv("p.csv")
    assert list(found) == ["-x.000"] and np.allclose(found["-x.000"], [0.1, 0.2, 0.3, 0.4, 0.5]) and not doubled


def test_csv_columns_are_found_by_name_in_any_order_and_either_spelling():
    for header in (
        "ValueOpenness,VideoName,ValueNeuroticism,ValueAgreeableness,extra,ValueExtraversion,ValueConscientiousness",
        "openness, videoname ,NEUROTICISM,agreeableness,x,extraversion,conscientiousness",
        "ValueOpenness,VideoName,ValueNeurotisicm,ValueAgreeableness,extra,ValueExtraversion,ValueConscientiousness",
    ):
        Path("p.csv").write_text(f"{header}\n0.5,a.mp4,0.2,0.3,9,0.1,0.4\nx1,b,0,0,0,0,0\n".replace("x1", "1"))
        found, _ = predictions.read_csv("p.csv")
        assert found["a"].tolist() == [0.1, 0.2, 0.3, 0.4, 0.5] and found["b"].tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("VideoName,ValueOpenness\na,1\n", "no column for extraversion, agreeableness, conscientiousness, neuroticism"),
        (HEADER.replace("VideoName", "Clip") + "\na,1,1,1,1,1\n", "no column for VideoName"),
        (HEADER + "\na.mp4,0.5,0.5,high,0.5,0.5\n", "the row of 'a' does not hold five finite numbers"),
        (HEADER + "\na.mp4,0.5,0.5,nan,0.5,0.5\n", "the row of 'a'"),
        (HEADER + "\na.mp4,0.5,0.5\n", "the row of 'a'"),
        ("", "not a readable CSV"),
        ("\0\xff\0" * 100, "p.csv"),
    ],
)
def test_unfit_csv_files_are_named(content, words):
    Path("p.csv").write_bytes(content.encode("latin1"))
    with pytest.raises(UserError, match=words) as refusal:
        predictions.read_csv("p.csv")
    assert "p.csv" in str(refusal.value)


TRAINING = {f"seen{n}.000": label_of(n) for n in range(20)}
VALIDATION = {f"seen{n}.001": label_of(n + 3) for n in range(12)} | {f"new{n}.000": label_of(n + 40) for n in range(8)}


@pytest.fixture
def annotated(folder):
    write_annotation("Annotations/annotation_training.pkl", TRAINING)
    write_annotation("Annotations/annotation_validation.pkl", VALIDATION)
    return folder


def answers(seed, clips=VALIDATION):
    random = np.random.default_rng(seed)
    return {clip: np.clip(VALIDATION.get(clip, np.zeros(5)) + random.normal(0, 0.05, 5), 0, 1) for clip in clips}


def without_tensorflow(folder):
    """An environment in which importing TensorFlow or Keras fails."""
    for name in ("tensorflow", "keras"):
        (folder / "blocked").mkdir(exist_ok=True)
        (folder / "blocked" / f"{name}.py").write_text("raise SystemExit('imported')")
    return {**os.environ, "PYTHONPATH": str(folder / "blocked")}


def test_csv_files_are_scored_and_fused_without_tensorflow(annotated):
    first, second = answers(1), answers(2)
    predictions.write_csv("a.csv", first)
    predictions.write_csv("b.csv", second)
    arguments = ("--PREDICTIONS", "a.csv,b.csv", "--ANNOTATION", "Annotations/annotation_validation.pkl")
    done = run_alone("evaluate.py", *arguments, env=without_tensorflow(annotated))
    assert done.returncode == 0, done.stderr
    report = json.loads(Path("runs/fusion/scores_validation.json").read_text())
    assert list(report["models"]) == ["a.csv", "b.csv", "fusion"]
    true = np.array([VALIDATION[clip] for clip in VALIDATION])
    fused = np.array([(first[clip] + second[clip]) / 2 for clip in VALIDATION])
    scores = report["models"]["fusion"]["all clips"]
    assert scores["clips"] == 20
    assert scores["accuracy"]["neuroticism"] == pytest.approx(1 - np.abs(fused - true)[:, 1].mean(), abs=5e-5)
    assert scores["CCC"]["mean"] == pytest.approx(metrics.concordance(fused, true).mean(), abs=1e-4)
    constant = np.mean(list(TRAINING.values()), axis=0)
    assert scores["constant guess"]["mean"] == pytest.approx(1 - np.abs(constant - true).mean(), abs=5e-5)
    lookup = np.array([TRAINING.get(clip.replace(".001", ".000"), constant) for clip in VALIDATION])
    assert scores["same-source lookup"]["mean"] == pytest.approx(1 - np.abs(lookup - true).mean(), abs=5e-5)
    unseen = report["models"]["fusion"]["clips of unseen sources"]
    assert unseen["clips"] == 8 and unseen["constant guess"] == unseen["same-source lookup"]
    assert unseen["accuracy"]["mean"] == pytest.approx(1 - np.abs(fused - true)[12:].mean(), abs=5e-5)
    found, _ = predictions.read_csv("runs/fusion/predictions_validation.csv")
    assert np.allclose([found[clip] for clip in VALIDATION], fused, atol=1e-7)
    last = done.stdout.split("validation, accuracy by clip, all clips")[1]
    assert all(word in last for word in ("a.csv", "b.csv", "fusion", "constant guess", "same-source lookup"))
    for picture in ("scatter", "errors", "models"):
        with Image.open(f"runs/fusion/{picture}_validation.png") as image:
            assert image.width > 500

    done = run("evaluate.py", *arguments, "--FUSION_WEIGHTS", "3,1")
    assert done.returncode == 0
    found, _ = predictions.read_csv("runs/fusion/predictions_validation.csv")
    weighted = np.array([(3 * first[clip] + second[clip]) / 4 for clip in VALIDATION])
    assert np.allclose([found[clip] for clip in VALIDATION], weighted, atol=1e-7)
    for wrong in ("1", "1,x", "-1,2", "0,0", "nan,1"):
        refused(run("evaluate.py", *arguments, f"--FUSION_WEIGHTS={wrong}"), "FUSION_WEIGHTS")


def test_unknown_missing_and_doubled_names_are_told(annotated):
    few = dict(list(answers(1).items())[:15])
    predictions.write_csv("a.csv", {**few, "nobody.000": np.full(5, 0.5)})
    rows = Path("a.csv").read_text().splitlines()
    Path("a.csv").write_text("\n".join([*rows, rows[1]]) + "\n")
    done = run("evaluate.py", "--PREDICTIONS", "a.csv")
    assert done.returncode == 0, done.stderr
    assert "a.csv: 1 clips stand twice, the first row counts: seen0.001" in done.stdout
    assert "a.csv: 1 clips without a label, passed over: nobody.000" in done.stdout
    assert "a.csv: 5 clips missing: " in done.stdout
    predictions.write_csv("b.csv", {"nobody.000": np.full(5, 0.5)})
    refused(run("evaluate.py", "--PREDICTIONS", "b.csv"), "b.csv: none of its clips has a label")
    refused(run("evaluate.py", "--PREDICTIONS", "c.csv"), "c.csv is missing")


def test_without_a_trained_run_it_says_what_to_type(annotated):
    refused(run("evaluate.py"), "holds no trained run", "train.py")
    refused(run("evaluate.py", "--MODELS", "dan"), "holds no trained run")
    Path("Annotations/annotation_validation.pkl").unlink()
    refused(run("evaluate.py"), "annotation_validation.pkl is missing")


def tiny_models():
    """Stand-ins of both kinds, of built-in layers, as trained runs."""
    images = keras.Input((224, 224, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(images))
    dense = keras.layers.Dense(5, "sigmoid", kernel_initializer=keras.initializers.RandomNormal(stddev=2, seed=1))
    visual = keras.Model(images, dense(pooled))
    sound = keras.Input((79_534,))
    dense = keras.layers.Dense(5, "sigmoid", kernel_initializer=keras.initializers.RandomNormal(stddev=1e-3, seed=2))
    audio = keras.Model(sound, dense(sound))
    for name, model in (("dan", visual), ("audio", audio)):
        Path("runs", name).mkdir(parents=True)
        model.save(f"runs/{name}/final.keras")
        start = "NOT the published VGG-Face" if name == "dan" else "random"
        Path(f"runs/{name}/settings.json").write_text(json.dumps({"start": start, "constants": {}}))
    return visual, audio


def test_trained_runs_are_scored_on_their_records(annotated):
    visual, audio = tiny_models()
    random = np.random.default_rng(0)
    frames, sounds = [], []
    for clip, label in VALIDATION.items():
        for n in range(2):
            content = np.full((224, 224, 3), random.integers(0, 256, 3)).astype(np.uint8)
            Path(f"{clip}-{n}.bin").write_bytes(content.tobytes())
            frames.append(record_writer.Example(clip, label.astype(np.float32), Path(f"{clip}-{n}.bin")))
        if clip != "new7.000":  # a clip without sound
            Path(f"{clip}.f32").write_bytes(random.normal(5, 3, 79_534).astype("<f4").tobytes())
            sounds.append(record_writer.Example(clip, label.astype(np.float32), Path(f"{clip}.f32")))
    for kind, items, path in (("image", frames, "val_full.tfrecords"), ("audio", sounds, "val_audio_full.tfrecords")):
        record_writer.write(Path(path), "val", kind, items, lambda sources: (s.read_bytes() for s in sources), {})
    done = run("evaluate.py")
    assert done.returncode == 0, done.stderr
    assert "dan: first weights: NOT the published VGG-Face" in done.stdout
    assert "audio: 1 clips missing: new7.000" in done.stdout
    of_dan, _ = predictions.read_csv("runs/dan/predictions_validation.csv")
    of_audio, _ = predictions.read_csv("runs/audio/predictions_validation.csv")
    fused, _ = predictions.read_csv("runs/fusion/predictions_validation.csv")
    assert len(of_dan) == 20 and len(of_audio) == 19 and len(fused) == 20
    for clip in VALIDATION:
        images = [np.frombuffer(Path(f"{clip}-{n}.bin").read_bytes(), np.uint8).reshape(224, 224, 3) for n in range(2)]
        assert np.allclose(of_dan[clip], visual(np.stack(images)).numpy().mean(axis=0), atol=1e-5)
        if clip in of_audio:
            sound = np.frombuffer(Path(f"{clip}.f32").read_bytes(), "<f4")[None]
            assert np.allclose(of_audio[clip], audio(sound).numpy()[0], atol=1e-5)
            assert np.allclose(fused[clip], (of_dan[clip] + of_audio[clip]) / 2, atol=1e-7)
    assert np.allclose(fused["new7.000"], of_dan["new7.000"])
    report = json.loads(Path("runs/fusion/scores_validation.json").read_text())
    assert "accuracy by frame" in report["models"]["dan"]["all clips"]
    assert "accuracy by frame" not in report["models"]["audio"]["all clips"]
    assert Path("runs/dan/scatter_validation.png").exists() and Path("runs/audio/errors_validation.png").exists()

    refused(run("evaluate.py", "--MODELS", "dan,resnet"), "no trained resnet, only audio, dan")
    Path("runs/dan/final.keras").write_bytes(b"no model")
    refused(run("evaluate.py"), "final.keras is damaged or no model of train.py")


def test_no_script_imports_tensorflow_for_its_help():
    for name in ("evaluate.py", "train.py", "Write_Into_TFRecords.py", "feat_extraction_from_wav.py"):
        done = run_alone(name, "--help", env=without_tensorflow(Path().absolute()))
        assert done.returncode == 0 and (PROJECT / name).exists(), done.stderr
