"""Training and inference of DAN: images per second, start-up not counted.

training    train.py's loop, made of its own parts (records read, shuffled, decoded and dealt to the devices, and its
            step), against a bare compiled step on one batch held in memory: same network, weights, number format,
            optimizer and batch size
inference   Devices.predict over records, in float32 as evaluate.py has it, against the compiled network on one batch
            held in memory, its answers fetched. Ours is asked for a few batches and for many: what is told is the
            difference, so that what both begin with does not count
formats     the bare step in each number format, without and with XLA, beside the device's measured rate of bfloat16
            matrix multiplication: the share is what the step makes of it, at 93 GFLOP per image forward and backward

In float32, TensorFlow allows a GPU's convolutions TF32; bfloat16 is Keras's mixed_bfloat16. Every measurement is a
process of its own, so that none inherits another's settings or memory. On a GPU all of it takes an hour: name sizes,
formats and rounds for a part. A small run on a CPU:

    python benchmarks/training.py --STEPS 2 --BATCH_SIZES 2 --INFERENCE_BATCH_SIZES 2 --ROUNDS 1 --TABLE True \\
        --MATRIX 256
"""

import contextlib
import io
import itertools
import os
import time
from pathlib import Path

import material
import numpy as np
from runner import compare, cpu, in_child, note, seconds, workshop

from first_impression.common import rules, script
from first_impression.common.settings import read_settings
from first_impression.common.tensorflow_start import load_tensorflow
from first_impression.data import chalearn

STEPS = 0  # steps of a measurement; 0: 12 on a CPU, 400 on a GPU
BATCH_SIZES = ""  # images per training step, with commas between; "": 8 on a CPU, 25,32,128,256 on a GPU
INFERENCE_BATCH_SIZES = ""  # images inferred at a time, with commas between; "": 25 on a CPU, 25,256 on a GPU
FORMATS = ""  # number formats, with commas between; "": float32 on a CPU, float32,bfloat16 on a GPU
TABLE = False  # True: the table of formats on a CPU too; on a GPU it is always made
MATRIX = 8192  # rows and columns of the matrices multiplied
ROUNDS = 3  # of ours and the yardstick each
MATERIAL = ""  # a folder that keeps the clips for the next benchmark; "": none


def numbers_rule(value):
    """A rule: the value is empty, or whole numbers from 1 on with commas between."""
    fits = not value or all(part.isdecimal() and int(part) for part in value.split(","))
    return None if fits else "must be whole numbers, 1 or more, with commas between"


RULES = {
    "STEPS": rules.whole(0),
    "BATCH_SIZES": numbers_rule,
    "INFERENCE_BATCH_SIZES": numbers_rule,
    "FORMATS": rules.one_of("", "float32", "bfloat16", "float32,bfloat16"),
    "MATRIX": rules.whole(1),
    "ROUNDS": rules.whole(1),
}

WARM_UP = 3  # steps before the clock starts: the first ones trace, compile and try kernels
FORWARD, BACKWARD = 31e9, 62e9  # floating-point operations of VGG-16's convolutions on one image
PRODUCTS = 50  # of matrices, one after the other
_WEIGHTS = "vgg-face.mat"


def main(settings):
    kept = settings.MATERIAL and os.path.abspath(settings.MATERIAL)
    device = in_child(gpu_name)
    defaults = ("25,32,128,256", "25,256", "float32,bfloat16", 400) if device else ("8", "25", "float32", 12)
    batch_sizes = [int(size) for size in (settings.BATCH_SIZES or defaults[0]).split(",")]
    inference_batch_sizes = [int(size) for size in (settings.INFERENCE_BATCH_SIZES or defaults[1]).split(",")]
    formats = (settings.FORMATS or defaults[2]).split(",")
    steps, rounds = settings.STEPS or defaults[3], settings.ROUNDS
    about = {"device": device or "CPU", "steps": steps}
    print(f"on {device or cpu()}: {steps} steps per measurement")
    with workshop():
        counts = {(steps + WARM_UP) * max(batch_sizes)}
        counts |= {batches * size for batches in (WARM_UP, WARM_UP + steps) for size in inference_batch_sizes}
        clips = material.make_clips(kept)
        in_child(write_records, material.make_frames(clips, -(-max(counts) // 100)), counts)
        material.write_weights(_WEIGHTS)

        for number_format in formats:
            for size in batch_sizes:
                compare_training(number_format, size, max(batch_sizes), steps, rounds, about)
        for size in inference_batch_sizes:
            compare_inference(size, steps, rounds, about)
        if device or settings.TABLE:
            tell_formats(formats, batch_sizes, steps, rounds, settings.MATRIX, about)


def compare_training(number_format, batch_size, largest, steps, rounds, about):
    def loop():
        return in_child(seconds_of_loop, number_format, batch_size, steps, (steps + WARM_UP) * largest)

    def bare():
        """a bare compiled step on a batch in memory."""
        return in_child(seconds_of_step, number_format, batch_size, steps)

    figure = f"training_{number_format}_{batch_size}"
    compare(figure, loop, bare, rounds, 1, "images", 0.97, batch_size=batch_size, format=number_format, **about)


def compare_inference(batch_size, steps, rounds, about):
    def predict():
        return in_child(seconds_of_predict, batch_size, steps)

    def bare():
        """the compiled network on a batch in memory."""
        return in_child(seconds_of_inference, batch_size, steps)

    compare(f"inference_{batch_size}", predict, bare, rounds, 1, "images", 0.97, batch_size=batch_size, **about)


def tell_formats(formats, batch_sizes, steps, rounds, matrix, about):
    """A table of the bare step: number formats and batch sizes, without and with XLA."""
    rate = max(in_child(products_per_second, matrix) for _ in range(rounds))
    print(f"\nbfloat16 multiplication of {matrix} x {matrix} matrices: {rate / 1e12:,.2f} TFLOP/s")
    rows = []
    for number_format, size, xla in itertools.product(formats, batch_sizes, (False, True)):
        best = 1 / min(in_child(seconds_of_step, number_format, size, steps, xla) for _ in range(rounds))
        share = best * (FORWARD + BACKWARD) / rate
        rows.append({"format": number_format, "batch_size": size, "xla": xla, "rate": best, "share": share})
        name = f"{number_format}, batch of {size}{', XLA' if xla else ''}"
        print(f"  {name:<28} {best:9,.1f} images/s, {share:6.1%} of it", flush=True)
    note("training_formats", rows=rows, matrix_flops=rate, **about)


def gpu_name():
    """The name of the first GPU, empty where TensorFlow finds none."""
    load_tensorflow()
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU") if gpus else ""


def records_of(count):
    """The file of so many records."""
    return Path(f"{count}.tfrecords")


def write_records(frames, counts):
    """A record file of the first `count` frames for each of `counts`."""
    load_tensorflow()
    from first_impression.data import record_writer

    labels = {clip: np.float32(label) for clip, label in material.labels(len(frames)).items()}
    examples = [record_writer.Example(frame.parent.name, labels[frame.parent.name], frame) for frame in frames]
    with silence():
        for count in counts:
            record_writer.write(records_of(count), chalearn.TRAINING.key, "image", examples[:count], contents, {})


def contents(paths):
    """The bytes of each file."""
    return (path.read_bytes() for path in paths)


def silence():
    both = contextlib.ExitStack()
    both.enter_context(contextlib.redirect_stdout(io.StringIO()))
    both.enter_context(contextlib.redirect_stderr(io.StringIO()))
    return both


def settings_of_train(number_format):
    """train.py's constants, with the made weights and a number format."""
    import train

    with silence():
        return read_settings(vars(train), ["--WEIGHTS", _WEIGHTS, "--MIXED_PRECISION", number_format])


def seconds_of_loop(number_format, batch_size, steps, records):
    """Seconds per image of train.py's loop, over a file of so many records."""
    load_tensorflow()
    import train
    from first_impression.data import record_reader
    from first_impression.training.devices import Devices
    from first_impression.training.optimizers import make_optimizer
    from first_impression.training.step import TrainingStep

    settings = settings_of_train(number_format)
    with silence():
        devices = Devices(settings.DETERMINISTIC)
    record_set = record_reader.open_records(records_of(records), chalearn.TRAINING.key, "image")
    with devices.strategy.scope():
        model, _ = train.new_model(settings, record_set, devices)
        optimizer = make_optimizer(settings, model, steps)
        loss_fn, penalties = train.LOSSES[settings.LOSS], (settings.WEIGHT_DECAY, settings.REG_PENALTY)
        step = TrainingStep(devices, train.train_step, model, optimizer, loss_fn, *penalties)
    batches = devices.batches(record_set, batch_size, shuffle_seed=0, flip=settings.FLIP)

    def run(count):
        for batch in itertools.islice(batches, count):
            step(batch)
        step.read_loss()  # waits for the device

    run(WARM_UP)
    return seconds(run, steps) / (steps * batch_size)


def seconds_of_step(number_format, batch_size, steps, xla=False):
    """Seconds per image of a bare training step."""
    load_tensorflow()
    import tensorflow as tf

    from first_impression.training.optimizers import make_optimizer

    model = network(number_format)
    optimizer = make_optimizer(settings_of_train(number_format), model, steps)
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
    return seconds(run, steps) / (steps * batch_size)


def seconds_of_predict(batch_size, steps):
    """Seconds per image of Devices.predict."""
    load_tensorflow()
    from first_impression.data import record_reader
    from first_impression.training.devices import Devices

    with silence():
        devices = Devices()
        with devices.strategy.scope():
            model = network("float32")
        counts = WARM_UP * batch_size, (WARM_UP + steps) * batch_size
        few, many = (record_reader.open_records(records_of(count), chalearn.TRAINING.key, "image") for count in counts)

        def predict(record_set):
            devices.predict(model, record_set, "image", "inference", batch_size)

        predict(few)
        return (seconds(predict, many) - seconds(predict, few)) / (steps * batch_size)


def seconds_of_inference(batch_size, steps):
    """Seconds per image of the network alone."""
    load_tensorflow()
    import tensorflow as tf

    model = network("float32")
    images, _ = batch_in_memory(batch_size)
    infer = tf.function(lambda images: model(images, training=False))

    def run(count):
        for _ in range(count):
            infer(images).numpy()

    run(WARM_UP)
    return seconds(run, steps) / (steps * batch_size)


def network(number_format):
    """DAN with the made weights."""
    import keras

    from model import build_model, load_vggface

    keras.config.set_dtype_policy("mixed_bfloat16" if number_format == "bfloat16" else "float32")
    model = build_model("dan", seed=0)
    load_vggface(model, _WEIGHTS)
    return model


def batch_in_memory(batch_size):
    """(images uint8 [n, 224, 224, 3], labels float32 [n, 5]), drawn, as tensors."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    shape = (batch_size, chalearn.FRAME_SIZE, chalearn.FRAME_SIZE, 3)
    labels = rng.random((batch_size, len(chalearn.TRAITS))).astype(np.float32)
    return tf.constant(rng.integers(0, 256, shape, np.uint8)), tf.constant(labels)


def products_per_second(matrix):
    """Floating-point operations per second of bfloat16 multiplication of square matrices."""
    load_tensorflow()
    import tensorflow as tf

    left, right = (tf.cast(tf.random.normal((matrix, matrix)), tf.bfloat16) for _ in range(2))

    @tf.function
    def multiply(left, right):
        for _ in tf.range(PRODUCTS):
            left = tf.matmul(left, right) * tf.cast(matrix**-0.5, tf.bfloat16)  # keeps the size of the values
        return left

    multiply(left, right).numpy()
    start = time.perf_counter()
    multiply(left, right)[0, 0].numpy()  # waits for the device, and fetches one number only
    return 2 * matrix**3 * PRODUCTS / (time.perf_counter() - start)


if __name__ == "__main__":
    script.run(main)
