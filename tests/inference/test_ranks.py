"""What an answer is ranked among: the models' answers to unseen clips, one's own clips, or training labels."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import make_clip, ok, run
from stand_ins import LABELS, ask, audio_model, image_model, save_run, values

from first_impression.common.errors import UserError
from first_impression.common.words import share_lower
from first_impression.evaluation import predictions, unseen
from first_impression.inference.document import AMONG_LABELS
from first_impression.training import manifest, rankings
from first_impression.training.runs import find_runs

RANDOM = np.random.default_rng(0)
# Answers to validation clips of two to a source; the last ten have no sound
EYE = {f"new{n // 2}.{n % 2:03d}": RANDOM.uniform(0, 1, 5) for n in range(50)}
EAR = {clip: RANDOM.uniform(0, 1, 5) for clip in list(EYE)[:40]}


def keep(run_of, answers, name="predictions_validation.csv", kind=unseen.VALIDATION):
    table = run_of.folder / name
    predictions.write_csv(table, answers)
    unseen.record(table, kind, run_of.md5s.values(), [clip.partition(".")[0] for clip in answers])


@pytest.fixture
def runs(folder):
    save_run("eye", image_model(), LABELS), save_run("ear", audio_model(), LABELS)
    ear, eye = find_runs(Path("runs"))
    keep(eye, EYE), keep(ear, EAR)
    return ear, eye


def lower(answers, fused):
    """The share of the answers below the fused one, in whole per cent, by hand."""
    return [100 * sum(row[trait] < fused[trait] for row in answers) // len(answers) for trait in range(5)]


def test_the_fused_answer_is_ranked_among_fused_answers_to_the_same_clips(runs, capsys):
    both, mute = make_clip("clip.mp4", [(n, 255 - n) for n in range(50)]), make_clip("mute.mp4", [9] * 5, sound=None)
    written = ask(both, mute)
    answer = written["clips"]["clip.mp4"]
    rank, fused = answer["rank"], values(answer["fused"])
    means = [(EYE[clip] + EAR[clip]) / 2 for clip in EAR]
    assert values(rank["percent"]).tolist() == lower(means, fused)
    assert (rank["among"], rank["clips"], rank["sources"]) == (
        "the mean answers of the 2 models to 40 validation clips",
        40,
        20,
    )
    assert (values(rank["low"]) <= values(rank["percent"])).all() and (
        values(rank["percent"]) <= values(rank["high"])
    ).all()
    assert [sum(rank["histogram"][trait]) for trait in rank["histogram"]] == [100] * 6
    alone = written["clips"]["mute.mp4"]["rank"]  # answered by the visual model alone
    assert values(alone["percent"]).tolist() == lower(list(EYE.values()), values(written["clips"]["mute.mp4"]["fused"]))
    assert (alone["among"], alone["sources"]) == ("the model's answers to 50 validation clips", 25)
    assert values(answer["percentile"]) == pytest.approx(100 * fused, abs=1e-3)  # among labels, as ever
    assert AMONG_LABELS not in written["cautions"]
    printed = capsys.readouterr().out
    assert "higher than, of the mean answers of the 2 models to 40 validation clips" in printed
    assert share_lower(rank, "openness") in printed and "(" in share_lower(rank, "openness")


def test_a_published_folder_ranks_as_the_runs_do_and_gives_no_name_away(runs):
    for name in ("ear", "eye"):
        start = {"words": "random", "file": "", "published": None}
        Path(f"runs/{name}/settings.json").write_text(
            json.dumps({"start": start, "constants": {}, "recipe": "", "made_by": {}})
        )
    ok(run("publish.py", "ear", "eye", "--TO", "out", "--LICENSE", "mit"))
    text = Path("out/manifest.json").read_text()
    assert "new1" not in text and "validation" in text
    published = find_runs(Path("out"))
    for names in ([0], [1], [0, 1]):
        mine, theirs = (rankings.among_answers([of[number] for number in names]) for of in (runs, published))
        assert (mine.what, mine.clips, mine.sources) == (theirs.what, theirs.clips, theirs.sources)
        np.testing.assert_array_equal(mine.quantiles, theirs.quantiles)
    about = json.loads(text)
    for spoil in (
        lambda entry: entry.update(clips=0),
        lambda entry: entry.update(runs=["nose"]),
        lambda entry: entry.update(of="training"),
        lambda entry: entry.update(sources=41.0),
        lambda entry: entry["quantiles"].update(openness=[0.5] * 7),
    ):
        spoilt = json.loads(text)
        spoil(spoilt["unseen"][-1])
        with pytest.raises(UserError, match="not a manifest of publish.py"):
            manifest.parse(json.dumps(spoilt).encode(), "x")
    about.pop("unseen")  # of an earlier version
    manifest.parse(json.dumps(about).encode(), "x")
    Path("out/manifest.json").write_text(json.dumps(about))
    assert rankings.among_answers(find_runs(Path("out"))) is None


def test_answers_of_other_models_and_changed_tables_do_not_count(runs):
    ear, eye = runs
    keep(eye, dict(list(EYE.items())[:7]), "predictions_out-of-fold.csv", unseen.OUT_OF_FOLD)
    (again,) = find_runs(Path("runs"), "eye")
    assert rankings.among_answers([again]).what == "the model's answers to 7 out-of-fold clips"
    assert rankings.among_answers([ear, again]).clips == 40  # both have those of the validation clips alone
    Path("runs/eye/predictions_out-of-fold.csv").write_text("changed")
    (again,) = find_runs(Path("runs"), "eye")
    assert rankings.among_answers([again]).what == "the model's answers to 50 validation clips"
    image_model(1).save("runs/eye/final.keras")  # trained again
    (again,) = find_runs(Path("runs"), "eye")
    assert rankings.among_answers([again]) is None and rankings.among_answers([ear, again]) is None
    among = rankings.among_labels([again])
    assert (among.what, among.clips, among.sources) == ("the labels of 101 training clips", 101, 1)
    Path("runs/eye/predictions.json").write_text("{")
    with pytest.raises(UserError, match="runs/eye/predictions.json is damaged"):
        rankings.among_answers(find_runs(Path("runs"), "eye"))


def test_without_such_answers_labels_are_named(folder, capsys):
    save_run("eye", image_model(), LABELS)
    written = ask(make_clip("clip.mp4", [30] * 3))
    answer = written["clips"]["clip.mp4"]
    assert answer["rank"]["among"] == "the labels of 101 training clips"
    assert values(answer["rank"]["percent"]) == pytest.approx(values(answer["percentile"]), abs=1)
    assert written["cautions"] == [AMONG_LABELS]
    assert AMONG_LABELS in capsys.readouterr().out


def test_ranked_among_one_s_own_clips(runs):
    clips = [make_clip(f"own{n}.mp4", [(60 * n, 200 - 40 * n)] * 3) for n in range(5)]
    own = ask(*clips)["clips"]
    Path("out.json").rename("own.json")
    other = make_clip("other.mp4", [(70, 160)] * 3)
    written = ask(other, clips[2], "--POOL", "own.json")
    found = written["clips"]["other.mp4"]
    assert found["rank"]["among"] == "the answers to 5 clips of own.json"
    assert values(found["rank"]["percent"]).tolist() == lower(
        [values(clip["fused"]) for clip in own.values()], values(found["fused"])
    )
    itself = written["clips"]["own2.mp4"]["rank"]  # among the four others
    others = [values(clip["fused"]) for name, clip in own.items() if name != "own2.mp4"]
    assert itself["clips"] == 4
    assert values(itself["percent"]).tolist() == lower(others, values(own["own2.mp4"]["fused"]))
    with pytest.raises(UserError, match=r"own\.json: an output needs a file name of its own"):
        ask(other, "--POOL", "own.json", "--CSV", "own.json")
    image_model(3).save("runs/eye/final.keras")
    with pytest.raises(UserError, match=r"own\.json is not answered by eye as of now"):
        ask(other, "--POOL", "own.json")
    Path("own.json").write_text('{"models": {}}')
    with pytest.raises(UserError, match=r"own\.json is not a JSON file of predict.py"):
        ask(other, "--POOL", "own.json")


def test_as_many_digits_as_the_number_of_clips_carries():
    rank = {"percent": {"openness": 62}, "low": {"openness": 60}, "high": {"openness": 65}}
    assert share_lower(rank, "openness") == "62 %"
    rank |= {"low": {"openness": 41}, "high": {"openness": 79}}
    assert share_lower(rank, "openness") == "62 % (41 to 79)"
