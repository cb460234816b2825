"""Sound out of clips: as WAV files, as samples while they are decoded, and how loud it is over time."""

import math
import wave

import numpy as np

from first_impression.common.errors import BadClipError
from first_impression.data import media

SAMPLE_RATE = 44_100  # Hz, of every WAV file
CHANNELS = 2  # the authors' features are made of stereo files; see audio.py
WIDTH = 2  # bytes of a sample of one channel

LOUDNESS_RATE = 8_000  # Hz, enough to see when somebody speaks
LOUDNESS_STEP = 0.05  # seconds

LONGEST_SOUND = 6 * 3600  # seconds; a WAV file holds little more, and damaged or made-up times can claim years

# What a sound may lack of its packets' length, since encoders put silence around it, and clocks of recorders are off.
# 60 files of all kinds, by four versions of ffmpeg, lacked 0.04 s at most at 44,100 Hz, and 0.19 s at 8,000
MAY_LACK, SHARE_MAY_LACK = 0.3, 0.02  # seconds; and of the length


def extract_sound(video, wav, seconds=None):
    """Write the sound of `video` to the file `wav`: 16-bit PCM, 44,100 Hz, two channels.

    With `seconds` only its start, that long or a second or two longer, so that an hour takes no more room than a clip.
    Raises `BadClipError` for a video that is cut short, has no sound or cannot be decoded.
    """
    longest = seconds or LONGEST_SOUND
    pcm = ["-c:a", "pcm_s16le", "-ar", str(SAMPLE_RATE), "-ac", str(CHANNELS), "-f", "s16le"]
    # by bytes: where the file's times have gaps, `-t` would give fewer samples
    length = ["-fs", str(math.ceil(longest * SAMPLE_RATE) * CHANNELS * WIDTH)]
    done = media.stream(
        [*media.opening(video), "-map", "0:a:0", *length, *pcm, "-"], lambda stream: _write_wav(stream, wav)
    )
    media.refuse_cut(done, "sound")
    if not done.taken:
        raise BadClipError("its sound is empty")
    decoded, listed = done.taken / SAMPLE_RATE, _listed_seconds(video, longest)
    if decoded < min(listed, longest) * (1 - SHARE_MAY_LACK) - MAY_LACK:
        raise BadClipError(f"only {decoded:.1f} s of {listed:.1f} s of sound could be decoded")


def _write_wav(stream, wav):
    """Write the samples in `stream` to the file `wav`; returns how many there are, of each channel."""
    written, sample = 0, CHANNELS * WIDTH
    # opened here: a `wave` object whose file cannot be opened prints a traceback when it goes
    with open(wav, "wb") as target, wave.open(target, "wb") as file:
        file.setparams((CHANNELS, WIDTH, SAMPLE_RATE, 0, "NONE", ""))
        while chunk := stream.read(sample << 14):
            written += len(chunk) // sample
            file.writeframesraw(chunk[: len(chunk) // sample * sample])
    return written


def _listed_seconds(video, longest):
    """How long the packets of a sound's first `longest` seconds are at least, without those an edit list leaves out.

    Listed by a process of its own: one that decoded and was cut short would cut its list as well.
    Where times have a gap, MP4 gives all of it to the packet before: so none counts as longer than most are.
    """
    done = media.run([*media.opening(video), "-map", "0:a:0", "-t", str(longest), *media.LISTING, "-"])
    media.refuse_cut(done, "sound")
    packets, units = media.read_listing(done.stdout)
    durations = [packet.duration for packet in packets if not packet.discarded]
    return float(np.minimum(durations, np.median(durations)).sum() * units[0]) if durations else 0.0


def samples_from(video, start=0.0):
    """Yield the sound from `start` (seconds) on, a second at a time: int16 [n, 2] at 44,100 Hz, gaps filled.

    Read as it is decoded, so that an hour takes no more memory than a second. Raises `BadClipError` for a sound that
    cannot be decoded.
    """

    def read(opened, entered_at):
        even = f"aresample={SAMPLE_RATE}:async=1:first_pts=0,atrim=start={start - entered_at:.6f}"
        form = ["-ac", str(CHANNELS), "-f", "s16le", "-"]
        with media.streaming([*opened, "-map", "0:a:0", "-af", even, *form]) as ffmpeg:
            while chunk := ffmpeg.stdout.read(SAMPLE_RATE * CHANNELS * WIDTH):
                whole = chunk[: len(chunk) // (CHANNELS * WIDTH) * CHANNELS * WIDTH]
                yield np.frombuffer(whole, "<i2").reshape(-1, CHANNELS)
        media.refuse_cut(ffmpeg, "sound")

    return media.entered(video, start, read)


def loudness(video, start=0.0, seconds=None):
    """The level of the sound from `start` on, for so many seconds or to its end: float64 [n], one per LOUDNESS_STEP.

    In dB below full scale, 0 down to -100. Read as it is decoded, so that an hour takes no more memory than a second.
    Empty where there is no sound.
    """
    end = start + (seconds or LONGEST_SOUND)
    even = f"aresample={LOUDNESS_RATE}:async=1:first_pts=0,atrim={start:.6f}:{end:.6f}"  # gaps filled
    form = ["-ac", "1", "-af", even, "-f", "s16le", "-"]
    return np.array(media.stream([*media.opening(video), "-map", "0:a:0", *form], _levels).taken)


def _levels(stream):
    levels = []
    while chunk := stream.read(2 * round(LOUDNESS_RATE * LOUDNESS_STEP)):
        samples = np.frombuffer(chunk[: len(chunk) // 2 * 2], "<i2") / 32768
        levels.append(10 * np.log10(max(np.mean(np.square(samples)), 1e-10)) if len(samples) else -100.0)
    return levels
