"""Frames of clips: which ones to take, written as JPEG files, and all of a long clip's with their times."""

import functools
import struct
from pathlib import Path

import numpy as np

from first_impression.common.errors import BadClipError
from first_impression.data import media, streams, windows
from first_impression.data.windows import frame_indices

MAY_LACK = 0.02  # of a long clip's frames; edit lists hide some, and a file may end within one
LONGEST = 6 * 3600  # seconds; damaged or invented times can claim years
MOST_NEEDLESS = 2000  # frames that are left undecoded; more do not fit into one argument of a command line

# At ffmpeg's best quality: about 7 kB a frame, nearer to the source than OpenCV's default
AS_JPEG = ("-c:v", "mjpeg", "-q:v", "2")
JPEG_END = b"\xff\xd9"  # found nowhere else in what ffmpeg's encoder writes: in its data, \xff is followed by \0


def extract_frames(video, folder, count, sampling, size, packets=None):
    """Write frames of `video` as `folder`/frame1.jpg .. in time order; returns how many.

    Each is resized to `size` x `size` pixels without regard to aspect, as the authors do, by an antialiased bicubic
    filter, and turned upright where the file says so. `packets` are the `Packets` of its pictures; without them they
    are listed first, in the way that makes decoding fastest. A clip longer than those of the dataset gives `count`
    frames of each of its windows (windows.py), one window after the other.
    Raises `BadClipError` for a video that is cut short, has no pictures or cannot be decoded.
    """
    packets, referred = (packets, None) if packets else _list_frames(video)
    if len(spans := _windows(packets)) > 1:
        return _write_windows(video, folder, spans, len(packets.shown), count, sampling, size)
    wanted = frame_indices(len(packets.shown), count, sampling)
    written = _write_jpegs(video, folder, wanted, size, _needless(packets, referred, wanted))
    if written < len(wanted):
        # Fewer frames than packets: an edit list hides some, or some do not decode. Count what decodes
        listing = [*media.opening(video), "-map", "0:V:0", *_as_they_come(media.ffmpeg()), "-f", "framecrc"]
        decoded = media.stream(listing, lambda lines: sum(not line.startswith(b"#") for line in lines))
        if decoded.returncode:  # it has counted too few
            raise media.failure(decoded.stderr)
        wanted = frame_indices(decoded.taken, count, sampling)
        written = _write_jpegs(video, folder, wanted, size)
    if not wanted or written < len(wanted):
        raise BadClipError(f"only {written} of {len(wanted)} frames could be decoded")
    return written


def _windows(packets):
    """The windows of a clip with pictures in these `Packets`; none where their times cannot be true, or they are few.

    Few are less than a picture per window, as in a slide show.
    """
    end = streams.as_video_stream(packets).end if len(packets.shown) else 0.0
    spans = windows.plan(0.0, end) if end <= LONGEST else []
    return spans if len(spans) <= len(packets.shown) else []


def _write_windows(video, folder, spans, listed, count, sampling, size):
    """Write the frames of a long clip's windows; returns how many. `listed` is the number of frames in the clip."""
    decoded = written = 0

    def counted_frames():
        nonlocal decoded
        for frame in frames_from(video, size):
            decoded += 1
            yield frame

    for window in windows.frames_in(spans, counted_frames(), count, sampling):
        for _, picture in window:
            written += 1
            (Path(folder) / f"frame{written}.jpg").write_bytes(picture)
    if decoded < listed * (1 - MAY_LACK) - 1:
        raise BadClipError(f"only {decoded} of {listed} frames could be decoded")
    return written


def frames_from(video, size, start=0.0):
    """Yield (when it is shown, in seconds, its JPEG as bytes) for each frame from `start` (seconds) on, in time order.

    The JPEGs are those that `extract_frames` writes; an hour takes no more memory than a second.
    Raises `BadClipError` for a video that cannot be decoded.
    """

    def read(opened, entered_at):
        filters = f"trim=start={start - entered_at:.6f},{_resized(size)}"
        form = [*_as_they_come(media.ffmpeg()), *AS_JPEG, "-enc_time_base", "1/1000", "-map_metadata", "-1"]
        form += ["-fflags", "+bitexact", "-flush_packets", "1", "-f", "smjpeg", "-"]
        with media.streaming([*opened, "-map", "0:V:0", "-vf", filters, *form]) as ffmpeg:
            smjpeg = ffmpeg.stdout  # a format that unlike MJPEG gives each picture's time
            smjpeg.read(16)  # its name, its version, and a duration that was not known
            while smjpeg.read(4) not in (b"HEND", b""):
                smjpeg.read(struct.unpack(">I", smjpeg.read(4))[0])
            while len(head := smjpeg.read(12)) == 12:
                _, milliseconds, length = struct.unpack(">4sII", head)
                yield entered_at + milliseconds / 1000, smjpeg.read(length)
        media.refuse_cut(ffmpeg, "video stream")

    return media.entered(video, start, read)


def _list_frames(video):
    """The `Packets` of a clip's pictures, and which of them others may need for their decoding, bool [n].

    Only for H.264, and by an ffmpeg of version 6 or later, some are known not to be needed.
    """
    opened = ["-xerror", *media.opening(video), "-map", "0:V:0"]
    # The second copy of the stream lacks the frames that no other frame refers to
    listed, ffmpeg = streams.list_packets([*opened, "-map", "0:V:0", "-bsf:v:1", "filter_units=discard=nonref"])
    if ffmpeg.returncode:
        listed, ffmpeg = streams.list_packets(opened)
    media.refuse_cut(ffmpeg, "video stream")
    when = [np.stack([copy.decoded, copy.shown], axis=1).view("i8,i8").ravel() for copy in listed]
    referred = np.ones(len(when[0]), bool)
    if len(listed) > 1 and listed[1].facts["codec_id"] == "h264" and np.isin(when[1], when[0]).all():
        referred = np.isin(when[0], when[1])
    return listed[0], referred


def _needless(packets, referred, wanted):
    """Which frames may stay undecoded for the `wanted` indices: (places in the file, indices in time), int [k] both."""
    if referred is None or streams.NO_TIME in packets.shown:
        return (), ()
    in_time = np.argsort(packets.shown, kind="stable")  # the place in the file of each
    unwanted = np.setdiff1d(np.flatnonzero(~referred[in_time]), wanted)[:MOST_NEEDLESS]
    return np.sort(in_time[unwanted]), unwanted


def _write_jpegs(video, folder, indices, size, needless=((), ())):
    """Write the frames with these sorted indices, without decoding the `needless`; returns how many came out."""
    if not indices:
        return 0
    places, missing = needless
    dropped = ["-bsf:v", f"noise=drop='{_one_of(places)}'"] if len(places) else []
    kept = np.array(indices) - np.searchsorted(missing, indices)
    select = f"select='{_one_of(kept)}',"
    ffmpeg = _encode(video, [*media.DESCRIBE_GRAPHS, *dropped], select, size, len(kept), lambda s: _write(s, folder))
    if not ffmpeg.returncode and ffmpeg.log.count(media.GRAPH_OF_PICTURES) > 1:
        # The pictures' size or form changes midway. ffmpeg then builds its filters anew, and `select` counts from 0
        # again: encode all frames, and choose here
        chosen = set(indices)
        ffmpeg = _encode(video, [], "", size, indices[-1] + 1, lambda s: _write(s, folder, chosen.__contains__))
    if not ffmpeg.returncode:
        return ffmpeg.taken
    if dropped:  # an old ffmpeg cannot leave them out: the caller tries without
        return 0
    raise media.failure(ffmpeg.stderr)


def _encode(video, options, select, size, most, take):
    """Have `take` read the JPEGs of at most so many frames that `select`, a filter and a comma, lets through."""
    one_thread = ["-threads", "1"]  # for decoder and encoder: the clips run side by side
    opened = [*one_thread, *options, *media.opening(video)]
    form = [*_as_they_come(media.ffmpeg()), "-frames:v", str(most), *AS_JPEG, "-f", "image2pipe"]
    return media.stream([*opened, "-map", "0:V:0", "-vf", select + _resized(size), *one_thread, *form], take)


def _write(stream, folder, is_chosen=lambda index: True):
    """Write the chosen of the JPEGs in `stream` as `folder`/frame1.jpg ..; returns how many."""
    index, written, rest = 0, 0, b""  # a last picture that is incomplete stays in the rest
    while chunk := stream.read(1 << 16):
        *pictures, rest = (rest + chunk).split(JPEG_END)
        for picture in pictures:
            if is_chosen(index):
                written += 1
                (Path(folder) / f"frame{written}.jpg").write_bytes(picture + JPEG_END)
            index += 1
    return written


def _resized(size):
    """The filters that make frames `size` x `size` pixels, in the colours of JPEG."""
    # JPEG knows one colour matrix and range only; accurate_rnd halves the rounding of the fast path
    return f"scale={size}:{size}:flags=bicubic+accurate_rnd:out_color_matrix=bt601:out_range=pc,format=yuvj420p"


def _one_of(numbers):
    """ffmpeg's expression for "n is one of these sorted numbers": a search tree, since ffmpeg refuses long sums."""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    if len(runs) == 1:
        return f"between(n,{numbers[0]},{numbers[-1]})"
    left, right = np.concatenate(runs[: len(runs) // 2]), np.concatenate(runs[len(runs) // 2 :])
    return f"if(lt(n,{right[0]}),{_one_of(left)},{_one_of(right)})"


@functools.cache
def _as_they_come(_ffmpeg):
    """The option that keeps this ffmpeg from repeating frames to fill time: its name changed with version 5.1."""
    new = ["-fps_mode", "passthrough"]
    trial = media.stream([*new, "-version"], lambda output: output.read())
    return ["-vsync", "passthrough"] if trial.returncode else new
