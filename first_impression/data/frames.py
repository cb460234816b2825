"""Frames out of clips: which ones, as JPEG files, and all of a long one with their times."""

import functools
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from first_impression.common.errors import BadClipError
from first_impression.data import media

MOST_NEEDLESS = 2000  # frames that are left undecoded; more do not fit into one argument of a command

JPEG_QUALITY = 2  # ffmpeg's scale, 2 is its best: about 7 kB a frame, nearer to the source than OpenCV's default
JPEG_END = b"\xff\xd9"  # stands nowhere else in what ffmpeg's encoder writes: in its data, \xff is followed by \0


def frame_indices(total, count, sampling):
    """Which of a clip's `total` frames to keep: a sorted list of distinct indices, at most `count` of them.

    "even" spreads them from the first frame to the last; "first" takes the first `count`, as the original
    TensorFlow code does. A clip with fewer than `count` frames gives them all.
    """
    count = min(count, total)
    if sampling == "first":
        return list(range(count))
    return np.linspace(0, total - 1, count).round().astype(int).tolist()


def extract_frames(video, folder, count, sampling, size):
    """Write frames of `video` as `folder`/frame1.jpg .. in time order; returns how many.

    Each is resized to `size` x `size` pixels without regard to aspect, as the authors do, by an antialiased
    bicubic filter, and turned upright where the file says so.
    Raises `BadClipError` for a video that is cut short, has no pictures or cannot be decoded.
    """
    listed = _list_frames(video)
    wanted = frame_indices(len(listed), count, sampling)
    written = _write_jpegs(video, folder, wanted, size, _needless(listed, wanted))
    if written < len(wanted):
        # Fewer frames than packets: an edit list hides some, or some do not decode. Count what decodes.
        total = _decodable_frames(video)
        wanted = frame_indices(total, count, sampling)
        written = _write_jpegs(video, folder, wanted, size)
    if not wanted or written < len(wanted):
        raise BadClipError(f"only {written} of {len(wanted)} frames could be decoded")
    return written


def frames_from(video, size, start=0.0):
    """Yield (when it is shown, JPEG as bytes) of each frame from `start` on, in seconds, in the order of time.

    The JPEGs are those that `extract_frames` writes. Read as they are decoded, so that an hour takes no more memory
    than a second. Raises `BadClipError` for a video that cannot be decoded.
    """

    def read(opened, entered_at):
        filters = f"trim=start={start - entered_at:.6f},{_resized(size)}"
        form = [*_as_they_come(media.ffmpeg()), "-enc_time_base", "1/1000", "-c:v", "mjpeg", "-q:v", str(JPEG_QUALITY)]
        form += ["-map_metadata", "-1", "-fflags", "+bitexact", "-flush_packets", "1", "-f", "smjpeg", "-"]
        with media.streaming([*opened, "-map", "0:V:0", "-vf", filters, *form]) as ffmpeg:
            for milliseconds, picture in _timed_jpegs(ffmpeg.stdout):
                yield entered_at + milliseconds / 1000, picture
        media.refuse_cut(ffmpeg, "video stream")

    return media.entered(video, start, read)


def _timed_jpegs(smjpeg):
    """Yield (time in milliseconds, JPEG) of each picture in a stream of the format SMJPEG.

    That is one picture after another, each with its time and its length before it: what MJPEG alone does not tell.
    """
    smjpeg.read(16)  # its name, its version, and a duration that nobody knew
    while smjpeg.read(4) not in (b"HEND", b""):
        smjpeg.read(struct.unpack(">I", smjpeg.read(4))[0])
    while len(head := smjpeg.read(12)) == 12:
        _, milliseconds, length = struct.unpack(">4sII", head)
        yield milliseconds, smjpeg.read(length)


class Frame(NamedTuple):
    """A frame as it lies in the file, undecoded."""

    shown: int  # when, in the stream's own unit; media.NO_TIME where the file does not tell
    referred: bool  # whether other frames may need it for their decoding


def _list_frames(video):
    """The frames of the video stream, in the file's order, read through without decoding: a list of `Frame`.

    Only for H.264, and by an ffmpeg of version 6 or later, some are known not to be referred to.
    Raises `BadClipError` for a video that is cut short or has no pictures.
    """
    copies = ["-map", "0:V:0"]
    # The second copy lacks the frames that no other frame refers to
    for copies_and_filter in ([*copies, "-map", "0:V:0", "-bsf:v:1", "filter_units=discard=nonref"], copies):
        done = media.run(["-xerror", *media.opening(video), *copies_and_filter, *media.LISTING, "-"])
        if done.returncode == 0:
            break
    media.refuse_cut(done, "video stream")
    packets, _ = media.read_listing(done.stdout)
    times = [[(packet.decoded, packet.shown) for packet in packets if packet.stream == copy] for copy in (0, 1)]
    referred = set(times[1])
    if b"#codec_id 1: h264" not in done.stdout or not referred.issubset(times[0]):
        referred = set(times[0])
    return [Frame(shown, (decoded, shown) in referred) for decoded, shown in times[0]]


def _needless(listed, wanted):
    """Which frames may go undecoded: [(place in the file, index in time)], for the `wanted` indices."""
    if all(frame.referred for frame in listed) or media.NO_TIME in (frame.shown for frame in listed):
        return []
    wanted = set(wanted)
    in_time = sorted(range(len(listed)), key=lambda place: listed[place].shown)
    unwanted = [(place, index) for index, place in enumerate(in_time) if index not in wanted]
    return [(place, index) for place, index in unwanted if not listed[place].referred][:MOST_NEEDLESS]


def _decodable_frames(video):
    passed = [*_as_they_come(media.ffmpeg()), "-f", "framecrc", "-"]
    done = media.run([*media.opening(video), "-map", "0:V:0", *passed])
    if done.returncode:  # one that failed has counted too few
        raise media.failure(done.stderr)
    return sum(not line.startswith(b"#") for line in done.stdout.splitlines())


def _write_jpegs(video, folder, indices, size, needless=()):
    """Write the frames with these sorted indices, without decoding the `needless`; returns how many came out."""
    if not indices:
        return 0
    dropped = []
    if needless:
        places, missing = map(sorted, zip(*needless, strict=True))
        dropped = ["-bsf:v", f"noise=drop='{_one_of(places)}'"]
        indices = (np.array(indices) - np.searchsorted(missing, indices)).tolist()
    filters = f"select='{_one_of(indices)}',{_resized(size)}"
    form = [*_as_they_come(media.ffmpeg()), "-frames:v", str(len(indices))]
    form += ["-c:v", "mjpeg", "-q:v", str(JPEG_QUALITY), "-threads", "1", "-f", "image2pipe", "-"]
    # one thread each: the clips run side by side
    opening = ["-threads", "1", *dropped, *media.opening(video)]

    def write(stream):
        number = 0
        for number, picture in enumerate(_whole_jpegs(stream), 1):
            (Path(folder) / f"frame{number}.jpg").write_bytes(picture)
        return number

    done = media.stream([*opening, "-map", "0:V:0", "-vf", filters, *form], write)
    if done.returncode:
        if needless:  # an old ffmpeg cannot leave them out: the caller tries without
            return 0
        raise media.failure(done.stderr)
    return done.taken


def _resized(size):
    """The filters that make frames `size` x `size` pixels, in the colours of JPEG."""
    # JPEG knows one colour matrix and range only; accurate_rnd halves the rounding of the fast path
    return f"scale={size}:{size}:flags=bicubic+accurate_rnd:out_color_matrix=bt601:out_range=pc,format=yuvj420p"


def _whole_jpegs(stream):
    """The JPEG files that follow each other in `stream`, as bytes; what does not end as one is left out."""
    rest = b""
    while chunk := stream.read(1 << 16):
        *pictures, rest = (rest + chunk).split(JPEG_END)
        yield from (picture + JPEG_END for picture in pictures)


def _one_of(numbers):
    """ffmpeg's expression for "n is one of these sorted numbers": a search tree, since long sums are refused."""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    if len(runs) == 1:
        return f"between(n,{numbers[0]},{numbers[-1]})"
    left, right = np.concatenate(runs[: len(runs) // 2]), np.concatenate(runs[len(runs) // 2 :])
    return f"if(lt(n,{right[0]}),{_one_of(left)},{_one_of(right)})"


@functools.cache
def _as_they_come(_ffmpeg):
    """The option that keeps this ffmpeg from repeating frames to fill time: its name changed with version 5.1."""
    new, old = ["-fps_mode", "passthrough"], ["-vsync", "passthrough"]
    return old if media.run([*new, "-version"]).returncode else new
