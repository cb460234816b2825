"""Peak resident memory of every script, on N and on 4 N clips: does it grow with the data?

Each script runs as a process. What is told of it, in MB:

    process    peak of the script's own process (VmHWM of /proc)
    child      peak of its largest child process, such as ffmpeg (likewise)
    together   largest sum of all of them at one time (VmRSS; what they share counts once per process)
    system     ru_maxrss that the system gives at the end (wait4): of the largest single process of the tree, as far as
               they were waited for; a child starts there with what its parent had, which the columns before leave out

Steps 1 to 4 are to stay below 2 GB, all their processes together. N counts clips of 100 frames for steps 1 to 3, sounds
for step 4 and the training on sound, frames for the networks on images, which are slow on a CPU, and clips of a few
frames for predict.py. The clips are a few different ones under many names. Linux only.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import material
from runner import PROJECT, in_child, note, workshop

from first_impression.common import rules, script
from first_impression.common.errors import UserError
from first_impression.data import chalearn

CLIPS = 15  # N for steps 1 to 3; the second measurement has four times as many
SOUNDS = 150  # N for step 4 and train.py --MODEL audio; beyond 256 the reader's buffer is full
IMAGES = 16  # N, frames, for train.py and evaluate.py
FILMS = 3  # N, clips of few frames, for predict.py
MATERIAL = ""  # a folder that keeps the clips for the next benchmark; "": none

RULES = dict.fromkeys(("CLIPS", "SOUNDS", "IMAGES", "FILMS"), rules.whole(1))

_TIMES = 4
LIMIT = 2e9  # bytes, of steps 1 to 4
LIMITED = ("step 1", "step 2", "step 3", "step 4")
FEW = 4  # frames per clip, and batch size, where the network works
COLUMNS = ("process", "child", "together", "system")


def main(settings):
    if not Path("/proc/self/status").exists():
        raise UserError("no /proc here: memory is measured on Linux only")
    kept = settings.MATERIAL and os.path.abspath(settings.MATERIAL)
    with workshop() as folder:
        clips = material.make_clips(kept)
        rows = {}
        for times in (1, _TIMES):
            os.chdir(folder)
            Path(f"times{times}").mkdir()
            os.chdir(f"times{times}")
            for name, count, command in commands(settings, clips, times):
                rows.setdefault(name, []).append({"n": count, **peaks(command)})
                print(f"  {name}, {count:,}: {megabytes(rows[name][-1])}", flush=True)
            os.chdir(folder)
            shutil.rmtree(f"times{times}")
    print(f"\n{'MB':<18}{'N':>6}" + "".join(f"{column:>10}" for column in COLUMNS) + f"{'at 4 N, together':>20}")
    for name, (small, large) in rows.items():
        grown = large["together"] / small["together"]
        numbers = "".join(f"{small[column] / 1e6:>10,.0f}" for column in COLUMNS)
        print(f"{name:<18}{small['n']:>6}{numbers}{large['together'] / 1e6:>12,.0f} x {grown:.2f}")
    most = max(row["together"] for name in LIMITED for row in rows[name])
    print(f"steps 1 to 4: at most {most / 1e6:,.0f} MB; limit 2 GB: {'kept' if most < LIMIT else 'BROKEN'}")
    note("memory", rows=rows, limit=LIMIT, most_of_steps_1_to_4=most)


def commands(settings, clips, times):
    """(name, N, command) of each script, its material made just before."""
    count, sounds = settings.CLIPS * times, settings.SOUNDS * times
    images, films = settings.IMAGES * times, settings.FILMS * times
    material.pack(clips, count)
    yield "step 1", count, ["Video_to_Image.py"]
    yield "step 2", count, ["vid_to_wav.py"]
    material.annotate(chalearn.TRAINING, count)
    yield "step 3", count, ["Write_Into_TFRecords.py"]
    shutil.rmtree(chalearn.VOICES)
    material.make_sounds(clips, sounds)
    material.make_sounds(clips, FEW, chalearn.VALIDATION)
    yield "step 4", sounds, ["feat_extraction_from_wav.py"]
    yield "train.py audio", sounds, ["train.py", "--MODEL", "audio", "--N_EPOCHS", "1"]

    # As many frames as the networks are to see, FEW of each clip
    shutil.rmtree(chalearn.IMAGES)
    for records in Path().glob("train_full.tfrecords*"):
        records.unlink()
    for split in (chalearn.TRAINING, chalearn.VALIDATION):
        material.make_frames(clips, -(-images // FEW), FEW, split)
    in_child(material.write_weights, "vgg-face.mat")  # or this process would grow, and with it the last column
    peaks(["Write_Into_TFRecords.py"])
    yield "train.py dan", images, ["train.py", "--BATCH_SIZE", str(FEW), "--N_EPOCHS", "1"]
    yield "evaluate.py", images, ["evaluate.py", "--MODELS", "dan", "--BATCH_SIZE", str(FEW)]
    shutil.rmtree(chalearn.UNZIPPED)
    paths = [str(path) for path in material.unpack(clips, films)]
    few = ["--FRAMES_PER_CLIP", str(FEW), "--BATCH_SIZE", str(FEW)]
    yield "predict.py", films, ["predict.py", *few, *paths]


def peaks(command):
    """Run a script of the project to its end; returns the columns, in bytes."""
    talk = open("talk.txt", "w+", encoding="utf-8")
    command = [sys.executable, str(PROJECT / command[0]), *command[1:]]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=talk, stderr=talk)
    found = dict.fromkeys(COLUMNS, 0)
    try:
        while True:
            done, status, usage = os.wait4(process.pid, os.WNOHANG)
            if done:
                break
            watch(process.pid, found)
            time.sleep(0.02)
    except BaseException:
        process.kill()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        talk.seek(0)
        raise UserError(f"{' '.join(command)} failed: {talk.read()[-2000:]}")
    found["system"] = usage.ru_maxrss * 1024
    return found


def watch(pid, found):
    """Raise the peaks to what the process and all below it have now."""
    own, name = memory_of(pid), command_line(pid)
    sizes = [memory for child in descendants(pid) if command_line(child) != name and (memory := memory_of(child))]
    if own:  # else it has just ended
        found["process"] = max(found["process"], own["VmHWM"])
        found["child"] = max([found["child"], *(size["VmHWM"] for size in sizes)])
        found["together"] = max(found["together"], own["VmRSS"] + sum(size["VmRSS"] for size in sizes))


def memory_of(pid):
    """{"VmHWM": bytes, "VmRSS": bytes}; empty for a process that is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    pairs = [line.split()[:2] for line in lines if line.startswith(("VmHWM", "VmRSS"))]
    return {name.rstrip(":"): int(size) * 1024 for name, size in pairs}


def command_line(pid):
    """A child that is just being started still has its parent's, and its parent's memory."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def descendants(pid):
    """The processes below a process."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            direct = [int(child) for child in children.read_text().split()]
        except OSError:  # the thread has ended
            continue
        for child in direct:
            found += [child, *descendants(child)]
    return found


def megabytes(row):
    return ", ".join(f"{column} {row[column] / 1e6:,.0f} MB" for column in COLUMNS)


if __name__ == "__main__":
    script.run(main)
