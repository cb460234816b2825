"""A clip's course in time: when its frames are shown, how loud it is, which shape it has."""

import subprocess

import numpy as np
import pytest
from conftest import FFMPEG, make_clip, numbered
from scipy.io import wavfile

from first_impression.data import media


def test_times_of_sampled_frames(folder):
    make_clip("even.mp4", numbered(51), rate=10, options=["-bf", "2"])
    np.testing.assert_allclose(media.frame_times("even.mp4", 51), np.arange(51) / 10, atol=0.01)
    np.testing.assert_allclose(media.frame_times("even.mp4", 6), np.arange(6), atol=0.01)
    uneven = ["-vf", "setpts='if(lt(N,25),N*0.04,1+(N-25)*0.2)/TB'", "-fps_mode", "passthrough", "vfr.mkv"]
    whole = make_clip("whole.mp4", numbered(50))
    subprocess.run([FFMPEG, "-v", "error", "-i", whole, "-an", "-c:v", "libx264", *uneven], check=True)
    wanted = np.concatenate([np.arange(25) * 0.04, 1 + np.arange(25) * 0.2])
    np.testing.assert_allclose(media.frame_times("vfr.mkv", 50), wanted, atol=0.01)
    subprocess.run([FFMPEG, "-v", "error", "-i", whole, "-an", "-c:v", "mpeg4", "-bf", "2", "a.avi"], check=True)
    np.testing.assert_allclose(media.frame_times("a.avi", 50), np.arange(50) / 25, atol=0.09)


def test_aspect_is_that_of_the_upright_picture(folder):
    wide = make_clip("wide.mp4", [128] * 3, size=(64, 32))
    subprocess.run([FFMPEG, "-v", "error", "-display_rotation", "90", "-i", wide, "-c", "copy", "tall.mp4"], check=True)
    make_clip("narrow.mp4", [128] * 3, size=(64, 32), options=["-vf", "setsar=1/2"])
    found = [media.display_aspect(name) for name in ("wide.mp4", "tall.mp4", "narrow.mp4")]
    assert found == pytest.approx([2, 0.5, 1], abs=0.05)


def test_loudness(folder):
    rate = 44_100
    loud = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    samples = np.concatenate([loud, 0 * loud, loud / 10])
    wavfile.write("a.wav", rate, np.rint(np.stack([samples, samples], axis=1) * 32767).astype(np.int16))
    levels = media.loudness("a.wav")
    assert len(levels) == 60
    rms = 20 * np.log10(0.5 / np.sqrt(2))
    np.testing.assert_allclose(levels[2:18], rms, atol=0.1)
    np.testing.assert_allclose(levels[42:58], rms - 20, atol=0.1)
    assert (levels[22:38] == -100).all()
    assert media.loudness(make_clip("mute.mp4", [3] * 3, sound=None)).size == 0
