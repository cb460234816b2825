"""paper_table.py: our scores beside the published ones, and what keeps them from being compared."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import PROJECT, call, label_of, refused, run, write_annotation

import paper_table
import train
from first_impression.common import files
from first_impression.common.settings import read_settings
from first_impression.data.chalearn import TRAITS
from first_impression.data.targets import FIVE
from first_impression.evaluation import ceiling, comparison, published, results

RUNS = ("paper_dan", "paper_dan_plus", "paper_resnet", "paper_audio")
TRAINING = {f"seen{n}.000": label_of(n) for n in range(30)}
VALIDATION = {f"seen{n}.001": label_of(n + 3) for n in range(25)} | {f"new{n}.000": label_of(n + 40) for n in range(15)}


@pytest.fixture
def scored(folder):
    """Four made-up models, scored as evaluate.py does it: {name: {clip: [5]}}, with the fusion."""
    write_annotation("Annotations/annotation_validation.pkl", VALIDATION)
    random = np.random.default_rng(0)
    answers = {
        name: {clip: np.clip(label + random.normal(0, 0.05, 5), 0, 1) for clip, label in VALIDATION.items()}
        for name in RUNS
    }
    reference, weights = comparison.Reference(VALIDATION, TRAINING), dict.fromkeys(RUNS, 1.0)
    report = {"annotation": "Annotations/annotation_validation.pkl", "fusion_weights": weights}
    answered = {name: results.Answered(values, {}) for name, values in answers.items()}
    report |= results.collect(answered, weights, reference, {}, FIVE)
    write(report)
    for name in RUNS:
        recipe = str(PROJECT / f"recipes/{name}.py")
        constants = read_settings(vars(train), [recipe, "--SEED", "3"], recipes=True).constants()
        start = {"words": "vgg-face.mat, the published VGG-Face", "published": True}
        files.write_json(f"runs/{name}/settings.json", {"constants": constants, "start": start})
    return answers


def write(report, split="validation"):
    files.write_json(f"runs/fusion/scores_{split}.json", results.without_nan(report))


def row(text, title):
    """The numbers of the first row of this title, in the order of the table's columns."""
    line = next(line for line in text.splitlines() if line.strip().startswith(title))
    return [float(word) for word in re.findall(r"[-+]?\d*\.\d+", line.removeprefix(title))]


def test_ours_stand_beside_the_published_with_the_differences(scored, capsys):
    call(paper_table)
    text = capsys.readouterr().out
    ours = np.mean([1 - np.abs(scored["paper_audio"][clip] - VALIDATION[clip]) for clip in VALIDATION], axis=0)
    assert row(text, "paper_audio")[0] == pytest.approx(ours.mean(), abs=1e-4)
    of_audio = text[text.index("paper_audio") :]
    assert row(of_audio, "published") == [0.89, 0.8878, 0.9022, 0.8785, 0.8876, 0.8939]  # mean, E, A, C, N, O
    assert row(of_audio, "less published")[:2] == pytest.approx([ours.mean() - 0.89, ours[0] - 0.8878], abs=1e-4)
    bounds = of_audio[of_audio.index("less published") :]
    assert row(bounds, "95 %, from")[0] < ours.mean() - 0.89 < row(bounds, "to")[0]
    report = json.loads(Path("runs/fusion/scores_validation.json").read_text())
    against = report["models"]["fusion"]["groups"]["all clips"]["baselines"]["same-source lookup"]["differences"]
    found = row(text[text.index("\nfusion") :], "less the same-source lookup")
    assert found[0] == pytest.approx(against["accuracy"]["mean"]["value"], abs=1e-4)
    assert "published" not in text[text.index("\nfusion") : text.index("NOT comparable")]  # that is of the test split
    assert "fusion on test: 0.9130" in text


def test_the_ceiling_of_the_labels_is_the_last_row(scored, capsys):
    call(paper_table)
    assert "\nceiling" not in capsys.readouterr().out  # of other labels than ChaLearn's none is known
    reference = comparison.Reference(VALIDATION, TRAINING, reliability=ceiling.CHALEARN)
    report = json.loads(Path("runs/fusion/scores_validation.json").read_text())
    answered = {name: results.Answered(values, {}) for name, values in scored.items()}
    write(report | results.collect(answered, dict.fromkeys(RUNS, 1.0), reference, {}, FIVE))
    call(paper_table)
    lines = capsys.readouterr().out.partition("NOT comparable")[0].strip().splitlines()
    spread = np.std(list(VALIDATION.values()), axis=0)
    reliability = np.array([ceiling.CHALEARN[trait][0] for trait in TRAITS])
    wanted = 1 - np.sqrt(2 / np.pi * (1 - reliability)) * spread  # docs/scores.md
    assert lines[-1].startswith("ceiling")
    assert row(lines[-1], "ceiling")[:2] == pytest.approx([wanted.mean(), wanted[0]], abs=1e-4)


def test_other_targets_are_no_match_and_interview_stands_aside(scored, capsys):
    report = json.loads(Path("runs/fusion/scores_validation.json").read_text())
    call(paper_table)
    before = capsys.readouterr().out.partition("NOT comparable")[0]
    for group in report["models"]["paper_dan"]["groups"].values():
        group["scores"]["accuracy"]["interview"] = group["scores"]["accuracy"]["openness"]
    write(report)
    call(paper_table)
    assert capsys.readouterr().out.partition("NOT comparable")[0] == before
    for group in report["models"]["paper_dan"]["groups"].values():
        del group["scores"]["accuracy"]["openness"]
    write(report)
    call(paper_table)
    printed = capsys.readouterr().out
    assert "paper_dan does not answer the five traits" in printed and "\npaper_dan  " in printed
    assert printed[printed.index("\npaper_dan  ") :].split()[1:7] == ["-"] * 6


def test_the_fusion_on_test_stands_beside_the_papers(scored, capsys):
    write(json.loads(Path("runs/fusion/scores_validation.json").read_text()), "test")
    Path("runs/fusion/scores_validation.json").unlink()
    call(paper_table)
    text = capsys.readouterr().out
    assert row(text[text.index("\nfusion") :], "published") == [0.913, 0.9133, 0.9126, 0.9166, 0.91, 0.9123]
    assert "published" not in text[text.index("paper_audio") : text.index("\nfusion")]


def test_what_keeps_scores_from_being_compared_is_named(scored, capsys, monkeypatch):
    call(paper_table)
    text = capsys.readouterr().out
    assert "annotation_validation.pkl is not ChaLearn's annotation file" in text
    assert f"scored on 40 clips, not on all 2,000: {', '.join([*RUNS, 'fusion'])}\n" in text

    monkeypatch.setattr(published, "CLIPS", 40)
    monkeypatch.setitem(published.ANNOTATIONS, "validation", files.md5("Annotations/annotation_validation.pkl"))
    call(paper_table)
    assert "NOT comparable" not in capsys.readouterr().out

    about = json.loads(Path("runs/paper_dan/settings.json").read_text())
    words = "vgg16.h5, ImageNet's VGG-16, as Keras publishes it"
    files.write_json(
        "runs/paper_dan/settings.json",
        about | {"start": {"words": words, "published": True, "pretrained": "ImageNet"}},
    )
    call(paper_table)
    assert f"paper_dan did not start from VGG-Face, as the paper's did: {words}\n" in capsys.readouterr().out
    del about["constants"]["MEAN"]  # as a run from before there was a choice
    about["constants"]["BATCH_SIZE"] = 8
    about["start"] = {"words": "other.mat, NOT the published VGG-Face", "published": False}
    files.write_json("runs/paper_dan/settings.json", about)
    report = json.loads(Path("runs/fusion/scores_validation.json").read_text())
    del report["models"]["paper_resnet"]
    report["fusion_weights"]["paper_audio"] = 3.0
    write(report)
    call(paper_table)
    text = capsys.readouterr().out
    cautions = text.partition("NOT comparable with the published scores:\n  ")[2].partition("\n\n")[0]
    assert cautions.split("\n  ") == [
        "paper_resnet was not scored",
        "the fusion is not the plain mean of paper_dan, paper_dan_plus, paper_resnet, paper_audio",
        "paper_dan did not start from published weights: other.mat, NOT the published VGG-Face",
        "paper_dan was trained with BATCH_SIZE = 8, MEAN = 'weights', not as recipes/paper_dan.py says",
    ]
    assert row(text, "paper_resnet") == []


def test_no_scores_and_damaged_ones(folder):
    refused(run("paper_table.py"), "runs/fusion holds no scores: run evaluate.py first")
    for content in ("", "[]", '{"models": 3}'):
        Path("runs/fusion").mkdir(parents=True, exist_ok=True)
        Path("runs/fusion/scores_test.json").write_text(content)
        refused(run("paper_table.py"), "scores_test.json is damaged or not evaluate.py's")


def test_published_means_are_those_of_their_traits():
    for accuracy, _ in published.PUBLISHED.values():
        assert accuracy["mean"] == pytest.approx(np.mean([accuracy[trait] for trait in TRAITS]), abs=6e-5)
