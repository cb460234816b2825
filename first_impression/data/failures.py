"""What an ffmpeg that failed has said: whether the clip or the machine is at fault, and the line that tells why."""

import re

from first_impression.common.errors import BadClipError, UserError

VARIABLE = "FFMPEG"  # environment variable: path or name of an ffmpeg to use instead of the pinned one
LARGEST = 8192, 4608  # pixels of one picture, 8K video; a damaged size would make ffmpeg exhaust the memory

# Errors of ffmpeg that are not the clip's fault. Lack of memory mostly is: damaged sizes ask for any amount
MACHINE_FAULTS = ("Permission denied", "Too many open files")
# How lines of ffmpeg begin that only say what came of an error reported before; the output is a pipe of ours
CONSEQUENCES = re.compile(
    r"Error (opening (input|output)|(re)?initializing|while opening|submitting|sending|encoding|during demuxing)|"
    r"Terminating thread|Task finished|Conversion failed|Nothing was written|Could not open encoder|"
    r"Cannot determine format|Decod(e|ing) error|Failed to (inject|configure)"
)
TOO_LARGE = re.compile(rb"Picture size (\d+)x(\d+) exceeds")
NO_FILTER = re.compile(rb"No such filter: '(zscale|tonemap)'")  # only HDR needs these

NO_TABLE = "moov atom not found"  # of an MP4, or of any other file whose name says MP4


def failure(stderr):
    """The exception for an ffmpeg that failed: `UserError` for a fault of the machine, which ends a step,
    else `BadClipError`, which makes one clip unusable."""
    if b"not on whitelist" in stderr:
        return BadClipError("no video or sound file: a playlist, or of an unknown kind")
    if size := TOO_LARGE.search(stderr):
        width, height = map(int, size.groups())
        most = "{} x {}".format(*LARGEST)
        return BadClipError(f"pictures of {width} x {height} pixels: {most} are the most, or as many in another shape")
    if NO_FILTER.search(stderr):
        return UserError(
            f"a clip is in HDR, and this ffmpeg lacks the filters zscale and tonemap: unset {VARIABLE} to use the "
            "pinned one, or name one that has them"
        )
    for line in stderr.decode(errors="replace").splitlines():
        if any(words in line for words in MACHINE_FAULTS):
            return UserError(f"{line.split('] ')[-1].strip()}: fix that, and run this again")
    cause = cause_of(stderr)
    return BadClipError(f"no MP4 that can be read: {cause}" if cause == NO_TABLE else cause)


def cause_of(stderr):
    """The last line of ffmpeg's log that tells a cause, without the bracketed addresses of what wrote it."""
    lines = [line.split("] ")[-1].strip() for line in stderr.decode(errors="replace").splitlines()]
    lines = [line for line in lines if line]
    causes = [line for line in lines if not CONSEQUENCES.match(line)] or lines
    return causes[-1] if causes else "ffmpeg gave no reason"
