"""What the sample's labels set in its clips moves models that were trained on it, by the sign that it has."""

import json
from pathlib import Path

import pytest
from conftest import PROJECT, run

STEPS = [
    ("sample_data.py", "--TRAINING_CLIPS", "60", "--VALIDATION_CLIPS", "2"),
    ("Video_to_Image.py", "--FRAMES_PER_CLIP", "2"),
    ("vid_to_wav.py",),
    ("Write_Into_TFRecords.py",),
    ("feat_extraction_from_wav.py",),
    ("train.py", PROJECT / "recipes/head_dan.py"),
    ("train.py", PROJECT / "recipes/sample_audio.py"),
]


@pytest.mark.slow
def test_light_moves_what_light_was_drawn_by_and_loudness_what_was_spoken_by_it(folder):
    """Neuroticism sets the light, and the breath's level; extraversion the voice's."""
    for name, *arguments in STEPS:
        done = run(name, *arguments)
        assert done.returncode == 0, f"{name}: {done.stderr}"
    done = run("predict.py", "unzippedData/validation80_01", "--FRAMES_PER_CLIP=8", "--PICTURE=False", "--WHAT_IF",
               "--JSON=out.json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    for clip in json.loads(Path("out.json").read_text())["clips"].values():
        edits = {name: edit["models"] for name, edit in clip["what_if"]["edits"].items()}
        light = {name: edits[name]["head_dan"]["neuroticism"] for name in ("brighter", "darker")}
        assert light["brighter"] > 0.02 and light["darker"] < -0.02
        for trait in ("extraversion", "neuroticism"):
            assert edits["louder"]["sample_audio"][trait] > 0.02 > -0.02 > edits["softer"]["sample_audio"][trait]
