"""Training and inference of DAN with random weights: images per second, start-up not counted.

training    train.py's loop on records that are read, shuffled and decoded, against a bare compiled step on one batch
            held in memory: same network, number format, optimizer and batch size
inference   Devices.predict over records, against the compiled network on one batch held in memory, its answers fetched.

The clock starts after a few batches. Each measurement is a process of its own, so that none inherits another's settings
or memory. The sizes below suit a CPU; for a GPU there is gpu.py.
"""

import contextlib
import copy
import functools
import io
import itertools
import time
from types import SimpleNamespace

import material
import numpy as np
from runner import compare, in_child, run_step, seconds, temporary_folder

from first_impression.common import script
from first_impression.common.tensorflow_start import load_tensorflow
from first_impression.data import chalearn
from first_impression.training import number_format

STEPS = 12  # steps of a measurement
BATCH_SIZE = 8  # images per training step
INFERENCE_BATCH_SIZE = 25  # images inferred at a time
MIXED_PRECISION = "auto"  # number format, as in train.py
ROUNDS = 3  # rounds of ours and the yardstick each

RULES = {"MIXED_PRECISION": number_format.RULE}

_IMAGES_PER_LOSS = 6000  # read by train.py, in an epoch of ChaLearn's 600,000 images
_WARM_UP = 3  # steps before the clock starts: the first ones trace, compile and try kernels


def main(settings):
    steps, rounds = settings.STEPS, settings.ROUNDS
    sizes = steps, settings.BATCH_SIZE, settings.MIXED_PRECISION
    with temporary_folder():
        material.make_clips(_WARM_UP + steps)  # each gives the frames of a batch
        in_child(make_records, max(settings.BATCH_SIZE, settings.INFERENCE_BATCH_SIZE))
        ours = functools.partial(in_child, seconds_of_training, *sizes)
        bare = functools.partial(in_child, seconds_of_bare_step, *sizes)
        name = "a bare compiled step on a batch in memory"
        compare("training", ours, bare, name, rounds, steps * settings.BATCH_SIZE, "images")

        sizes = steps, settings.INFERENCE_BATCH_SIZE, settings.MIXED_PRECISION
        ours = functools.partial(in_child, seconds_of_predict, *sizes)
        bare = functools.partial(in_child, seconds_of_bare_network, *sizes)
        name = "the compiled network on a batch in memory"
        compare("inference", ours, bare, name, rounds, steps * settings.INFERENCE_BATCH_SIZE, "images")


def make_records(frames_per_clip):
    load_tensorflow()
    run_step("Video_to_Image", "--FRAMES_PER_CLIP", frames_per_clip, "--SAMPLING", "first")
    run_step("Write_Into_TFRecords")


def seconds_of_training(steps, batch_size, precision):
    """Seconds of train.py's loop on its records."""
    load_tensorflow()
    from first_impression.training.devices import Devices

    return training_loop(Devices(), batch_size, precision)(steps)


def seconds_of_bare_step(steps, batch_size, precision):
    """Seconds of bare training steps."""
    load_tensorflow()
    return bare_steps(batch_size, precision)(steps)


def training_loop(devices, batch_size, precision, xla=False):
    """train.py's own loop, with its bar and waits for the loss: a function of the steps that gives their seconds."""
    import train
    from first_impression.training.checkpoint import TrainingState
    from first_impression.training.step import TrainingStep

    record_set = records(chalearn.TRAINING)
    with devices.strategy.scope():
        model_and_optimizer = dan_and_optimizer(precision)
        step = TrainingStep(devices, train.train_step, *model_and_optimizer, train.LOSSES["squared"], xla=xla)
    others = {name: getattr(train, name) for name in ("MODEL", "SEED", "N_EPOCHS", "FLIP", "CHECKPOINT_MINUTES")}
    settings = SimpleNamespace(BATCH_SIZE=batch_size, **others)
    train._LOSSES_PER_EPOCH = max(1, record_set.size // _IMAGES_PER_LOSS)

    def run(steps):
        assert (_WARM_UP + steps) * batch_size <= record_set.size, f"only {record_set.size} records"
        timed_devices = timed(devices, steps)
        with contextlib.redirect_stderr(io.StringIO()):  # the bar
            train.train_epoch(timed_devices, step, record_set, settings, TrainingState(), lambda: None)
        step.read_loss()  # waits for the device
        return time.perf_counter() - timed_devices.start

    return run


def timed(devices, steps):
    """A copy of `Devices` whose passes end after so many batches; its `start` is the time when a warm-up was over."""
    import tensorflow as tf

    copied = copy.copy(devices)

    def batches(*arguments, **options):
        few = itertools.islice(devices.batches(*arguments, **options), _WARM_UP + steps)
        for number, batch in enumerate(few):
            if number == _WARM_UP:
                tf.test.experimental.sync_devices()
                copied.start = time.perf_counter()
            yield batch

    copied.batches = batches
    return copied


def bare_steps(batch_size, precision, xla=False):
    """Bare compiled training steps on a batch in memory: a function of their number that gives their seconds."""
    import tensorflow as tf

    model, optimizer = dan_and_optimizer(precision)
    images, loss_sum = random_images(batch_size), tf.Variable(0.0)

    @tf.function(jit_compile=xla or None)
    def step(images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(images, training=True) - 0.5))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        loss_sum.assign_add(loss)

    return functools.partial(seconds_of_steps, lambda: step(images), loss_sum.numpy)


def seconds_of_predict(steps, batch_size, precision):
    """Seconds of Devices.predict for so many batches."""
    load_tensorflow()
    from first_impression.training.devices import Devices

    return predictions(Devices(), batch_size, precision)(steps)


def predictions(devices, batch_size, precision):
    """Devices.predict for records: a function of the number of batches that gives their seconds."""
    record_set = records(chalearn.TRAINING)
    with devices.strategy.scope():
        model, _ = dan_and_optimizer(precision)

    def run(steps):
        assert (_WARM_UP + steps) * batch_size <= record_set.size, f"only {record_set.size} records"
        timed_devices = timed(devices, steps)
        with contextlib.redirect_stderr(io.StringIO()):  # the bar
            timed_devices.predict(model, record_set, "image", "inference", batch_size)
        return time.perf_counter() - timed_devices.start

    return run


def seconds_of_bare_network(steps, batch_size, precision="auto"):
    """Seconds of the network alone."""
    load_tensorflow()
    return bare_network(batch_size, precision)(steps)


def bare_network(batch_size, precision):
    """The compiled network on a batch in memory: a function of the number of batches that gives their seconds."""
    import tensorflow as tf

    model, _ = dan_and_optimizer(precision)
    images, infer = random_images(batch_size), tf.function(lambda images: model(images, training=False))
    return functools.partial(seconds_of_steps, lambda: infer(images).numpy(), lambda: None)


def seconds_of_steps(step, wait_for_device, steps):
    """Seconds of calling `step` so many times, after a warm-up."""

    def run(count):
        for _ in range(count):
            step()
        wait_for_device()

    run(_WARM_UP)
    return seconds(run, steps)


def dan_and_optimizer(precision):
    import keras

    from model import build_model

    model = number_format.in_format(build_model("dan", seed=0), number_format.choose(precision))
    optimizer = keras.optimizers.Adam(0.0005)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def records(split):
    from first_impression.data import record_reader

    return record_reader.open_split(split, "image")


def random_images(count):
    import tensorflow as tf

    shape = (count, chalearn.FRAME_SIZE, chalearn.FRAME_SIZE, 3)
    return tf.constant(np.random.default_rng(0).integers(0, 256, shape, np.uint8))


if __name__ == "__main__":
    script.run(main)
