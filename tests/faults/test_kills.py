"""Every step killed at random moments, and run again until it ends: as if nobody had killed it."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import PROJECT
from harness import STEPS, TIMES, check, finish, start, tree

SEED = 0


# dan is trained by the same code as audio, and writes a hundred times as much; predict writes at its very end
RARELY = ("dan", "predict")


def test_enough_kills():
    assert sum(each.kills for step, each in STEPS.items() if step not in RARELY) >= 20


@pytest.mark.slow
@pytest.mark.parametrize(
    "step", [pytest.param(step, marks=pytest.mark.soak) if step in RARELY else step for step in STEPS]
)
def test_killed_and_run_again_a_step_does_the_same(done, step, folder):
    chance = np.random.default_rng([SEED, list(STEPS).index(step)])
    place = folder / "work"
    before = done.restore(step, place)
    wanted, struck, ended = TIMES * STEPS[step].kills, 0, 0
    left, trained = 0.9, 0  # how much of the work is still to do; steps of the training that a run has shown
    while struck < wanted:
        process = start(step, place)
        process.wait_for(STEPS[step].at_work)
        time.sleep(chance.uniform(0, left * done.seconds[step]))
        if process.strike(alone=chance.random() < 0.3):  # alone: its ffmpeg outlives it
            struck, left = struck + 1, 0.7 * left
            trained = resumed_and_shown(process.text(), trained)
        else:  # too late: the kills before have left little to do
            assert process.end() == 0, process.text()
            check(done, step, place, before)
            ended += 1
            assert ended <= wanted + 2, "most kills come too late"
            before, left, trained = done.restore(step, place), 0.9, 0
    resumed_and_shown(finish(step, place), trained)
    check(done, step, place, before)


@pytest.mark.soak
def test_a_kill_before_the_model_is_written_leaves_none_of_an_earlier_training(done, folder):
    place, model = folder / "work", Path("runs/audio/final.keras")
    done.restore("audio", place)
    shutil.copytree(done.folder / "runs/audio", place / "runs/audio")
    finish("audio", place, "--N_EPOCHS", "7")
    wanted = tree(place)[str(model)]
    assert wanted != done.wrote["audio"][str(model)]
    shutil.copy2(done.folder / model, place / model)  # with its time
    finish("audio", place, "--N_EPOCHS", "7")
    assert tree(place)[str(model)] == wanted


@pytest.mark.slow
def test_workers_end_with_a_killed_parent(folder):
    process = subprocess.Popen([sys.executable, str(PROJECT / "sample_data.py"), "--WORKERS", "2"])
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    workers, until = [], time.monotonic() + 60
    while len(workers) < 3:  # one more watches over what they share
        assert process.poll() is None and time.monotonic() < until
        workers = children.read_text().split()
        time.sleep(0.01)
    time.sleep(2)
    process.kill()
    process.wait()
    until = time.monotonic() + 30
    while any(alive(worker) for worker in workers):
        assert time.monotonic() < until
        time.sleep(0.1)


def alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def resumed_and_shown(text, trained):
    """The last step of a training that `text` shows, having asserted that it took up all but one of `trained`.

    The step that is shown before it is saved is the one in flight: CHECKPOINT_MINUTES lets each one be saved.
    """
    resumed = re.search(r"going on after epoch (\d+), step (\d+)", text)
    shown = re.findall(r"epoch (\d+)/\d+:[^\r\n]*step (\d+)/(\d+)", text)
    per_epoch = int(shown[-1][2]) if shown else 3
    start = int(resumed[1]) * per_epoch + int(resumed[2]) if resumed else 0
    assert start >= trained - 1, text
    return (int(shown[-1][0]) - 1) * per_epoch + int(shown[-1][1]) if shown else start
