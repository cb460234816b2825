"""The published models answer and are scored as the runs themselves, wherever they come from."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import label_of, make_clip, ok, refused, run, write_annotation
from test_fetching import cache, server  # noqa: F401, fixtures
from test_publishing import LABELS, audio_model, save_run

from first_impression.data import audio, record_writer


@pytest.fixture
def published(folder):
    save_run("ear", audio_model(1)), save_run("other", audio_model(2))
    ok(run("publish.py", "ear", "other", "--TO", "published/mine", "--LICENSE", "mit"))
    return "published/mine"


def answers(*arguments):
    ok(run("predict.py", "clip.mp4", "--PICTURE", "False", "--JSON", "answers.json", *arguments))
    told = json.loads(Path("answers.json").read_text())
    return told["clips"], told["training_clips"], told["training_histogram"], told["models"]


@pytest.mark.slow
def test_a_clip_is_answered_alike_by_runs_folder_zip_and_address(published, server, cache, monkeypatch):  # noqa: F811
    make_clip("clip.mp4", [30, 90, 200], sound=600)
    of_runs = answers()
    assert of_runs[0]["clip.mp4"]["percentile"] and of_runs[1] == 40
    shutil.make_archive("mine", "zip", published)
    address = f"{server.address}/published/mine/manifest.json"
    for place in (published, "mine.zip", address):
        assert answers("--RUNS", place) == of_runs
    server.shutdown()  # and without a network
    Path("elsewhere").mkdir()
    shutil.move("clip.mp4", "elsewhere")
    monkeypatch.chdir("elsewhere")
    assert answers("--RUNS", address) == of_runs
    refused(run("predict.py", "clip.mp4", "--RUNS", address, "--EPOCHS", "1"), "is published")


@pytest.mark.slow
def test_published_runs_are_scored_but_not_on_what_they_were_trained_on(published, folder):
    silence = bytes(4 * audio.FEATURES)
    for split, names in (("validation", ["new.000", "new.001", "other.000"]), ("test", [*list(LABELS)[:2], "x.000"])):
        labels = {name: label_of(7 * number + 3) for number, name in enumerate(names)}
        write_annotation(f"Annotations/annotation_{split}.pkl", labels)
        key = {"validation": "val", "test": "test"}[split]
        examples = [record_writer.Example(name, label.astype("f4"), Path()) for name, label in labels.items()]
        path = folder / f"{key}_audio_full.tfrecords"
        record_writer.write(path, key, "audio", examples, lambda paths: (silence for _ in paths), {})
    write_annotation("Annotations/annotation_training.pkl", {name: values for name, values in LABELS.items()})
    before = {path: path.read_bytes() for path in Path(published).rglob("*") if path.is_file()}
    of_runs, of_published = ok(run("evaluate.py")), ok(run("evaluate.py", "--RUNS", published))
    assert "it was trained" not in of_published
    tables = [text[text.index("\nvalidation, accuracy") : text.index("\nscores:")] for text in (of_runs, of_published)]
    assert tables[0] == tables[1]
    assert Path("scores/scores_validation.json").exists() and Path("scores/ear/predictions_validation.csv").exists()
    assert {path: path.read_bytes() for path in Path(published).rglob("*") if path.is_file()} == before
    refused(run("evaluate.py", "--RUNS", published, "--SPLIT", "test"), "share 2 clips")
    write_annotation("Annotations/annotation_training.pkl", dict(list(LABELS.items())[1:]))
    told = ok(run("evaluate.py", "--RUNS", published))
    assert "ear: it was trained on 40 clips, the baselines know 39, of which 39 are its own" in told
