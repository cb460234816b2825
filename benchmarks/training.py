"""train.py and inference.predict on whole DAN: images per second, start-up not counted.

train.py's main runs on records and a made weights file, as from the command line; its own progress bar tells when
which step was through: a mark where it has waited for the device. Against a bare compiled step: same network, weights,
number format, optimizer and batch size, one batch held in memory.
inference.predict over records in float32, as evaluate.py has it, from the first few batches on, against the compiled
network on one batch held in memory, its answers fetched.

Where TensorFlow finds a GPU, the bare step is also measured in float32 (in whose convolutions TensorFlow allows the
card TF32) and with Keras's mixed_bfloat16, each without and with XLA, beside the card's measured rate of bfloat16
matrix multiplication: the share is what the step makes of it, at 93 GFLOP per image forward and backward.

Every measurement is a process of its own, so that none inherits another's settings or memory.
"""

import contextlib
import importlib
import io
import os
import time
from pathlib import Path

import material
import numpy as np
from runner import compare, cpu, in_child, note, workshop

from first_impression.common import parallel, script
from first_impression.data import annotations, chalearn, record_reader, record_writer

STEPS: int | None = None  # steps of a measurement; None: 12 on a CPU, 400 on a GPU
BATCH_SIZE: int | None = None  # images per step; None: 8 on a CPU, 25 on a GPU
ROUNDS = 3  # of ours and the yardstick each
MATERIAL = ""  # a folder that keeps the clips for the next benchmark; "": none

# Steps before the clock starts: the first are slow, and inference.predict is that many ahead of its answers
WARM_UP, AHEAD = 3, 4
FORWARD, BACKWARD = 31e9, 62e9  # floating-point operations of VGG-16's convolutions on one image
MATRIX = 8192  # rows and columns of the matrices multiplied
PRODUCTS = 50
WEIGHTS = "vgg-face.mat"


def main(settings):
    kept = settings.MATERIAL and os.path.abspath(settings.MATERIAL)
    device = in_child(gpu_name)
    steps = settings.STEPS or (400 if device else 12)
    batch_size = settings.BATCH_SIZE or (25 if device else 8)
    print(f"on {device or cpu()}: {steps} steps of {batch_size} images")
    about = {"device": device or "CPU", "batch_size": batch_size, "steps": steps}
    with workshop():
        images = (steps + WARM_UP + AHEAD) * batch_size
        clips = material.make_clips(kept)
        material.make_frames(clips, -(-images // 100))
        material.make_frames(clips, 1, 1, chalearn.VALIDATION)
        in_child(write_records, images)
        material.write_weights(WEIGHTS)

        policy = in_child(policy_of_train_py)
        print(f"train.py calculates in {policy}")

        def training():
            return in_child(seconds_of_train_py, batch_size)

        def bare_step():
            """a bare compiled step on a batch in memory."""
            return in_child(seconds_of_step, batch_size, steps, policy)

        def inference():
            return in_child(seconds_of_predict, batch_size)

        def bare_inference():
            """the compiled network on a batch in memory."""
            return in_child(seconds_of_inference, batch_size, steps)

        rest = (settings.ROUNDS, 1, "images")
        compare("training", training, bare_step, *rest, target=0.97, policy=policy, **about)
        compare("inference", inference, bare_inference, *rest, target=0.97, **about)
        if device:
            tell_formats(batch_size, steps, settings.ROUNDS, about)


def tell_formats(batch_size, steps, rounds, about):
    """A table of the bare step in each number format, without and with XLA, beside the card's own rate."""
    rate = max(in_child(products_per_second) for _ in range(rounds))
    print(f"\nbfloat16 matrix multiplication: {rate / 1e12:,.0f} TFLOP/s")
    rows = {}
    for policy in ("float32", "mixed_bfloat16"):
        for xla in (False, True):
            best = 1 / min(in_child(seconds_of_step, batch_size, steps, policy, xla) for _ in range(rounds))
            share = best * (FORWARD + BACKWARD) / rate
            name = f"{policy}{' with XLA' if xla else ''}"
            rows[name] = {"images_per_second": best, "share": share}
            print(f"  {name:<24} {best:9,.1f} images/s, {share:6.1%} of it", flush=True)
    note("training_formats", rows=rows, matrix_flops=rate, **about)


def gpu_name():
    script.load_tensorflow()
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU") if gpus else ""


def policy_of_train_py():
    """The number format that train.py takes on this machine."""
    script.load_tensorflow()
    from first_impression.training import devices

    return "mixed_bfloat16" if devices.mixed_precision_pays() else "float32"


def write_records(images):
    """train_full.tfrecords of so many frames, val_full.tfrecords of what there is."""
    script.load_tensorflow()
    import Write_Into_TFRecords as step

    for split, most in ((chalearn.TRAINING, images), (chalearn.VALIDATION, None)):
        labels, found = annotations.read_annotation(split.annotation), step.find_frames(split, "")
        items = [record_writer.Example(clip, labels[clip], frame) for clip in found for frame in found[clip]][:most]
        with silence():
            record_writer.write(
                split.image_records, split.key, "image", items, lambda frames: map(step.jpeg, frames), {}
            )


def silence():
    both = contextlib.ExitStack()
    both.enter_context(contextlib.redirect_stdout(io.StringIO()))
    both.enter_context(contextlib.redirect_stderr(io.StringIO()))
    return both


def seconds_of_train_py(batch_size):
    """Seconds per image of train.py's loop."""
    marks = watch_progress("set_postfix_str")  # it writes the loss there, which it has waited for
    folder = str(Path("runs") / str(os.getpid()))
    train = importlib.import_module("train")
    flags = ["--WEIGHTS", WEIGHTS, "--RUNS", folder, "--BATCH_SIZE", str(batch_size), "--N_EPOCHS", "1"]
    with silence():
        train.main(script.read_settings(vars(train), flags))
    return seconds_per_image(marks, batch_size)


def seconds_of_predict(batch_size):
    """Seconds per image of inference.predict."""
    script.load_tensorflow()
    marks = watch_progress("update")
    from first_impression.training import devices, predict_all

    with silence():
        strategy = devices.choose_strategy()
        with strategy.scope():
            model, _ = network("float32")
        contents = record_reader.open_records(chalearn.TRAINING.image_records, chalearn.TRAINING.key, "image")
        predict_all.predict(strategy, model, contents, batch_size, "image", "benchmark")
    # A mark comes when the batch AHEAD of it is answered: from one such mark to another, the rate is right
    return seconds_per_image(marks, batch_size, WARM_UP + AHEAD)


def watch_progress(method):
    """Let every progress bar note (its count, the time) at the end of each call of `method`; returns the list."""
    marks, make = [], parallel.progress

    def progress(*arguments, **options):
        bar = make(*arguments, **options)
        call = getattr(bar, method)

        def noting(*given):
            call(*given)
            marks.append((bar.n, time.perf_counter()))

        setattr(bar, method, noting)
        return bar

    parallel.progress = progress  # before the modules that use it are imported
    return marks


def seconds_per_image(marks, batch_size, warm_up=WARM_UP):
    """From the first mark after the warm-up to the last."""
    start, *_, end = [mark for mark in marks if mark[0] >= warm_up * batch_size]
    return (end[1] - start[1]) / (end[0] - start[0])


def network(policy):
    """DAN with the made weights, and train.py's optimizer."""
    import keras

    from model import build_model, load_vggface

    keras.mixed_precision.set_global_policy(policy)
    model = build_model("dan", seed=0)
    load_vggface(model, WEIGHTS)
    optimizer = keras.optimizers.Adam(5e-4)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def batch_in_memory(batch_size):
    import tensorflow as tf

    rng = np.random.default_rng(0)
    shape = (batch_size, chalearn.FRAME_SIZE, chalearn.FRAME_SIZE, 3)
    labels = rng.random((batch_size, len(chalearn.TRAITS))).astype(np.float32)
    return tf.constant(rng.integers(0, 256, shape, np.uint8)), tf.constant(labels)


def seconds_of_step(batch_size, steps, policy="float32", xla=False):
    """Seconds per image of a bare training step."""
    script.load_tensorflow()
    import tensorflow as tf

    model, optimizer = network(policy)
    images, labels = batch_in_memory(batch_size)

    @tf.function(jit_compile=xla)
    def step(images, labels):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(images, training=True) - labels))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    def run(count):
        for _ in range(count):
            loss = step(images, labels)
        float(loss)  # waits for the device

    run(WARM_UP)
    start = time.perf_counter()
    run(steps)
    return (time.perf_counter() - start) / (steps * batch_size)


def seconds_of_inference(batch_size, steps):
    """Seconds per image of the network alone."""
    script.load_tensorflow()
    import tensorflow as tf

    model, _ = network("float32")
    images, _ = batch_in_memory(batch_size)
    infer = tf.function(lambda images: model(images, training=False))
    for _ in range(WARM_UP):
        infer(images).numpy()
    start = time.perf_counter()
    for _ in range(steps):
        infer(images).numpy()
    return (time.perf_counter() - start) / (steps * batch_size)


def products_per_second(size=MATRIX, products=PRODUCTS):
    """Floating-point operations per second of bfloat16 matrix multiplication."""
    script.load_tensorflow()
    import tensorflow as tf

    left, right = (tf.cast(tf.random.normal((size, size)), tf.bfloat16) for _ in range(2))

    @tf.function
    def multiply(left, right):
        for _ in tf.range(products):
            left = tf.matmul(left, right) * tf.cast(size**-0.5, tf.bfloat16)  # keeps the size of the values
        return left

    multiply(left, right).numpy()
    start = time.perf_counter()
    multiply(left, right)[0, 0].numpy()  # waits for the device, and fetches one number only
    return 2 * size**3 * products / (time.perf_counter() - start)


if __name__ == "__main__":
    script.run(main, STEPS=script.whole(1), BATCH_SIZE=script.whole(1), ROUNDS=script.whole(1))
