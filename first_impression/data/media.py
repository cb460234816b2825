"""The ffmpeg command: which one is run, how it opens a clip, and whether the clip or the machine made it fail.

ffmpeg writes no files. It decodes into a pipe and Python writes the files, so that a full disk raises an `OSError`;
some versions of ffmpeg cut the file short and report success.
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
from importlib import resources
from pathlib import Path

from first_impression.common import signals
from first_impression.common.errors import BadClipError, UserError
from first_impression.data.failures import LARGEST, VARIABLE, cause_of, failure

OLDEST = (4, 2)  # the oldest version that passes the tests

# The formats a clip may have: containers that hold pictures and sound themselves. ffmpeg goes by the bytes, not the
# name, and also knows playlists (concat, DASH, HLS, SDP ..), which would make it open any file or address they list
CONTAINERS = (
    "mov,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,h264,hevc,ivf,flv,asf,ogg,gif,rm,dv,mxf,nut,"
    "wav,w64,mp3,aac,flac,ac3,eac3,dts,aiff,au,caf,amr,ape,wv,tta"
)
MAX_PIXELS = LARGEST[0] * LARGEST[1]

# How files of single pictures begin; a clip's first bytes are never these
PICTURES = re.compile(  # JPEG, PNG, BMP, TIFF, WebP, HEIF and AVIF, JPEG XL
    rb"\xff\xd8\xff|\x89PNG|BM....\0\0\0\0|II\*\0|MM\0\*|RIFF....WEBP|....ftyp(hei[cxms]|mif1|avif)|"
    rb"\xff\x0a|\0\0\0\x0cJXL ",
    re.DOTALL,
)
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)

# Signals of a crash of ffmpeg, which a clip can cause; all others come from outside. Windows lacks some
CRASHES = [getattr(signal, name, None) for name in ("SIGSEGV", "SIGABRT", "SIGFPE", "SIGILL", "SIGBUS")]
STOPPED = 255  # exit status of an ffmpeg that was asked to stop; also that of its error -1, which it reports as:
ERROR_1 = b"Operation not permitted"  # a decoder that cannot handle its stream

LONGEST_LOG = 1 << 22  # bytes of what an ffmpeg says that are kept

# What ffmpeg says where a file ends before the end of what it lists, or cannot be read on
ENDS_EARLY = re.compile(rb"partial file|Error during demuxing|^file:.*: Invalid data found", re.MULTILINE)

# Seconds before a part at which the clip is entered: in a file without a table of key frames, ffmpeg enters in the
# middle of a group of pictures, which cannot be decoded. Groups longer than 20 s are rare
ENTER_EARLY = 20.0

# Options that make ffmpeg describe what it opens (duration, rotation) and mark each line of its log with its level
DESCRIBE = ("-hide_banner", "-nostats", "-v", "level+info")
# Options that make it also describe each filter graph it builds: more than one where a stream changes midway
DESCRIBE_GRAPHS = ("-hide_banner", "-nostats", "-v", "level+verbose")
GRAPH_OF_PICTURES = b" pixfmt:"  # in the description of a graph's source

# Options by which NVDEC, the decoder of NVIDIA's GPUs, decodes where it can, and the CPU else; and what the description
# of a graph has where NVDEC did: ffmpeg's own decoders never give these formats
NVDEC = ("-hwaccel", "cuda")
NVDEC_FORMATS = (b" pixfmt:nv12 ", b" pixfmt:p010")
ERROR_LINE = re.compile(rb"(\[[^]]* @ [^]]*\] )*\[(error|fatal|panic)\]")


def ffmpeg():
    """Path of the ffmpeg to use: the pinned one of the imageio-ffmpeg wheel, or the one that FFMPEG names.

    The PATH is ignored: another version decodes to other bytes, and the records would differ.
    Raises `UserError` if there is none, it does not start, or is older than 4.2.
    """
    return _find(os.environ.get(VARIABLE, ""))[0]


def ffmpeg_version():
    """The version of the ffmpeg to use, as it prints it: "5.1.9-0+deb12u1". Raises as `ffmpeg` does."""
    return _find(os.environ.get(VARIABLE, ""))[1]


def require_ffmpeg():
    """For the start of a script: check that there is an ffmpeg, and print which one if the user chose it."""
    path = ffmpeg()
    if os.environ.get(VARIABLE):
        print(f"ffmpeg {ffmpeg_version()} from {path}, as the environment variable {VARIABLE} says", flush=True)


@functools.cache
def _find(name):
    """(path, version) of the ffmpeg of this name or path; of the pinned one for ""."""
    if name:
        path = shutil.which(name)
        if path is None:
            raise UserError(f"{VARIABLE} = {name}: there is no such command; unset {VARIABLE} to use the pinned ffmpeg")
    else:  # not imageio_ffmpeg.get_ffmpeg_exe, which may give one from the PATH
        path = min(Path(str(resources.files("imageio_ffmpeg"))).glob("binaries/ffmpeg-*"), default=None)
        if path is None:
            raise UserError(f"imageio-ffmpeg has no ffmpeg for this machine: install one and name it in {VARIABLE}")
    path, remedy = os.path.abspath(path), f"name another one in the environment variable {VARIABLE}, or unset it"
    try:
        with _run([path, "-version"], stderr=subprocess.STDOUT) as process:
            said = process.stdout.read()
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM):  # no ffmpeg would start
            raise
        raise UserError(f"{path} does not start ({error.strerror}): {remedy}") from None
    if process.returncode:
        raise UserError(f"{path} does not start ({cause_of(said)}): {remedy}")
    version = re.search(r"^ffmpeg version (\S+)", said.decode(errors="replace"), re.MULTILINE)
    if not version:
        raise UserError(f"{path} is not ffmpeg: {remedy}")
    number = re.match(r"n?(\d+)\.(\d+)", version[1])  # a development version has none, and counts as new
    if number and (int(number[1]), int(number[2])) < OLDEST:
        raise UserError(f"{path} is ffmpeg {version[1]}, and 4.2 is the oldest that works: {remedy}")
    return path, version[1]


@functools.cache
def nvdec_fault():
    """Why there is no NVIDIA GPU for this ffmpeg, as it says itself; "" if there is one."""
    picture = ["-f", "lavfi", "-i", "nullsrc=duration=0.1", "-f", "null"]
    trial = stream(["-init_hw_device", NVDEC[1], *picture], lambda output: output.read())
    lines = trial.stderr.decode(errors="replace").splitlines()
    return lines[0].split("] ")[-1].strip() if trial.returncode and lines else ""


def opening(video):
    """The ffmpeg arguments that open the file `video`, and no other file or address.

    Raises `BadClipError` as `refuse_no_file` does, and for a file that holds a single picture.
    """
    refuse_no_file(video)
    with open(video, "rb") as file:
        if PICTURES.match(file.read(16)):
            raise BadClipError("a picture, not a clip")
    guard = ["-protocol_whitelist", "file", "-format_whitelist", CONTAINERS, "-max_pixels", str(MAX_PIXELS)]
    return [*guard, "-i", f"file:{Path(video).absolute()}"]


def refuse_no_file(video):
    """Raise `BadClipError` for what is not there or an address, and for a pipe, a socket or a device.

    For one of these ffmpeg might wait without end.
    """
    if not Path(video).exists():
        raise BadClipError(
            "an address: fetch it first, and give the file" if ADDRESS.match(str(video)) else "not there"
        )
    if not Path(video).is_file():
        raise BadClipError("not a file: a folder, a pipe, a socket or a device")


@dataclass
class Streaming:
    """A running ffmpeg; all but `stdout` is set when the block of `streaming` ends."""

    stdout: object  # binary file: what ffmpeg writes to `-`
    returncode: int | None = None
    stderr: bytes = b""  # its errors
    log: bytes = b""  # everything it said
    taken: object = None  # what the reader given to `stream` returned

    @property
    def found_damage(self):
        """Whether ffmpeg failed, or could not read the file to its end: it says so then, but succeeds."""
        return self.returncode != 0 or ENDS_EARLY.search(self.stderr) is not None


@contextlib.contextmanager
def streaming(arguments, pass_fds=()):
    """Run ffmpeg while the block reads its output: gives a `Streaming`. If the block is left early, ffmpeg is killed.

    Raises `UserError` if something else killed it, as a system short of memory does: not the clip's fault. The caller
    judges any other status.
    """
    command = [ffmpeg(), "-nostdin", "-v", "error", *arguments]
    with contextlib.ExitStack() as stack:
        log_reader = stack.enter_context(ThreadPoolExecutor(1))
        process = stack.enter_context(_run(command, stderr=subprocess.PIPE, pass_fds=pass_fds))
        log = log_reader.submit(_read_log, process.stderr)
        running = Streaming(process.stdout)
        yield running
        running.returncode = status = process.wait()
        running.log = running.stderr = log.result()
        if DESCRIBE[-1] in arguments or DESCRIBE_GRAPHS[-1] in arguments:
            running.stderr = b"\n".join(line for line in running.log.splitlines() if ERROR_LINE.match(line))
    if status == STOPPED and ERROR_1 not in running.stderr or status < 0 and -status not in CRASHES:
        how = f"killed (signal {-status}), perhaps because memory ran out" if status < 0 else "asked to stop"
        raise UserError(f"ffmpeg was {how}: run this again, with fewer WORKERS if it recurs")


@contextlib.contextmanager
def _run(command, **options):
    """A child process that ends with the block, and as soon as the script is stopped: gives the `Popen`.

    It leads a process group of its own, so that what it may have started itself ends with it.
    """
    group = {"process_group": 0} if os.name == "posix" else {}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}
    started = []

    def kill():
        for process in started:
            if process.returncode is None:  # else its number may be another's by now
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL) if os.name == "posix" else process.kill()

    with signals.at_stop(kill), subprocess.Popen(command, **pipes, **group, **options) as process:
        try:
            started.append(process)
            yield process
            process.wait()
        finally:
            kill()  # for a block that fails


def _read_log(stderr):
    """What an ffmpeg says, as bytes: the start and the end of it where it is very long."""
    start, end = stderr.read(LONGEST_LOG), b""
    while more := stderr.read(1 << 16):
        end = (end + more)[-(1 << 17) :]
    return start + end


def stream(arguments, take):
    """Run ffmpeg with the output `-`, have `take(stdout)` read all that it writes, and return the ended `Streaming`.

    Raises as `streaming` does, and whatever `take` raises.
    """
    with streaming([*arguments, "-"]) as running:
        running.taken = take(running.stdout)
    return running


def stream_two(arguments, first, second):
    """As `stream`, with two outputs of one ffmpeg: `first` and `second` are each (its options, its `take`).

    `taken` of the returned `Streaming` holds what both returned.
    """
    if os.name == "nt":  # Windows hands a child only the standard three files: one ffmpeg for each output
        runs = [stream([*arguments, *options], take) for options, take in (first, second)]
        runs[0].taken = [run.taken for run in runs]
        return runs[0]
    (options, take), (more_options, take_more) = first, second
    receiver, sender = os.pipe()

    def read_second():
        with received:  # closed even where reading fails, so that ffmpeg does not wait for a reader
            return take_more(received)

    with open(receiver, "rb") as received, open(sender, "wb") as sent, ThreadPoolExecutor(1) as reader:
        with streaming([*arguments, *options, "-", *more_options, f"pipe:{sender}"], [sender]) as running:
            sent.close()  # ffmpeg alone has it now, so that reading ends when ffmpeg does
            reading = reader.submit(read_second)
            running.taken = take(running.stdout)
        running.taken = [running.taken, reading.result()]
    return running


def entered(video, start, read):
    """Yield what `read(arguments that open the clip, time in seconds at which ffmpeg enters it)` yields.

    That time lies some seconds before `start`, or is 0: `read` skips what comes before `start`.
    """
    early = max(0.0, start - ENTER_EARLY)
    anything = False
    if early:
        for piece in read(["-ss", f"{early:.6f}", *opening(video)], early):
            anything = True
            yield piece
    if not anything:  # some formats can be entered at their beginning only
        yield from read(opening(video), 0.0)


def refuse_cut(done, stream):
    """Raise what fits an ffmpeg that failed, found no such `stream`, or came to the end of a file that was cut."""
    if b"matches no streams" in done.stderr:
        raise BadClipError(f"no {stream}")
    if ENDS_EARLY.search(done.stderr) and isinstance(reason := failure(done.stderr), BadClipError):
        raise BadClipError(f"cut short or damaged: {reason}")
    if done.found_damage:
        raise failure(done.stderr)
