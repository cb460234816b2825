"""Scores of whatever is answered: ChaLearn's sixth label, targets and scales of one's own, some of them shared."""

import json
import pickle
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import call, refused, run
from test_evaluate import pixels_of

import evaluate
from first_impression.common.errors import UserError
from first_impression.data import label_table, record_writer
from first_impression.data.chalearn import TRAITS
from first_impression.data.targets import FIVE, Targets
from first_impression.evaluation import display, fusion, metrics, predictions
from first_impression.training.runs import find_runs

SIX = Targets((*TRAITS[:3], "interview", *TRAITS[3:]))
OWN = Targets(("warmth", "competence", "trust", "energy"), 1.0, 7.0)
FAST = ("--RESAMPLES", "50")


def drawn(seed, prefix, count, targets):
    """Labels from 0.2 to 0.8 of two clips per source, {clip: [k]}."""
    random = np.random.default_rng(seed)
    return {f"{prefix}{n // 2}.{n % 2:03d}": random.uniform(0.2, 0.8, len(targets.names)) for n in range(count)}


def write_pickle(path, labels):
    """An annotation pickle of SIX."""
    by_target = {
        name: {f"{clip}.mp4": np.float64(values[at]) for clip, values in labels.items()}
        for at, name in enumerate(SIX.names)
    }
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_bytes(pickle.dumps(by_target, protocol=2))


def write_table(path, labels, targets):
    """A table of labels on the scale of the targets."""
    rows = [",".join([clip, *(f"{targets.from_unit(value):.9f}" for value in row)]) for clip, row in labels.items()]
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text("\n".join([",".join(["clip", *targets.names]), *rows]))


@pytest.fixture
def six(folder):
    """Annotations of six targets: (training labels, validation labels), {clip: [6]}."""
    training, validation = drawn(0, "seen", 40, SIX), drawn(1, "new", 40, SIX)
    write_pickle("Annotations/annotation_training.pkl", training)
    write_pickle("Annotations/annotation_validation.pkl", validation)
    return training, validation


@pytest.fixture
def own(folder):
    """The same in tables of four targets from 1 to 7."""
    training, validation = drawn(0, "seen", 40, OWN), drawn(1, "new", 40, OWN)
    write_table("Annotations/annotation_training.csv", training, OWN)
    write_table("Annotations/annotation_validation.csv", validation, OWN)
    return training, validation


def shifted(labels, by):
    return {clip: values + np.asarray(by) for clip, values in labels.items()}


def report_of(path="scores/scores_validation.json"):
    return json.loads(Path(path).read_text())


def values(columns):
    return {name: column["value"] for name, column in columns.items()}


def test_the_challenges_mean_stays_that_of_the_five_with_interview_beside_it(six, capsys):
    training, validation = six
    errors = np.array([0.01, 0.02, 0.03, 0.2, 0.04, 0.05])  # the fourth is interview's
    predictions.write_csv("a.csv", shifted(validation, errors), SIX)
    call(evaluate, "--PREDICTIONS", "a.csv", *FAST)
    scores = report_of()["models"]["a.csv"]["groups"]["all clips"]
    wanted = {"mean": 1 - 0.03, **{name: 1 - error for name, error in zip(SIX.names, errors, strict=True)}}
    assert values(scores["scores"]["accuracy"]) == pytest.approx(wanted, abs=1e-6)
    order = ["extraversion", "agreeableness", "conscientiousness", "neuroticism", "openness", "interview"]
    assert list(scores["scores"]["accuracy"]) == ["mean", *order]
    guess = np.mean([values[3] for values in training.values()])
    of_guess = scores["baselines"]["constant guess"]["scores"]["accuracy"]["interview"]["value"]
    assert of_guess == pytest.approx(1 - np.mean([abs(guess - row[3]) for row in validation.values()]), abs=1e-6)
    printed = capsys.readouterr().out
    assert '"mean" is that of the five traits' in printed and "interview" in printed
    assert "neuroticism" not in printed and max(map(len, printed.splitlines())) <= 120


def test_chalearns_table_has_interview_behind_its_six_columns(six):
    columns = "VideoName,ValueExtraversion,ValueAgreeableness,ValueConscientiousness,ValueNeurotisicm,ValueOpenness"
    for targets, header in ((SIX, f"{columns},ValueInterview"), (FIVE, columns)):
        predictions.write_csv("a.csv", {"a.000": np.linspace(0.1, 0.6, len(targets.names))}, targets)
        assert Path("a.csv").read_text().splitlines()[0] == header
        found = label_table.read("a.csv", targets).values["a.000"]
        assert found == pytest.approx(np.linspace(0.1, 0.6, len(targets.names)), abs=1e-8)
    alone = Targets(("interview",))
    predictions.write_csv("a.csv", {"a.000": [0.25]}, alone)
    assert Path("a.csv").read_text().splitlines() == ["VideoName,interview", "a.000.mp4,0.25000000"]


@pytest.mark.pictures
def test_targets_of_ones_own_are_scored_in_the_unit_of_their_scale(own, capsys):
    _, validation = own
    predictions.write_csv("a.csv", shifted(validation, [0.1, 0.05, -0.1, 0.15]), OWN)
    call(evaluate, "--PREDICTIONS", "a.csv", *FAST)
    report = report_of()
    assert report["scale"] == [1, 7]
    scores = report["models"]["a.csv"]["groups"]["all clips"]["scores"]
    assert values(scores["accuracy"]) == pytest.approx(
        {"mean": 0.9, "warmth": 0.9, "competence": 0.95, "trust": 0.9, "energy": 0.85}, abs=1e-6
    )
    in_unit = {"mean": 0.6, "warmth": 0.6, "competence": 0.3, "trust": 0.6, "energy": 0.9}  # of 6 from end to end
    assert values(scores["absolute error"]) == pytest.approx(in_unit, abs=1e-6)
    printed = capsys.readouterr().out
    assert "Labels were given from 1 to 7" in printed and "used for nothing" not in printed
    header, first = Path("scores/predictions_validation.csv").read_text().splitlines()[:2]
    assert header.split(",")[1:] == [*OWN.names, *(f"{name} 1..7" for name in OWN.names)]
    unit, on_scale = np.split(np.array(first.split(",")[1:], float), 2)
    assert on_scale == pytest.approx(1 + 6 * unit, abs=1e-6)
    for picture in ("scatter", "errors", "models", "calibration"):
        assert Path(f"scores/{picture}_validation.png").exists()


def test_labels_that_are_all_alike_have_a_ceiling_without_a_way_to_it_in_r2(own, capsys):
    training, validation = (shifted(labels, 0) for labels in own)
    for labels, name in ((training, "training"), (validation, "validation")):
        for values in labels.values():
            values[3] = 0.5
        write_table(f"Annotations/annotation_{name}.csv", labels, OWN)
    about = dict.fromkeys(OWN.names[:3], {"reliability": 0.6, "interval": [0.55, 0.65]})
    about["energy"] = {"reliability": -1.9, "interval": [-6.8, -0.5]}  # of ratings that agree on nothing
    Path("Annotations/label_ceiling.json").write_text(json.dumps(about))
    predictions.write_csv("a.csv", shifted(validation, [0.02, 0.02, 0.02, 0]), OWN)
    call(evaluate, "--PREDICTIONS", "a.csv", *FAST)
    found = report_of()["models"]["a.csv"]["groups"]["all clips"]["ceiling"]
    assert found["share"].keys() == {"accuracy"} and found["scores"]["accuracy"]["energy"]["value"] == 1
    share, printed = found["share"]["accuracy"]["mean"]["value"], capsys.readouterr().out
    assert f"to the ceiling: {share:.0%} in accuracy (" in printed and "in R2" not in printed
    one = dict(list(validation.items())[:1])  # which the answer of one clip has nowhere
    predictions.write_csv("a.csv", one, OWN)
    call(evaluate, "--PREDICTIONS", "a.csv", *FAST)
    printed = capsys.readouterr().out
    assert "nan%" not in printed and "ceiling" in printed


def test_files_of_different_targets_are_fused_over_those_that_all_have(six, capsys):
    _, validation = six
    few = Targets(("openness", "interview", "extraversion"))
    of_few = {clip: values[[5, 3, 0]] for clip, values in validation.items()}
    predictions.write_csv("a.csv", shifted(validation, 0.04), SIX)
    predictions.write_csv("b.csv", shifted(of_few, 0.02), few)
    five = {clip: np.delete(values, 3) for clip, values in validation.items()}
    predictions.write_csv("c.csv", shifted(five, 0.06), FIVE)
    call(evaluate, "--PREDICTIONS", "a.csv,b.csv,c.csv", *FAST)
    printed, report = capsys.readouterr().out, report_of()
    told = "together: extraversion, openness, which all of a.csv, b.csv, c.csv have; without agreeableness"
    assert told in printed and "interview (of b.csv)" in printed
    accuracy = {
        name: values(model["groups"]["all clips"]["scores"]["accuracy"]) for name, model in report["models"].items()
    }
    assert accuracy["fusion"] == pytest.approx(dict.fromkeys(("mean", "extraversion", "openness"), 0.96), abs=1e-6)
    assert accuracy["a.csv"].keys() == {"mean", *SIX.names} and accuracy["b.csv"].keys() == {"mean", *few.names}
    beside = {name: values(of["groups"]["all clips"]["scores"]["accuracy"]) for name, of in report["common"].items()}
    assert beside["b.csv"] == pytest.approx(dict.fromkeys(("mean", "extraversion", "openness"), 0.98), abs=1e-6)
    assert report["pairs"][0]["groups"]["all clips"]["differences"]["accuracy"].keys() == accuracy["fusion"].keys()
    assert Path("scores/predictions_validation.csv").read_text().startswith("VideoName,extraversion,openness\n")


@pytest.mark.slow
def test_runs_of_different_targets_are_scored_on_records_of_all(six, capsys):
    """A run of all six and one of two of them, in another order, on images that say six labels."""
    _, validation = six
    pair, examples = Targets(("interview", "openness")), []
    for number, (clip, label) in enumerate(validation.items()):
        Path(f"{clip}.bin").write_bytes(pixels_of(number).tobytes())
        examples.append(record_writer.Example(clip, label.astype(np.float32), Path(f"{clip}.bin")))
    path = Path("val_full.tfrecords")
    record_writer.write(path, "val", "image", examples, lambda found: (file.read_bytes() for file in found), {}, SIX)
    pixels, answers = np.stack([pixels_of(number) for number in range(len(validation))]), {}
    for name, targets in (("all", SIX), ("two", pair)):
        images = keras.Input((224, 224, 3))
        pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(images))
        outputs = keras.layers.Dense(len(targets.names), "sigmoid")(pooled)
        model = keras.Model(images, outputs, name=targets.model_name("dan"))
        Path(f"runs/{name}").mkdir(parents=True)
        model.save(f"runs/{name}/final.keras")
        about = {"start": {"words": "nothing", "published": None}, "constants": {"MODEL": name}, **targets.as_json}
        Path(f"runs/{name}/settings.json").write_text(json.dumps(about))
        answers[name] = dict(zip(targets.names, model(pixels).numpy().T, strict=True))
    call(evaluate, *FAST)
    report, printed = report_of("runs/fusion/scores_validation.json"), capsys.readouterr().out
    assert "together: openness, interview, which all of all, two have; without extraversion" in printed
    true = dict(zip(SIX.names, np.array(list(validation.values())).T, strict=True))
    for name, found in answers.items():
        wanted = {target: 1 - np.abs(of - true[target]).mean() for target, of in found.items()}
        scores = values(report["models"][name]["groups"]["all clips"]["scores"]["accuracy"])
        by_frame = report["models"][name]["by_frame"]  # a frame per clip
        for target, accuracy in wanted.items():
            assert scores[target] == pytest.approx(accuracy, abs=1e-5) == pytest.approx(by_frame[target], abs=1e-5)
    fused = values(report["models"]["fusion"]["groups"]["all clips"]["scores"]["accuracy"])
    for target in pair.names:
        mean = (answers["all"][target] + answers["two"][target]) / 2
        assert fused[target] == pytest.approx(1 - np.abs(mean - true[target]).mean(), abs=1e-5)
    assert fused.keys() == {"mean", *pair.names}
    kept = find_runs(Path("runs"), "two")[0].unseen["validation"]  # predict.py ranks among these
    assert [row[0] for row, _ in kept.values()] == pytest.approx(answers["two"]["interview"].tolist(), abs=1e-5)


def test_what_has_no_target_in_common_is_not_put_together(six):
    clips = dict.fromkeys(six[1], [0.5])
    for name in ("openness", "interview"):
        predictions.write_csv(f"{name}.csv", clips, Targets((name,)))
    done = run("evaluate.py", "--PREDICTIONS", "openness.csv,interview.csv", *FAST)
    refused(done, "they share no target (openness.csv answers openness; interview.csv answers interview)")
    with pytest.raises(UserError, match="different scales .*those of a from 0 to 1, those of b from 1 to 7"):
        fusion.shared_targets({"a": Targets(("warmth",)), "b": Targets(("warmth",), 1.0, 7.0)})
    Path("other.csv").write_text("clip,age\nnew0.000,40\n")
    refused(run("evaluate.py", "--PREDICTIONS", "other.csv", *FAST), "other.csv has no column for what")


def test_a_file_without_some_of_the_five_is_scored_by_the_others(six, capsys):
    four = Targets(TRAITS[1:])
    predictions.write_csv("few.csv", {clip: np.delete(values, 3)[1:] for clip, values in six[1].items()}, four)
    call(evaluate, "--PREDICTIONS", "few.csv", *FAST)
    assert "few.csv has no column for extraversion: it is scored by the others alone" in capsys.readouterr().out
    assert report_of()["models"]["few.csv"]["groups"]["all clips"]["scores"]["accuracy"].keys() == {"mean", *four.names}


def test_many_columns_follow_below_in_lines_that_are_short_enough(folder, capsys):
    many = Targets(tuple(f"a_rather_long_name_{number}" for number in range(9)))
    labels = drawn(1, "new", 8, many)
    write_table("Annotations/annotation_validation.csv", labels, many)
    predictions.write_csv("a.csv", labels, many)
    call(evaluate, "--PREDICTIONS", "a.csv", *FAST)
    printed = capsys.readouterr().out
    table = printed[printed.index("\na.csv, all clips") : printed.index("\nscores: ")]
    assert max(map(len, table.splitlines())) <= 120 and table.count("\naccuracy  ") > 1
    assert all(len(line.split()) > 1 for line in table.splitlines() if line.startswith("accuracy  "))
    words = " ".join(table.split())
    assert all(f" {number}" in words for number in range(9))


def test_the_order_the_words_and_the_colours_of_targets():
    assert display.shown(SIX.names) == (*TRAITS[:1], *TRAITS[2:4], "neuroticism", "openness", "interview")
    assert display.shown(OWN.names) == OWN.names
    words = {"neuroticism": "emotional stability", "emotional_stability": "emotional stability", "warmth": "warmth"}
    assert {name: display.in_words(name) for name in words} == words
    for count in (1, 4, 10):
        names = tuple(f"t{number}" for number in range(count))
        assert len(set(display.colours(names).values())) == count
    both = display.colours((*TRAITS, "interview", "warmth"))
    assert {name: both[name] for name in TRAITS} == display.COLOURS and len(set(both.values())) == 7
    assert len(display.colours(tuple(f"t{number}" for number in range(40)))) == 40


def test_the_values_of_neuroticism_stand_under_emotional_stability_too():
    found = display.by_target(np.arange(5), TRAITS)
    assert list(found.items())[-1] == ("emotional_stability", 1) and found["neuroticism"] == 1
    assert display.names_in(found) == display.shown(TRAITS)
    assert display.by_target([3, 4], ("warmth", "openness")) == {"openness": 4, "warmth": 3}
    table = "clip,ValueNeurotisicm,emotional_stability\na,0.25,0.25\nb,0.5,{}\n"
    stability = Targets(("neuroticism",))
    Path("a.csv").write_text(table.format("0.5"))
    assert label_table.read("a.csv", stability).values == {"a": [0.25], "b": [0.5]}
    Path("a.csv").write_text(table.format("0.6"))
    with pytest.raises(UserError, match="several columns for neuroticism"):
        label_table.read("a.csv", stability)


def test_the_mean_is_over_all_targets_but_where_the_five_are_there():
    row = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.9])
    assert metrics.by_column(row, (*TRAITS, "interview"))["mean"] == pytest.approx(0.3)
    assert metrics.by_column(row[:2], ("interview", "openness"))["mean"] == pytest.approx(0.15)
