"""What the tests of faults share: every step run once undisturbed, and processes that get signals."""

import atexit
import contextlib
import fcntl
import hashlib
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from conftest import PROJECT, ok, run

TIMES = int(os.environ.get("FAULTS_TIMES", 1))  # multiplies the random tests of the soak
PATIENCE = 300  # seconds until a test gives up

SHARD = "_full.tfrecords-00000-of-00010"
AUDIO = ("--MODEL", "audio", "--N_EPOCHS", "4", "--BATCH_SIZE", "2", "--CHECKPOINT_MINUTES", "1e-9")
SMALL = ("--OPTIMIZER", "sgd", "--KEEP_EPOCHS", "False")  # a third of what is written else; `AUDIO` writes it all
DAN = (*SMALL, "--BATCH_SIZE", "1", "--N_EPOCHS", "1", "--CHECKPOINT_MINUTES", "1e-9")
TRAINED = [f"runs/{model}/{file}" for model in ("audio", "dan") for file in ("final.keras", "training_labels.csv")]
NOTES = ["runs/audio/settings.json", "runs/dan/settings.json"]
SCORED = ["runs/*/predictions*", "runs/fusion/scores_*.json"]  # what predict.py ranks among, and warns by


@dataclass(frozen=True)
class Step:
    """A step of the pipeline as the tests run it."""

    script: str
    arguments: tuple
    needs: tuple  # patterns of what it reads
    at_work: str  # pattern of what it prints when its work begins
    kills: int  # in the soak; one otherwise


STEPS = {
    "frames": Step("Video_to_Image.py", ("--FRAMES_PER_CLIP", "5"), ("data",), r"%\|", 7),
    "sound": Step("vid_to_wav.py", (), ("data", "unzippedData"), r"%\|", 6),
    "records": Step("Write_Into_TFRecords.py", ("--NUM_SHARDS", "10"), ("ImageData", "Annotations"), r"%\|", 2),
    "features": Step("feat_extraction_from_wav.py", (), ("VoiceData", "Annotations"), r"%\|", 2),
    "audio": Step("train.py", AUDIO, ("*_audio_full.tfrecords*", "Annotations"), r"epoch \d+/\d+: +\d+%", 2),
    "dan": Step(
        "train.py",
        (*DAN, "--TRAIN_RECORDS", f"train{SHARD}", "--VAL_RECORDS", f"val{SHARD}"),
        (f"*{SHARD}*", "Annotations", "vgg-face.mat"),
        r"epoch \d+/\d+: +\d+%",
        1,
    ),
    "evaluate": Step("evaluate.py", (), (*TRAINED, *NOTES, "*_full.tfrecords*", "Annotations"), "first weights", 1),
    "predict": Step(
        "predict.py",
        ("unzippedData/validation80_01", "--FRAMES_PER_CLIP", "2", "--JSON", "answers.json", "--CSV", "answers.csv"),
        (*TRAINED, *NOTES, *SCORED, "unzippedData/validation80_01"),
        "models: ",
        1,
    ),
}


@dataclass(frozen=True)
class Done:
    """The steps run undisturbed in `folder`: what each one wrote, and how long that took."""

    folder: Path
    wrote: dict  # step -> {path: digest}
    seconds: dict  # step -> from the beginning of its work to its end, about

    def restore(self, step, folder):
        """Make a new `folder` with what the step reads; returns its `tree`."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for source in inputs_of(step, self.folder):
            target = folder / source.relative_to(self.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
        return tree(folder)


def inputs_of(step, folder):
    found = [path for pattern in STEPS[step].needs for path in sorted(folder.glob(pattern))]
    assert found, step
    return found


def done_once(folder, steps):
    """`Done` of these steps, run in `folder` by the first process that asks; others wait for it and reuse it."""
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        note = folder.with_suffix(".pkl")
        if not note.exists():
            shutil.rmtree(folder, ignore_errors=True)  # a step failed in another worker
            folder.mkdir()
            note.write_bytes(pickle.dumps(run_all(folder, steps)))
        return pickle.loads(note.read_bytes())


def run_all(folder, steps):
    """Make a small sample and run the steps on it; returns `Done`."""
    with contextlib.chdir(folder):
        ok(run("sample_data.py", "--TRAINING_CLIPS", 6, "--VALIDATION_CLIPS", 2, "--SECONDS", 1))
    wrote, seconds, before = {}, {}, tree(folder)
    for name in steps:
        with contextlib.chdir(folder):
            begun = time.monotonic()
            ok(run(STEPS[name].script, *STEPS[name].arguments))
            seconds[name] = time.monotonic() - begun  # Python and TensorFlow have started
        after = tree(folder)
        wrote[name] = {path: digest for path, digest in after.items() if before.get(path) != digest}
        before = after
    return Done(folder, wrote, seconds)


def tree(folder):
    """{path: digest of the content} of every file, the hidden ones too, but not TensorBoard's or the logs of clips."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.parent.name != "logs"]
    files = [path for path in files if path.suffix != ".jsonl" and path.name != "models.json"]
    return {str(path.relative_to(folder)): _digest(path) for path in files}


def _digest(path):
    if path.suffix == ".keras":  # a zip, which is dated
        with zipfile.ZipFile(path) as archive:
            content = re.sub(rb',? ?"shared_object_id": \d+', b"", archive.read("config.json"))  # an address in memory
            content += archive.read("model.weights.h5")
    elif path.name == "checkpoint.npz":
        content = _content_of_checkpoint(path)
    else:
        content = path.read_bytes()
        if path.name.endswith(".tfrecords.json") or "tfrecords-" in path.name and path.suffix == ".json":
            content = re.sub(rb'"stat": .*', b"", content)  # times
        if path.name == "settings.json":  # somebody may work on the project meanwhile
            content = re.sub(rb'"revision": .*', b"", content)
    return hashlib.sha256(content).hexdigest()


def _content_of_checkpoint(path):
    """Its bytes but for the revision."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    about = json.loads(str(arrays.pop("about")))
    about["architecture"] = re.sub(r',? ?"shared_object_id": \d+', "", about["architecture"])
    about["progress"]["about"]["made_by"].pop("revision")
    return repr([(name, values.tobytes()) for name, values in arrays.items()] + [about]).encode()


def leftovers(folder):
    """Partial files and locks, which no run should leave."""
    return [str(path) for path in folder.rglob(".*") if path.name.startswith(".partial") or path.suffix == ".lock"]


class Running:
    """A running step, the leader of a process group; its output goes into one file."""

    def __init__(self, step, folder, *more, environment=None):
        self.log = folder.parent / f"{folder.name}.log"
        script = STEPS[step]
        command = [sys.executable, str(PROJECT / script.script), *script.arguments, *more]
        shown = {"PYTHONUNBUFFERED": "1", "TQDM_MININTERVAL": "0"}  # each step of a bar
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **shown, **(environment or {})},
            )
        # a failed test may leave it suspended
        atexit.register(lambda: self.process.poll() is None and self.strike())

    def text(self):
        return self.log.read_text(errors="replace")

    def wait_for(self, words):
        """Return as soon as it has printed `words`, a pattern, or has ended."""
        wait_until(lambda: re.search(words, self.text()) or self.process.poll() is not None)

    def strike(self, number=signal.SIGKILL, alone=False):
        """Send the signal to the whole group, or to the script `alone`; returns whether the script was still alive."""
        alive = self.process.poll() is None
        try:
            (os.kill if alone else os.killpg)(self.process.pid, number)
        except ProcessLookupError:
            pass
        if number == signal.SIGKILL:
            alive = self.process.wait() == -signal.SIGKILL
        return alive

    def end(self):
        """Wait for the end; returns the status."""
        try:
            return self.process.wait(PATIENCE)
        finally:
            if self.process.poll() is None:
                self.strike()


def wait_until(condition):
    """Poll often: a kill has to come at the moment that the condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.003)


def finish(step, folder, *more):
    """Run the step to its end; returns its output."""
    process = Running(step, folder, *more)
    assert process.end() == 0, process.text()
    return process.text()


def check(done, step, folder, before):
    """Assert that `folder` holds what the step reads and what it writes undisturbed, and nothing else."""
    after = tree(folder)
    assert {path: digest for path, digest in after.items() if before.get(path) != digest} == done.wrote[step]
    assert before.keys() <= after.keys()
