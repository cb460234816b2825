"""What the streams of a clip are, without decoding them: how long, how large, how fine.

ffmpeg lists the packets of a stream in its format framecrc. They are read as they come, 25 bytes each, so that hours
fit into memory. The listing is a process of its own: where decoding stops early, a listing by the same process would
stop there too, and would not show what is missing.
"""

import re
from array import array
from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from first_impression.common.errors import BadClipError
from first_impression.data import media

LISTING = ("-c", "copy", "-f", "framecrc", "-")  # ffmpeg's options for a listing of packets, undecoded
NO_TIME = -(2**63)  # ffmpeg's number for a time that a file does not give
DISCARD = 4  # ffmpeg's flag of a packet that an edit list hides: it is decoded, if at all, but not shown

WIDEST = 32  # the largest width by height taken from a file; broken ones claim anything
ROTATION = re.compile(rb"^\[info\] *display ?matrix: rotation of (-?[\d.]+) degrees", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Packets:
    """The packets of a stream in the file's order; all times are int64 [n], in units of `unit` seconds."""

    facts: dict  # what the listing says of the stream: "media_type", "codec_id", "dimensions", ..: text
    decoded: np.ndarray  # when each is decoded
    shown: np.ndarray  # when it is shown or heard; NO_TIME where the file does not say
    durations: np.ndarray  # for how long; 0 where the file does not say
    discarded: np.ndarray  # 1 for one that an edit list hides, else 0: int8 [n]

    @property
    def unit(self):
        return float(Fraction(self.facts["tb"]))

    @property
    def seconds_shown(self):
        # AVI gives no times of showing, only those of decoding: a few frames off, at most
        return (self.decoded if NO_TIME in self.shown else self.shown) * self.unit


@dataclass(frozen=True)
class VideoStream:
    """What a clip's pictures are. Times are seconds from the clip's start."""

    times: np.ndarray  # when each frame is shown, float64 [n], ascending
    end: float  # when the last one has been shown
    width: int  # pixels as a player shows them: upright, and square
    height: int
    rotation: float  # degrees by which the file says to turn the stored pictures, counterclockwise, -180 to 180
    packets: Packets = field(repr=False)

    @property
    def frame_rate(self):
        """Frames per second, on average; 0.0 where a single frame has no duration."""
        length = float(self.end - self.times[0])
        return len(self.times) / length if length > 0 else 0.0


@dataclass(frozen=True)
class SoundStream:
    """What a clip's sound is."""

    begins: float  # when its first packet is heard, seconds from the clip's start
    end: float  # when it has been heard, seconds from the clip's start
    sample_rate: int  # Hz
    channels: str  # as ffmpeg calls them: "mono", "stereo"
    packets: Packets = field(repr=False)


def probe(video):
    """Read both streams of the file `video` through, undecoded, by one ffmpeg.

    Returns (`VideoStream` or None, `SoundStream` or None, why one is None: {"image" or "audio": reason}).
    Only if damage is found is each stream read once more by itself, to see which of them can be used.
    """
    # Opened once for each stream: a transport stream's clock starts with the first stream in use, as when decoding
    both = [*media.opening(video), *media.opening(video), "-map", "0:V:0?", "-map", "1:a:0?"]
    listed, ffmpeg = list_packets(["-xerror", *media.DESCRIBE, *both])
    found = {packets.facts["media_type"]: packets for packets in listed}
    picture, sound, missing, damaged = None, None, {}, ffmpeg.found_damage
    try:
        picture = video_stream(video) if damaged else as_video_stream(found.get("video"), ffmpeg.log)
    except BadClipError as reason:
        missing["image"] = str(reason)
    try:
        sound = sound_stream(video) if damaged else _as_sound_stream(found.get("audio"))
    except BadClipError as reason:
        missing["audio"] = str(reason)
    return picture, sound, missing


def video_stream(video):
    """The `VideoStream` of a clip. Raises `BadClipError` if it is cut short or has no pictures."""
    listed, ffmpeg = list_packets(["-xerror", *media.DESCRIBE, *media.opening(video), "-map", "0:V:0"])
    media.refuse_cut(ffmpeg, "video stream")
    return as_video_stream(listed[0], ffmpeg.log)


def sound_stream(video):
    """The `SoundStream` of a clip. Raises `BadClipError` if it is cut short or has no sound."""
    listed, ffmpeg = list_packets([*media.opening(video), "-map", "0:a:0"])
    media.refuse_cut(ffmpeg, "sound")
    return _as_sound_stream(listed[0])


def as_video_stream(packets, log=b""):
    """The `VideoStream` in these `Packets`; its rotation is in what ffmpeg has said of it, `log`."""
    _refuse_empty(packets, "video stream")
    times = np.sort(packets.seconds_shown)
    after_start = times[times >= 0]  # an edit list moves what it hides before the start
    times = after_start if len(after_start) else times
    last = packets.durations[-1] * packets.unit or (np.median(np.diff(times)) if len(times) > 1 else 0.0)
    width, height = (max(1, int(pixels)) for pixels in packets.facts.get("dimensions", "1x1").split("x"))
    width = min(max(round(width * (Fraction(packets.facts.get("sar", "1")) or 1)), 1), WIDEST * height)
    rotation = float(found[1]) if (found := ROTATION.search(log)) else 0.0
    if round(rotation) % 180 == 90:
        width, height = height, width
    return VideoStream(times, float(times[-1] + last), width, height, rotation, packets)


def _as_sound_stream(packets):
    _refuse_empty(packets, "sound")
    times = packets.seconds_shown
    end = float((times + packets.durations * packets.unit).max())
    rate, channels = (packets.facts.get(fact, "") for fact in ("sample_rate", "channel_layout_name"))
    return SoundStream(float(times.min()), end, int(rate or 0), channels, packets)


def _refuse_empty(packets, name):
    if packets is None:
        raise BadClipError(f"no {name}")
    if not len(packets.shown):
        raise BadClipError(f"its {name} is empty")


def list_packets(arguments):
    """([`Packets`] of each stream that these arguments of ffmpeg map and it finds, the ended `Streaming`)."""
    facts, columns = defaultdict(dict), defaultdict(lambda: [array(kind) for kind in "qqqb"])
    with media.streaming([*arguments, *LISTING]) as ffmpeg:
        for line in ffmpeg.stdout:
            if line.startswith(b"#"):  # "#tb 0: 1/25", of stream 0
                fact, _, value = line[1:].decode().partition(":")
                fact, _, stream = fact.partition(" ")
                if stream.isdigit():
                    facts[int(stream)][fact] = value.strip()
            else:  # stream, time of decoding, of showing, duration, size, checksum, perhaps flags and more
                stream, *times, _, _ = line.split(b",", 6)[:6]
                flags = line.partition(b"F=0x")[2].partition(b",")[0]
                values = *map(int, times), bool(int(flags or b"0", 16) & DISCARD)
                for column, value in zip(columns[int(stream)], values, strict=True):
                    column.append(value)
    return [Packets(facts[stream], *map(np.array, columns[stream])) for stream in sorted(facts)], ffmpeg
