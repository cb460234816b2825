"""Steps killed at random moments and run again until they end: the result is that of an undisturbed run."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import PROJECT
from harness import STEPS, TIMES, Running, check, finish, tree, wait_until

SEED = 0

# features and records are written by the same code; dan is trained by that of audio, and writes a hundred times as
# much; the others write at their very end
RARELY = ("features", "dan", "evaluate", "predict")


@pytest.mark.slow
@pytest.mark.parametrize(
    "step", [pytest.param(step, marks=pytest.mark.soak) if step in RARELY else step for step in STEPS]
)
def test_killed_step_run_again_gives_the_same_result(done, step, folder):
    kill_and_rerun(done, step, folder, kills=1)


@pytest.mark.soak
@pytest.mark.parametrize("step", STEPS)
def test_step_killed_many_times_gives_the_same_result(done, step, folder):
    kill_and_rerun(done, step, folder, kills=TIMES * STEPS[step].kills)


def kill_and_rerun(done, step, folder, kills):
    """Kill the step at random moments, as often as `kills` says, and start it again each time; then let it end."""
    random = np.random.default_rng([SEED, list(STEPS).index(step)])
    place = folder / "work"
    before = done.restore(step, place)
    struck, too_late = 0, 0
    left, trained = 0.9, 0  # share of the work still to do; steps of the training that a run has shown
    while struck < kills:
        process = Running(step, place)
        process.wait_for(STEPS[step].at_work)
        time.sleep(random.uniform(0, left * done.seconds[step]))
        if process.strike(alone=random.random() < 0.3):  # alone: its ffmpeg outlives it
            struck, left = struck + 1, 0.7 * left
            trained = resumed_and_shown(process.text(), trained)
        else:  # the kills before have left little to do
            assert process.end() == 0, process.text()
            check(done, step, place, before)
            too_late += 1
            assert too_late <= kills + 2, "most kills come too late"
            before, left, trained = done.restore(step, place), 0.9, 0
    resumed_and_shown(finish(step, place), trained)
    check(done, step, place, before)


@pytest.mark.soak
def test_kill_before_the_model_is_written_leaves_no_model_of_an_earlier_training(done, folder):
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
    workers = []

    def both_at_work():
        assert process.poll() is None
        workers[:] = children.read_text().split()  # one more watches over what they share
        return len(workers) == 3 and list(Path("data").glob(".partial*"))

    wait_until(both_at_work)
    process.kill()
    process.wait()
    wait_until(lambda: not any(map(is_alive, workers)))


def is_alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def resumed_and_shown(text, trained):
    """The last step of the training in `text`; asserts that it resumed after `trained` steps, or one less.

    CHECKPOINT_MINUTES lets each step be saved, but a step is shown before it is saved.
    """
    resumed = re.search(r"going on after epoch (\d+), step (\d+)", text)
    shown = re.findall(r"epoch (\d+)/\d+:[^\r\n]*step (\d+)/(\d+)", text)
    per_epoch = int(shown[-1][2]) if shown else 3
    start = int(resumed[1]) * per_epoch + int(resumed[2]) if resumed else 0
    assert start >= trained - 1, text
    return (int(shown[-1][0]) - 1) * per_epoch + int(shown[-1][1]) if shown else start
