"""A clip of any length as windows as long as the training clips, the last one aligned to the clip's end.

Training and prediction cut a long clip alike, so that a model answers what it has learnt from: for one span of time.
"""

import numpy as np

from first_impression.data.chalearn import CLIP_SECONDS
from first_impression.data.sound import SAMPLE_RATE

# Seconds by which a clip may exceed a window and still be one. A clip cut at 15.3 s ends with a whole frame, and its
# sound with a whole packet, up to 0.05 s later
TOLERANCE = 0.1
ROUNDING = 0.001  # seconds: files give times in milliseconds, or finer


def plan(start, end, seconds=CLIP_SECONDS):
    """The windows of the part of a clip from `start` to `end`: [(start, end)], `seconds` long, or one that is shorter.

    All in seconds. Each begins where the one before it ends, except the last: it ends with the part.
    """
    count = max(1, int(np.ceil((end - start - TOLERANCE) / seconds)))
    if count == 1:
        return [(start, end)]
    begins = [start + seconds * number for number in range(count - 1)] + [end - seconds]
    return [(begin, begin + seconds) for begin in begins]


def frames_in(spans, frames, count, sampling="even"):
    """Yield up to `count` frames of each window, [(time, JPEG)], chosen as `frame_indices` does.

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
        yield [inside[index] for index in frame_indices(len(inside), count, sampling)]


def frame_indices(total, count, sampling):
    """Which of `total` frames, of a clip or a window, to keep: a sorted list of distinct indices, `count` or all.

    "even" spreads them from the first frame to the last; "first" takes the first, as the original TensorFlow code does.
    """
    count = min(count, total)
    if sampling == "first":
        return list(range(count))
    return np.linspace(0, total - 1, count).round().astype(int).tolist()


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
