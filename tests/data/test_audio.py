"""The sound features against the library that defines them."""

import logging

import numpy as np
import pytest
from python_speech_features import logfbank
from scipy.io import wavfile

from first_impression.common.errors import UserError
from first_impression.data import audio


@pytest.fixture(autouse=True)
def library_is_quiet():
    """It warns on every call that a window is longer than the FFT; that is known and kept."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def stereo_tone(seconds):
    time = np.arange(round(seconds * 44_100)) / 44_100
    left, right = np.sin(2 * np.pi * 440 * time), np.sin(2 * np.pi * 1000 * time)
    noise = np.random.default_rng(0).normal(0, 0.01, (len(time), 2))
    return ((np.stack([left, right], axis=1) + noise) * 8000).astype(np.int16)


def test_a_clip_of_15_3_seconds_has_3059_windows_with_the_librarys_numbers():
    samples = stereo_tone(15.3)
    theirs = logfbank(samples, 44_100)
    ours = audio.log_filterbank(samples)
    assert theirs.shape == (3059, 26)
    assert ours.dtype == np.float32 and ours.shape == (79_534,)
    np.testing.assert_allclose(ours.reshape(3059, 26), theirs, rtol=1e-6)


@pytest.mark.parametrize(
    "length", [1, 2, 255, 256, 257, 551, 552, 553, 772, 773, 5000, 220_503, 674_509, 674_731, 700_000]
)
def test_every_length_is_cut_or_repeated(length):
    samples = np.random.default_rng(length).integers(-9000, 9000, (length, 2)).astype(np.int16)
    theirs = logfbank(samples, 44_100)
    ours = audio.log_filterbank(samples).reshape(3059, 26)
    assert audio.count_windows(samples) == len(theirs)
    theirs = theirs[np.arange(3059) % min(len(theirs), 3059)]
    assert np.abs(ours - theirs).max() < 1e-6 * np.abs(theirs).max()


def test_silence_has_the_librarys_numbers():
    samples = stereo_tone(1)
    samples[10_000:30_000] = 0  # as zeros, and not only quiet: the sound of a clip that begins or ends mute
    theirs = logfbank(samples, 44_100)
    assert np.isclose(theirs, np.log(np.finfo(float).eps)).all(axis=1).any()
    np.testing.assert_allclose(audio.log_filterbank(samples).reshape(3059, 26)[: len(theirs)], theirs, rtol=1e-6)


def test_other_wav_files_are_refused_by_name(folder):
    wavfile.write("mono.wav", 44_100, np.zeros(100, np.int16))
    wavfile.write("slow.wav", 16_000, np.zeros((100, 2), np.int16))
    wavfile.write("float.wav", 44_100, np.zeros((100, 2), np.float32))
    wavfile.write("empty.wav", 44_100, np.zeros((0, 2), np.int16))
    (folder / "text.wav").write_text("no sound")
    for name in ("mono", "slow", "float", "empty", "text"):
        with pytest.raises(UserError, match=f"{name}.wav.*run vid_to_wav.py again"):
            audio.read_wav(f"{name}.wav")
