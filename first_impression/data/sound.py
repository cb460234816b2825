"""Sound of clips: as WAV files, as samples while they are decoded, and its level over time."""

import math
import wave

import numpy as np

from first_impression.common.errors import BadClipError
from first_impression.data import description, media, streams

SAMPLE_RATE = 44_100  # Hz, of every WAV file
CHANNELS = 2  # the authors' features are made of stereo files; see audio.py
WIDTH = 2  # bytes of a sample of one channel
SAMPLE = CHANNELS * WIDTH  # bytes of a sample of both
FORM = ("-c:a", "pcm_s16le", "-ar", str(SAMPLE_RATE), "-ac", str(CHANNELS), "-f", "s16le")  # as a WAV file holds it
NAMED = 8  # channels at most that ffmpeg gives names where a file has none, and so can mix
FIRST_TWO = "pan=stereo|c0=c0|c1=c1"  # the filter for more of them

LOUDNESS_RATE = 8_000  # Hz, enough to see when somebody speaks
LOUDNESS_STEP = 0.05  # seconds
SILENT = -70.0  # dB below full scale: a sound that never gets louder spoils the training
LATE = 0.5  # seconds after its first packet by which a sound has begun: encoders put silence before it

LONGEST_SOUND = 6 * 3600  # seconds; a WAV file holds little more, and damaged or invented times can claim years


def extract_sound(video, wav, note=lambda words: None):
    """Write the sound of `video` to the file `wav`: 16-bit PCM, 44,100 Hz, two channels; of six hours at most.

    It starts with the clip: a sound that begins later has silence before it, and in its pauses. `note` is called with
    what is to be known of it, as text.
    Raises `BadClipError` for a video that is cut short, has no sound or cannot be decoded, or whose sound is silence
    throughout: its log energies would lie far outside those of all others.
    """
    ffmpeg = _write(video, ["-map", "0:a:0"], wav)
    stream = None
    if not _is_ordinary(ffmpeg):
        stream = streams.sound_stream(video)
        if _source(stream) != ["-map", "0:a:0"]:
            ffmpeg = _write(video, [*stream.clock, *_source(stream)], wav)
    written, silent = ffmpeg.taken
    _refuse_short(ffmpeg, written, LONGEST_SOUND, stream)
    streams.refuse_short(video, stream.end if stream else written / SAMPLE_RATE, ffmpeg.log)
    if silent:
        raise BadClipError(f"near silence: the sound stays below {SILENT:g} dB")
    for words in peculiarities(stream) if stream else ():
        note(words)


def peculiarities(stream):
    """What is to be known of how a `SoundStream` is heard, as texts."""
    if stream.unnamed > NAMED:
        yield f"the first two of {stream.unnamed} channels, since the file does not say which they are"


def _write(video, source, wav):
    # limited by bytes: where the file's times have gaps, `-t` would give fewer samples
    limit = ["-fs", str(LONGEST_SOUND * SAMPLE_RATE * SAMPLE)]
    arguments = [*media.DESCRIBE, *media.opening(video), *source, *FORM, *limit]
    return media.stream(arguments, lambda pcm: _write_wav(pcm, wav))


def _is_ordinary(ffmpeg):
    """Whether the file has one track of sound, which has been decoded as it stands, from start to end.

    Else its packets have to be looked at.
    """
    tracks = [stream for stream in description.streams(ffmpeg.log) if not stream.is_video]
    seconds = ffmpeg.taken[0] / SAMPLE_RATE
    lacks = min(description.duration(ffmpeg.log), LONGEST_SOUND) - seconds
    return not ffmpeg.found_damage and len(tracks) == 1 and not tracks[0].channels and lacks < streams.PLACED


def _source(stream):
    """ffmpeg's options that take a `SoundStream` as a clip of the dataset is heard."""
    filters = [FIRST_TWO] if stream.unnamed > NAMED else []
    filters += [_even(SAMPLE_RATE, stream.begins)] if stream.is_interrupted else []
    return ["-map", f"0:a:{stream.track}", *(["-af", ",".join(filters)] if filters else [])]


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
    coarse = _coarse(stream, end), lambda pcm: _levels(pcm, stream, 0.0, end)
    ffmpeg = media.stream_two([*opened, *stream.clock], ([*_source(stream), *FORM], start_of), coarse)
    samples, levels = ffmpeg.taken
    try:
        _refuse_short(ffmpeg, len(samples), seconds, stream)
    except BadClipError as problem:
        return samples, levels, problem
    return samples, levels, None


def _refuse_short(ffmpeg, decoded, longest, stream):
    """Raise `BadClipError` if the `decoded` samples are not the whole sound, nor its first `longest` seconds.

    `stream` is the clip's `SoundStream`, or None where the sound lasts as long as the clip.
    """
    media.refuse_cut(ffmpeg, "sound")
    if not decoded:
        raise BadClipError("its sound is empty")
    seconds = decoded / SAMPLE_RATE
    if stream and streams.is_short(seconds, min(longest, description.duration(ffmpeg.log))):
        # Or the pictures last longer, or gaps and edit lists shorten the sound
        listed = stream.seconds_in(0.0, math.inf)
        if streams.is_short(seconds, min(longest, listed)):
            raise BadClipError(f"only {seconds:.1f} s of {listed:.1f} s of sound could be decoded")


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


def samples_from(video, start=0.0, stream=None):
    """Yield the sound from `start` (seconds) on, a second at a time: int16 [n, 2] at 44,100 Hz, gaps filled.

    `stream` is the clip's `SoundStream`; without it, its only track is taken, and a sound whose rate or channels change
    midway cannot be told from one that begins late. An hour takes no more memory than a second. Raises `BadClipError`
    for a sound that cannot be decoded.
    """

    def read(opened, entered_at):
        form = ["-ac", str(CHANNELS), "-f", "s16le", "-"]
        clock = stream.clock if stream else ()
        with media.streaming([*opened, *clock, *_evened(stream, SAMPLE_RATE, entered_at), *form]) as ffmpeg:
            _skip(ffmpeg.stdout, SAMPLE * _samples(start - entered_at, SAMPLE_RATE))
            while chunk := ffmpeg.stdout.read(SAMPLE_RATE * SAMPLE):
                yield _as_samples(chunk)
        media.refuse_cut(ffmpeg, "sound")

    return media.entered(video, start, read)


def loudness(video, start=0.0, seconds=None, stream=None):
    """The level of the sound from `start` on, for so many seconds or to its end: float64 [n], one per LOUDNESS_STEP.

    In dB below full scale, 0 down to -100, the mean of the channels' power; empty where there is no sound. `stream` is
    the clip's `SoundStream`, looked up if it is not given. An hour takes no more memory than a second.
    """
    opened, end = media.opening(video), start + (seconds or LONGEST_SOUND)
    try:
        stream = stream or streams.sound_stream(video)
    except BadClipError:
        return np.empty(0)
    arguments = [*opened, *stream.clock, *_coarse(stream, end)]
    return media.stream(arguments, lambda pcm: _levels(pcm, stream, start, end)).taken


def _evened(stream, rate, entered_at=0.0, more=""):
    """ffmpeg's options that take a sound with its gaps filled, at so many samples a second."""
    filters = f"{FIRST_TWO}," if stream and stream.unnamed > NAMED else ""
    filters += _even(rate, max(0.0, stream.begins - entered_at) if stream else math.inf)
    return ["-map", f"0:a:{stream.track if stream else 0}", "-af", filters + more]


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


def _channels(stream):
    """How many channels the loudness is taken of: in a sum of them, what is opposite in two would be missing."""
    return 1 if stream.channels == "mono" else 2


def _coarse(stream, end):
    """The options of an output of which `_levels` takes the loudness, up to `end` (seconds) or more, gaps filled."""
    count = _channels(stream)
    size = 2 * count * _samples(end, LOUDNESS_RATE)
    evened = _evened(stream, LOUDNESS_RATE, more=f",atrim=end={end:.6f}")
    return [*evened, "-ac", str(count), "-fs", str(size), "-f", "s16le"]


def _levels(pcm, stream, start, end):
    """The levels of a sound in the form of `_coarse` from `start` to `end` (seconds); reads all of it."""
    size = 2 * _channels(stream)  # of a sample of all channels
    levels, left = [], size * (_samples(end, LOUDNESS_RATE) - _samples(start, LOUDNESS_RATE))
    _skip(pcm, size * _samples(start, LOUDNESS_RATE))
    while left > 0 and (chunk := pcm.read(min(left, size * round(LOUDNESS_RATE * LOUDNESS_STEP)))):
        left -= len(chunk)
        samples = np.frombuffer(chunk[: len(chunk) // size * size], "<i2") / 32768
        levels.append(10 * np.log10(max(np.mean(np.square(samples)), 1e-10)) if len(samples) else -100.0)
    while pcm.read(1 << 20):
        pass
    return np.array(levels)
