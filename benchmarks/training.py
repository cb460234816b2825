"""Training and inference of DAN with random weights: images per second, start-up not counted.

training    train.py's steps on records that are read, shuffled and decoded, against a bare compiled step on one batch
            held in memory: same network, number format, optimizer and batch size
inference   Devices.predict over records, against the compiled network on one batch held in memory, its answers fetched.
            Ours predicts for a few batches and for many: the difference counts, so that what both begin with does not

Each measurement is a process of its own, so that none inherits another's settings or memory. The sizes below suit a
CPU. For a GPU:

    python benchmarks/training.py --STEPS 400 --BATCH_SIZE 128 --INFERENCE_BATCH_SIZE 256
"""

import contextlib
import functools
import io

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

_WARM_UP = 3  # steps before the clock starts: the first ones trace, compile and try kernels


def main(settings):
    steps, rounds = settings.STEPS, settings.ROUNDS
    sizes = steps, settings.BATCH_SIZE, settings.MIXED_PRECISION
    with temporary_folder():
        material.make_clips(_WARM_UP + steps)  # each gives the frames of a batch
        material.make_clips(_WARM_UP, chalearn.VALIDATION)
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


def make_records(batch_size):
    load_tensorflow()
    run_step("Video_to_Image", "--FRAMES_PER_CLIP", batch_size, "--SAMPLING", "first")
    run_step("Write_Into_TFRecords")


def seconds_of_training(steps, batch_size, precision):
    """Seconds of train.py's steps on its records."""
    load_tensorflow()
    import train
    from first_impression.training.devices import Devices
    from first_impression.training.step import TrainingStep

    devices = Devices()
    with devices.strategy.scope():
        step = TrainingStep(devices, train.train_step, *dan_and_optimizer(precision), train.LOSSES["squared"])
    batches = iter(devices.batches(records(chalearn.TRAINING), batch_size, shuffle_seed=0))
    return seconds_of_steps(lambda: step(next(batches)), step.read_loss, steps)


def seconds_of_bare_step(steps, batch_size, precision):
    """Seconds of bare training steps."""
    load_tensorflow()
    import tensorflow as tf

    model, optimizer = dan_and_optimizer(precision)
    images, loss_sum = random_images(batch_size), tf.Variable(0.0)

    @tf.function
    def step(images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(images, training=True) - 0.5))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        loss_sum.assign_add(loss)

    return seconds_of_steps(lambda: step(images), loss_sum.numpy, steps)


def seconds_of_predict(steps, batch_size, precision):
    """Seconds of Devices.predict for the training records, less those for the validation records."""
    load_tensorflow()
    from first_impression.training.devices import Devices

    devices, (few, many) = Devices(), map(records, (chalearn.VALIDATION, chalearn.TRAINING))
    with devices.strategy.scope():
        model, _ = dan_and_optimizer(precision)

    def predict(record_set):
        with contextlib.redirect_stderr(io.StringIO()):  # the bar
            devices.predict(model, record_set, "image", "inference", batch_size)

    predict(few)
    more = many.size - few.size  # frames; a clip has as many as the larger of the two batches
    return (seconds(predict, many) - seconds(predict, few)) / more * steps * batch_size


def seconds_of_bare_network(steps, batch_size, precision="auto"):
    """Seconds of the network alone."""
    load_tensorflow()
    import tensorflow as tf

    model, _ = dan_and_optimizer(precision)
    images, infer = random_images(batch_size), tf.function(lambda images: model(images, training=False))
    return seconds_of_steps(lambda: infer(images).numpy(), lambda: None, steps)


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
