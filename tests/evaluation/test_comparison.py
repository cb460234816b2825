"""Answers beside labels, baselines and each other: which clips, which differences, which words."""

import numpy as np
import pytest

from first_impression.data.chalearn import TRAITS
from first_impression.evaluation import baselines, comparison, metrics, summary

RANDOM = np.random.default_rng(0)
TRAINING = {f"seen{n}.000": RANDOM.uniform(size=5) for n in range(40)}
LABELS = {
    f"seen{n}.{k:03d}": np.clip(TRAINING[f"seen{n}.000"] + RANDOM.normal(0, 0.1, 5), 0, 1)
    for n in range(30)
    for k in (1, 2)
}
LABELS |= {f"new{n // 2}.{n % 2:03d}": RANDOM.uniform(size=5) for n in range(80)}
REFERENCE = comparison.Reference(LABELS, TRAINING, resamples=200)


def near(deviation, seed=0, clips=LABELS):
    random = np.random.default_rng(seed)
    return {clip: LABELS[clip] + random.normal(0, deviation, 5) for clip in clips}


def rows(answers, clips):
    return np.array([answers[clip] for clip in clips])


def test_groups_are_all_clips_and_those_of_unseen_sources():
    groups = REFERENCE.groups([*LABELS, "nobody.000"])
    assert groups[comparison.ALL] == sorted(LABELS)
    assert groups[comparison.UNSEEN] == sorted(clip for clip in LABELS if clip.startswith("new"))
    assert list(REFERENCE.groups(["seen1.001"])) == [comparison.ALL]
    assert list(comparison.Reference(LABELS, {}).groups(LABELS)) == [comparison.ALL]
    speakers = {"new0.000": "x", "new0.001": "x", "new1.000": "x", "seen0.000": "x", "seen1.001": "y"}
    unseen = comparison.Reference(LABELS, TRAINING, speakers).groups(LABELS)[comparison.UNSEEN]
    assert "seen1.001" in unseen and "new1.001" in unseen and not {"new0.000", "new0.001", "new1.000"} & set(unseen)


def test_the_sources_of_a_mapping_are_what_is_resampled():
    by_name = comparison.score(near(0.1), REFERENCE)[comparison.ALL]
    apart = {clip: clip for clip in LABELS}
    by_clip = comparison.score(near(0.1), comparison.Reference(LABELS, TRAINING, apart, resamples=200))[comparison.ALL]
    assert by_name["sources"] == 70 and by_clip["sources"] == by_name["clips"] == 140
    assert by_name["scores"]["accuracy"]["mean"] != by_clip["scores"]["accuracy"]["mean"]
    assert by_name["scores"]["accuracy"]["mean"]["value"] == by_clip["scores"]["accuracy"]["mean"]["value"]


def test_differences_are_paired():
    """Against a loop over the same draws of sources, in which both answers are scored on the same clips."""
    first, second, clips = near(0.1, 1), near(0.12, 2), sorted(LABELS)
    found = comparison.compare(first, second, REFERENCE)[comparison.ALL]
    of_clip = metrics.sources_of(clips)
    names = sorted(set(of_clip))
    members = {name: [row for row, source in enumerate(of_clip) if source == name] for name in names}
    differences = []
    for draw in np.random.default_rng(0).integers(0, len(names), (200, len(names))):
        drawn = [row for number in draw for row in members[names[number]]]
        p, q, t = (rows(side, clips)[drawn] for side in (first, second, LABELS))
        differences.append(metrics.all_scores(p, t)["CCC"] - metrics.all_scores(q, t)["CCC"])
    low, high = np.percentile(differences, [2.5, 97.5], axis=0)
    for number, trait in enumerate(TRAITS):
        columns = found["differences"]["CCC"][trait]
        assert columns["low"] == pytest.approx(low[number]) and columns["high"] == pytest.approx(high[number])
    low, high = np.percentile(np.mean(differences, axis=1), [2.5, 97.5])
    mean = found["differences"]["CCC"]["mean"]
    assert (mean["low"], mean["high"]) == (pytest.approx(low), pytest.approx(high))
    assert mean["value"] == pytest.approx(
        np.mean([found["differences"]["CCC"][trait]["value"] for trait in TRAITS]), abs=1e-15
    )


def test_a_pair_is_compared_on_the_clips_that_both_answer():
    first, second = near(0.1, 1), near(0.1, 2, list(LABELS)[10:])
    found = comparison.compare(first, second, REFERENCE)[comparison.ALL]
    shared = list(LABELS)[10:]
    assert found["clips"] == 130
    expected = metrics.accuracy(rows(first, shared), rows(LABELS, shared)) - metrics.accuracy(
        rows(second, shared), rows(LABELS, shared)
    )
    assert found["differences"]["accuracy"]["openness"]["value"] == pytest.approx(expected[4])
    assert comparison.compare(first, {"other.000": np.zeros(5)}, REFERENCE) == {}


def test_the_same_answers_do_not_differ():
    found = comparison.compare(near(0.1), near(0.1), REFERENCE)[comparison.UNSEEN]
    assert all(
        number == 0 for of in found["differences"].values() for columns in of.values() for number in columns.values()
    )


def test_scores_stand_beside_those_of_the_baselines():
    answers = near(0.05)
    for group, scored in comparison.score(answers, REFERENCE).items():
        clips = REFERENCE.groups(answers)[group]
        true = rows(LABELS, clips)
        assert scored["scores"]["Pearson"]["openness"]["value"] == pytest.approx(
            np.corrcoef(rows(answers, clips)[:, 4], true[:, 4])[0, 1]
        )
        guess = metrics.accuracy(baselines.constant_guess(clips, TRAINING), true)
        lookup = metrics.accuracy(baselines.same_source_lookup(clips, TRAINING), true)
        own = metrics.accuracy(rows(answers, clips), true)
        for name, theirs in (("constant guess", guess), ("same-source lookup", lookup)):
            beside = scored["baselines"][name]
            assert beside["scores"]["accuracy"]["mean"]["value"] == pytest.approx(theirs.mean())
            mean = beside["differences"]["accuracy"]["mean"]
            assert mean["value"] == pytest.approx((own - theirs).mean()) and mean["low"] < mean["value"] < mean["high"]
        assert np.isnan(scored["baselines"]["constant guess"]["scores"]["Pearson"]["mean"]["value"])
        assert scored["beats_baselines"] is True


def verdict_of(answers, reference=REFERENCE):
    return {
        group: summary.verdict("m", group, scored) for group, scored in comparison.score(answers, reference).items()
    }


def test_the_verdict_is_said_in_words():
    assert verdict_of(near(0.03)) == {
        comparison.ALL: "m beats both baselines on all clips",
        comparison.UNSEEN: "m beats both baselines on clips of unseen sources",
    }
    lookup = dict(zip(LABELS, baselines.same_source_lookup(list(LABELS), TRAINING), strict=True))
    assert verdict_of(lookup)[comparison.ALL] == (
        "m does not beat both baselines on all clips: the interval of its difference to the same-source lookup holds 0"
    )
    worse = verdict_of({clip: 1 - label for clip, label in LABELS.items()})[comparison.UNSEEN]
    assert "it is below the constant guess, and it is below the same-source lookup" in worse
    alone = comparison.Reference(LABELS, TRAINING, dict.fromkeys(LABELS, "one"), resamples=20)
    assert "without intervals" in verdict_of(near(0.03), alone)[comparison.ALL]


def test_one_clip_has_scores_but_no_interval():
    scored = comparison.score(near(0.1, clips=["new0.000"]), REFERENCE)[comparison.ALL]
    assert scored["clips"] == scored["sources"] == 1
    assert np.isfinite(scored["scores"]["accuracy"]["mean"]["value"]) and np.isnan(
        scored["scores"]["accuracy"]["mean"]["low"]
    )
    assert np.isnan(scored["scores"]["Pearson"]["mean"]["value"]) and scored["beats_baselines"] is None


def test_few_sources_are_warned_of(capsys):
    few = {clip: label for clip, label in LABELS.items() if clip.startswith("new1")}
    for labels, warned in ((few, True), (LABELS, False)):
        groups = comparison.score(near(0.1), comparison.Reference(labels, TRAINING, resamples=20))
        summary.print_model("m", {"groups": groups, "by_frame": None})
        assert ("these intervals mean little" in capsys.readouterr().out) == warned


def settings_of(seed, name="", **constants):
    constants = {"MODEL": "dan", "SEED": seed, "NAME": name, "RUNS": f"of_{name}", "LEARNING_RATE": 0.1} | constants
    return {"constants": constants, "records": {"training": "abc"}, "start": {"md5": "1"}}


def test_runs_that_differ_in_seed_only_belong_together():
    runs = {f"dan_{seed}": settings_of(seed, f"dan_{seed}") for seed in (0, 1, 2)}
    others = {
        "rate": settings_of(3, LEARNING_RATE=0.2),
        "model": settings_of(3, MODEL="dan_plus"),
        "records": settings_of(3) | {"records": {"training": "other"}},
        "start": settings_of(3) | {"start": {"md5": "2"}},
        "copy": settings_of(1),
        "unknown": {},
        "damaged": {"constants": "x"},
    }
    assert comparison.runs_by_seed(runs | others) == [{"dan_0": 0, "dan_1": 1, "dan_2": 2}]
    assert comparison.runs_by_seed(others) == []


def test_mean_and_spread_over_seeds():
    scored = [comparison.score(near(0.1, seed), REFERENCE) for seed in range(3)]
    found = comparison.over_seeds(scored)
    values = [of_run[comparison.UNSEEN]["scores"]["CCC"]["openness"]["value"] for of_run in scored]
    assert found[comparison.UNSEEN]["CCC"]["mean"]["openness"] == pytest.approx(np.mean(values))
    assert found[comparison.UNSEEN]["CCC"]["stddev"]["openness"] == pytest.approx(np.std(values, ddof=1))
