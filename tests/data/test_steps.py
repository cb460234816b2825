"""Steps 1 to 4 on a small dataset with everything odd in it: which clip's label goes with which content."""

import csv
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import (
    GREY,
    PROJECT,
    label_of,
    make_clip,
    make_zip,
    number_of,
    numbered,
    ok,
    refused,
    run,
    run_alone,
    write_annotation,
)
from PIL import Image

from first_impression.data import archives, audio, media, record_reader, record_writer
from first_impression.data.chalearn import name_of_video

STEPS = ("Video_to_Image.py", "vid_to_wav.py", "Write_Into_TFRecords.py", "feat_extraction_from_wav.py")


def examples(path, key):
    """[(clip, label, content bytes)] of a record file, in its order."""
    found = []
    for record in tf.data.TFRecordDataset(str(path)):
        features = tf.train.Example.FromString(record.numpy()).features.feature
        values = {name.removeprefix(f"{key}/"): feature.bytes_list.value[0] for name, feature in features.items()}
        content = values.get("image") or values["audio"]
        found.append((values["video"].decode(), np.frombuffer(values["label"], "<f4"), content))
    return found


def tree(*roots):
    """{path: digest} of every file under these folders or files, but for the logs, which hold times."""
    files = [path for root in roots for path in [Path(root), *Path(root).rglob("*")] if path.is_file()]
    files = [path for path in files if path.suffix != ".jsonl"]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


@pytest.mark.slow
def test_frames_lie_where_the_design_says_and_a_second_run_makes_what_is_missing(dataset):
    out = ok(run("Video_to_Image.py", "--FRAMES_PER_CLIP", 10))
    assert "7 clips made, 0 already there, 0 unusable" in out
    assert "1 clip with fewer than 10 frames: short.003" in out
    for clip in GREY:
        frames = {path.name for path in Path("ImageData/trainingData", clip).iterdir()}
        assert frames == {f"frame{n}.jpg" for n in range(1, 4 if clip == "short.003" else 11)}
    assert Path("unzippedData/training80_01/-dash_id.000.mp4").exists()
    assert Path("ImageData/validationData/val.001/frame1.jpg").exists()
    with Image.open("ImageData/trainingData/plain.000/frame1.jpg") as image:
        assert image.size == (224, 224) and image.mode == "RGB"

    before = tree("ImageData")
    Path("ImageData/trainingData/plain.000/frame1.jpg").unlink()  # half a clip cannot come about, a missing one can
    for path in Path("ImageData/trainingData/plain.000").iterdir():
        path.unlink()
    Path("ImageData/trainingData/plain.000").rmdir()
    left = Path("ImageData/trainingData/.partial.plain.000")  # what a killed run leaves
    left.mkdir()
    (left / "frame1.jpg").write_bytes(b"half a pict")
    assert "1 clip made, 6 already there" in ok(run("Video_to_Image.py", "--FRAMES_PER_CLIP", 10))
    assert tree("ImageData") == before

    refused(run("Video_to_Image.py", "--FRAMES_PER_CLIP", 5), "ImageData was made with FRAMES_PER_CLIP = 10")
    assert tree("ImageData") == before


def test_every_image_record_carries_its_own_clips_label(dataset):
    make_clip("made/extra.000.mp4", [230] * 12)
    make_zip("data/training80_03.zip", ["extra.000"], "made")  # a clip without a label
    labels = {clip: label_of(i) for i, clip in enumerate(GREY)}
    write_annotation("Annotations/annotation_training.pkl", {"gone.000": label_of(9), **labels})  # and the reverse
    ok(run("Video_to_Image.py", "--FRAMES_PER_CLIP", 10))
    out = ok(run("Write_Into_TFRecords.py"))
    assert "1 clip without a label, passed over: extra.000" in out
    assert "1 clip not there, passed over: gone.000" in out

    found = examples("train_full.tfrecords", "train")
    counts = {clip: sum(name == clip for name, _, _ in found) for clip in GREY}
    assert counts == {clip: 3 if clip == "short.003" else 10 for clip in GREY} and len(found) == 43
    by_grey = {grey: clip for clip, grey in GREY.items()}
    for clip, label, content in found:
        grey = tf.io.decode_jpeg(content).numpy().mean()
        assert by_grey[min(by_grey, key=lambda level: abs(level - grey))] == clip
        assert label.tolist() == label_of(list(GREY).index(clip)).tolist()
        assert content in {path.read_bytes() for path in Path("ImageData/trainingData", clip).iterdir()}
    assert [name for name, _, _ in found] != sorted(name for name, _, _ in found)  # shuffled over all clips

    record_set = record_reader.open_records("train_full.tfrecords", "train", "image")
    assert record_set.size == 43 and set(record_set.labels) == set(counts)
    assert np.allclose(record_set.label_mean, np.mean([label_of(i) for i in range(5)], axis=0))


@pytest.mark.slow
def test_every_audio_record_carries_its_own_clips_label(dataset):
    make_clip("made/mute.000.mp4", [90] * 12, sound=None)
    make_zip("data/training80_03.zip", ["mute.000"], "made")
    labels = {clip: label_of(i) for i, clip in enumerate([*GREY, "mute.000"])}
    write_annotation("Annotations/annotation_training.pkl", labels)
    out = ok(run("vid_to_wav.py"))
    assert "7 clips made" in out and "unusable: mute.000: no sound" in out
    with open("VoiceData/unusable.csv", newline="") as file:
        assert list(csv.reader(file)) == [["split", "clip", "reason"], ["training", "mute.000", "no sound"]]
    out = ok(run("feat_extraction_from_wav.py"))
    assert "1 clip not there, passed over: mute.000" in out
    assert "0 clips cut to 3059 windows, 5 shorter ones repeated" in out

    found = examples("train_audio_full.tfrecords", "train")
    assert sorted(clip for clip, _, _ in found) == sorted(GREY)
    for clip, label, content in found:
        assert label.tolist() == label_of(list(GREY).index(clip)).tolist()
        features = np.frombuffer(content, "<f4")
        assert features.shape == (79_534,)
        samples = audio.read_wav(f"VoiceData/trainingData/{clip}.wav")
        assert (features == audio.log_filterbank(samples)).all()

    # A clip without sound is a full member of the image records
    ok(run("Video_to_Image.py", "--FRAMES_PER_CLIP", 2))
    ok(run("Write_Into_TFRecords.py"))
    assert sum(clip == "mute.000" for clip, _, _ in examples("train_full.tfrecords", "train")) == 2


@pytest.mark.slow
def test_the_seed_decides_the_order_and_the_number_of_shards_only_the_files(dataset):
    ok(run("Video_to_Image.py", "--FRAMES_PER_CLIP", 4))
    ok(run("Write_Into_TFRecords.py"))
    first = Path("train_full.tfrecords").read_bytes()
    assert "19 records, were there" in ok(run("Write_Into_TFRecords.py"))
    Path("train_full.tfrecords").unlink()
    ok(run("Write_Into_TFRecords.py"))
    assert Path("train_full.tfrecords").read_bytes() == first
    before = examples("train_full.tfrecords", "train")
    ok(run("Write_Into_TFRecords.py", "--SEED", 1))
    after = examples("train_full.tfrecords", "train")
    assert [e[2] for e in after] != [e[2] for e in before]
    assert sorted(e[2] for e in after) == sorted(e[2] for e in before)

    for path in Path().glob("*_full.tfrecords*"):
        path.unlink()
    ok(run("Write_Into_TFRecords.py", "--NUM_SHARDS", 3))
    assert [path.name for path in sorted(Path().glob("train_full.tfrecords*[0-9]"))] == [
        f"train_full.tfrecords-0000{n}-of-00003" for n in range(3)
    ]
    record_set = record_reader.open_records("train_full.tfrecords", "train", "image")
    clips = record_reader.read_names(record_set)[0].tolist()
    assert len(clips) == record_set.size == 19 and len(set(clips)) == 5


def test_records_with_raw_pixels_as_the_original_writes_them(dataset):
    ok(run("Video_to_Image.py", "--FRAMES_PER_CLIP", 2))
    ok(run("Write_Into_TFRecords.py", "--IMAGE_ENCODING", "raw"))
    for clip, _, content in examples("train_full.tfrecords", "train"):
        pixels = np.frombuffer(content, np.uint8)
        assert pixels.size == 150_528 and abs(pixels.mean() - GREY[clip]) < 4


def test_a_broken_frame_is_named(dataset):
    ok(run("Video_to_Image.py", "--FRAMES_PER_CLIP", 2))
    Path("ImageData/trainingData/plain.000/frame2.jpg").write_bytes(b"")
    refused(run("Write_Into_TFRecords.py"), "plain.000 is not as Video_to_Image.py made it: run that again")
    Path("ImageData/clips.jsonl").unlink()  # as if another program had made the frames
    refused(run("Write_Into_TFRecords.py"), "plain.000/frame2.jpg is not a whole JPEG file")
    assert not Path("train_full.tfrecords").exists()


def test_a_changed_label_is_written_anew(dataset):
    ok(run("Video_to_Image.py", "--FRAMES_PER_CLIP", 2))
    ok(run("Write_Into_TFRecords.py"))
    labels = {clip: label_of(i + 20) for i, clip in enumerate(GREY)}
    write_annotation("Annotations/annotation_training.pkl", labels)
    ok(run("Write_Into_TFRecords.py"))
    for clip, label, _ in examples("train_full.tfrecords", "train"):
        assert label.tolist() == label_of(list(GREY).index(clip) + 20).tolist()


def test_of_a_record_file_that_was_cut_short_in_the_making_nothing_stays(folder):
    examples = [record_writer.Example(f"clip{n}", label_of(n).astype(np.float32), Path(f"source{n}")) for n in range(7)]

    def write(path, stop=99, **made_with):
        def payloads(sources):
            for number, source in enumerate(sources):
                if number == stop:
                    raise KeyboardInterrupt
                yield source.name.encode() * 1000

        record_writer.write(Path(path), "train", "audio", examples, payloads, made_with)

    write("whole")
    for stop in (0, 5):
        with pytest.raises(KeyboardInterrupt):
            write("cut", stop)
        assert sorted(path.name for path in folder.iterdir()) == ["whole", "whole.json"]
    write("cut")
    assert Path("cut").read_bytes() == Path("whole").read_bytes()
    # Cut short while another one is there, that one stays as it was
    before = tree(".")
    with pytest.raises(KeyboardInterrupt):
        write("cut", 5, contents="others")
    assert tree(".") == before


@pytest.mark.slow
def test_unusable_clips_are_listed_and_passed_over(dataset):
    whole = make_clip("made/whole.mp4", numbered(100), options=["-movflags", "+faststart"]).read_bytes()
    Path("made/cut.000.mp4").write_bytes(whole[: len(whole) // 2])
    Path("made/empty.000.mp4").write_bytes(b"")
    make_zip("data/training80_03.zip", ["cut.000", "empty.000"], "made")
    out = ok(run("Video_to_Image.py", "--FRAMES_PER_CLIP", 2))
    assert "7 clips made, 0 already there, 2 unusable" in out and "unusable: empty.000: " in out
    with open("ImageData/unusable.csv", newline="") as file:
        assert [(row["split"], row["clip"]) for row in csv.DictReader(file)] == [
            ("training", "cut.000"),
            ("training", "empty.000"),
        ]
    assert not list(Path("ImageData/trainingData").glob("*cut.000*"))
    ok(run("Write_Into_TFRecords.py"))
    assert {clip for clip, _, _ in examples("train_full.tfrecords", "train")} == set(GREY)
    assert "7 clips made, 0 already there, 2 unusable" in ok(run("vid_to_wav.py"))


@pytest.mark.slow
def test_where_most_clips_are_unusable_the_step_fails(folder):
    for n in range(3):
        Path(f"bad{n}.mp4").write_bytes(b"nothing")
    make_clip("good.mp4", [100] * 3)
    make_zip("data/training80_01.zip", ["bad0", "bad1", "bad2", "good"])
    for name in ("Video_to_Image.py", "vid_to_wav.py"):
        refused(run(name), "3 of 4 clips are unusable", "unusable.csv")


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("Video_to_Image.py", "no clips"),
        ("vid_to_wav.py", "no clips"),
        ("Write_Into_TFRecords.py", "run Video_to_Image.py first"),
        ("feat_extraction_from_wav.py", "run vid_to_wav.py first"),
    ],
)
def test_each_step_says_what_it_misses(folder, name, missing):
    refused(run(name), name, missing)
    assert not list(folder.iterdir())


def test_a_missing_annotation_is_named(dataset):
    ok(run("Video_to_Image.py", "--FRAMES_PER_CLIP", 2))
    Path("Annotations/annotation_validation.pkl").unlink()
    refused(run("Write_Into_TFRecords.py"), "annotation_validation.pkl is missing")
    assert not list(Path().glob("*.tfrecords"))


def test_no_ffmpeg_is_said_at_once(dataset, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("FFMPEG", "/nowhere/ffmpeg")
    for name in ("Video_to_Image.py", "vid_to_wav.py"):
        refused(run_alone(name), "ffmpeg")
    assert not Path("ImageData").exists() and not Path("VoiceData").exists()


@pytest.mark.slow
def test_ctrl_c_ends_in_a_line_and_the_same_command_goes_on(folder):
    make_clip("long.mp4", numbered(250) * 8, size=(640, 480), rate=140, options=["-g", "10"])
    names = [f"clip{n}" for n in range(6)]
    for name in names:
        Path(f"{name}.mp4").hardlink_to("long.mp4")
    make_zip("data/training80_01.zip", names)
    command = [sys.executable, str(PROJECT / "Video_to_Image.py"), "--WORKERS", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list(Path("ImageData").glob("*/[!.]*")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate()
    assert process.returncode == 130 and "Traceback" not in error and "the same command does the rest" in error
    done = list(Path("ImageData/trainingData").glob("[!.]*"))
    assert 1 <= len(done) < 6 and all(len(list(clip.iterdir())) == 100 for clip in done)
    assert f"{6 - len(done)} clips made, {len(done)} already there" in ok(run("Video_to_Image.py"))
    image = np.asarray(Image.open("ImageData/trainingData/clip5/frame100.jpg"))
    assert number_of(image) == 249


def test_steps_1_and_2_unpack_side_by_side(dataset, monkeypatch):
    """Step 2 unpacks each clip while step 1 is in the middle of its first one."""
    unpack, others = shutil.copyfileobj, []

    def meanwhile(source, target, size):
        target.write(source.read(1000))
        target.flush()
        if not others:
            others.append(run_alone("vid_to_wav.py"))
        unpack(source, target, size)

    monkeypatch.setattr(archives.shutil, "copyfileobj", meanwhile)
    assert "7 clips made, 0 already there, 0 unusable" in ok(run("Video_to_Image.py", "--WORKERS", 1))
    assert "7 clips made, 0 already there, 0 unusable" in ok(others[0])
    for clip in GREY:
        (video,) = Path("unzippedData").glob(f"*/{clip}.mp4")
        assert video.read_bytes() == Path(f"made/{clip}.mp4").read_bytes()


def replaced(path, content):
    """Give the file another content of the same size, and as far as can be its time."""
    before = os.stat(path)
    assert before.st_size == len(content)
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))  # a copy's time


@pytest.mark.slow
def test_another_zip_of_the_same_name_size_and_time_is_noticed(dataset):
    for name in ("Video_to_Image.py", "vid_to_wav.py"):
        ok(run(name))
    before, times = tree("ImageData", "VoiceData"), os.stat("data/training80_01.zip")
    clips = ("-dash_id.000", "plain.000", "sp ace.001")
    for clip in clips:
        size = Path(f"made/{clip}.mp4").stat().st_size
        other = make_clip("other.mp4", [200] * 9, sound=999).read_bytes()
        other += (size - len(other)).to_bytes(4, "big") + b"free"
        Path(f"made/{clip}.mp4").write_bytes(other.ljust(size, b"\0"))
    make_zip("data/training80_01.zip", clips, "made")
    os.utime("data/training80_01.zip", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert os.stat("data/training80_01.zip").st_size == times.st_size
    for name in ("Video_to_Image.py", "vid_to_wav.py"):
        assert "3 clips made, 4 already there" in ok(run(name))
    after = tree("ImageData", "VoiceData")
    changed = {path for path in before if after.get(path) != before[path]}
    assert {clip for clip in clips if any(clip in path for path in changed)} == set(clips)
    assert all(any(clip in path for clip in clips) for path in changed)


@pytest.mark.slow
def test_what_is_not_as_its_step_made_it_is_refused_and_made_again(dataset):
    for name in ("Video_to_Image.py", "vid_to_wav.py"):
        ok(run(name, *(["--FRAMES_PER_CLIP", 3] if "Image" in name else [])))
    before = tree("ImageData", "VoiceData")
    wav, frames = Path("VoiceData/trainingData/plain.000.wav"), Path("ImageData/trainingData/plain.000")

    def refused_and_made_again(step, maker, path):
        refused(run(step), f"{path} is not as {maker} made it: run that again")
        assert not list(Path().glob("*.tfrecords"))
        arguments = ["--FRAMES_PER_CLIP", 3] if maker == "Video_to_Image.py" else []
        assert "1 clip made, 6 already there" in ok(run(maker, *arguments))
        assert tree("ImageData", "VoiceData") == before

    replaced(wav, wav.read_bytes()[:44].ljust(wav.stat().st_size, b"\0"))  # silence
    refused_and_made_again("feat_extraction_from_wav.py", "vid_to_wav.py", wav)
    content = bytearray((frames / "frame2.jpg").read_bytes())
    content[-30] ^= 1
    replaced(frames / "frame2.jpg", content)
    refused_and_made_again("Write_Into_TFRecords.py", "Video_to_Image.py", frames)
    (frames / "frame3.jpg").unlink()
    refused_and_made_again("Write_Into_TFRecords.py", "Video_to_Image.py", frames)
    for frame in frames.iterdir():
        frame.unlink()
    refused_and_made_again("Write_Into_TFRecords.py", "Video_to_Image.py", frames)
    # A copy has other times, and is the same
    shutil.copytree("ImageData", "copy", copy_function=shutil.copy)
    shutil.rmtree("ImageData")
    Path("copy").rename("ImageData")
    assert "0 clips made, 7 already there" in ok(run("Video_to_Image.py", "--FRAMES_PER_CLIP", 3))
    ok(run("Write_Into_TFRecords.py"))


@pytest.mark.slow
def test_frames_of_two_versions_of_ffmpeg_are_not_mixed(dataset, monkeypatch):
    for name in ("Video_to_Image.py", "vid_to_wav.py"):
        ok(run(name))
    version = media.ffmpeg_version()
    monkeypatch.setattr(media, "ffmpeg_version", lambda: "4.2-other")
    for name in ("Video_to_Image.py", "vid_to_wav.py"):
        refused(run(name), f"was made with FFMPEG = '{version}' (now '4.2-other')")


@pytest.mark.slow
def test_missing_clips_are_named_at_every_step_and_removed_by_remove_clips(dataset):
    for name in STEPS:
        ok(run(name))
    make_zip("data/training80_01.zip", ["-dash_id.000", "sp ace.001"], "made")
    Path("data/training80_02.zip").unlink()
    for name in STEPS:  # they stay, since a zip may only be elsewhere for a while
        words = "3 clips still used although missing from the source: plain.000, short.003, ünicode.002"
        assert words in ok(run(name))
    assert set(record_reader.open_records("train_full.tfrecords", "train", "image").labels) == set(GREY)
    left = Path("unzippedData/training80_01/.partial.plain.000.mp4-frames")  # by a kill
    left.write_bytes(b"half a vid")
    out = ok(run("remove_clips.py", "--MISSING", True))
    assert "removed 3 clips (plain.000, short.003, ünicode.002)" in out
    assert "annotation_training.pkl still has the labels of plain.000, short.003, ünicode.002" in out
    assert not Path("train_full.tfrecords").exists() and Path("val_full.tfrecords").exists()
    for name in STEPS:
        assert "missing" not in ok(run(name))
    assert_no_trace("plain.000")
    assert not left.exists()
    for root in ("unzippedData", "ImageData", "VoiceData"):
        left = {name_of_video(path.name).removesuffix(".wav") for path in Path(root).glob("training*/*")}
        assert left == {"-dash_id.000", "sp ace.001"}
    for kind, path in (("image", "train_full.tfrecords"), ("audio", "train_audio_full.tfrecords")):
        assert set(record_reader.open_records(path, "train", kind).labels) == {"-dash_id.000", "sp ace.001"}


def assert_no_trace(clip):
    """Not even the clip's name is left in what steps 1 to 4 have made."""
    for path in [*Path().rglob("*Data/**/*"), *Path().glob("*.tfrecords*")]:
        assert clip not in path.name and (path.is_dir() or clip.encode() not in path.read_bytes()), path


@pytest.mark.slow
def test_a_person_is_removed_by_clip_or_source_and_who_still_holds_them_is_listed(dataset):
    for name in STEPS:
        ok(run(name))
    Path("runs/dan").mkdir(parents=True)
    Path("runs/dan/training_labels.csv").write_text("VideoName,ValueExtraversion\n-dash_id.000.mp4,0.5\nx.mp4,0.5\n")
    Path("predictions").mkdir()
    Path("predictions/-dash_id.000.mp4.png").touch()
    refused(run("remove_clips.py"), "name clips or sources to remove")
    refused(run("remove_clips.py", "nobody"), "nobody is neither a clip nor a source")
    before = tree("data", "Annotations", "runs", "predictions")
    out = ok(run("remove_clips.py", "./-dash_id", "plain.000.mp4"))
    assert "removed 2 clips (-dash_id.000, plain.000)" in out
    assert "data/training80_01.zip: -dash_id.000.mp4 is still there: remove it, or step 1 takes it again" in out
    assert "runs/dan was trained with 1 clip of them" in out and "predictions/-dash_id.000.mp4.png is a picture" in out
    assert tree("data", "Annotations", "runs", "predictions") == before
    for clip in ("-dash_id.000", "plain.000"):
        assert_no_trace(clip)
    assert "2 clips made, 5 already there" in ok(run("Video_to_Image.py"))  # they are in the zip still


def test_zips_that_are_all_gone_leave_what_was_unpacked(dataset):
    ok(run("Video_to_Image.py"))
    shutil.rmtree("data")  # to save room
    refused(run("remove_clips.py", "--MISSING", "maybe"), "MISSING")
    assert "removed 0 clips" in ok(run("remove_clips.py", "--MISSING", True))
    assert "7 clips made" in ok(run("vid_to_wav.py"))


@pytest.mark.slow
def test_records_of_a_split_without_clips_are_named_until_remove_clips_removes_them(dataset):
    steps = ("Video_to_Image.py", "Write_Into_TFRecords.py")
    for name in steps:
        ok(run(name))
    Path("data/validation80_01.zip").unlink()
    Path("test_full.tfrecords").write_bytes(b"of another program")
    shutil.move("ImageData/validationData", "aside")
    stays = "stays, although ImageData/validationData holds no clips"
    assert f"val_full.tfrecords {stays}" in ok(run("Write_Into_TFRecords.py"))
    shutil.move("aside", "ImageData/validationData")
    ok(run("remove_clips.py", "--MISSING", True))
    assert f"val_full.tfrecords {stays}" not in ok(run("Write_Into_TFRecords.py"))
    assert {path.name for path in Path().glob("*.tfrecords*")} == {
        "train_full.tfrecords",
        "train_full.tfrecords.json",
        "test_full.tfrecords",
    }


@pytest.mark.parametrize("script", ["Video_to_Image.py", "Write_Into_TFRecords.py"])
def test_a_folder_of_an_earlier_version_is_refused_and_not_touched(dataset, script):
    Path("ImageData/trainingData/plain.000").mkdir(parents=True)
    Path("ImageData/trainingData/plain.000/frame1.jpg").touch()
    Path("ImageData/provenance.jsonl").touch()
    before = tree("ImageData")
    refused(run(script), "ImageData was filled by an earlier version", "move it away, and run Video_to_Image.py again")
    assert tree("ImageData") == before


def test_one_annotation_for_both_splits_is_refused_before_anything_is_trained(dataset):
    for name in ("Video_to_Image.py", "vid_to_wav.py"):
        ok(run(name))
    labels = {clip: label_of(i) for i, clip in enumerate([*GREY, "val.000", "val.001"])}
    for split in ("training", "validation"):
        write_annotation(f"Annotations/annotation_{split}.pkl", labels)
    for name in ("Write_Into_TFRecords.py", "feat_extraction_from_wav.py"):
        refused(run(name), "annotation_training.pkl and Annotations/annotation_validation.pkl share 7 clips")
    assert not list(Path().glob("*.tfrecords"))


def test_a_step_that_did_not_end_is_not_gone_on_from(dataset):
    ok(run("Video_to_Image.py"))
    lines = Path("ImageData/clips.jsonl").read_text().splitlines()
    Path("ImageData/clips.jsonl").write_text("\n".join(lines[:-1]))  # the last one says that it ended
    refused(run("Write_Into_TFRecords.py"), "Video_to_Image.py did not end: run it first")


@pytest.mark.slow
def test_something_in_an_outputs_place_is_refused(dataset):
    frames, wav = Path("ImageData/trainingData/plain.000"), Path("VoiceData/trainingData/plain.000.wav")
    for step, path, other in (("Video_to_Image.py", frames, Path.touch), ("vid_to_wav.py", wav, Path.mkdir)):
        path.parent.mkdir(parents=True)
        other(path)
        refused(run(step), f"{path} is in the place of an output")
        path.unlink() if path.is_file() else path.rmdir()
        ok(run(step))
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        other(path)  # where the step has been before
        refused(run(step), f"{path} is a ", "in the place of an output: move it away")
    path.rmdir()
    ok(run("vid_to_wav.py"))
    Path("train_audio_full.tfrecords").mkdir()
    refused(run("feat_extraction_from_wav.py"), "train_audio_full.tfrecords is a folder")


def test_the_longest_name_and_names_that_are_no_text(folder):
    """A name of 255 bytes leaves no room for a prefix; the reason for an unusable clip names it all the same."""
    odd = os.fsdecode(b"\xff\xfe")
    make_clip("made.mp4", [90] * 9)
    Path("unzippedData/training80_01").mkdir(parents=True)
    for name in ("x" * 251, "plain"):
        shutil.copy("made.mp4", f"unzippedData/training80_01/{name}.mp4")
    Path(f"unzippedData/training80_01/{odd}.mp4").write_bytes(b"no video")
    for name in ("Video_to_Image.py", "vid_to_wav.py"):
        assert "2 clips made, 0 already there, 1 unusable" in ok(run_alone(name))
    assert len(list(Path("ImageData/trainingData", "x" * 251).iterdir())) == 9
    assert Path("VoiceData/trainingData", f"{'x' * 251}.wav").exists() and not list(Path().rglob(".*"))
    assert "\\udcff\\udcfe" in Path("ImageData/unusable.csv").read_text()
