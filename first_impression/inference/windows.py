"""A clip of any length as windows as long as the training clips, the last one aligned to the clip's end.

All models answer a window for the same span of time.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from first_impression.data import audio
from first_impression.data.frames import frame_indices
from first_impression.data.sound import SAMPLE_RATE
from first_impression.inference.unlike import Look, bandwidth

# Seconds by which a clip may exceed a window and still be one. A clip cut at 15.3 s ends with a whole frame, and its
# sound with a whole packet, up to 0.05 s later
TOLERANCE = 0.1
# Seconds of sound that the audio model needs in one of several windows: a shorter sound it would hear over and over
LEAST_SOUND = 1.0
ROUNDING = 0.001  # seconds: files give times in milliseconds, or finer

# Seconds of a window that the audio model hears
HEARD_SECONDS = ((audio.WINDOWS - 1) * audio.STEP + audio.FFT) / audio.CHANNELS / SAMPLE_RATE


@dataclass
class Window:
    """A part of a clip as the models take it."""

    start: float  # seconds of the clip
    end: float
    frames: list = field(default_factory=list)  # JPEGs as bytes, in time order
    times: np.ndarray = field(default_factory=lambda: np.empty(0))  # of the frames, float64 [n], seconds of the clip
    features: np.ndarray | None = None  # of the sound, float32 [79534]
    sound_seconds: float = 0.0  # how much sound the features cover
    look: Look = field(default_factory=Look)  # of the frames
    band: float = 0.0  # the sound's bandwidth, Hz

    def hear(self, sound):
        """Set what follows from the window's sound, int16 [n, 2] at 44,100 Hz, n at least 1."""
        self.features = audio.log_filterbank(sound)
        self.sound_seconds = min(len(sound) / SAMPLE_RATE, HEARD_SECONDS)
        self.band = bandwidth(sound)


def plan(start, end, seconds=audio.CLIP_SECONDS):
    """The windows of the part of a clip from `start` to `end`: [(start, end)], `seconds` long, or one that is shorter.

    All in seconds. Each begins where the one before it ends, except the last: it ends with the part.
    """
    count = max(1, int(np.ceil((end - start - TOLERANCE) / seconds)))
    if count == 1:
        return [(start, end)]
    begins = [start + seconds * number for number in range(count - 1)] + [end - seconds]
    return [(begin, begin + seconds) for begin in begins]


def frames_in(spans, frames, count):
    """Yield up to `count` frames of each window, spread over it: [(time, JPEG)].

    `spans` come from `plan`; `frames` is an iterator of (time, JPEG) in time order. No more than one window's frames
    are held at a time. A window without a frame of its own shows the last one before it.
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
    """Yield the sound of each window: int16 [n, 2] at 44,100 Hz, empty if the sound has ended before.

    `spans` come from `plan`; `samples` is an iterator of arrays int16 [n, 2] that starts where the first window does.
    """
    first, held = round(spans[0][0] * SAMPLE_RATE), np.empty((0, 2), np.int16)  # `first`: the clip's number of held[0]
    for start, end in spans:
        begin, finish = round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)
        while first + len(held) < finish and (more := next(samples, None)) is not None:
            held = np.concatenate([held, more])
        held, first = held[begin - first :], begin
        yield held[: finish - begin]


def one_ahead(items):
    """Yield the items of a generator; each is made in a thread while the one before it is used."""
    items, end = iter(items), object()
    with ThreadPoolExecutor(1) as maker:
        try:
            coming = maker.submit(next, items, end)
            while (item := coming.result()) is not end:
                coming = maker.submit(next, items, end)
                yield item
        finally:
            maker.shutdown()
            items.close()  # it may hold an ffmpeg
