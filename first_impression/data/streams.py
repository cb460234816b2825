"""What the streams of a clip are, without decoding them: how long, how large, how fine.

All is taken from the listing of their packets (packets.py) and from how ffmpeg describes the file (description.py).
"""

import struct
from array import array
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from first_impression.common.errors import BadClipError
from first_impression.data import description, media
from first_impression.data.packets import CORRUPT, DISCARD, Packets, list_packets

BOTH = ("-map", "0:V:0?", "-map", "0:a:0?")
CLOCK = (*BOTH, "-c", "copy", "-f", "null", "-")  # options that have ffmpeg read both, so that their clock is one

WIDEST = 32  # the largest width by height taken from a file; broken ones claim anything
MAY_LACK, SHARE_MAY_LACK = 0.3, 0.02  # seconds, and share, by which a stream may be shorter than is declared
PLACED = 0.1  # seconds by which a sound may begin late, or pause, without being placed at its time
PICTURE_CODECS = ("mjpeg", "png", "webp", "bmp", "gif", "tiff", "jpegxl", "jpeg2000")  # of covers


@dataclass(frozen=True)
class VideoStream:
    """What a clip's pictures are. Times are seconds from the clip's start."""

    times: np.ndarray  # when each frame is shown, float64 [n], ascending
    end: float  # when the last one has been shown
    width: int  # pixels as a player shows them: upright, and square
    height: int
    rotation: float  # degrees by which the file says to turn the stored pictures, counterclockwise, -180 to 180
    hdr: str  # "HLG" or "PQ" for pictures of high dynamic range, else ""
    colours: tuple  # matrix and primaries, as `description.Declared` has them
    clock: tuple  # as in `SoundStream`
    packets: Packets = field(repr=False)

    @property
    def frame_rate(self):
        """Frames per second, on average; 0.0 where a single frame has no duration."""
        length = float(self.end - self.times[0])
        return len(self.times) / length if length > 0 else 0.0

    @property
    def damaged(self):
        """How many of the frames the file holds in part only."""
        return int(np.count_nonzero(self.packets.flags & CORRUPT))

    def seconds_in(self, start, end):
        """How long there are pictures between `start` and `end`, all in seconds."""
        return max(0.0, min(self.end, end) - max(float(self.times[0]), start))


@dataclass(frozen=True)
class SoundStream:
    """What a clip's sound is."""

    begins: float  # when its first packet is heard, seconds from the clip's start
    end: float  # when it has been heard, seconds from the clip's start
    sample_rate: int  # Hz
    channels: str  # as ffmpeg calls them: "mono", "stereo"
    unnamed: int  # how many channels there are if the file does not say what they are, else 0
    track: int  # which one of the file's tracks of sound
    clock: tuple  # ffmpeg's options, after those that open the file, that start its clock with the clip
    packets: Packets = field(repr=False)

    @property
    def is_interrupted(self):
        """Whether it begins late or pauses, by more than PLACED."""
        begins, lasts = self._packets_heard
        return self.begins > PLACED or bool((np.diff(begins) - lasts[:-1] > PLACED).any())

    def seconds_in(self, start, end):
        """How long there is sound between `start` and `end`, without its pauses; all in seconds."""
        begins, lasts = self._packets_heard
        return float((np.clip(begins + lasts, start, end) - np.clip(begins, start, end)).sum())

    @property
    def _packets_heard(self):
        """When each packet is heard, and for how long, in seconds: float64 [n] both."""
        heard = self.packets.flags & DISCARD == 0
        begins, lasts = self.packets.seconds_shown[heard], self.packets.durations[heard] * self.packets.unit
        if not lasts.any() and len(lasts) > 1:  # the file does not say
            lasts = np.full(len(lasts), np.median(np.diff(begins)))
        # where times have a gap, MP4 adds all of it to the packet before
        return begins, np.minimum(lasts, 2 * np.median(lasts)) if len(lasts) else lasts


def probe(video):
    """Read both streams of the file `video` through, undecoded, by one ffmpeg.

    Returns (`VideoStream` or None, `SoundStream` or None, why one is None: {"image" or "audio": reason}).
    Only if something is odd are more ffmpegs started.
    """
    listed, ffmpeg = list_packets([*media.DESCRIBE, *media.opening(video), *BOTH])
    found = {packets.facts["media_type"]: packets for packets in listed}
    picture, sound, missing, damaged = None, None, {}, ffmpeg.found_damage
    try:
        picture = video_stream(video) if damaged else as_video_stream(video, found.get("video"), ffmpeg.log)
        picture = _unless_mirrored(video, picture)
    except BadClipError as reason:
        missing["image"] = str(reason)
    try:
        sound = sound_stream(video) if damaged else _as_sound_stream(video, found.get("audio"), ffmpeg.log)
    except BadClipError as reason:
        missing["audio"] = str(reason)
    try:
        if ends := [stream.end for stream in (picture, sound) if stream]:
            refuse_short(video, max(ends), ffmpeg.log)
    except BadClipError as reason:
        return None, None, {"image": str(reason), "audio": str(reason)} | missing
    return picture, sound, missing


def video_stream(video):
    """The `VideoStream` of a clip. Raises `BadClipError` if it is cut short, damaged or has no pictures."""
    return as_video_stream(video, *_list(video, "video", ("-map", "0:V:0"), "video stream"))


def sound_stream(video):
    """The `SoundStream` of a clip. Raises `BadClipError` if it is cut short or has no sound."""
    return _as_sound_stream(video, *_list(video, "audio", ("-map", "0:a:0"), "sound"))


def _list(video, kind, alone, name):
    """(The `Packets` of one kind of stream, what ffmpeg says of the file).

    Listed beside the other kind, with which it shares the clip's clock; by itself if one of them is damaged.
    """
    listed, ffmpeg = list_packets([*media.DESCRIBE, *media.opening(video), *BOTH])
    if ffmpeg.found_damage:
        refuse_missing(video)
        listed, ffmpeg = list_packets([*media.DESCRIBE, *media.opening(video), *alone])
        media.refuse_cut(ffmpeg, name)
    return next((packets for packets in listed if packets.facts["media_type"] == kind), None), ffmpeg.log


def as_video_stream(video, packets, log):
    """The `VideoStream` of a clip from its `Packets` and from what ffmpeg says of the file.

    Raises `BadClipError` where there are none, where there is a single picture in a clip that goes on, as the cover of
    a piece of music, and where too many are damaged.
    """
    refuse_empty(packets, "video stream")
    declared = next((stream for stream in description.streams(log) if stream.is_video and not stream.is_cover), None)
    codec = declared.codec if declared else ""
    if codec == "vp8":
        packets = _without_hidden(video, packets)
    times = np.sort(packets.seconds_shown)
    after_start = times[times >= 0]  # an edit list moves what it hides before the start
    times = after_start if len(after_start) else times
    last = packets.durations[-1] * packets.unit or (np.median(np.diff(times)) if len(times) > 1 else 0.0)
    width, height = (max(1, int(pixels)) for pixels in packets.facts.get("dimensions", "1x1").split("x"))
    width = min(max(round(width * (Fraction(packets.facts.get("sar", "1")) or 1)), 1), WIDEST * height)
    rotation = declared.rotation if declared else 0.0
    if round(rotation) % 180 == 90:
        width, height = height, width
    hdr, colours = (declared.hdr, declared.colours) if declared else ("", ("unknown", "unknown"))
    clock = CLOCK if description.has_own_clocks(log) else ()
    stream = VideoStream(times, float(times[-1] + last), width, height, rotation, hdr, colours, clock, packets)
    lasts = description.duration(log)
    if len(packets.shown) == 1 and (codec in PICTURE_CODECS or 2 * stream.end < lasts < np.inf):
        raise BadClipError("a picture, not a clip")
    refuse_damaged(stream.damaged, len(times))
    return stream


def _without_hidden(video, packets):
    """The `Packets` of a VP8 stream that are shown: others are there for the decoder alone.

    These stand at the time of another one. Their first bytes tell them (RFC 6386, section 9.1).
    """
    steps = np.diff(packets.seconds_shown)
    if not (len(steps) and 2 * steps.min() < np.median(steps)):
        return packets
    shown = array("b")

    def read(ivf):
        ivf.read(struct.unpack("<4sHH", ivf.read(8))[2] - 8)  # the file's head
        while len(head := ivf.read(12)) == 12:
            content = ivf.read(struct.unpack("<I", head[:4])[0])
            shown.append(bool(content and content[0] >> 4 & 1))

    ffmpeg = media.stream([*media.opening(video), "-map", "0:V:0", "-c", "copy", "-f", "ivf"], read)
    if ffmpeg.returncode or len(shown) != len(packets.shown) or not any(shown):
        return packets
    kept = np.array(shown, bool)
    columns = {name: getattr(packets, name)[kept] for name in ("decoded", "shown", "durations", "flags")}
    return replace(packets, **columns)


def _unless_mirrored(video, stream):
    """The stream, its rotation 0 if ffmpeg says 180 degrees and the file means a mirror, which it calls the same."""
    if round(abs(stream.rotation)) != 180:
        return stream
    # The first picture mirrored by hand, and as ffmpeg turns it
    stored, turned = ["-noautorotate", *media.opening(video)], media.opening(video)
    both = ["-map", "0:V:0", "-map", "1:V:0", "-filter:v:0", "hflip", "-frames:v", "1", "-f", "framecrc"]
    lines = media.stream([*stored, *turned, *both], lambda crc: [line for line in crc if line[:1] != b"#"]).taken
    checksums = {line.split(b",")[5].strip() for line in lines}
    return replace(stream, rotation=0.0) if len(lines) == 2 and len(checksums) == 1 else stream


def _as_sound_stream(video, packets, log):
    refuse_empty(packets, "sound")
    tracks = [stream for stream in description.streams(log) if not stream.is_video]
    track = _track(video, tracks) if len(tracks) > 1 else 0
    if track:
        listed, ffmpeg = list_packets([*media.opening(video), "-map", "0:V:0?", "-map", f"0:a:{track}"])
        media.refuse_cut(ffmpeg, "sound")
        packets = listed[-1]
        refuse_empty(packets, "sound")
    rate, channels = (packets.facts.get(fact, "") for fact in ("sample_rate", "channel_layout_name"))
    begins, unnamed = float(packets.seconds_shown.min()), tracks[track].channels if tracks else 0
    clock = CLOCK if description.has_own_clocks(log) else ()
    return SoundStream(begins, packets.end, int(rate or 0), channels, unnamed, track, clock, packets)


def _track(video, tracks):
    """Which of several tracks of sound to take: the first that decodes, those that are the default before others."""
    order = sorted(range(len(tracks)), key=lambda number: not tracks[number].is_default)
    for number in order:
        few = ["-map", f"0:a:{number}", "-frames:a", "3", "-f", "s16le"]
        if media.stream([*media.opening(video), *few], lambda pcm: len(pcm.read())).taken:
            return number
    return order[0]


def refuse_empty(packets, name):
    if packets is None:
        raise BadClipError(f"no {name}")
    if not len(packets.shown):
        raise BadClipError(f"its {name} is empty")


def refuse_damaged(lost, total):
    """Raise `BadClipError` if more than 2 % of the frames are `lost`, and more than one."""
    if lost > max(1, SHARE_MAY_LACK * total):
        raise BadClipError(f"damaged: {lost} of {total} frames are lost")


def refuse_short(video, end, log):
    """Raise `BadClipError` if the file is shorter than it declares, in bytes or, by ffmpeg's `log`, in seconds.

    Its streams that are used end at `end` seconds; the others are listed only if it seems too short.
    """
    refuse_missing(video)
    declared = description.duration(log)
    if declared < np.inf and is_short(end, declared):
        kinds = [option for kind in "vasd" for option in ("-map", f"0:{kind}?")]
        listed, _ = list_packets([*media.opening(video), *kinds])
        end = max([end, *(packets.end for packets in listed if len(packets.shown))])
        if is_short(end, declared):
            raise BadClipError(
                f"only {end:.1f} of the {declared:.1f} s that it declares can be read: cut short, or a broken index"
            )


def refuse_missing(video):
    """Raise `BadClipError` if the file has fewer bytes than it declares."""
    missing = description.missing_share(video)
    if missing > SHARE_MAY_LACK:
        raise BadClipError(f"cut short: {missing:.0%} of the file is missing")


def is_short(found, expected):
    """Whether so many seconds are clearly fewer than expected."""
    return found < expected * (1 - SHARE_MAY_LACK) - MAY_LACK
