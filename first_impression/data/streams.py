"""The streams of a clip of any length: when its frames are shown, and frames and samples one after another.

Everything is read as ffmpeg gives it, so that an hour takes no more memory than a second. All times are in seconds
from the clip's start.
"""

import array
import contextlib
import re
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from first_impression.common.errors import BadClipError
from first_impression.data import media

# Where a part begins: ffmpeg is sent to a place this much earlier, since files without a table of their key frames are
# entered in the middle of a group of pictures, which cannot be decoded. Groups of more than 20 s are rare
SEEK_EARLY = 20.0
WIDEST = 32  # width by height that a file can claim for its pictures; broken ones claim anything
SMJPEG = b"\0\nSMJPEG"


@dataclass(frozen=True)
class VideoStream:
    """What a clip's pictures are, without decoding them."""

    times: np.ndarray  # when each frame is shown, float64 [n], ascending
    end: float  # when the last one has been shown
    width: int  # pixels as a player shows them: upright, and square
    height: int
    rotation: float  # degrees by which the file says to turn the stored pictures, counterclockwise

    @property
    def frame_rate(self):
        """Frames per second, on average; 0.0 where a single frame has no duration."""
        length = self.end - self.times[0]
        return len(self.times) / length if length > 0 else 0.0


@dataclass(frozen=True)
class SoundStream:
    """What a clip's sound is, without decoding it."""

    end: float  # when it has been heard
    sample_rate: int  # Hz
    channels: str  # as ffmpeg calls them: "mono", "stereo"


def video_stream(video):
    """The `VideoStream` of a clip. Raises `BadClipError` for one that is cut short or has no pictures."""
    facts, shown, durations = _read_packets(video, "0:V:0", "video stream", ["-xerror"])
    times = np.sort(shown)
    after_start = times[times >= 0]  # an edit list moves what it hides before the start
    times = after_start if len(after_start) else times
    last = durations[-1] or (np.median(np.diff(times)) if len(times) > 1 else 0.0)
    width, height = map(int, facts["dimensions"].split("x"))
    width = min(max(round(width * (Fraction(facts["sar"]) or 1)), 1), WIDEST * height)
    rotation = _rotation(video)
    if round(rotation) % 180 == 90:
        width, height = height, width
    return VideoStream(times, float(times[-1] + last), width, height, rotation)


def sound_stream(video):
    """The `SoundStream` of a clip. Raises `BadClipError` for one that is cut short or has no sound."""
    facts, shown, durations = _read_packets(video, "0:a:0", "sound")
    end = (shown + durations).max()
    return SoundStream(float(end), int(facts["sample_rate"]), facts["channel_layout_name"])


def frames_from(video, size, start=0.0):
    """Yield (when it is shown, JPEG as bytes) for each frame from `start` on, in the order of time.

    The JPEGs are those of `media.extract_frames`, `size` x `size` pixels. Raises `BadClipError` for a video that cannot
    be decoded.
    """
    seek, opened = _open_at(video, start)
    filters = f"trim=start={start - seek:.6f},{media.resized(size)}"
    # SMJPEG: pictures one after another, each with its time in milliseconds and its length before it
    form = [*media._as_they_come(), "-enc_time_base", "1/1000", "-c:v", "mjpeg", "-q:v", str(media.JPEG_QUALITY)]
    form += ["-map_metadata", "-1", "-fflags", "+bitexact", "-flush_packets", "1", "-f", "smjpeg", "-"]
    with _output_of([*opened, "-map", "0:V:0", "-vf", filters, *form], "video stream") as output:
        if output.read(8) == SMJPEG:
            output.read(8)  # its version, and a duration that nobody knew
            while (kind := output.read(4)) not in (b"HEND", b""):
                output.read(struct.unpack(">I", output.read(4))[0])
        while len(head := output.read(12)) == 12:
            _, milliseconds, length = struct.unpack(">4sII", head)
            yield seek + milliseconds / 1000, output.read(length)


def samples_from(video, start=0.0):
    """Yield the sound from `start` on, a second at a time: int16 [n, 2] at 44,100 Hz, gaps filled with silence.

    Raises `BadClipError` for a sound that cannot be decoded.
    """
    seek, opened = _open_at(video, start)
    filters = f"aresample={media.SAMPLE_RATE}:async=1:first_pts=0,atrim=start={start - seek:.6f}"
    form = ["-t", str(media.LONGEST_SOUND), "-ac", str(media.CHANNELS), "-f", "s16le", "-"]
    bytes_of_second = media.SAMPLE_RATE * media.CHANNELS * 2
    with _output_of([*opened, "-map", "0:a:0", "-af", filters, *form], "sound") as output:
        while chunk := output.read(bytes_of_second):
            whole = len(chunk) // (2 * media.CHANNELS) * 2 * media.CHANNELS
            yield np.frombuffer(chunk[:whole], "<i2").reshape(-1, media.CHANNELS)


def _open_at(video, start):
    """Where ffmpeg begins to read for a part from `start` on, and the arguments that open the clip there."""
    seek = max(0.0, start - SEEK_EARLY)
    return seek, [*(["-ss", f"{seek:.6f}"] if seek else []), *media._input(video)]


def _read_packets(video, stream, name, options=()):
    """Read a stream through without decoding: ({fact: text}, when its packets are shown, for how long), in seconds."""
    facts = {"dimensions": "1x1", "sar": "1", "sample_rate": "0", "channel_layout_name": ""}
    decoded, shown, durations = (array.array("q") for _ in range(3))
    arguments = [*options, *media._input(video), "-map", stream, "-c", "copy", "-f", "framecrc", "-"]
    with _output_of(arguments, name) as output:
        for line in output:
            if line.startswith(b"#"):
                key, _, value = line[1:].decode().partition(": ")
                facts[key.removesuffix(" 0")] = value.strip()
            else:
                for numbers, cell in zip((decoded, shown, durations), line.split(b",")[1:4], strict=True):
                    numbers.append(int(cell))
    if not shown:
        raise BadClipError(f"its {name} is empty")
    unit = float(Fraction(facts["tb"]))
    # AVI notes no times of showing, but those of decoding: a few frames off, at most
    return facts, np.array(decoded if media.NO_TIME in shown else shown) * unit, np.array(durations) * unit


def _rotation(video):
    """Degrees by which the file says to turn its pictures, counterclockwise; 0.0 where it does not."""
    command = [media.ffmpeg(), "-nostdin", "-hide_banner", *media._input(video)]  # which tells it, and goes no further
    told = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True).stderr.decode(errors="replace")
    turned = re.search(r"^ *display ?matrix: rotation of (-?[\d.]+) degrees", told, re.MULTILINE | re.IGNORECASE)
    return float(turned[1]) if turned else 0.0


@contextlib.contextmanager
def _output_of(arguments, name):
    """An ffmpeg at work; gives its standard output, which the block reads to the end while it works.

    Where it has failed by then, or found no stream of this `name`, that is raised. It ends with the block.
    """
    command = [media.ffmpeg(), "-nostdin", "-v", "error", *arguments]
    with tempfile.TemporaryFile() as notes:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=notes) as process:
            try:
                yield process.stdout
                process.wait()
            finally:
                process.kill()  # where nobody reads on; one that has ended takes no notice
        media._refuse_killed(process.returncode)
        notes.seek(0)
        media._refuse_cut(subprocess.CompletedProcess(command, process.returncode, b"", notes.read()), name)
