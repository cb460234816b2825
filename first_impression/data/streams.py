"""What the streams of a clip are, without decoding them: how long, how large, how fine.

All times are in seconds from the clip's start. A stream of hours is read as it comes, and takes 24 bytes a packet.
"""

import array
import re
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from first_impression.common.errors import BadClipError
from first_impression.data import media

WIDEST = 32  # width by height that a file can claim for its pictures; broken ones claim anything


@dataclass(frozen=True)
class VideoStream:
    """What a clip's pictures are."""

    times: np.ndarray  # when each frame is shown, float64 [n], seconds, ascending
    end: float  # when the last one has been shown, seconds
    width: int  # pixels as a player shows them: upright, and square
    height: int
    rotation: float  # degrees by which the file says to turn the stored pictures, counterclockwise, -180 to 180

    @property
    def aspect(self):
        """Width by height."""
        return self.width / self.height

    @property
    def frame_rate(self):
        """Frames per second, on average; 0.0 where a single frame has no duration."""
        length = float(self.end - self.times[0])
        return len(self.times) / length if length > 0 else 0.0


@dataclass(frozen=True)
class SoundStream:
    """What a clip's sound is."""

    end: float  # when it has been heard, seconds
    sample_rate: int  # Hz
    channels: str  # as ffmpeg calls them: "mono", "stereo"


def video_stream(video):
    """The `VideoStream` of a clip. Raises `BadClipError` for one that is cut short or has no pictures."""
    facts, shown, durations = _read_packets(video, "0:V:0", "video stream", ["-xerror"])
    times = np.sort(shown)
    after_start = times[times >= 0]  # an edit list moves what it hides before the start
    times = after_start if len(after_start) else times
    last = durations[-1] or (np.median(np.diff(times)) if len(times) > 1 else 0.0)
    width, height = (max(1, int(pixels)) for pixels in facts["dimensions"].split("x"))
    width = min(max(round(width * (Fraction(facts["sar"]) or 1)), 1), WIDEST * height)
    rotation = _rotation(video)
    if round(rotation) % 180 == 90:
        width, height = height, width
    return VideoStream(times, float(times[-1] + last), width, height, rotation)


def sound_stream(video):
    """The `SoundStream` of a clip. Raises `BadClipError` for one that is cut short or has no sound."""
    facts, shown, durations = _read_packets(video, "0:a:0", "sound")
    return SoundStream(float((shown + durations).max()), int(facts["sample_rate"]), facts["channel_layout_name"])


def _read_packets(video, stream, name, options=()):
    """Read a stream through: ({fact: text}, when its packets are shown, float64 [n], and for how long), in seconds."""
    facts = {"dimensions": "1x1", "sar": "1", "sample_rate": "0", "channel_layout_name": ""}
    decoded, shown, durations = (array.array("q") for _ in range(3))
    with media.streaming([*options, *media.opening(video), "-map", stream, *media.LISTING, "-"]) as ffmpeg:
        for line in ffmpeg.stdout:
            if line.startswith(b"#"):
                fact, _, value = line[1:].decode().partition(": ")
                facts[fact.removesuffix(" 0")] = value.strip()
            else:
                for numbers, cell in zip((decoded, shown, durations), line.split(b",")[1:4], strict=True):
                    numbers.append(int(cell))
    media.refuse_cut(ffmpeg, name)
    if not shown:
        raise BadClipError(f"its {name} is empty")
    unit = float(Fraction(facts["tb"]))
    # AVI notes no times of showing, but those of decoding: a few frames off, at most
    return facts, np.array(decoded if media.NO_TIME in shown else shown) * unit, np.array(durations) * unit


def _rotation(video):
    """Degrees by which the file says to turn its pictures, counterclockwise; 0.0 where it does not."""
    told = media.run(["-v", "info", *media.opening(video)])  # which has no output, so that ffmpeg only tells what it is
    turned = re.search(
        rb"^ *display ?matrix: rotation of (-?[\d.]+) degrees", told.stderr, re.MULTILINE | re.IGNORECASE
    )
    return float(turned[1]) if turned else 0.0
