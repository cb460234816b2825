"""publish.py --FORMAT onnx: files that say what they take and answer, and the card's lines that ask them."""

import contextlib
import io
import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import PROJECT, make_clip, ok, run
from test_publishing import audio_model, save_run

from first_impression.data.chalearn import TRAITS
from first_impression.data.targets import NOT_FOR_HIRING, Targets
from first_impression.inference.answer import read_images
from first_impression.inference.clip import open_clip
from first_impression.training import manifest

onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.slow

OWN = Targets(("warmth", "competence", "honesty_humility", "trust"), 1.0, 7.0)


def metadata(path):
    """What an ONNX file says of itself, as a user of ONNX Runtime reads it."""
    about = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    return {name: json.loads(text) for name, text in about.items()}


def code_on_the_card(title, inputs=None):
    """The lines of mine's card under what begins with a `title`, asking about the `inputs` in the place of zeros."""
    _, found, below = Path("mine/README.md").read_text().partition(f"\n{title}")
    assert found
    lines = [line for line in below.splitlines() if line.startswith("    ") or not line][1:]
    code = "\n".join(line[4:] for line in lines).partition("\n\n")[0]
    if inputs is None:
        return code
    np.save("mine/inputs.npy", inputs)
    code, count = re.subn(r"np\.zeros\(.*?\"\)", 'np.load("inputs.npy")', code)
    assert count == 1
    return code


def answers_printed(code):
    """(what the `code` prints, run in the folder mine; the answers in it, [n, targets])."""
    with contextlib.chdir("mine"), contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, {})
    numbers = re.findall(r"-?\d+\.\d*", printed.getvalue())
    return printed.getvalue(), np.array(numbers, float).reshape(-1, len(OWN.names))


def asked_by_the_card(inputs):
    """The answers to `inputs` by the card's two pieces of code, both of which run as they are printed, too."""
    found = []
    for title, dtype in (("With Keras alone", inputs.dtype), ("With ONNX Runtime", np.float32)):
        printed, of_zeros = answers_printed(code_on_the_card(title))
        assert of_zeros.shape == (1, len(OWN.names)) and (of_zeros >= 1).all() and (of_zeros <= 7).all()
        assert title == "With Keras alone" or printed.startswith(str(list(OWN.names)))
        found.append(answers_printed(code_on_the_card(title, inputs.astype(dtype)))[1])
    return found


def answer_of_predict(clip):
    """What predict.py answers to the `clip` with mine, on the labels' own scale."""
    ok(run("predict.py", clip, "--RUNS", "mine", "--JSON", "out.json", "--PICTURE", "False"))
    on_scale = json.loads(Path("out.json").read_text())["clips"][Path(clip).name]["on_scale"]
    assert (on_scale["low"], on_scale["high"]) == (1, 7)
    return np.array([on_scale["fused"][name] for name in OWN.names])


def test_four_targets_on_their_own_scale_from_the_table_to_the_onnx_file(folder):
    rows = ["clip,split,trust,warmth,Competence,Honesty-Humility"]
    for number in range(8):
        make_clip(f"data/{number}.mp4", [30, 60], sound=300, options=("-af", f"volume={0.02 * 2**number}"))
        split = "val" if number % 4 == 3 else "train"
        rows.append(f"{number},{split},{1 + number / 2},{7 - number / 2},{2 + number % 3},{6 - number % 2}")
    Path("Annotations").mkdir()
    Path("Annotations/annotations.csv").write_text("\n".join(rows))
    ok(run("vid_to_wav.py"))
    ok(run("feat_extraction_from_wav.py", "--TARGETS", ",".join(OWN.names), "--SCALE", "1..7"))
    ok(run("train.py", PROJECT / "recipes/head_audio.py"))
    ok(run("publish.py", "head_audio", "--TO", "mine", "--LICENSE", "mit", "--FORMAT", "onnx"))

    about, said = manifest.read("mine"), metadata("mine/head_audio/final.onnx")
    of_run = about["runs"]["head_audio"]
    assert said["targets"] == of_run["targets"] == about["traits"] == list(OWN.names)
    assert said["scale"] == of_run["scale"] == [1, 7] and said["note"] == about["note"] == ""
    card = Path("mine/README.md").read_text()
    assert f"With Keras alone, on {said['input']}:" in card and "log filterbank energies" in said["input"]
    assert "answers warmth, competence, honesty_humility, trust, from 1 to 7" in card

    wanted = {clip: answer_of_predict(f"data/{clip}.mp4") for clip in ("0", "7")}
    assert np.abs(wanted["0"] - wanted["7"]).max() > 0.1  # not one answer to whatever it hears
    heard = [open_clip(Path(f"data/{clip}.mp4"), 1).windows[0].features for clip in wanted]
    for answers in asked_by_the_card(np.stack(heard)):
        np.testing.assert_allclose(answers, list(wanted.values()), atol=1e-4)


def test_the_frames_of_a_clip_asked_by_the_card(folder):
    images = keras.Input((224, 224, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(images))
    start = keras.initializers.RandomNormal(stddev=2.0, seed=1)
    answers = keras.layers.Dense(4, "sigmoid", kernel_initializer=start)(pooled)
    save_run("eye", keras.Model(images, answers, name=OWN.model_name("dan")), targets=OWN)
    make_clip("clip.mp4", [(20, 40), (90, 180), (200, 240)], sound=None)
    ok(run("publish.py", "eye", "--TO", "mine", "--LICENSE", "mit", "--FORMAT", "onnx"))
    assert metadata("mine/eye/final.onnx")["input"] == "frames as RGB, 0 to 255, 224 x 224"
    wanted = answer_of_predict("clip.mp4")
    frames = read_images(open_clip(Path("clip.mp4"), 100).windows[0].frames)
    assert len(frames) == 3
    for answers in asked_by_the_card(frames):
        assert np.ptp(answers, axis=0).max() > 0.1
        np.testing.assert_allclose(answers.mean(axis=0), wanted, atol=1e-4)


def test_the_five_are_named_in_the_file_too(folder):
    save_run("ear", audio_model(1))
    ok(run("publish.py", "ear", "--TO", "mine", "--LICENSE", "mit", "--FORMAT", "onnx"))
    said = metadata("mine/ear/final.onnx")
    assert said["targets"] == list(TRAITS) and said["scale"] == [0, 1] and "emotionally stable" in said["note"]
    save_run("hired", audio_model(2, Targets(("interview",))), targets=Targets(("interview",)))
    ok(run("publish.py", "hired", "--TO", "other", "--LICENSE", "mit", "--FORMAT", "onnx"))
    assert metadata("other/hired/final.onnx")["note"] == NOT_FOR_HIRING
