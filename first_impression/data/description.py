"""What a clip's file declares: how long it lasts, how many bytes it has, and which streams are in it.

ffmpeg describes a file when it opens it, in the part of its log that `media.DESCRIBE` asks for. It leaves out how many
bytes the file should have, which some containers say in their first bytes.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

DURATION = re.compile(rb"^\[info\] +Duration: (\d+):(\d+):([0-9.]+)", re.MULTILINE)
GUESSED = b"Estimating duration from bitrate"
FORMAT = re.compile(rb"^\[info\] Input #0, ([\w,]+), from", re.MULTILINE)
OWN_CLOCKS = ("mpegts", "mpeg", "ogg", "nut")  # formats whose times may start anew: AVFMT_TS_DISCONT in ffmpeg
STREAM = re.compile(rb"^\[info\] +Stream #0:\d+\S*: (Video|Audio): ([^ ,]+)(.*)", re.MULTILINE)
OTHERS = re.compile(rb"^\[info\] (Input #[1-9]|Output #|Stream mapping)", re.MULTILINE)  # what is described after it
ROTATION = re.compile(rb"^\[info\] *display ?matrix: rotation of (-?[\d.]+) degrees", re.MULTILINE | re.IGNORECASE)
# As in "yuv420p10le(tv, bt2020nc/bt2020/arib-std-b67, progressive)": matrix, primaries, transfer function
COLOURS = re.compile(rb"\w+\([^)]*?\b([\w-]+)/([\w-]+)/([\w-]+)")
HDR = {"arib-std-b67": "HLG", "smpte2084": "PQ"}  # transfer function -> what it is called (ITU-R BT.2100)
MANY_CHANNELS = re.compile(rb", (\d+) channels")  # where the file does not say which loudspeaker each belongs to
COVER = b"(attached pic)"

FIRST_BYTES = 1 << 16  # of an ASF file, in which its size stands
BOXES = frozenset(b"ftyp styp moov moof mdat mfra sidx free skip wide pnot udta uuid meta emsg prft".split())
UNKNOWN_SIZE = 0x7FFFFF00  # RIFF: from here on, what recorders write that do not know the size
# Advanced Systems Format: how it begins; the GUID of its File Properties Object, and where the size stands in that
ASF = bytes.fromhex("3026b2758e66cf11")
ASF_PROPERTIES, ASF_SIZE_AT = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"), 40


@dataclass(frozen=True)
class Declared:
    """A stream as its file describes it."""

    is_video: bool
    codec: str
    is_default: bool  # whether a player takes this one of several
    is_cover: bool
    rotation: float  # degrees, counterclockwise, -180 to 180
    hdr: str  # "HLG" or "PQ"; "" for pictures of ordinary range
    colours: tuple  # matrix and primaries as ffmpeg calls them: "bt2020nc", "bt2020"; "unknown" where not said
    channels: int  # of a sound whose file does not say what they are; else 0


def streams(log):
    """What ffmpeg's log says of the streams of the first file it opened: [`Declared`] in the file's order."""
    other = OTHERS.search(log)
    log = log[: other.start()] if other else log
    found = list(STREAM.finditer(log))
    starts = [stream.start() for stream in found] + [len(log)]
    return [_declared(stream, log[stream.end() : end]) for stream, end in zip(found, starts[1:], strict=True)]


def _declared(stream, details):
    kind, codec, line = stream.groups()
    colours = COLOURS.search(line)
    *colours, transfer = (part.decode() for part in colours.groups()) if colours else ("unknown", "unknown", "")
    rotation, channels = ROTATION.search(details), MANY_CHANNELS.search(line)
    return Declared(
        kind == b"Video",
        codec.decode(errors="replace"),
        b"(default)" in line,
        COVER in line,
        float(rotation[1]) if rotation else 0.0,
        HDR.get(transfer, ""),
        tuple(colours),
        int(channels[1]) if channels else 0,
    )


def has_own_clocks(log):
    """Whether ffmpeg starts the file's clock with the first of those streams that it is asked for."""
    found = FORMAT.search(log)
    return bool(found) and found[1].decode() in OWN_CLOCKS


def duration(log):
    """The seconds that the file lasts, as ffmpeg's log has it; infinite where the file does not say."""
    found = DURATION.search(log)
    if not found or GUESSED in log:
        return math.inf
    hours, minutes, seconds = map(float, found.groups())
    return 3600 * hours + 60 * minutes + seconds


def missing_share(video):
    """The share of the file that is missing by the sizes that it declares itself, 0 to 1; 0 where it declares none.

    RIFF (AVI, WAV), ASF (WMV) and MP4 declare some.
    """
    there = Path(video).stat().st_size
    with open(video, "rb") as file:
        start, size = file.read(8), 0
        if start[:4] == b"RIFF":
            size = int.from_bytes(start[4:], "little") + 8
            size = 0 if size >= UNKNOWN_SIZE else size
        elif start == ASF:
            head = file.read(FIRST_BYTES)
            at = head.find(ASF_PROPERTIES) + ASF_SIZE_AT
            size = int.from_bytes(head[at : at + 8], "little") if at >= ASF_SIZE_AT else 0
        elif start[4:] in BOXES:
            size = _end_of_boxes(file, there)
    return max(0.0, 1 - there / size) if size else 0.0


def _end_of_boxes(file, there):
    """Where the last of an MP4's outermost boxes ends, in bytes (ISO/IEC 14496-12, section 4.2)."""
    at = 0
    while at < there:
        file.seek(at)
        head = file.read(16)
        size = int.from_bytes(head[:4], "big")
        if size == 1:  # a long one
            size = int.from_bytes(head[8:16], "big")
        if size < 8 or head[4:8] not in BOXES:  # one that reaches to the end, or something else
            return there
        at += size
    return at
