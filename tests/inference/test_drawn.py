"""Answers of runs that were trained on the drawn sample, or that are worth little: what is said of them first."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import make_clip
from PIL import Image
from stand_ins import LABELS, ask, image_model, save_run

from first_impression.inference import report
from first_impression.training.runs import Run

DRAWN = {f"smplABCDEFG.{number:03d}": label for number, label in enumerate(LABELS.values())}
WORDS = "sample_dan: trained on drawn clips with made-up labels: its numbers say nothing about anybody"


@pytest.fixture
def written(folder):
    save_run("sample_dan", image_model(), DRAWN)
    return ask(make_clip("clip.mp4", [(30, 90)] * 5), picture=True)


def test_the_sample_is_named_first_in_table_and_json(folder, capsys):
    save_run("sample_dan", image_model(), DRAWN)
    written = ask(make_clip("clip.mp4", [(30, 90)] * 5))
    flags, _, printed = capsys.readouterr().out.partition("\n")
    assert flags.startswith("predict.py: flags:") and printed.startswith(f"WARNING: {WORDS}\n")
    table = printed[printed.index("clip.mp4: ") :].splitlines()
    assert table[1] == f"  WARNING: {WORDS}" and "extraversion" in "".join(table[2:])
    assert next(iter(written)) == "drawn_sample" and written["drawn_sample"] == WORDS
    assert written["models"]["sample_dan"]["dataset"] == "drawn sample"


def test_the_picture_begins_with_it(written):
    answer = written["clips"]["clip.mp4"]
    loud = np.asarray(Image.open(answer["picture"]).convert("RGB")).astype(int)
    report.draw("plain.png", "clip.mp4", answer, {**written, "drawn_sample": ""})
    plain = np.asarray(Image.open("plain.png").convert("RGB")).astype(int)
    assert len(loud) > len(plain) + 40
    red = (np.abs(loud - (0xB0, 0, 0x20)).max(axis=2) < 10).mean(axis=1)  # by row
    assert (red[:40] > 0.3).all() and (red[:5] == 1).all() and not (red[80:] > 0.3).any()
    assert not ((np.abs(plain - (0xB0, 0, 0x20)).max(axis=2) < 10).mean(axis=1) > 0.3).any()


def test_real_runs_say_nothing_of_it(folder, capsys):
    save_run("dan", image_model(), LABELS)
    written = ask(make_clip("clip.mp4", [30] * 3))
    assert written["drawn_sample"] == "" and written["models"]["dan"]["dataset"] == ""
    assert "drawn" not in capsys.readouterr().out


def test_what_scores_have_against_a_model_is_told(folder, capsys, monkeypatch):
    save_run("dan", image_model(), LABELS)
    monkeypatch.setattr(Run, "verdicts", ["answers nearly the same to every clip", "beat no baseline"])
    written = ask(make_clip("clip.mp4", [30] * 3))
    words = "dan answers nearly the same to every clip; it beat no baseline"
    assert written["cautions"][0] == words and written["models"]["dan"]["caution"] == words
    assert words in capsys.readouterr().out
    assert json.loads(Path("out.json").read_text()) == written
