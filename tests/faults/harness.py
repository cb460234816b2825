"""What the tests of faults share: every step done once without a fault, and processes to be struck."""

import atexit
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
from conftest import PROJECT, run_alone

TIMES = int(os.environ.get("FAULTS_TIMES", 1))  # more of everything that is left to chance, for a soak
PATIENCE = 300  # seconds until a test gives up

SHARD = "_full.tfrecords-00000-of-00010"
AUDIO = ("--MODEL", "audio", "--N_EPOCHS", "6", "--BATCH_SIZE", "2", "--CHECKPOINT_MINUTES", "1e-9")
SMALL = ("--OPTIMIZER", "sgd", "--KEEP_EPOCHS", "False")  # a third of what is written else; `AUDIO` writes it all
DAN = (*SMALL, "--BATCH_SIZE", "1", "--N_EPOCHS", "1", "--CHECKPOINT_MINUTES", "1e-9")
TRAINED = [f"runs/{model}/{file}" for model in ("audio", "dan") for file in ("final.keras", "training_labels.csv")]
NOTES = ["runs/audio/settings.json", "runs/dan/settings.json"]


@dataclass(frozen=True)
class Step:
    """A step of the pipeline as the tests run it."""

    script: str
    arguments: tuple
    needs: tuple  # patterns of what it reads
    at_work: str  # what it says when its work begins
    kills: int


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
        (*TRAINED, *NOTES, "unzippedData/validation80_01"),
        "models: ",
        1,
    ),
}


@dataclass(frozen=True)
class Done:
    """All steps done without a fault in `folder`: what each one wrote, and how long it was at work."""

    folder: Path
    wrote: dict  # step -> {path: digest}
    seconds: dict  # step -> from the beginning of its work to its end

    def restore(self, step, folder):
        """A new `folder` with what the step reads; returns what lies in it."""
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


def done_once(folder):
    """All steps done in `folder`: `Done`, by the first process that wants it. The others wait, and take it as it is."""
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        note = folder.with_suffix(".pkl")
        if not note.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a worker for which a step failed
            folder.mkdir()
            note.write_bytes(pickle.dumps(all_steps(folder)))
        return pickle.loads(note.read_bytes())


def all_steps(folder):
    """Make a small sample and do every step on it: `Done`."""
    made = run_alone("sample_data.py", "--TRAINING_CLIPS", 6, "--VALIDATION_CLIPS", 2, "--SECONDS", 1, cwd=folder)
    assert made.returncode == 0, made.stderr
    wrote, seconds, before = {}, {}, tree(folder)
    for name in STEPS:
        process = start(name, folder)
        process.wait_for(STEPS[name].at_work)
        begun = time.monotonic()
        assert process.end() == 0, process.text()
        seconds[name] = time.monotonic() - begun
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
    """What a run should not leave: half files and locks."""
    return [str(path) for path in folder.rglob(".*") if path.name.startswith(".partial") or path.suffix == ".lock"]


class Running:
    """A step at work as the leader of a process group; what it says goes into one file."""

    def __init__(self, step, folder, *more, before=()):
        self.log = folder.parent / f"{folder.name}.log"
        script = STEPS[step]
        command = [*before, sys.executable, str(PROJECT / script.script), *script.arguments, *more]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "TQDM_MININTERVAL": "0"},  # each step is shown
            )
        # a test that fails may leave it stopped
        atexit.register(lambda: self.process.poll() is None and self.strike())

    def text(self):
        return self.log.read_text(errors="replace")

    def wait_for(self, words):
        """Return as soon as it has said `words`, a pattern, or has ended."""
        until = time.monotonic() + PATIENCE
        while not re.search(words, self.text()) and self.process.poll() is None:
            assert time.monotonic() < until, self.text()
            time.sleep(0.003)

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


def start(step, folder, *more, **options):
    return Running(step, folder, *more, **options)


def finish(step, folder, *more):
    """Run the step to its end, and return what it said."""
    process = start(step, folder, *more)
    assert process.end() == 0, process.text()
    return process.text()


def check(done, step, folder, before):
    """Assert that `folder` holds what the step needs and has written without a fault, and nothing else."""
    after = tree(folder)
    assert {path: digest for path, digest in after.items() if before.get(path) != digest} == done.wrote[step]
    assert before.keys() <= after.keys()
