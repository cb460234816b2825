"""Record files: finding, checking and decoding them."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from first_impression.common.checksums import stat_key
from first_impression.common.errors import UserError, name_some, short_message
from first_impression.data import annotations
from first_impression.data.audio import FEATURES
from first_impression.data.chalearn import FRAME_SIZE, TRAITS
from first_impression.data.records import checksum_with_progress, files_here, read_table, shard_paths

MAKERS = {"image": "Write_Into_TFRecords.py", "audio": "feat_extraction_from_wav.py"}  # by kind of records
RAW_BYTES = FRAME_SIZE * FRAME_SIZE * 3

MACHINE_FAULTS = (tf.errors.PermissionDeniedError, tf.errors.ResourceExhaustedError)  # not of the files


@dataclass(frozen=True)
class RecordSet:
    """What lies in the record files of one split and kind."""

    files: list  # of str
    counts: list  # of records in each file
    key: str
    kind: str  # "image" or "audio"
    encoding: str  # of the inputs, a key of DECODERS
    labels: dict  # clip name -> float32 [5]; empty where the records carry no names
    label_mean: np.ndarray  # float [5], over clips; over records where they carry no names
    checksums: list  # of the files, see checksums.checksum
    stats: list  # of the files, see checksums.stat_key

    @property
    def size(self):
        """The number of records."""
        return sum(self.counts)

    @property
    def unit(self):
        """What a record is, in a progress bar."""
        return "clip" if self.kind == "audio" else "image"

    @property
    def fingerprint(self):
        """A text that is another one for other records, or for records dealt to files in another way."""
        return hashlib.sha256(f"{self.kind} {self.checksums}".encode()).hexdigest()


def open_records(path, key, kind):
    """Find the records of a split, one file or shards, and what is in them: a `RecordSet`.

    Raises `UserError` where they are missing, empty, cut short, or not records of this split and kind.
    """
    files = _files(Path(path), kind)
    stats = {file: stat_key(file) for file in files}
    tables = {file: read_table(file) for file in files}
    for file in files:
        if not file.stat().st_size and tables[file].get("records") != 0:  # a shard may have no clip
            raise UserError(f"{file} is empty: run {MAKERS[kind]} again")
    # Frames of each clip in every file, by NUM_SHARDS, or each clip in one, by SHARD: a mixture lacks some of them
    if len({bool(table["shard"]) for table in tables.values() if "shard" in table}) > 1:
        raise UserError(f"{path}-*: some shards are of NUM_SHARDS, some of SHARD: move them all away and make one set")
    files = [file for file in files if file.stat().st_size]
    if not files:
        raise UserError(
            f"{path} and its shards hold no records: if these clips have no labels yet, give their annotation"
        )
    encodings = {_check_first(file, key, kind) for file in files}
    if len(encodings) > 1:
        raise UserError(f"{path}-*: these shards hold {' and '.join(sorted(encodings))}: keep those of one kind")
    tables = [tables[file] or _read_through(file, key, kind) for file in files]
    counts = [table["records"] for table in tables]
    labels = {clip: np.float32(label) for table in tables for clip, label in table["labels"].items()}
    if labels:
        label_mean = np.mean(list(labels.values()), axis=0, dtype=np.float64)
    else:
        label_mean = sum(table["label_sum"] for table in tables) / sum(counts)
    return RecordSet(
        files=[str(file) for file in files],
        counts=counts,
        key=key,
        kind=kind,
        encoding=encodings.pop(),
        labels=labels,
        label_mean=label_mean,
        checksums=[table["checksum"] for table in tables],
        stats=[stats[file] for file in files],
    )


def open_split(split, kind, path="", annotation=None):
    """The records of `split` and of the `kind` "image" or "audio": a `RecordSet`.

    `path`: where they are, "" for where steps 3 and 4 write them. `annotation`: the file that has their labels, None
    for the split's own. Raises `UserError` as `open_records` does, and where they have other labels than that file.
    """
    records = open_records(path or getattr(split, f"{kind}_records"), split.key, kind)
    annotations.refuse_other_labels(records.labels, annotation or split.annotation, records.files[0])
    return records


def _files(path, kind):
    """The files of a record set, one or all its shards. Raises `UserError` where they are missing or of two sets."""
    files = files_here(path)
    shards = [file for file in files if file != path]
    if shards and path in files:
        raise UserError(f"both {path} and {shards[0]} are here: move one of the two sets away")
    if not files:
        raise UserError(f"{path.absolute()} is missing: make it with {MAKERS[kind]}")
    if len({shard.name[-5:] for shard in shards}) > 1:
        raise UserError(
            f"{path}-*: shards of several sets are here ({name_some(s.name for s in shards)}): keep one set"
        )
    if shards and shards != shard_paths(path, count := int(shards[0].name[-5:])):
        raise UserError(f"{path}-*: {len(shards)} shards are here, of {count}: run {MAKERS[kind]} again")
    return files


def _check_first(file, key, kind):
    """The encoding of the inputs, from the file's first record.

    Raises `UserError` for records of another split or kind, and for pictures of another size.
    """
    try:
        record = next(iter(tf.data.TFRecordDataset(str(file)))).numpy()
        example = tf.train.Example.FromString(record)
    except MACHINE_FAULTS:
        raise
    except (tf.errors.OpError, ValueError, StopIteration, tf.errors.OutOfRangeError) as error:
        raise UserError(f"{file} does not hold TFRecords, or its start is damaged ({short_message(error)})") from None
    features = sorted(example.features.feature)
    if f"{key}/{kind}" not in features or f"{key}/label" not in features:
        raise UserError(
            f"{file} holds {', '.join(features) or 'nothing'}, not {key}/{kind} and {key}/label: is it another file?"
        )
    inputs = list(example.features.feature[f"{key}/{kind}"].bytes_list.value)
    if len(inputs) != 1:
        raise UserError(f"{file}: {key}/{kind} of its first record is not a byte string: did another program write it?")
    if kind == "image":
        encoding = "raw" if len(inputs[0]) == RAW_BYTES else "jpeg"
    else:
        encoding = "float64" if len(inputs[0]) == FEATURES * 8 else "float32"
    try:
        DECODERS[encoding](tf.constant(inputs))
    except tf.errors.InvalidArgumentError as error:
        raise UserError(f"{file}: its first record cannot be decoded: {_tensorflow_message(error)}") from None
    return encoding


def _read_through(file, key, kind):
    """What a table of contents would hold, from the records themselves; and the sum of their labels."""
    labels, label_sum, records = {}, np.zeros(len(TRAITS)), 0
    try:
        for names, decoded in _without_inputs([str(file)], key, kind):
            labels.update((name, label) for name, label in zip(names, decoded, strict=True) if name)
            label_sum += decoded.sum(axis=0, dtype=np.float64)
            records += len(names)
    except MACHINE_FAULTS:
        raise
    except tf.errors.OpError as error:
        message = _tensorflow_message(error)
        raise UserError(f"{file} is damaged, or not of this kind: {message}; run its step again") from None
    table = read_table(file, of_any_file=True)  # which may be of other records that were in the file's place
    if table and labels and labels.keys() <= table["labels"].keys() and records < table["records"]:
        raise UserError(f"{file} has lost {table['records'] - records} of its records: run its step again")
    if table:
        print(f"{file}: its table of contents is of other records; those in the file count")
    return {"records": records, "labels": labels, "label_sum": label_sum, "checksum": checksum_with_progress(file)}


def _without_inputs(files, key, kind):
    """The clips' names (list of str, "" where there is none) and labels (float32 [n, 5]) of many records at a time."""
    spec = _features(key, kind)
    del spec[f"{key}/{kind}"]
    for batch in tf.data.TFRecordDataset(files).batch(1024).map(lambda batch: tf.io.parse_example(batch, spec)):
        names = [name.decode(errors="replace") for name in batch[f"{key}/video"].numpy()]
        yield names, _decode_label(batch[f"{key}/label"]).numpy()


def read_names(record_set):
    """The clips' names (str [n], "" where there is none) and labels (float32 [n, 5]), by index."""
    batches_of_names = _without_inputs(record_set.files, record_set.key, record_set.kind)
    parts = list(translate_read_errors(batches_of_names, record_set))
    return np.concatenate([names for names, _ in parts]), np.concatenate([labels for _, labels in parts])


def translate_read_errors(dataset, record_set):
    """Iterate over `dataset`; damage in the files becomes a `UserError` that names them.

    Raises `UserError` also where a file has changed by the end of the pass, because its step ran meanwhile.
    """
    try:
        yield from dataset
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError):
        raise  # another worker has ended, see Devices.worker_failures
    except MACHINE_FAULTS:
        raise
    except tf.errors.OpError as error:
        raise UserError(
            f"{', '.join(record_set.files)}: damaged, or not of this kind: {_tensorflow_message(error)}"
        ) from None
    changed = [file for file, stat in zip(record_set.files, record_set.stats, strict=True) if stat_key(file) != stat]
    if changed:
        raise UserError(f"{name_some(changed)}: changed while it was read: let its step end, and run this again")


def decode(record_set, records):
    """(inputs [n, ..], labels float32 [n, 5]) of serialized records of the set, a string tensor [n].

    Inputs are uint8 [n, 224, 224, 3] RGB for images, float32 [n, 79534] for sound.
    """
    key, kind = record_set.key, record_set.kind
    values = tf.io.parse_example(records, _features(key, kind))
    return DECODERS[record_set.encoding](values[f"{key}/{kind}"]), _decode_label(values[f"{key}/label"])


def _features(key, kind):
    return {
        f"{key}/{kind}": tf.io.FixedLenFeature([], tf.string),
        f"{key}/label": tf.io.FixedLenFeature([], tf.string),
        f"{key}/video": tf.io.FixedLenFeature([], tf.string, default_value=""),
    }


def _decode_jpegs(jpegs):
    def decode(jpeg):
        return tf.ensure_shape(tf.io.decode_jpeg(jpeg, channels=3), [FRAME_SIZE, FRAME_SIZE, 3])

    return tf.map_fn(decode, jpegs, fn_output_signature=tf.uint8)


DECODERS = {  # from byte strings [n] to inputs
    "jpeg": _decode_jpegs,
    "raw": lambda data: tf.reshape(tf.io.decode_raw(data, tf.uint8), [-1, FRAME_SIZE, FRAME_SIZE, 3]),
    "float32": lambda data: tf.ensure_shape(tf.io.decode_raw(data, tf.float32), [None, FEATURES]),
    "float64": lambda data: tf.cast(tf.ensure_shape(tf.io.decode_raw(data, tf.float64), [None, FEATURES]), tf.float32),
}


def _decode_label(data):
    labels = tf.io.decode_raw(data, tf.float32)
    return tf.ensure_shape(labels, labels.shape[:-1] + [len(TRAITS)])


def _tensorflow_message(error):
    """TensorFlow's message without the names of its graph's nodes."""
    return re.sub(r"\{\{.*?\}\} ?| \[Op:.*", "", str(error.message).partition("\n")[0])
