"""Step 5: train a network on the records, and score it on the validation records after every epoch.

Reads   train_full.tfrecords, val_full.tfrecords (step 3), vgg-face.mat
        for MODEL = "audio": train_audio_full.tfrecords, val_audio_full.tfrecords (step 4)
Writes  runs/<NAME>/final.keras         the trained model; keras.models.load_model opens it anywhere
        runs/<NAME>/best.keras          the model of the epoch with the best validation accuracy
        runs/<NAME>/epoch-1.keras ..    the model of each epoch
        runs/<NAME>/checkpoint.npz      what a stopped training resumes from
        runs/<NAME>/history.csv         one row per epoch
        runs/<NAME>/settings.json       every constant, the versions, the weights it started from
        runs/<NAME>/training_labels.csv the labels of the training clips
        runs/<NAME>/models.json         the MD5 of each model as it was written, and what it was made from
        runs/<NAME>/curves.png, logs/   the curves as a picture and for TensorBoard
Run     python train.py
        python train.py recipes/paper_dan.py --SEED 3
        python train.py recipes/head_dan_plus.py                     the dense layer alone: minutes, without a GPU
        python train.py recipes/head_dan_plus.py --FOLD all/10       ten-fold cross-validation over the training sources

A run with FOLD "3/10" lies in runs/<NAME>/fold-3-of-10/ and needs no validation records. "all/10" also writes two
tables for `evaluate.py --SPLIT training --PREDICTIONS`, runs/<NAME>/predictions_10-folds.csv, every clip as answered by
the model that saw none of its source, and constant_10-folds.csv, the mean label of the clips that this model saw.

A recipe is a file of constants: it overrides those below, and flags override it.
Ctrl-C saves and stops, and so does SIGTERM; the same command resumes from there, with the weights of a training that
was never stopped. All GPUs of the machine are used; several machines train one model where TF_CONFIG names them.
"""

import math
import signal
import time
from pathlib import Path

from first_impression.common import parallel, rules, script, signals
from first_impression.common.errors import UserError, lack_of_memory_as_user_error
from first_impression.common.tensorflow_start import load_tensorflow
from first_impression.data import annotations, chalearn
from first_impression.evaluation import folds, metrics, summary
from first_impression.training import number_format
from first_impression.training.dataset import dataset_of
from first_impression.training.losses import LOSSES

# What to train
MODEL = "dan"  # "dan": pool5 described; "dan_plus": relu5_2 too; "resnet": ResNet-50; "audio": linear, on sound
TRAIN = "all"  # "all": every weight, by descent; "head": only the dense layer, in closed form, on what the rest gives
WEIGHTS = "vgg-face.mat"  # VGG-16's weights that dan and dan_plus start from; check_data.py lists what can stand here
RESNET_WEIGHTS = ""  # Keras's file of ImageNet weights without the top, for resnet; "": random ones
MEAN = "weights"  # what image models subtract: "weights": the colour that belongs to these; "training": an image, below
NAME = ""  # of the run, its folder in RUNS; "": the recipe's file name without .py, else MODEL

# How: the numbers of the TensorFlow 1 pipeline. Those of the paper's four models are in recipes/
OPTIMIZER = "adam"  # "adam" or "sgd"
ADAM_EPSILON = 1e-8  # TensorFlow 1's; Keras' default is ten times as large
LEARNING_RATE = 0.0005  # of the first update
LEARNING_RATE_DECAY = 1.0  # factor from each epoch to the next
LEARNING_RATE_UPDATE_DECAY = 0.0  # Torch's: the rate is divided by 1 + this times the number of updates so far
MOMENTUM = 0.0  # of sgd
DAMPENING = 0.0  # of sgd: the gradient's share of the velocity is 1 minus this, except at the very first update
NEW_MOMENTUM_EACH_EPOCH = False  # of sgd; True: the velocity starts at 0 in every epoch, as in MatConvNet
WEIGHT_DECAY = 0.0  # times each weight, added to its gradient
LOSS = "squared"  # "squared": mean squared error; "euclidean": distance over all targets, not squared; see LOSSES
FLIP = False  # True: one coin flip per batch mirrors all its images
BATCH_SIZE = 25  # frames, or for audio clips, per step
N_EPOCHS = 2  # passes over the training records; raise it to train a finished run further
REG_PENALTY = 0.0  # times half the mean square of the dense layer's weights, added to the loss
HEAD_INIT = "truncated_normal"  # or "normal": the distribution from which the image models' dense layer starts
HEAD_STDDEV = 0.1  # its standard deviation; the truncated one is cut at twice that
HEAD_BIAS = 1.0  # at which its biases start; the audio model starts otherwise, see docs/faithfulness.md
SEED = 0  # of the dense layer's first weights, the order of the records, the coin flips and the dealing to folds

# On which of the training clips
FOLD = ""  # "": all; "3/10": all but the third of ten folds of their sources, which validates; "all/10": each in turn

# Where
TRAIN_RECORDS = ""  # "": those of step 3, for audio of step 4
VAL_RECORDS = ""  # likewise
RUNS = "runs"  # the folder of the runs
KEEP_EPOCHS = True  # keep the model of every epoch: epoch-1.keras, epoch-2.keras ..

# The machine
CHECKPOINT_MINUTES = 10.0  # minutes of training that a crash costs at most
MIXED_PRECISION = "auto"  # convolutions: "auto": in bfloat16 where the GPU or CPU has it; "bfloat16"; "float32"
XLA = False  # True: XLA compiles the training step, on a single device; see docs/speed.md
DETERMINISTIC = False  # True: same seed, same weights on a GPU too, but slower; on a CPU that always holds

RULES = {
    "MODEL": rules.one_of("dan", "dan_plus", "resnet", "audio"),
    "TRAIN": rules.one_of("all", "head"),
    "MEAN": rules.one_of("weights", "training"),
    "FOLD": folds.rule,
    "NAME": rules.file_name,
    "OPTIMIZER": rules.one_of("adam", "sgd"),
    "LEARNING_RATE": rules.more_than(0),
    "LEARNING_RATE_DECAY": rules.more_than(0),
    "LEARNING_RATE_UPDATE_DECAY": rules.at_least(0),
    "ADAM_EPSILON": rules.more_than(0),
    "DAMPENING": rules.at_least(0, below=1),
    "HEAD_INIT": rules.one_of("truncated_normal", "normal"),
    "MOMENTUM": rules.at_least(0, below=1),
    "WEIGHT_DECAY": rules.at_least(0),
    "LOSS": rules.one_of("squared", "euclidean"),
    "BATCH_SIZE": rules.whole(1, 2**31 - 1),
    "N_EPOCHS": rules.whole(1, 10**6),
    "REG_PENALTY": rules.at_least(0),
    "HEAD_STDDEV": rules.more_than(0),
    "SEED": rules.whole(0, 2**32 - 1),
    "CHECKPOINT_MINUTES": rules.more_than(0),
    "MIXED_PRECISION": number_format.RULE,
}
FREE_TO_CHANGE = ("N_EPOCHS", "KEEP_EPOCHS", "CHECKPOINT_MINUTES", "XLA", "RUNS", "NAME")  # when a run is resumed

# What has no meaning for TRAIN = "head"
_OF_DESCENT = """OPTIMIZER ADAM_EPSILON LEARNING_RATE LEARNING_RATE_DECAY LEARNING_RATE_UPDATE_DECAY MOMENTUM DAMPENING
NEW_MOMENTUM_EACH_EPOCH WEIGHT_DECAY LOSS FLIP BATCH_SIZE N_EPOCHS REG_PENALTY HEAD_INIT HEAD_STDDEV HEAD_BIAS
KEEP_EPOCHS CHECKPOINT_MINUTES XLA"""

# Points of the loss curve; reading one waits for the device
_LOSSES_PER_EPOCH = 100


def main(settings):
    refuse_idle(settings)
    load_tensorflow()
    import keras

    from first_impression.training import cross_validation
    from first_impression.training.devices import Devices

    devices, fold, answers, constant = Devices(settings.DETERMINISTIC, settings.XLA), settings.FOLD, {}, {}
    if settings.XLA and devices.replicas > 1:
        raise UserError(f"XLA = True compiles the step of a single device, and {devices.replicas} share the work here")
    for settings.FOLD in folds.named(fold):
        keras.backend.clear_session(free_memory=False)  # so that layers and optimizers have the names of a single run
        training, clips, predicted = train_run(devices, settings)
        if fold:
            answers |= dict(zip(*metrics.by_clip(clips, predicted), strict=True))
            constant |= dict.fromkeys(clips.tolist(), training.label_mean)
    if fold.startswith(folds.ALL) and devices.writes:
        cross_validation.write_tables(run_folder(settings).parent, fold, answers, constant, training.targets)


def refuse_idle(settings):
    """Raises `UserError` for settings that contradict each other, or that have no meaning beside the others."""
    if settings.MODEL == "audio" and settings.FLIP:
        raise UserError("FLIP = True: sound has no mirror image; set FLIP = False for audio")
    if settings.OPTIMIZER != "sgd" and settings.NEW_MOMENTUM_EACH_EPOCH:
        raise UserError('NEW_MOMENTUM_EACH_EPOCH = True needs OPTIMIZER = "sgd"')
    if settings.XLA and settings.DETERMINISTIC:
        raise UserError("XLA has no deterministic gradient of max pooling: set one of XLA, DETERMINISTIC to False")
    idle = [name for name in _OF_DESCENT.split() if getattr(settings, name) != globals()[name]]
    if settings.TRAIN == "head" and idle:
        raise UserError(f'{", ".join(idle)}: of no meaning with TRAIN = "head", which takes no steps: leave that out')
    if settings.FOLD and settings.VAL_RECORDS:
        raise UserError(
            "VAL_RECORDS: of no meaning with FOLD, which validates on training clips: leave one of them out"
        )


def train_run(devices, settings):
    """Train one run to its end: (the training records, the validation records' clips [n], predicted [n, targets]).

    What is predicted is None for a run without a FOLD that was trained before.
    """
    import keras

    from first_impression.data import record_reader
    from first_impression.training import beginning, head, history, optimizers, run_writer, splits
    from first_impression.training.step import TrainingStep

    training, validation = splits.open_records(settings)
    clips, true = record_reader.read_names(validation)
    folder, head_only = run_folder(settings), settings.TRAIN == "head"
    steps_per_epoch = math.ceil(training.size / settings.BATCH_SIZE)
    with (
        run_writer.open_run(folder, devices.writes) as writer,
        devices.worker_failures(),
        lack_of_memory_as_user_error(settings.BATCH_SIZE),
    ):
        keras.utils.set_random_seed(settings.SEED)
        with devices.strategy.scope():
            model, optimizer, state = beginning.begin_or_resume(
                folder,
                about_run(settings, training, validation),
                lambda: new_model(settings, training),
                lambda model: optimizers.make_optimizer(settings, model, steps_per_epoch),
                settings.MIXED_PRECISION,
                FREE_TO_CHANGE,
            )
            loss_fn, penalties = LOSSES[settings.LOSS], (settings.WEIGHT_DECAY, settings.REG_PENALTY)
            step = TrainingStep(devices, train_step, model, optimizer, loss_fn, *penalties, xla=settings.XLA)
        writer.begin(model, optimizer, state, training.labels)
        print(f"first weights: {state.about['start']['words']}; {number_format.describe(model)}")

        def predict():
            if head_only:
                return head.answers_of_model(devices, model, validation, "descriptors, validation")
            return devices.predict(model, validation, validation.unit, "validation")

        predicted, epochs = None, 1 if head_only else settings.N_EPOCHS
        while state.epoch < epochs:
            writer.remove_final()
            if settings.NEW_MOMENTUM_EACH_EPOCH and state.step == 0:
                optimizer.forget_momentum()
            if head_only:
                loss, state.about["head"] = head.fit_model(
                    devices, model, training, annotations.training_sources(), settings.SEED
                )
                state.step, state.loss_sum, state.losses = 1, loss * training.size, [[1, loss]]
            else:
                train_epoch(devices, step, training, settings, state, writer.save_checkpoint)
            predicted = predict()
            scores = history.score(clips, predicted, true, training.label_mean)
            loss = state.loss_sum / training.size
            title = "head fitted" if head_only else f"epoch {state.epoch + 1}/{epochs}"
            print(f"{title}: training loss {loss:.4f}, validation accuracy")
            print(summary.table({history.NAMES[by]: values for by, values in scores.items()}, training.targets))
            state.end_epoch(history.row(state.epoch + 1, loss, scores, training.targets))
            writer.end_epoch(settings.KEEP_EPOCHS and not head_only, made_from(state), state.epoch == epochs)

        writer.finish(made_from(state))
        epochs = f"all {state.epoch} epochs, see curves.png. To train on, raise N_EPOCHS"
        print(f"{folder}: trained, {'its head in closed form' if head_only else epochs}")
        if settings.FOLD and predicted is None:
            predicted = predict()
        return training, clips, predicted


def train_step(model, optimizer, loss_fn, batch, weight_decay=0.0, reg_penalty=0.0):
    """Take one step of gradient descent on a batch; returns its loss, a scalar, and the gradients, a list.

    The batch is (inputs, labels [n, targets], indices [n], weights [n]). The weights add up to 1, so that the loss is a
    mean; of several devices each gets a part of the batch, and the optimizer adds up their gradients.
    """
    import tensorflow as tf

    inputs, labels, _, weights = batch
    with tf.GradientTape() as tape:
        losses = loss_fn(model(inputs, training=True), labels)
        head = model.get_layer("traits").kernel
        loss = tf.reduce_sum(weights * losses) + reg_penalty * tf.reduce_mean(tf.square(head)) / 2
    variables = model.trainable_variables
    gradients = tape.gradient(loss, variables)
    if weight_decay:
        pairs = zip(gradients, variables, strict=True)
        gradients = [gradient + weight_decay * variable for gradient, variable in pairs]
    optimizer.apply(gradients, variables)
    return loss, gradients


def train_epoch(devices, step, training, settings, state, save_checkpoint):
    """Train through the rest of an epoch, from `state.step` on, and save a checkpoint at its end.

    Raises `signals.Stopped` after a signal, once a checkpoint is saved, and `UserError` for a loss that is not finite.
    """
    from first_impression.training.step import nonfinite_loss_as_user_error

    steps_per_epoch = math.ceil(training.size / settings.BATCH_SIZE)
    steps_per_loss = max(1, steps_per_epoch // _LOSSES_PER_EPOCH)
    seen = min(state.step * settings.BATCH_SIZE, training.size)
    step.start_epoch(state.step, seen, state.loss_sum)
    # The order of the records follows from seed and epoch alone, so that a stopped epoch resumes at its place in it
    order = {"batch_size": settings.BATCH_SIZE, "shuffle_seed": settings.SEED * 1000 + state.epoch}
    # Records that pad the last batch have no weight, but would be in ResNet's batch statistics
    pad = settings.MODEL != "resnet"
    title, saved_at = f"epoch {state.epoch + 1}/{settings.N_EPOCHS}", time.monotonic()
    with (
        nonfinite_loss_as_user_error(training, order, title),
        signals.delayed_stop() as stop_signal,
        parallel.progress(training.size, title, training.unit, seen) as bar,
    ):
        for batch in devices.batches(training, **order, skip=state.step, pad=pad, flip=settings.FLIP):
            step(batch)
            state.step += 1
            if state.step % steps_per_loss == 0 or state.step == steps_per_epoch:
                loss, state.loss_sum = step.read_loss()
                bar.set_postfix_str(f"step {state.step}/{steps_per_epoch}, loss {loss:.4f}", refresh=False)
                state.losses.append([state.epoch * steps_per_epoch + state.step, loss])
            bar.update(min(settings.BATCH_SIZE, training.size - bar.n))
            stop = devices.any_worker(bool(stop_signal()))
            if stop or time.monotonic() - saved_at > 60 * settings.CHECKPOINT_MINUTES:
                _, state.loss_sum = step.read_loss()
                save_checkpoint()
                saved_at = time.monotonic()
            if stop:
                raise signals.Stopped(stop_signal() or signal.SIGTERM)
    save_checkpoint()


def made_from(state):
    """What the model of the epochs so far was made from, as noted beside it."""
    fixed = {name: value for name, value in state.about["constants"].items() if name not in FREE_TO_CHANGE}
    return {"epoch": state.epoch, "constants": fixed} | {name: state.about[name] for name in ("records", "start")}


def run_name(settings):
    """The name of the run: NAME, else the recipe's, else MODEL."""
    return settings.NAME or Path(settings.recipe).stem or settings.MODEL


def run_folder(settings):
    """The folder of the run; that of a fold lies in the one of the whole, where only who names it finds it."""
    folder = Path(settings.RUNS) / run_name(settings)
    return folder / f"fold{chalearn.shard_suffix(settings.FOLD)}" if settings.FOLD else folder


def constants_of(settings):
    """The constants that the run depends on: {name: value}."""
    idle = _OF_DESCENT.split() if settings.TRAIN == "head" else ()
    return {name: value for name, value in settings.constants().items() if name not in idle}


def about_run(settings, training, validation):
    """What settings.json says of the run on these two `RecordSet`s, beside its first weights and what made it."""
    records = {"training": training.fingerprint, "validation": validation.fingerprint}
    about = {"records": records, "recipe": settings.recipe, "constants": constants_of(settings)}
    return about | {"dataset": dataset_of(training.labels)} | training.targets.as_json


def new_model(settings, training):
    """(a model with its first weights, what these are: a dict as `model.load_vggface` gives).

    The audio model starts from no file: its "published" is None.
    """
    from first_impression.data import batching
    from model import build_audio, build_model, build_resnet, load_resnet, load_vggface, subtract_image

    if settings.MODEL == "audio":
        mean, stddev = batching.mean_and_stddev(training)
        words = f"random; energies have mean {mean:.4f}, standard deviation {stddev:.4f}"
        start = {"words": words, "file": "", "md5": "", "published": None, "pretrained": ""}
        return build_audio(mean, stddev, settings.SEED, training.targets), start
    head = {"head_init": settings.HEAD_INIT, "head_stddev": settings.HEAD_STDDEV, "head_bias": settings.HEAD_BIAS}
    head |= {"seed": settings.SEED, "targets": training.targets}
    if settings.MODEL == "resnet":
        model = build_resnet(**head)
        start = load_resnet(model, settings.RESNET_WEIGHTS)
    else:
        model = build_model(settings.MODEL, **head)
        start = load_vggface(model, settings.WEIGHTS)
    if settings.MEAN == "training":
        mean = batching.average_image(training)
        subtract_image(model, mean)
        colour = ", ".join(f"{value:.2f}" for value in mean.mean(axis=(0, 1)))
        print(f"subtracted: the average of {training.size:,} training images, whose mean colour is {colour}")
    return model, start


if __name__ == "__main__":
    script.run(main, recipes=True)
