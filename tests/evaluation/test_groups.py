"""Groups of clips: what is counted, how often a neutral model is accused, and whether a biased one is found."""

from pathlib import Path

import numpy as np
import pytest

from first_impression.common.errors import UserError
from first_impression.evaluation import comparison, groups, metrics


def simulated(random, planted=0.0, sources=250, shrink=0.5):
    """(answers, groups, reference): labels that differ between groups, and answers that are narrower but neutral.

    Clips of one source share a part of their label and of the answer's error. `planted` is added to the answers of
    the group "old" in extraversion.
    """
    per_source = random.integers(1, 7, sources)
    of_source = np.repeat(np.arange(sources), per_source)
    group = random.choice(["young", "middle", "old"], sources, p=[0.5, 0.3, 0.2])[of_source]
    tongue = random.choice(["a", "b"], sources)[of_source]
    size = (len(of_source), 5)
    expected = 0.5 + 0.03 * (group == "young")[:, None] + shrink * random.normal(0, 0.1, (sources, 5))[of_source]
    labels = expected + random.normal(0, 0.07, (sources, 5))[of_source] + random.normal(0, 0.07, size)
    answers = expected + random.normal(0, 0.02, (sources, 5))[of_source]
    answers[group == "old", 0] += planted
    clips = [f"s{source}.{number:03d}" for number, source in enumerate(of_source)]
    reference = comparison.Reference(dict(zip(clips, labels, strict=True)), {}, resamples=400)
    tables = {"age": dict(zip(clips, group, strict=True)), "language": dict(zip(clips, tongue, strict=True))}
    return dict(zip(clips, answers, strict=True)), tables, reference


def test_a_neutral_model_is_accused_in_5_of_100_studies():
    accused = [bool(groups.verdicts(groups.score(*simulated(np.random.default_rng(seed))))) for seed in range(120)]
    print(f"accused: {np.mean(accused):.3f}")
    assert np.mean(accused) <= 0.1  # 5 % of 120 studies: more than 12 in one of 100 cases


def test_a_planted_bias_is_found():
    for seed in range(10):
        found = groups.verdicts(groups.score(*simulated(np.random.default_rng(seed), planted=-0.06, sources=600)))
        assert any(text.startswith("age old: placed lower") and "extraversion" in text for text in found), found


def test_what_stands_of_a_group_is_what_it_says():
    answers, tables, reference = simulated(np.random.default_rng(3))
    del tables["age"][next(iter(answers))]  # not known of everyone
    found = groups.score(answers, tables, reference)
    assert {column: list(of) for column, of in found.items()} == {
        "age": ["middle", "old", "young"],
        "language": ["a", "b"],
    }
    about = found["age"]["young"]
    own = [clip for clip, group in tables["age"].items() if group == "young"]
    others = [clip for clip, group in tables["age"].items() if group != "young"]
    sides = [
        np.array([side[clip] for clip in clips]) for clips in (own, others) for side in (answers, reference.labels)
    ]
    predicted, true, others_predicted, others_true = sides
    assert about["clips"] == len(own) and about["sources"] == len(set(metrics.sources_of(own)))
    expected = {
        "accuracy": metrics.accuracy(predicted, true),
        "error": (predicted - true).mean(axis=0),
        "label_gap": true.mean(axis=0) - others_true.mean(axis=0),
        "answer_gap": predicted.mean(axis=0) - others_predicted.mean(axis=0),
    }
    for kind, values in expected.items():
        assert about[kind]["openness"]["value"] == pytest.approx(values[4])
        assert about[kind]["mean"]["value"] == pytest.approx(values.mean())
        assert about[kind]["mean"]["low"] < values.mean() < about[kind]["mean"]["high"]
    gap = about["gap_difference"]["neuroticism"]["value"]
    assert gap == pytest.approx(expected["answer_gap"][1] - expected["label_gap"][1])
    ratio = about["amplification"]["mean"]
    assert ratio["value"] == pytest.approx(about["answer_gap"]["mean"]["value"] / about["label_gap"]["mean"]["value"])
    assert ratio["low"] < 1 < ratio["high"]  # neutral answers have the gaps of the labels
    assert np.isnan(found["language"]["a"]["amplification"]["openness"]["value"])  # no gap to compare with


def test_a_group_of_few_sources_has_no_interval():
    answers, tables, reference = simulated(np.random.default_rng(0))
    rare = [clip for clip in answers if metrics.source(clip) in {f"s{number}" for number in range(10)}]
    tables["age"] |= dict.fromkeys(rare, "rare")
    about = groups.score(answers, tables, reference)["age"]["rare"]
    assert about["sources"] == 10 and np.isfinite(about["error"]["mean"]["value"])
    assert np.isnan(about["error"]["mean"]["low"]) and np.isnan(about["amplification"]["mean"]["value"])


def test_one_group_alone_is_not_compared():
    answers, tables, reference = simulated(np.random.default_rng(0))
    assert groups.score(answers, {"age": dict.fromkeys(answers, "all")}, reference) == {}
    assert list(groups.score(answers, tables | {"x": {"unknown.000": "a"}}, reference)) == ["age", "language"]


def test_tables_of_groups_are_read():
    Path("groups.csv").write_text("Clip,age, sex\na.000.mp4,30-39,f\nb.000,,m\n")
    assert groups.read("groups.csv") == {"age": {"a.000": "30-39"}, "sex": {"a.000": "f", "b.000": "m"}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty"),
        ("who,age\na,1\n", "needs one column named clip"),
        ("clip\na\n", "needs one column named clip"),
        ("clip,age\na,1\na.mp4,2\n", "several rows for a"),
        ("clip,age\n" + "".join(f"c{n},{n}\n" for n in range(51)), "more than 50 groups"),
    ],
)
def test_what_is_no_table_of_groups_is_refused(text, words):
    Path("groups.csv").write_text(text)
    with pytest.raises(UserError, match=words):
        groups.read("groups.csv")
