"""A step that is told to stop saves first; a second process of a step refuses to run beside the first."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import PROJECT, make_clip, refused, run, run_alone
from harness import STEPS, Running, check, finish, leftovers, tree, wait_until

from first_impression.common import files
from first_impression.data import media

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
def test_sigterm_saves_the_training_first(done, folder):
    """CHECKPOINT_MINUTES is so long here that the signal alone can be the reason for a checkpoint."""
    place = folder / "work"
    before = done.restore("dan", place)
    process = Running("dan", place, "--CHECKPOINT_MINUTES", "600")
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
def test_sigterm_leaves_only_clips_with_all_their_frames(done, folder):
    place = folder / "work"
    before = done.restore("frames", place)
    # A stand-in for ffmpeg never comes to the end of the last clip, so that the signal cannot come too late
    stand_in, last = folder / "ffmpeg", sorted(done.wrote["sound"])[-1].rpartition("/")[2].replace(".wav", ".mp4")
    stand_in.write_text(f'#!/bin/sh\ncase "$*" in *{last}*) exec sleep 300;; esac\nexec {media.ffmpeg()} "$@"\n')
    stand_in.chmod(0o755)
    process = Running("frames", place, "--WORKERS", "1", environment={"FFMPEG": str(stand_in)})
    wait_until(lambda: list(place.glob("ImageData/*/[!.]*")))
    assert process.strike(signal.SIGTERM)  # as in a terminal: ffmpeg gets it too
    assert process.end() == 143
    assert "Traceback" not in process.text()
    assert not leftovers(place) and not (place / "ImageData/unusable.csv").exists()
    made = {path: digest for path, digest in tree(place).items() if path not in before}
    assert made.items() < done.wrote["frames"].items()
    finish("frames", place)
    check(done, "frames", place, before)


@pytest.mark.slow
@pytest.mark.parametrize("step", LOCKS)
def test_step_refuses_to_run_while_its_lock_is_held(done, folder, step):
    done.restore(step, folder / "work")
    os.chdir(folder / "work")
    before = tree(Path.cwd())
    with files.locked(LOCKS[step], "the test"):
        refused(run(STEPS[step].script, *STEPS[step].arguments), "already running here", f"process {os.getpid()}")
        assert {path: digest for path, digest in tree(Path.cwd()).items() if path != LOCKS[step]} == before
    assert tree(Path.cwd()) == before


def suspend_with_lock(process, place, step):
    """Suspend the process as soon as it has its lock, so that it keeps it; returns the lock's path."""
    lock = place / LOCKS[step]

    def has_its_lock():
        assert process.process.poll() is None, process.text()
        return lock.exists() and lock.read_text() == f"{process.process.pid}\n"

    wait_until(has_its_lock)
    process.strike(signal.SIGSTOP)
    return lock


@pytest.mark.slow
@pytest.mark.parametrize(
    "step", [step if step == "frames" else pytest.param(step, marks=pytest.mark.soak) for step in LOCKS]
)
def test_second_process_refuses_to_run_until_the_first_is_dead(done, folder, step):
    place = folder / "work"
    before = done.restore(step, place)
    script, arguments = STEPS[step].script, STEPS[step].arguments
    first = Running(step, place)
    lock = suspend_with_lock(first, place, step)
    refused(run_alone(script, *arguments, cwd=place), "already running here", f"process {first.process.pid}")
    assert first.strike(signal.SIGKILL) and lock.exists()

    again = Running(step, place)
    suspend_with_lock(again, place, step)
    refused(run_alone(script, *arguments, cwd=place), f"process {again.process.pid}")
    again.strike(signal.SIGCONT)
    assert again.end() == 0, again.text()
    check(done, step, place, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("script", "hangs"),
    [
        ("Video_to_Image.py", "while it decodes"),
        ("vid_to_wav.py", "at once"),
        pytest.param("predict.py", "while it decodes", marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_a_script_whatever_ffmpeg_does(folder, script, hangs, number):
    clip = make_clip("data/training/a.mp4", [90] * 5)
    arguments = []
    if script == "predict.py":
        sys.path.insert(0, str(PROJECT / "tests/inference"))
        from stand_ins import image_model, save_run

        save_run("eye", image_model())
        arguments = [clip, "--PICTURE=False"]
    # It heeds no signal, and has a child that keeps its output open
    works = f'[ "$1" = -version ] && exec {media.ffmpeg()} "$@"' if hangs == "while it decodes" else ""
    lines = ["#!/bin/sh", works, "trap '' INT TERM", "sleep 100 &", "echo $$ $! >>started", "wait", "sleep 100"]
    (folder / "ffmpeg").write_text("\n".join(lines) + "\n")
    (folder / "ffmpeg").chmod(0o755)
    command = [sys.executable, str(PROJECT / script), *arguments]
    environment = {**os.environ, "FFMPEG": str(folder / "ffmpeg"), "PYTHONUNBUFFERED": "1"}
    with open("log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    ready = "eye" if script == "predict.py" else ""  # the models are loaded
    wait_until(lambda: Path("started").exists() and ready in Path("log").read_text() or process.poll() is not None)
    time.sleep(0.2)  # until Python has seen the start
    sent = time.monotonic()
    process.send_signal(number)
    assert process.wait(30) == 128 + number, Path("log").read_text()
    assert time.monotonic() - sent < 20  # and not the 100 of its ffmpeg, however busy the machine is
    assert "stopped. Complete outputs stay" in Path("log").read_text()
    for child in Path("started").read_text().split():
        state = Path(f"/proc/{child}/stat")
        wait_until(lambda state=state: not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z")
