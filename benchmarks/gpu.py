"""Training on a GPU: all figures in one command of about six minutes, each printed as soon as it is known.

    python benchmarks/gpu.py                       on records of drawn clips, made first
    python benchmarks/gpu.py --RECORDS my-study    on the image records in that folder

1 training      train.py's own loop in bfloat16 against a bare compiled step on a batch in memory; batches of 32
2               of 25, 128 and 256
3 float32       the same in float32 (NVIDIA GPUs calculate in TF32), smallest and largest batch
4 XLA           the bare step compiled by XLA against the same without
5 inference     Devices.predict over records against the compiled network on a batch in memory, in bfloat16
6 reader        batching.batches alone, shuffled
7 share         of the rate at which the GPU multiplies large matrices, for the loop's rates of 1 and 2
8 first step    from the start of the process `train.py` until its first step is done
9 NVDEC         step 1 with NVDEC against the CPU's decoding, and whether the frames are the same

What 1, 3 and 5 measure is described in training.py. Works on a CPU too, to try the command itself:

    python benchmarks/gpu.py --CLIPS 2 --FRAMES 24 --IMAGES 6 --BATCH_SIZES 2,1 --INFERENCE_BATCH_SIZE 2 --MATRIX 1024
"""

import math
import os
import re
import shutil
import subprocess
import sys
import time
import traceback
from contextlib import chdir
from pathlib import Path

import material
from runner import PROJECT, compare, in_child, run_step, seconds, temporary_folder
from training import bare_network, bare_steps, make_records, predictions, records, training_loop

from first_impression.common import rules, script
from first_impression.common.errors import UserError
from first_impression.common.tensorflow_start import load_tensorflow
from first_impression.data import chalearn, frames, media
from first_impression.sample import weights

RECORDS = ""  # folder of train_full.tfrecords and val_full.tfrecords; "": records of drawn clips
CLIPS = 60  # drawn clips
FRAMES = 400  # of each of them
IMAGES = 8000  # per measurement of training
BATCH_SIZES = "32,25,128,256"  # of training
INFERENCE_BATCH_SIZE = 256
MATRIX = 8192  # rows and columns
ROUNDS = 2  # rounds of ours and the yardstick each
MINUTES = 6.0  # after these no figure is begun any more

RULES = {"IMAGES": rules.whole(1), "ROUNDS": rules.whole(1)}

_GFLOP = 93  # of DAN, per image forward and backward: 3 x 2 x 15.5 billion multiplications
_PRODUCTS = 10  # of matrices in one call


def main(settings):
    sizes = [int(size) for size in settings.BATCH_SIZES.split(",")]
    ends, given = sorted({min(sizes), max(sizes)}), settings.RECORDS and Path(settings.RECORDS).absolute()
    common = settings.IMAGES, settings.ROUNDS, time.monotonic() + 60 * settings.MINUTES
    with temporary_folder():
        if given:
            for path in given.glob("*_full.tfrecords*"):
                Path(path.name).symlink_to(path)
        else:
            material.make_clips(settings.CLIPS)
            material.make_clips(max(1, settings.CLIPS // 10), chalearn.VALIDATION)
            print(f"records in {seconds(in_child, make_records, settings.FRAMES):.0f} s", flush=True)
        rates = attempt(in_child, train_figures, "bfloat16", sizes, *common)
        attempt(in_child, train_figures, "float32", ends, *common)
        attempt(in_child, xla_figures, ends, *common)
        attempt(in_child, inference_figure, settings.INFERENCE_BATCH_SIZE, *common)
        attempt(in_child, reader_figure, *common)
        attempt(in_child, share_figure, settings.MATRIX, rates or {}, *common)
        attempt(first_step_figure, *common)
        attempt(nvdec_figure, settings.CLIPS, *common)


def attempt(figures, *arguments):
    """What `figures` returns; an error is printed instead, so that the other figures still come."""
    try:
        return figures(*arguments)
    except Exception:
        print("\nFAILED", flush=True)
        traceback.print_exc()


def in_time(figure, end):
    """Whether there is time left for a figure; says so if not."""
    if time.monotonic() < end:
        return True
    print(f"\n{figure}: left out, the time is over", flush=True)
    return False


def started(xla=False):
    """`Devices`, in a process that has just started."""
    load_tensorflow()
    from first_impression.training.devices import Devices

    return Devices(xla=xla)


def train_figures(precision, sizes, images, rounds, end):
    """Print figures 1 and 2, or 3; returns {batch size: images/s of train.py's loop}."""
    devices, rates = started(), {}
    for size in sizes:
        figure = f"training in {precision}, batches of {size}"
        if in_time(figure, end):
            ours, bare = training_loop(devices, size, precision), bare_steps(size, precision)
            rates[size] = in_turn(figure, ours, bare, "a bare compiled step", rounds, size, images)
    return rates


def xla_figures(sizes, images, rounds, end):
    started(xla=True)
    for size in sizes:
        if in_time("XLA", end):
            with_xla, without = (bare_steps(size, "bfloat16", xla) for xla in (True, False))
            in_turn(f"XLA, batches of {size}", with_xla, without, "the bare step without XLA", rounds, size, images)


def inference_figure(size, images, rounds, end):
    devices = started()
    if in_time("inference", end):
        ours, bare = predictions(devices, size, "bfloat16"), bare_network(size, "bfloat16")
        images = min(2 * images, records(chalearn.TRAINING).size - 3 * size)  # the warm-up takes three batches
        in_turn(f"inference, batches of {size}", ours, bare, "the compiled network", rounds, size, images)


def in_turn(figure, ours, yardstick, name, rounds, size, images):
    """As `compare`, for functions of a number of batches."""
    steps = max(1, images // size)
    return compare(figure, lambda: ours(steps), lambda: yardstick(steps), name, rounds, steps * size, "images")


def reader_figure(images, rounds, end):
    load_tensorflow()
    from first_impression.data import batching

    if in_time("reader", end):
        record_set = records(chalearn.TRAINING)
        times = [
            seconds(lambda: [None for _ in batching.batches(record_set, 25, shuffle_seed=0)])
            for _ in range(rounds + 1)  # the first one reads the files into memory
        ]
        rate = record_set.size / min(times[1:])
        print(f"\nreader: {record_set.size:,} images, {rate:,.0f} images/s on {os.cpu_count()} cores", flush=True)


def share_figure(n, rates, images, rounds, end):
    """Print the rate of matrix products in bfloat16, and what share of it the `rates` of training are."""
    if not in_time("share of the matrix rate", end):
        return
    load_tensorflow()
    import tensorflow as tf

    matrix = tf.cast(tf.random.normal([n, n], stddev=n**-0.5), tf.bfloat16)

    @tf.function
    def multiply(product):
        for _ in range(_PRODUCTS):
            product = tf.matmul(product, matrix)
        return product[0, 0]

    multiply(matrix).numpy()
    flops = 2 * n**3 * _PRODUCTS / min(seconds(lambda: multiply(matrix).numpy()) for _ in range(5))
    print(f"\nmatrix products of {n} x {n} in bfloat16: {flops / 1e12:,.2f} TFLOP/s", flush=True)
    for size, rate in rates.items():
        print(f"  training, batches of {size}: {100 * rate * _GFLOP * 1e9 / flops:.0f} % of that", flush=True)


def first_step_figure(images, rounds, end):
    if not in_time("first step", end):
        return
    weights.write(Path("vgg-face.mat"))
    load_tensorflow()
    size = max(32, math.ceil(records(chalearn.TRAINING).size / 199))  # so few steps that each reads its loss
    command, shown, start = [sys.executable, PROJECT / "train.py", "--BATCH_SIZE", str(size)], "", time.perf_counter()
    always = {**os.environ, "TQDM_MININTERVAL": "0"}  # the bar is drawn anew at each step
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=always) as process:
        while not re.search(r"step \d+/", shown):
            shown += (read := process.stderr.read(1))
            if not read:
                raise UserError(f"train.py failed: {shown}")
        took = time.perf_counter() - start
        process.kill()
    print(f"\nfirst step: {took:.1f} s after the start of train.py, with drawn weights", flush=True)


def nvdec_figure(clips, images, rounds, end):
    if fault := media.nvdec_fault():
        print(f"\nNVDEC: there is no NVIDIA GPU for ffmpeg ({fault})", flush=True)
    elif in_time("NVDEC", end):
        Path("nvdec").mkdir()
        with chdir("nvdec"):
            left, one = [], material.make_clips(clips)[0]
            Path("one").mkdir()
            frames.extract_frames(one, "one", 100, "even", chalearn.FRAME_SIZE, nvdec=lambda: left.append(one))
            print(f"\nNVDEC {'does not decode' if left else 'decodes'} the drawn clips", flush=True)
            made = {}

            def step_1(nvdec):
                shutil.rmtree("ImageData", ignore_errors=True)
                took = run_step("Video_to_Image", "--NVDEC", nvdec)
                made[nvdec] = [path.read_bytes() for path in sorted(Path("ImageData").glob("*/*/*.jpg"))]
                return took

            compare("NVDEC", lambda: step_1(True), lambda: step_1(False), "the CPU", rounds, clips, "clips")
            print(f"  the frames are {'equal' if made[True] == made[False] else 'NOT equal'}", flush=True)


if __name__ == "__main__":
    script.run(main)
