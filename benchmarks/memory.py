"""Peak memory of steps 1 to 4, all processes of a step together, on N and on 4 N clips: does it grow with the data?

Memory shared by several processes counts once (Pss of /proc, read every 50 ms). Linux only.
"""

import subprocess
import sys
import time
from pathlib import Path

import material
from runner import PROJECT, temporary_folder

from first_impression.common import script
from first_impression.common.errors import UserError

CLIPS = 15  # N, of 100 frames each

_STEPS = ("Video_to_Image.py", "vid_to_wav.py", "Write_Into_TFRecords.py", "feat_extraction_from_wav.py")


def main(settings):
    if not Path("/proc/self/smaps_rollup").exists():
        raise UserError("memory is measured on Linux only: there is no /proc/self/smaps_rollup here")
    counts = (settings.CLIPS, 4 * settings.CLIPS)
    peaks = {step: [] for step in _STEPS}
    for count in counts:
        with temporary_folder():
            material.make_clips(count)
            for step in _STEPS:
                peaks[step].append(peak(step))
    for step, (few, many) in peaks.items():
        print(f"{step:<28} {few / 1e6:7,.0f} MB on {counts[0]} clips {many / 1e6:7,.0f} MB on {counts[1]}")


def peak(step):
    """Run a step to its end; returns the most bytes that its processes had at one time."""
    command, most = [sys.executable, PROJECT / step], 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        while process.poll() is None:
            own = [folder for folder in Path("/proc").glob("[0-9]*") if session(folder) == process.pid]
            most = max(most, sum(map(memory, own)))
            time.sleep(0.05)
    if process.returncode:
        raise UserError(f"{step} failed")
    return most


def session(folder):
    """The session of a process, which its child processes share; 0 where it has ended."""
    try:
        return int((folder / "stat").read_text().rpartition(")")[2].split()[3])
    except OSError:
        return 0


def memory(folder):
    """Bytes of a process; 0 where it has ended."""
    try:
        return int((folder / "smaps_rollup").read_text().partition("\nPss:")[2].split()[0]) * 1024
    except (OSError, IndexError):
        return 0


if __name__ == "__main__":
    script.run(main)
