"""Faults of the machine: a full disk, no rights, a read-only folder, too few file handles, an ffmpeg that is killed.

Each ends a step with one line and status 1. It leaves no partial file under a final name, and no clip is blamed.
"""

import os
import resource
import shlex
import shutil
import subprocess
import sys

import pytest
from conftest import PROJECT, refused
from harness import STEPS, Running, check, finish, inputs_of, leftovers, tree

from first_impression.data import media

NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"] if os.getuid() else ["unshare", "--mount"]


def can(*command):
    return subprocess.run(command, capture_output=True).returncode == 0


needs_mounts = pytest.mark.skipif(
    not (shutil.which("unshare") and can(*NAMESPACE, "mount", "-t", "tmpfs", "none", "/mnt")),
    reason="mounting is not allowed here, not even in a namespace of our own",
)


def command_of(step, *more):
    return [sys.executable, str(PROJECT / STEPS[step].script), *STEPS[step].arguments, *more]


def execute(command, place, **options):
    return subprocess.run(command, cwd=place, capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)


def no_harm(done, step, place, before):
    """Assert that the files with final names are complete, and that no clip was declared unusable."""
    made = {path: digest for path, digest in tree(place).items() if path not in before and ".partial" not in path}
    replaced = ("checkpoint.npz", "history.csv", "curves.png", "best.keras")  # may be of an earlier epoch
    for path, digest in made.items():
        assert path.endswith(replaced) or done.wrote[step].get(path) == digest, path


def soak(*values):
    return pytest.param(*values, marks=pytest.mark.soak)


ROOM = [  # step, free kB
    soak("frames", 8),
    ("frames", 150),
    soak("frames", 400),
    soak("sound", 400),
    soak("sound", 1000),
    soak("records", 60),
    soak("records", 300),
    ("features", 1000),
    soak("features", 2200),
    soak("audio", 12),
    soak("audio", 1000),
    soak("audio", 3500),  # in the weights
    soak("audio", 4500),
    soak("audio", 7200),
    soak("evaluate", 4),
    soak("evaluate", 60),
    soak("predict", 100),
    soak("predict", 600),
]


@needs_mounts
@pytest.mark.slow
@pytest.mark.parametrize(("step", "room"), ROOM)
def test_full_disk(done, folder, step, room):
    """On a tmpfs of our own, in a namespace that ends with the test; then it is made larger."""
    for name in ("disk", "first", "last"):
        (folder / name).mkdir()
    links = [
        f"mkdir -p disk/{path.relative_to(done.folder).parent} && ln -s {path} disk/{path.relative_to(done.folder)}"
        for path in inputs_of(step, done.folder)
    ]
    work = shlex.join(command_of(step))
    lines = [
        f"mount -t tmpfs -o size={room}k none disk",
        *links,
        "mkdir disk/tmp",
        "export TMPDIR=$PWD/disk/tmp",  # where predict.py decodes
        f"(cd disk && {work}) >/dev/null 2>said && echo 0 >status || echo $? >status",
        "cp -a disk/. first",
        "mount -o remount,size=1g disk",
        f"(cd disk && {work}) >/dev/null 2>&1 && echo 0 >>status || echo $? >>status",
        "cp -a disk/. last",
    ]
    made = execute([*NAMESPACE, "sh", "-ec", "\n".join(lines)], folder)
    assert made.returncode == 0, made.stderr
    first, last = (folder / "status").read_text().split()
    refused(subprocess.CompletedProcess([], int(first), "", (folder / "said").read_text()), "No space left on device")
    assert "run this again" in (folder / "said").read_text()
    linked = tree(done.folder).keys() - done.wrote[step].keys()
    no_harm(done, step, folder / "first", linked)
    assert last == "0"
    written = {path: digest for path, digest in tree(folder / "last").items() if path in done.wrote[step]}
    assert written == done.wrote[step] and not leftovers(folder / "last")


FILES = [
    ("frames", 12),  # in a clip that is unpacked
    soak("frames", 8),
    soak("sound", 100),
    ("records", 20),
    soak("features", 400),
    soak("audio", 2000),
]


@pytest.mark.slow
@pytest.mark.parametrize(("step", "kilobytes"), FILES)
def test_file_size_limit(done, folder, step, kilobytes):
    place = folder / "work"
    before = done.restore(step, place)
    if (step, kilobytes) == ("frames", 8):  # the clips are there, so that it is a frame that is too large
        shutil.copytree(done.folder / "unzippedData", place / "unzippedData")
        before = tree(place)

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, resource.RLIM_INFINITY))

    refused(execute(command_of(step), place, preexec_fn=limit), "large", "run this again")
    no_harm(done, step, place, before)
    finish(step, place)
    if (step, kilobytes) != ("frames", 8):
        check(done, step, place, before)


@needs_mounts
@pytest.mark.slow
@pytest.mark.parametrize(
    "step", ["frames", soak("sound"), soak("records"), soak("features"), "audio", soak("evaluate"), soak("predict")]
)
def test_read_only_folder(done, folder, step):
    place = folder / "work"
    before = done.restore(step, place)
    lines = f"mount --bind . . && mount -o remount,ro,bind . && cd {shlex.quote(str(place))}\n"
    made = execute([*NAMESPACE, "sh", "-ec", lines + "exec " + shlex.join(command_of(step))], place)
    refused(made, "Read-only file system", "run this again")
    assert tree(place) == before


# Root without these capabilities has to keep to the modes of files like anybody else
UNPRIVILEGED = [] if os.getuid() else ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


@pytest.mark.skipif(
    bool(UNPRIVILEGED) and not can(*UNPRIVILEGED, "true"), reason="root, and no setpriv to drop its capabilities"
)
@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "closed", "mode"),
    [
        ("frames", ".", 0o500),
        soak("frames", "data/training80_01.zip", 0),
        ("sound", "unzippedData/training80_01", 0),
        soak("sound", "unzippedData/training80_01/*.mp4", 0),
        ("records", "ImageData/trainingData", 0),
        soak("records", "ImageData/trainingData/*", 0),
        soak("features", "VoiceData/trainingData/*.wav", 0),
        soak("features", "Annotations/annotation_training.pkl", 0),
        soak("audio", "train_audio_full.tfrecords", 0),
        soak("audio", "val_audio_full.tfrecords", 0),
        soak("audio", "train_audio_full.tfrecords.json", 0),
        soak("dan", "vgg-face.mat", 0),
        soak("evaluate", "runs/audio/final.keras", 0),
        ("predict", "runs/audio/final.keras", 0),
        soak("evaluate", "runs/audio", 0o500),
        soak("predict", "runs/dan/training_labels.csv", 0),
    ],
)
def test_missing_permission(done, folder, step, closed, mode):
    place = folder / "work"
    before = done.restore(step, place)
    paths = list(place.glob(closed)) if closed != "." else [place]
    modes = {path: path.stat().st_mode for path in paths}
    try:
        for path in paths:
            path.chmod(mode)
        made = execute([*UNPRIVILEGED, *command_of(step)], place)
    finally:
        for path in paths:
            path.chmod(modes[path])
    refused(made, "Permission denied", "run this again")
    no_harm(done, step, place, before)


HANDLES = [
    ("frames", (9, 13, 16)),
    soak("sound", (9, 13, 16)),
    soak("records", (6,)),
    soak("features", (7, 6)),
    soak("audio", (8,)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("step", "numbers"), HANDLES)
def test_file_handles_run_out(done, folder, step, numbers):
    """Which number is too small depends on versions and on chance: at least one of these is."""
    place, more = folder / "work", ("--WORKERS", "4") if step in ("frames", "sound") else ()
    failed = 0
    for handles in numbers:

        def limit(handles=handles):
            resource.setrlimit(resource.RLIMIT_NOFILE, (handles, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

        before = done.restore(step, place)
        made = execute(command_of(step, *more), place, preexec_fn=limit)
        if made.returncode:
            failed += 1
            refused(made, "Too many open files", "run this again")
            no_harm(done, step, place, before)
    assert failed
    finish(step, place)
    check(done, step, place, before)


@pytest.mark.slow
@pytest.mark.parametrize("number", [9, soak(15), soak(2)])
@pytest.mark.parametrize("step", ["frames", soak("sound")])
def test_killed_ffmpeg_blames_no_clip(done, folder, step, number):
    """An ffmpeg that kills itself at one of the clips stands for a system that is short of memory."""
    place, fake = folder / "work", folder / "ffmpeg"
    before = done.restore(step, place)
    victim = sorted(path for path in done.wrote["frames"] if path.endswith(".mp4"))[-1].rpartition("/")[2]
    fake.write_text(f'#!/bin/sh\ncase "$*" in *{victim}*) kill -{number} $$;; esac\nexec {media.ffmpeg()} "$@"\n')
    fake.chmod(0o755)
    named = {**os.environ, "FFMPEG": str(fake)}
    refused(execute(command_of(step), place, env=named), f"ffmpeg was killed (signal {number})", "run this again")
    no_harm(done, step, place, before)
    process = Running(step, place)
    assert process.end() == 0, process.text()
    check(done, step, place, before)
