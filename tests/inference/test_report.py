"""The picture of an answer."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import make_clip
from PIL import Image
from stand_ins import LABELS, ask, audio_model, image_model, save_run, tiny_dan

from first_impression.inference import report


@pytest.mark.slow
def test_the_picture_can_be_drawn_again_from_the_json_alone(folder):
    """Of a clip with everything: sound, several windows, several models, evidence, training clips."""
    save_run("eye", image_model(), LABELS), save_run("ear", audio_model()), save_run("dan", tiny_dan(1))
    clip = make_clip("clip.mp4", [(n, 200 - n) for n in range(100)])
    make_clip("mute.mp4", [50] * 10, sound=None)
    ask(clip, "mute.mp4", "--EVIDENCE", "--WINDOW", 1.5, picture=True)
    written = json.loads(Path("out.json").read_text())
    clip.unlink()
    for name, answer in written["clips"].items():
        report.draw("again.png", name, answer, written)
        drawn = np.asarray(Image.open(answer["picture"]))
        np.testing.assert_array_equal(np.asarray(Image.open("again.png")), drawn)
        assert drawn.shape[1] == 1320 and drawn.std() > 10
