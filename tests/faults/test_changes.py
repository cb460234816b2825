"""Steps in any order with changes in between: the outputs are those of a fresh run, or one line names the change."""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from conftest import PROJECT, label_of, make_clip, refused, run, write_annotation
from harness import TIMES, leftovers, tree

from first_impression.data.chalearn import IMAGES, VOICES
from first_impression.data.clip_log import ClipLog

SCRIPTS = {
    "frames": "Video_to_Image.py",
    "sound": "vid_to_wav.py",
    "records": "Write_Into_TFRecords.py",
    "features": "feat_extraction_from_wav.py",
    "train": "train.py",
    "evaluate": "evaluate.py",
}
NEEDS = {  # patterns of what a step reads, without the logs of other steps
    "frames": ["data", "Annotations"],
    "sound": ["data", "Annotations"],
    "records": ["ImageData/*Data", "Annotations"],
    "features": ["VoiceData/*Data", "Annotations"],
    "train": ["*_audio_full.tfrecords*", "Annotations"],
    "evaluate": [
        *("val_*.tfrecords*", "Annotations"),
        *(f"runs/*/{name}" for name in ("final.keras", "settings.json", "training_labels.csv")),
    ],
}
WRITES = {  # patterns of the files that a step writes, without its log
    "frames": ["ImageData/*Data/*/*", "ImageData/unusable.csv"],
    "sound": ["VoiceData/*Data/*", "VoiceData/unusable.csv"],
    "records": ["train_full.tfrecords*", "val_full.tfrecords*"],
    "features": ["train_audio_full.tfrecords*", "val_audio_full.tfrecords*"],
    "train": ["runs/{NAME}/" + name for name in ("*.keras", "history.csv", "training_labels.csv", "settings.json")],
    "evaluate": ["runs/*/predictions_*.csv", "runs/*/*_validation.png", "runs/fusion/*.json"],
}
CHOICES = {
    "frames": {"FRAMES_PER_CLIP": [2, 2, 2, 3], "SAMPLING": ["even", "even", "first"]},
    "sound": {},
    "records": {"SEED": [0, 1], "NUM_SHARDS": [1, 1, 1, 2]},
    "features": {"SEED": [0, 0, 1]},
    "train": {"LEARNING_RATE": [0.001, 0.001, 0.01], "N_EPOCHS": [1, 2]},
    "evaluate": {},
}
FIXED = {
    "train": ("--MODEL", "audio", "--BATCH_SIZE", "2"),
    "evaluate": ("--RESAMPLES", "10"),
}
SIZE = 20_000  # bytes of every video: no step can tell a change by the size


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    """Videos of one size, as bytes: six to use, one without sound, one that is none."""
    folder = tmp_path_factory.mktemp("videos")
    made = [make_clip(folder / f"{n}.mp4", [30 * n + 20] * 4, (32, 32), sound=200 + 90 * n) for n in range(6)]
    made.append(make_clip(folder / "mute.mp4", [99] * 4, (32, 32), sound=None))
    contents = [path.read_bytes() for path in made]
    contents = [
        video + (SIZE - len(video)).to_bytes(4, "big") + b"free" + bytes(SIZE - len(video) - 8) for video in contents
    ]
    return [*contents, b"no video".ljust(SIZE)]


class World:
    """A dataset, what the steps have made of it, and a user who changes this and that, by `seed`."""

    def __init__(self, folder, videos, seed):
        self.folder, self.videos, self.random = folder, videos, random.Random(seed)
        self.fresh, self.known = folder.parent / "fresh", {}  # {a command on these inputs: what it writes}
        self.constants = {step: {name: values[0] for name, values in CHOICES[step].items()} for step in SCRIPTS}
        self.constants["train"]["NAME"] = "audio1"
        self.touched = set()  # words of which a refusal has to have one
        self.counts = dict.fromkeys(("commands", "changes", "refused", "killed", "at once"), 0)
        self.made = {}  # {step 1 or 2: what it made last}
        self.added = 0
        self.zips = {"training80_01": {}, "training80_02": {}, "validation80_01": {}}  # {zip: {clip: video}}
        for name in ("training80_01",) * 3 + ("training80_02",) * 2 + ("validation80_01",) * 2:
            self.zips[name][self.new_name()] = self.random.choice(videos[:6])
        self.labels = {clip: label_of(n) for n, clip in enumerate(self.clips())}
        self.write_inputs()

    def new_name(self):
        self.added += 1
        return f"clip{self.added}.00{self.added % 3}"

    def clips(self, prefix=""):
        return [clip for name, clips in self.zips.items() if name.startswith(prefix) for clip in clips]

    def write_inputs(self):
        for name, clips in self.zips.items():
            path = self.folder / "data" / f"{name}.zip"
            path.parent.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(path, "w") as archive:
                for clip, video in clips.items():
                    archive.writestr(zipfile.ZipInfo(f"{clip}.mp4"), video)
        for path in (self.folder / "data").glob("*.zip"):
            if path.stem not in self.zips:
                path.unlink()
        for split in ("training", "validation"):
            labels = {clip: self.labels[clip] for clip in self.clips(split) if clip in self.labels}
            write_annotation(self.folder / f"Annotations/annotation_{split}.pkl", labels)
            if not labels:
                (self.folder / f"Annotations/annotation_{split}.pkl").unlink()

    # ---------------------------------------------------------------------------------------------- changes

    def change(self):
        """One random change; prints which."""
        self.counts["changes"] += 1
        kind = self.random.choice([name for name in dir(self) if name.startswith("change_")])
        print(f"  {kind}: {getattr(self, kind)() or 'nothing to change'}")

    def some_clip(self):
        name = self.random.choice([name for name, clips in self.zips.items() if clips])
        return name, self.random.choice(list(self.zips[name]))

    def some(self, *patterns):
        """A random path of these, or none; its names may stand in a refusal from now on."""
        found = sorted(path for pattern in patterns for path in self.folder.glob(pattern))
        found = [
            path
            for path in found
            if not path.name.startswith((".", "clips.jsonl", "unusable", "settings", "models.json"))
        ]
        if not found:
            return None
        chosen = self.random.choice(found)
        self.touch(chosen)
        return chosen

    def touch(self, *paths):
        """From now on a refusal may name these, or what is made of them."""
        self.touched |= {name for path in paths for name in (Path(path).name, Path(path).stem)} | {" records"}

    def change_replace_a_video(self):
        name, clip = self.some_clip()
        bad = sum(video in self.videos[6:] for clips in self.zips.values() for video in clips.values())
        self.zips[name][clip] = self.random.choice(self.videos if not bad else self.videos[:6])
        path = self.folder / f"data/{name}.zip"
        times = path.stat()
        self.write_inputs()
        if self.random.random() < 0.5:
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        self.touch(clip)
        return clip

    def change_delete_a_clip(self):
        name, clip = self.some_clip()
        if len(self.clips("training")) > 3 or name.startswith("validation"):
            del self.zips[name][clip]
            if self.random.random() < 0.5:
                self.labels.pop(clip, None)
            self.write_inputs()
            self.touch(clip, "validationData", "annotation_validation")
            return clip

    def change_delete_a_zip(self):
        if "training80_02" in self.zips and len(self.zips["training80_01"]) > 2 and self.random.random() < 0.5:
            self.touch(*self.zips.pop("training80_02"))
            self.write_inputs()
            return "training80_02"

    def change_add_a_clip(self):
        name, clip = self.random.choice(sorted(self.zips)), self.new_name()
        self.zips[name][clip] = self.random.choice(self.videos[:6])
        if self.random.random() < 0.8:
            self.labels[clip] = label_of(self.added)
        self.write_inputs()
        self.touch(clip)
        return f"{clip} to {name}"

    def change_move_a_clip(self):
        """To another zip, or split."""
        name, clip = self.some_clip()
        other = self.random.choice(sorted(self.zips))
        if len(self.zips[name]) > 2:
            self.zips[other][clip] = self.zips[name].pop(clip)
            self.write_inputs()
            self.touch(clip)
            return f"{clip} to {other}"

    def change_a_label(self):
        if self.labels:
            clip = self.random.choice(sorted(self.labels))
            self.labels[clip] = label_of(self.random.randrange(90))
            self.write_inputs()
            self.touch(clip)
            return clip

    def change_touch(self):
        path = self.some("data/*", "ImageData/*Data/*/*", "VoiceData/*Data/*", "*.tfrecords", "runs/*/*")
        if path:
            path.touch()
            return path

    def change_delete_an_output(self):
        path = self.some(
            "ImageData/*Data/*",
            "ImageData/*Data/*/*",
            "VoiceData/*Data/*",
            "unzippedData/*/*",
            "*.tfrecords*",
            "runs/*/*",
        )
        if path:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            return path

    def change_delete_a_log(self):
        if self.random.random() < 0.5:
            return None
        folder = self.random.choice(["ImageData", "VoiceData"])
        for path in (self.folder / folder).glob("clips*.jsonl"):
            path.unlink()
        self.touched |= {folder}
        self.made.clear()
        return folder

    def change_overwrite_in_place(self):
        path = self.some("VoiceData/*Data/*", "ImageData/*Data/*/*", "unzippedData/*/*.mp4", "*.tfrecords")
        if path and path.is_file():
            content = bytearray(path.read_bytes())
            if len(content) > 100:
                content[-100] ^= 1
                path.write_bytes(content)
                self.touch(path.parent)
                return path

    def change_swap_two_outputs(self):
        pattern = self.random.choice(
            ["ImageData/*Data/*", "VoiceData/*Data/*", "unzippedData/*/*.mp4", "*_full.tfrecords", "*.json"]
        )
        one, other = self.some(pattern), self.some(pattern)
        if one and one != other:
            aside = one.with_name("aside")
            one.rename(aside)
            other.rename(one)
            aside.rename(other)
            return f"{one}, {other}"

    def change_copy_from_elsewhere(self):
        """One output takes another's place, with its times."""
        pattern = self.random.choice(
            ["ImageData/*Data/*/*", "VoiceData/*Data/*", "unzippedData/*/*.mp4", "*_full.tfrecords", "runs/*/*.keras"]
        )
        one, other = self.some(pattern), self.some(pattern)
        if one and one != other and one.is_file() and other.is_file():
            shutil.copy2(one, other)
            self.touch(other.parent)
            return f"{one} to {other}"

    def change_something_in_an_outputs_place(self):
        name, clip = self.some_clip()
        split = "trainingData" if name.startswith("training") else "validationData"
        path = self.folder / self.random.choice([f"ImageData/{split}/{clip}", f"VoiceData/{split}/{clip}.wav"])
        if not path.exists() and path.parent.exists():
            if self.random.random() < 0.5:
                path.mkdir()
            else:
                path.write_text("mine")
            self.touch(path)
            return path

    def change_bring_back_what_was(self):
        """Keep all as it is now, or bring one thing back from there, with its times."""
        older = self.folder.with_name("older")
        if not older.exists() or self.random.random() < 0.3:
            shutil.rmtree(older, ignore_errors=True)
            shutil.copytree(self.folder, older)
            return "kept"
        patterns = ["ImageData/*Data/*", "VoiceData/*Data/*", "*_full.tfrecords*", "runs/*/*", "unzippedData/*/*.mp4"]
        paths = [path.relative_to(older) for pattern in patterns for path in sorted(older.glob(pattern))]
        if paths and (path := self.random.choice(paths)).parts[-1][0] not in ".p":
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir():
                shutil.rmtree(target)
            (shutil.copytree if (older / path).is_dir() else shutil.copy2)(older / path, target)
            self.touch(path, path.parent)
            return path

    def change_to_a_copy(self):
        """The whole folder is copied, with or without its times."""
        other = self.folder.with_name(f"copy{self.counts['changes']}")
        shutil.copytree(self.folder, other, copy_function=self.random.choice([shutil.copy, shutil.copy2]))
        shutil.rmtree(self.folder)
        self.folder = other
        return other

    def change_a_constant(self):
        step = self.random.choice([step for step in SCRIPTS if CHOICES[step]])
        name = self.random.choice(sorted(CHOICES[step]))
        self.constants[step][name] = self.random.choice(CHOICES[step][name])
        self.touched.add(name)
        return f"{name} = {self.constants[step][name]}"

    # --------------------------------------------------------------------------------------------- commands

    def arguments(self, step, **other):
        constants = {**self.constants[step], **other}
        return [*FIXED.get(step, ()), *(f"--{name}={value}" for name, value in constants.items())]

    def command(self, step, **other):
        """Run a step and compare its outputs with those of a fresh run; returns its message if it refuses to run."""
        self.counts["commands"] += 1
        arguments = self.arguments(step, **other)
        with contextlib.chdir(self.folder):
            done = run(SCRIPTS[step], *arguments)
        line, self.said = done.stderr.strip().splitlines()[-1] if done.returncode else "", done.stdout
        print(f"{SCRIPTS[step]} {' '.join(arguments)}: {line or 'done'}")
        if line:
            refused(done, SCRIPTS[step])
            self.counts["refused"] += 1
            words = {*self.touched, *SCRIPTS.values(), "annotation", "holds no trained run"}
            assert any(word in line.partition(": ")[2] for word in words), (line, self.touched)
            return line
        self.compare(step, done.stdout, other)
        assert not leftovers(self.folder) or self.counts["killed"]
        return ""

    def remove_missing(self):
        """Remove the outputs of clips that left their source; no log and no table mentions them afterwards."""
        with contextlib.chdir(self.folder):
            done = run("remove_clips.py", "--MISSING", "True")
            print(f"remove_clips.py: {done.stderr.strip() or done.stdout.splitlines()[-1]}")
            assert done.returncode == 0, done.stderr
            kept = {*self.clips(), *(path.stem for path in Path("unzippedData").rglob("*.mp4"))}
            for folder in (IMAGES, VOICES):
                assert {entry.clip for entry in ClipLog(folder).entries.values() if entry.output} <= kept
        self.made.clear()

    def compare(self, step, said, other):
        if already := re.search(r"trained, all (\d+) epochs", said):
            other = {**other, "N_EPOCHS": already[1]}
        here, afresh = self.written(step, self.folder), self.made_afresh(step, other)
        assert afresh is not None, "a fresh run is refused, but this one was not"
        folder = {"frames": IMAGES, "sound": VOICES}.get(step)
        missing = ClipLog(self.folder / folder).missing if folder else ()
        for path in here.keys() - afresh.keys():
            clip = re.sub(r"\.wav$", "", Path(path).parts[2]) if step in ("frames", "sound") else ""
            assert clip in missing and clip in said or f"{path.removesuffix('.json')} stays" in said, (
                f"{path} is left over"
            )
        for path, digest in afresh.items():
            removed = step == "train" and path not in here and "final" not in path  # users may remove these
            assert removed or here.get(path) == digest, f"{path} is not what a fresh run makes"
        if step in ("frames", "sound"):
            self.made[step] = here
        maker = {"records": "frames", "features": "sound"}.get(step)
        if maker in self.made:
            now, made = self.packed(self.written(maker, self.folder)), self.packed(self.made[maker])
            other = [clip for clip in now.keys() & made.keys() if now[clip] != made[clip]]
            assert not other, f"{other} have changed since they were made, and were packed all the same"

    def written(self, step, folder):
        """{path: digest} of what the step has written in `folder`, without tables that lost their records."""
        name = self.constants["train"]["NAME"]
        paths = {
            str(path.relative_to(folder)) for pattern in WRITES[step] for path in folder.glob(pattern.format(NAME=name))
        }
        paths -= {path for path in paths if ".tfrecords" in path and path.removesuffix(".json") not in paths}
        return {path: digest for path, digest in tree(folder).items() if path in paths}

    def packed(self, outputs):
        """{clip: its {path: digest}} of those of the outputs of step 1 or 2 that have a label in their split."""
        found = {}
        for path, digest in outputs.items():
            split, clip = [*Path(path).parts[1:], ""][:2]  # of unusable.csv, no clip
            clip = clip.removesuffix(".wav")
            if clip in self.labels and clip in self.clips(split.removesuffix("Data")):
                found.setdefault(clip, {})[path] = digest
        return found

    def made_afresh(self, step, other):
        """What the step writes in an empty folder from the present inputs; None where it refuses them."""
        shutil.rmtree(self.fresh, ignore_errors=True)
        self.fresh.mkdir()
        for pattern in NEEDS[step]:
            for path in self.folder.glob(pattern):
                target = self.fresh / path.relative_to(self.folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if path.is_dir() else shutil.copy)(path, target)
        arguments = self.arguments(step, **other)
        inputs = (step, *arguments, *sorted(tree(self.fresh).items()))
        if inputs not in self.known:
            with contextlib.chdir(self.fresh):
                done = run(SCRIPTS[step], *arguments)
            self.known[inputs] = None if done.returncode else self.written(step, self.fresh)
        return self.known[inputs]

    def kill(self):
        """Start a step in a process of its own and kill it, mostly before its end."""
        step = self.random.choice(["frames", "sound"])
        process = self.start(step)
        time.sleep(self.random.uniform(0.2, 0.5))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.counts["killed"] += 1
        self.made.pop(step, None)  # it may have made some
        print(f"{SCRIPTS[step]}, killed: {process.returncode}")

    def at_once(self):
        """Run two steps at once that share their zips."""
        self.counts["at once"] += 1
        steps = self.random.choice([("frames", "sound"), ("frames", "frames"), ("sound", "frames")])
        processes = []
        for step in steps:
            processes.append(self.start(step))
            time.sleep(self.random.uniform(0, 0.1))
        outputs = [process.communicate() for process in processes]
        for step, process, (out, error) in zip(steps, processes, outputs, strict=True):
            print(f"{SCRIPTS[step]}, at once: {error.splitlines()[-1] if process.returncode else 'done'}")
            if process.returncode:
                refused(subprocess.CompletedProcess([], process.returncode, out, error), SCRIPTS[step])
            else:
                self.compare(step, out, {})

    def start(self, step):
        command = [sys.executable, str(PROJECT / SCRIPTS[step]), *self.arguments(step)]
        pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen(command, cwd=self.folder, text=True, start_new_session=True, **pipes)

    # ------------------------------------------------------------------------------------------------ a user

    def obey(self, line):
        """Do what a refusal asks for; returns whether that was possible."""
        path = self.folder / re.sub(r"^(both )?([^ :,]+).*", r"\2", line.partition(": ")[2])
        if was := re.findall(r"([A-Z_]+) = '?([^ ']+)'? \(now", line):
            for step in SCRIPTS:
                self.constants[step] |= {name: value for name, value in was if name in self.constants[step]}
        elif "another NAME" in line:
            self.constants["train"]["NAME"] = f"audio{self.counts['commands']}"
        elif "a set of another NUM_SHARDS" in line:
            for name in re.findall(r"\w+\.tfrecords[-\w]*", line):
                for file in (name, f"{name}.json"):
                    (self.folder / file).unlink(missing_ok=True)
        elif "its folder away" in line:
            shutil.rmtree(path.parent)
        elif re.search("away|delete it", line) and path.exists():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        elif steps := [step for step, script in SCRIPTS.items() if script in line.partition(": ")[2]]:
            self.command(steps[0])
        elif "run its step again" in line:
            for step in ("records", "features"):
                self.command(step)
        else:
            return False
        return True

    def settle(self):
        """Assert that steps 1 to 4, once nothing is missing, make what they make in an empty folder."""
        print("settling")
        self.remove_missing()
        for step in list(SCRIPTS)[:4]:
            for _ in range(12):
                line = self.command(step)
                if not line:
                    break
                assert self.obey(line), line
            assert not line, line
            for name in re.findall(r"(\S+\.tfrecords\S*) stays", self.said):  # it has lost its table
                (self.folder / name).unlink()
        before = self.times()
        for step in list(SCRIPTS)[:4]:
            assert not self.command(step)
        assert self.times() == before, "a rerun without any change wrote something"
        shutil.rmtree(self.fresh)
        self.fresh.mkdir()
        for name in ("data", "Annotations"):
            shutil.copytree(self.folder / name, self.fresh / name)
        for step in list(SCRIPTS)[:4]:
            with contextlib.chdir(self.fresh):
                done = run(SCRIPTS[step], *self.arguments(step))
            assert done.returncode == 0, done.stderr
            assert self.written(step, self.folder) == self.written(step, self.fresh), step

    def times(self):
        paths = [
            path
            for pattern in ("ImageData/*Data/**/*", "VoiceData/*Data/*", "*.tfrecords*")
            for path in self.folder.glob(pattern)
        ]
        return {path: path.stat().st_mtime_ns for path in paths}


def live(world, length):
    """Make random changes and run random commands in turn, and settle."""
    steps, weights = list(SCRIPTS), [4, 4, 3, 3, 2, 1]
    for step in steps[: world.random.randrange(6)]:
        world.command(step)
    for _ in range(length):
        what = world.random.random()
        if what < 0.45:
            world.change()
        elif what < 0.9:
            (step,) = world.random.choices(steps, weights)
            if world.random.random() < 0.2:
                world.remove_missing()
            line = world.command(step)
            if line and world.random.random() < 0.7:
                world.obey(line)
        else:
            world.random.choice([world.kill, world.at_once])()
    world.settle()


def check(folder, videos, seed, length=25):
    print(f"seed {seed}")
    (folder / "work").mkdir()
    world = World(folder / "work", videos, seed)
    live(world, length)
    return world.counts


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1))
def test_random_changes_leave_what_a_fresh_run_makes(folder, videos, seed):
    check(folder, videos, seed, length=15)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1000, 1000 + 200 * TIMES))
def test_many_random_changes_leave_what_a_fresh_run_makes(folder, videos, seed):
    counts = check(folder, videos, seed)
    with open(folder.parent / "counts.jsonl", "a") as file:
        print(json.dumps(counts), file=file)
    shutil.rmtree(folder)
