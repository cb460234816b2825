"""Step 5: train a network on the records, and say after every epoch how accurate it is.

Reads   train_full.tfrecords, val_full.tfrecords (step 3), vgg-face.mat
        for MODEL = "audio": train_audio_full.tfrecords, val_audio_full.tfrecords (step 4)
Writes  runs/<MODEL>/final.keras         the trained model; keras.models.load_model opens it anywhere
        runs/<MODEL>/best.weights.h5     weights of the epoch with the best validation accuracy
        runs/<MODEL>/checkpoint.npz      what a stopped training goes on from
        runs/<MODEL>/history.csv         one row per epoch
        runs/<MODEL>/settings.json       every constant, the versions, the weights that it started from
        runs/<MODEL>/training_labels.csv the labels of the training clips
        runs/<MODEL>/curves.png, logs/   the curves as a picture, and for TensorBoard
Run     python train.py

Ctrl-C saves and ends, and so does SIGTERM; the same command goes on from there, and gives the same weights as if it
had not stopped. All GPUs of the machine are used; several machines train one model where TF_CONFIG names them.
"""

import math
import signal
from pathlib import Path

import numpy as np

from first_impression import Problem, chalearn, jobs, metrics, script

# What to train
MODEL = "dan"  # "dan": pool5 described; "dan_plus": relu5_2 too; "resnet": ResNet-50; "audio": linear, on sound
WEIGHTS = "vgg-face.mat"  # the VGG-Face weights that dan and dan_plus start from
RESNET_WEIGHTS = ""  # Keras's file of ImageNet weights without the top, for resnet; "": random ones

# How. A constant that is None is as the recipe has it, see RECIPES below
RECIPE = "original"  # "original": the TensorFlow 1 pipeline's; "paper": the paper's authors'; audio: always theirs
OPTIMIZER: str | None = None  # "adam" or "sgd"
LEARNING_RATE: float | None = None  # of the first epoch
LEARNING_RATE_FALL: float | None = None  # factor from each epoch to the next
MOMENTUM: float | None = None  # of sgd
WEIGHT_DECAY: float | None = None  # times each weight, added to its gradient
LOSS: str | None = None  # "squared": mean squared error; "euclidean": distance of the five traits, not squared
MIRROR: bool | None = None  # True: one coin flip per batch mirrors all its images
BATCH_SIZE: int | None = None  # frames, or for audio clips, per step
N_EPOCHS: int | None = None  # passes over the training records; may be raised to train a finished run further
REG_PENALTY = 0.0  # times half the mean square of the dense layer's weights, added to the loss
SEED = 0  # of the dense layer's first weights, the order of the records and the coin flips

# Where
TRAIN_RECORDS: str | None = None  # None: those of step 3, for audio of step 4
VAL_RECORDS: str | None = None  # likewise
RUNS = "runs"  # the folder of the runs; each model has its own in it

# The machine
CHECKPOINT_MINUTES = 10.0  # minutes of training that a crash costs at most
MIXED_PRECISION = "auto"  # "auto": bfloat16 on GPUs that have it; "bfloat16"; "float32"
DETERMINISTIC = False  # True: same seed, same weights on a GPU as well, slower; on a CPU that always holds

# The recipes. The dense layer of the image models starts from a truncated normal of HEAD_DEVIATION and from HEAD_BIAS.
RECIPES = {
    "original": {
        "OPTIMIZER": "adam",
        "LEARNING_RATE": 5e-4,
        "LEARNING_RATE_FALL": 1.0,
        "MOMENTUM": 0.0,
        "WEIGHT_DECAY": 0.0,
        "LOSS": "squared",
        "MIRROR": False,
        "BATCH_SIZE": 25,
        "N_EPOCHS": 2,
        "HEAD_DEVIATION": 0.1,
        "HEAD_BIAS": 1.0,
    },
    "paper": {
        "OPTIMIZER": "sgd",
        "LEARNING_RATE": 1e-3,
        "LEARNING_RATE_FALL": 10 ** (-3 / 29),  # their rates are logspace(-3, -6, 30), of which 10 epochs use ten
        "MOMENTUM": 0.9,
        "WEIGHT_DECAY": 5e-4,
        "LOSS": "euclidean",
        "MIRROR": True,
        "BATCH_SIZE": 32,
        "N_EPOCHS": 10,
        "HEAD_DEVIATION": 0.05,
        "HEAD_BIAS": 0.0,
    },
    "audio": {
        "OPTIMIZER": "sgd",
        "LEARNING_RATE": 8.3e-4,
        "LEARNING_RATE_FALL": 1.0,
        "MOMENTUM": 0.9,
        "WEIGHT_DECAY": 6.5,
        "LOSS": "squared",
        "MIRROR": False,
        "BATCH_SIZE": 128,
        "N_EPOCHS": 100,
    },
}

# Constants that may differ when a stopped run goes on
FREE_TO_CHANGE = ("N_EPOCHS", "CHECKPOINT_MINUTES", "RUNS")
# Points of the loss curve; each waits for the device
LOSSES_PER_EPOCH = 100
# Steps between the moments when several processes ask each other whether one of them was told to stop
ASKING = 10
LABELS = {"frame": "by frame", "clip": "by clip", "constant": "constant guess"}


def main(settings):
    follow_recipe(settings)
    script.load_tensorflow()
    import keras
    import tensorflow as tf

    from first_impression import devices, inference, records, runs

    strategy = devices.choose_strategy(settings.DETERMINISTIC)
    worker, workers = devices.position(strategy)
    kind, unit = ("audio", "clip") if settings.MODEL == "audio" else ("image", "image")
    training, validation = (
        records.open_records(path or getattr(split, f"{kind}_records"), split.key, kind)
        for path, split in ((settings.TRAIN_RECORDS, chalearn.TRAINING), (settings.VAL_RECORDS, chalearn.VALIDATION))
    )
    for split, contents in ((chalearn.TRAINING, training), (chalearn.VALIDATION, validation)):
        print(f"{split.name}: {contents.records} records of {len(contents.labels) or 'unnamed'} clips")
        chalearn.refuse_other_labels(contents.labels, split.annotation, contents.files[0])
    chalearn.refuse_shared(training.labels, validation.labels, f"training and {validation.files[0]}")
    clips, true = records.read_names(validation)

    run = runs.Run(Path(settings.RUNS) / settings.MODEL, vars(settings), FREE_TO_CHANGE, writes=worker == 0)
    with run, devices.group(strategy):
        progress = run.progress
        keras.utils.set_random_seed(settings.SEED)
        with strategy.scope():
            # The network as a stopped run left it, or a new one
            if run.begun:
                model = run.model()
                print(f"{run.folder}: going on after epoch {progress.epoch}, step {progress.step}")
            else:
                model, progress.start = new_model(settings, training, devices.mixed_precision_pays())
            print(f"first weights: {progress.start}")
            if settings.OPTIMIZER == "adam":
                optimizer = keras.optimizers.Adam(settings.LEARNING_RATE)
            else:
                optimizer = keras.optimizers.SGD(settings.LEARNING_RATE, settings.MOMENTUM)
            optimizer.build(model.trainable_variables)
            run.attach(model, optimizer, training)
            if progress.epoch >= settings.N_EPOCHS and run.finished:
                print(f"{run.final}: trained, all {progress.epoch} epochs. To train on, raise N_EPOCHS")
                return
            train_step, loss_sum, lost = make_step(settings, strategy, model, optimizer)

        steps = math.ceil(training.records / settings.BATCH_SIZE)
        noting = max(1, steps // LOSSES_PER_EPOCH)
        tensorboard = tf.summary.create_file_writer(str(run.folder / "logs")) if worker == 0 else None

        for epoch in range(progress.epoch, settings.N_EPOCHS):
            title = f"epoch {epoch + 1}/{settings.N_EPOCHS}"
            # The order of the records follows from seed and epoch: a stopped epoch finds its place in it
            order = settings.SEED * 1000 + epoch
            batches = devices.batches(strategy, training, settings.BATCH_SIZE, order, skip=progress.step)
            seen = min(progress.step * settings.BATCH_SIZE, training.records)
            loss_sum.assign(progress.loss_sum)
            optimizer.learning_rate.assign(settings.LEARNING_RATE * settings.LEARNING_RATE_FALL**epoch)

            def settle(order=order, title=title):
                """Wait for the device, and take over the sum of losses if they are all sound."""
                if step := int(lost.numpy()):
                    _, _, rows = next(iter(records.batches(training, settings.BATCH_SIZE, order, skip=step - 1)))
                    names = chalearn.name_some(set(records.read_names(training)[0][rows.numpy()]))
                    raise Problem(
                        f"{title}, step {step}: loss or gradient is not finite, on {names or 'clips without names'}. "
                        f"{run.last_good()}; look at these clips, or start anew with a lower LEARNING_RATE"
                    )
                progress.loss_sum = float(loss_sum.numpy())

            with script.delayed_stop() as stopping, jobs.progress(training.records, title, unit, seen) as bar:
                for batch in batches:
                    size = min(settings.BATCH_SIZE, training.records - seen)
                    coin = np.random.default_rng([settings.SEED, epoch, progress.step]).random()
                    progress.step += 1
                    train_step(
                        batch, tf.constant(size, tf.float32), tf.constant(progress.step), tf.constant(coin < 0.5)
                    )
                    seen += size
                    bar.update(size)
                    if progress.step % noting == 0 or progress.step == steps:
                        settle()
                        loss = progress.loss_sum / seen
                        bar.set_postfix_str(f"step {progress.step}/{steps}, loss {loss:.4f}")
                        progress.losses.append([epoch * steps + progress.step, loss])
                    stop = stopping()
                    if workers > 1:  # one that stops alone would leave the others waiting
                        asking = (epoch * steps + progress.step) % ASKING == 0
                        stop = asking and float(devices.add_up(strategy, float(stop))) > 0
                    if stop or run.minutes_unsaved() > settings.CHECKPOINT_MINUTES:
                        settle()
                        run.save()
                    if stop:
                        raise script.Stopped(stopping() or signal.SIGTERM)
                run.save()

            # By frame, as the original counts, and by clip, as the paper does, beside a guess without a look
            predicted = inference.predict(strategy, model, validation, settings.BATCH_SIZE, unit, "validation")
            scores = score(clips, predicted, true, training.label_mean)
            loss = progress.loss_sum / training.records
            print(f"{title}: training loss {loss:.4f}, validation accuracy (1 - mean absolute error)")
            print(metrics.table({LABELS[by]: values for by, values in scores.items()}))
            if tensorboard:
                with tensorboard.as_default(step=epoch + 1):
                    tf.summary.scalar("training_loss", loss)
                    for by, values in scores.items():
                        tf.summary.scalar(f"validation_accuracy/{by}", np.mean(values))
            run.end_epoch(history_row(epoch + 1, loss, scores), "clip_mean" if "clip" in scores else "frame_mean")

        run.finish()
        print(f"{run.final}: the trained model; {run.folder / 'curves.png'}: how it went")


def make_step(settings, strategy, model, optimizer):
    """The training step, and two variables that it keeps on the device, so that no step waits for a number.

    These are the sum of the records' losses, and the number of the first step whose loss or gradient was not finite,
    0 if there was none. The step takes a batch, as `devices.batches` gives it, the number of records in the whole
    batch, the step's own number from 1 on, and whether the coin says to mirror. To be called in the strategy's scope.
    """
    import tensorflow as tf

    once = {"dtype": tf.float64, "trainable": False, "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}
    loss_sum = tf.Variable(0.0, **once)
    lost = tf.Variable(0, **once | {"dtype": tf.int32})
    replicas = strategy.num_replicas_in_sync
    head = model.get_layer("traits").kernel

    def on_replica(inputs, labels, rows, size, step, mirrored):
        if settings.MIRROR:
            inputs = tf.cond(mirrored, lambda: tf.reverse(inputs, [2]), lambda: inputs)
        # Of every replica a part: sums over its records, by the size of the whole batch, add up to the batch's mean
        parts = tf.cast(rows >= 0, tf.float32) / size
        with tf.GradientTape() as tape:
            squares = tf.square(model(inputs, training=True) - labels)
            if settings.LOSS == "euclidean":
                losses = tf.sqrt(tf.reduce_sum(squares, axis=1) + 1e-12)  # the root has no slope at 0
            else:
                losses = tf.reduce_mean(squares, axis=1)
            penalty = settings.REG_PENALTY * tf.reduce_mean(tf.square(head)) / 2
            loss = tf.reduce_sum(parts * losses) + penalty / replicas
        gradients = tape.gradient(loss, model.trainable_variables)
        if settings.WEIGHT_DECAY:
            pairs = zip(gradients, model.trainable_variables, strict=True)
            gradients = [gradient + settings.WEIGHT_DECAY / replicas * weights for gradient, weights in pairs]
        optimizer.apply(gradients, model.trainable_variables)  # adds up the replicas' gradients
        here = [loss, tf.linalg.global_norm(gradients)]
        loss, length = tf.distribute.get_replica_context().all_reduce("SUM", here)
        loss_sum.assign_add(tf.cast(loss * size, tf.float64))
        lost.assign(tf.where((lost == 0) & ~tf.math.is_finite(loss + length), step, lost))

    @tf.function(reduce_retracing=True)
    def train_step(batch, size, step, mirrored):
        strategy.run(on_replica, (*batch, size, step, mirrored))

    return train_step, loss_sum, lost


def follow_recipe(settings):
    """Give each constant that is None the recipe's value, and the settings what only recipes have."""
    recipe = RECIPES["audio" if settings.MODEL == "audio" else settings.RECIPE]
    for name, value in recipe.items():
        if name.startswith("HEAD_") or getattr(settings, name) is None:
            setattr(settings, name, value)
    if settings.MODEL == "audio" and settings.MIRROR:
        raise Problem("MIRROR = True: sound has no mirror image; leave it None for audio")


def new_model(settings, training, mixed_precision_pays):
    """A model with its first weights, and in words what these are."""
    import keras

    from first_impression import records
    from model import build_audio, build_model, build_resnet, load_vggface

    if settings.MIXED_PRECISION == "bfloat16" or (settings.MIXED_PRECISION == "auto" and mixed_precision_pays):
        keras.config.set_dtype_policy("mixed_bfloat16")
    if settings.MODEL == "audio":
        mean, deviation = records.mean_and_deviation(training)
        return build_audio(
            mean, deviation, settings.SEED
        ), f"random; energies have mean {mean:.4f}, deviation {deviation:.4f}"
    head = {"head_deviation": settings.HEAD_DEVIATION, "head_bias": settings.HEAD_BIAS, "seed": settings.SEED}
    if settings.MODEL == "resnet":
        model = build_resnet(settings.RESNET_WEIGHTS, **head)
        return model, settings.RESNET_WEIGHTS or "RANDOM, not ImageNet's: name Keras's file in RESNET_WEIGHTS for those"
    model = build_model(settings.MODEL, **head)
    return model, f"{settings.WEIGHTS}, {load_vggface(model, settings.WEIGHTS)}"


def score(clips, predicted, true, label_mean):
    """Accuracies per trait: {"frame", "clip" (where the records name their clips), "constant": float [5]}.

    Without "frame" where each clip is one record, as for sound.
    """
    scores = {} if len(set(clips)) == len(clips) > 1 else {"frame": metrics.accuracy(predicted, true)}
    if len(clips) and all(clips):
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


if __name__ == "__main__":
    script.run(
        main,
        MODEL=script.one_of("dan", "dan_plus", "resnet", "audio"),
        RECIPE=script.one_of("original", "paper"),
        MIXED_PRECISION=script.one_of("auto", "bfloat16", "float32"),
        OPTIMIZER=script.one_of("adam", "sgd"),
        LEARNING_RATE=script.more_than(0),
        LEARNING_RATE_FALL=script.more_than(0),
        MOMENTUM=script.at_least(0),
        WEIGHT_DECAY=script.at_least(0),
        LOSS=script.one_of("squared", "euclidean"),
        BATCH_SIZE=script.whole(1),
        N_EPOCHS=script.whole(1),
        REG_PENALTY=script.at_least(0),
        SEED=script.whole(0),
        CHECKPOINT_MINUTES=script.more_than(0),
    )
