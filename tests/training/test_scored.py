"""What a run is known to be trained on, and what its scores have against it."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import label_of, write_annotation

from first_impression.common import files
from first_impression.common.errors import UserError
from first_impression.data.chalearn import is_drawn
from first_impression.data.targets import FIVE
from first_impression.evaluation import ceiling, comparison, predictions, results
from first_impression.sample import plan
from first_impression.training import dataset, scored
from first_impression.training.runs import Run

TRAINING = {f"seen{n}.000": label_of(n) for n in range(60)}
VALIDATION = {f"new{n}.000": label_of(n) for n in range(60)}
MEAN = np.mean(list(TRAINING.values()), axis=0)


@pytest.mark.parametrize("seed", range(3))
def test_the_samples_clips_are_known_by_their_names(seed):
    clips = [clip.name for clips in plan.plan_clips(60, 30, seed).values() for clip in clips]
    assert len(clips) == 90 and all(map(is_drawn, clips))


def test_other_names_are_not_the_samples():
    # as YouTube's and as people's own
    for name in (
        "-AbCdEfGhIj.003",
        "AbCdEfGhIjK.003",
        "smpl_one.000",
        "sample_clip.000",
        "xsmpl012345.000",
        "smpl1234567",
    ):
        assert not is_drawn(name)


def test_what_a_run_was_trained_on(folder, monkeypatch):
    assert dataset.dataset_of(["AbCdEfGhIjK.003"]) == ""
    write_annotation("Annotations/annotation_training.pkl", TRAINING)
    assert dataset.dataset_of(TRAINING) == ""
    monkeypatch.setattr(ceiling, "ANNOTATIONS", (files.md5("Annotations/annotation_training.pkl"),))
    assert dataset.dataset_of(TRAINING) == "ChaLearn First Impressions V2"
    assert dataset.dataset_of([*TRAINING, "smplABCDEFG.001"]) == "drawn sample"


def test_runs_from_before_it_was_noted_are_the_samples_by_their_labels_or_their_weights(folder):
    run = save("labels", {"start": {"words": "random", "published": None}})
    assert run.dataset == ""
    predictions.write_csv("runs/labels/training_labels.csv", {"-smplABCDEF.001": MEAN})
    assert Run(Path("runs/labels")).dataset == "drawn sample"
    words = "vgg-face.mat, NOT the published VGG-Face: Made-up weights of First-Impression's sample data"
    assert save("weights", {"start": {"words": words, "published": False}}).dataset == "drawn sample"
    about = dataset.about_drawn([Run(Path("runs/labels")), Run(Path("runs/weights"))])
    assert about == (
        "labels, weights: trained on drawn clips with made-up labels: their numbers say nothing about anybody"
    )
    noted = save("noted", {"dataset": "drawn sample"})
    assert dataset.about_drawn([save("other", {"dataset": ""}), noted]) == (
        "noted: trained on drawn clips with made-up labels: its numbers say nothing about anybody"
    )


def save(name, settings):
    files.write_json(f"runs/{name}/settings.json", settings)
    return Run(Path("runs") / name)


def verdicts_on(answers, split="validation", training=TRAINING):
    """What is said of a run that answered so, once evaluate.py has scored it."""
    Path("runs/it").mkdir(parents=True, exist_ok=True)
    Path("runs/it/final.keras").write_text("a model")
    answered = {"it": results.Answered(answers, {"runs/it/final.keras": files.md5("runs/it/final.keras")})}
    report = {"split": split} | results.collect(answered, {}, comparison.Reference(VALIDATION, training), {}, FIVE)
    files.write_json(f"runs/fusion/scores_{split}.json", results.without_nan(report))
    return Run(Path("runs/it")).verdicts, report["models"]["it"]["spread"]


def test_a_near_constant_and_one_no_better_than_a_guess_are_told(folder):
    towards = {
        share: {clip: MEAN + share * (label - MEAN) for clip, label in VALIDATION.items()} for share in (0.05, 0.5)
    }
    found, spread = verdicts_on(towards[0.05])
    assert spread["mean"] == pytest.approx(0.05)
    assert found == ["answers nearly the same to every clip: on validation its answers vary 5.0% as much as the labels"]
    found, spread = verdicts_on(towards[0.5])
    assert found == [] and spread["openness"] == pytest.approx(0.5)
    reversed_ = {clip: 2 * MEAN - label for clip, label in VALIDATION.items()}
    assert verdicts_on(reversed_)[0] == ["beat no baseline when it was scored on validation (60 clips)"]
    constant = dict.fromkeys(VALIDATION, MEAN)
    assert len(verdicts_on(constant)[0]) == 2  # as the paper's recipe on a few clips


def test_nothing_is_told_where_nothing_is_known(folder):
    Path("runs/it").mkdir(parents=True)
    Path("runs/it/final.keras").write_text("a model")
    assert Run(Path("runs/it")).verdicts == []
    reversed_ = {clip: 2 * MEAN - label for clip, label in VALIDATION.items()}
    assert verdicts_on(reversed_, training={})[0] == []  # without baselines
    assert verdicts_on(reversed_)[0]
    Path("runs/it/final.keras").write_text("another model")
    assert Run(Path("runs/it")).verdicts == []
    report = json.loads(Path("runs/fusion/scores_validation.json").read_text())
    for content in ("", "[]", json.dumps({**report, "models": 3})):
        Path("runs/fusion/scores_validation.json").write_text(content)
        with pytest.raises(UserError, match="scores_validation.json is damaged or not evaluate.py's"):
            scored.scores_of(Path("runs"), [Run(Path("runs/it"))])
