"""Told to stop, a step saves first; started twice, the second one gives way."""

import os
import re
import signal
import time
from pathlib import Path

import pytest
from conftest import refused, run, run_alone
from harness import STEPS, check, finish, leftovers, start, tree

from first_impression.common import files

LOCKS = {
    "frames": ".Video_to_Image.lock",
    "sound": ".vid_to_wav.lock",
    "records": ".Write_Into_TFRecords.lock",
    "features": ".feat_extraction_from_wav.lock",
    "audio": "runs/.audio.lock",
    "evaluate": ".evaluate.lock",
    "predict": ".predict-predictions.lock",
}


@pytest.mark.soak
def test_sigterm_saves_a_training_first(done, folder):
    """By hand, since checkpoints come of CHECKPOINT_MINUTES only in the other tests."""
    place = folder / "work"
    before = done.restore("dan", place)
    process = start("dan", place, "--CHECKPOINT_MINUTES", "600")
    process.wait_for("step 1/3")
    assert process.strike(signal.SIGTERM, alone=True)
    assert process.end() == 143
    text = process.text()
    assert "stopping after this step" in text and "the same command does the rest" in text
    assert "Traceback" not in text and not leftovers(place)
    stopped = int(re.findall(r"step (\d)/3", text)[-1])
    assert f"going on after epoch 0, step {stopped}" in finish("dan", place)
    check(done, "dan", place, before)


@pytest.mark.slow
def test_sigterm_leaves_whole_frames_only(done, folder):
    place = folder / "work"
    before = done.restore("frames", place)
    process = start("frames", place, "--WORKERS", "1")
    until = time.monotonic() + 60
    while not list(place.glob("ImageData/*/[!.]*")):
        assert time.monotonic() < until
        time.sleep(0.003)
    assert process.strike(signal.SIGTERM)  # as in a terminal: ffmpeg gets it too
    assert process.end() == 143
    assert "the same command does the rest" in process.text() and "Traceback" not in process.text()
    assert not leftovers(place) and not (place / "ImageData/unusable.csv").exists()
    made = {path: digest for path, digest in tree(place).items() if path not in before}
    assert made.items() < done.wrote["frames"].items()
    finish("frames", place)
    check(done, "frames", place, before)


@pytest.mark.slow
@pytest.mark.parametrize("step", LOCKS)
def test_each_step_gives_way_to_another_one_of_its_kind(done, folder, step):
    done.restore(step, folder / "work")
    os.chdir(folder / "work")
    before = tree(Path.cwd())
    with files.locked(LOCKS[step], "the test"):
        refused(run(STEPS[step].script, *STEPS[step].arguments), "already running here", f"process {os.getpid()}")
        assert {path: digest for path, digest in tree(Path.cwd()).items() if path != LOCKS[step]} == before
    assert tree(Path.cwd()) == before


def held(process, place, step):
    """Stop the process as soon as it has its lock, so that it stays at work."""
    lock = place / LOCKS[step]
    until = time.monotonic() + 60
    while not (lock.exists() and lock.read_text() == f"{process.process.pid}\n"):
        assert process.process.poll() is None and time.monotonic() < until, process.text()
        time.sleep(0.003)
    process.strike(signal.SIGSTOP)
    return lock


@pytest.mark.slow
@pytest.mark.parametrize(
    "step", [step if step == "frames" else pytest.param(step, marks=pytest.mark.soak) for step in LOCKS]
)
def test_the_second_one_gives_way_and_a_dead_one_is_no_obstacle(done, folder, step):
    place = folder / "work"
    before = done.restore(step, place)
    script, arguments = STEPS[step].script, STEPS[step].arguments
    first = start(step, place)
    lock = held(first, place, step)
    refused(run_alone(script, *arguments, cwd=place), "already running here", f"process {first.process.pid}")
    assert first.strike(signal.SIGKILL) and lock.exists()

    again = start(step, place)
    held(again, place, step)
    refused(run_alone(script, *arguments, cwd=place), f"process {again.process.pid}")
    again.strike(signal.SIGCONT)
    assert again.end() == 0, again.text()
    check(done, step, place, before)
