"""The reader on records of the original's making, and on files that are not what they should be."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import label_of

from first_impression.common.errors import UserError
from first_impression.data import record_reader, record_writer


def write(path, examples):
    """A record file from dicts of feature name -> bytes."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            features = {k: feature(v) for k, v in example.items()}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def feature(value):
    if isinstance(value, list):
        return tf.train.Feature(float_list=tf.train.FloatList(value=value))
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def label(number):
    return label_of(number).astype("<f4").tobytes()


def read(path, key="train", kind="image", **options):
    contents = record_reader.open_records(path, key, kind)
    return contents, list(record_reader.translate_read_errors(record_reader.batches(contents, 4, **options), contents))


def test_the_originals_raw_images_without_clip_names():
    images = np.random.default_rng(0).integers(0, 256, (6, 224, 224, 3)).astype(np.uint8)
    write("t.tfrecords", [{"train/image": im.tobytes(), "train/label": label(i)} for i, im in enumerate(images)])
    contents, batches = read("t.tfrecords", pad=False)
    assert contents.size == 6 and contents.labels == {}
    assert np.allclose(contents.label_mean, np.mean([label_of(i) for i in range(6)], axis=0))
    assert [len(inputs) for inputs, *_ in batches] == [4, 2]
    assert (np.concatenate([inputs for inputs, *_ in batches]) == images).all()
    assert np.concatenate([labels for _, labels, *_ in batches]).tolist() == [label_of(i).tolist() for i in range(6)]


def test_the_originals_float64_sound():
    sounds = np.random.default_rng(0).normal(size=(3, 79_534))
    write("t.tfrecords", [{"val/audio": s.tobytes(), "val/label": label(i)} for i, s in enumerate(sounds)])
    _, ((inputs, *_),) = read("t.tfrecords", "val", "audio")
    assert inputs.dtype == tf.float32 and (inputs.numpy() == sounds.astype(np.float32)).all()


def grey_jpeg(level, size=224):
    return tf.io.encode_jpeg(np.full((size, size, 3), level, np.uint8)).numpy()


def named(count, **change):
    rows = [{"train/image": grey_jpeg(i), "train/label": label(i), "train/video": b"clip"} for i in range(count)]
    return [{**row, **change} for row in rows]


def levels(batches):
    real = [(image, index) for inputs, _, indices, _ in batches for image, index in zip(inputs, indices, strict=True)]
    return [int(image.numpy().mean().round()) for image, index in real if index >= 0]


def test_order_follows_the_seed_and_a_skip_finds_its_place():
    write("t.tfrecords", named(30))
    _, plain = read("t.tfrecords")
    assert levels(plain) == list(range(30))
    _, first = read("t.tfrecords", shuffle_seed=1)
    _, again = read("t.tfrecords", shuffle_seed=1)
    _, other = read("t.tfrecords", shuffle_seed=2)
    _, rest = read("t.tfrecords", shuffle_seed=1, skip=3)
    assert levels(first) == levels(again) != levels(other)
    assert sorted(levels(first)) == sorted(levels(other)) == list(range(30)) != levels(first)
    assert levels(rest) == levels(first)[12:]


def test_labels_and_names_stay_with_their_pictures_in_any_order():
    write("t.tfrecords", [{**row, "train/video": f"clip{i}".encode()} for i, row in enumerate(named(30))])
    contents, batches = read("t.tfrecords", shuffle_seed=5)
    names, true = record_reader.read_names(contents)
    for inputs, labels, indices, _ in batches:
        for image, values, row in zip(inputs, labels, indices, strict=True):
            if row < 0:
                continue
            number = int(image.numpy().mean().round())
            assert values.numpy().tolist() == true[row].tolist() == label_of(number).tolist()
            assert names[row] == f"clip{number}"


@pytest.mark.parametrize("sizes", [[23], [6, 6, 6, 5], [2, 9, 1, 11]], ids=["one file", "even files", "uneven files"])
@pytest.mark.parametrize(("workers", "replicas"), [(1, 2), (2, 2), (2, 4)])
@pytest.mark.parametrize("batch_size", [4, 5])
def test_replicas_get_the_batches_of_one_process_between_them(sizes, workers, replicas, batch_size, folder):
    rows = named(sum(sizes))
    for number, size in enumerate(sizes):
        suffix = f"-{number:05d}-of-{len(sizes):05d}" if len(sizes) > 1 else ""
        write(f"t.tfrecords{suffix}", rows[sum(sizes[:number]) :][:size])
    contents = record_reader.open_records("t.tfrecords", "train", "image")
    options = {"shuffle_seed": 3, "skip": 1}
    whole = [sorted(batch) for _, _, batch, _ in record_reader.batches(contents, batch_size, pad=False, **options)]
    assert sorted(len(batch) for batch in whole)[1:] == [batch_size] * (len(whole) - 1)

    found, sums = [[] for _ in whole], np.zeros(len(whole))
    for worker in range(workers):
        context = tf.distribute.InputContext(workers, worker, replicas)
        parts = list(record_reader.batches(contents, batch_size, context=context, **options))
        assert len(parts) == len(whole) * replicas // workers and len({len(part) for _, _, part, _ in parts}) == 1
        for number, (inputs, labels, part, weights) in enumerate(parts):
            sums[number * workers // replicas] += weights.numpy().sum()
            found[number * workers // replicas] += [row for row in part.numpy() if row >= 0]
            for image, label, row in zip(inputs, labels, part.numpy(), strict=True):  # rows tell the truth
                assert (
                    row < 0 or image.numpy().mean().round() == row and label.numpy().tolist() == label_of(row).tolist()
                )
    assert [sorted(rows) for rows in found] == [[int(row) for row in batch] for batch in whole]
    assert np.allclose(sums, 1)


def test_a_worker_reads_its_own_files_only(folder):
    for number in range(4):
        write(f"t.tfrecords-{number:05d}-of-00004", named(6))
    contents = record_reader.open_records("t.tfrecords", "train", "image")
    ours, theirs = (tf.distribute.InputContext(2, worker, 2) for worker in (1, 0))
    options = {"shuffle_seed": 0}
    read = {
        int(i) // 6 for *_, indices, _ in record_reader.batches(contents, 4, context=ours, **options) for i in indices
    }
    assert len(read) == 2
    for number in set(range(4)) - read:  # the other worker's
        Path(contents.files[number]).unlink()
    assert len(list(record_reader.batches(contents, 4, context=ours, **options))) == 6
    with pytest.raises((tf.errors.NotFoundError, FileNotFoundError)):
        list(record_reader.batches(contents, 4, context=theirs, **options))


def test_a_padded_batch_repeats_its_own_records_without_weight():
    write("t.tfrecords", named(6))
    contents, batches = read("t.tfrecords")
    assert [len(inputs) for inputs, *_ in batches] == [4, 4] and contents.size == 6
    *_, indices, weights = batches[1]
    assert indices.numpy().tolist() == [4, 5, -1, -1] and weights.numpy().tolist() == [0.5, 0.5, 0, 0]
    assert {int(image.numpy().mean().round()) for image in batches[1][0]} == {4, 5}
    alone = next(iter(record_reader.batches(contents, 100)))  # no batch is larger than the set
    assert len(alone[0]) == 6


def test_the_flip_follows_from_the_seed_and_the_number_of_the_batch():
    half = np.zeros((224, 224, 3), np.uint8)
    half[:, 112:] = 255
    row = {"train/image": tf.io.encode_jpeg(half).numpy(), "train/label": label(0), "train/video": b"clip"}
    write("t.tfrecords", [row] * 20)
    contents = record_reader.open_records("t.tfrecords", "train", "image")

    def flipped(**options):
        batches = record_reader.batches(contents, 1, flip=True, **options)
        return [bool(inputs.numpy()[0, :, :112].mean() > 128) for inputs, *_ in batches]

    first = flipped(shuffle_seed=1)
    assert 3 < sum(first) < 17 and flipped(shuffle_seed=1) == first != flipped(shuffle_seed=2)
    assert flipped(shuffle_seed=1, skip=7) == first[7:]
    assert not any(inputs.numpy()[0, :, :112].mean() > 128 for inputs, *_ in record_reader.batches(contents, 1))


@pytest.mark.parametrize(
    ("examples", "words"),
    [
        (named(3, **{"train/image": grey_jpeg(9, size=96)}), "first record is not as it should be"),
        (named(3, **{"train/label": label(0)[:16]}), "not of this kind"),
        ([{"train/audio": b"x", "train/label": label(0)}], "holds train/audio, train/label, not train/image"),
        ([{"val/image": grey_jpeg(1), "val/label": label(0)}], "holds val/image, val/label, not train/image"),
        ([{"other": b"x"}], "holds other, not train/image"),
        ([{"train/image": [1.0, 2.0], "train/label": label(0)}], "is no byte string"),
        ([], "t.tfrecords is empty"),
    ],
)
def test_records_of_another_making_are_refused_by_name(examples, words):
    write("t.tfrecords", examples)
    with pytest.raises(UserError, match=words) as refusal:
        read("t.tfrecords")
    assert "t.tfrecords" in str(refusal.value)


def test_missing_cut_and_foreign_files_are_named():
    with pytest.raises(UserError, match="t.tfrecords is missing: make it with Write_Into_TFRecords.py"):
        read("t.tfrecords")
    with pytest.raises(UserError, match="t.tfrecords is missing: make it with feat_extraction_from_wav.py"):
        read("t.tfrecords", kind="audio")
    write("t.tfrecords", named(5))
    content = Path("t.tfrecords").read_bytes()
    Path("t.tfrecords").write_bytes(content[:-20])
    with pytest.raises(UserError, match="t.tfrecords is damaged"):
        read("t.tfrecords")
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 4  # the checksums of TFRecords find it
    Path("t.tfrecords").write_bytes(flipped)
    with pytest.raises(UserError, match="t.tfrecords is damaged"):
        read("t.tfrecords")
    Path("t.tfrecords").write_bytes(b"no records at all, but long enough for a header")
    with pytest.raises(UserError, match="t.tfrecords does not hold TFRecords"):
        read("t.tfrecords")


def test_shards_are_read_together_and_must_be_complete():
    for shard in range(3):
        write(f"t.tfrecords-{shard:05d}-of-00003", named(2 + shard))
    contents, batches = read("t.tfrecords")
    assert contents.size == 9 and set(contents.labels) == {"clip"} and len(levels(batches)) == 9
    Path("t.tfrecords-00001-of-00003").unlink()
    with pytest.raises(UserError, match="2 shards are here, of 3"):
        read("t.tfrecords")
    write("t.tfrecords", named(2))
    with pytest.raises(UserError, match="both t.tfrecords and t.tfrecords-00000-of-00003"):
        read("t.tfrecords")


def test_another_number_of_shards_is_told_before_it_is_mixed():
    write("t.tfrecords", named(2))
    record_writer.paths_to_write(Path("t.tfrecords"), 1, "")
    with pytest.raises(UserError, match="t.tfrecords: a set of another NUM_SHARDS"):
        record_writer.paths_to_write(Path("t.tfrecords"), 2, "")
    Path("t.tfrecords").rename("t.tfrecords-00000-of-00002")
    write("t.tfrecords-00000-of-00003", named(2))
    with pytest.raises(UserError, match="shards of several sets are here"):
        read("t.tfrecords")
