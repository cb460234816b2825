"""The reader on records of the original's making, and on files that are not what they should be."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import label_of

from first_impression.common.errors import UserError
from first_impression.data import batching, record_reader, record_writer


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


def read(path, key="train", kind="image", pad=False, **options):
    record_set = record_reader.open_records(path, key, kind)
    batches = batching.batches(record_set, 4, pad=pad, **options)
    return record_set, list(record_reader.translate_read_errors(batches, record_set))


def test_the_originals_raw_images_without_clip_names():
    images = np.random.default_rng(0).integers(0, 256, (6, 224, 224, 3)).astype(np.uint8)
    write("t.tfrecords", [{"train/image": im.tobytes(), "train/label": label(i)} for i, im in enumerate(images)])
    record_set, batches = read("t.tfrecords")
    assert record_set.size == 6 and record_set.labels == {}
    assert np.allclose(record_set.label_mean, np.mean([label_of(i) for i in range(6)], axis=0))
    assert [len(inputs) for inputs, *_ in batches] == [4, 2]
    assert (np.concatenate([inputs for inputs, *_ in batches]) == images).all()
    assert np.concatenate([labels for _, labels, *_ in batches]).tolist() == [label_of(i).tolist() for i in range(6)]


def test_the_average_image_is_that_of_all_records():
    images = np.random.default_rng(1).integers(0, 256, (70, 224, 224, 3)).astype(np.uint8)  # more than a batch
    write("t.tfrecords", [{"train/image": im.tobytes(), "train/label": label(i)} for i, im in enumerate(images)])
    record_set = record_reader.open_records(Path("t.tfrecords"), "train", "image")
    np.testing.assert_allclose(batching.average_image(record_set), images.mean(axis=0, dtype=np.float64), atol=1e-9)


def test_the_originals_float64_sound():
    sounds = np.random.default_rng(0).normal(size=(3, 79_534))
    write("t.tfrecords", [{"val/audio": s.tobytes(), "val/label": label(i)} for i, s in enumerate(sounds)])
    _, ((inputs, *_),) = read("t.tfrecords", "val", "audio")
    assert inputs.dtype == tf.float32 and (inputs.numpy() == sounds.astype(np.float32)).all()


def grey_jpeg(level, size=224):
    return tf.io.encode_jpeg(np.full((size, size, 3), level, np.uint8)).numpy()


def named(count, **change):
    found = [{"train/image": grey_jpeg(i), "train/label": label(i), "train/video": b"clip"} for i in range(count)]
    return [{**example, **change} for example in found]


def levels(batches):
    return [int(image.numpy().mean().round()) for inputs, *_ in batches for image in inputs]


@pytest.mark.slow
def test_order_follows_from_the_seed_and_skip_resumes_it():
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
    write("t.tfrecords", [{**example, "train/video": f"clip{i}".encode()} for i, example in enumerate(named(30))])
    record_set, batches = read("t.tfrecords", shuffle_seed=5)
    names, true = record_reader.read_names(record_set)
    for inputs, labels, indices, _ in batches:
        for image, values, index in zip(inputs, labels, indices, strict=True):
            number = int(image.numpy().mean().round())
            assert values.numpy().tolist() == true[index].tolist() == label_of(number).tolist()
            assert names[index] == f"clip{number}"


def two_toned(count):
    """Records whose pictures tell their number and whether they were flipped, for `seen`."""
    level = np.full((224, 224, 3), 200, np.uint8)
    pictures = []
    for number in range(count):
        level[:, :112] = 4 * number
        pictures.append(tf.io.encode_jpeg(level, quality=100).numpy())
    return [{**example, "train/image": picture} for example, picture in zip(named(count), pictures, strict=True)]


def seen(image):
    """(number, whether it was flipped) of a picture of `two_toned`."""
    left, right = image[:, :112].mean(), image[:, 112:].mean()
    return round(min(left, right) / 4), bool(left > right)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [[23], [6, 6, 6, 5], [2, 9, 1, 11]], ids=["one file", "even files", "uneven files"])
@pytest.mark.parametrize(("workers", "replicas"), [(1, 2), (2, 2), (2, 4)])
@pytest.mark.parametrize("batch_size", [4, 5])
def test_replicas_share_the_batches_of_one_device(sizes, workers, replicas, batch_size, folder):
    examples = two_toned(sum(sizes))
    for number, size in enumerate(sizes):
        suffix = f"-{number:05d}-of-{len(sizes):05d}" if len(sizes) > 1 else ""
        write(f"t.tfrecords{suffix}", examples[sum(sizes[:number]) :][:size])
    record_set = record_reader.open_records("t.tfrecords", "train", "image")
    options = {"shuffle_seed": 3, "skip": 1, "flip": True}
    whole = list(batching.batches(record_set, batch_size, pad=False, **options))
    counts = [len(indices) for _, _, indices, _ in whole]
    assert counts[:-1] == [batch_size] * (len(whole) - 1) and sum(counts) == sum(sizes) - batch_size
    flipped = [seen(inputs.numpy()[0])[1] for inputs, *_ in whole]
    assert len(set(flipped)) == 2  # so that a wrong coin would be noticed

    found, total = [[] for _ in whole], np.zeros(len(whole))
    for worker in range(workers):
        context = tf.distribute.InputContext(workers, worker, replicas)
        parts = list(batching.batches(record_set, batch_size, context=context, **options))
        assert len(parts) == len(whole) * replicas // workers and len({len(labels) for _, labels, *_ in parts}) == 1
        for number, (inputs, labels, indices, weights) in enumerate(parts):
            batch = number * workers // replicas
            total[batch] += weights.numpy().sum()
            for image, values, index, weight in zip(inputs.numpy(), labels.numpy(), indices, weights, strict=True):
                number_seen, coin = seen(image)
                assert coin == flipped[batch] and values.tolist() == label_of(number_seen).tolist()
                if index >= 0:  # else it fills up the batch
                    found[batch].append(int(index))
                    assert number_seen == index and np.isclose(weight, 1 / counts[batch])
                else:
                    assert index == -1 and weight == 0
    assert np.allclose(total, 1)
    assert [sorted(part) for part in found] == [sorted(indices.numpy()) for _, _, indices, _ in whole]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("shards", [1, 2])
def test_no_pass_waits_at_its_end_for_a_thread_that_tunes_it(shards, workers):
    for number in range(shards):
        suffix = f"-{number:05d}-of-{shards:05d}" if shards > 1 else ""
        write(f"t.tfrecords{suffix}", named(4))
    whole = record_reader.open_records("t.tfrecords", "train", "image")
    part = record_reader.restricted(whole, record_reader.read_names(whole), set(list(whole.labels)[:2]))
    for record_set in (whole, part):
        context = tf.distribute.InputContext(workers, 0, workers)
        passed = batching.batches(record_set, 4, shuffle_seed=1, context=context)
        assert passed.options().autotune.enabled is False


def test_a_padded_batch_repeats_its_own_records_without_weight():
    write("t.tfrecords", named(6))
    record_set, batches = read("t.tfrecords", pad=True)
    assert [len(inputs) for inputs, *_ in batches] == [4, 4] and record_set.size == 6
    inputs, _, indices, weights = batches[1]
    assert indices.numpy().tolist() == [4, 5, -1, -1] and weights.numpy().tolist() == [0.5, 0.5, 0, 0]
    assert {int(image.mean().round()) for image in inputs.numpy()} == {4, 5}
    (alone,) = batching.batches(record_set, 100)  # no batch is larger than the set
    assert len(alone[0]) == 6


def test_unpadded_batches_hold_only_their_records_on_several_replicas():
    write("t.tfrecords", named(7))  # batches of 4 and 3
    record_set = record_reader.open_records("t.tfrecords", "train", "image")
    parts = list(batching.batches(record_set, 4, pad=False, context=tf.distribute.InputContext(1, 0, 2)))
    assert [indices.numpy().tolist() for _, _, indices, _ in parts] == [[0, 2], [1, 3], [4, 6], [5, -1]]
    assert np.allclose(np.concatenate([weights for *_, weights in parts]), [1 / 4] * 4 + [1 / 3] * 3 + [0])


@pytest.mark.slow
def test_one_coin_per_batch_follows_from_seed_and_batch_number():
    write("t.tfrecords", two_toned(36))

    def coins(**options):
        _, batches = read("t.tfrecords", **options)
        drawn = [{seen(image)[1] for image in inputs.numpy()} for inputs, *_ in batches]
        assert all(len(coin) == 1 for coin in drawn)
        return [coin.pop() for coin in drawn]

    first = coins(shuffle_seed=1, flip=True)
    assert len(first) == 9 and set(first) == {True, False}
    assert first == coins(shuffle_seed=1, flip=True) != coins(shuffle_seed=2, flip=True)
    for skip in (1, 4):  # as a stopped epoch goes on
        assert coins(shuffle_seed=1, flip=True, skip=skip) == first[skip:]
    assert not any(coins(shuffle_seed=1))


def test_a_worker_reads_its_own_files_only(folder):
    for number in range(4):
        write(f"t.tfrecords-{number:05d}-of-00004", named(6))
    record_set = record_reader.open_records("t.tfrecords", "train", "image")
    for number in (0, 2):  # the other worker's
        Path(record_set.files[number]).unlink()
    first, second = (tf.distribute.InputContext(2, worker, 2) for worker in (0, 1))
    assert len(list(batching.batches(record_set, 4, context=second))) == 6
    with pytest.raises(tf.errors.NotFoundError):
        list(batching.batches(record_set, 4, context=first))


@pytest.mark.parametrize(
    ("examples", "words"),
    [
        (named(3, **{"train/image": grey_jpeg(9, size=96)}), "first record cannot be decoded"),
        (named(3, **{"train/label": label(0)[:16]}), "has labels of 4 numbers, not of extraversion, neu"),
        ([{"train/audio": b"x", "train/label": label(0)}], "holds train/audio, train/label, not train/image"),
        ([{"val/image": grey_jpeg(1), "val/label": label(0)}], "holds val/image, val/label, not train/image"),
        ([{"other": b"x"}], "holds other, not train/image"),
        ([{"train/image": [1.0, 2.0], "train/label": label(0)}], "is not a byte string"),
        ([], "t.tfrecords is empty"),
    ],
)
def test_foreign_records_are_refused_by_name(examples, words):
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
    record_set, batches = read("t.tfrecords")
    assert record_set.size == 9 and set(record_set.labels) == {"clip"} and len(levels(batches)) == 9
    Path("t.tfrecords-00001-of-00003").unlink()
    with pytest.raises(UserError, match="2 shards are here, of 3"):
        read("t.tfrecords")
    write("t.tfrecords", named(2))
    with pytest.raises(UserError, match="both t.tfrecords and t.tfrecords-00000-of-00003"):
        read("t.tfrecords")


def test_sets_of_different_shard_counts_are_not_mixed():
    write("t.tfrecords", named(2))
    assert record_writer.paths_to_write(Path("t.tfrecords"), 1, "") == [Path("t.tfrecords")]
    for count, shard in ((2, ""), (1, "1/2")):
        with pytest.raises(UserError, match="t.tfrecords: a set of another NUM_SHARDS"):
            record_writer.paths_to_write(Path("t.tfrecords"), count, shard)
    Path("t.tfrecords").rename("t.tfrecords-00000-of-00002")
    write("t.tfrecords-00000-of-00003", named(2))
    with pytest.raises(UserError, match="shards of several sets are here"):
        read("t.tfrecords")


def made(path, clips, first=0):
    """Records of one picture per clip, with the table of contents."""
    items = [record_writer.Example(clip, label_of(first + n).astype("<f4"), Path()) for n, clip in enumerate(clips)]
    pictures = [grey_jpeg(0) for _ in clips]
    record_writer.write(Path(path), "train", "image", items, lambda _: iter(pictures), {"contents": path})


def test_a_table_of_contents_applies_to_its_own_file_only(capsys):
    """Another file of the same size and time in the place of ours: its own clips and labels count."""
    made("t.tfrecords", ["a.000", "b.000"])
    Path("elsewhere").mkdir()
    made("elsewhere/t.tfrecords", ["c.000", "d.000"], first=9)
    ours, theirs = os.stat("t.tfrecords"), os.stat("elsewhere/t.tfrecords")
    assert ours.st_size == theirs.st_size
    shutil.copy2("elsewhere/t.tfrecords", "t.tfrecords")
    record_set = record_reader.open_records("t.tfrecords", "train", "image")
    assert {clip: label.tolist() for clip, label in record_set.labels.items()} == {
        "c.000": label_of(9).tolist(),
        "d.000": label_of(10).tolist(),
    }
    assert "t.tfrecords: its table of contents is of other records" in capsys.readouterr().out
    made("t.tfrecords", ["a.000", "b.000"])
    assert "2 records of 2 clips" in capsys.readouterr().out  # written anew
    assert set(record_reader.open_records("t.tfrecords", "train", "image").labels) == {"a.000", "b.000"}


def test_a_copy_is_read_once_and_is_the_same():
    made("t.tfrecords", ["a.000", "b.000"])
    before = record_reader.open_records("t.tfrecords", "train", "image")
    os.utime("t.tfrecords", ns=(0, 0))
    after = record_reader.open_records("t.tfrecords", "train", "image")
    assert after.fingerprint == before.fingerprint and after.stats != before.stats
    assert f'"{after.stats[0]}"' in Path("t.tfrecords.json").read_text()  # noted anew


def test_records_that_change_while_being_read_are_reported():
    made("t.tfrecords", ["a.000", "b.000"])
    record_set = record_reader.open_records("t.tfrecords", "train", "image")
    passes = record_reader.translate_read_errors(batching.batches(record_set, 1), record_set)
    next(passes)
    made("t.tfrecords", ["a.000", "b.000"], first=3)
    with pytest.raises(UserError, match="t.tfrecords: changed while it was read"):
        list(passes)
