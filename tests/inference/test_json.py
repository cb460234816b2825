"""The JSON of answers: described field by field, and true."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import PROJECT, make_clip
from stand_ins import LABELS, ask, audio_model, image_model, save_run, tiny_dan, values

from first_impression.data.chalearn import TRAITS
from first_impression.data.targets import Targets
from first_impression.inference import tables

OWN = Targets(("warmth", "trust"), 1.0, 7.0)
NAMED = {"models": "MODEL", "evidence": "MODEL", "clips": "CLIP", "files": "FILE", "edits": "EDIT"}  # keys are names


def fields(value, path=""):
    """The paths of all fields, as docs/answers.md writes them."""
    if isinstance(value, list):
        for each in value:
            yield from fields(each, f"{path}[]")
    elif isinstance(value, dict) and not _by_target(value) and path != "unusable":
        for key, below in value.items():
            name = NAMED.get(path.split(".")[-1])
            field = f"{path}.{name or key}".lstrip(".")
            yield field
            yield from fields(below, field)


def _by_target(value):
    return any(set(names) <= set(value) for names in (TRAITS, OWN.names))


@pytest.fixture
def written(folder, monkeypatch):
    save_run("eye", image_model(), LABELS), save_run("ear", audio_model()), save_run("dan", tiny_dan(1))
    from first_impression.inference import unlike

    box = np.array([[0.3, 0.1, 0.25, 0.5]])
    monkeypatch.setattr(unlike, "find_faces", lambda picture, aspect: box if picture.mean() > 60 else box[:0])
    clip = make_clip("clip.mp4", [(n, 200 - n) for n in range(100)])
    mute = make_clip("mute.mp4", [50] * 10, sound=None)
    Path("no clip.mp4").write_text("no clip")
    with pytest.raises(Exception, match="no clip.mp4"):
        ask(clip, mute, "no clip.mp4", "--EVIDENCE", "--WHAT_IF", "--WINDOW", 1.5)
    return json.loads(Path("out.json").read_text())


def test_every_field_is_described_and_every_description_has_its_field(written):
    rows = [line for line in (PROJECT / "docs/answers.md").read_text().splitlines() if line.startswith("| `")]
    described = [field for row in rows for field in re.findall("`([^`]+)`", row.split(" | ")[0])]
    assert len(described) == len(set(described)) > 50
    save_run("own", image_model(targets=OWN), targets=OWN, runs="others")  # on a scale of their own
    own = ask("clip.mp4", "--RUNS", "others")
    assert set(fields(written)) | set(fields(own)) == set(described)


def test_what_the_fields_hold(written):
    clip, mute = written["clips"]["clip.mp4"], written["clips"]["mute.mp4"]
    assert written["schema"] == 2 and re.fullmatch("[0-9.]+", written["program"]["tensorflow"])
    weights = hashlib.md5(Path("runs/eye/final.keras").read_bytes()).hexdigest()
    assert written["models"]["eye"]["files"] == {"final.keras": weights}
    assert written["training_clips"] == 101 and sum(written["training_histogram"]["openness"]) == pytest.approx(100)
    assert (clip["video"]["width"], clip["video"]["height"], clip["video"]["rotation"]) == (64, 48, 0)
    assert clip["video"]["frame_rate"] == pytest.approx(25, abs=0.1) and clip["video"]["frames"] == 100
    heard = {"sample_rate": 44100, "channels": "mono", "seconds": pytest.approx(4, abs=0.06)}
    assert clip["sound"] == heard and mute["sound"] is None
    assert clip["video"]["seconds"] == pytest.approx(4) and clip["video"]["hdr"] == ""
    assert clip["duration"] == clip["end"] == pytest.approx(4, abs=0.1) and len(clip["windows"]) == 3
    assert len(clip["loudness"]["decibels"]) * clip["loudness"]["step"] == pytest.approx(4, abs=0.1)
    assert mute["loudness"]["decibels"] == [] and mute["spread"] is None
    for name, answers in clip["by_frame"]["models"].items():
        assert {len(answers[trait]) for trait in TRAITS} == {len(clip["by_frame"]["times"])} == {clip["frames"]}
        mean = [np.mean(mute["by_frame"]["models"][name][trait]) for trait in TRAITS]
        np.testing.assert_allclose(values(mute["models"][name]), mean, atol=1e-7)
    np.testing.assert_allclose(
        values(clip["spread"]), np.std([values(window["fused"]) for window in clip["windows"]], axis=0)
    )


def test_the_evidence_adds_up_inside_and_outside_the_face(written):
    clip = written["clips"]["clip.mp4"]
    evidence = clip["evidence"]["dan"]
    at = clip["by_frame"]["times"].index(evidence["time"])
    assert evidence["grid"] == [7, 7] and 0.1 < evidence["face"]["area"] < 0.15
    for trait in TRAITS:
        inside, outside = (evidence["face"][where][trait] for where in ("inside", "outside"))
        assert inside + outside + evidence["bias"][trait] == pytest.approx(evidence["logit"][trait], abs=1e-6)
        assert np.sum(evidence["maps"][trait]) == pytest.approx(evidence["places"][trait], abs=1e-6)
        assert evidence["score"][trait] == pytest.approx(clip["by_frame"]["models"]["dan"][trait][at], abs=1e-6)
        assert inside != 0 and outside != 0
    assert written["clips"]["mute.mp4"]["evidence"]["dan"]["face"] is None
    sentence, unit, *rows = tables.face_lines(clip)
    assert "dan's answers" in sentence and "logit" in unit and len(rows) == 5
    for row in rows:
        *parts, logit, score = map(float, re.findall(r"[+-]?\d+\.\d+", row))
        assert sum(parts) == pytest.approx(logit, abs=0.016) and len(parts) == 3
        assert np.log(score / (1 - score)) == pytest.approx(logit, abs=0.006)
    del evidence["maps"]  # as without EVIDENCE
    assert tables.face_lines(clip) == tables.face_lines(written["clips"]["mute.mp4"]) == []
    assert clip["faces"] == [0, clip["frames"]] and written["clips"]["mute.mp4"]["faces"] == [10]
