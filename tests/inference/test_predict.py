"""Predictions for odd and ordinary clips, from tiny stand-ins for the trained models; the evidence sums."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import FFMPEG, PROJECT, make_clip, numbered, refused, run, vgg_layers, write_mat
from first_impression.training.predict_all import evidence, report
from keras import layers
from PIL import Image
from scipy.io import wavfile

import predict
from first_impression.common import script
from first_impression.common.errors import UserError
from first_impression.data import audio
from first_impression.data.chalearn import TRAITS
from first_impression.data.frames import display_aspect, extract_frames, frame_times
from first_impression.data.sound import extract_sound, loudness
from first_impression.evaluation import predictions
from model import build_model, load_vggface


def save_run(name, model, labels=None, start="random"):
    """A trained run as train.py leaves it; `labels`: {training clip: [5]}, or None for a run without the file."""
    folder = Path("runs") / name
    folder.mkdir(parents=True)
    model.save(folder / "final.keras")
    (folder / "settings.json").write_text(json.dumps({"start": start, "constants": {}}))
    if labels is not None:
        predictions.write_csv(folder / "training_labels.csv", labels)
    return model


def image_model(seed=0):
    images = keras.Input((224, 224, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(images))
    start = keras.initializers.RandomNormal(stddev=2.0, seed=seed)
    return keras.Model(images, layers.Dense(5, activation="sigmoid", kernel_initializer=start)(pooled))


def audio_model():
    sound = keras.Input((audio.FEATURES,))
    start = keras.initializers.RandomNormal(stddev=0.001, seed=5)
    return keras.Model(sound, layers.Dense(5, activation="sigmoid", kernel_initializer=start)(sound))


def tiny_dan():
    """The head of DAN on three channels of the picture itself."""
    images = keras.Input((224, 224, 3))
    places = layers.AveragePooling2D(32, name="pool5")(images)
    parts = [
        layers.UnitNormalization(name="pool5_average_l2")(layers.GlobalAveragePooling2D()(places)),
        layers.UnitNormalization(name="pool5_max_l2")(layers.GlobalMaxPooling2D()(places)),
    ]
    head = layers.Dense(5, activation="sigmoid", name="traits")(layers.Concatenate(name="descriptors")(parts))
    return keras.Model(images, head)


LABELS = {f"clip.{n:03d}": np.full(5, n / 100) for n in range(101)}


@pytest.fixture
def runs(folder):
    """A visual and an audio run, and the labels of 101 training clips: 0.00, 0.01 .. 1.00."""
    return save_run("eye", image_model(), LABELS), save_run("ear", audio_model(), {})


def ask(*arguments, picture=False):
    """Call predict.py with these arguments in this process; returns its JSON."""
    arguments = [*map(str, arguments), f"--PICTURE={picture}", "--JSON=out.json"]
    settings = script.read_settings(vars(predict), arguments, inputs="CLIPS")
    try:
        predict.main(settings)
    finally:
        answered = Path("out.json").exists()
    return json.loads(Path("out.json").read_text()) if answered else None


def by_hand_eye(model, clip, folder, count=100):
    (folder / "hand").mkdir()
    extract_frames(clip, folder / "hand", count, "even", 224)
    files = sorted((folder / "hand").iterdir(), key=lambda path: int(path.stem.removeprefix("frame")))
    frames = [tf.io.decode_jpeg(path.read_bytes(), channels=3).numpy() for path in files]
    return np.mean([np.asarray(model(frame[None]))[0] for frame in frames], axis=0)


def by_hand_ear(model, clip):
    extract_sound(clip, "hand.wav")  # all of it, as for training
    _, samples = wavfile.read("hand.wav")
    return np.asarray(model(audio.log_filterbank(samples)[None]))[0]


def values(scores):
    return [scores[trait] for trait in TRAITS]


def test_answers_are_those_of_the_models_on_frames_and_sound(folder, runs, capsys):
    clip = make_clip("clip.mp4", [(n, 255 - n) for n in range(0, 240, 3)], sound=700)
    answer = ask(clip, "--CSV", "out.csv", "--FRAMES_PER_CLIP", 30, "--BATCH_SIZE", 7)["clips"]["clip"]
    eye, ear = by_hand_eye(runs[0], clip, folder, 30), by_hand_ear(runs[1], clip)
    np.testing.assert_allclose(values(answer["models"]["eye"]), eye, atol=1e-5)
    np.testing.assert_allclose(values(answer["models"]["ear"]), ear, atol=1e-5)
    fused = (eye + ear) / 2
    np.testing.assert_allclose(values(answer["fused"]), fused, atol=1e-5)
    assert values(answer["percentile"]) == pytest.approx([100 * np.ceil(100 * value) / 101 for value in fused])
    assert answer["frames"] == 30 and answer["sound_seconds"] == pytest.approx(3.2, abs=0.06)
    assert answer["warnings"] == []

    table = Path("out.csv").read_text().splitlines()
    assert table[0] == (
        "VideoName,ValueExtraversion,ValueAgreeableness,ValueConscientiousness,ValueNeurotisicm,ValueOpenness"
    )
    found = [float(cell) for cell in table[1].split(",")[1:]]
    np.testing.assert_allclose(found, [fused[TRAITS.index(t)] for t in predictions.COLUMNS.values()], atol=1e-5)
    assert table[1].startswith("clip.mp4,") and len(table) == 2

    printed = capsys.readouterr().out
    lines = {line.split()[0]: line.split()[1:4] for line in printed.splitlines() if line.strip().startswith(TRAITS)}
    for row, trait in enumerate(TRAITS):  # fused, ear, eye
        assert [float(cell) for cell in lines[trait]] == pytest.approx([fused[row], ear[row], eye[row]], abs=6e-5)
    assert printed.count("strangers' first impressions") == 1 and "emotionally stable" in printed


def test_long_sound_is_cut_to_what_the_model_takes(folder, runs):
    part = make_clip("part.mp4", [90] * 20, rate=2, options=["-af", "vibrato,apad=pad_dur=0.2", "-ar", "48000"])
    subprocess.run([FFMPEG, "-v", "error", "-stream_loop", "2", "-i", part, "-c", "copy", "long.mp4"], check=True)
    answer = ask("long.mp4")["clips"]["long"]
    assert answer["sound_seconds"] == pytest.approx(15.296, abs=0.001)
    np.testing.assert_allclose(values(answer["models"]["ear"]), by_hand_ear(runs[1], "long.mp4"), atol=1e-6)
    assert len(wavfile.read("hand.wav")[1]) > 28 * 44_100
    extract_sound("long.mp4", "cut.wav", seconds=2)
    cut, whole = wavfile.read("cut.wav")[1], wavfile.read("hand.wav")[1]
    assert 2 * 44_100 <= len(cut) < 5 * 44_100 and (cut == whole[: len(cut)]).all()


def test_clip_without_sound_and_clip_without_pictures(folder, runs):
    mute = make_clip("mute.mp4", [50] * 10, sound=None)
    subprocess.run([FFMPEG, "-v", "error", "-i", make_clip("both.mp4", [50] * 30), "-vn", "blind.mp3"], check=True)
    answers = ask(mute, "blind.mp3", picture=True)["clips"]
    assert list(answers["mute"]["models"]) == ["eye"] and list(answers["blind"]["models"]) == ["ear"]
    assert answers["mute"]["fused"] == answers["mute"]["models"]["eye"]
    assert answers["mute"]["warnings"] == ["no sound; answered by eye alone"]
    assert answers["blind"]["warnings"] == ["no video stream; answered by ear alone"]
    assert answers["blind"]["frames"] == 0 and answers["mute"]["sound_seconds"] == 0
    for name in ("mute", "blind"):
        assert Image.open(f"predictions/{name}.png").width == 1320


def test_no_model_for_what_the_clip_has(folder):
    save_run("ear", audio_model())
    with pytest.raises(
        UserError, match="1 of 1 clips could not be used: mute.mp4 .no sound, and no other model than ear"
    ):
        ask(make_clip("mute.mp4", [50] * 10, sound=None))


def test_other_containers_one_second_and_portrait(folder, runs):
    make_clip("second.mp4", [70] * 25)
    encoders = subprocess.run([FFMPEG, "-v", "error", "-encoders"], capture_output=True, text=True).stdout
    for name, codecs in {
        "turned.mkv": ["-c:v", "libx264"],
        "old.avi": ["-c:v", "mpeg4", "-bf", "2", "-c:a", "mp3"],
        "web.webm": ["-c:v", "libvpx", "-c:a", "libopus"],
        "odd.mov": ["-c:v", "mjpeg", "-c:a", "pcm_s16le"],
    }.items():
        if all(codec in encoders for codec in codecs[1::2] if codec.startswith("lib")):
            subprocess.run([FFMPEG, "-v", "error", "-i", "second.mp4", *codecs, name], check=True)
    (folder / "clips").mkdir()
    for path in [*folder.glob("*.*")]:
        path.rename(folder / "clips" / path.name)
    (folder / "clips/notes.txt").write_text("no clip")
    (folder / "clips/.partial.x.mp4").write_text("no clip")
    answers = ask("clips")["clips"]
    assert list(answers) == sorted(answers) and len(answers) >= 4
    for answer in answers.values():
        assert answer["frames"] == 25 and answer["sound_seconds"] == pytest.approx(1, abs=0.1)
        np.testing.assert_allclose(
            values(answer["models"]["eye"]), values(answers["second"]["models"]["eye"]), atol=0.02
        )


def test_odd_names_and_an_odd_folder(folder, runs):
    names = ["-dash", "sp ace", "ünïcode 你", "50%d", "a$b$c", "two.dots.000"]
    for name in names:
        make_clip(folder / f"{name}.mp4", [99] * 5)
    answers = ask("./-dash.mp4", *(f"{name}.mp4" for name in names[1:]), ".", picture=True)["clips"]
    assert list(answers) == names  # the folder names them again: each is answered once
    assert sorted(path.stem for path in Path("predictions").iterdir()) == sorted(names)


def test_broken_clips_are_named_and_the_others_answered(folder, runs, capsys):
    good = make_clip("good.mp4", [30] * 10)
    Path("broken.mp4").write_bytes(good.read_bytes()[:2000])
    Path("text.mp4").write_text("not a video")
    with pytest.raises(UserError, match="2 of 3 clips could not be used: broken.mp4 .*text.mp4"):
        ask("broken.mp4", good, "text.mp4", "--CSV", "out.csv")
    written = json.loads(Path("out.json").read_text())
    assert list(written["clips"]) == ["good"] and list(written["unusable"]) == ["broken.mp4", "text.mp4"]
    assert len(Path("out.csv").read_text().splitlines()) == 2
    assert "good.mp4: 10 frames" in capsys.readouterr().out


def test_two_clips_of_one_name(folder, runs):
    make_clip("a/clip.mp4", [30] * 3), make_clip("b/clip.mkv", [30] * 3)
    with pytest.raises(UserError, match="one name, 'clip'"):
        ask("a", "b")


def test_which_models(folder, runs):
    clip = make_clip("clip.mp4", [30] * 3)
    assert list(ask(clip, "--MODELS", "ear")["clips"]["clip"]["models"]) == ["ear"]
    with pytest.raises(UserError, match="no trained nose, only ear, eye"):
        ask(clip, "--MODELS", "ear,nose")
    Path("runs/ear/final.keras").write_bytes(b"PK")
    with pytest.raises(UserError, match="ear/final.keras is damaged or no model of train.py"):
        ask(clip)


def test_weights_that_are_not_vgg_face_are_told(folder, capsys):
    save_run("eye", image_model(), start="vgg-face.mat, NOT the published VGG-Face: made up")
    told = ask(make_clip("clip.mp4", [30] * 3))
    assert "eye did not start from VGG-Face" in told["cautions"][0]
    assert told["cautions"][0] in capsys.readouterr().out
    assert told["clips"]["clip"]["percentile"] is None  # the run says nothing of its training clips


def test_complaints_come_before_tensorflow(folder):
    clip = make_clip("clip.mp4", [30] * 3)
    code = "import sys, predict; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT).returncode == 0
    refused(run("predict.py", clip), "no trained run", "python train.py", "./run_pipeline.sh")
    refused(run("predict.py", "gone.mp4"), "not there", "gone.mp4")
    refused(run("predict.py"), "CLIPS")


def test_from_the_shell(folder, runs):
    make_clip("-dash.mp4", [30] * 5)
    Path("bad.mp4").write_text("no video")
    done = run("predict.py", "bad.mp4", "./-dash.mp4")
    refused(done, "predict.py: 1 of 2 clips could not be used: bad.mp4")
    assert "openness" in done.stdout and "predictions/-dash.png" in done.stdout
    assert Image.open("predictions/-dash.png").width == 1320


def test_evidence_is_drawn_for_dan_and_said_to_lack_for_others(folder):
    save_run("dan", tiny_dan(), LABELS), save_run("eye", image_model())
    clip = make_clip("clip.mp4", [(n, 200 - n) for n in range(100)])
    plain = ask(clip, picture=True)["clips"]["clip"]
    height = Image.open(plain["picture"]).height
    shown = ask(clip, "--EVIDENCE=True", picture=True)["clips"]["clip"]
    assert Image.open(shown["picture"]).height > height + 100
    assert json.loads(Path("out.json").read_text())["cautions"] == ["eye has no evidence maps, since it is no DAN"]
    with pytest.raises(UserError, match="PICTURE"):
        ask(clip, "--EVIDENCE=True")


@pytest.mark.parametrize("name, sizes", [("dan", {"pool5": 2}), ("dan_plus", {"pool5": 2, "conv5_2": 4})])
def test_evidence_sums_to_the_logits(folder, name, sizes):
    model = build_model(name, image_size=64, seed=3)
    load_vggface(model, write_mat(folder / "vgg.mat", vgg_layers(np.random.default_rng(1))))
    model.save("model.keras")
    model = keras.models.load_model("model.keras")  # as predict.py has it
    images = np.random.default_rng(2).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)
    images[2] = 0  # a black picture: many ties
    probabilities = np.asarray(model(images), np.float64)
    logits = np.log(probabilities / (1 - probabilities))
    maps, bias = evidence.evidence_maps(model, images)
    assert {key: values.shape for key, values in maps.items()} == {
        key: (3, size, size, 5) for key, size in sizes.items()
    }
    total = sum(values.sum(axis=(1, 2)) for values in maps.values()) + bias
    np.testing.assert_allclose(total, logits, atol=1e-4)
    together = evidence.combined(maps)
    assert together.shape == (3, max(sizes.values()), max(sizes.values()), 5)
    np.testing.assert_allclose(together.sum(axis=(1, 2)) + bias, logits, atol=1e-4)


def test_evidence_lies_where_it_comes_from():
    """One bright place: the max part lies there alone, the average part in proportion to the brightness."""
    model = tiny_dan()
    kernel = np.zeros((6, 5), np.float32)
    kernel[0, 0] = 1  # extraversion: the average of red
    kernel[3, 1] = 1  # neuroticism: the maximum of red
    model.get_layer("traits").set_weights([kernel, np.zeros(5, np.float32)])
    image = np.zeros((1, 224, 224, 3), np.float32)
    image[0, 64:96, 32:64, 0] = 200  # place (2, 1)
    image[0, 0:32, 192:224, 0] = 50  # place (0, 6)
    shares = evidence.evidence_maps(model, image)[0]["pool5"][0]
    wanted = np.zeros((7, 7))
    wanted[2, 1], wanted[0, 6] = 0.8, 0.2
    np.testing.assert_allclose(shares[:, :, 0], wanted, atol=1e-6)
    np.testing.assert_allclose(shares[:, :, 1], wanted == 0.8, atol=1e-6)
    assert not shares[:, :, 2:].any()


def test_times_of_sampled_frames(folder):
    make_clip("even.mp4", numbered(51), rate=10, options=["-bf", "2"])
    np.testing.assert_allclose(frame_times("even.mp4", 51), np.arange(51) / 10, atol=0.01)
    np.testing.assert_allclose(frame_times("even.mp4", 6), np.arange(6), atol=0.01)
    uneven = ["-vf", "setpts='if(lt(N,25),N*0.04,1+(N-25)*0.2)/TB'", "-fps_mode", "passthrough", "vfr.mkv"]
    whole = make_clip("whole.mp4", numbered(50))
    subprocess.run([FFMPEG, "-v", "error", "-i", whole, "-an", "-c:v", "libx264", *uneven], check=True)
    wanted = np.concatenate([np.arange(25) * 0.04, 1 + np.arange(25) * 0.2])
    np.testing.assert_allclose(frame_times("vfr.mkv", 50), wanted, atol=0.01)
    subprocess.run([FFMPEG, "-v", "error", "-i", whole, "-an", "-c:v", "mpeg4", "-bf", "2", "a.avi"], check=True)
    np.testing.assert_allclose(frame_times("a.avi", 50), np.arange(50) / 25, atol=0.09)


def test_aspect_is_that_of_the_upright_picture(folder):
    wide = make_clip("wide.mp4", [128] * 3, size=(64, 32))
    subprocess.run([FFMPEG, "-v", "error", "-display_rotation", "90", "-i", wide, "-c", "copy", "tall.mp4"], check=True)
    make_clip("narrow.mp4", [128] * 3, size=(64, 32), options=["-vf", "setsar=1/2"])
    found = [display_aspect(name) for name in ("wide.mp4", "tall.mp4", "narrow.mp4")]
    assert found == pytest.approx([2, 0.5, 1], abs=0.05)


def test_loudness(folder):
    rate = 44_100
    loud = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    samples = np.concatenate([loud, 0 * loud, loud / 10])
    wavfile.write("a.wav", rate, np.rint(np.stack([samples, samples], axis=1) * 32767).astype(np.int16))
    levels = loudness("a.wav")
    assert len(levels) == 60
    rms = 20 * np.log10(0.5 / np.sqrt(2))
    np.testing.assert_allclose(levels[2:18], rms, atol=0.1)
    np.testing.assert_allclose(levels[42:58], rms - 20, atol=0.1)
    assert (levels[22:38] == -100).all()
    assert loudness(make_clip("mute.mp4", [3] * 3, sound=None)).size == 0


def test_strip_has_the_middle_frame():
    for count in (1, 2, 3, 6, 25, 99, 100, 101):
        shown = report.strip_indices(count)
        assert len(set(shown)) == len(shown) == min(count, report.STRIP) or count < report.STRIP
        assert shown[0] == 0 and shown[-1] == count - 1 and abs(shown[len(shown) // 2] - (count - 1) / 2) <= 0.5
