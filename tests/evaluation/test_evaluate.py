"""evaluate.py on CSV files of anyone and on small trained stand-ins."""

import json
import os
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import PROJECT, call, label_of, ok, refused, run, run_alone, write_annotation
from PIL import Image

import evaluate
from first_impression.common import files
from first_impression.common.errors import UserError
from first_impression.data import chalearn, label_table, record_writer
from first_impression.data.chalearn import TRAITS
from first_impression.evaluation import metrics, plots, predictions
from first_impression.training.runs import find_runs

TRAINING = {f"seen{n}.000": label_of(n) for n in range(20)}
VALIDATION = {f"seen{n}.001": label_of(n + 3) for n in range(12)} | {f"new{n}.000": label_of(n + 40) for n in range(8)}
BASELINES = ("constant guess", "same-source lookup")


@pytest.fixture
def annotated(folder):
    write_annotation("Annotations/annotation_training.pkl", TRAINING)
    write_annotation("Annotations/annotation_validation.pkl", VALIDATION)
    return folder


def scores_of(path="runs/fusion/scores_validation.json"):
    return json.loads(Path(path).read_text())


def answers(seed, clips=VALIDATION):
    random = np.random.default_rng(seed)
    return {clip: np.clip(VALIDATION.get(clip, np.zeros(5)) + random.normal(0, 0.05, 5), 0, 1) for clip in clips}


def without_tensorflow(folder):
    """An environment in which importing TensorFlow or Keras fails."""
    for name in ("tensorflow", "keras"):
        (folder / "blocked").mkdir(exist_ok=True)
        (folder / "blocked" / f"{name}.py").write_text("raise SystemExit('imported')")
    return {**os.environ, "PYTHONPATH": str(folder / "blocked")}


@pytest.mark.slow
@pytest.mark.pictures
def test_csv_files_are_scored_and_fused_without_tensorflow(annotated):
    first, second = answers(1), answers(2)
    predictions.write_csv("a.csv", first)
    predictions.write_csv("b.csv", second)
    arguments = ("--PREDICTIONS", "a.csv,b.csv", "--ANNOTATION", "Annotations/annotation_validation.pkl")
    done = run_alone("evaluate.py", *arguments, env=without_tensorflow(annotated))
    assert done.returncode == 0, done.stderr
    report = scores_of("scores/scores_validation.json")
    assert list(report["models"]) == ["a.csv", "b.csv", "fusion"]
    true = np.array(list(VALIDATION.values()))
    fused = np.array([(first[clip] + second[clip]) / 2 for clip in VALIDATION])
    scored = report["models"]["fusion"]["groups"]["all clips"]
    assert scored["clips"] == scored["sources"] == 20
    expected = metrics.all_scores(fused, true)
    for name, values in expected.items():  # the CSV has eight decimals
        assert scored["scores"][name]["mean"]["value"] == pytest.approx(values.mean(), abs=1e-7)
        assert scored["scores"][name]["neuroticism"]["value"] == pytest.approx(values[1], abs=1e-7)
    constant = np.mean(list(TRAINING.values()), axis=0)
    lookup = np.array([TRAINING.get(clip.replace(".001", ".000"), constant) for clip in VALIDATION])
    for name, guess in zip(BASELINES, (constant, lookup), strict=True):
        found = scored["baselines"][name]
        theirs = metrics.accuracy(guess, true).mean()
        assert found["scores"]["accuracy"]["mean"]["value"] == pytest.approx(theirs)
        difference = found["differences"]["accuracy"]["mean"]
        assert difference["value"] == pytest.approx(expected["accuracy"].mean() - theirs, abs=1e-7)
        assert difference["low"] < difference["value"] < difference["high"]
    assert scored["baselines"]["constant guess"]["scores"]["Pearson"]["mean"]["value"] is None  # JSON has no nan
    unseen = report["models"]["fusion"]["groups"]["clips of unseen sources"]
    assert unseen["clips"] == 8
    assert unseen["baselines"]["constant guess"]["scores"]["MSE"] == unseen["baselines"][BASELINES[1]]["scores"]["MSE"]
    accuracy = unseen["scores"]["accuracy"]["mean"]["value"]
    assert accuracy == pytest.approx(1 - np.abs(fused - true)[12:].mean(), abs=1e-7)
    assert [(pair["first"], pair["second"]) for pair in report["pairs"]] == [
        ("a.csv", "b.csv"),
        ("a.csv", "fusion"),
        ("b.csv", "fusion"),
    ]
    found = label_table.read("scores/predictions_validation.csv").values
    assert np.allclose([found[clip] for clip in VALIDATION], fused, atol=1e-7)
    last = done.stdout.split("validation, accuracy by clip, all clips")[1]
    assert all(word in last for word in ("a.csv", "b.csv", "fusion", *BASELINES, "a.csv - b.csv"))
    assert "fusion beats both baselines on all clips" in last
    assert "20 sources: with fewer than 30, these intervals mean little" in done.stdout
    for picture in ("scatter", "errors", "models", "calibration"):
        with Image.open(f"scores/{picture}_validation.png") as image:
            assert image.width > 500
    assert not Path("runs").exists()  # where the fusion of runs would be


def test_the_ceiling_calibration_and_groups_of_people(annotated, capsys):
    random = np.random.default_rng(0)
    clips = {f"new{n}.{k:03d}": random.uniform(0.2, 0.8, 5) for n in range(80) for k in (0, 1)}
    write_annotation("Annotations/annotation_validation.pkl", clips)
    reliability = {trait: {"reliability": 0.6, "interval": [0.55, 0.65]} for trait in TRAITS}
    Path("Annotations/label_ceiling.json").write_text(json.dumps(reliability))
    ages = {clip: "young" if number < 80 else "old" for number, clip in enumerate(clips)}
    Path("groups.csv").write_text("clip,age\n" + "".join(f"{clip}.mp4,{age}\n" for clip, age in ages.items()))
    bias = {"young": 0.2, "old": 0.1}
    answers = {clip: 0.5 * label + bias[ages[clip]] + random.normal(0, 0.02, 5) for clip, label in clips.items()}
    predictions.write_csv("a.csv", answers)
    call(evaluate, "--PREDICTIONS", "a.csv", "--GROUPS", "groups.csv", "--RESAMPLES", "200")
    out, model = capsys.readouterr().out, scores_of("scores/scores_validation.json")["models"]["a.csv"]
    found = model["groups"]["all clips"]
    assert found["ceiling"]["scores"]["R2"]["mean"] == pytest.approx({"value": 0.6, "low": 0.55, "high": 0.65})
    spread = np.std(list(clips.values()), axis=0).mean()
    best = found["ceiling"]["scores"]["accuracy"]["mean"]["value"]
    assert best == pytest.approx(1 - np.sqrt(0.4 * 2 / np.pi) * spread, abs=1e-6)
    constant = found["baselines"]["constant guess"]["scores"]["accuracy"]["mean"]["value"]
    share = (found["scores"]["accuracy"]["mean"]["value"] - constant) / (best - constant)
    assert found["ceiling"]["share"]["accuracy"]["mean"]["value"] == pytest.approx(share)
    assert "\nceiling  " in out and f"to the ceiling: {share:.0%} in accuracy" in out
    slope, _ = np.polyfit(np.array(list(answers.values()))[:, 0], np.array(list(clips.values()))[:, 0], 1)
    assert found["calibration"]["slope"]["extraversion"]["value"] == pytest.approx(slope, abs=1e-6)
    assert model["people"]["age"]["old"]["clips"] == 80 and model["people"]["age"]["old"]["sources"] == 40
    assert "age old: placed lower than by the labels in mean" in out


@pytest.mark.slow
def test_weights_and_names_of_the_fusion(annotated):
    first, second = answers(1), answers(2)
    for name, of_clip in (("a", first), ("b", second), ("c", answers(3))):
        predictions.write_csv(f"{name}.csv", of_clip)
    call(
        evaluate, "--PREDICTIONS", "a.csv,b.csv,c.csv", "--FUSE", "b.csv,a.csv", "--FUSION_WEIGHTS", "1,3", "--OUT", "x"
    )
    found = label_table.read("x/predictions_validation.csv").values
    weighted = np.array([(3 * first[clip] + second[clip]) / 4 for clip in VALIDATION])
    assert np.allclose([found[clip] for clip in VALIDATION], weighted, atol=1e-7)
    report = scores_of("x/scores_validation.json")
    assert report["fusion_weights"] == {"b.csv": 1, "a.csv": 3}
    assert report["models"]["fusion"]["made_from"] == {name: files.md5(name) for name in ("b.csv", "a.csv")}
    for wrong in ("1", "1,x", "-1,2", "0,0", "nan,1"):
        with pytest.raises(UserError, match="FUSION_WEIGHTS"):
            call(evaluate, "--PREDICTIONS", "a.csv,b.csv", f"--FUSION_WEIGHTS={wrong}")
    for constant in ("MODELS", "EPOCHS"):
        with pytest.raises(UserError, match="MODELS and EPOCHS choose among runs"):
            call(evaluate, "--PREDICTIONS", "a.csv", f"--{constant}", "1")


@pytest.mark.slow
def test_unknown_missing_and_repeated_clips_are_printed(annotated):
    few = dict(list(answers(1).items())[:15])
    predictions.write_csv("a.csv", {**few, "nobody.000": np.full(5, 0.5)})
    rows = Path("a.csv").read_text().splitlines()
    Path("a.csv").write_text("\n".join([*rows, rows[1]]) + "\n")
    printed = ok(run("evaluate.py", "--PREDICTIONS", "a.csv"))
    assert "a.csv: 1 repeated row, the first row of a clip counts: seen0.001" in printed
    assert "a.csv: 1 clip without a label, ignored: nobody.000" in printed
    assert "a.csv: 5 clips missing: " in printed
    assert Path("scores/scatter_validation.png").exists()
    predictions.write_csv("b.csv", {"nobody.000": np.full(5, 0.5)})
    refused(run("evaluate.py", "--PREDICTIONS", "b.csv", "--OUT", "b"), "b.csv: none of its clips has a label")
    refused(run("evaluate.py", "--PREDICTIONS", "c.csv"), "c.csv is missing")


@pytest.mark.slow
def test_means_are_of_the_numbers_and_not_of_rounded_ones(annotated, capsys):
    """.74424 in the first table must not be .7443 in the last, from traits rounded up."""
    error = np.array([0.25575, 0.25575, 0.25575, 0.25575, 0.2558])  # accuracies .74425 round to .7443, mean .74424
    of_clip = {clip: np.where(label < 0.5, label + error, label - error) for clip, label in VALIDATION.items()}
    predictions.write_csv("a.csv", of_clip)
    call(evaluate, "--PREDICTIONS", "a.csv")
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith(("a.csv  ", "accuracy  "))]
    assert [row[1] for row in rows] == ["0.7442"] * 4, rows
    value = scores_of("scores/scores_validation.json")["models"]["a.csv"]["groups"]["all clips"]["scores"]["accuracy"]
    assert value["mean"]["value"] == pytest.approx(0.74424, abs=1e-8)


def test_the_training_split_is_scored_without_each_clips_own_label(folder):
    """Two clips per source: what the lookup sees is the other's label."""
    labels = {f"s{n}.{k:03d}": label_of(3 * n + 40 * k) for n in range(10) for k in (0, 1)}
    write_annotation("Annotations/annotation_training.pkl", labels)
    predictions.write_csv("a.csv", labels)
    call(evaluate, "--PREDICTIONS", "a.csv", "--SPLIT", "training")
    groups = scores_of("scores/scores_training.json")["models"]["a.csv"]["groups"]
    assert list(groups) == ["all clips"]
    lookup = groups["all clips"]["baselines"]["same-source lookup"]["scores"]
    assert lookup["accuracy"]["mean"]["value"] == pytest.approx(1 - 200 / 512)  # not 1


def test_without_a_trained_run_it_says_what_to_type(annotated):
    refused(run("evaluate.py"), "holds no trained run", "train.py")
    refused(run("evaluate.py", "--MODELS", "dan"), "holds no trained run")
    refused(run("evaluate.py", "--EPOCHS", "first"), "EPOCHS = 'first': must be")
    save_run("dan", visual())
    Path("Annotations/annotation_validation.pkl").unlink()
    refused(run("evaluate.py"), "annotation_validation.pkl is missing")


def visual(seed=1):
    """A stand-in for a DAN, of built-in layers."""
    images = keras.Input((224, 224, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(images))
    start = keras.initializers.RandomNormal(stddev=2, seed=seed)
    return keras.Model(images, keras.layers.Dense(5, "sigmoid", kernel_initializer=start)(pooled))


def audio(seed=2):
    sound = keras.Input((79_534,))
    start = keras.initializers.RandomNormal(stddev=1e-3, seed=seed)
    return keras.Model(sound, keras.layers.Dense(5, "sigmoid", kernel_initializer=start)(sound))


def save_run(name, *models, trained_on=TRAINING, **constants):
    """A trained run whose epochs are these models; the first one was the best."""
    folder = Path("runs", name)
    folder.mkdir(parents=True)
    for number, model in enumerate(models, 1):
        model.save(folder / f"epoch-{number}.keras")
    models[0].save(folder / "best.keras")
    models[-1].save(folder / "final.keras")
    predictions.write_csv(folder / "training_labels.csv", trained_on)
    start = {"words": f"of {name}", "published": None}
    (folder / "settings.json").write_text(json.dumps({"start": start, "constants": {"MODEL": name, **constants}}))
    return models


def pixels_of(number):
    return np.full((224, 224, 3), np.random.default_rng(number).integers(0, 256, 3)).astype(np.uint8)


def sound_of(number):
    return np.random.default_rng(number).normal(5, 3, 79_534).astype("<f4")


@pytest.fixture
def records(annotated):
    """Records of VALIDATION: two frames of each clip, a sound of each but one."""
    frames, sounds = [], []
    for number, (clip, label) in enumerate(VALIDATION.items()):
        for n in range(2):
            Path(f"{clip}-{n}.bin").write_bytes(pixels_of(2 * number + n).tobytes())
            frames.append(record_writer.Example(clip, label.astype(np.float32), Path(f"{clip}-{n}.bin")))
        if clip != "new7.000":
            Path(f"{clip}.f32").write_bytes(sound_of(number).tobytes())
            sounds.append(record_writer.Example(clip, label.astype(np.float32), Path(f"{clip}.f32")))
    for kind, items, path in (("image", frames, "val_full.tfrecords"), ("audio", sounds, "val_audio_full.tfrecords")):
        record_writer.write(Path(path), "val", kind, items, lambda sources: (s.read_bytes() for s in sources), {})
    return annotated


def answers_of(model):
    """What a stand-in answers to the clips of VALIDATION, {clip: [5]}."""
    of_clip = {}
    for number, clip in enumerate(VALIDATION):
        if model.input_shape[1:] == (79_534,):
            of_clip[clip] = model(sound_of(number)[None]).numpy()[0]
        else:
            of_clip[clip] = model(np.stack([pixels_of(2 * number + n) for n in range(2)])).numpy().mean(axis=0)
    return of_clip


def written(name, ending="validation"):
    return label_table.read(f"runs/{name}/predictions_{ending}.csv").values


@pytest.mark.slow
def test_trained_runs_are_scored_on_their_records(records):
    (dan,), (sound,) = save_run("dan", visual()), save_run("audio", audio())
    printed = ok(run("evaluate.py"))
    assert "dan: first weights: of dan" in printed
    assert "audio: 1 clip missing: new7.000" in printed
    of_dan, of_audio, fused = written("dan"), written("audio"), written("fusion")
    assert len(of_dan) == 20 and len(of_audio) == 19 and len(fused) == 20
    seen, heard = answers_of(dan), answers_of(sound)
    for clip in VALIDATION:
        assert np.allclose(of_dan[clip], seen[clip], atol=1e-5)
        if clip in of_audio:
            assert np.allclose(of_audio[clip], heard[clip], atol=1e-5)
            assert np.allclose(fused[clip], (of_dan[clip] + of_audio[clip]) / 2, atol=1e-7)
    assert np.allclose(fused["new7.000"], of_dan["new7.000"])
    report = scores_of()
    assert report["models"]["dan"]["by_frame"] and not report["models"]["audio"]["by_frame"]
    assert report["models"]["dan"]["remarks"] == []
    assert report["models"]["dan"]["made_from"] == {"runs/dan/final.keras": files.md5("runs/dan/final.keras")}
    assert "validation, accuracy by clip, all clips: the 19 clips that all of them answer" in printed
    assert "dan - fusion (20 clips)" in printed and "audio - dan (19 clips)" in printed
    assert Path("runs/dan/scatter_validation.png").exists() and Path("runs/audio/errors_validation.png").exists()

    refused(run("evaluate.py", "--MODELS", "dan,resnet"), "no trained resnet, only audio, dan")
    Path("runs/dan/final.keras").write_bytes(b"no model")
    refused(run("evaluate.py"), "final.keras is damaged or not a model of train.py")


@pytest.mark.slow
def test_epochs_are_averaged_and_named(records, capsys):
    models = save_run("dan", visual(1), visual(2))
    first, second = map(answers_of, models)
    call(evaluate)
    call(evaluate, "--EPOCHS", "1,2")
    call(evaluate, "--EPOCHS", "best")
    for ending, expected in (
        ("validation", second),
        ("validation_epoch-1-2", {clip: (first[clip] + second[clip]) / 2 for clip in VALIDATION}),
        ("validation_best", first),
    ):
        found = written("dan", ending)
        assert np.allclose([found[clip] for clip in VALIDATION], [expected[clip] for clip in VALIDATION], atol=1e-5)
        epochs = {"validation": "", "validation_best": "best"}.get(ending, "1,2")  # predict.py ranks among these
        (asked,) = find_runs(Path("runs"), "dan", epochs)
        kept = asked.unseen["validation"]
        assert np.allclose([kept[clip][0] for clip in VALIDATION], [expected[clip] for clip in VALIDATION], atol=1e-5)
        assert len({source for _, source in kept.values()}) == 20
        assert Path(f"runs/dan/scatter_{ending}.png").exists() and Path(f"runs/fusion/models_{ending}.png").exists()
    report = scores_of("runs/fusion/scores_validation_epoch-1-2.json")
    assert report["epochs"] == "1,2"
    assert list(report["models"]["dan"]["made_from"]) == ["runs/dan/epoch-1.keras", "runs/dan/epoch-2.keras"]
    report = scores_of("runs/fusion/scores_validation_best.json")
    assert "chosen by its accuracy on these clips" in report["models"]["dan"]["remarks"][0]
    assert "dan: its best epoch was chosen" in capsys.readouterr().out
    with pytest.raises(UserError, match="has no epoch-3.keras"):
        call(evaluate, "--EPOCHS", "1,3")


@pytest.mark.slow
def test_runs_of_one_model_are_compared_and_not_fused_by_accident(records, capsys):
    for seed in (0, 1):
        save_run(f"dan_{seed}", visual(seed), MODEL="dan", SEED=seed, NAME=f"dan_{seed}")
        note = Path(f"runs/dan_{seed}/settings.json")
        note.write_text(note.read_text().replace(f"of dan_{seed}", "the same"))
    save_run("audio", audio(), MODEL="audio", SEED=0)
    call(evaluate)
    printed = capsys.readouterr().out
    assert (
        "no fusion: several runs are of one MODEL, dan_0, dan_1; name those to fuse, as --FUSE audio,dan_0" in printed
    )
    assert "2 runs that differ in SEED only, dan_0 (0), dan_1 (1)" in printed
    report = scores_of()
    assert list(report["models"]) == ["audio", "dan_0", "dan_1"] and report["fusion_weights"] == {}
    assert len(report["pairs"]) == 3 and not Path("runs/fusion/predictions_validation.csv").exists()
    values = [
        report["models"][f"dan_{seed}"]["groups"]["all clips"]["scores"]["accuracy"]["mean"]["value"] for seed in (0, 1)
    ]
    accuracy = report["seeds"][0]["groups"]["all clips"]["accuracy"]
    assert accuracy["mean"]["mean"] == pytest.approx(np.mean(values))
    assert accuracy["stddev"]["mean"] == pytest.approx(np.std(values, ddof=1))
    call(evaluate, "--FUSE", "dan_1,audio")
    fused, one, other = written("fusion"), written("dan_1"), written("audio")
    assert all(np.allclose(fused[clip], (one[clip] + other[clip]) / 2, atol=1e-7) for clip in other)


@pytest.mark.slow
def test_stale_fusion_results_are_removed(records):
    save_run("dan", visual())
    save_run("audio", audio())
    call(evaluate)
    names = ("predictions_validation.csv", "scatter_validation.png", "errors_validation.png")
    kept = Path("runs/fusion/predictions_test.csv")  # of another command
    kept.touch()
    assert all(Path("runs/fusion", name).exists() for name in names)
    shutil.rmtree("runs/audio")
    call(evaluate)
    assert not any(Path("runs/fusion", name).exists() for name in names) and kept.exists()
    assert list(scores_of()["models"]) == ["dan"] and Path("runs/fusion/models_validation.png").exists()


@pytest.mark.slow
def test_a_kill_leaves_no_scores_beside_other_answers(annotated, monkeypatch):
    predictions.write_csv("a.csv", answers(1))
    call(evaluate, "--PREDICTIONS", "a.csv")
    names = {path.name for path in Path("scores").iterdir()}
    assert len(names) == 6

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(plots, "scatter", stop)
        with pytest.raises(KeyboardInterrupt):
            call(evaluate, "--PREDICTIONS", "a.csv")
    assert {path.name for path in Path("scores").iterdir()} == names  # nothing is replaced before all is drawn
    monkeypatch.setattr(files, "write_json", stop)
    with pytest.raises(KeyboardInterrupt):
        call(evaluate, "--PREDICTIONS", "a.csv")
    assert {path.name for path in Path("scores").iterdir()} == names - {"scores_validation.json"}


def test_files_of_different_coverage_meet_on_their_common_clips(annotated, capsys):
    first, second = answers(1), answers(2)
    clips = list(VALIDATION)
    predictions.write_csv("a.csv", {clip: first[clip] for clip in clips[:15]})
    predictions.write_csv("b.csv", {clip: second[clip] for clip in clips[5:]})
    call(evaluate, "--PREDICTIONS", "a.csv,b.csv", "--RESAMPLES", "50")
    printed, shared = capsys.readouterr().out, clips[5:15]
    assert "fusion: of the 10 clips that all of a.csv, b.csv answer" in printed
    assert "validation, accuracy by clip, all clips: the 10 clips that all of them answer" in printed
    found = label_table.read("scores/predictions_validation.csv").values
    assert found.keys() == set(shared)
    report, true = scores_of("scores/scores_validation.json"), np.array([VALIDATION[clip] for clip in shared])
    for name, own in (("a.csv", first), ("b.csv", second)):
        accuracy = metrics.accuracy(np.array([own[clip] for clip in shared]), true).mean()
        scored = report["common"][name]["groups"]["all clips"]
        assert scored["clips"] == 10 and scored["scores"]["accuracy"]["mean"]["value"] == pytest.approx(
            accuracy, abs=1e-7
        )
        assert report["models"][name]["groups"]["all clips"]["clips"] == 15
        assert any(line.split()[:2] == [name, f"{accuracy:.4f}"] for line in printed.splitlines())
    predictions.write_csv("c.csv", {clip: second[clip] for clip in clips[15:]})
    with pytest.raises(UserError, match="no clip is answered by all of a.csv, c.csv"):
        call(evaluate, "--PREDICTIONS", "a.csv,c.csv", "--OUT", "other")


def test_neuroticism_the_other_way_round_is_told(annotated, capsys):
    turned = {clip: np.where(np.arange(5) == TRAITS.index("neuroticism"), 1 - v, v) for clip, v in answers(1).items()}
    predictions.write_csv("a.csv", turned)
    call(evaluate, "--PREDICTIONS", "a.csv", "--RESAMPLES", "50")
    assert "a.csv: emotional stability correlates with the labels by -0." in capsys.readouterr().out
    remark = scores_of("scores/scores_validation.json")["models"]["a.csv"]["remarks"][0]
    assert "give 1 minus it in a column named emotional_stability" in remark
    for values in (answers(1), {clip: 1 - v for clip, v in answers(1).items()}):  # as it should be; all are turned
        predictions.write_csv("a.csv", values)
        call(evaluate, "--PREDICTIONS", "a.csv", "--RESAMPLES", "50")
        assert "correlates" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["annotation_test.pkl", "my-test_labels.pkl", "labels.pkl"])
def test_the_split_is_that_of_the_annotation(annotated, capsys, monkeypatch, name):
    """By its name, or by its content."""
    write_annotation(f"elsewhere/{name}", VALIDATION)
    predictions.write_csv("a.csv", answers(1))
    if name == "labels.pkl":
        monkeypatch.setitem(chalearn.ANNOTATION_MD5, "test", files.md5(f"elsewhere/{name}"))
    arguments = ("--PREDICTIONS", "a.csv", "--ANNOTATION", f"elsewhere/{name}", "--RESAMPLES", "50")
    call(evaluate, *arguments)
    printed = capsys.readouterr().out
    assert f"elsewhere/{name} has the labels of the test split" in printed and "validation" not in printed
    assert scores_of("scores/scores_test.json")["split"] == "test"
    call(evaluate, *arguments, "--SPLIT", "validation")
    assert scores_of("scores/scores_validation.json")["split"] == "validation"


def test_another_result_is_not_replaced(annotated):
    for name in ("a.csv", "b.csv"):
        predictions.write_csv(name, answers(1))
    shutil.copy("Annotations/annotation_validation.pkl", "validation_again.pkl")
    call(evaluate, "--PREDICTIONS", "a.csv", "--RESAMPLES", "50")
    before = Path("scores/scores_validation.json").read_bytes()
    for other in (("b.csv",), ("a.csv,b.csv",), ("a.csv", "--ANNOTATION", "validation_again.pkl")):
        with pytest.raises(UserError, match="holds the scores of a.csv by Annotations/.*: choose another OUT"):
            call(evaluate, "--PREDICTIONS", *other, "--RESAMPLES", "50")
    assert Path("scores/scores_validation.json").read_bytes() == before
    call(evaluate, "--PREDICTIONS", "a.csv", "--RESAMPLES", "60")  # the same once more
    assert scores_of("scores/scores_validation.json")["resamples"] == 60


def test_lines_are_short_and_no_table_stands_twice(annotated, capsys):
    """Of clips whose sources are in no training clip, all of them unseen."""
    path = f"a folder with a {'very ' * 15}long name/a.csv"
    unseen = {clip: label for clip, label in VALIDATION.items() if clip.startswith("new")}
    write_annotation("Annotations/annotation_validation.pkl", unseen)
    for name in (path, "b.csv"):
        predictions.write_csv(name, {clip: answers(1)[clip] for clip in unseen})
    call(evaluate, "--PREDICTIONS", f"{path},b.csv", "--RESAMPLES", "50")
    printed = capsys.readouterr().out
    tables = printed[printed.index(f"\n{path}") : printed.index("\nscores: ")]
    assert max(map(len, tables.splitlines())) <= 120
    assert "8 clips of 8 sources, all unseen in training" in tables and "clips of unseen sources" not in tables
    assert tables.count("accuracy by clip") == 1


def test_a_file_to_score_is_not_replaced(annotated):
    predictions.write_csv("scores/predictions_validation.csv", answers(1))
    before = Path("scores/predictions_validation.csv").read_bytes()
    for files_ in ("scores/predictions_validation.csv", "scores/predictions_validation.csv,a.csv"):
        with pytest.raises(UserError, match="which this command would replace: choose another OUT"):
            call(evaluate, "--PREDICTIONS", files_)
    assert Path("scores/predictions_validation.csv").read_bytes() == before


@pytest.mark.slow
def test_a_run_whose_training_has_not_ended_is_named(records, capsys):
    save_run("dan", visual())
    save_run("audio", audio())
    Path("runs/audio/final.keras").unlink()
    Path("runs/audio/checkpoint.npz").touch()
    call(evaluate)
    assert "runs: skipped, since their training has not ended: audio" in capsys.readouterr().out


def test_records_with_other_labels_than_the_annotation_are_refused(records):
    save_run("dan", visual())
    write_annotation("Annotations/annotation_validation.pkl", VALIDATION | {"new0.000": label_of(99)})
    with pytest.raises(UserError, match="val_full.tfrecords has other labels than .*validation.pkl.* new0.000"):
        call(evaluate)
    assert not Path("runs/fusion").exists()


def test_nonfinite_weights_and_answers_are_refused(records):
    """A model's weights; the answers of one whose weights are finite."""
    model = visual()
    model.layers[-1].set_weights([np.full((3, 5), np.nan), np.zeros(5)])
    save_run("dan", model)
    with pytest.raises(UserError, match="runs/dan/final.keras: .*kernel is not finite"):
        call(evaluate)
    shutil.rmtree("runs/dan")
    images = keras.Input((224, 224, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1e38)(images))
    save_run("dan", keras.Model(images, keras.layers.Dense(5)(pooled)))
    with pytest.raises(UserError, match="dan: the model's predictions are not finite"):
        call(evaluate)
    assert not Path("runs/fusion").exists()


@pytest.mark.slow
def test_training_on_other_clips_or_labels_is_remarked_on(records, capsys):
    other = {clip: label for clip, label in TRAINING.items() if clip != "seen0.000"} | {"seen1.000": label_of(90)}
    save_run("dan", visual(), trained_on=other)
    call(evaluate)
    remark = scores_of()["models"]["dan"]["remarks"][0]
    assert f"dan: {remark}" in capsys.readouterr().out
    assert "without 1 clip of those" in remark and "other labels for 1 clip " in remark and "seen1.000" in remark


def test_a_run_named_as_the_fusion_is_refused(records):
    save_run("fusion", visual())
    with pytest.raises(UserError, match="fusion: this name is reserved"):
        call(evaluate)


@pytest.mark.slow
def test_no_script_imports_tensorflow_for_its_help():
    for name in ("evaluate.py", "train.py", "Write_Into_TFRecords.py", "feat_extraction_from_wav.py"):
        done = run_alone(name, "--help", env=without_tensorflow(Path().absolute()))
        assert done.returncode == 0 and (PROJECT / name).exists(), done.stderr
