"""What the benchmarks share: ours and a yardstick in turn, medians and their ratio.

    python benchmarks/steps.py      steps 1 to 4, each against its yardstick
    python benchmarks/reader.py     image records into batches
    python benchmarks/training.py   train.py's steps, and predictions for all records
    python benchmarks/gpu.py        all of training on a GPU, in one command
    python benchmarks/predict.py    predict.py on one clip, as a whole process
    python benchmarks/memory.py     peak memory of steps 1 to 4, with N and with 4 N clips

Each docstring says what is measured against what. A benchmark works in a temporary folder and leaves nothing but the
clips that it encodes (material.py), in `benchmarks/clips/` of the current folder, for the next one. `--help` lists the
sizes; small ones show that a benchmark works, not how fast the code is.

A ratio is the yardstick's time divided by ours: above 1, ours is faster. Both run in turn (A B A B), so that other load
on the machine affects both alike, and the medians of the rounds are compared.
"""

import contextlib
import importlib
import io
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(1, str(PROJECT))  # after benchmarks/ itself

from first_impression.common.settings import read_settings  # noqa: E402, once the project can be found
from first_impression.data import media  # noqa: E402

CLIPS = Path("benchmarks/clips").absolute()  # of the folder where the benchmark is started


@contextlib.contextmanager
def temporary_folder():
    """Work in an empty temporary folder, which is removed at the end. Prints what the figures depend on."""
    load = f"load {os.getloadavg()[0]:.1f}"  # of the last minute
    print(f"{platform.platform()}, {os.cpu_count()} cores, {load}, ffmpeg {media.ffmpeg_version()}", flush=True)
    with tempfile.TemporaryDirectory(prefix="first-impression-") as folder, contextlib.chdir(folder):
        yield


def seconds(function, *arguments):
    """How long a call takes."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def run_step(name, *flags):
    """Run the main of a step's script in this process, as the command line would; returns the seconds it took.

    Python and TensorFlow have started by then: for many clips their start does not count.
    """
    step = importlib.import_module(name)
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        return seconds(step.main, read_settings(vars(step), list(map(str, flags))))


def run_process(*command):
    """Run Python with these arguments in the current folder; returns the seconds. Its stderr is shown if it fails."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *map(str, command)], stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr.decode(errors='replace')}")
    return time.perf_counter() - start


def in_child(function, *arguments):
    """What `function` returns in a new process, so that no settings of TensorFlow and no GPU memory are inherited."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def compare(figure, ours, yardstick, name, rounds, amount, unit):
    """Call `ours` and `yardstick` in turn, and print medians; both return the seconds that `amount` units took.

    Returns the units per second of ours.
    """
    print(f"\n{figure}: {amount:,} {unit}, ours against {name}", flush=True)
    times = {"ours": [], "yardstick": []}
    for number in range(rounds):
        times["ours"].append(ours())
        times["yardstick"].append(yardstick())
        row = "".join(f"  {side} {values[-1]:9.3f} s" for side, values in times.items())
        print(f"  round {number + 1}: {row}", flush=True)
    medians = {side: statistics.median(values) for side, values in times.items()}
    rates = ", ".join(f"{side} {amount / median:,.2f} {unit}/s" for side, median in medians.items())
    print(f"  {rates}; ratio {medians['yardstick'] / medians['ours']:.2f}", flush=True)
    return amount / medians["ours"]
