"""Steps 1 to 4 in shards: what several runs make between them is what one run makes."""

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from conftest import FFMPEG, GREY, PROJECT, label_of, make_clip, make_zip, ok, refused, run, write_annotation
from test_steps import examples, tree

from first_impression.common import files, rules
from first_impression.common.errors import UserError
from first_impression.data import batching, chalearn, record_reader

STEPS = ("Video_to_Image.py", "vid_to_wav.py")
WRITERS = ("Write_Into_TFRecords.py", "feat_extraction_from_wav.py")
SETS = ("train_full", "val_full", "train_audio_full", "val_audio_full")
SHARDS = ("1/3", "2/3", "3/3")
MORE = [f"more.{number:03d}" for number in range(6)]


def start(name, shard, **options):
    command = [sys.executable, str(PROJECT / name), "--SHARD", shard, "--WORKERS", "1"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def ended(process):
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    return out


def killed_at_work(name, shard, clip):
    """Kill a step while ffmpeg is at work on this clip of its shard: a stand-in for ffmpeg stops itself there."""
    stand_in = Path("bin/ffmpeg").absolute()
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/sh\ncase "$*" in *{clip}.mp4*) kill -STOP $$;; esac\nexec {FFMPEG} "$@"\n')
    stand_in.chmod(0o755)
    environment = {**os.environ, "PATH": f"{stand_in.parent}:{os.environ['PATH']}", "FFMPEG": str(stand_in)}
    process = start(name, shard, env=environment, start_new_session=True)
    half_made, until = [], time.monotonic() + 60
    while not half_made:
        assert process.poll() is None and time.monotonic() < until
        half_made = list(Path().glob(f"*/*/.partial.{clip}*"))
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    shutil.rmtree(stand_in.parent)
    assert half_made[0].exists()


def clips_of_records(name):
    """[(clip, label, content)] of a record set, one file or shards, in no order."""
    found = []
    for path in [*Path().glob(f"{name}.tfrecords"), *Path().glob(f"{name}.tfrecords-?????-of-?????")]:
        found += [(clip, label.tobytes(), content) for clip, label, content in examples(path, name.split("_")[0])]
    return sorted(found)


@pytest.fixture
def two_folders(dataset, monkeypatch):
    """Two folders with the same zips and annotations of 13 clips; `enter(name)` goes to "one" or "apart"."""
    for number, clip in enumerate(MORE):
        make_clip(f"made/{clip}.mp4", [20 + 35 * number] * 12, sound=200 + 50 * number)
    make_zip("data/training80_03.zip", MORE, "made")
    Path("made/cut.000.mp4").write_bytes(b"no video")
    make_zip("data/training80_04.zip", ["cut.000"], "made")
    labels = {clip: label_of(number) for number, clip in enumerate([*GREY, *MORE, "cut.000", "gone.000"])}
    write_annotation("Annotations/annotation_training.pkl", labels)
    for name in ("one", "apart"):
        (dataset / name).mkdir()
        for inputs in ("data", "Annotations"):
            (dataset / name / inputs).symlink_to(dataset / inputs)
    return lambda name: monkeypatch.chdir(dataset / name)


@pytest.mark.slow
def test_shards_in_any_order_one_killed_and_repeated_make_what_one_run_makes(two_folders):
    two_folders("one")
    for name in STEPS:
        ok(run(name))
    for name in WRITERS:
        ok(run(name))
    whole = {name: clips_of_records(name) for name in SETS}
    made = tree("unzippedData", "ImageData", "VoiceData")

    two_folders("apart")
    order = random.Random(0).sample(SHARDS, 3)
    victim = next(clip for clip in [*MORE, *GREY] if chalearn.in_shard(clip, order[1]))
    killed_at_work("Video_to_Image.py", order[1], victim)
    assert '"ended"' not in Path(f"ImageData/clips{chalearn.shard_suffix(order[1])}.jsonl").read_text()
    for name in WRITERS:  # what is half done is not gone on with
        refused(run(name, "--SHARD", order[1]))
    for shard in order:  # each from the first step to the last before the next one begins
        for name in STEPS:
            ended(start(name, shard))
        for name in WRITERS:
            ok(run(name, "--SHARD", shard))
    apart = tree("unzippedData", "ImageData", "VoiceData")
    lists = {path for path in {*made, *apart} if "unusable" in path}
    assert {path: apart[path] for path in apart if path not in lists} == {
        path: made[path] for path in made if path not in lists
    }
    assert lists == {
        f"{folder}/unusable{shard}.csv"
        for folder in ("ImageData", "VoiceData")
        for shard in ("", "-1-of-3", "-2-of-3", "-3-of-3")
    }
    rows = [row for path in Path("ImageData").glob("unusable-*") for row in csv.DictReader(path.open(newline=""))]
    assert [row["clip"] for row in rows] == ["cut.000"]

    assert {name: clips_of_records(name) for name in SETS} == whole
    empty = [shard for shard in SHARDS if not any(chalearn.in_shard(f"val.00{n}", shard) for n in (0, 1))]
    assert empty  # two clips in three shards: at least one has none of them
    for name in SETS:
        key, kind = name.split("_")[0], "audio" if "audio" in name else "image"
        record_set = record_reader.open_records(f"{name}.tfrecords", key, kind)
        assert record_set.size == len(whole[name]) and set(record_set.labels) == {clip for clip, _, _ in whole[name]}
        assert len(list(Path().glob(f"{name}.tfrecords-0000?-of-00003"))) == 3
        assert len(record_set.files) == (3 - len(empty) if key == "val" else 3)
        batches = batching.batches(record_set, 4, shuffle_seed=1, pad=False)
        assert sum(len(indices) for _, _, indices, _ in batches) == record_set.size
    assert not list(Path().rglob(".*"))

    # Nothing is made twice, and neither another number nor the other way of sharding is mixed in
    assert ok(run("feat_extraction_from_wav.py", "--SHARD", order[0])).count("were there") == 2
    for name in STEPS:  # a run over all clips takes in what the shards have made, and does for any shard
        assert "0 clips made, 13 already there" in ok(run(name))
    for folder in ("ImageData", "VoiceData"):
        assert sorted(path.name for path in Path(folder).glob("*.*")) == ["clips.jsonl", "unusable.csv"]
    for arguments in ((), ("--SHARD", "1/4")):
        for name in WRITERS:
            refused(run(name, *arguments), "another NUM_SHARDS or SHARD is here")
    ok(run("Write_Into_TFRecords.py", "--NUM_SHARDS", "3"))
    ok(run("Write_Into_TFRecords.py", "--SHARD", "1/3"))
    with pytest.raises(UserError, match="some shards are of NUM_SHARDS, some of SHARD"):
        record_reader.open_records("train_full.tfrecords", "train", "image")

    # A file that should have records and is empty is damage
    files_of_set = sorted(Path().glob("val_audio_full.tfrecords-?????-of-?????"))
    next(path for path in files_of_set if path.stat().st_size).write_bytes(b"")
    with pytest.raises(UserError, match="is empty: run feat_extraction_from_wav.py again"):
        record_reader.open_records("val_audio_full.tfrecords", "val", "audio")


@pytest.mark.slow
def test_shards_at_the_same_time_do_not_disturb_each_other(two_folders):
    two_folders("apart")
    outs = [ended(process) for process in [start("Video_to_Image.py", shard) for shard in SHARDS]]
    made = [int(out.split("ImageData: ")[-1].split(" clips made")[0]) for out in outs]
    assert sum(made) == 13
    assert len(list(Path("ImageData").glob("*/[!.]*"))) == 13 and not list(Path().rglob(".*"))
    with files.locked(".vid_to_wav-1-of-3.lock", "a test"):
        refused(run("vid_to_wav.py", "--SHARD", "1/3"), "already running here")
        ok(run("vid_to_wav.py", "--SHARD", "2/3"))


def test_a_shard_without_any_clip_says_so_and_is_no_error(dataset):
    names = [*GREY, "val.000", "val.001"]
    shard = next(f"{n}/40" for n in range(1, 41) if not any(chalearn.in_shard(name, f"{n}/40") for name in names))
    for name in STEPS:
        assert f"no clip is in shard {shard}: nothing to do" in ok(run(name, "--SHARD", shard))
    for name in WRITERS:
        ok(run(name, "--SHARD", shard))
    for name in SETS:
        (path,) = Path().glob(f"{name}.tfrecords-?????-of-00040")
        assert path.stat().st_size == 0
    # A set of nothing but such files is told, not read
    (path,) = Path().glob("train_full.tfrecords-?????-of-00040")
    path.rename("train_full.tfrecords")
    Path(f"{path}.json").rename("train_full.tfrecords.json")
    with pytest.raises(UserError, match="hold no records"):
        record_reader.open_records("train_full.tfrecords", "train", "image")


def test_the_name_alone_decides_and_shards_are_of_one_size():
    names = [f"{source:05x}.{number:03d}" for source in range(1500) for number in range(6)]
    for count in (1, 2, 3, 16):
        shards = [f"{number}/{count}" for number in range(1, count + 1)]
        member = Counter(shard for name in names for shard in shards if chalearn.in_shard(name, shard))
        assert sum(member.values()) == len(names) and set(member) == set(shards)
        assert max(member.values()) < 1.2 * len(names) / count
    # Pinned: another choice would complete a set that was begun before with other clips
    assert [name for name in names[:100] if chalearn.in_shard(name, "3/16")] == ["00008.004", "00009.004"]
    assert all(chalearn.in_shard(name, "") for name in names)


@pytest.mark.parametrize(
    "text", ["3", "0/3", "4/3", "-1/3", "1/0", "01/3", "1/3 ", "1/03", "a/b", "1/2/3", "/", "1/100000"]
)
def test_a_senseless_shard_is_refused(text):
    assert rules.shard(text)


def test_senseless_shards_are_refused_by_every_step(dataset):
    assert not rules.shard("") and not rules.shard("1/1") and not rules.shard("16/16") and rules.shard(3)
    for name in (*STEPS, *WRITERS):
        refused(
            run(name, "--SHARD", "4/3"), name, "SHARD = '4/3': must be empty, for all clips, or a shard such as 3/16"
        )
    refused(run("Write_Into_TFRecords.py", "--SHARD", "1/3", "--NUM_SHARDS", "3"), "do not go together")
