"""A clip of any length as windows of the length that the models were trained on.

A longer clip is cut into windows of 15.3 s, the last one aligned to the end. Every model answers every window on the
same span of time.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from first_impression.data import audio
from first_impression.data.frames import frame_indices
from first_impression.data.sound import SAMPLE_RATE
from first_impression.inference.unlike import Look, bandwidth

# What a clip may be longer and still be one window. A clip cut at 15.3 s ends with a whole frame, and its sound with a
# whole packet, up to 0.05 s later
TOLERANCE = 0.1
LEAST_SOUND = (
    1.0  # seconds of sound that the audio model needs in a window of several; it would hear less over and over
)
ROUNDING = 0.001  # seconds: files note times in milliseconds, or finer

# What the audio model hears of a window
HEARD_SECONDS = ((audio.WINDOWS - 1) * audio.STEP + audio.FFT) / audio.CHANNELS / SAMPLE_RATE


@dataclass
class Window:
    """A part of a clip as the models take it."""

    start: float  # seconds of the clip
    end: float
    frames: list = field(default_factory=list)  # JPEGs as bytes, in time order
    times: np.ndarray = field(default_factory=lambda: np.empty(0))  # of the frames, float64 [n], seconds of the clip
    features: np.ndarray | None = None  # of the sound, float32 [79534]
    sound_seconds: float = 0.0  # of the sound that the features are of
    look: Look = field(default_factory=Look)  # of the frames
    band: float = 0.0  # the sound's bandwidth, Hz

    def hear(self, sound):
        """Take in the window's sound, int16 [n, 2] at 44,100 Hz, n at least 1."""
        self.features = audio.log_filterbank(sound)
        self.sound_seconds = min(len(sound) / SAMPLE_RATE, HEARD_SECONDS)
        self.band = bandwidth(sound)


def plan(start, end, seconds=audio.CLIP_SECONDS):
    """The windows of the part of a clip from `start` to `end`: [(start, end)], `seconds` long, or one that is shorter.

    All in seconds. They follow each other without a gap, but for the last: it ends with the part.
    """
    count = max(1, int(np.ceil((end - start - TOLERANCE) / seconds)))
    if count == 1:
        return [(start, end)]
    starts = [start + seconds * number for number in range(count - 1)] + [end - seconds]
    return [(each, each + seconds) for each in starts]


def frames_in(spans, frames, count):
    """Yield up to `count` frames of each window, spread over it: [(time, JPEG)].

    `spans` are as of `plan`, `frames` an iterator of (time, JPEG) in the order of time. No more than a window's frames
    are held at a time. In a window without a frame of its own the one before it still stands.
    """
    held, standing = [], []
    for start, end in spans:
        while not held or held[-1][0] < end - ROUNDING:
            frame = next(frames, None)
            if frame is None:
                break
            held.append(frame)
        before = [frame for frame in held if frame[0] < start - ROUNDING]
        standing = before[-1:] or standing
        held = held[len(before) :]
        inside = [frame for frame in held if frame[0] < end - ROUNDING] or standing
        yield [inside[index] for index in frame_indices(len(inside), count, "even")]


def sound_in(spans, samples):
    """Yield the sound of each window: int16 [n, 2] at 44,100 Hz, without samples where it has ended before.

    `spans` are as of `plan`, `samples` an iterator of arrays int16 [n, 2] that begins where the first window does.
    """
    first, held = round(spans[0][0] * SAMPLE_RATE), np.empty((0, 2), np.int16)  # `first`: number of the first held
    for start, end in spans:
        begin, finish = round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)
        while first + len(held) < finish and (more := next(samples, None)) is not None:
            held = np.concatenate([held, more])
        held, first = held[begin - first :], begin
        yield held[: finish - begin]


def one_ahead(items):
    """Yield the items; each is made in a thread while the one before it is used."""
    items, end = iter(items), object()
    with ThreadPoolExecutor(1) as maker:
        try:
            coming = maker.submit(next, items, end)
            while (item := coming.result()) is not end:
                coming = maker.submit(next, items, end)
                yield item
        finally:
            maker.shutdown()
            items.close()  # a generator, which may hold an ffmpeg
