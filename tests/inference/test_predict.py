"""predict.py for odd and ordinary clips, asked of tiny stand-ins for the trained models."""

import json
import subprocess
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from conftest import FFMPEG, make_clip, refused, run, run_alone
from PIL import Image
from scipy.io import wavfile
from stand_ins import LABELS, ask, audio_model, image_model, save_run, tiny_dan, values

import predict
from first_impression.common.errors import UserError
from first_impression.data import audio
from first_impression.data.chalearn import TRAITS
from first_impression.data.frames import extract_frames
from first_impression.data.sound import extract_sound
from first_impression.evaluation import predictions
from first_impression.evaluation.display import COLOURS
from first_impression.inference import answer as answering
from first_impression.inference import models, tables, variation, what_if
from first_impression.inference.clip import open_clip
from first_impression.inference.document import AMONG_LABELS
from first_impression.training.runs import find_runs

SHOWN = tuple(COLOURS)  # the five, in the order of display


@pytest.fixture
def runs(folder):
    """A visual and an audio run, and the labels of 101 training clips: 0.00, 0.01 .. 1.00."""
    return save_run("eye", image_model(), LABELS), save_run("ear", audio_model(), {})


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


def test_answers_are_those_of_the_models_on_frames_and_sound(folder, runs, capsys):
    clip = make_clip("clip.mp4", [(n, 255 - n) for n in range(0, 240, 3)], sound=700)
    answer = ask(clip, "--CSV", "out.csv", "--FRAMES_PER_CLIP", 30, "--BATCH_SIZE", 7)["clips"]["clip.mp4"]
    eye, ear = by_hand_eye(runs[0], clip, folder, 30), by_hand_ear(runs[1], clip)
    np.testing.assert_allclose(values(answer["models"]["eye"]), eye, atol=1e-5)
    np.testing.assert_allclose(values(answer["models"]["ear"]), ear, atol=1e-5)
    fused = (eye + ear) / 2
    np.testing.assert_allclose(values(answer["fused"]), fused, atol=1e-5)
    assert values(answer["percentile"]) == pytest.approx(100 * fused, abs=1e-3)  # of labels spread evenly
    assert answer["frames"] == 30 and answer["sound_seconds"] == pytest.approx(3.2, abs=0.06)

    table = Path("out.csv").read_text().splitlines()
    assert table[0] == (
        "VideoName,ValueExtraversion,ValueAgreeableness,ValueConscientiousness,ValueNeurotisicm,ValueOpenness,Models,"
        "speaking_share,pauses,pauses_s,longest_pause_s,syllables_per_s,loudness_db,loudness_range_db,pitch_hz,"
        "pitch_range_semitones,brightness,sharpness,motion_heights_per_s,one_face_share,face_size,face_x,face_y,"
        "emotional_stability"
    )
    found = [float(cell) for cell in table[1].split(",")[1:6]]
    np.testing.assert_allclose(found, [fused[TRAITS.index(t)] for t in predictions.COLUMNS.values()], atol=1e-5)
    assert table[1].startswith("clip.mp4,") and table[1].split(",")[6] == "ear;eye" and len(table) == 2

    printed = capsys.readouterr().out
    printed = printed.replace("emotional stability", "neuroticism")  # what people read of it
    lines = {line.split()[0]: line.split()[1:5] for line in printed.splitlines() if line.strip().startswith(TRAITS)}
    for row, trait in enumerate(TRAITS):  # fused, ear, eye, the share of the labels 0.00, 0.01 .. that is lower
        numbers = [fused[row], ear[row], eye[row]]
        assert [float(cell) for cell in lines[trait][:3]] == pytest.approx(numbers, abs=6e-5)
        assert int(lines[trait][3]) == np.floor(100 * fused[row])
    assert tuple(lines) == SHOWN  # E A C N O, as ChaLearn's columns
    assert "1 clip, 2 models: ear, eye" in printed
    assert printed.count("strangers' first impressions") == 1 and 'what the dataset calls "neuroticism"' in printed


def test_long_sound_is_cut_to_what_the_model_takes(folder, runs):
    part = make_clip("part.mp4", [90] * 20, rate=2, options=["-af", "vibrato,apad=pad_dur=0.2", "-ar", "48000"])
    subprocess.run([FFMPEG, "-v", "error", "-stream_loop", "2", "-i", part, "-c", "copy", "long.mp4"], check=True)
    answer = ask("long.mp4", "--SECONDS", 15.3)["clips"]["long.mp4"]
    assert answer["sound_seconds"] == pytest.approx(15.296, abs=0.001)
    np.testing.assert_allclose(values(answer["models"]["ear"]), by_hand_ear(runs[1], "long.mp4"), atol=1e-6)
    assert len(wavfile.read("hand.wav")[1]) > 28 * 44_100


@pytest.mark.slow
def test_clip_without_sound_and_clip_without_pictures(folder, runs):
    mute = make_clip("mute.mp4", [50] * 10, sound=None)
    subprocess.run([FFMPEG, "-v", "error", "-i", make_clip("both.mp4", [50] * 30), "-vn", "blind.mp3"], check=True)
    answers = ask(mute, "blind.mp3", "--CSV=out.csv", picture=True)["clips"]
    assert list(answers["mute.mp4"]["models"]) == ["eye"] and list(answers["blind.mp3"]["models"]) == ["ear"]
    assert answers["mute.mp4"]["fused"] == answers["mute.mp4"]["models"]["eye"]
    assert answers["mute.mp4"]["warnings"][0] == "no sound; answered by eye alone"
    assert answers["blind.mp3"]["warnings"][0] == "no video stream; answered by ear alone"
    assert answers["blind.mp3"]["frames"] == 0 and answers["mute.mp4"]["sound_seconds"] == 0
    table = pd.read_csv("out.csv")
    assert dict(zip(table.VideoName, table.Models, strict=True)) == {"mute.mp4": "eye", "blind.mp3": "ear"}
    for name in answers:
        assert Image.open(f"predictions/{name}.png").width == 1320


def test_no_model_for_what_the_clip_has(folder):
    save_run("ear", audio_model())
    with pytest.raises(
        UserError, match="1 of 1 clip could not be used: mute.mp4 .no sound, and no other model than ear"
    ):
        ask(make_clip("mute.mp4", [50] * 10, sound=None))


@pytest.mark.slow
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
            values(answer["models"]["eye"]), values(answers["second.mp4"]["models"]["eye"]), atol=0.02
        )


@pytest.mark.slow
def test_odd_names_and_an_odd_folder(folder, runs):
    names = ["-dash", "sp ace", "ünïcode 你", "50%d", "a$b$c", "two.dots.000"]
    for name in names:
        make_clip(folder / f"{name}.mp4", [99] * 5)
    answers = ask("./-dash.mp4", *(f"{name}.mp4" for name in names[1:]), ".", picture=True)["clips"]
    assert list(answers) == [f"{name}.mp4" for name in names]  # the folder names them again: each is answered once
    assert sorted(path.name for path in Path("predictions").iterdir()) == sorted(f"{name}.mp4.png" for name in names)


def test_broken_clips_are_named_and_the_others_answered(folder, runs, capsys):
    good = make_clip("good.mp4", [30] * 10)
    Path("broken.mp4").write_bytes(good.read_bytes()[:2000])
    Path("text.mp4").write_text("not a video")
    with pytest.raises(UserError, match="2 of 3 clips could not be used: broken.mp4 .*text.mp4"):
        ask("broken.mp4", good, "text.mp4", "--CSV", "out.csv")
    written = json.loads(Path("out.json").read_text())
    assert list(written["clips"]) == ["good.mp4"] and list(written["unusable"]) == ["broken.mp4", "text.mp4"]
    assert len(Path("out.csv").read_text().splitlines()) == 2
    assert "good.mp4: 10 frames" in capsys.readouterr().out


@pytest.mark.slow
def test_clips_of_one_name_keep_apart_in_one_call_and_one_after_the_other(folder, runs):
    for person, grey in (("p01", 30), ("p02", 200)):
        make_clip(f"{person}/video.mp4", [grey] * 3)
    both = ask("p01/video.mp4", "p02", "--CSV=out.csv", picture=True)["clips"]
    assert list(both) == list(pd.read_csv("out.csv").VideoName) == ["p01/video.mp4", "p02/video.mp4"]
    assert both["p01/video.mp4"]["fused"] != both["p02/video.mp4"]["fused"]
    pictures = {name: Path(answer["picture"]).read_bytes() for name, answer in both.items()}
    assert len(set(pictures.values())) == 2
    first = ask("p01/video.mp4", "--CSV=out.csv", picture=True)["clips"]["video.mp4"]
    second = ask("p02/video.mp4", "--CSV=out.csv", picture=True)["clips"]["video.mp4"]
    assert first["picture"] != second["picture"] and first["fused"] == both["p01/video.mp4"]["fused"]
    assert Path(first["picture"]).exists() and Path(second["picture"]).exists()
    assert list(pd.read_csv("out.csv").VideoName) == ["video.mp4"]


def test_pictures_of_clips_elsewhere_and_of_long_names(folder, runs, monkeypatch):
    clip = make_clip(folder / "clips/video.mp4", [30] * 3)
    long = clip.rename(clip.with_name("v" * 251 + ".mp4"))
    (folder / "work").mkdir()
    monkeypatch.chdir(folder / "work")
    below = str(folder).lstrip("/")
    assert predict.picture_of("../clips/video.mp4", "out") == Path(f"out/{below}/clips/video.mp4.png")
    assert predict.picture_of("clip.webm", "out") == Path("out/clip.webm.png")
    monkeypatch.chdir(folder)
    assert Image.open(ask(long, picture=True)["clips"][long.name]["picture"]).width == 1320


@pytest.mark.slow
def test_the_true_file_name_stands_in_the_tables(folder, runs):
    clip = make_clip("rec.mkv", [60] * 5)
    ask(clip, "--CSV=out.csv", "--TIMES_CSV=times.csv")
    assert list(pd.read_csv("out.csv").VideoName) == ["rec.mkv"]
    assert set(pd.read_csv("times.csv")["clip"]) == {"rec.mkv"}
    Path("bytes\udcff.mkv").write_bytes(clip.read_bytes())
    assert list(ask("bytes\udcff.mkv", "--CSV=out.csv", picture=True)["clips"]) == ["bytes\\xff.mkv"]
    assert list(pd.read_csv("out.csv").VideoName) == ["bytes\\xff.mkv"]


def test_the_table_over_time_is_long_and_adds_up(folder, runs):
    answer = ask(make_clip("a.mp4", [(n, 90) for n in range(20)]), "--TIMES_CSV=times.csv")["clips"]["a.mp4"]
    table = pd.read_csv("times.csv")
    assert list(table.columns) == ["clip", "time", "model", "trait", "value"]
    eye, ear = (table[table.model == model] for model in ("eye", "ear"))
    assert (
        len(eye) == 20 * 6 and len(ear) == 6 and ear.time.tolist() == pytest.approx([answer["sound_seconds"] / 2] * 6)
    )
    np.testing.assert_allclose(sorted(set(eye.time)), np.arange(20) / 25, atol=1e-3)
    for rows, model in ((eye, "eye"), (ear, "ear")):
        assert rows.groupby("trait").value.mean().to_dict() == pytest.approx(answer["models"][model], abs=1e-6)


def test_rows_of_the_tables_are_in_the_order_of_the_models_and_hold_no_formula(folder):
    names = ["=f", "e", "d", "c", "b", "a"]
    scores = dict.fromkeys(TRAITS, 0.5)
    window = {"start": 0, "end": 2, "sound_seconds": 1, "models": dict.fromkeys(names, scores), "fused": scores}
    measured = dict.fromkeys(("sound", "pictures", "face"))
    answer = {"by_frame": {"times": [], "models": {}}, "models": window["models"], "windows": [window], "fused": scores}
    answer["on_scale"] = None
    tables.write_times_csv("times.csv", {"@a.mp4": answer})
    table = pd.read_csv("times.csv")
    assert list(dict.fromkeys(table["model"])) == ["'=f", *names[1:], "fused"] and set(table["clip"]) == {"'@a.mp4"}
    tables.write_csv("out.csv", {"@a.mp4": answer | {"measured": measured}})
    assert pd.read_csv("out.csv")[["VideoName", "Models"]].values.tolist() == [["'@a.mp4", "'=f;e;d;c;b;a"]]


def test_subfolders_are_searched_on_request(folder, runs):
    for path in ("clips/a.mp4", "clips/deep/er/b.mp4", "clips/.hidden/c.mp4"):
        make_clip(path, [30] * 3)
    assert list(ask("clips")["clips"]) == ["a.mp4"]
    assert list(ask("clips", "--RECURSIVE")["clips"]) == ["a.mp4", "b.mp4"]
    with pytest.raises(UserError, match="clips/deep .no video .*RECURSIVE = True searches its subfolders"):
        ask("clips/deep")


def test_one_unusable_argument_does_not_stop_the_rest(folder, runs):
    (folder / "empty").mkdir()
    make_clip("good.mp4", [30] * 3)
    with pytest.raises(UserError, match=r"2 of 3 clips could not be used: empty .*gone.mp4 \(not there\)"):
        ask("gone.mp4", "empty", "good.mp4", picture=True)
    assert Path("predictions/good.mp4.png").exists()


def test_stale_outputs_are_removed(folder, runs):
    make_clip("clip.mp4", [30] * 3)
    outputs = ["out.json", "out.csv", "times.csv", "predictions/clip.mp4.png"]
    ask("clip.mp4", "--CSV=out.csv", "--TIMES_CSV=times.csv", picture=True)
    assert all(Path(output).exists() for output in outputs)
    Path("clip.mp4").write_text("no clip any more")
    with pytest.raises(UserError, match="clip.mp4"):
        ask("clip.mp4", "--CSV=out.csv", "--TIMES_CSV=times.csv", picture=True)
    assert [Path(output).exists() for output in outputs] == [True, False, False, False]
    assert json.loads(Path("out.json").read_text())["clips"] == {}
    Path("out.json").write_text("old")
    with pytest.raises(UserError, match="no trained nose"):
        ask("clip.mp4", "--MODELS=nose")
    assert not Path("out.json").exists()


@pytest.mark.parametrize("flags", [["--CSV=clip.mp4"], ["--CSV=a", "--TIMES_CSV=./a"], ["--CSV=folder"]])
def test_an_output_replaces_neither_a_clip_nor_another_output(folder, runs, flags):
    before = make_clip("clip.mp4", [30] * 3).read_bytes()
    Path("folder").mkdir()
    with pytest.raises(UserError, match="an output needs a file name of its own"):
        ask("clip.mp4", *flags)
    assert Path("clip.mp4").read_bytes() == before


def test_which_models(folder, runs):
    clip = make_clip("clip.mp4", [30] * 3)
    assert list(ask(clip, "--MODELS", "ear")["clips"]["clip.mp4"]["models"]) == ["ear"]
    with pytest.raises(UserError, match="no trained nose, only ear, eye"):
        ask(clip, "--MODELS", "ear,nose")
    Path("runs/ear/final.keras").write_bytes(b"PK")
    with pytest.raises(UserError, match="ear/final.keras is damaged or not a model of train.py"):
        ask(clip)


def test_which_epochs(folder):
    save_run("eye", image_model(0))
    for epoch in (1, 2):
        image_model(epoch).save(f"runs/eye/epoch-{epoch}.keras")
    clip = make_clip("clip.mp4", [30, 90])
    one, two, last = (
        values(ask(clip, *flags)["clips"]["clip.mp4"]["fused"]) for flags in (("--EPOCHS", "1"), ("--EPOCHS", "2"), ())
    )
    assert np.abs(one - two).max() > 0.1 and np.abs(two - last).max() > 0.1
    both = ask(clip, "--EPOCHS", "1,2", "--EVIDENCE")
    np.testing.assert_allclose(values(both["clips"]["clip.mp4"]["fused"]), (one + two) / 2, atol=1e-6)
    assert both["cautions"] == ["eye has no evidence maps, since it is the mean of several epochs"]
    with pytest.raises(UserError, match="runs/eye has no epoch-4.keras"):
        ask(clip, "--EPOCHS", "4")
    with pytest.raises(UserError, match="EPOCHS = 'first': must be"):
        ask(clip, "--EPOCHS", "first")


def test_an_answer_that_is_not_finite_is_refused(folder):
    images = keras.Input((224, 224, 3))
    two = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(images))
    model = keras.Model(images, keras.layers.Dense(5, activation="sigmoid")(two))
    model.layers[-2].kernel.assign(np.outer([1, 1, 1], [3e38, -3e38]))  # finite, but they add up to both infinities
    model.layers[-1].kernel.assign(np.ones((2, 5)))
    save_run("eye", model)
    refused(run("predict.py", make_clip("clip.mp4", [200] * 3), "--JSON", "out.json"), "eye answers what is not finite")
    assert not Path("out.json").exists()


def test_whoever_asks_a_model_is_refused_an_answer_that_is_not_finite(folder, runs):
    ensemble = models.load(find_runs(Path("runs")))
    answer = answering.answer_clip(open_clip(make_clip("clip.mp4", [30] * 100), 2), ensemble)
    assert len(variation.parts_of(answer, ensemble.models)) == variation.PARTS
    for model in ensemble.models:
        model.infer = lambda inputs: tf.fill([len(inputs), 5], np.nan)
    for ask_again in (
        lambda: variation.parts_of(answer, ensemble.models),
        lambda: list(what_if.WhatIf(answer, ensemble.models).steps()),
        lambda: models.warm_up(ensemble.models, [1]),
    ):
        with pytest.raises(UserError, match="(eye|ear) answers what is not finite: train it with a lower LEARNING_"):
            ask_again()


def test_lack_of_memory_is_told_with_the_way_out(folder, runs, monkeypatch):
    monkeypatch.setattr(answering, "read_images", lambda jpegs: tf.zeros([2**50]))  # more than any machine has room for
    with pytest.raises(UserError, match=r"does not suffice for BATCH_SIZE = 7 \(.*OOM when.*: lower it"):
        ask(make_clip("clip.mp4", [200] * 3), "--BATCH_SIZE", "7")


def test_weights_other_than_vgg_face_are_cautioned_against(folder, capsys):
    start = {"words": "vgg-face.mat, NOT the published VGG-Face: made up", "published": False}
    save_run("eye", image_model(), start=start)
    written = ask(make_clip("clip.mp4", [30] * 3))
    assert "eye did not start from published weights" in written["cautions"][0]
    assert written["cautions"][0] in capsys.readouterr().out
    assert written["clips"]["clip.mp4"]["percentile"] is None  # the run says nothing of its training clips


def test_complaints_come_before_tensorflow(folder):
    clip = make_clip("clip.mp4", [30] * 3)
    refused(run("predict.py", clip), "no trained run", "python train.py", "./run_pipeline.sh")
    refused(run("predict.py", "gone.mp4"), "gone.mp4 (not there)")
    refused(run("predict.py"), "CLIPS")


@pytest.mark.slow
def test_from_the_shell(folder, runs):
    make_clip("-dash.mp4", [30] * 5)
    Path("bad.mp4").write_text("no video")
    done = run_alone("predict.py", "bad.mp4", "./-dash.mp4")
    refused(done, "predict.py: 1 of 2 clips could not be used: bad.mp4")
    assert "openness" in done.stdout and "predictions/-dash.mp4.png" in done.stdout
    assert Image.open("predictions/-dash.mp4.png").width == 1320


@pytest.mark.slow
def test_evidence_is_drawn_for_dan_alone(folder):
    save_run("dan", tiny_dan(), LABELS), save_run("eye", image_model())
    clip = make_clip("clip.mp4", [(n, 200 - n) for n in range(100)])
    plain = ask(clip, picture=True)["clips"]["clip.mp4"]
    height = Image.open(plain["picture"]).height
    written = ask("--EVIDENCE", clip, picture=True)  # the flag alone is a switch
    assert Image.open(written["clips"]["clip.mp4"]["picture"]).height > height + 100
    assert written["cautions"] == [AMONG_LABELS, "eye has no evidence maps, since it is not a DAN"]
