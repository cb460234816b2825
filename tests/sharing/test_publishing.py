"""publish.py, and what a published folder gives to others and what it keeps back."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import ok, refused, run

from first_impression.common.errors import UserError
from first_impression.data import audio
from first_impression.data.chalearn import FRAME_SIZE, TRAITS
from first_impression.data.targets import FIVE
from first_impression.evaluation import predictions
from first_impression.sharing import packing
from first_impression.sharing.fetching import published_folder
from first_impression.training import manifest, saved_models
from first_impression.training.runs import PublishedRun, Run, find_runs
from model import build_model

LABELS = {f"-clip{n}.{n % 6:03d}": np.array([0.123456 + n / 61, 0.5, n / 50, 0.25, 0.75]) for n in range(40)}
SECRET = "/home/somebody/data/vgg-face.mat"


def save_run(name, model, epochs=(), targets=FIVE):
    """A trained run as train.py leaves it; one of other `targets` than the five knows nothing of its training clips."""
    folder = Path("runs") / name
    folder.mkdir(parents=True)
    model.save(folder / "final.keras")
    for epoch in epochs:
        model.layers[-1].bias.assign_add(np.full(5, 0.1 * epoch))
        model.save(folder / f"epoch-{epoch}.keras")
    about = {
        "constants": {
            "MODEL": "audio",
            "SEED": 3,
            "RUNS": "/home/somebody",
            "WEIGHTS": SECRET,
            "TRAIN_RECORDS": SECRET,
        },
        "recipe": "/home/somebody/recipes/mine.py",
        "start": {"words": "vgg-face.mat, the published VGG-Face", "published": True, "file": SECRET, "md5": "3d"},
        "records": {"training": "secret"},
        "made_by": saved_models.made_by(),
        **targets.as_json,
    }
    (folder / "settings.json").write_text(json.dumps(about))
    if targets == FIVE:
        predictions.write_csv(folder / "training_labels.csv", LABELS)
    return folder


def audio_model(seed=0, targets=FIVE):
    sound = keras.Input((audio.FEATURES,))
    start = keras.initializers.RandomNormal(stddev=0.001, seed=seed)
    layer = keras.layers.Dense(len(targets.names), activation="sigmoid", name="traits", kernel_initializer=start)
    return keras.Model(sound, layer(sound), name=targets.model_name("audio"))


@pytest.fixture
def published(folder):
    """Two published runs: the folder."""
    save_run("ear", audio_model(1)), save_run("other", audio_model(2))
    ok(run("publish.py", "ear", "other", "--TO", "published/mine", "--LICENSE", "cc-by-nc-4.0"))
    return Path("published/mine")


def test_a_published_folder_has_all_that_is_needed_and_no_more(published):
    assert sorted(str(path.relative_to(published)) for path in published.rglob("*") if path.is_file()) == [
        "README.md",
        "ear/final.keras",
        "manifest.json",
        "other/final.keras",
    ]
    about = manifest.read(published)
    assert about["files"].keys() == {"ear/final.keras", "other/final.keras"} and about["traits"] == list(TRAITS)
    assert about["license"] == "cc-by-nc-4.0" and about["window_seconds"] == 15.3
    run_of = about["runs"]["ear"]
    assert run_of["kind"] == "audio" and run_of["settings"]["constants"] == {"MODEL": "audio", "SEED": 3}
    assert run_of["settings"]["recipe"] == "mine.py" and run_of["settings"]["start"]["file"] == "vgg-face.mat"
    assert {"tensorflow", "keras", "revision"} <= run_of["settings"]["made_by"].keys()
    assert run_of["training"]["clips"] == 40
    quantiles = run_of["training"]["quantiles"]
    wanted = np.quantile([label[0] for label in LABELS.values()], np.linspace(0, 1, 101))
    assert np.abs(np.array(quantiles["extraversion"]) - wanted).max() <= 0.0005


def test_no_label_and_no_name_of_the_training_set_is_in_it(published):
    texts = {path: path.read_bytes() for path in published.rglob("*") if path.is_file()}
    for clip, values in LABELS.items():
        for content in texts.values():
            assert clip.encode() not in content and clip.lstrip("-").encode() not in content
        exact = f"{values[0]:.6f}".encode()
        assert not any(exact in content for content in texts.values())
        assert not any(np.float32(values).tobytes() in content for content in texts.values())
    assert not any(b"somebody" in content for content in texts.values())  # nor a place on the publisher's machine


def test_a_published_run_has_its_manifest_read_once_and_its_model_once(published, monkeypatch):
    from first_impression.inference import document, models
    from first_impression.training import runs

    read, hashed = [], []
    parse, digests = manifest.parse, runs.digests
    monkeypatch.setattr(manifest, "parse", lambda content, where: read.append(where) or parse(content, where))
    monkeypatch.setattr(runs, "digests", lambda path, *kinds: hashed.append(path) or digests(path, *kinds))
    ensemble = models.load(find_runs(published, "ear"))
    document.about_models(ensemble)
    assert ensemble.models[0].run.trained_on(["-clip3.003"]) and ensemble.models[0].run.settings
    assert read == [published / "manifest.json"] and hashed == [published / "ear/final.keras"]


def test_what_was_trained_on_is_known_without_its_names(published):
    (theirs,), (mine,) = (find_runs(folder, "ear") for folder in (published, Path("runs")))
    assert type(theirs) is PublishedRun and type(mine) is Run
    assert theirs.trained_on(["-clip3.003", "unknown.001", "-clip39.003"]) == {"-clip3.003", "-clip39.003"}
    assert mine.trained_on(["-clip3.003", "unknown.001"]) == {"-clip3.003"}
    assert mine.training_clips == theirs.training_clips == 40 and (mine.quantiles == theirs.quantiles).all()
    salts = {run_of["training"]["salt"] for run_of in manifest.read(published)["runs"].values()}
    assert len(salts) == 2 and all(len(salt) == 32 for salt in salts)


def test_the_models_are_those_of_the_runs_to_the_bit(published):
    inputs = np.random.default_rng(0).normal(size=(3, audio.FEATURES)).astype(np.float32)
    for mine, theirs in zip(find_runs(Path("runs")), find_runs(published), strict=True):
        assert mine.name == theirs.name and mine.kind == theirs.kind == "audio"
        assert (np.asarray(mine.networks[0](inputs)) == np.asarray(theirs.networks[0](inputs))).all()
        assert theirs.model == "audio" and theirs.start["published"] is True


def test_chosen_epochs_are_published_and_averaged(folder):
    save_run("ear", audio_model(1), epochs=(1, 2))
    ok(run("publish.py", "ear", "--TO", "out", "--LICENSE", "mit", "--EPOCHS", "1,2"))
    (theirs,) = find_runs(Path("out"))
    assert [path.name for path in theirs.files] == ["epoch-1.keras", "epoch-2.keras"]
    assert len(theirs.networks) == 2
    with pytest.raises(UserError, match="EPOCHS = '1': out is published"):
        find_runs(Path("out"), epochs="1")


@pytest.mark.slow
def test_licence_and_folder_have_to_be_chosen(published):
    refused(run("publish.py", "ear", "--TO", "new"), "choose TO and LICENSE", "CC BY-NC 4.0", "VGG-Face")
    refused(run("publish.py", "ear", "--LICENSE", "mit"), "choose TO and LICENSE")
    refused(run("publish.py", "ear", "--TO", "new", "--LICENSE", "My own!"), "LICENSE = 'My own!': must be a licence")
    refused(run("publish.py", "ear", "--TO", "published/mine", "--LICENSE", "mit"), "published/mine exists")
    refused(run("publish.py", "nose", "--TO", "new", "--LICENSE", "mit"), "holds no trained nose")
    Path("runs/ear/settings.json").unlink()
    refused(run("publish.py", "ear", "--TO", "new", "--LICENSE", "mit"), "runs/ear has no settings.json")
    assert not Path("new").exists()


def test_the_card_says_what_it_is_and_what_it_was_scored_on(published):
    card = (published / "README.md").read_text()
    assert card.startswith("---\nlicense: cc-by-nc-4.0\n") and "\nmetrics:\n- mae\n---\n" in card
    assert "> **Scored on nothing: ear, other.**" in card and "Not for decisions about people" in card
    assert "emotionally stable" in card and "quantiles" in card

    about = json.loads(Path("runs/ear/settings.json").read_text())
    about["start"] |= {"published": False, "words": "vgg-face.mat, NOT the published VGG-Face: Made-up sample data"}
    Path("runs/ear/settings.json").write_text(json.dumps(about))
    done = run("publish.py", "ear", "--TO", "sample", "--LICENSE", "mit")
    assert "ear was trained on drawn clips" in ok(done)
    top = Path("sample/README.md").read_text().split("## What it is")[0]
    assert "ear did not start from published weights" in top
    assert top.index("ear was trained on drawn clips with made-up labels: its numbers say nothing about anybody") < (
        top.index("did not start")
    )
    (theirs,) = find_runs(Path("sample"))
    assert theirs.dataset == "drawn sample"


CHALEARN, VGG_FACE = ("ChaLearn", "chalearn", "CC BY-NC 4.0", "as in the dataset"), "VGG-Face, from which"


def card_of(name, **settings):
    """The card of the run `name` whose settings.json has these, but for the lines that name its files."""
    path = Path("runs") / name / "settings.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    shutil.rmtree("out", ignore_errors=True)
    ok(run("publish.py", name, "--TO", "out", "--LICENSE", "mit"))
    return Path("out/README.md").read_text()


def test_the_card_names_only_what_these_runs_were_made_of(folder):
    save_run("ear", audio_model(1))
    start = {"words": "random", "published": None, "file": "", "md5": "", "pretrained": ""}
    card = card_of("ear", dataset="", start=start)
    assert not any(word in card for word in (*CHALEARN, VGG_FACE)) and "mit, as its publisher chose.\n" in card
    card = card_of("ear", dataset="ChaLearn First Impressions V2")
    assert all(word in card for word in CHALEARN) and VGG_FACE not in card
    assert "40 training clips of ChaLearn First Impressions V2" in card
    faces = {"words": "vgg-face.mat, VGG-Face, as published", "published": True, "pretrained": "VGG-Face"}
    card = card_of("ear", dataset="", start=start | faces)
    assert VGG_FACE in card and not any(word in card for word in CHALEARN)
    card = card_of("ear", start=start | {"words": "ImageNet's", "published": True, "pretrained": "ImageNet"})
    assert VGG_FACE not in card


def test_verdicts_are_published(folder, monkeypatch):
    save_run("ear", audio_model(1))
    with monkeypatch.context() as patch:
        patch.setattr(Run, "verdicts", ["beat no baseline when it was scored on validation (60 clips)"])
        assert "> **ear beat no baseline when it was scored on validation (60 clips).**" in card_of("ear")
    (theirs,) = find_runs(Path("out"))
    assert theirs.verdicts == ["beat no baseline when it was scored on validation (60 clips)"]


def test_scores_stand_in_the_card_only_if_they_are_of_these_files(published):
    from first_impression.common.files import md5

    column = {"value": 0.91, "low": 0.904, "high": 0.916}
    low = {"value": 0.88, "low": 0.87, "high": 0.89}
    columns = dict.fromkeys(("mean", *TRAITS), column)
    baselines = {
        name: {"scores": {"accuracy": dict.fromkeys(("mean", *TRAITS), low)}, "differences": {}}
        for name in ("constant guess", "same-source lookup")
    }
    group = {"clips": 20, "scores": {"accuracy": columns}, "baselines": baselines, "beats_baselines": True}
    models = {
        name: {
            "made_from": {f"runs/{name}/final.keras": md5(f"runs/{name}/final.keras")},
            "groups": {"all clips": group},
        }
        for name in ("ear", "other")
    }
    models["other"]["made_from"] = {"runs/other/final.keras": "of an earlier training"}
    Path("runs/fusion").mkdir()
    Path("runs/fusion/scores_validation.json").write_text(json.dumps({"split": "validation", "models": models}))
    ok(run("publish.py", "ear", "other", "--TO", "scored", "--LICENSE", "mit"))
    card = Path("scored/README.md").read_text()
    assert "Scored on nothing: other." in card
    table = card.split("### validation: all clips (20)")[1]
    rows = re.findall(r"^\| ([a-z].*?) \| (.*?) \|", table, re.MULTILINE)
    assert [title for title, _ in rows] == ["constant guess", "same-source lookup", "ear, beats both baselines"]
    assert rows[2][1] == "0.91 (0.90 to 0.92)"  # of 20 clips, four decimals would say nothing
    assert "On 20 clips chance decides much of this." in card
    report = {"split": "validation", "models": models}
    for clips, accuracy in ((320, "0.910 (0.904 to 0.916)"), (2000, "0.9100 (0.9040 to 0.9160)")):
        group["clips"] = clips
        Path("runs/fusion/scores_validation.json").write_text(json.dumps(report))
        shutil.rmtree("scored")
        ok(run("publish.py", "ear", "--TO", "scored", "--LICENSE", "mit"))
        card = Path("scored/README.md").read_text()
        assert f"| ear, beats both baselines | {accuracy} |" in card and "chance" not in card


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["audio", pytest.param("image", marks=pytest.mark.soak)])
def test_onnx_files_give_the_same_answers(folder, kind):
    onnxruntime = pytest.importorskip("onnxruntime")
    model = audio_model(1) if kind == "audio" else build_model("dan", seed=3)
    save_run("it", model)
    ok(run("publish.py", "it", "--TO", "out", "--LICENSE", "mit", "--FORMAT", "onnx"))
    about = manifest.read("out")
    assert about["files"].keys() == {"it/final.keras", "it/final.onnx"}
    assert about["runs"]["it"]["files"] == ["it/final.keras"]  # all that is fetched
    random = np.random.default_rng(0)
    shape = (3, audio.FEATURES) if kind == "audio" else (3, FRAME_SIZE, FRAME_SIZE, 3)
    inputs = (random.normal(size=shape) if kind == "audio" else random.integers(0, 256, shape)).astype(np.float32)
    session = onnxruntime.InferenceSession("out/it/final.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: inputs})
    assert np.ptp(found, axis=0).max() > 1e-4
    np.testing.assert_allclose(found, np.asarray(model(inputs)), atol=1e-5)


def test_a_missing_onnx_package_is_named_before_any_work(folder, monkeypatch):
    save_run("it", audio_model(1))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="onnx, tf2onnx not installed: .* -m pip install -r requirements-onnx.txt"):
        packing.require_onnx()


@pytest.mark.slow
def test_a_published_model_opens_with_keras_alone_as_the_card_says(published, tmp_path_factory):
    """The card's own lines, by a Python that does not know this project, in another folder."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(published, elsewhere / "mine")
    lines = (published / "README.md").read_text().split("With Keras alone")[1]
    code = "\n".join(line.strip() for line in lines.splitlines() if line.startswith("    "))
    assert code.startswith("import keras") and 'load_model("ear/final.keras"' in code
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=elsewhere / "mine", capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"0\.\d+", done.stdout)) == 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda about: about.update(schema=2), "its schema is 2, this project reads 1"),
        (lambda about: about["traits"].reverse(), "its traits are"),
        (lambda about: about["files"].update({"../x.keras": about["files"]["ear/final.keras"]}), "the file name"),
        (lambda about: about["files"].update({"/etc/x.keras": about["files"]["ear/final.keras"]}), "the file name"),
        (lambda about: about["files"].update({"ear/.x.keras": about["files"]["ear/final.keras"]}), "the file name"),
        (lambda about: about["files"].update({"ear/x.py": about["files"]["ear/final.keras"]}), "the file name"),
        (lambda about: about["files"]["ear/final.keras"].update(bytes=-1), "the size -1"),
        (lambda about: about["files"]["ear/final.keras"].update(sha256="0" * 63), "the SHA-256"),
        (lambda about: about["runs"]["ear"].update(files=["other/final.keras"]), "ear is of the kind"),
        (lambda about: about["runs"].update({"nose": about["runs"]["ear"]}), "nose is of the kind"),
        (lambda about: about["runs"]["ear"]["training"]["quantiles"].update(openness=[0.5] * 7), "shape|quantiles"),
        (lambda about: about["runs"].clear(), "of 0 runs"),
        (lambda about: about["runs"]["ear"].update(verdicts=[3]), "the verdicts of ear"),
        (lambda about: about.pop("files"), "'files'"),
    ],
)
def test_a_manifest_of_another_making_is_refused(published, change, words):
    about = json.loads((published / "manifest.json").read_text())
    change(about)
    (published / "manifest.json").write_text(json.dumps(about))
    with pytest.raises(UserError, match=rf"manifest.json is not a manifest of publish.py \(.*({words})"):
        manifest.read(published)


def test_a_changed_file_in_a_published_folder_is_refused_before_keras_sees_it(published, monkeypatch):
    monkeypatch.setattr(keras.models, "load_model", None)
    path = published / "ear/final.keras"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="ear/final.keras is not the file that manifest.json names"):
        print(find_runs(published)[0].networks)
    path.unlink()
    with pytest.raises(UserError, match="mine/ear has no final.keras"):
        find_runs(published)
    assert published_folder(published) == published
