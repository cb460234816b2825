"""One step of gradient descent: padded batches, no waiting for the device, XLA, and too little memory."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import PROJECT, label_of, refused, run, write_annotation
from test_train import material  # noqa: F401, a fixture

from first_impression.data import audio, record_reader, record_writer
from first_impression.training.devices import Devices
from first_impression.training.optimizers import SGD
from first_impression.training.step import TrainingStep
from model import build_model
from train import LOSSES, train_step

CLIPS, BATCH = 7, 5  # the last batch of an epoch has two records


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    random = np.random.default_rng(0)
    sounds = random.normal(0, 0.1, (CLIPS, audio.FEATURES)).astype(np.float32)
    examples = [
        record_writer.Example(f"clip.{n:03d}", label_of(9 * n).astype(np.float32), Path()) for n in range(CLIPS)
    ]
    contents = (sound.tobytes() for sound in sounds)
    record_writer.write(folder / "t.tfrecords", "train", "audio", examples, lambda paths: contents, {})
    return record_reader.open_records(folder / "t.tfrecords", "train", "audio")


def an_epoch(records, pad, loss):
    """(the weights before an epoch and after it, the mean loss)."""
    keras.utils.set_random_seed(3)
    devices = Devices()
    with devices.strategy.scope():
        sound = keras.Input((audio.FEATURES,))
        model = keras.Model(sound, keras.layers.Dense(5, activation="sigmoid", name="traits")(sound))
        optimizer = SGD(learning_rate=0.5, momentum=0.5)
        optimizer.build(model.trainable_variables)
        step = TrainingStep(devices, train_step, model, optimizer, LOSSES[loss], weight_decay=0.01)
    step.start_epoch()
    first, steps = model.get_weights(), 0
    for batch in devices.batches(records, BATCH, shuffle_seed=2, pad=pad):
        assert len(batch[0]) == (BATCH if pad or steps == 0 else CLIPS - BATCH)
        step(batch)
        steps += 1
    assert steps == 2
    return first, model.get_weights(), step.read_loss()[0]


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["squared", "euclidean"])
def test_a_padded_batch_takes_the_step_of_its_real_records(records, loss):
    (first, padded, loss_padded), (_, plain, loss_plain) = (an_epoch(records, pad, loss) for pad in (True, False))
    for start, one, other in zip(first, padded, plain, strict=True):
        assert np.abs(one - start).max() > 1e-3
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    assert loss_padded == pytest.approx(loss_plain, rel=1e-6)


def dan_step(xla=False):
    """(a step of a small DAN, the DAN, a batch): all that train.py's step has, on the devices of this machine."""
    keras.utils.set_random_seed(0)
    devices, random = Devices(xla=xla), np.random.default_rng(0)
    with devices.strategy.scope():
        model = build_model("dan", image_size=32, seed=0)
        optimizer = SGD(0.01, 0.9)
        optimizer.build(model.trainable_variables)
        options = {"weight_decay": 0.1, "reg_penalty": 1.0, "xla": xla}
        step = TrainingStep(devices, train_step, model, optimizer, LOSSES["euclidean"], **options)
    images, labels = random.integers(0, 256, (4, 32, 32, 3)).astype(np.uint8), random.random((4, 5)).astype(np.float32)
    batch = tuple(map(tf.constant, (images, labels, np.arange(4), np.full(4, 0.25, np.float32))))
    return step, model, batch


# What can run on the GPU without the host: it is handed values by Python, prints, checks or sends nothing
ON_HOST = ("PyFunc", "Print", "Assert", "CheckNumerics", "HostCompute", "Send", "Recv", "Summary", "LogicalPrint")


def test_nothing_in_the_graph_of_a_step_needs_the_host(folder):
    step, _, batch = dan_step()
    graph = step._on_all_devices.get_concrete_function(batch).graph
    operations = {node.op for node in graph.as_graph_def().node}
    operations |= {node.op for function in graph.as_graph_def().library.function for node in function.node_def}
    assert {"Conv2D", "Conv2DBackpropFilter", "AssignAddVariableOp"} <= operations
    assert not [name for name in operations if any(part in name for part in ON_HOST)]
    # TensorFlow keeps int32 variables in the host's memory
    assert not [variable.name for variable in graph.variables if variable.dtype == tf.int32]


def test_between_two_reads_of_the_loss_no_value_is_fetched(folder, monkeypatch):
    step, _, batch = dan_step()
    step.start_epoch()
    fetched, base = [], type(batch[0]).__mro__[1]
    assert base.__name__ == "_EagerTensorBase"
    original = base._numpy

    def counting(tensor):
        fetched.append(tensor.shape)
        return original(tensor)

    monkeypatch.setattr(base, "_numpy", counting)
    for _ in range(3):
        step(batch)
    assert not fetched
    loss, _ = step.read_loss()
    assert fetched and np.isfinite(loss)


STEPS = """
import sys
sys.path[:0] = {paths}
import numpy as np
from test_step import dan_step
step, model, batch = dan_step(xla={xla})
weights = [model.get_weights()]
step.start_epoch()
for _ in range(3):
    step(batch)
weights.append(model.get_weights())
named = {{f"{{when}}-{{layer}}": values for when in (0, 1) for layer, values in enumerate(weights[when])}}
np.savez("{xla}.npz", **named, loss=step.read_loss()[0])
"""


@pytest.mark.soak
def test_xla_takes_nearly_the_same_steps(folder):
    for xla in (False, True):  # a process each: XLA wants TensorFlow without determinism
        program = STEPS.format(xla=xla, paths=[str(PROJECT / "tests" / "training"), str(PROJECT / "tests")])
        subprocess.run([sys.executable, "-c", program], check=True)
    plain, compiled = np.load("False.npz"), np.load("True.npz")
    assert plain["loss"] == pytest.approx(compiled["loss"], rel=1e-4)
    assert len(plain.files) == 2 * 28 + 1  # 13 convolutions and the head
    for layer in range(28):
        start, moved = plain[f"0-{layer}"], np.linalg.norm(plain[f"1-{layer}"] - plain[f"0-{layer}"])
        assert np.array_equal(start, compiled[f"0-{layer}"])
        assert np.linalg.norm(plain[f"1-{layer}"] - compiled[f"1-{layer}"]) < 0.01 * moved, layer


def test_xla_is_refused_where_weights_are_to_be_equal(folder):
    refused(run("train.py", "--XLA", "True", "--DETERMINISTIC", "True"), "set one of XLA, DETERMINISTIC to False")


def too_much(*_arguments, **_options):
    """More memory than any machine has: TensorFlow's own error."""
    return tf.zeros([2**50])


@pytest.mark.soak
def test_lack_of_memory_is_told_with_the_way_out(material, monkeypatch):  # noqa: F811
    """In training and scoring; predict.py is in tests/inference. The error is TensorFlow's own."""
    arguments = ("--BATCH_SIZE", "3", "--N_EPOCHS", "1", "--KEEP_EPOCHS", "False")
    told = ("memory does not suffice for BATCH_SIZE = 3 (", "OOM when", "lower it")
    with monkeypatch.context() as patched:
        patched.setattr(TrainingStep, "__call__", too_much)
        refused(run("train.py", *arguments), *told)
    assert run("train.py", *arguments).returncode == 0
    for split, key, clips in (("training", "train", 3), ("validation", "val", 2)):
        labels = {f"{key}.{clip:03d}": label_of(10 * clip) for clip in range(clips)}
        write_annotation(f"Annotations/annotation_{split}.pkl", labels)
    monkeypatch.setattr(Devices, "predict", too_much)
    refused(run("evaluate.py", "--BATCH_SIZE", "3"), *told)
