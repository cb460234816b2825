"""How a clip differs from those the models were trained on, landscape pictures of one person who talks.

The findings change no score. They are printed beside the answer, since a model gives one for any input.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from first_impression.data.sound import LOUDNESS_STEP, SAMPLE_RATE
from first_impression.inference.faces import find_faces

SOME = 0.25  # the share of frames without a face, or with several, at which there is a warning
SHORT = 2.0  # seconds
FEW_FRAMES = 5.0  # per second
DARK = 16  # mean brightness, of 255, of a black picture: video's black is 16, and noise lifts it
STILL = 6  # the largest change of a pixel, of 255, between frames where nothing moves; coding causes 1 to 3
NARROW = 6_000  # Hz; telephone sound ends at 4 kHz, the training clips' at about 16 kHz
SHARE_ABOVE = 1e-5  # of the sound's energy that may lie above its band: rounding to 16 bits causes up to that much
QUIET = -50.0  # dB below full scale: a quiet room; speech near a camera is at -35 to -15
LIVELY = 6.0  # least difference in dB between the loud and the quiet moments of speech; a hum or hiss has 1


@dataclass
class Look:
    """What the frames of a window look like, [n] of them."""

    dark: np.ndarray = field(default_factory=lambda: np.empty(0, bool))  # bool [n]
    still: np.ndarray = field(default_factory=lambda: np.empty(0, bool))  # bool [n], equal to the frame before
    faces: list | None = None  # per frame what `find_faces` gives, float64 [k, 4]; None where it was not asked


def look_at(jpegs, aspect, with_faces):
    """What the frames look like: `Look`. They are JPEGs as bytes, of pictures `aspect` times as wide as high."""
    pictures = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) for jpeg in jpegs]
    small = np.array([picture[4::8, 4::8] for picture in pictures], np.float32).reshape(len(jpegs), -1)
    changes = np.abs(np.diff(small, axis=0)).max(axis=1)
    faces = [find_faces(picture, aspect) for picture in pictures] if with_faces else None
    return Look(small.mean(axis=1) < DARK, np.concatenate([[False], changes < STILL])[: len(jpegs)], faces)


def bandwidth(sound):
    """The frequency below which nearly all of the channels' energy lies, Hz. `sound`: int16 [n, 2] at 44,100 Hz."""
    size = 2048
    # each channel by itself: in their sum, what is opposite in the two would be missing
    pieces = sound[: len(sound) // size * size].T.astype(np.float32).reshape(-1, size)
    power = np.square(np.abs(np.fft.rfft(pieces * np.hanning(size).astype(np.float32), axis=1))).sum(axis=0)
    above = np.cumsum(power[::-1])[::-1] > SHARE_ABOVE * power.sum()  # whether enough lies at or above each frequency
    return float(above.sum() * SAMPLE_RATE / size)


def has_speech(levels):
    """Whether a sound of these levels (dB, [n], one per LOUDNESS_STEP) can be speech: neither quiet nor steady."""
    if not len(levels):
        return False
    low, high = np.percentile(levels, [10, 90])
    return high > QUIET and high - low > LIVELY


def in_length(seconds):
    """Yield the warnings about a clip's length, as text."""
    if seconds < SHORT:
        yield f"it lasts {seconds:.1f} s: the training clips last 15"


def in_streams(video, sound, start, end):
    """Yield the warnings about how much of the part from `start` to `end` (seconds) has pictures and sound, as text.

    `video` and `sound` are the clip's `VideoStream` and `SoundStream`, or None.
    """
    for name, stream in (("pictures", video), ("sound", sound)):
        if stream and 2 * (seconds := stream.seconds_in(start, end)) < end - start:
            yield f"{name} in {seconds:.1f} of {end - start:.1f} s only"


def in_pictures(video, look):
    """Yield the warnings about a clip's pictures, as text, from its `VideoStream` and the `Look` of all its frames."""
    count = len(look.dark)
    if video.height > video.width:
        yield f"portrait format, {video.width} x {video.height}: the training clips are landscape"
    if video.frame_rate < FEW_FRAMES:
        yield f"{video.frame_rate:.1f} frames a second: the training clips have 25 or 30"
    if 2 * look.dark.sum() > count:
        yield f"black pictures: {look.dark.sum()} of {count} frames"
    elif 2 * look.still.sum() > count:
        yield f"frozen pictures: {look.still.sum()} of {count} frames are as the one before"
    if look.faces is not None:
        faces = np.array([len(boxes) for boxes in look.faces])
        if (faces == 0).mean() >= SOME:
            yield f"no face in {(faces == 0).sum()} of {count} frames"
        if (faces > 1).mean() >= SOME:
            yield f"several faces in {(faces > 1).sum()} of {count} frames"


def in_sound(loudness, start, spans, band):
    """Yield the warnings about a clip's sound, as text.

    `loudness` holds its levels from `start` (seconds) on, `spans` the windows that were heard, (start, end) in seconds,
    and `band` is the largest of their bandwidths, Hz.
    """
    if len(loudness) and np.percentile(loudness, 95) < QUIET:
        yield f"near silence: the sound stays below {QUIET:g} dB"
        return
    if band < NARROW:
        yield f"sound of a narrow band, up to {band / 1000:.1f} kHz: that of the training clips reaches 16"
    places = [[max(0, round((time - start) / LOUDNESS_STEP)) for time in span] for span in spans]
    silent = sum(not has_speech(loudness[first:last]) for first, last in places)
    if 2 * silent > len(spans):
        where = f" in {silent} of {len(spans)} windows" if len(spans) > 1 else ""
        yield f"no speech-like loudness{where}: quiet, or steady as a hum"
