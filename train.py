"""Step 5: train a network on the records, and say after every epoch how accurate it is.

Reads   train_full.tfrecords, val_full.tfrecords (step 3), vgg-face.mat
Writes  runs/<MODEL>/final.keras         the trained model; keras.models.load_model opens it anywhere
        runs/<MODEL>/best.weights.h5     weights of the epoch with the best validation accuracy
        runs/<MODEL>/checkpoint.npz      what a stopped training goes on from
        runs/<MODEL>/history.csv         one row per epoch
        runs/<MODEL>/settings.json       every constant, the versions, the weights that it started from
        runs/<MODEL>/curves.png, logs/   the curves as a picture, and for TensorBoard
Run     python train.py

Ctrl-C saves and ends; the same command goes on from there, and gives the same weights as if it had not stopped.
"""

import math
import os
import platform
import time
from pathlib import Path

import numpy as np

from first_impression import Problem, chalearn, jobs, metrics, script

# What to train
MODEL = "dan"  # "dan": pool5 described; "dan_plus": pool5 and relu5_2
WEIGHTS = "vgg-face.mat"  # the VGG-Face weights to start from

# How; the values are those of the original TensorFlow pipeline
LEARNING_RATE = 0.0005  # of Adam
BATCH_SIZE = 25  # frames per step
N_EPOCHS = 2  # passes over the training records; may be raised to train a finished run further
REG_PENALTY = 0.0  # times half the mean square of the dense layer's weights, added to the mean squared error
SEED = 0  # of the dense layer's first weights and the order of the records

# Where
TRAIN_RECORDS = "train_full.tfrecords"  # of step 3; one file, or the first part of the shards' names
VAL_RECORDS = "val_full.tfrecords"  # likewise
RUNS = "runs"  # the folder of the runs; each model has its own in it

# The machine
CHECKPOINT_MINUTES = 10.0  # minutes of training that a crash costs at most
DETERMINISTIC = False  # True: same seed, same weights on a GPU as well, slower; on a CPU that always holds

# Constants that may differ when a stopped run goes on
FREE_TO_CHANGE = ("N_EPOCHS", "CHECKPOINT_MINUTES", "RUNS")
# Points of the loss curve; each waits for the device
LOSSES_PER_EPOCH = 100
LABELS = {"frame": "by frame", "clip": "by clip", "constant": "constant guess"}


def main(settings):
    script.load_tensorflow()
    import keras
    import tensorflow as tf

    from first_impression import inference, records, runs
    from model import build_model, load_vggface

    choose_device(tf, settings.DETERMINISTIC)
    training = records.open_records(settings.TRAIN_RECORDS, chalearn.TRAINING.key, "image")
    validation = records.open_records(settings.VAL_RECORDS, chalearn.VALIDATION.key, "image")
    for name, contents in (("training", training), ("validation", validation)):
        print(f"{name}: {contents.records} frames of {len(contents.clips) or 'unnamed'} clips")

    # The network as a stopped run left it, or a new one from the VGG-Face weights
    keras.utils.set_random_seed(settings.SEED)
    run = runs.Run(Path(settings.RUNS) / settings.MODEL, vars(settings), FREE_TO_CHANGE)
    progress = run.progress
    if run.begun:
        model = run.model()
        print(f"{run.folder}: going on after epoch {progress.epoch}, step {progress.step}")
    else:
        model = build_model(settings.MODEL, seed=settings.SEED)
        progress.start = f"{settings.WEIGHTS}, {load_vggface(model, settings.WEIGHTS)}"
    print(f"first weights: {progress.start}")
    optimizer = keras.optimizers.Adam(settings.LEARNING_RATE)
    optimizer.build(model.trainable_variables)
    run.attach(model, optimizer, versions=versions(tf, keras))
    if progress.epoch >= settings.N_EPOCHS and run.final.exists():
        print(f"{run.final}: trained, all {progress.epoch} epochs. To train on, raise N_EPOCHS")
        return

    head = model.get_layer("traits").kernel
    loss_sum = tf.Variable(progress.loss_sum, dtype=tf.float64)  # on the device, so that no step waits for a number

    @tf.function(reduce_retracing=True)
    def train_step(images, labels):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(images, training=True) - labels))
            loss += settings.REG_PENALTY * tf.reduce_mean(tf.square(head)) / 2
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        loss_sum.assign_add(tf.cast(loss, tf.float64) * tf.cast(tf.shape(labels)[0], tf.float64))

    steps = math.ceil(training.records / settings.BATCH_SIZE)
    noting = max(1, steps // LOSSES_PER_EPOCH)
    tensorboard = tf.summary.create_file_writer(str(run.folder / "logs"))

    for epoch in range(progress.epoch, settings.N_EPOCHS):
        title = f"epoch {epoch + 1}/{settings.N_EPOCHS}"
        # The order of the records follows from seed and epoch: a stopped epoch finds its place in it
        order = settings.SEED * 1000 + epoch
        batches = records.batches(training, settings.BATCH_SIZE, shuffle_seed=order, skip=progress.step)
        seen = min(progress.step * settings.BATCH_SIZE, training.records)
        loss_sum.assign(progress.loss_sum)
        saved_at = time.monotonic()
        with script.delayed_stop() as stopping, jobs.progress(training.records, title, "image", seen) as bar:
            for images, labels, _ in records.watched(batches, training):
                train_step(images, labels)
                progress.step += 1
                seen += len(labels)
                bar.update(len(labels))
                if progress.step % noting == 0 or progress.step == steps:
                    progress.loss_sum = float(loss_sum)  # waits for the device
                    loss = progress.loss_sum / seen
                    if not math.isfinite(loss):
                        raise Problem(f"{title}, step {progress.step}: the loss is {loss}: lower LEARNING_RATE")
                    bar.set_postfix_str(f"step {progress.step}/{steps}, loss {loss:.4f}")
                    progress.losses.append([epoch * steps + progress.step, loss])
                if stopping() or time.monotonic() - saved_at > settings.CHECKPOINT_MINUTES * 60:
                    progress.loss_sum = float(loss_sum)
                    run.save()
                    saved_at = time.monotonic()
                if stopping():
                    raise KeyboardInterrupt
            run.save()

        # By frame, as the original counts, and by clip, as the paper does, beside a guess without a look
        clips, predicted, true = inference.predict(model, validation, settings.BATCH_SIZE, "image")
        scores = score(clips, predicted, true, training.label_mean)
        loss = progress.loss_sum / training.records
        print(f"{title}: training loss {loss:.4f}, validation accuracy (1 - mean absolute error)")
        print(metrics.table({LABELS[by]: values for by, values in scores.items()}))
        with tensorboard.as_default(step=epoch + 1):
            tf.summary.scalar("training_loss", loss)
            for by, values in scores.items():
                tf.summary.scalar(f"validation_accuracy/{by}", np.mean(values))
        run.end_epoch(history_row(epoch + 1, loss, scores), "clip_mean" if "clip" in scores else "frame_mean")

    run.finish()
    print(f"{run.final}: the trained model; {run.folder / 'curves.png'}: how it went")


def score(clips, predicted, true, label_mean):
    """Accuracies per trait: {"frame", "clip" (where the records name their clips), "constant": float [5]}."""
    scores = {"frame": metrics.accuracy(predicted, true)}
    if all(clips):
        (_, predicted), (_, true) = metrics.by_clip(clips, predicted), metrics.by_clip(clips, true)
        scores["clip"] = metrics.accuracy(predicted, true)
    scores["constant"] = metrics.accuracy(label_mean, true)
    return scores


def history_row(epoch, loss, scores):
    row = {"epoch": epoch, "training_loss": loss}
    for by, values in scores.items():
        row[f"{by}_mean"] = float(np.mean(values))
        row |= {f"{by}_{trait}": float(value) for trait, value in zip(chalearn.TRAITS, values, strict=True)}
    return row


def choose_device(tf, deterministic):
    """Say what the training runs on, and switch on what makes equal seeds give equal weights."""
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)  # take what is needed: others may use the card
    if gpus:
        names = ", ".join(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus)
        print(f"training on the GPU: {names}")
    else:
        print(f"training on the CPU ({os.cpu_count()} cores), since TensorFlow finds no GPU: fit for the sample only")
    if deterministic or not gpus:  # on a CPU it costs nothing
        tf.config.experimental.enable_op_determinism()


def versions(tf, keras):
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


if __name__ == "__main__":
    script.run(
        main,
        MODEL=script.one_of("dan", "dan_plus"),
        LEARNING_RATE=script.more_than(0),
        BATCH_SIZE=script.at_least(1),
        N_EPOCHS=script.at_least(1),
        REG_PENALTY=script.at_least(0),
        SEED=script.at_least(0),
        CHECKPOINT_MINUTES=script.more_than(0),
    )
