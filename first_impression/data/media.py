"""Video files through the ffmpeg command: frames as JPEG, sound as WAV."""

import functools
import math
import shutil
import signal
import struct
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from first_impression.common.errors import BadClipError, UserError

SAMPLE_RATE = 44_100  # Hz, of every WAV file
CHANNELS = 2  # the authors' features are made of stereo files; see audio.py

LOUDNESS_RATE = 8_000  # Hz, enough to see when somebody speaks
LOUDNESS_STEP = 0.05  # seconds

NO_TIME = -(2**63)  # ffmpeg's number for a time that a file does not tell

# What a clip may be: containers that hold pictures and sound themselves. ffmpeg tells by the content, not the name, and
# knows playlists too (concat, DASH, HLS, SDP ..), which would make it open any file or address that stands in them
CONTAINERS = (
    "mov,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,h264,hevc,ivf,flv,asf,ogg,gif,rm,dv,mxf,nut,"
    "wav,w64,mp3,aac,flac,ac3,eac3,dts,aiff,au,caf,amr,ape,wv,tta"
)
MAX_PIXELS = 8192 * 4608  # of one picture, 8K video; a damaged size would make ffmpeg fill the memory

LONGEST_SOUND = 6 * 3600  # seconds; a WAV file holds little more, and damaged or made-up times can claim years

# What ffmpeg says when it is not the clip's fault. A lack of memory mostly is: damaged sizes ask for any amount
MACHINE_FAULTS = (
    "No space left",
    "Disk quota exceeded",
    "Permission denied",
    "Read-only file system",
    "Too many open files",
    "File too large",
)
# Signals that ffmpeg sends itself by a fault of its own: a clip can cause them. All others come from without
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGBUS)
STOPPED = 255  # ffmpeg's status where a signal asked it to end

MOST_NEEDLESS = 2000  # frames that are left undecoded; more do not fit into one argument of a command

JPEG_QUALITY = 2  # ffmpeg's scale, 2 is its best: about 7 kB a frame, nearer to the source than OpenCV's default


@functools.cache
def ffmpeg():
    """Path of the ffmpeg to use: the system's if there is one, else the one in the imageio-ffmpeg wheel.

    Raises `UserError` where there is none, or it does not start.
    """
    path = shutil.which("ffmpeg")
    if path is None:
        import imageio_ffmpeg  # here, since a system ffmpeg does without it

        try:
            path = imageio_ffmpeg.get_ffmpeg_exe()
        except RuntimeError:
            raise UserError("no ffmpeg: install it, or `pip install imageio-ffmpeg`, which carries one") from None
    started = subprocess.run([path, "-version"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if started.returncode:
        raise UserError(f"{path} does not start ({_last_line(started.stderr)}): mend it, or take it off the PATH")
    return path


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
    video = Path(video).absolute()
    packets = _packets(video)
    wanted = frame_indices(len(packets), count, sampling)
    written = _write_jpegs(video, folder, wanted, size, _needless(packets, wanted))
    if written < len(wanted):
        # Fewer frames than packets: an edit list hides some, or some do not decode. Count what decodes.
        total = _decodable_frames(video)
        wanted = frame_indices(total, count, sampling)
        written = _write_jpegs(video, folder, wanted, size)
    if not wanted or written < len(wanted):
        raise BadClipError(f"only {written} of {len(wanted)} frames could be decoded")
    return written


def extract_sound(video, wav, seconds=None):
    """Write the sound of `video` to the file `wav`: 16-bit PCM, 44,100 Hz, two channels.

    With `seconds` only its start, that long or a second or two longer, so that an hour takes no more room than a clip.
    Raises `BadClipError` for a video that is cut short, has no sound or cannot be decoded.
    """
    video = Path(video).absolute()
    # bitexact: no encoder name in the header, so that equal sound gives equal files
    form = ["-c:a", "pcm_s16le", "-ar", str(SAMPLE_RATE), "-ac", str(CHANNELS), "-bitexact", "-f", "wav"]
    # by bytes: where the file's times have gaps, `-t` would give fewer samples
    length = ["-fs", str(math.ceil((seconds or LONGEST_SOUND) * SAMPLE_RATE) * CHANNELS * 2)]
    done = _run([*_input(video), "-map", "0:a:0", *length, *form, f"file:{Path(wav).absolute()}"])
    _refuse_cut(done, "sound")


def frame_times(video, count):
    """When in `video` its `count` frames of even sampling are shown: float64 [count], seconds, ascending.

    `count` is what `extract_frames` returned. The times are the file's own, also where the frame rate varies.
    """
    done = _run([*_input(video), "-map", "0:V:0", "-c", "copy", "-f", "framecrc", "-"])
    unit, decoded, shown = 1.0, [], []
    for line in done.stdout.decode().splitlines():
        if line.startswith("#tb 0:"):
            unit = float(Fraction(line.removeprefix("#tb 0:").strip()))
        elif not line.startswith("#"):
            _, decoding, showing = line.split(",")[:3]
            decoded.append(int(decoding))
            shown.append(int(showing))
    # AVI notes no times of showing, but those of decoding: a few frames off, at most
    times = np.sort(decoded if NO_TIME in shown else shown) * unit
    after_start = times[times >= 0]  # an edit list moves what it hides before the start
    times = after_start if len(after_start) >= count else times
    return times[frame_indices(len(times), count, "even")]


def display_aspect(video):
    """Width of the picture by its height as a player shows it: turned upright, pixels square. 1.0 if unknown."""
    form = ["-frames:v", "1", "-vf", "scale='clip(iw*sar,2,32*ih)':ih", "-c:v", "png", "-f", "image2pipe", "-"]
    done = _run([*_input(video), "-map", "0:V:0", *form])
    if done.returncode or not done.stdout:
        return 1.0
    width, height = struct.unpack(">II", done.stdout[16:24])  # of PNG's first block
    return width / height


def loudness(video):
    """The sound's level over time: float64 [n], dB below full scale (0 down to -100), one per LOUDNESS_STEP.

    Read as it is decoded, so that an hour takes no more memory than a second. Empty where there is no sound.
    """
    form = [
        "-t",
        str(LONGEST_SOUND),
        "-ac",
        "1",
        "-af",
        f"aresample={LOUDNESS_RATE}:async=1:first_pts=0",
        "-f",
        "s16le",
        "-",
    ]
    command = [ffmpeg(), "-nostdin", "-v", "quiet", *_input(video), "-map", "0:a:0", *form]
    levels = []
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as decoding:
        while chunk := decoding.stdout.read(2 * round(LOUDNESS_RATE * LOUDNESS_STEP)):
            samples = np.frombuffer(chunk[: len(chunk) // 2 * 2], "<i2") / 32768
            levels.append(10 * np.log10(max(np.mean(np.square(samples)), 1e-10)) if len(samples) else -100.0)
    _refuse_killed(decoding.returncode)
    return np.array(levels)


def _input(video):
    """The arguments that open `video`, and nothing else."""
    guard = ["-protocol_whitelist", "file", "-format_whitelist", CONTAINERS, "-max_pixels", str(MAX_PIXELS)]
    return [*guard, "-i", f"file:{Path(video).absolute()}"]


class Packet(NamedTuple):
    """A frame as it lies in the file, undecoded."""

    shown: int  # when, in the stream's own unit; NO_TIME where the file does not tell
    referred: bool  # whether other frames may need it for their decoding


def _packets(video):
    """The packets of the video stream, in the file's order, read through without decoding: a list of `Packet`.

    Only for H.264, and by an ffmpeg of version 6 or later, some are known not to be referred to.
    Raises `BadClipError` for a video that is cut short or has no pictures.
    """
    copies = ["-map", "0:V:0", "-c", "copy"]
    # The second copy lacks the frames that no other frame refers to
    for copies_and_filter in ([*copies, "-map", "0:V:0", "-bsf:v:1", "filter_units=discard=nonref"], copies):
        done = _run(["-xerror", *_input(video), *copies_and_filter, "-f", "framecrc", "-"])
        if done.returncode == 0:
            break
    _refuse_cut(done, "video stream")
    times = {"0": [], "1": []}  # of decoding and of showing, in each copy
    for line in done.stdout.decode().splitlines():
        if not line.startswith("#"):
            copy, decoded, shown = line.split(",")[:3]
            times[copy].append((int(decoded), int(shown)))
    referred = set(times["1"])
    if b"#codec_id 1: h264" not in done.stdout or not referred.issubset(times["0"]):
        referred = set(times["0"])
    return [Packet(shown, (decoded, shown) in referred) for decoded, shown in times["0"]]


def _needless(packets, wanted):
    """Which packets may go undecoded: [(place in the file, index of its frame in time)], for the `wanted` indices."""
    if all(packet.referred for packet in packets) or NO_TIME in (packet.shown for packet in packets):
        return []
    wanted = set(wanted)
    in_time = sorted(range(len(packets)), key=lambda place: packets[place].shown)
    unwanted = [(place, index) for index, place in enumerate(in_time) if index not in wanted]
    return [(place, index) for place, index in unwanted if not packets[place].referred][:MOST_NEEDLESS]


def _decodable_frames(video):
    done = _run([*_input(video), "-map", "0:V:0", *_as_they_come(), "-f", "framecrc", "-"])
    if done.returncode:  # a killed ffmpeg has counted too few
        raise _failure(done.stderr)
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
    form = [*_as_they_come(), "-frames:v", str(len(indices)), "-c:v", "mjpeg", "-q:v", str(JPEG_QUALITY)]
    # one thread each: the clips run side by side. In the folder, since a % in its path would be a pattern
    arguments = ["-threads", "1", *dropped, *_input(video), "-map", "0:V:0", "-vf", f"select='{_one_of(indices)}',{resized(size)}", *form]
    done = _run([*arguments, "-threads", "1", "-start_number", "1", "frame%d.jpg"], folder)
    if done.returncode:
        if needless:  # an old ffmpeg cannot leave them out: the caller tries without
            return 0
        raise _failure(done.stderr)
    return sum(1 for _ in Path(folder).glob("frame*.jpg"))


def resized(size):
    """The filters that make frames `size` x `size` pixels, as JPEG has them."""
    # JPEG knows one colour matrix and range only; accurate_rnd halves the rounding of the fast path
    scale = f"scale={size}:{size}:flags=bicubic+accurate_rnd:out_color_matrix=bt601:out_range=pc"
    return f"{scale},format=yuvj420p"


def _one_of(numbers):
    """ffmpeg's expression for "n is one of these sorted numbers": a search tree, since long sums are refused."""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    if len(runs) == 1:
        return f"between(n,{numbers[0]},{numbers[-1]})"
    left, right = np.concatenate(runs[: len(runs) // 2]), np.concatenate(runs[len(runs) // 2 :])
    return f"if(lt(n,{right[0]}),{_one_of(left)},{_one_of(right)})"


@functools.cache
def _as_they_come():
    """The option that keeps ffmpeg from repeating frames to fill time: its name changed with version 5.1."""
    new, old = ["-fps_mode", "passthrough"], ["-vsync", "passthrough"]
    return old if _run([*new, "-version"]).returncode else new


def _refuse_cut(done, stream):
    """Raise what fits a run of ffmpeg that failed, found no such stream, or came to the end of a part of a file."""
    if b"matches no streams" in done.stderr:
        raise BadClipError(f"no {stream}")
    # a file cut between two packets is only remarked upon
    if done.returncode or b"partial file" in done.stderr:
        failure = _failure(done.stderr)
        raise BadClipError(f"cut short or damaged: {failure}") if isinstance(failure, BadClipError) else failure


def _run(arguments, folder=None):
    command = [ffmpeg(), "-nostdin", "-y", "-v", "error", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, cwd=folder)
    _refuse_killed(done.returncode)
    return done


def _refuse_killed(status):
    """Raises `UserError` where somebody killed ffmpeg, as a system short of memory does: no fault of the clip."""
    if status == -signal.SIGXFSZ:
        raise UserError("ffmpeg may not write so large a file: allow larger ones (ulimit -f), and run this again")
    if status == STOPPED or status < 0 and -status not in CRASHES:
        how = f"killed (signal {-status}), perhaps for want of memory" if status < 0 else "told to stop"
        raise UserError(f"ffmpeg was {how}: run this again, with fewer WORKERS if it recurs")


def _failure(stderr):
    """The exception for an ffmpeg that failed: the machine's fault stops a step, the clip's does not."""
    if b"not on whitelist" in stderr:
        return BadClipError("no video or sound file: a playlist, or of an unknown kind")
    for line in stderr.decode(errors="replace").splitlines():
        if any(words in line for words in MACHINE_FAULTS):
            return UserError(f"{line.split('] ')[-1].strip()}: mend that, and run this again")
    return BadClipError(_last_line(stderr))


def _last_line(stderr):
    """What ffmpeg said last, without the address of its object in brackets."""
    text = stderr if isinstance(stderr, str) else stderr.decode(errors="replace")
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].split("] ")[-1].strip() if lines else "ffmpeg gave no reason"
