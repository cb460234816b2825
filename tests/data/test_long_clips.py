"""Clips longer than the dataset's: training takes the windows that predict.py answers."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import FFMPEG, label_of, make_clip, number_of, numbered, ok, run, write_annotation
from PIL import Image
from scipy.io import wavfile
from test_steps import examples

from first_impression.data import audio
from first_impression.data.frames import extract_frames
from first_impression.data.sound import SAMPLE_RATE, extract_sound
from first_impression.inference.clip import open_clip

RATE = 4  # frames a second of the pictures
# Of a minute in windows of 15.3 s, the last of which ends with it: the first and the last frame, at k / 4 s, in each
ENDS = [(0, 61), (62, 122), (123, 183), (179, 239)]
STARTS = [0.0, 15.3, 30.6, 44.7]  # seconds


def minute(path, tones=(300, 300, 300, 300), frames=None):
    """A clip of a minute: its frames carry their numbers, or are as given, and its sound has a tone per 15 s."""
    make_clip("silent.mp4", frames or numbered(240), rate=RATE, sound=None)
    sine = "".join(f"if(between(t,{15 * n},{15 * n + 15 - 1e-6}),{tone}," for n, tone in enumerate(tones))
    pitch = f"{sine}0{')' * len(tones)}"
    tone = f"aevalsrc='0.3*sin(2*PI*t*({pitch}))':s=44100:d=60"
    inputs = ["-i", "silent.mp4", "-f", "lavfi", "-i", tone]
    subprocess.run([FFMPEG, "-v", "error", "-y", *inputs, "-c:v", "copy", "-c:a", "pcm_s16le", path], check=True)
    return Path(path)


def test_as_many_frames_of_each_window_and_those_that_predict_sees(folder):
    clip = minute("clip.mkv")
    (folder / "frames").mkdir()
    assert extract_frames(clip, folder / "frames", 5, "even", 224) == 20
    files = [folder / f"frames/frame{number}.jpg" for number in range(1, 21)]
    shown = [number_of(np.asarray(Image.open(file), float)) for file in files]
    for window, (first, last) in enumerate(ENDS):
        of_window = shown[5 * window : 5 * window + 5]
        assert (of_window[0], of_window[-1]) == (first, last)
        assert np.abs(np.diff(of_window) - (last - first) / 4).max() <= 1  # spread over it
    asked = [frame for window in open_clip(clip, 5).windows for frame in window.frames]
    assert [file.read_bytes() for file in files] == asked


def test_a_slide_show_gives_each_of_its_pictures_once(folder):
    make_clip("slides.mkv", numbered(3), rate=0.025, sound=None)  # two minutes, and eight windows
    (folder / "frames").mkdir()
    assert extract_frames("slides.mkv", folder / "frames", 5, "even", 224) == 3


def test_the_first_frames_are_those_of_each_window(folder):
    (folder / "frames").mkdir()
    assert extract_frames(minute("clip.mkv"), folder / "frames", 3, "first", 224) == 12
    shown = [number_of(np.asarray(Image.open(f"frames/frame{number}.jpg"), float)) for number in range(1, 13)]
    assert shown == [first + n for first, _ in ENDS for n in range(3)]


@pytest.mark.parametrize(("seconds", "windows"), [(15.3, 1), (15.4, 1), (15.5, 2), (30.6, 2), (60, 4)])
def test_a_sound_is_cut_where_it_is_longer_than_a_window_and_a_tenth(folder, seconds, windows):
    wavfile.write("a.wav", SAMPLE_RATE, np.ones((round(seconds * SAMPLE_RATE), 2), np.int16))
    parts = audio.parts_of(Path("a.wav"))
    if windows == 1:
        assert parts == [Path("a.wav")]
    else:
        assert [part.end - part.start for part in parts] == pytest.approx([15.3] * windows)
        assert len({part.name for part in parts}) == windows and parts[-1].end == pytest.approx(seconds, abs=1e-4)


def test_the_windows_of_a_sound_are_those_that_predict_hears(folder):
    clip = minute("clip.mkv", tones=(300, 900, 2000, 4000))
    extract_sound(clip, "clip.wav")
    parts = audio.parts_of(Path("clip.wav"))
    assert [part.start for part in parts] == pytest.approx(STARTS)
    heard = [audio.log_filterbank(part.read()) for part in parts]
    for window, features in zip(open_clip(clip, 2).windows, heard, strict=True):
        np.testing.assert_array_equal(window.features, features)
    loudest = [features.reshape(-1, audio.FILTERS).mean(axis=0).argmax() for features in heard]
    assert loudest == sorted(set(loudest))  # each window has a higher tone than the one before it


@pytest.mark.slow
def test_records_of_a_long_clip_are_those_of_its_windows_under_its_name(folder):
    """What the label changes lies behind the first window: of pictures in one pair of clips, of sound in the other."""
    grey, bright = [100] * 240, [100] * 120 + [180] * 120
    minute("sound.000.mkv", (300, 300, 300, 3000), grey), minute("sound.001.mkv", (300, 300, 300, 300), grey)
    minute("pictures.000.mkv", frames=bright), minute("short.mkv", frames=grey)
    subprocess.run([FFMPEG, "-v", "error", "-i", "short.mkv", "-t", "15", "-c", "copy", "short.000.mkv"], check=True)
    names = ["sound.000", "sound.001", "pictures.000", "short.000"]
    for name in names:
        (folder / "data/train").mkdir(parents=True, exist_ok=True)
        Path(f"{name}.mkv").rename(f"data/train/{name}.mkv")
    labels = {name: label_of(number) for number, name in enumerate(names)}
    write_annotation("Annotations/annotation_training.pkl", labels)
    for step in ("Video_to_Image.py", "vid_to_wav.py", "Write_Into_TFRecords.py"):
        ok(run(step, *(["--FRAMES_PER_CLIP", 3] if step.startswith("Video") else [])))
    said = ok(run("feat_extraction_from_wav.py"))
    assert "3 longer clips in parts of 15.3 s: pictures.000, sound.000, sound.001" in said
    of_clip = {name: [] for name in names}
    for name, label, content in examples("train_audio_full.tfrecords", "train"):
        np.testing.assert_array_equal(label, labels[name].astype(np.float32))
        of_clip[name].append(content)
    assert [len(of_clip[name]) for name in names] == [4, 4, 4, 1]
    # one window in four sounds differently; the pictures say nothing of it
    assert len(set(of_clip["sound.000"]) & set(of_clip["sound.001"])) >= 1
    assert len(set(of_clip["sound.000"]) - set(of_clip["sound.001"])) in (1, 2)  # the tone begins at 45 s
    frames = {name: [] for name in names}
    for name, label, content in examples("train_full.tfrecords", "train"):
        np.testing.assert_array_equal(label, labels[name].astype(np.float32))
        frames[name].append(content)
    assert [len(frames[name]) for name in names] == [12, 12, 12, 3]
    assert set(frames["sound.000"]) == set(frames["sound.001"])
    assert "were there" in ok(run("feat_extraction_from_wav.py"))
