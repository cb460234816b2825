"""What if, on the page: a table that fills, a stop, and words for what is larger than a take moves by itself."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
from conftest import make_clip
from pages import LABELS, audio_model, save_run, tiny_dan

from first_impression.evaluation.display import COLOURS
from first_impression.inference import document, models
from first_impression.inference.edits import EDITS
from first_impression.page import events, layout, takes, visitors
from first_impression.page.views import what_if
from first_impression.training.runs import find_runs

LIMITS = layout.Limits(8, 8, 60.0, 10**6, 15, 6)
VISITOR = SimpleNamespace(session_hash="a visitor")


@pytest.fixture
def asked(folder):
    """The page's events, and the one take that their visitor has."""
    save_run("dan", tiny_dan(seed=3), LABELS), save_run("audio", audio_model(), LABELS)
    ensemble = models.load(find_runs(Path("runs")))
    about, present = document.about_models(ensemble), visitors.Visitors(folder / "visitors", 1)
    with gr.Blocks():
        parts = layout.Parts(about, "", "here", LIMITS, None)
        handled = events.Events(parts, "", ensemble, about, present, LIMITS, None)
    with present.served(VISITOR.session_hash) as visitor:
        clip = make_clip(visitor.folder / "take-1.mp4", [(n, 200 - n) for n in range(100)])
        take = visitor.takes[1] = takes.answer_take(1, "<b>me.mp4", clip, ensemble, 8, 60.0)
    return handled, take


def shown(changes):
    """What a change of the page shows: (the table as HTML, whether there is a button to ask, one to stop)."""
    parts = {part.elem_id: content for part, content in changes.items()}
    return parts["what-if"], parts["ask-what-if"].visible, parts["stop"].visible


def rows(table):
    """{row's heading: the text of its cells}."""
    found = re.findall(r'<tr[^>]*><th scope="row">(.*?)</th>(.*?)</tr>', table)
    return {heading: re.sub("<[^>]+>", " ", cells).split() for heading, cells in found}


def numbers(table, heading):
    return [float(cell) for cell in rows(table)[heading] if cell != "larger"]


def test_the_table_fills_while_the_models_answer_and_a_stop_keeps_what_is_there(asked):
    handled, take = asked
    takes.write_downloads(take, handled.about)
    assert shown(handled.show(1, 0, SimpleNamespace(takes={1: take}))) == (what_if.OFFER, True, False)
    assert shown(handled.on_ask(1, VISITOR)) == (what_if.WAITING, False, True)
    answering = handled.on_what_if(1, VISITOR)
    first, second = shown(next(answering)), shown(next(answering))
    assert "1 of 6 answers" in first[0] and "2 of 6 answers" in second[0] and second[1:] == (False, True)
    assert len(numbers(second[0], "brighter by 1 stop")) == len(COLOURS)
    answering.close()  # as Gradio does
    stopped, *buttons = shown(handled.on_stop(1, VISITOR))
    assert "Stopped." in stopped and "progress" not in stopped and buttons == [True, False]
    assert rows(stopped)["brighter by 1 stop"] == rows(second[0])["brighter by 1 stop"]
    assert "not asked" in " ".join(rows(stopped)["mirrored"])
    told = json.loads(take.beside(".json").read_text())["clips"]["<b>me.mp4"]["what_if"]["edits"]
    assert told["brighter"]["fused"] and told["mirrored"]["fused"] is None
    assert "<b>me" not in stopped

    handled.on_ask(1, VISITOR)
    *_, last = handled.on_what_if(1, VISITOR)
    table, *buttons = shown(last)
    assert "role" not in table and buttons == [True, False] and len(rows(table)) == 1 + len(EDITS)
    assert rows(table)["head and shoulders"] == "no face was found".split()
    written = json.loads(take.beside(".json").read_text())["clips"]["<b>me.mp4"]["what_if"]
    assert written == take.answer_json["what_if"]
    for edit in written["edits"].values():
        if edit["fused"]:
            effects = [edit["fused"][trait] for trait in COLOURS]
            assert numbers(table, edit["words"]) == pytest.approx(effects, abs=0.0051)


def test_asking_about_a_take_that_is_gone_shows_nothing(asked):
    handled, _ = asked
    assert shown(handled.on_ask(7, VISITOR)) == ("", False, False)
    assert list(handled.on_what_if(7, VISITOR)) == []


@pytest.mark.parametrize(
    ("effect", "moves", "word"),
    [
        (0.04, 0.03, "larger"),
        (-0.04, 0.03, "larger"),
        (0.02, 0.03, ""),
        (0.009, 0.001, ""),
        (0.5, None, ""),
    ],
)
def test_an_effect_is_larger_than_the_take_moves_and_than_two_recordings_differ(effect, moves, word):
    scores = {"openness": 0.5, "warmth": 0.5}
    edit = {"words": "darker", "missing": "", "fused": dict.fromkeys(scores, effect), "models": {}}
    left_out = {"words": "louder", "missing": "no sound <i>", "fused": None, "models": {}}
    answer = {
        "fused": scores,
        "what_if": {
            "frames": 1,
            "windows": 0,
            "moves": dict.fromkeys(scores, moves) if moves else None,
            "edits": {"darker": edit, "louder": left_out},
        },
    }
    table = what_if.section(SimpleNamespace(number=1, name="a.mp4", answer_json=answer))
    assert rows(table)["darker"] == [f"{effect:+.2f}", *[word] * bool(word)] * 2
    assert not moves or rows(table)["by itself"] == [f"{max(moves, 0.01):.2f}"] * 2
    assert rows(table)["louder"][:2] == ["no", "sound"] and "&lt;i&gt;" in table
    assert "Warmth" in table and "nterview" not in table and "over 1 frame." in table
