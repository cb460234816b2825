"""Sound of clips: as WAV files, as samples while they are decoded, and its level over time."""

import math
import re
import wave

import numpy as np

from first_impression.common.errors import BadClipError
from first_impression.data import media
from first_impression.data.streams import sound_stream

SAMPLE_RATE = 44_100  # Hz, of every WAV file
CHANNELS = 2  # the authors' features are made of stereo files; see audio.py
WIDTH = 2  # bytes of a sample of one channel
SAMPLE = CHANNELS * WIDTH  # bytes of a sample of both
# ffmpeg's options for the sound as a WAV file holds it
STEREO = ("-map", "0:a:0", "-c:a", "pcm_s16le", "-ar", str(SAMPLE_RATE), "-ac", str(CHANNELS), "-f", "s16le")

LOUDNESS_RATE = 8_000  # Hz, enough to see when somebody speaks
LOUDNESS_STEP = 0.05  # seconds
SILENT = -70.0  # dB below full scale: a sound that never gets louder spoils the training
LATE = 0.5  # seconds after its first packet by which a sound has begun: encoders put silence before it

LONGEST_SOUND = 6 * 3600  # seconds; a WAV file holds little more, and damaged or invented times can claim years

DURATION = re.compile(rb"^\[info\] +Duration: (\d+):(\d+):([0-9.]+)", re.MULTILINE)

# How much shorter than its packets a sound may be once decoded: encoders put silence around it, and clocks of recorders
# are off. 60 files of all kinds, decoded by four versions of ffmpeg, lacked 0.04 s at most at 44,100 Hz, 0.19 s at
# 8,000
MAY_LACK, SHARE_MAY_LACK = 0.3, 0.02  # seconds; and of the length


def extract_sound(video, wav):
    """Write the sound of `video` to the file `wav`: 16-bit PCM, 44,100 Hz, two channels; of six hours at most.

    Raises `BadClipError` for a video that is cut short, has no sound or cannot be decoded, or whose sound is silence
    throughout: its log energies would lie far outside those of all others.
    """
    # limited by bytes: where the file's times have gaps, `-t` would give fewer samples
    limit = ["-fs", str(LONGEST_SOUND * SAMPLE_RATE * SAMPLE)]
    arguments = [*media.DESCRIBE, *media.opening(video), *STEREO, *limit]
    ffmpeg = media.stream(arguments, lambda pcm: _write_wav(pcm, wav))
    written, silent = ffmpeg.taken
    _refuse_short(ffmpeg, written, LONGEST_SOUND, lambda: sound_stream(video))
    if silent:
        raise BadClipError(f"near silence: the sound stays below {SILENT:g} dB")


def hear(video, stream, seconds, until=None):
    """The first `seconds` of a clip's sound, and its loudness up to `until` seconds, from one decoding.

    `stream` is the clip's `SoundStream`. Returns (the samples that `extract_sound` writes, int16 [n, 2]; what
    `loudness` gives; None, or the `BadClipError` that says why the samples cannot be used).
    """

    def start_of(pcm):
        samples = _as_samples(pcm.read(math.ceil(seconds * SAMPLE_RATE) * SAMPLE))
        while pcm.read(1 << 20):  # the rest: the loudness is not complete yet
            pass
        return samples

    opened = [*media.DESCRIBE, *media.opening(video)]
    end = until or LONGEST_SOUND
    mono = _mono(end, stream.begins), lambda pcm: _levels(pcm, 0.0, end)
    ffmpeg = media.stream_two(opened, (STEREO, start_of), mono)
    samples, levels = ffmpeg.taken
    try:
        _refuse_short(ffmpeg, len(samples), seconds, lambda: stream)
    except BadClipError as problem:
        return samples, levels, problem
    return samples, levels, None


def _refuse_short(ffmpeg, decoded, longest, find_stream):
    """Raise `BadClipError` if the `decoded` samples are not the whole sound, nor its first `longest` seconds.

    `find_stream` gives the `SoundStream`, which is needed only if the clip as a whole lasts longer.
    """
    media.refuse_cut(ffmpeg, "sound")
    if not decoded:
        raise BadClipError("its sound is empty")
    seconds = decoded / SAMPLE_RATE
    found = DURATION.search(ffmpeg.log)  # of the whole clip
    described = np.dot([3600, 60, 1], [*map(float, found.groups())]) if found else math.inf
    if _is_cut(seconds, min(longest, described)):
        # Or the pictures last longer, or gaps and edit lists shorten the sound
        listed = _listed_seconds(find_stream().packets)
        if _is_cut(seconds, min(longest, listed)):
            raise BadClipError(f"only {seconds:.1f} s of {listed:.1f} s of sound could be decoded")


def _is_cut(decoded, expected):
    return decoded < expected * (1 - SHARE_MAY_LACK) - MAY_LACK


def _listed_seconds(packets):
    """How long the sound in these packets lasts at least, without those that an edit list hides.

    Where times have a gap, MP4 adds all of it to the packet before: so none counts as longer than most are.
    """
    durations = packets.durations[packets.discarded == 0]
    return float(np.minimum(durations, np.median(durations)).sum() * packets.unit) if len(durations) else 0.0


def _write_wav(stream, wav):
    """Write the samples in `stream` to the file `wav`.

    Returns (how many there are, of each channel; whether all of them are silence).
    """
    written, silent = 0, True
    # Opened here: a `wave` object whose file cannot be opened prints a traceback when it is deleted
    with open(wav, "wb") as target, wave.open(target, "wb") as file:
        file.setparams((CHANNELS, WIDTH, SAMPLE_RATE, 0, "NONE", ""))
        while chunk := stream.read(SAMPLE << 14):
            samples = _as_samples(chunk)
            written += len(samples)
            file.writeframesraw(samples.tobytes())
            silent = silent and _is_silent(samples)
    return written, silent


def _is_silent(samples):
    """Whether both channels of these samples, int16 [n, 2], stay below SILENT in every LOUDNESS_STEP."""
    size = round(SAMPLE_RATE * LOUDNESS_STEP)
    squares = np.square(samples / 32768)
    powers = [squares[first : first + size].mean(axis=0).max() for first in range(0, len(squares), size)]
    return max(powers, default=0) < 10 ** (SILENT / 10)


def _as_samples(pcm):
    """Samples int16 [n, 2] of bytes that may end within one."""
    return np.frombuffer(pcm[: len(pcm) // SAMPLE * SAMPLE], "<i2").reshape(-1, CHANNELS)


def samples_from(video, start=0.0, begins=math.inf):
    """Yield the sound from `start` (seconds) on, a second at a time: int16 [n, 2] at 44,100 Hz, gaps filled.

    `begins` is when the clip's sound begins, in seconds: without it, a sound whose rate or channels change midway
    cannot be told from one that begins late. An hour takes no more memory than a second. Raises `BadClipError` for a
    sound that cannot be decoded.
    """

    def read(opened, entered_at):
        form = ["-ac", str(CHANNELS), "-f", "s16le", "-"]
        filters = _even(SAMPLE_RATE, max(0.0, begins - entered_at))
        with media.streaming([*opened, "-map", "0:a:0", "-af", filters, *form]) as ffmpeg:
            _skip(ffmpeg.stdout, SAMPLE * _samples(start - entered_at, SAMPLE_RATE))
            while chunk := ffmpeg.stdout.read(SAMPLE_RATE * SAMPLE):
                yield _as_samples(chunk)
        media.refuse_cut(ffmpeg, "sound")

    return media.entered(video, start, read)


def loudness(video, start=0.0, seconds=None, begins=math.inf):
    """The level of the sound from `start` on, for so many seconds or to its end: float64 [n], one per LOUDNESS_STEP.

    In dB below full scale, 0 down to -100; empty where there is no sound. `begins` is as in `samples_from`. An hour
    takes no more memory than a second.
    """
    end = start + (seconds or LONGEST_SOUND)
    arguments = [*media.opening(video), *_mono(end, begins)]
    return media.stream(arguments, lambda pcm: _levels(pcm, start, end)).taken


def _even(rate, begins):
    """The filters that fill the gaps of a sound, at so many samples a second.

    Where rate or channels change midway, ffmpeg builds its filters anew, and they would fill the time before with
    silence once more. So filters that start well after the sound `begins` (seconds) count their time from 0.
    """
    anew = f"asetpts='if(gt(STARTT,{begins + LATE:.6f}),PTS-STARTPTS,PTS)'," if begins < math.inf else ""
    return f"{anew}aresample={rate}:async=1:first_pts=0"


def _samples(seconds, rate):
    return round(round(seconds, 6) * rate)


def _skip(stream, size):
    while size > 0 and (chunk := stream.read(min(size, 1 << 20))):
        size -= len(chunk)


def _mono(end, begins):
    """The options of an output of which `_levels` takes the loudness, up to `end` (seconds) or more, gaps filled."""
    even = f"{_even(LOUDNESS_RATE, begins)},atrim=end={end:.6f}"
    return ["-map", "0:a:0", "-ac", "1", "-af", even, "-fs", str(2 * _samples(end, LOUDNESS_RATE)), "-f", "s16le"]


def _levels(stream, start, end):
    """The levels of a mono sound from `start` to `end` (seconds); reads all of it."""
    levels, left = [], 2 * _samples(end, LOUDNESS_RATE) - 2 * _samples(start, LOUDNESS_RATE)
    _skip(stream, 2 * _samples(start, LOUDNESS_RATE))
    while left > 0 and (chunk := stream.read(min(left, 2 * round(LOUDNESS_RATE * LOUDNESS_STEP)))):
        left -= len(chunk)
        samples = np.frombuffer(chunk[: len(chunk) // 2 * 2], "<i2") / 32768
        levels.append(10 * np.log10(max(np.mean(np.square(samples)), 1e-10)) if len(samples) else -100.0)
    while stream.read(1 << 20):
        pass
    return np.array(levels)
