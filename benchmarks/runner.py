"""What the benchmarks share: ours and a yardstick in turn, a table, a line of JSON.

One script per figure, each with the docstring that says what is measured against what:

    python benchmarks/frames.py           step 1: frames out of clips
    python benchmarks/sound.py            step 2: sound out of clips
    python benchmarks/image_records.py    step 3: frames into records
    python benchmarks/audio_features.py   step 4: features of sound into records
    python benchmarks/reader.py           records into batches
    python benchmarks/training.py         train.py's loop, Devices.predict; on a GPU also number formats and XLA
    python benchmarks/predict.py          predict.py on one clip, as a whole process
    python benchmarks/memory.py           peak memory of every script, at N and 4 N clips
    python benchmarks/pipeline.py         the sample's pipeline, step by step

Each makes its own material (material.py) in a temporary folder and leaves nothing but a line per figure in
`benchmarks/results.jsonl` of the current folder: machine, versions, the seconds of every round, the ratios. Git ignores
that file here, since its figures are one machine's. `--help` lists the sizes; small ones show that a script works,
not how fast it is. A ratio is the yardstick's time by ours: above 1, ours is the faster one. Both sides run in turn
(A B A B), so that whatever else the machine does meets both, and the medians of the rounds are compared.

The steps run in the benchmark's own process, with TensorFlow loaded before the clock starts: the figures are those of
many clips, where starting Python does not count. predict.py and pipeline.py measure whole processes.
"""

import contextlib
import datetime
import importlib
import importlib.metadata
import io
import json
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
sys.path.insert(1, str(PROJECT))  # behind benchmarks/ itself

from first_impression.common.settings import read_settings  # noqa: E402, once the project can be found
from first_impression.data import media  # noqa: E402

RESULTS = Path("benchmarks/results.jsonl").absolute()  # of the folder where the benchmark was started
LIBRARIES = (
    *("tensorflow", "tensorflow-cpu", "keras", "numpy", "scipy", "pillow"),
    *("opencv-python-headless", "python_speech_features"),
)


@contextlib.contextmanager
def workshop():
    """Work in an empty temporary folder, which goes at the end."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="first-impression-") as folder:
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)


def seconds(function, *arguments):
    """How long a call takes."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def run_step(name, *flags):
    """Run the main of a step's script here, in the current folder, as the command line would; returns the seconds."""
    step = importlib.import_module(name)
    talk = io.StringIO()
    with contextlib.redirect_stdout(talk), contextlib.redirect_stderr(talk):
        settings = read_settings(vars(step), list(flags))
        return seconds(step.main, settings)


def run_process(*command):
    """Run a command in the current folder to its end; returns the seconds. What it says is shown if it fails."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *map(str, command)], stdin=subprocess.DEVNULL, capture_output=True)
    took = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr.decode(errors='replace')}")
    return took


def in_child(function, *arguments):
    """What `function` returns in a process of its own: nothing of TensorFlow's, and no memory of a GPU, stays here."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def compare(figure, ours, yardstick, rounds, amount, unit, target, **about):
    """Call `ours` and `yardstick` in turn, each `rounds` times, and tell and note the result.

    Both return the seconds that `amount` units took them; the name of the yardstick is its docstring's first line.
    `target` is the ratio to reach; whatever is `about` the figure is noted with it.
    """
    against = yardstick.__doc__.partition("\n")[0].rstrip(".")
    print(f"\n{figure}: {amount:,} {unit}, ours against: {against}", flush=True)
    times = {"ours": [], "yardstick": []}
    for number in range(1, rounds + 1):
        for name, call in (("ours", ours), ("yardstick", yardstick)):
            times[name].append(call())
        row = "".join(f"  {name} {values[-1]:9.3f} s" for name, values in times.items())
        print(f"  round {number}: {row}  ratio {times['yardstick'][-1] / times['ours'][-1]:.3f}", flush=True)
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratio = medians["yardstick"] / medians["ours"]
    best = min(times["yardstick"]) / min(times["ours"])
    rates = {name: amount / value for name, value in medians.items()}
    print("  " + ", ".join(f"{name} {rate:,.2f} {unit}/s" for name, rate in rates.items()))
    reached = "reached" if ratio >= target else "MISSED"
    print(f"  ratio of the medians {ratio:.3f}, of the bests {best:.3f}; target {target:g}: {reached}", flush=True)
    note(
        figure,
        yardstick=against,
        amount=amount,
        unit=unit,
        seconds=times,
        rates=rates,
        ratio_of_medians=ratio,
        ratio_of_bests=best,
        target=target,
        **about,
    )


def note(figure, **values):
    """Append a figure to benchmarks/results.jsonl, with the machine that it is of."""
    RESULTS.parent.mkdir(exist_ok=True)
    with open(RESULTS, "a", encoding="utf-8") as file:
        file.write(json.dumps({"figure": figure, **values, "machine": machine()}) + "\n")


def machine():
    """What the figures depend on."""
    ffmpeg = subprocess.run([media.ffmpeg(), "-version"], capture_output=True, text=True).stdout.partition("\n")[0]
    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],  # of the last minute: the benchmark itself, and whatever else ran
        "system": platform.platform(),
        "versions": {"python": platform.python_version(), "ffmpeg": ffmpeg.split(" Copyright")[0], **versions()},
    }


def cpu():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not on Linux
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def versions():
    found = {}
    for library in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[library] = importlib.metadata.version(library)
    return found
