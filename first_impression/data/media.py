"""The ffmpeg command: which one is run, how it opens a clip, and whose fault it is where it fails.

It never writes a file here. What it decodes comes through a pipe, and Python writes it: so a full disk is an error of
Python's own, with the system's number, whereas some versions of ffmpeg cut the file short and report success.
"""

import contextlib
import errno
import functools
import os
import re
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from first_impression.common.errors import BadClipError, UserError

VARIABLE = "FFMPEG"  # environment variable: the path or name of another ffmpeg than the pinned one
OLDEST = (4, 2)  # the oldest version that the tests pass with

# What a clip may be: containers that hold pictures and sound themselves. ffmpeg tells by the content, not the name, and
# knows playlists too (concat, DASH, HLS, SDP ..), which would make it open any file or address that stands in them
CONTAINERS = (
    "mov,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,h264,hevc,ivf,flv,asf,ogg,gif,rm,dv,mxf,nut,"
    "wav,w64,mp3,aac,flac,ac3,eac3,dts,aiff,au,caf,amr,ape,wv,tta"
)
MAX_PIXELS = 8192 * 4608  # of one picture, 8K video; a damaged size would make ffmpeg fill the memory

# What ffmpeg says when it is not the clip's fault. A lack of memory mostly is: damaged sizes ask for any amount
MACHINE_FAULTS = ("Permission denied", "Too many open files")
# Signals that ffmpeg sends itself by a fault of its own: a clip can cause them. All others come from without
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGBUS)
STOPPED = 255  # ffmpeg's status where a signal asked it to end; and that of its error -1, of which it says:
ERROR_1 = b"Operation not permitted"  # a decoder that does not like its stream gives that number

# Seconds by which a part is entered before it begins: a file without a table of its key frames is entered in the midst
# of a group of pictures, which cannot be decoded. Groups of more than 20 s are rare
ENTER_EARLY = 20.0

LISTING = ("-c", "copy", "-f", "framecrc")  # the form of output that `read_listing` reads: packets, undecoded
NO_TIME = -(2**63)  # ffmpeg's number for a time that a file does not tell
DISCARD = 4  # ffmpeg's flag of a packet that is decoded, if at all, but not shown


class Ffmpeg(NamedTuple):
    """An ffmpeg that starts."""

    path: str
    version: str  # as it tells it itself: "5.1.9-0+deb12u1"


def ffmpeg():
    """Path of the ffmpeg to use: the pinned one of the imageio-ffmpeg wheel, or the one that FFMPEG names.

    What is on the PATH does not count: frames of another version differ in their bytes, and so would the records.
    Raises `UserError` where there is none, it does not start, or is older than 4.2.
    """
    return _find(os.environ.get(VARIABLE, "")).path


def ffmpeg_version():
    """Its version, as it tells it itself: "5.1.9-0+deb12u1". Raises as `ffmpeg` does."""
    return _find(os.environ.get(VARIABLE, "")).version


def require_ffmpeg():
    """For the start of a script: make sure that there is an ffmpeg, and say which where the user named it."""
    path = ffmpeg()
    if os.environ.get(VARIABLE):
        print(f"ffmpeg {ffmpeg_version()} from {path}, as the environment variable {VARIABLE} says", flush=True)


@functools.cache
def _find(named):
    path = shutil.which(named) if named else _pinned()
    if path is None and named:
        raise UserError(f"{VARIABLE} = {named}: there is no such command; unset {VARIABLE} to use the pinned ffmpeg")
    if path is None:
        raise UserError(f"imageio-ffmpeg has no ffmpeg for this machine: install one and name it in {VARIABLE}")
    path, remedy = os.path.abspath(path), f"name another one in the environment variable {VARIABLE}, or unset it"
    try:
        started = subprocess.run([path, "-version"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM):  # no ffmpeg would start
            raise
        raise UserError(f"{path} does not start ({error.strerror}): {remedy}") from None
    if started.returncode:
        raise UserError(f"{path} does not start ({_last_line(started.stderr)}): {remedy}")
    told = re.match(r"ffmpeg version (\S+)", started.stdout)
    if not told:
        raise UserError(f"{path} is not ffmpeg: {remedy}")
    number = re.match(r"n?(\d+)\.(\d+)", told[1])  # a development version has none, and is a new one
    if number and (int(number[1]), int(number[2])) < OLDEST:
        raise UserError(f"{path} is ffmpeg {told[1]}, and 4.2 is the oldest that will do: {remedy}")
    return Ffmpeg(path, told[1])


def _pinned():
    # not imageio_ffmpeg.get_ffmpeg_exe, which may give one from the PATH
    found = sorted(Path(str(resources.files("imageio_ffmpeg"))).glob("binaries/ffmpeg-*"))
    return str(found[0]) if found else None


def opening(video):
    """The arguments that open `video`, and nothing else."""
    guard = ["-protocol_whitelist", "file", "-format_whitelist", CONTAINERS, "-max_pixels", str(MAX_PIXELS)]
    return [*guard, "-i", f"file:{Path(video).absolute()}"]


def run(arguments):
    """Run ffmpeg to its end; returns what `subprocess.run` does, with what was written to `-` as `stdout`.

    Raises `UserError` where it was killed; any other status is for the caller to judge.
    """
    done = subprocess.run(_command(arguments), stdin=subprocess.DEVNULL, capture_output=True)
    _refuse_killed(done.returncode, done.stderr)
    return done


@dataclass
class Streaming:
    """An ffmpeg at work. How it went is known once the block of `streaming` has ended."""

    stdout: object  # a binary file: what it writes to `-`
    returncode: int | None = None
    stderr: bytes = b""
    taken: object = None  # what the `take` of `stream` returned


@contextlib.contextmanager
def streaming(arguments):
    """Run ffmpeg while the block reads all of its output: gives a `Streaming`. A block that is left early ends it.

    Raises `UserError` where ffmpeg was killed; any other status is for the caller to judge.
    """
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(ThreadPoolExecutor(1))
        process = stack.enter_context(
            subprocess.Popen(
                _command(arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        )
        stack.callback(process.kill)  # where the block fails; one that has ended takes no notice
        said = listening.submit(process.stderr.read)
        at_work = Streaming(process.stdout)
        yield at_work
        process.wait()
        at_work.returncode, at_work.stderr = process.returncode, said.result()
        _refuse_killed(at_work.returncode, at_work.stderr)


def stream(arguments, take):
    """Run ffmpeg, have `take(stdout)` read what it writes to `-` up to the end, and return the ended `Streaming`.

    Raises as `streaming` does, and whatever `take` raises.
    """
    with streaming(arguments) as at_work:
        at_work.taken = take(at_work.stdout)
    return at_work


def entered(video, start, read):
    """Yield what `read(arguments that open the clip, the time at which ffmpeg enters it)` yields.

    That time is some seconds before `start`, or 0: then all before `start` is decoded, and for `read` to pass over.
    """
    early = max(0.0, start - ENTER_EARLY)
    anything = False
    if early:
        for piece in read(["-ss", f"{early:.6f}", *opening(video)], early):
            anything = True
            yield piece
    if not anything:  # some formats can be entered at their beginning only
        yield from read(opening(video), 0.0)


def _command(arguments):
    return [ffmpeg(), "-nostdin", "-v", "error", *arguments]


class Packet(NamedTuple):
    """A piece of a stream as it lies in the file, undecoded. Times are in the stream's own unit."""

    stream: int  # which of the streams listed
    decoded: int  # when
    shown: int  # when; NO_TIME where the file does not tell
    duration: int  # 0 where the file does not tell
    discarded: bool  # an edit list leaves it out


def read_listing(listing):
    """The packets that ffmpeg has listed: (list of `Packet` in the file's order, {stream: its unit in seconds})."""
    packets, units = [], {}
    for line in listing.decode().splitlines():
        if line.startswith("#tb "):
            number, unit = line.removeprefix("#tb ").split(":")
            units[int(number)] = float(Fraction(unit.strip()))
        elif not line.startswith("#"):
            number, decoded, shown, duration, _, _, *more = line.split(",")
            flags = int(more[0].strip().removeprefix("F="), 16) if more and "F=" in more[0] else 0
            packets.append(Packet(int(number), int(decoded), int(shown), int(duration), bool(flags & DISCARD)))
    return packets, units


def refuse_cut(done, stream):
    """Raise what fits a run of ffmpeg that failed, found no such stream, or came to the end of a part of a file."""
    if b"matches no streams" in done.stderr:
        raise BadClipError(f"no {stream}")
    # a file cut between two packets is only remarked upon
    if done.returncode or b"partial file" in done.stderr:
        reason = failure(done.stderr)
        raise BadClipError(f"cut short or damaged: {reason}") if isinstance(reason, BadClipError) else reason


def _refuse_killed(status, stderr):
    """Raises `UserError` where somebody killed ffmpeg, as a system short of memory does: no fault of the clip."""
    if status == STOPPED and ERROR_1 not in stderr or status < 0 and -status not in CRASHES:
        how = f"killed (signal {-status}), perhaps for want of memory" if status < 0 else "told to stop"
        raise UserError(f"ffmpeg was {how}: run this again, with fewer WORKERS if it recurs")


def failure(stderr):
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
    lines = [line for line in lines if not line.startswith("Error opening output")] or lines  # that is a pipe
    return lines[-1].split("] ")[-1].strip() if lines else "ffmpeg gave no reason"
