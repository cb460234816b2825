"""Training on several devices and by several processes, against one process on whole batches."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import PROJECT, refused, run, run_alone
from test_train import write_sounds

pytestmark = pytest.mark.slow

# 11 records in batches of 3: four steps an epoch, the last one of two records
N_EPOCHS = 3
ARGUMENTS = ("--MODEL", "audio", "--BATCH_SIZE", "3", "--N_EPOCHS", str(N_EPOCHS))

TWO_DEVICES = """
import sys
sys.path.insert(0, {project!r})
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * {devices}
)
"""


@pytest.fixture
def sounds(folder):
    write_sounds("train_audio_full.tfrecords", "train", 11)
    write_sounds("val_audio_full.tfrecords", "val", 5)
    return folder


def weights(runs):
    return keras.models.load_model(f"{runs}/audio/final.keras").get_weights()


def assert_same_training(one, other):
    """Weights and scores are the same but for the rounding of float32 sums; and they did change."""
    first = weights("start")
    for start, mine, theirs in zip(first, weights(one), weights(other), strict=True):
        assert np.abs(mine - theirs).max() < 1e-6 and np.abs(mine - start).max() > 1e-5
    tables = [pd.read_csv(f"{runs}/audio/history.csv") for runs in (one, other)]
    assert tables[0]["epoch"].tolist() == tables[1]["epoch"].tolist() == list(range(1, N_EPOCHS + 1))
    assert np.allclose(tables[0], tables[1], atol=1e-5)


def train_alone():
    done = run("train.py", *ARGUMENTS, "--RUNS", "one")
    assert done.returncode == 0, done.stderr
    assert run("train.py", *ARGUMENTS, "--RUNS", "start", "--N_EPOCHS", "1", "--LEARNING_RATE", "1e-12").returncode == 0


def start_workers(runs, *arguments):
    """Two processes of one training, as TF_CONFIG makes them, on free ports of this machine."""
    free = [socket.create_server(("localhost", 0)) for _ in range(2)]
    cluster = {"worker": [f"localhost:{server.getsockname()[1]}" for server in free]}
    for server in free:
        server.close()
    workers = []
    for index in range(2):
        group = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        command = [sys.executable, str(PROJECT / "train.py"), *ARGUMENTS, "--RUNS", runs, *arguments]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "stdin": subprocess.DEVNULL}
        workers.append(subprocess.Popen(command, env={**os.environ, "TF_CONFIG": group}, **options))
    return workers


def finish(workers):
    """The workers' completed processes."""
    outputs = [worker.communicate(timeout=120) for worker in workers]
    return [
        subprocess.CompletedProcess(worker.args, worker.returncode, *output)
        for worker, output in zip(workers, outputs, strict=True)
    ]


def test_two_workers_train_as_one(sounds):
    train_alone()
    for worker in finish(start_workers("workers")):
        assert worker.returncode == 0 and "2 devices share the work" in worker.stdout, worker.stderr
    assert_same_training("one", "workers")


@pytest.mark.soak
def test_two_devices_of_one_process_train_as_one(sounds):
    train_alone()
    program = TWO_DEVICES.format(project=str(PROJECT), devices=2) + (
        "import train; from first_impression.common.settings import read_settings\n"
        "train.main(read_settings(vars(train), sys.argv[1:], recipes=True))"
    )
    command = [sys.executable, "-c", program, *ARGUMENTS, "--RUNS", "devices"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "2 devices share the work" in done.stdout
    assert_same_training("one", "devices")


@pytest.mark.soak
def test_a_killed_worker_costs_nothing(sounds):
    train_alone()
    checkpoint = Path("killed/audio/checkpoint.npz")
    workers = start_workers("killed", "--CHECKPOINT_MINUTES", "0.0001")
    while not checkpoint.exists():
        assert workers[0].poll() is None, workers[0].communicate()[1]
        time.sleep(0.05)
    workers[1].kill()
    chief, killed = finish(workers)
    assert killed.returncode == -signal.SIGKILL and not Path("killed/audio/final.keras").exists()
    assert chief.returncode == 1 and "another worker has ended: start all of them again" in chief.stderr
    assert "Traceback" not in chief.stderr
    chief, other = finish(start_workers("killed"))
    assert chief.returncode == other.returncode == 0 and "going on after epoch" in chief.stdout, chief.stderr
    assert_same_training("one", "killed")


DAN = """
import keras, numpy as np
from first_impression.training.devices import Devices
from first_impression.training.optimizers import SGD
from first_impression.training.step import TrainingStep
from model import build_model
from train import LOSSES, train_step
devices = Devices()
keras.utils.set_random_seed(0)
with devices.strategy.scope():
    model = build_model("dan_plus", image_size=32, seed=0)
    optimizer = SGD(0.0005, 0.9)
    optimizer.build(model.trainable_variables)
    step = TrainingStep(devices, train_step, model, optimizer, LOSSES["euclidean"], weight_decay=0.1, reg_penalty=1.0)
start = model.get_weights()
random, replicas = np.random.default_rng(0), devices.replicas
for number in range(1, 21):
    size = 5 if number % 4 else 3  # not to be halved: one replica has a record less, and one to fill up
    inputs, labels = random.integers(0, 256, (5, 32, 32, 3)).astype(np.uint8), random.random((5, 5)).astype(np.float32)
    indices = np.where(np.arange(6) < size, np.arange(6), -1)
    weights = np.where(indices >= 0, 1 / size, 0).astype(np.float32)
    def part(context):
        mine = np.arange(context.replica_id_in_sync_group, 6 if replicas > 1 else size, replicas)
        return inputs[mine % 5], labels[mine % 5], indices[mine], weights[mine]
    step(tuple(
        devices.strategy.experimental_distribute_values_from_function(lambda context: tf.constant(part(context)[index]))
        for index in range(4)
    ))
    if number == 1:
        after_one = model.get_weights()
found = {}
for index, layer in enumerate(zip(start, after_one, model.get_weights(), strict=True)):
    found |= {f"{index}-{when}": values - layer[0] for when, values in zip((1, 20), layer[1:], strict=True)}
np.savez(sys.argv[1], **found, loss=step.read_loss()[1])
"""


@pytest.mark.soak
def test_dan_on_two_devices_takes_the_steps_of_one(folder):
    for devices in (1, 2):
        program = TWO_DEVICES.format(project=str(PROJECT), devices=devices) + DAN
        subprocess.run([sys.executable, "-c", program, f"{devices}.npz"], check=True)
    one, two = np.load("1.npz"), np.load("2.npz")
    assert np.isclose(one["loss"], two["loss"], rtol=1e-3)
    assert len(one.files) == 2 * 28 + 1  # 13 convolutions and the head
    for name in set(one.files) - {"loss"}:
        # How far the weights moved. Rounding is small in the first step; ReLU and maxima let it grow in the later ones
        apart, moved = np.linalg.norm(one[name] - two[name]), np.linalg.norm(one[name])
        assert apart < (1e-3 if name.endswith("-1") else 0.1) * moved, name


def test_a_senseless_tf_config_is_refused(sounds):
    refused(run_alone("train.py", "--MODEL", "audio", env={**os.environ, "TF_CONFIG": "{}x"}), "TF_CONFIG")
