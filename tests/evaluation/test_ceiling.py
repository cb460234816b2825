"""label_ceiling.py, and the ceilings beside scores."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import label_of, ok, refused, run, write_annotation
from simulated import pairs, ratings_of, true_values, votes_on

from first_impression.common.errors import UserError
from first_impression.data import judgements
from first_impression.data.chalearn import TRAITS
from first_impression.evaluation import ceiling, comparison

FAST = ("--SPLITS", "2", "--RESAMPLES", "50")


def write_votes(path="votes.csv", clips=60, seed=0, column="friendly"):
    """A file of votes in ChaLearn's columns; returns the true values of the clips "s<n>.<m>"."""
    random = np.random.default_rng(seed)
    true, sources = true_values(clips, 3, random)
    votes = votes_on(true, *pairs(clips, 40, random), random)
    names = [f"s{source}.{number:03d}.mp4" for number, source in enumerate(sources)]
    words = np.select([votes.answers["x"] == 1, votes.answers["x"] == 0], ["LEFT", "RIGHT"], "DON'T KNOW")
    table = {
        "hit_id": "abc",
        "videoLeft": [names[n] for n in votes.left],
        "videoRight": [names[n] for n in votes.right],
    }
    pd.DataFrame(table | {column: words}).to_csv(path, index=False)
    return dict(zip((name.removesuffix(".mp4") for name in names), true, strict=True))


def test_tables_of_votes_are_read():
    Path("a.csv").write_text("left,right,Friendly,taste\nb.mp4,a,LEFT,RIGHT\na,c,don't know,\n")
    Path("b.csv").write_text("taste,left,right,Friendly\nLEFT,c,b,RIGHT\n")
    votes = judgements.read(["a.csv", "b.csv"])
    assert votes.clips == ["a", "b", "c"]
    assert votes.left.tolist() == [1, 0, 2] and votes.right.tolist() == [0, 2, 1]
    assert np.array_equal(votes.answers["friendly"], [1, np.nan, 0], equal_nan=True)
    assert np.array_equal(votes.answers["taste"], [0, np.nan, 1], equal_nan=True)


def test_chalearns_questions_are_about_its_traits_and_own_columns_about_their_own_targets():
    Path("a.csv").write_text("videoLeft,videoRight,Friendly,Emotional-Stability\nb.mp4,a,LEFT,RIGHT\n")
    assert list(judgements.read(["a.csv"]).answers) == ["extraversion", "neuroticism"]
    Path("a.csv").write_text("left,right,Friendly,taste\nb.mp4,a,LEFT,RIGHT\n")
    assert list(judgements.read(["a.csv"]).answers) == ["friendly", "taste"]
    Path("a.csv").write_text("clip,rater,organized,Honesty-Humility\nb.mp4,x,5,7\n")
    assert list(judgements.read(["a.csv"]).answers) == ["organized", "honesty_humility"]


def test_tables_of_ratings_are_read():
    Path("a.csv").write_text("clip,rater,emotional_stability,remark\nb.mp4,x,0.5,nice\na,y,,\nb,y,0.25,no\n")
    ratings = judgements.read(["a.csv"])
    assert ratings.clips == ["a", "b"] and ratings.clip.tolist() == [1, 0, 1] and ratings.rater.tolist() == [0, 1, 1]
    assert list(ratings.answers) == ["neuroticism"]
    assert np.array_equal(ratings.answers["neuroticism"], [0.5, np.nan, 0.25], equal_nan=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("left,right,x\na,a,LEFT\n", "both sides"),
        ("left,right,x\na,b,yes\n", "no column with LEFT or RIGHT"),
        ("left,right,x\n,b,LEFT\n", "names no clip"),
        ("clip,rater,x\na,b,many\n", "no column with numbers"),
        ("clip,x\na,1\n", "nor clip and rater"),
        ("clip,rater,Honesty-Humility,honesty humility\na,b,1,2\n", "several columns for honesty_humility"),
        ("left,right,Warmth,warmth\na,b,LEFT,RIGHT\n", "differ in case alone"),
        ("", "not a readable CSV"),
    ],
)
def test_what_is_no_table_of_judgements_is_refused(text, words):
    Path("a.csv").write_text(text)
    with pytest.raises(UserError, match=words):
        judgements.read(["a.csv"])


def test_votes_become_ceilings():
    write_votes()
    out = ok(run("label_ceiling.py", "votes.csv", *FAST))
    found = json.loads(Path("label_ceiling.json").read_text())
    assert list(found) == ["extraversion"] and "extraversion: reliability" in out
    about = found["extraversion"]
    assert about["interval"][0] < about["reliability"] < about["interval"][1]
    assert about["clips"] == 60 and about["judgements"] == 1200 and 50 < about["don't know"] < 150
    assert about["ceilings"]["R2"]["value"] == pytest.approx(about["reliability"])
    assert about["ceilings"]["accuracy"] is None  # the labels' spread is not known
    assert len(about["choices"]) == 3


def test_labels_made_of_the_votes_have_their_own_reliability_and_spread():
    true = write_votes(clips=120)
    random = np.random.default_rng(1)
    labels = {
        clip: np.full(5, np.clip(0.5 + 0.1 * value + random.normal(0, 0.02), 0, 1)) for clip, value in true.items()
    }
    write_annotation("mine.pkl", labels)
    ok(run("label_ceiling.py", "votes.csv", *FAST, "--LABELS", "mine.pkl", "--OUT", "out/x.json"))
    about = json.loads(Path("out/x.json").read_text())["extraversion"]
    assert about["labels"] == "mine.pkl"
    assert about["reliability"] > about["fit"]["reliability"] and about["fit"]["correlation"] > 0.8
    assert about["spread"] == pytest.approx(np.std([label[0] for label in labels.values()]), abs=1e-6)
    best = about["ceilings"]["accuracy"]
    assert best["low"] <= best["value"] <= best["high"] <= 1


def test_labels_of_other_clips_are_refused():
    write_votes()
    write_annotation("other.pkl", {"other.000": label_of(1)})
    refused(run("label_ceiling.py", "votes.csv", "--LABELS", "other.pkl"), "none of these clips was judged")


def test_a_table_of_labels_says_which_clips_are_of_one_speaker():
    """Clips whose names tell nothing, as of one's own study: without the column, their labels could not be judged."""
    true, text = write_votes(clips=90), Path("votes.csv").read_text()
    renamed = {name: f"clip{number}" for number, name in enumerate(true)}
    for name, other in renamed.items():
        text = text.replace(f"{name}.mp4", f"{other}.mp4")
    Path("votes.csv").write_text(text)
    labels = {name: f",{0.5 + value / 10:.3f}" * 5 for name, value in true.items()}
    rows = [f"{renamed[name]},{name.split('.')[0]}{label}" for name, label in labels.items()]
    header = "clip,speaker,extraversion,agreeableness,conscientiousness,emotional_stability,openness"
    Path("mine.csv").write_text("\n".join([header, *rows]))
    ok(run("label_ceiling.py", "votes.csv", *FAST, "--LABELS", "mine.csv"))
    assert json.loads(Path("label_ceiling.json").read_text())["extraversion"]["reliability"] > 0.85


def test_single_ratings_have_no_ceiling():
    Path("ratings.csv").write_text("clip,rater,openness\na,x,0.1\nb,y,0.5\nc,x,0.4\n")
    ok(run("label_ceiling.py", "ratings.csv", *FAST))
    assert json.loads(Path("label_ceiling.json").read_text())["openness"]["reliability"] is None


def test_ratings_become_ceilings():
    ratings = ratings_of(np.random.default_rng(0).uniform(0.4, 0.6, 40), 5, 30, np.random.default_rng(1), noise=0.1)
    table = {"clip": ratings.clip, "rater": ratings.rater, "openness": np.clip(ratings.answers["x"], 0, 1)}
    pd.DataFrame(table).to_csv("ratings.csv", index=False)
    for over in ("clips", "raters"):
        ok(run("label_ceiling.py", "ratings.csv", *FAST, "--OVER", over))
        about = json.loads(Path("label_ceiling.json").read_text())["openness"]
        assert about["clips"] == 40 and about["judgements"] == 200 and about["raters"] == 30
        assert about["ceilings"]["accuracy"]["value"] < 1 and about["spread"] < 0.2


def test_raters_are_not_drawn_where_votes_do_not_name_them():
    write_votes()
    refused(run("label_ceiling.py", "votes.csv", "--OVER", "raters"), "without their raters")


def test_ceilings_of_a_reliability():
    best = ceiling.ceilings(0.64, 0.15)
    assert best["R2"] == pytest.approx(0.64) and best["Pearson"] == best["CCC"] == pytest.approx(0.8)
    assert best["accuracy"] == pytest.approx(1 - np.sqrt(2 / np.pi) * 0.15 * 0.6)
    assert ceiling.ceilings(1.0, 0.15)["accuracy"] == 1


def test_the_way_to_the_ceiling_is_0_for_the_constant_guess_and_1_for_the_ceiling():
    random = np.random.default_rng(0)
    true = np.clip(random.normal(0.5, 0.12, (4000, 5)), 0, 1)
    labels = np.clip(true + random.normal(0, 0.09, true.shape), 0, 1)  # reliability .64
    clips = [f"clip{number}" for number in range(4000)]
    training = {f"t{clip}": label for clip, label in zip(clips, labels, strict=True)}
    reference = comparison.Reference(dict(zip(clips, labels, strict=True)), training, resamples=50)
    middle = labels.mean(axis=0)
    for share, answers in ((1, middle + true - true.mean(axis=0)), (0, np.tile(middle, (4000, 1)))):
        scored = comparison.score(dict(zip(clips, answers, strict=True)), reference)[comparison.ALL]
        found = ceiling.beside_scores(
            dict.fromkeys(TRAITS, (0.64, 0.6, 0.68)), labels, TRAITS, **scored["baselines"]["constant guess"]
        )
        assert "Pearson" not in found["share"]  # the constant guess has none
        for score in ("accuracy", "R2"):
            column = found["share"][score]["mean"]
            assert column["value"] == pytest.approx(share, abs=0.03)
            assert column["low"] <= column["value"] <= column["high"]
            best = found["scores"][score]["openness"]
            assert best["low"] < best["value"] < best["high"]


def test_the_reliability_is_that_of_the_file_beside_the_annotation(capsys):
    write_annotation("Annotations/annotation_test.pkl", {"a.000": label_of(1)})
    assert ceiling.reliabilities(Path("Annotations/annotation_test.pkl"), TRAITS) == {}
    about = {"reliability": 0.5, "interval": [0.4, 0.6]}
    beside = Path("Annotations/label_ceiling.json")
    beside.write_text(json.dumps(dict.fromkeys(TRAITS, about)))
    assert ceiling.reliabilities("Annotations/annotation_test.pkl", TRAITS) == dict.fromkeys(TRAITS, (0.5, 0.4, 0.6))
    beside.write_text(json.dumps({"openness": about, "warmth": about}))
    names = ("warmth", "openness", "neuroticism")
    found = ceiling.reliabilities("Annotations/annotation_test.pkl", names)
    assert found == dict.fromkeys(("warmth", "openness"), (0.5, 0.4, 0.6))
    assert "does not have emotional stability: scores come without the ceiling" in capsys.readouterr().out
    beside.write_text(json.dumps({"openness": about, "warmth": {"reliability": None, "interval": [None, None]}}))
    found = ceiling.reliabilities("Annotations/annotation_test.pkl", ("warmth", "openness"))
    assert list(found) == ["openness"] and "does not have warmth" in capsys.readouterr().out
    beside.write_text("{")
    with pytest.raises(UserError, match="damaged"):
        ceiling.reliabilities("Annotations/annotation_test.pkl", TRAITS)
