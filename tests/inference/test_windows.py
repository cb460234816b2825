"""Clips of any length: their windows, what lies in them, and that each is answered as a clip of its own."""

import itertools
import subprocess

import numpy as np
import pandas as pd
import pytest
from conftest import FFMPEG, make_clip, number_of, numbered
from PIL import Image
from stand_ins import LABELS, ask, audio_model, image_model, save_run, values

from first_impression.common.errors import BadClipError, UserError
from first_impression.data import windows
from first_impression.data.sound import SAMPLE_RATE
from first_impression.inference import answer, clip, models


@pytest.fixture
def runs(folder):
    return save_run("eye", image_model(), LABELS), save_run("ear", audio_model(), {})


def join(path, *parts):
    """Join clips without encoding them again."""
    with open("parts.txt", "w") as file:
        file.writelines(f"file {part}\n" for part in parts)
    subprocess.run([FFMPEG, "-v", "error", "-f", "concat", "-i", "parts.txt", "-c", "copy", path], check=True)
    return path


@pytest.mark.parametrize(
    "start, end, starts",
    [
        (0, 3, [0]),
        (0, 15.4, [0]),
        (0, 15.5, [0, 0.2]),
        (30, 45.3, [30]),
        (0, 30.6, [0, 15.3]),
        (5, 41, [5, 20.3, 25.7]),
    ],
)
def test_windows_follow_each_other_and_the_last_is_aligned_to_the_end(start, end, starts):
    spans = windows.plan(start, end)
    assert [a for a, _ in spans] == pytest.approx(starts) and spans[-1][1] == end
    length = end - start if len(starts) == 1 else 15.3
    assert [b - a for a, b in spans] == pytest.approx([length] * len(starts))


def test_frames_are_spread_over_each_window_and_few_are_held():
    read = []

    def frames():
        for number in range(1000):
            read.append(number)
            yield number / 10, number

    spans = [(0, 20), (20, 40), (35, 55)]
    found = []
    for frames_of_window, (_, end) in zip(windows.frames_in(spans, frames(), 5), spans, strict=True):
        found.append([number for _, number in frames_of_window])
        assert len(read) == 10 * end + 1  # up to the first one of the next window
    assert found == [[0, 50, 100, 149, 199], [200, 250, 300, 349, 399], [350, 400, 450, 499, 549]]


def test_a_frame_stands_until_the_next_is_shown():
    frames = iter([(0.0, "a"), (25.0, "b"), (61.0, "c")])
    found = list(windows.frames_in([(0, 10), (10, 20), (20, 30), (30, 40), (40, 50), (60, 70)], frames, 100))
    assert ["".join(picture for _, picture in shown) for shown in found] == ["a", "a", "b", "b", "b", "c"]


def test_sound_of_each_window():
    whole = np.arange(2 * 50 * SAMPLE_RATE, dtype=np.int64).astype(np.int16).reshape(-1, 2)
    spans = windows.plan(10.0, 50.0)
    start = 10 * SAMPLE_RATE
    pieces = (whole[at : at + 12_345] for at in range(start, len(whole), 12_345))
    found = list(windows.sound_in(spans, pieces))
    for (begin, end), sound in zip(spans, found, strict=True):
        np.testing.assert_array_equal(sound, whole[round(begin * SAMPLE_RATE) : round(end * SAMPLE_RATE)])
    ended = windows.sound_in([(0, 10), (10, 20), (20, 30)], iter([whole[: 12 * SAMPLE_RATE]]))
    assert [len(sound) for sound in ended] == [10 * SAMPLE_RATE, 2 * SAMPLE_RATE, 0]


@pytest.mark.slow
def test_joined_clips_are_answered_as_each_alone(folder, runs):
    """Joined without encoding them again, so that nothing else can change an answer."""
    form = {"rate": 30, "options": ["-c:a", "pcm_s16le"]}
    a = make_clip("a.mkv", [(40, 90 + n % 40) for n in range(459)], sound=300, **form)
    b = make_clip("b.mkv", [(200, 90 - n % 40) for n in range(459)], sound=900, **form)
    both = join("both.mkv", a, b)
    told = ask(a, b, both, "--TIMES_CSV", "times.csv", picture=True)["clips"]
    parts = told["both.mkv"]["windows"]
    assert [part["start"] for part in parts] == pytest.approx([0, 15.3], abs=0.03)
    for part, alone in zip(parts, (told["a.mkv"], told["b.mkv"]), strict=True):
        assert part["frames"] == alone["frames"] == 100
        for model in ("eye", "ear"):
            np.testing.assert_allclose(values(part["models"][model]), values(alone["models"][model]), atol=1e-6)
    assert np.abs(np.subtract(values(parts[0]["fused"]), values(parts[1]["fused"]))).max() > 0.05
    mean = np.mean([values(part["fused"]) for part in parts], axis=0)
    np.testing.assert_allclose(values(told["both.mkv"]["fused"]), mean, atol=1e-12)
    assert min(values(told["both.mkv"]["spread"])) > 0 and told["a.mkv"]["spread"] is None
    table = pd.read_csv("times.csv")
    table = table[table["clip"] == "both.mkv"]
    assert (
        len(table[table.model == "ear"]) == len(table[table.model == "fused"]) == 2 * 6
    )  # emotional stability under both names
    assert table[table.model == "eye"].time.max() > 30 and table[table.model == "ear"].time.max() == pytest.approx(
        22.95, abs=0.1
    )


@pytest.mark.slow
def test_part_of_a_clip_is_answered_as_the_same_part_cut_out(folder, runs):
    lossless = ["-c:v", "libx264", "-qp", "0", "-c:a", "pcm_s16le"]
    make_clip("whole.mkv", numbered(200), rate=10, sound=300, options=["-c:a", "pcm_s16le", "-g", "40"])
    cut = ["-vf", "trim=8:12,setpts=PTS-STARTPTS", "-af", "atrim=8:12,asetpts=PTS-STARTPTS"]
    subprocess.run([FFMPEG, "-v", "error", "-i", "whole.mkv", *cut, *lossless, "cut.mkv"], check=True)
    part = ask("whole.mkv", "--START", 8, "--SECONDS", 4)["clips"]["whole.mkv"]
    cut = ask("cut.mkv")["clips"]["cut.mkv"]
    assert (part["start"], part["end"], part["duration"]) == pytest.approx((8, 12, 20))
    assert part["frames"] == cut["frames"] == 40 and part["by_frame"]["times"] == pytest.approx(np.arange(80, 120) / 10)
    for model in ("eye", "ear"):
        np.testing.assert_allclose(values(part["models"][model]), values(cut["models"][model]), atol=1e-6)
    assert part["loudness"]["start"] == 8 and len(part["loudness"]["decibels"]) == pytest.approx(80, abs=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.ts", "a.webm"])
def test_part_begins_at_its_frame_in_every_container(folder, name):
    codecs = ["-c:v", "libvpx", "-c:a", "libopus"] if name == "a.webm" else []
    codecs = ["-c:v", "mpeg4", "-qscale:v", "2", "-c:a", "mp3"] if name == "a.avi" else codecs
    make_clip(name, numbered(250), size=(96, 96), rate=5, sound=300, options=codecs)
    opened = clip.open_clip(folder / name, 3, 25.0, 10.0)
    (window,) = opened.windows
    assert [number_of(answer.read_images([jpeg])[0]) for jpeg in window.frames] == pytest.approx(
        [125, 150, 174], abs=2 if name == "a.avi" else 1
    )
    assert window.times == pytest.approx([25, 30, 34.8], abs=0.21)
    assert window.sound_seconds == pytest.approx(10, abs=0.05) and window.features is not None


@pytest.mark.slow
def test_sound_or_pictures_that_end_early(folder, runs):
    tone = ["-f", "lavfi", "-i", "sine=300:duration=5", "-map", "0:v", "-map", "1:a"]
    make_clip("quiet end.mkv", [90] * 100, rate=5, sound=None)
    subprocess.run([FFMPEG, "-v", "error", "-i", "quiet end.mkv", *tone, "-c:v", "copy", "short sound.mkv"], check=True)
    make_clip("seen.mkv", [90] * 25, rate=5, sound=None)
    tone[3] = "sine=300:duration=20"
    subprocess.run([FFMPEG, "-v", "error", "-i", "seen.mkv", *tone, "-c:v", "copy", "short pictures.mkv"], check=True)
    told = ask("short sound.mkv", "short pictures.mkv", "--WINDOW", 6, picture=True)["clips"]
    answered = {name: [list(window["models"]) for window in answer["windows"]] for name, answer in told.items()}
    assert answered["short sound.mkv"] == [["ear", "eye"], ["eye"], ["eye"], ["eye"]]
    assert answered["short pictures.mkv"] == [["ear", "eye"], ["ear"], ["ear"], ["ear"]]
    assert told["short sound.mkv"]["sound_seconds"] == pytest.approx(5, abs=0.05)
    assert Image.open(told["short pictures.mkv"]["picture"]).width == 1320


@pytest.mark.slow
def test_long_recording_of_sound_alone(folder, runs):
    subprocess.run([FFMPEG, "-v", "error", "-f", "lavfi", "-i", "sine=300:duration=40", "talk.mp3"], check=True)
    told = ask("talk.mp3", picture=True)["clips"]["talk.mp3"]
    assert len(told["windows"]) == 3 and list(told["models"]) == ["ear"] and told["frames"] == 0
    assert Image.open(told["picture"]).width == 1320


@pytest.mark.slow
def test_start_after_the_end_too_long_a_clip_and_too_long_a_window_are_refused(folder, runs, monkeypatch):
    make_clip("a.mp4", [90] * 100, rate=5)
    with pytest.raises(UserError, match=r"a.mp4 \(it lasts 20.0 s: there is nothing from START = 30 on"):
        ask("a.mp4", "--START", 30)
    monkeypatch.setattr(clip, "LONGEST", 16)
    with pytest.raises(UserError, match="it lasts 0.0 hours, and 0 are the most: ask for a part of it with START and"):
        ask("a.mp4")
    assert ask("a.mp4", "--START", 5)["clips"]["a.mp4"]["duration"] == pytest.approx(20, abs=0.1)
    with pytest.raises(UserError, match="WINDOW = 16.0: must be a number from 1.0 to 15.3"):
        ask("a.mp4", "--WINDOW", 16)


@pytest.mark.parametrize(
    ("name", "most"), [("a.mp4", 3), ("a.webm", 3), ("a.avi", 3), ("mute.mp4", 2), ("blind.wav", 2)]
)
def test_a_short_clip_starts_ffmpeg_at_most_three_times(folder, monkeypatch, name, most):
    whole = make_clip("a.mp4", [90] * 75)
    make = {
        "a.mp4": [],
        "a.webm": ["-c:v", "libvpx", "-c:a", "libopus"],
        "a.avi": ["-c:v", "mpeg4", "-c:a", "mp3"],
        "mute.mp4": ["-an", "-c", "copy"],
        "blind.wav": ["-vn"],
    }[name]
    if make:
        subprocess.run([FFMPEG, "-v", "error", "-i", whole, *make, name], check=True)
    clip.open_clip(folder / name, 5)  # once before counting: the options of an ffmpeg are asked for once a process
    started, popen = [], subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(a) or popen(*a, **k))
    opened = clip.open_clip(folder / name, 5)
    assert len(started) <= most
    (window,) = opened.windows
    assert len(window.frames) == (0 if name == "blind.wav" else 5)
    assert (window.features is None, len(opened.loudness) > 50) == ((name == "mute.mp4"), name != "mute.mp4")


@pytest.mark.parametrize("error", [BadClipError("damaged"), KeyboardInterrupt()])
def test_no_ffmpeg_is_left_when_a_long_clip_is_given_up(folder, monkeypatch, error):
    """One that nobody reads would wait forever, and the script for it."""
    started, popen, streamed = [], subprocess.Popen, clip.frames_from
    subprocess.run([FFMPEG, "-v", "error", "-f", "lavfi", "-i", "sine=d=100", "-ac", "2", "a.wav"], check=True)
    film = make_clip("film.mkv", [90] * 500, rate=5, sound=None)
    subprocess.run([FFMPEG, "-v", "error", "-i", film, "-i", "a.wav", "-c", "copy", "a.mkv"], check=True)
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1])
    damaged = isinstance(error, BadClipError)

    def broken(*arguments):
        yield from itertools.islice(streamed(*arguments), 100 if damaged else 500)
        raise error

    def interrupted(parts):
        yield next(parts)
        raise error

    monkeypatch.setattr(clip, "frames_from", broken)
    opened = clip.open_clip(folder / "a.mkv", 3)
    with pytest.raises(type(error)):
        answer.answer_clip(opened, models.Ensemble([]), observe=iter if damaged else interrupted)
    assert len(started) > 3 and all(process.poll() is not None for process in started)


@pytest.mark.slow
def test_long_clip_with_undecodable_frames_gets_a_warning(folder, runs, monkeypatch):
    make_clip("long.mp4", [60] * 200, rate=10)
    whole = ask("long.mp4")["clips"]["long.mp4"]
    assert not [line for line in whole["warnings"] if "could be decoded" in line]
    streamed = clip.frames_from

    def cut(*arguments):
        yield from itertools.islice(streamed(*arguments), 120)

    monkeypatch.setattr(clip, "frames_from", cut)
    told = ask("long.mp4")["clips"]["long.mp4"]["warnings"]
    assert [line for line in told if line.startswith("only 120 of 200 frames could be decoded")]
