"""Frames of clips: which ones to take, written as JPEG files, and all of a long clip's with their times."""

import functools
import re
import struct
from pathlib import Path

import numpy as np

from first_impression.common.errors import BadClipError
from first_impression.data import media, streams, windows
from first_impression.data.packets import NO_TIME, list_packets
from first_impression.data.windows import frame_indices

LONGEST = 6 * 3600  # seconds; damaged or invented times can claim years
MOST_NEEDLESS = 2000  # frames that are left undecoded; more do not fit into one argument of a command line

# At ffmpeg's best quality: about 7 kB a frame, nearer to the source than OpenCV's default
AS_JPEG = ("-c:v", "mjpeg", "-q:v", "2")
# The encoder refuses a frame that is not later than the one before, and rounds to milliseconds with these; frames can
# stand still or go back where files were joined
IN_ORDER = "setpts='if(isnan(PREV_OUTPTS),PTS,max(PTS,PREV_OUTPTS+ceil(0.001/TB)))'"
MILLISECONDS = ("-enc_time_base", "1/1000")
JPEG_END = b"\xff\xd9"  # found nowhere else in what ffmpeg's encoder writes: in its data, \xff is followed by \0

# What ffmpeg says of a frame that it shows in part, and of a packet that gives none
LOST = re.compile(rb"corrupt decoded frame|Decoding error|Error submitting packet|Error while decoding stream")

# High dynamic range becomes ordinary as ITU-R BT.2408 relates them: its reference white, 203 cd/m2, is BT.709's. Up to
# a third of it light stays as it is; brighter light, up to 1,000 cd/m2, is compressed
WHITE, BRIGHTEST = 203, 1000  # cd/m2
HDR_TRANSFER = {"HLG": "arib-std-b67", "PQ": "smpte2084"}
BT2020 = "bt2020nc", "bt2020"  # matrix and primaries where a file does not say


def extract_frames(video, folder, count, sampling, size, stream=None, note=lambda words: None, nvdec=None):
    """Write frames of `video` as `folder`/frame1.jpg .. in time order; returns how many.

    Each is resized to `size` x `size` pixels without regard to aspect, as the authors do, by an antialiased bicubic
    filter, turned upright where the file says so, and brought to BT.709's range if it is HDR. A clip longer than those
    of the dataset gives `count` frames of each of its windows (windows.py), one window after the other. `stream` is the
    clip's `VideoStream`; without it the file is listed first, in the way that makes decoding fastest. `note` is called
    with what is to be known of the pictures, as text. With `nvdec` NVDEC decodes, to the same pictures; it is called if
    the CPU has to do it, because NVDEC cannot or stumbles over damage. Of long clips the CPU decodes all.
    Raises `BadClipError` for a video that is cut short, has no pictures or cannot be decoded.
    """
    stream, referred = (stream, None) if stream else _list_frames(video)
    total = len(stream.packets.shown)
    if len(spans := _windows(stream)) > 1:
        return _write_windows(video, folder, spans, stream, count, sampling, size, note)
    wanted = frame_indices(total, count, sampling)
    needless = _needless(stream.packets, referred, wanted)
    written, lost = _write_jpegs(video, folder, wanted, size, stream, needless, nvdec)
    if written < len(wanted):
        # Fewer frames than packets: an edit list hides some, or some do not decode. Count what decodes
        listing = [*media.DESCRIBE, *media.opening(video), "-map", "0:V:0", *_as_they_come(media.ffmpeg())]
        decoded = media.stream([*listing, "-f", "framecrc"], lambda lines: sum(line[:1] != b"#" for line in lines))
        if decoded.returncode:  # it has counted too few
            raise media.failure(decoded.stderr)
        wanted = frame_indices(decoded.taken, count, sampling)
        written, lost = _write_jpegs(video, folder, wanted, size, stream)
    if not wanted or written < len(wanted):
        raise BadClipError(f"only {written} of {len(wanted)} frames could be decoded")
    for words in peculiarities(stream, lost):
        note(words)
    return written


def _windows(stream):
    """The windows of a clip with this `VideoStream`; none where its times cannot be true, or its pictures are few.

    Few are less than a picture per window, as in a slide show.
    """
    spans = windows.plan(0.0, stream.end) if stream.end <= LONGEST else []
    return spans if len(spans) <= len(stream.packets.shown) else []


def _write_windows(video, folder, spans, stream, count, sampling, size, note):
    """Write the frames of a long clip's windows; returns how many."""
    decoded = written = 0

    def counted_frames():
        nonlocal decoded
        for frame in frames_from(video, size, stream=stream, note=note):
            decoded += 1
            yield frame

    for window in windows.frames_in(spans, counted_frames(), count, sampling):
        for _, picture in window:
            written += 1
            (Path(folder) / f"frame{written}.jpg").write_bytes(picture)
    listed = len(stream.packets.shown)
    if decoded < listed * (1 - streams.SHARE_MAY_LACK) - 1:
        raise BadClipError(f"only {decoded} of {listed} frames could be decoded")
    return written


def peculiarities(stream, lost=0):
    """What is to be known of how the frames of a `VideoStream` are seen, as texts; `lost` of them did not decode whole.

    Raises `BadClipError` if too many of them did not.
    """
    lost, total = max(lost, stream.damaged), len(stream.times)
    streams.refuse_damaged(lost, total)
    if lost:
        yield f"damaged: {lost} of {total} frames are lost, or shown as far as they can be"
    if stream.hdr:
        yield f"HDR ({stream.hdr}), tone-mapped to BT.709"


def frames_from(video, size, start=0.0, stream=None, note=lambda words: None):
    """Yield (when it is shown, in seconds, its JPEG as bytes) for each frame from `start` (seconds) on, in time order.

    The JPEGs are those that `extract_frames` writes; an hour takes no more memory than a second. `stream` is the
    clip's `VideoStream`, needed for HDR; `note` is as there, called at the end.
    Raises `BadClipError` for a video that cannot be decoded.
    """

    def read(opened, entered_at):
        filters = f"trim=start={start - entered_at:.6f},{_resized(size, stream)},{IN_ORDER}"
        form = [*_as_they_come(media.ffmpeg()), *AS_JPEG, *MILLISECONDS, "-map_metadata", "-1"]
        form += ["-fflags", "+bitexact", "-flush_packets", "1", "-f", "smjpeg", "-"]
        source = [*opened, *(stream.clock if stream else ()), "-map", "0:V:0"]
        with media.streaming([*media.DESCRIBE, *source, "-vf", filters, *form]) as ffmpeg:
            smjpeg = ffmpeg.stdout  # a format that unlike MJPEG gives each picture's time
            smjpeg.read(16)  # its name, its version, and a duration that was not known
            while smjpeg.read(4) not in (b"HEND", b""):
                smjpeg.read(struct.unpack(">I", smjpeg.read(4))[0])
            while len(head := smjpeg.read(12)) == 12:
                _, milliseconds, length = struct.unpack(">4sII", head)
                yield entered_at + milliseconds / 1000, smjpeg.read(length)
        media.refuse_cut(ffmpeg, "video stream")
        for words in peculiarities(stream, _lost(ffmpeg)) if stream else ():
            note(words)

    return media.entered(video, start, read)


def _lost(ffmpeg):
    """How many frames ffmpeg could not decode whole, by its log."""
    return len(LOST.findall(ffmpeg.log))


def _list_frames(video):
    """The `VideoStream` of a clip, and which of its frames others may need for their decoding, bool [n].

    Only for H.264, and by an ffmpeg of version 6 or later, some are known not to be needed.
    """
    opened = [*media.DESCRIBE, *media.opening(video), "-map", "0:V:0"]
    # The second copy of the stream lacks the frames that no other frame refers to
    listed, ffmpeg = list_packets([*opened, "-map", "0:V:0", "-bsf:v:1", "filter_units=discard=nonref"])
    if ffmpeg.returncode:
        listed, ffmpeg = list_packets(opened)
    if ffmpeg.found_damage:
        streams.refuse_missing(video)
    media.refuse_cut(ffmpeg, "video stream")
    stream = streams.as_video_stream(video, listed[0], ffmpeg.log)
    streams.refuse_short(video, stream.end, ffmpeg.log)
    when = [np.stack([copy.decoded, copy.shown], axis=1).view("i8,i8").ravel() for copy in listed]
    referred = np.ones(len(stream.packets.shown), bool)
    if len(listed) > 1 and listed[1].facts["codec_id"] == "h264" and np.isin(when[1], when[0]).all():
        referred = np.isin(when[0], when[1])
    return stream, referred


def _needless(packets, referred, wanted):
    """Which frames may stay undecoded for the `wanted` indices: (places in the file, indices in time), int [k] both."""
    if referred is None or NO_TIME in packets.shown:
        return (), ()
    in_time = np.argsort(packets.shown, kind="stable")  # the place in the file of each
    unwanted = np.setdiff1d(np.flatnonzero(~referred[in_time]), wanted)[:MOST_NEEDLESS]
    return np.sort(in_time[unwanted]), unwanted


def _write_jpegs(video, folder, indices, size, stream, needless=((), ()), nvdec=None):
    """Write the frames with these sorted indices, without decoding the `needless`.

    Returns (how many came out, how many of those that were decoded are not whole).
    """
    if not indices:
        return 0, 0
    places, missing = needless
    dropped = ["-bsf:v", f"noise=drop='{_one_of(places)}'"] if len(places) else []
    kept = np.array(indices) - np.searchsorted(missing, indices)
    filters = f"select='{_one_of(kept)}',{_resized(size, stream)}"
    options = [*media.DESCRIBE_GRAPHS, *(media.NVDEC if nvdec else ()), *dropped]
    ffmpeg = _encode(video, options, filters, len(kept), lambda s: _write(s, folder))
    if nvdec:
        on_gpu = any(form in ffmpeg.log for form in media.NVDEC_FORMATS)
        if ffmpeg.stderr or not on_gpu:
            nvdec()
        if ffmpeg.returncode or on_gpu and ffmpeg.stderr:  # the CPU conceals damage in its own way
            return _write_jpegs(video, folder, indices, size, stream, needless)
    if not ffmpeg.returncode and ffmpeg.log.count(media.GRAPH_OF_PICTURES) > 1:
        # The pictures' size or form changes midway. ffmpeg then builds its filters anew, and `select` counts from 0
        # again: encode all frames, and choose here
        chosen, most = set(indices), indices[-1] + 1
        take = functools.partial(_write, folder=folder, is_chosen=chosen.__contains__)
        ffmpeg = _encode(video, media.DESCRIBE, _resized(size, stream), most, take)
    if not ffmpeg.returncode:
        return ffmpeg.taken, _lost(ffmpeg)
    if dropped:  # an old ffmpeg cannot leave them out: the caller tries without
        return 0, 0
    raise media.failure(ffmpeg.stderr)


def _encode(video, options, filters, most, take):
    """Have `take` read the JPEGs of at most so many frames that come out of the filters."""
    one_thread = ["-threads", "1"]  # for decoder and encoder: the clips run side by side
    opened = [*one_thread, *options, *media.opening(video)]
    form = [*_as_they_come(media.ffmpeg()), *MILLISECONDS, "-frames:v", str(most), *AS_JPEG, "-f", "image2pipe"]
    return media.stream([*opened, "-map", "0:V:0", "-vf", f"{filters},{IN_ORDER}", *one_thread, *form], take)


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


def _resized(size, stream=None):
    """The filters that make frames `size` x `size` pixels, in the colours of JPEG and in BT.709's range."""
    scaled = f"scale={size}:{size}:flags=bicubic+accurate_rnd"
    # JPEG knows one colour matrix and range only; accurate_rnd halves the rounding of the fast path
    jpeg = "out_color_matrix=bt601:out_range=pc,format=yuvj420p"
    if not (stream and stream.hdr):
        return f"{scaled}:{jpeg}"
    matrix, primaries = (said.replace("unknown", usual) for said, usual in zip(stream.colours, BT2020, strict=True))
    told = f"setparams=colorspace={matrix}:color_primaries={primaries}:color_trc={HDR_TRANSFER[stream.hdr]}"
    light = f"zscale=t=linear:npl={WHITE}"
    mapped = f"zscale=p=bt709,tonemap=mobius:desat=0:peak={BRIGHTEST / WHITE:.3f}"
    ordinary = "zscale=t=bt709:m=bt709:r=tv,format=yuv444p"
    return f"{told},{scaled},format=gbrp10le,{light},format=gbrpf32le,{mapped},{ordinary},{scaled}:{jpeg}"


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
