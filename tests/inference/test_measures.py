"""What is measured of sounds and pictures that were made with known values."""

import subprocess
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import FFMPEG, make_clip
from scipy.io import wavfile
from stand_ins import ask, audio_model, image_model, save_run

from first_impression.data.sound import SAMPLE_RATE
from first_impression.inference import faces, measures, pictures, voice
from first_impression.sample import drawing, plan

SECONDS, RATE_OF_SYLLABLES = 15, 4
PAUSES = ((4, 5), (9, 10))  # seconds: whole syllables are left out
SPEECH = SECONDS - 2


def seconds(length=SECONDS):
    return np.arange(length * SAMPLE_RATE) / SAMPLE_RATE


def buzz(hertz, time):
    """A voice of this pitch, a number or one per sample, with the harmonics of vocal folds, up to 5 kHz."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hertz, time.shape)) / SAMPLE_RATE
    return sum(np.sin(number * phase) / number for number in range(1, int(5000 / np.max(hertz))))


def as_sound(samples, right=1):
    """Samples, full scale being 1, as both channels; the right one may have the opposite sign."""
    return np.rint(32767 * np.stack([samples, right * samples], axis=1)).astype(np.int16)


def talk(hertz):
    """Syllables, 15 s of them, with two pauses of a second."""
    time = seconds()
    rhythm = np.sin(np.pi * RATE_OF_SYLLABLES * time) ** 2
    for start, end in PAUSES:
        rhythm[(start <= time) & (time < end)] = 0
    return 0.2 * buzz(hertz, time) * rhythm


def heard(samples, right=1):
    return voice.measure([voice.listen(0.0, as_sound(samples, right))])


@pytest.mark.parametrize("hertz, right", [(80, 1), (200, 1), (200, -1), (200, 0), (450, 1)])
def test_a_voice_of_known_pitch_with_two_pauses_of_a_second(hertz, right):
    found = heard(talk(hertz), right)
    assert found["seconds"] == SECONDS and found["pauses"] == 2
    assert found["longest_pause"] == pytest.approx(1, abs=0.06)  # syllables swell and fade within 0.03 s
    assert found["pause_seconds"] == pytest.approx(2, abs=0.12)
    assert found["speaking_share"] == pytest.approx(SPEECH / SECONDS, abs=0.01)
    assert found["syllables_per_second"] == pytest.approx(SPEECH * RATE_OF_SYLLABLES / SECONDS)
    assert found["pitch"] == pytest.approx(hertz, rel=0.002) and found["pitch_range"] < 0.05


def test_pauses_are_found_in_a_quiet_room_and_a_click_does_not_end_one():
    room = np.random.default_rng(0).normal(size=SECONDS * SAMPLE_RATE) * 10 ** (-55 / 20)
    clicks = np.zeros_like(room)
    clicks[round(4.5 * SAMPLE_RATE) :][:400] = 0.5
    found = heard(talk(200) + room + clicks)
    assert found["pauses"] == 2 and found["longest_pause"] == pytest.approx(1, abs=0.06)
    assert found["pitch"] == pytest.approx(200, rel=0.002)


@pytest.mark.parametrize("semitones", [4, 10])
def test_range_of_a_melody_that_rises_evenly(semitones):
    time = seconds(10)
    found = heard(0.2 * buzz(180 * 2 ** (semitones * (time / 10 - 0.5) / 12), time))
    assert found["pitch"] == pytest.approx(180, rel=0.005)
    assert found["pitch_range"] == pytest.approx(0.8 * semitones, abs=0.1)  # the middle 80 % of it


def test_loudness_of_a_voice_half_of_whose_time_is_10_db_softer():
    time = seconds(10)
    tone = buzz(200, time)
    tone *= 0.1 / np.sqrt(np.mean(tone**2))  # -20 dB
    tone[time >= 5] *= 10 ** (-10 / 20)
    found = heard(tone)
    assert found["loudness"] == pytest.approx(10 * np.log10((0.01 + 0.001) / 2), abs=0.05)
    assert found["loudness_range"] == pytest.approx(10, abs=0.2) and found["pauses"] == 0
    twice = heard(2 * tone)
    assert twice["loudness"] - found["loudness"] == pytest.approx(6.02, abs=0.01)
    assert twice["loudness_range"] == pytest.approx(found["loudness_range"], abs=0.01)


@pytest.mark.parametrize("sound", ["silence", "hiss"])
def test_what_has_no_voice_is_not_speech(sound):
    level = 0.1 if sound == "hiss" else 0
    found = heard(level * np.random.default_rng(0).normal(size=5 * SAMPLE_RATE).clip(-3, 3))
    assert found["speaking_share"] < 0.05 and found["syllables_per_second"] < 0.3
    if sound == "silence":
        nothing = {name for name, value in found.items() if value is None}
        assert nothing == {"loudness", "loudness_range", "pitch", "pitch_range"}


def test_windows_are_measured_as_the_whole_is():
    """The second window begins in the midst of a pause, and the third overlaps it."""
    sound, whole = as_sound(talk(200)), heard(talk(200))
    spans = [(0, 4.5), (4.5, 12), (7.5, 15)]
    parts = [voice.listen(start, sound[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]) for start, end in spans]
    assert voice.measure(parts) == pytest.approx(whole, rel=0.01, abs=0.02)
    assert voice.measure([]) is None


@pytest.mark.parametrize("samples", [1, 441, 442, 3000])
def test_a_sound_of_a_moment(samples):
    for sound in (np.zeros(samples), 0.1 * buzz(200, seconds(1))[:samples]):
        found = heard(sound)
        assert found["seconds"] == pytest.approx(samples / SAMPLE_RATE, abs=voice.STEP) and found["pauses"] == 0


def as_jpeg(picture):
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()


def seen(frames, times=None, aspect=1.0, boxes=None):
    times = np.arange(len(frames)) / 10 if times is None else times
    return pictures.measure([pictures.look([as_jpeg(frame) for frame in frames], times, aspect, boxes)])


@pytest.mark.parametrize("grey", [0, 51, 255])
def test_brightness_of_grey(grey):
    found, face = seen([np.full((224, 224, 3), grey, np.uint8)] * 2)
    assert found == {"brightness": pytest.approx(grey / 255, abs=0.002), "sharpness": 0, "motion": 0} and face is None


def test_sharpness_of_stripes():
    """The Laplacian of a sine of p pixels is the sine times 2 cos(2 pi / p) - 2, and its variance half its square."""
    for period in (8, 16, 32):
        stripes = np.tile(127.5 + 100 * np.sin(2 * np.pi * np.arange(224) / period), (224, 1))
        wanted = (100 * (2 * np.cos(2 * np.pi / period) - 2)) ** 2 / 2
        found, _ = seen([np.rint(stripes).astype(np.uint8)])
        assert found["sharpness"] == pytest.approx(wanted, rel=0.1)
        assert found["motion"] is None


@pytest.mark.parametrize("aspect", [1.0, 16 / 9])
@pytest.mark.parametrize("step", [(0, 0), (0, 3), (4, 0), (-6, 3)])
def test_motion_of_a_picture_that_slides_by_known_steps(step, aspect):
    """By (x, y) pixels of the squashed picture each fifth of a second."""
    noise = np.random.default_rng(0).normal(size=(300, 300)).astype(np.float32)
    scene = cv2.normalize(cv2.GaussianBlur(noise, None, 4), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    corners = [(30 + number * step[0], 30 + number * step[1]) for number in range(5)]
    found, _ = seen([scene[y : y + 224, x : x + 224] for x, y in corners], np.arange(5) / 5, aspect)
    speed = np.hypot(step[0] * aspect, step[1]) / 224 * 5
    assert found["motion"] == pytest.approx(speed, rel=0.1, abs=0.002)


def test_place_and_size_of_boxes():
    """Of several faces the largest counts, as far as the picture shows it; one frame stands in two windows."""
    boxes = [
        np.array([[0.2, 0.1, 0.3, 0.4]]),
        np.array([[0.0, 0.0, 0.1, 0.1], [-0.1, 0.3, 0.5, 0.4]]),
        np.empty((0, 4)),
    ]
    grey = [as_jpeg(np.full((64, 64), 90, np.uint8))] * 3
    first = pictures.look(grey[:2], np.array([0.0, 1.0]), 1.0, boxes[:2])
    second = pictures.look(grey[1:], np.array([1.0, 2.0]), 1.0, boxes[1:])
    _, face = pictures.measure([first, second])
    sizes = 0.3 * 0.4, 0.4 * 0.4
    middles = [(0.35, 0.3), (0.2, 0.5)]
    wanted = {"one_face_share": 1 / 3, "size": np.mean(sizes)} | dict(zip("xy", np.mean(middles, axis=0), strict=True))
    assert face == pytest.approx(wanted)
    _, none = pictures.measure([pictures.look(grey[:1], np.array([0.0]), 1.0, boxes[2:])])
    assert none == {"one_face_share": 0, "size": None, "x": None, "y": None}
    assert pictures.measure([]) == (None, None)


@pytest.mark.parametrize("share, x", [(0.12, 1 / 3), (0.12, 2 / 3), (0.24, 1 / 2)])
def test_a_drawn_head_is_found_with_its_size_and_place(share, x):
    """Half the head is `radius` high and 0.78 times that wide."""
    scene = np.full((480, 640, 3), (120, 140, 150), np.uint8)
    radius = np.sqrt(share * 320 * 240 / (2 * 2 * 0.78))
    pen = drawing.Pen(scene, (320 * x, 120), radius)
    drawing._face(pen, plan.draw_speaker(0, 0), 0.3, eyes_shut=False)
    small = cv2.resize(scene[:, :, ::-1], (224, 224), interpolation=cv2.INTER_AREA)
    _, face = seen([small], aspect=4 / 3, boxes=[faces.find_faces(small, 4 / 3)])
    assert face["one_face_share"] == 1 and face["size"] == pytest.approx(share, rel=0.25)
    assert face["x"] == pytest.approx(x, abs=0.02) and face["y"] == pytest.approx(0.5, abs=0.08)


def test_predict_gives_them_in_json_table_and_csv_apart_from_what_is_guessed(folder, capsys):
    save_run("eye", image_model()), save_run("ear", audio_model())
    wavfile.write("talk.wav", SAMPLE_RATE, as_sound(talk(200)))
    mute = make_clip("mute.mp4", [102] * 15, rate=1, sound=None)
    join = [FFMPEG, "-v", "error", "-i", mute, "-i", "talk.wav", "-c:v", "copy", "-c:a", "pcm_s16le", "both.mkv"]
    subprocess.run(join, check=True)
    answers = ask("both.mkv", mute, "--CSV", "out.csv")["clips"]
    both = answers["both.mkv"]["measured"]
    assert both["sound"] == pytest.approx(heard(talk(200)), rel=0.01, abs=0.02)
    assert both["pictures"]["brightness"] == pytest.approx(102 / 255, abs=0.01)
    assert both["face"]["one_face_share"] == 0 and answers["mute.mp4"]["measured"]["sound"] is None

    table = pd.read_csv("out.csv", index_col="VideoName")
    assert table.loc["both.mkv", "pitch_hz"] == pytest.approx(200, abs=1) and table.loc["both.mkv", "pauses"] == 2
    assert np.isnan(table.loc["mute.mp4", "pitch_hz"]) and np.isnan(table.loc["both.mkv", "face_size"])
    for quantity in measures.QUANTITIES:
        value = measures.value_of(both, quantity)
        assert table.loc["both.mkv", quantity.column] == pytest.approx(np.nan if value is None else value, nan_ok=True)

    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert sum(line.startswith("guessed") for line in lines) == 2
    (sound,) = [line for line in lines if line.startswith("measured sound")]
    assert "speaking 86 % of the time, pauses 2, 2.1 s in all" in sound and "pitch 200 Hz" in sound
    assert [line for line in lines if line.startswith("measured face")] == [
        "measured face      one face in 0 % of the frames"
    ] * 2
    assert Path("out.csv").read_text().count("nan") == 0
