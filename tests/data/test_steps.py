"""Steps 1 to 4 on a small dataset with everything odd in it: which clip's label goes with which content."""

import csv
import hashlib
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

from first_impression.data import audio, record_reader, record_writer


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
    """{path: digest} of every file under these folders or files, but for the notes, which hold times."""
    files = [path for root in roots for path in [Path(root), *Path(root).rglob("*")] if path.is_file()]
    files = [path for path in files if not path.name.startswith("provenance")]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def test_frames_lie_where_the_design_says_and_a_second_run_makes_what_is_missing(dataset):
    out = ok(run("Video_to_Image.py", "--FRAMES_PER_CLIP", 10))
    assert "7 clips made, 0 were there, 0 unusable" in out
    assert "1 clips have fewer than 10 frames: short.003" in out
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
    assert "1 clips made, 6 were there" in ok(run("Video_to_Image.py", "--FRAMES_PER_CLIP", 10))
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
    assert "1 clips without a label, passed over: extra.000" in out
    assert "1 clips not there, passed over: gone.000" in out

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
    assert "1 clips not there, passed over: mute.000" in out
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
    Path("ImageData/provenance.jsonl").unlink()  # as if another program had made the frames
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


def test_unusable_clips_are_listed_and_passed_over(dataset):
    whole = make_clip("made/whole.mp4", numbered(100), options=["-movflags", "+faststart"]).read_bytes()
    Path("made/cut.000.mp4").write_bytes(whole[: len(whole) // 2])
    Path("made/empty.000.mp4").write_bytes(b"")
    make_zip("data/training80_03.zip", ["cut.000", "empty.000"], "made")
    out = ok(run("Video_to_Image.py", "--FRAMES_PER_CLIP", 2))
    assert "7 clips made, 0 were there, 2 unusable" in out and "unusable: empty.000: " in out
    with open("ImageData/unusable.csv", newline="") as file:
        assert [(row["split"], row["clip"]) for row in csv.DictReader(file)] == [
            ("training", "cut.000"),
            ("training", "empty.000"),
        ]
    assert not list(Path("ImageData/trainingData").glob("*cut.000*"))
    ok(run("Write_Into_TFRecords.py"))
    assert {clip for clip, _, _ in examples("train_full.tfrecords", "train")} == set(GREY)
    assert "7 clips made, 0 were there, 2 unusable" in ok(run("vid_to_wav.py"))


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


def test_ctrl_c_ends_in_a_line_and_the_same_command_goes_on(folder):
    make_clip("long.mp4", numbered(250) * 8, size=(640, 480), options=["-g", "10"])
    names = [f"clip{n}" for n in range(12)]
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
    assert 1 <= len(done) < 12 and all(len(list(clip.iterdir())) == 100 for clip in done)
    assert f"{12 - len(done)} clips made, {len(done)} were there" in ok(run("Video_to_Image.py"))
    image = np.asarray(Image.open("ImageData/trainingData/clip11/frame100.jpg"))
    assert number_of(image) == 249
