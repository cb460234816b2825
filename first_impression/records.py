"""TFRecords: the one schema of image and audio records, their writer and their reader.

A record is a `tf.train.Example` of byte strings. The split's key ("train", "val") is part of the feature
names: the original's habit, kept so that each reads the other's files.

    <key>/image   JPEG of one frame as it is on disk; or raw RGB, 224 x 224 x 3 uint8, as the original writes
    <key>/audio   79,534 x float32, little-endian, see audio.py; the reader takes the original's float64 too
    <key>/label   5 x float32, little-endian, in the order of chalearn.TRAITS
    <key>/video   clip name; the original's records have none

Beside `x.tfrecords` lies `x.tfrecords.json`, its table of contents, which saves reading the records to know
how many there are and of which clips. Records without it are read through instead.
"""

import hashlib
import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from first_impression import Problem
from first_impression.audio import FEATURES
from first_impression.chalearn import FRAME_SIZE, TRAITS, name_some
from first_impression.files import why, write_json
from first_impression.jobs import progress

RAW_BYTES = FRAME_SIZE * FRAME_SIZE * 3

MACHINE_FAULTS = (tf.errors.PermissionDeniedError, tf.errors.ResourceExhaustedError)  # not of the files

SHUFFLE_BUFFER = {"image": 2048, "audio": 256}  # records; on top of the order in the file, which is shuffled already


class Item(NamedTuple):
    """What becomes one record: the clip's name, its label (float32 [5]) and where its content comes from."""

    clip: str
    label: np.ndarray
    source: Path


@dataclass(frozen=True)
class Contents:
    """What lies in a set of record files of one split and kind."""

    files: list  # of str
    counts: list  # of records in each file
    key: str
    kind: str  # "image" or "audio"
    encoding: str  # of the inputs, a key of DECODERS
    labels: dict  # clip name -> float32 [5]; empty where the records carry no names
    label_mean: np.ndarray  # float [5], over clips; over records where they carry no names

    @property
    def records(self):
        return sum(self.counts)

    @property
    def identity(self):
        """A text that differs where the kind, the number of records, the clips or their labels do."""
        digest = hashlib.sha256(f"{self.kind} {self.records} {self.label_mean.tolist()}".encode())
        for clip in sorted(self.labels):
            digest.update(clip.encode(errors="replace") + self.labels[clip].tobytes())
        return digest.hexdigest()


# ------------------------------------------------------------------------------------------------- writing


def shard_paths(path, count):
    """The files of one record set: `path` itself, or `count` shards `path`-00000-of-00016 and so on."""
    if count == 1:
        return [path]
    return [path.with_name(f"{path.name}-{shard:05d}-of-{count:05d}") for shard in range(count)]


def paths_to_write(path, count, shard):
    """The files of the record set `path` that one run writes: all `count`, or the third of 16 for the shard "3/16".

    Raises `Problem` where the set is here in another number of files.
    """
    number, count = map(int, shard.split("/")) if shard else (0, count)
    refuse_other_shards(path, count)
    paths = shard_paths(path, count)
    return paths[number - 1 : number] if shard else paths


def refuse_other_shards(path, count):
    """Raises `Problem` where the records of `path` are here in another number of files than `count`."""
    here = {path, *path.parent.glob(f"{path.name}-?????-of-?????")} - set(shard_paths(path, count))
    others = [file.name for file in here if file.exists()]
    if others:
        raise Problem(f"{name_some(others)}: a set of another NUM_SHARDS or SHARD is here; delete it, or keep to that")


def write(path, key, kind, items, payloads, made_with):
    """Write `items`, in their order, into one record file with its table of contents, and say so.

    `payloads(sources)` yields the bytes of each item's source; `made_with` is a dict of whatever else decides
    about them, with "shard" where the items are those of a shard. Together they identify the file: only the same
    call finds it done, and what an interrupted call left is continued by the same call only.
    Raises `Problem` where the file cannot be written.
    """
    start = time.monotonic()
    identity = _identity(key, kind, items, made_with)
    if _table(path).get("made_from") == identity:
        print(f"{path}: {len(items)} records, were there")
        return
    growing = path.with_name(f".partial.{path.name}.{identity[:16]}")
    try:
        _write_records(growing, path.name, key, kind, items, payloads)
    except tf.errors.OpError as error:
        raise Problem(f"{path} could not be written ({error.message}): mend that, and run this again") from None
    labels = {item.clip: item.label for item in items}
    table = {
        "made_from": identity,
        "bytes": growing.stat().st_size,
        "records": len(items),
        "shard": made_with.get("shard", ""),
        "labels": {clip: label.tolist() for clip, label in labels.items()},
    }
    _table_path(path).unlink(missing_ok=True)  # or, killed between the next two lines, an old one would stay
    os.replace(growing, path)
    write_json(_table_path(path), table)
    megabytes = table["bytes"] / 1e6
    print(f"{path}: {len(items)} records of {len(labels)} clips, {megabytes:.1f} MB, {time.monotonic() - start:.0f} s")


def _write_records(growing, name, key, kind, items, payloads):
    """Fill `growing`, keeping the whole records that an interrupted run left there."""
    kept = growing.with_name(f"{growing.name}.kept")
    for stale in set(growing.parent.glob(f".partial.{name}.*")) - {growing, kept}:
        stale.unlink()
    if growing.exists() and not kept.exists():  # with both, the last run died while it copied: `kept` has more
        os.replace(growing, kept)
    done = 0
    with tf.io.TFRecordWriter(str(growing)) as writer:
        if kept.exists():
            for record in _whole_records(kept):
                writer.write(record)
                done += 1
            writer.flush()
            kept.unlink()
        rest = items[done:]
        with progress(len(items), name, "record", done) as bar:
            for item, payload in zip(rest, payloads([item.source for item in rest]), strict=True):
                writer.write(_serialize(key, kind, item, payload))
                bar.update()


def _whole_records(path):
    try:
        for record in tf.data.TFRecordDataset(str(path)):
            yield record.numpy()
    except tf.errors.DataLossError:  # the record that was being written at the end
        return


def _serialize(key, kind, item, payload):
    values = {kind: payload, "label": item.label.astype("<f4").tobytes(), "video": item.clip.encode()}
    features = {
        f"{key}/{name}": tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        for name, value in values.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)


def _identity(key, kind, items, made_with):
    digest = hashlib.sha256(json.dumps([key, kind, made_with], sort_keys=True).encode())
    for item in items:
        digest.update(f"{item.clip}\0{item.source}\0".encode() + item.label.tobytes())
    return digest.hexdigest()


def _table_path(path):
    return path.with_name(f"{path.name}.json")


def _table(path, of_any_size=False):
    """The table of contents of `path`; empty if there is none, or (unless `of_any_size`) `path` changed since."""
    try:
        table = json.loads(_table_path(path).read_text(encoding="utf-8"))
        labels = np.array(list(table["labels"].values()), np.float32)
        fits = (
            (of_any_size or table["bytes"] == path.stat().st_size)
            and isinstance(table["records"], int)
            and "made_from" in table
        )
        sound = labels.shape == (len(table["labels"]), len(TRAITS)) if len(labels) else True  # a shard may be empty
        return table if fits and sound and np.isfinite(labels).all() else {}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


# ------------------------------------------------------------------------------------------------- reading


def open_records(path, key, kind):
    """Find the records of a split, one file or shards, and say what is in them: `Contents`.

    Raises `Problem` where they are missing, empty, cut short, or not records of this split and kind.
    """
    files = _files(Path(path), kind)
    # Frames of each clip in every file, by NUM_SHARDS, or each clip in one, by SHARD: a mixture lacks some of them
    tables = {file: _table(file) for file in files}
    if len({bool(table["shard"]) for table in tables.values() if "shard" in table}) > 1:
        raise Problem(f"{path}-*: some shards are of NUM_SHARDS, some of SHARD: delete them all and make one set")
    files = [file for file in files if file.stat().st_size]
    if not files:
        raise Problem(f"{path} and its shards hold no records: have these clips no labels? Then give their annotation")
    encodings = {_check_first(file, key, kind) for file in files}
    if len(encodings) > 1:
        raise Problem(f"{path}-*: these shards hold {' and '.join(sorted(encodings))}: keep those of one kind")
    tables = [tables[file] or _read_through(file, key, kind) for file in files]
    counts = [table["records"] for table in tables]
    labels = {clip: np.float32(label) for table in tables for clip, label in table["labels"].items()}
    if labels:
        label_mean = np.mean(list(labels.values()), axis=0, dtype=np.float64)
    else:
        label_mean = sum(table["label_sum"] for table in tables) / sum(counts)
    return Contents([str(file) for file in files], counts, key, kind, encodings.pop(), labels, label_mean)


def _files(path, kind):
    maker = "Write_Into_TFRecords.py" if kind == "image" else "feat_extraction_from_wav.py"
    shards = sorted(path.parent.glob(f"{path.name}-?????-of-?????"))
    if path.exists() and shards:
        raise Problem(f"both {path} and {shards[0]} are here: delete the set that is not wanted")
    files = [path] if path.exists() else shards
    if not files:
        raise Problem(f"{path.absolute()} is missing: make it with {maker}")
    if len({shard.name[-5:] for shard in shards}) > 1:
        raise Problem(f"{path}-*: shards of several sets are here ({name_some(s.name for s in shards)}): keep one set")
    if shards and shards != shard_paths(path, int(shards[0].name[-5:])):
        raise Problem(f"{path}-*: {len(shards)} shards are here, of {int(shards[0].name[-5:])}: run {maker} again")
    for file in files:
        if not file.stat().st_size and _table(file).get("records") != 0:  # a shard may have no clip
            raise Problem(f"{file} is empty: delete it and run {maker} again")
    return files


def _check_first(file, key, kind):
    """The encoding of the inputs, from the file's first record.

    Raises `Problem` for records of another split or kind, and for pictures of another size.
    """
    try:
        record = next(iter(tf.data.TFRecordDataset(str(file)))).numpy()
        example = tf.train.Example.FromString(record)
    except MACHINE_FAULTS:
        raise
    except (tf.errors.OpError, ValueError, StopIteration, tf.errors.OutOfRangeError) as error:
        raise Problem(f"{file} does not hold TFRecords, or is damaged at its start ({why(error)})") from None
    features = sorted(example.features.feature)
    if f"{key}/{kind}" not in features or f"{key}/label" not in features:
        raise Problem(
            f"{file} holds {', '.join(features) or 'nothing'}, not {key}/{kind} and {key}/label: another file?"
        )
    content = list(example.features.feature[f"{key}/{kind}"].bytes_list.value)
    if len(content) != 1:
        raise Problem(f"{file}: {key}/{kind} of its first record is no byte string: another program's file?")
    if kind == "image":
        encoding = "raw" if len(content[0]) == RAW_BYTES else "jpeg"
    else:
        encoding = "float64" if len(content[0]) == FEATURES * 8 else "float32"
    try:
        DECODERS[encoding](tf.constant(content))
    except tf.errors.InvalidArgumentError as error:
        raise Problem(f"{file}: its first record is not as it should be: {_why(error)}") from None
    return encoding


def _read_through(file, key, kind):
    """What the table of contents would say, from the records themselves; and the sum of their labels."""
    labels, label_sum, records = {}, np.zeros(len(TRAITS)), 0
    try:
        for names, decoded in _without_inputs([str(file)], key, kind):
            labels.update((name, label) for name, label in zip(names, decoded, strict=True) if name)
            label_sum += decoded.sum(axis=0, dtype=np.float64)
            records += len(names)
    except MACHINE_FAULTS:
        raise
    except tf.errors.OpError as error:
        again = "delete it and make it again with its step"
        raise Problem(f"{file} is damaged, or not of this kind: {_why(error)}; {again}") from None
    table = _table(file, of_any_size=True)  # other records may have come into the file's place
    if table and labels and labels.keys() <= table["labels"].keys() and records < table["records"]:
        raise Problem(f"{file} has lost {table['records'] - records} of its records: make it again with its step")
    return {"records": records, "labels": labels, "label_sum": label_sum}


def _without_inputs(files, key, kind):
    """The clips' names (list of str, "" where there is none) and labels (float32 [n, 5]) of many records at a time."""
    spec = _spec(key, kind)
    del spec[f"{key}/{kind}"]
    for batch in tf.data.TFRecordDataset(files).batch(1024).map(lambda batch: tf.io.parse_example(batch, spec)):
        names = [name.decode(errors="replace") for name in batch[f"{key}/video"].numpy()]
        yield names, _decode_label(batch[f"{key}/label"]).numpy()


@dataclass(frozen=True)
class Share:
    """Which part of every batch a process reads, where several processes, each with its replicas, train one model."""

    worker: int = 0
    workers: int = 1
    replicas: int = 1  # of all workers together


def batches(contents, batch_size, shuffle_seed=None, skip=0, share=Share()):  # noqa: B008, it is frozen
    """A `tf.data.Dataset` over one pass: (inputs, labels float32 [n, 5], rows int64 [n]), n <= `batch_size`.

    Inputs are uint8 [n, 224, 224, 3] RGB for images, float32 [n, 79534] for sound; a row is the record's number in
    the files, one after the other. Without a seed the order is that of the file, several files taking turns; with one
    it follows from the seed alone. `skip` leaves out that many batches at the start, undecoded.

    For several replicas each batch is split: the dataset gives this worker's replicas theirs in turn, all of one
    size, filled up with records whose row is -1. Together they are the batches of a single process.
    """
    key, decode = contents.key, DECODERS[contents.encoding]
    each = -(-batch_size // share.replicas)

    def parse(rows, records):
        values = tf.io.parse_example(records, _spec(key, contents.kind))
        return decode(values[f"{key}/{contents.kind}"]), _decode_label(values[f"{key}/label"]), rows

    def own(rows, records):
        """The parts of a whole batch that are for this worker's replicas, one after the other."""
        here = share.replicas // share.workers
        parts = []
        for replica in range(share.worker * here, (share.worker + 1) * here):
            part, fill = rows[replica :: share.replicas], tf.fill([each], tf.constant(-1, tf.int64))
            taken = tf.concat([records[replica :: share.replicas], tf.repeat(records[:1], each)], axis=0)
            parts.append((tf.concat([part, fill], axis=0)[:each], taken[:each]))
        return tuple(tf.concat(part, axis=0) for part in zip(*parts, strict=True))

    files = range(len(contents.files))
    turns = [-(-(contents.records - file) // len(files)) for file in files]  # of each file, were all of one length
    if share.replicas == 1:
        dataset = _stream(contents, files, shuffle_seed).skip(skip * batch_size)
    elif (
        share.workers > 1
        and not batch_size % share.replicas
        and not len(files) % share.workers
        and (turns == contents.counts)
    ):
        # Taking turns, every record of a batch is in a file of the worker that it is for: read no others
        mine = files[share.worker :: share.workers]
        whole = -(-contents.records // batch_size) * batch_size // share.workers
        lacking = whole - sum(contents.counts[file] for file in mine)
        fill = _stream(contents, mine, None).take(1).map(lambda row, record: (tf.constant(-1, tf.int64), record))
        dataset = _stream(contents, mine, shuffle_seed).concatenate(fill.repeat(lacking))
        dataset = dataset.skip(skip * batch_size // share.workers)
    else:
        dataset = _stream(contents, files, shuffle_seed).batch(batch_size).skip(skip).map(own).unbatch()
    # Whole batches are parsed side by side: a quarter faster than records, whose pixels would be copied together
    return dataset.batch(each).map(parse, tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def _stream(contents, files, shuffle_seed):
    """(row, serialized record) of the files with these numbers, which take turns."""
    first = np.cumsum([0, *contents.counts])
    buffer = max(1, SHUFFLE_BUFFER[contents.kind] // len(contents.files))
    streams = []
    for file in files:
        stream = tf.data.TFRecordDataset(contents.files[file]).enumerate(first[file])
        if shuffle_seed is not None:
            seed = shuffle_seed + 1_000_003 * file  # no other epoch's seed
            stream = stream.shuffle(buffer, seed=seed, reshuffle_each_iteration=False)
        streams.append(stream)
    if len(streams) == 1:
        return streams[0]
    return tf.data.Dataset.choose_from_datasets(
        streams, tf.data.Dataset.range(len(streams)).repeat(), stop_on_empty_dataset=False
    )


def read_names(contents):
    """The clips' names (str [n], "" where there is none) and labels (float32 [n, 5]), by row."""
    parts = list(watched(_without_inputs(contents.files, contents.key, contents.kind), contents))
    return np.concatenate([names for names, _ in parts]), np.concatenate([labels for _, labels in parts])


def mean_and_deviation(contents):
    """The mean and the standard deviation of all values of all inputs: two floats, from one pass in bounded memory."""
    count, total, squares = 0, 0.0, 0.0
    for inputs, _, _ in watched(batches(contents, 64), contents):
        values = inputs.numpy()
        count, total = count + values.size, total + values.sum(dtype=np.float64)
        squares += np.square(values, dtype=np.float64).sum()
    mean = total / count
    return float(mean), float(np.sqrt(max(squares / count - mean**2, 1e-12)))


def watched(dataset, contents):
    """Iterate over `dataset`, turning damage in the files into a `Problem` that names them."""
    try:
        yield from dataset
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError):
        raise  # another worker's end, see devices.group
    except MACHINE_FAULTS:
        raise
    except tf.errors.OpError as error:
        raise Problem(f"{', '.join(contents.files)}: damaged, or not of this kind: {_why(error)}") from None


def _spec(key, kind):
    return {
        f"{key}/{kind}": tf.io.FixedLenFeature([], tf.string),
        f"{key}/label": tf.io.FixedLenFeature([], tf.string),
        f"{key}/video": tf.io.FixedLenFeature([], tf.string, default_value=""),
    }


def _decode_jpegs(contents):
    def decode(content):
        return tf.ensure_shape(tf.io.decode_jpeg(content, channels=3), [FRAME_SIZE, FRAME_SIZE, 3])

    return tf.map_fn(decode, contents, fn_output_signature=tf.uint8)


DECODERS = {  # from byte strings [n] to inputs
    "jpeg": _decode_jpegs,
    "raw": lambda contents: tf.reshape(tf.io.decode_raw(contents, tf.uint8), [-1, FRAME_SIZE, FRAME_SIZE, 3]),
    "float32": lambda contents: tf.ensure_shape(tf.io.decode_raw(contents, tf.float32), [None, FEATURES]),
    "float64": lambda contents: tf.cast(
        tf.ensure_shape(tf.io.decode_raw(contents, tf.float64), [None, FEATURES]), tf.float32
    ),
}


def _decode_label(content):
    labels = tf.io.decode_raw(content, tf.float32)
    return tf.ensure_shape(labels, labels.shape[:-1] + [len(TRAITS)])


def _why(error):
    """TensorFlow's message without the names of its graph's nodes."""
    return re.sub(r"\{\{.*?\}\} ?| \[Op:.*", "", str(error.message).partition("\n")[0])
