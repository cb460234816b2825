"""Sound of odd and ordinary videos."""

import subprocess
import wave

import numpy as np
import pytest
from conftest import FFMPEG, make_clip
from scipy.io import wavfile
from test_media import program

from first_impression.common.errors import BadClipError
from first_impression.data import audio, media
from first_impression.data.sound import LOUDNESS_STEP, SAMPLE_RATE, extract_sound, hear, loudness, samples_from
from first_impression.data.streams import sound_stream

PCM = ["-map", "0:a:0", "-c:a", "pcm_s16le", "-ar", "44100", "-ac", "2", "-bitexact"]


def seconds(wav):
    return len(audio.read_wav(wav)) / SAMPLE_RATE


def test_sound_is_16_bit_stereo_at_44100(folder):
    clip = make_clip("a.mp4", [100] * 50, sound=1000.0, options=["-ar", "48000", "-ac", "1"])
    extract_sound(clip, folder / "a.wav")
    rate, samples = wavfile.read("a.wav")
    assert rate == 44_100 and samples.dtype == np.int16 and samples.shape[1] == 2
    assert abs(len(samples) / rate - 2.0) < 0.06
    spectrum = np.abs(np.fft.rfft(samples[:44_100, 0]))
    assert abs(int(spectrum.argmax()) - 1000) <= 1


def test_the_wav_is_what_ffmpeg_itself_would_write(folder):
    clip = make_clip("a.mp4", [100] * 50)
    extract_sound(clip, "ours.wav")
    subprocess.run([media.ffmpeg(), "-v", "error", "-i", clip, *PCM, "theirs.wav"], check=True)
    assert (folder / "ours.wav").read_bytes() == (folder / "theirs.wav").read_bytes()


ODD = {  # name: (how to make it from "whole.mp4", its length in seconds)
    "start hidden by an edit list.mp4": (["-ss", "1.3", "-i", "whole.mp4", "-c", "copy"], 2.7),
    "both ends hidden.mp4": (["-ss", "1.3", "-i", "whole.mp4", "-t", "1.5", "-c", "copy"], 1.5),
    "late.mp4": (["-itsoffset", "2.5", "-i", "whole.mp4", "-vn", "-c", "copy"], 4),  # its clock begins with it
    "gap.mp4": (["-i", "whole.mp4", "-vn", "-af", "asetpts='PTS+if(gt(T,1),9/TB,0)'"], 13),
    "gap.mkv": (["-i", "whole.mp4", "-vn", "-af", "asetpts='PTS+if(gt(T,1),9/TB,0)'"], 13),
    "no lengths.nut": (["-i", "whole.mp4", "-vn"], 4),
    "priming.mp3": (["-i", "whole.mp4", "-vn", "-ar", "8000"], 4),
    "priming.mp4": (["-i", "whole.mp4", "-vn", "-ar", "8000"], 4),
    "pre-skip.webm": (["-i", "whole.mp4", "-vn", "-c:a", "libopus", "-frame_duration", "60"], 4),
    "packets of all sizes.ogg": (["-i", "whole.mp4", "-vn", "-c:a", "libvorbis"], 4),
    "fragments.mp4": (["-i", "whole.mp4", "-c", "copy", "-movflags", "frag_keyframe+empty_moov"], 4),
    "a moment.mp4": (["-i", "whole.mp4", "-vn", "-t", "0.03"], 0.03),
}


@pytest.mark.parametrize("name", ODD)
def test_length_explained_by_edit_lists_gaps_or_priming_is_accepted(folder, name):
    make_clip("whole.mp4", [100] * 100)
    make, length = ODD[name]
    subprocess.run([FFMPEG, "-v", "error", *make, name], check=True)
    extract_sound(name, "a.wav")
    assert abs(seconds("a.wav") - length) < 0.3
    samples, _, problem = hear(name, sound_stream(name), 0.5)
    assert min(length, 0.5) - 0.1 < len(samples) / SAMPLE_RATE <= 0.5 and problem is None


@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_sound_that_ends_early_is_refused_whatever_the_exit_status(folder, monkeypatch, share):
    clip = make_clip("a.mp4", [100] * 250)
    extract_sound(clip, "whole.wav")
    size = round(share * (folder / "whole.wav").stat().st_size)
    ours = media.ffmpeg()
    short = f'case "$*" in *s16le*) {ours} "$@" | head -c {size}; exit 0;; esac; exec {ours} "$@"'
    monkeypatch.setenv("FFMPEG", program("mine", short))
    with pytest.raises(
        BadClipError, match="its sound is empty" if share == 0 else r"only \d\.\d s of 10\.0 s of sound"
    ):
        extract_sound(clip, "a.wav")
    if share:
        assert hear(clip, sound_stream(clip), 1)[2] is None  # there is enough of it


@pytest.mark.parametrize("name", ["a.mp4", "late.mp4", "gap.mkv", "8000.mp3"])
def test_samples_and_loudness_from_one_decoding_equal_those_from_two(folder, name):
    whole = make_clip("a.mp4", [100] * 100, sound=300)
    make = {
        "a.mp4": [],
        "late.mp4": ["-itsoffset", "2.5", "-i", whole, "-vn", "-c", "copy"],
        "gap.mkv": ["-i", whole, "-vn", "-af", "asetpts='PTS+if(gt(T,1),9/TB,0)'"],
        "8000.mp3": ["-i", whole, "-vn", "-ar", "8000", "-ac", "1"],
    }[name]
    if make:
        subprocess.run([FFMPEG, "-v", "error", *make, name], check=True)
    for length, until in ((60, None), (1, 2)):
        samples, levels, problem = hear(name, sound_stream(name), length, until)
        extract_sound(name, "a.wav")
        np.testing.assert_array_equal(samples, audio.read_wav("a.wav")[: length * SAMPLE_RATE])
        np.testing.assert_array_equal(levels, loudness(name, 0, until))
        assert problem is None


def test_stream_without_packets_is_refused(folder):
    with wave.open("a.wav", "wb") as file:
        file.setparams((2, 2, 44_100, 0, "NONE", ""))
    with pytest.raises(BadClipError):
        extract_sound("a.wav", "b.wav")


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


def test_streamed_sound_equals_extracted_sound(folder):
    clip = make_clip("a.mp4", [100] * 150, rate=5, sound=300)
    extract_sound(clip, "a.wav")
    whole = audio.read_wav("a.wav")
    for start in (0, 26):
        streamed = np.concatenate(list(samples_from(clip, start)))
        wanted = whole[start * SAMPLE_RATE :]
        assert abs(len(streamed) - len(wanted)) < 0.05 * SAMPLE_RATE
        shared = min(len(streamed), len(wanted)) - 1000  # at the end, their resampling filters differ
        np.testing.assert_array_equal(streamed[:shared], wanted[:shared])
    levels, part = loudness(clip), loudness(clip, 10, 5)
    assert len(part) == 5 / LOUDNESS_STEP
    np.testing.assert_allclose(part, levels[round(10 / LOUDNESS_STEP) :][: len(part)], atol=0.1)


def joined(kind):
    """A file of 20 s of a tone of 300 Hz and 20 s of one of 600 Hz, of another rate or with more channels."""
    parts = []
    for part in range(2):
        source = ["-f", "lavfi", "-i", f"sine={300 + 300 * part}:r=48000:d=20"]
        form = {
            "mp3": ["-ac", "2", "-ar", "32000" if part else "44100", "-f", "mp3"],
            "ac3": ["-ac", "6" if part else "2", "-c:a", "ac3", "-output_ts_offset", f"{20 * part}", "-f", "mpegts"],
        }[kind]
        parts.append(subprocess.run([FFMPEG, "-v", "error", *source, *form, "-"], capture_output=True, check=True))
    with open(f"a.{kind}", "wb") as file:
        file.write(b"".join(part.stdout for part in parts))
    return f"a.{kind}"


@pytest.mark.parametrize("kind", ["mp3", "ac3"])
def test_sound_whose_rate_or_channels_change_is_heard_whole_and_without_a_gap(folder, kind):
    clip = joined(kind)
    stream = sound_stream(clip)
    extract_sound(clip, "a.wav")
    samples, levels, problem = hear(clip, stream, 60)
    parted = [np.concatenate(list(samples_from(clip, start, stream))) for start in (0, 23)]
    assert problem is None
    for found in (audio.read_wav("a.wav"), samples, *parted):
        lasts = 17 if found is parted[1] else 40
        assert abs(len(found) / SAMPLE_RATE - lasts) < 0.15
        seconds = [found[SAMPLE_RATE * at : SAMPLE_RATE * (at + 1), 0] for at in range(lasts - 1)]
        tones = [int(np.abs(np.fft.rfft(second)).argmax()) for second in seconds]
        if lasts == 40:
            assert tones[:19] == [300] * 19
        assert tones[-18:] == [600] * len(tones[-18:])
    for found, lasts in ((levels, 40), (loudness(clip, 23, 10, stream), 10)):
        assert abs(len(found) * LOUDNESS_STEP - lasts) < 0.15
        assert (found[:-3] > -60).mean() > 0.99


def write_noise(path, *decibels):
    """A stereo WAV file with a second of noise at each of these levels, in its left channel only."""
    random = np.random.default_rng(0)
    parts = [10 ** (level / 20) * random.normal(size=SAMPLE_RATE) for level in decibels]
    left = np.rint(32768 * np.concatenate(parts)).astype(np.int16)
    wavfile.write(path, SAMPLE_RATE, np.stack([left, 0 * left], axis=1))


@pytest.mark.parametrize("levels", [(-100, -100), (-73, -80), (-90, -75, -90)])
def test_silence_throughout_is_refused(folder, levels):
    write_noise("a.wav", *levels)
    with pytest.raises(BadClipError, match="near silence: the sound stays below -70 dB"):
        extract_sound("a.wav", "b.wav")


def test_a_quiet_sound_and_one_that_is_heard_once_are_kept(folder):
    for levels in ((-67, -67), (-100, -100, -20, -100)):
        write_noise("a.wav", *levels)
        extract_sound("a.wav", "b.wav")
        assert seconds("b.wav") == len(levels)
