"""Step 5: train a network on the records, and say after every epoch how accurate it is.

Reads   train_full.tfrecords, val_full.tfrecords (step 3), vgg-face.mat
        for MODEL = "audio": train_audio_full.tfrecords, val_audio_full.tfrecords (step 4)
Writes  runs/<NAME>/final.keras         the trained model; keras.models.load_model opens it anywhere
        runs/<NAME>/best.keras          the model of the epoch with the best validation accuracy
        runs/<NAME>/epoch-1.keras ..    the model of each epoch
        runs/<NAME>/checkpoint.npz      what a stopped training goes on from
        runs/<NAME>/history.csv         one row per epoch
        runs/<NAME>/settings.json       every constant, the versions, the weights that it started from
        runs/<NAME>/training_labels.csv the labels of the training clips
        runs/<NAME>/curves.png, logs/   the curves as a picture, and for TensorBoard
Run     python train.py
        python train.py recipes/paper_dan.py --SEED 3

A recipe is a file of constants: flags beat it, and it beats those below.
Ctrl-C saves and ends, and so does SIGTERM; the same command goes on from there, and gives the same weights as if it
had not stopped. All GPUs of the machine are used; several machines train one model where TF_CONFIG names them.
"""

import functools
import math
import signal
import time
from pathlib import Path

from first_impression.common import files, parallel, rules, script, signals
from first_impression.common.errors import UserError, name_some
from first_impression.common.settings import refuse_other_constants
from first_impression.common.tensorflow_start import load_tensorflow
from first_impression.data import annotations, chalearn
from first_impression.data.clip_log import warn_of_missing
from first_impression.evaluation import metrics, predictions

# What to train
MODEL = "dan"  # "dan": pool5 described; "dan_plus": relu5_2 too; "resnet": ResNet-50; "audio": linear, on sound
WEIGHTS = "vgg-face.mat"  # the VGG-Face weights that dan and dan_plus start from
RESNET_WEIGHTS = ""  # Keras's file of ImageNet weights without the top, for resnet; "": random ones
NAME = ""  # of the run, its folder in RUNS; "": the recipe's file name without .py, else MODEL

# How: the numbers of the TensorFlow 1 pipeline. Those of the paper's four models stand in recipes/
OPTIMIZER = "adam"  # "adam" or "sgd"
ADAM_EPSILON = 1e-8  # TensorFlow 1's; Keras' own default is ten times as large
LEARNING_RATE = 0.0005  # of the first update
LEARNING_RATE_DECAY = 1.0  # factor from each epoch to the next
LEARNING_RATE_UPDATE_DECAY = 0.0  # of Torch: the rate is divided by 1 + this times the number of updates done
MOMENTUM = 0.0  # of sgd
DAMPENING = 0.0  # of sgd: the gradient's share of the velocity is 1 minus this, but for the very first update
NEW_MOMENTUM_EACH_EPOCH = False  # of sgd; True: the velocity starts at 0 in every epoch, as in MatConvNet
WEIGHT_DECAY = 0.0  # times each weight, added to its gradient
LOSS = "squared"  # "squared": mean squared error; "euclidean": distance of the five traits, not squared
FLIP = False  # True: one coin flip per batch mirrors all its images
BATCH_SIZE = 25  # frames, or for audio clips, per step
N_EPOCHS = 2  # passes over the training records; may be raised to train a finished run further
REG_PENALTY = 0.0  # times half the mean square of the dense layer's weights, added to the loss
HEAD_INIT = "truncated_normal"  # or "normal": the distribution from which the image models' dense layer starts
HEAD_STDDEV = 0.1  # its standard deviation; the truncated one is cut at twice that
HEAD_BIAS = 1.0  # from which its biases start; the audio model's start is its own, see docs/faithfulness.md
SEED = 0  # of the dense layer's first weights, the order of the records and the coin flips

# Where
TRAIN_RECORDS = ""  # "": those of step 3, for audio of step 4
VAL_RECORDS = ""  # likewise
RUNS = "runs"  # the folder of the runs
KEEP_EPOCHS = True  # keep the model of every epoch: epoch-1.keras, epoch-2.keras ..

# The machine
CHECKPOINT_MINUTES = 10.0  # minutes of training that a crash costs at most
MIXED_PRECISION = "auto"  # "auto": bfloat16 on GPUs that have it; "bfloat16"; "float32"
DETERMINISTIC = False  # True: same seed, same weights on a GPU as well, slower; on a CPU that always holds

RULES = {
    "MODEL": rules.one_of("dan", "dan_plus", "resnet", "audio"),
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
    "MIXED_PRECISION": rules.one_of("auto", "bfloat16", "float32"),
}
FREE_TO_CHANGE = ("N_EPOCHS", "KEEP_EPOCHS", "CHECKPOINT_MINUTES", "RUNS", "NAME")  # when a stopped run goes on

# Points of the loss curve; each waits for the device
_LOSSES_PER_EPOCH = 100


def main(settings):
    if settings.MODEL == "audio" and settings.FLIP:
        raise UserError("FLIP = True: sound has no mirror image; set FLIP = False for audio")
    if settings.OPTIMIZER != "sgd" and settings.NEW_MOMENTUM_EACH_EPOCH:
        raise UserError('NEW_MOMENTUM_EACH_EPOCH = True is of OPTIMIZER = "sgd" only')
    load_tensorflow()
    import keras

    from first_impression.training import checkpoint, history, saved_models
    from first_impression.training.devices import Devices
    from first_impression.training.step import TrainingStep

    devices = Devices(settings.DETERMINISTIC)
    training, validation, clips, true = open_records(settings)
    folder = Path(settings.RUNS) / run_name(settings)
    with checkpoint.lock(folder, devices.writes), devices.worker_failures():
        keras.utils.set_random_seed(settings.SEED)
        with devices.strategy.scope():
            model, optimizer, progress = begin_or_resume(folder, settings, training, validation, devices)
            step = TrainingStep(devices, model, optimizer, settings.LOSS, settings.WEIGHT_DECAY, settings.REG_PENALTY)
        if progress.epoch >= settings.N_EPOCHS and saved_models.is_final(folder, progress.final):
            saved_models.refuse_changed(*files.listed(folder, "[!.]*.keras"))
            print(f"{folder / saved_models.FINAL}: trained, all {progress.epoch} epochs. To train on, raise N_EPOCHS")
            return
        if devices.writes:  # a model of fewer epochs than the history beside it would be taken for the trained one
            files.remove(folder / saved_models.FINAL)
        save = functools.partial(checkpoint.save, folder, model, optimizer, progress, devices.writes)
        board = history.open_board(folder) if devices.writes else None

        for epoch in range(progress.epoch, settings.N_EPOCHS):
            if settings.NEW_MOMENTUM_EACH_EPOCH and progress.step == 0:
                optimizer.forget_momentum()
            train_epoch(devices, step, training, settings, progress, save)
            save()

            loss = progress.loss_sum / training.size
            predicted = devices.predict(model, validation, unit(settings), "validation")
            scores = history.score(clips, predicted, true, training.label_mean)
            print(f"epoch {epoch + 1}/{settings.N_EPOCHS}: training loss {loss:.4f}, validation accuracy")
            print(metrics.table({history.NAMES[by]: values for by, values in scores.items()}))
            progress.end_epoch(history.row(epoch + 1, loss, scores))
            if devices.writes:
                history.write(folder, progress, board)
                saved_models.save_epoch(model, folder, progress.history, settings.KEEP_EPOCHS, made_from(progress))
            save()

        if devices.writes:
            progress.final = saved_models.save(model, folder / saved_models.FINAL, made_from(progress))
            save()
            saved_models.refuse_changed(*files.listed(folder, "[!.]*.keras"))
        print(f"{folder / saved_models.FINAL}: the trained model; {folder / 'curves.png'}: how it went")


def train_epoch(devices, step, training, settings, progress, save):
    """Train through the rest of an epoch: from `progress.step` on, which counts up. `save()` writes a checkpoint.

    Raises `signals.Stopped` after a signal, when all is saved, and `UserError` for a loss that is not finite.
    """
    from first_impression.training.step import nonfinite_loss_as_user_error

    steps = math.ceil(training.size / settings.BATCH_SIZE)
    steps_per_loss = max(1, steps // _LOSSES_PER_EPOCH)
    seen = min(progress.step * settings.BATCH_SIZE, training.size)
    step.start_epoch(progress.step, seen, progress.loss_sum)
    # The order of the records follows from seed and epoch: a stopped epoch finds its place in it
    order = {"batch_size": settings.BATCH_SIZE, "shuffle_seed": settings.SEED * 1000 + progress.epoch}
    # Records that fill up the last batch have no weight, but would be in ResNet's batch statistics
    form = {"flip": settings.FLIP, "pad": settings.MODEL != "resnet"}
    title, saved_at = f"epoch {progress.epoch + 1}/{settings.N_EPOCHS}", time.monotonic()
    with (
        nonfinite_loss_as_user_error(training, order, title),
        signals.delayed_stop() as stop_signal,
        parallel.progress(training.size, title, unit(settings), seen) as bar,
    ):
        for batch in devices.batches(training, skip=progress.step, **order, **form):
            step(batch)
            progress.step += 1
            if progress.step % steps_per_loss == 0 or progress.step == steps:
                loss, progress.loss_sum = step.read_loss()
                bar.set_postfix_str(f"step {progress.step}/{steps}, loss {loss:.4f}", refresh=False)
                progress.losses.append([progress.epoch * steps + progress.step, loss])
            bar.update(min(settings.BATCH_SIZE, training.size - bar.n))
            stop = devices.any_worker(bool(stop_signal()))
            if stop or time.monotonic() - saved_at > 60 * settings.CHECKPOINT_MINUTES:
                _, progress.loss_sum = step.read_loss()
                save()
                saved_at = time.monotonic()
            if stop:
                raise signals.Stopped(stop_signal() or signal.SIGTERM)


def open_records(settings):
    """The training and the validation records, and of the latter the clips' names [n] and labels [n, 5].

    Raises `UserError` where they do not fit each other or the annotations.
    """
    from first_impression.data import record_reader

    kind = "audio" if settings.MODEL == "audio" else "image"
    paths = {chalearn.TRAINING: settings.TRAIN_RECORDS, chalearn.VALIDATION: settings.VAL_RECORDS}
    sets = {}
    for split, path in paths.items():
        opened = record_reader.open_records(path or getattr(split, f"{kind}_records"), split.key, kind)
        print(f"{split.name}: {opened.size} records of {len(opened.labels) or 'unnamed'} clips")
        annotations.refuse_other_labels(opened.labels, split.annotation, opened.files[0])
        sets[split] = opened
    training, validation = sets.values()
    annotations.refuse_shared(training.labels, validation.labels, f"training and {validation.files[0]}")
    made_in = chalearn.VOICES if kind == "audio" else chalearn.IMAGES
    warn_of_missing(training.labels.keys() | validation.labels.keys(), made_in)
    return training, validation, *record_reader.read_names(validation)


def made_from(progress):
    """What the model of the epochs that are done was made from, as the notes beside it have it."""
    about, constants = progress.about, progress.about["constants"]
    decide = {name: value for name, value in constants.items() if name not in FREE_TO_CHANGE}
    return {"epoch": progress.epoch, "constants": decide, "records": about["records"], "start": about["start"]}


def run_name(settings):
    """The name of the run: NAME, else the recipe's, else MODEL."""
    return settings.NAME or Path(settings.recipe).stem or settings.MODEL


def unit(settings):
    """What a record is."""
    return "clip" if settings.MODEL == "audio" else "image"


def begin_or_resume(folder, settings, training, validation, devices):
    """(model, optimizer, progress): as a stopped run left them, or new ones. In the latter case notes what they are.

    Raises `UserError` where a stopped run had other constants or records, or where models stand without its checkpoint.
    """
    from first_impression.training import checkpoint, optimizers, saved_models

    steps_per_epoch = math.ceil(training.size / settings.BATCH_SIZE)
    make_optimizer = functools.partial(optimizers.make_optimizer, settings, steps_per_epoch=steps_per_epoch)
    records = {"training": training.fingerprint, "validation": validation.fingerprint}
    if checkpoint.path_in(folder).exists():
        model, optimizer, progress = checkpoint.load(folder, make_optimizer)
        other = [name for name, fingerprint in records.items() if progress.about["records"][name] != fingerprint]
        if other:
            raise UserError(
                f"{folder} was trained on other {' and '.join(other)} records: bring those back, or train under "
                "another NAME"
            )
        refuse_other_constants(folder, progress.about["constants"], settings.constants(), FREE_TO_CHANGE)
        print(f"{folder}: going on after epoch {progress.epoch}, step {progress.step}")
    else:
        if models := files.listed(folder, "[!.]*.keras"):
            raise UserError(
                f"{folder} holds models ({name_some(path.name for path in models)}) without the checkpoint of their "
                "training, so it can neither go on nor begin: train under another NAME, or move them away"
            )
        model, start = new_model(settings, training, devices)
        optimizer, progress = make_optimizer(model), checkpoint.Progress()
        progress.about = {"records": records, "start": start, "made_by": saved_models.made_by()}
    progress.about |= {"recipe": settings.recipe, "constants": settings.constants()}
    if devices.writes:
        files.write_json(folder / "settings.json", progress.about)
        predictions.write_csv(folder / saved_models.TRAINING_LABELS, training.labels)
    print(f"first weights: {progress.about['start']['words']}")
    return model, optimizer, progress


def new_model(settings, training, devices):
    """(a model with its first weights, what these are).

    The latter is a dict: "words"; "file", with its "md5", that they are from; "published", whether these are the
    published VGG-Face or ImageNet weights. The audio model starts from no file: its "published" is None.
    """
    import keras

    from first_impression.data import record_reader
    from model import build_audio, build_model, build_resnet, load_resnet, load_vggface

    if settings.MIXED_PRECISION == "bfloat16" or (settings.MIXED_PRECISION == "auto" and devices.have_bfloat16):
        keras.config.set_dtype_policy("mixed_bfloat16")
    if settings.MODEL == "audio":
        mean, stddev = record_reader.mean_and_stddev(training)
        words = f"random; energies have mean {mean:.4f}, standard deviation {stddev:.4f}"
        return build_audio(mean, stddev, settings.SEED), {"words": words, "file": "", "md5": "", "published": None}
    head = {"head_init": settings.HEAD_INIT, "head_stddev": settings.HEAD_STDDEV, "head_bias": settings.HEAD_BIAS}
    head["seed"] = settings.SEED
    if settings.MODEL == "resnet":
        model = build_resnet(**head)
        return model, load_resnet(model, settings.RESNET_WEIGHTS)
    model = build_model(settings.MODEL, **head)
    return model, load_vggface(model, settings.WEIGHTS)


if __name__ == "__main__":
    script.run(main, recipes=True)
