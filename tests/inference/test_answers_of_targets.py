"""predict.py with models of other targets than the five: their own scale, interview, and what several share."""

import base64
import csv
from pathlib import Path

import numpy as np
import pytest
from conftest import make_clip
from stand_ins import ask, image_model, save_run, tiny_dan

from first_impression.common.errors import UserError
from first_impression.data import label_table
from first_impression.data.chalearn import TRAITS
from first_impression.data.targets import NOT_FOR_HIRING, Targets
from first_impression.inference import document, models
from first_impression.inference.answer import read_images
from first_impression.page import takes
from first_impression.page.views import answer, beside, course
from first_impression.training.runs import find_runs

SIX = Targets((*TRAITS, "interview"))
OWN = Targets(("warmth", "competence", "trust", "energy"), 1.0, 7.0)
CLIP = [(n, 200 - n) for n in range(100)]


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_interview_is_answered_with_the_sentence_about_hiring_before_it(folder, capsys):
    save_run("six", image_model(1, SIX), targets=SIX)
    written = ask(make_clip("clip.mp4", CLIP), "--CSV", "out.csv", picture=True)
    order = ["extraversion", "agreeableness", "conscientiousness", "neuroticism", "openness", "interview"]
    assert written["targets"] == written["models"]["six"]["targets"] == order
    assert written["not_for_hiring"] == NOT_FOR_HIRING and "must not be used for hiring" in NOT_FOR_HIRING
    printed = capsys.readouterr().out
    assert printed.count("must not be used for hiring") == 1
    assert printed.index("must not be used for hiring") < printed.index("extraversion")
    assert "emotional stability" in printed
    fused = written["clips"]["clip.mp4"]["fused"]
    assert list(fused) == [*order, "emotional_stability"] and fused["emotional_stability"] == fused["neuroticism"]
    (row,) = rows_of("out.csv")
    assert list(row)[:8] == [
        "VideoName",
        "ValueExtraversion",
        "ValueAgreeableness",
        "ValueConscientiousness",
        "ValueNeurotisicm",
        "ValueOpenness",
        "ValueInterview",
        "Models",
    ]
    assert float(row["ValueInterview"]) == pytest.approx(fused["interview"], abs=1e-7)
    assert row["emotional_stability"] == row["ValueNeurotisicm"]
    assert Path(written["clips"]["clip.mp4"]["picture"]).stat().st_size > 10_000


def test_answers_stand_on_the_labels_own_scale_too(folder, capsys):
    model = save_run("own", image_model(2, OWN), {f"t{n}.000": np.full(4, n / 100) for n in range(101)}, targets=OWN)
    clip = make_clip("clip.mp4", CLIP)
    written = ask(clip, "--CSV", "out.csv", "--TIMES_CSV", "times.csv", "--WINDOW", 2, picture=True)
    assert (written["targets"], written["scale"], written["not_for_hiring"]) == (list(OWN.names), [1, 7], "")
    answer = written["clips"]["clip.mp4"]
    for of, on_scale in ((answer["fused"], "fused"), (answer["models"]["own"], "models")):
        own = answer["on_scale"][on_scale]
        own = own["own"] if on_scale == "models" else own
        assert own == pytest.approx({name: 1 + 6 * value for name, value in of.items()})
    frames = read_images([base64.b64decode(frame["jpeg"]) for frame in answer["strip"]])
    times = [answer["by_frame"]["times"].index(frame["time"]) for frame in answer["strip"]]
    found = np.array([answer["by_frame"]["models"]["own"][name] for name in OWN.names]).T[times]
    np.testing.assert_allclose(found, model(frames).numpy(), atol=1e-5)
    printed, trust = capsys.readouterr().out, answer["fused"]["trust"]
    assert f"{trust:.4f} = {1 + 6 * trust:.2f}" in printed and "from 1 to 7" in printed
    assert "Emotional stability" not in printed and "hiring" not in printed
    (row,) = rows_of("out.csv")
    assert [float(row[name]) for name in OWN.names] == pytest.approx([answer["fused"][n] for n in OWN.names], abs=1e-7)
    assert float(row["trust 1..7"]) == pytest.approx(1 + 6 * trust, abs=1e-6) and "emotional_stability" not in row
    for row in rows_of("times.csv"):
        assert float(row["value 1..7"]) == pytest.approx(1 + 6 * float(row["value"]), abs=1e-5)
        assert row["trait"] in OWN.names
    assert answer["percentile"]["trust"] == pytest.approx(100 * trust, abs=0.01)  # of labels 0, 0.01 .. 1


def test_a_single_target_has_a_picture_too(folder):
    one = Targets(("warmth",), 1.0, 7.0)
    save_run("own", tiny_dan(1, one), {f"t{n}.000": np.full(1, n / 50) for n in range(51)}, targets=one)
    written = ask(make_clip("clip.mp4", CLIP), "--EVIDENCE", "--WINDOW", 2, picture=True)["clips"]["clip.mp4"]
    assert list(written["fused"]) == ["warmth"] and Path(written["picture"]).stat().st_size > 10_000


def test_an_answer_stands_in_the_table_where_what_is_measured_has_its_name(folder):
    named = Targets(("brightness", "pauses"), 0.0, 1_000_000.0)
    save_run("own", image_model(3, named), targets=named)
    fused = ask(make_clip("clip.mp4", CLIP), "--CSV", "out.csv")["clips"]["clip.mp4"]["fused"]
    (row,) = rows_of("out.csv")
    for name in named.names:
        assert float(row[name]) == pytest.approx(fused[name], abs=1e-7)
        assert float(row[f"{name} 0..1000000"]) == pytest.approx(1_000_000 * fused[name], abs=0.1)
    assert "sharpness" in row and label_table.targets_in("out.csv", named.names) == named


def test_models_are_asked_together_for_what_all_of_them_answer(folder, capsys):
    pair = Targets(("interview", "openness", "warmth"))
    save_run("six", tiny_dan(1, SIX), targets=SIX)
    save_run("three", tiny_dan(2, pair), targets=pair)
    alone = {}
    clip = make_clip("clip.mp4", CLIP)
    for name in ("six", "three"):
        alone[name] = ask(clip, "--MODELS", name, "--EVIDENCE")["clips"]["clip.mp4"]
    capsys.readouterr()
    written = ask(clip, "--EVIDENCE", picture=True)
    answer, printed = written["clips"]["clip.mp4"], capsys.readouterr().out
    assert written["targets"] == ["openness", "interview"]
    assert printed.count("together: openness, interview, which all of six, three have; without extraversion") == 1
    assert "warmth (of three)" in printed
    for name in ("openness", "interview"):
        both = [alone[model]["fused"][name] for model in ("six", "three")]
        assert answer["fused"][name] == pytest.approx(np.mean(both), abs=1e-6)
        for model in ("six", "three"):
            mine, other = (found["evidence"][model] for found in (answer, alone[model]))
            assert mine["logit"][name] == pytest.approx(other["logit"][name], abs=1e-5)
            np.testing.assert_allclose(mine["maps"][name], other["maps"][name], atol=1e-5)
    assert set(answer["evidence"]["three"]["logit"]) == {"openness", "interview"}


def test_nothing_is_said_of_how_a_runs_own_tables_are_read(folder, capsys):
    two = Targets(("neuroticism", "warmth"), 1.0, 7.0)
    save_run("own", image_model(1, two), {f"t{n}.000": np.full(2, n / 100) for n in range(101)}, targets=two)
    written = ask(make_clip("clip.mp4", CLIP))
    printed = capsys.readouterr().out
    assert written["training_clips"] == 101 and "training_labels.csv" not in printed
    assert 'Emotional stability is what the dataset calls "neuroticism"' in printed


def test_models_without_a_common_target_are_refused_in_one_line(folder):
    for name in ("warmth", "openness"):
        save_run(name, image_model(1, Targets((name,))), targets=Targets((name,)))
    with pytest.raises(UserError, match="share no target .openness answers openness; warmth answers warmth.*one by"):
        ask(make_clip("clip.mp4", [40] * 10))


def test_the_page_shows_all_but_interview(folder):
    save_run("six", tiny_dan(1, SIX), targets=SIX)
    runs = find_runs(Path("runs"))
    targets = models.shared_targets(runs, hidden=("interview",))
    assert targets.names == TRAITS
    ensemble = models.load(runs, targets)
    take = takes.answer_take(1, "clip.mp4", make_clip("clip.mp4", CLIP), ensemble, 10, 60)
    about = document.about_models(ensemble)
    shown = answer.section(take, about) + course.section(take)
    assert "Emotional stability" in shown and "nterview" not in shown
    assert "interview" not in take.answer_json["fused"] and about["not_for_hiring"] == ""
    alone = Targets(("interview",))
    save_run("alone", tiny_dan(1, alone), targets=alone, runs="others")
    with pytest.raises(UserError, match="alone answer interview alone, which is not shown here"):
        models.shared_targets(find_runs(Path("others")), hidden=("interview",))


def test_the_page_shows_targets_of_ones_own_on_their_scale(folder):
    save_run("own", tiny_dan(1, OWN), targets=OWN)
    ensemble = models.load(find_runs(Path("runs")))
    take = takes.answer_take(1, "clip.mp4", make_clip("clip.mp4", CLIP), ensemble, 10, 60)
    about = document.about_models(ensemble)
    shown = answer.section(take, about) + course.section(take) + beside.section(take, take, about)
    assert all(name.capitalize() in shown for name in OWN.names)
    warmth = take.answer_json["fused"]["warmth"]
    assert f"{1 + 6 * warmth:.2f} on a scale from 1 to 7" in shown and "the five traits" not in shown
