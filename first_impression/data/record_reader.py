"""Record files: finding, checking and decoding them."""

import contextlib
import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from first_impression.common.checksums import stat_key
from first_impression.common.errors import UserError, name_some, short_message
from first_impression.data import annotations
from first_impression.data.audio import FEATURES
from first_impression.data.chalearn import FRAME_SIZE
from first_impression.data.records import checksum_with_progress, files_here, read_table, shard_paths, table_path
from first_impression.data.targets import FIVE, Targets, of_json

MAKERS = {"image": "Write_Into_TFRecords.py", "audio": "feat_extraction_from_wav.py"}  # by kind of records
RAW_BYTES = FRAME_SIZE * FRAME_SIZE * 3
_BYTES = tf.io.FixedLenFeature([], tf.string)

MACHINE_FAULTS = (tf.errors.PermissionDeniedError, tf.errors.ResourceExhaustedError)  # not of the files
# Another worker has ended, see Devices.worker_failures
WORKER_FAULTS = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError)


def serialized(files):
    """The serialized records in these files, a `tf.data.Dataset`; what is made of it has no tuning thread either.

    TensorFlow would tune the pipeline in a thread that sleeps for up to a minute at a time, as long as the pass has
    lasted so far. Where a pass ends just as that thread goes to sleep, it is not woken, and everything waits for it.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return tf.data.TFRecordDataset(files).with_options(options)


@dataclass(frozen=True)
class RecordSet:
    """What lies in the record files of one split and kind."""

    files: list  # of str
    counts: list  # of records in each file
    key: str
    kind: str  # "image" or "audio"
    encoding: str  # of the inputs, a key of DECODERS
    labels: dict  # clip name -> float32 [targets]; empty where the records carry no names
    label_mean: np.ndarray  # float [targets], over clips; over records where they carry no names
    checksums: list  # of the files, see checksums.checksum
    stats: list  # of the files, see checksums.stat_key
    targets: Targets = FIVE  # that the labels are of
    whole: "RecordSet | None" = None  # the set that this is a part of, see `restricted`
    rows: np.ndarray | None = None  # of a part: which records of the whole it has, bool [records of the whole]
    known: tuple | None = None  # of a part: what `read_names` gives of it

    @property
    def size(self):  # in records
        return sum(self.counts)

    @property
    def unit(self):
        """What a record is, in a progress bar."""
        return "clip" if self.kind == "audio" else "image"

    @property
    def fingerprint(self):
        """A text that is another one for other records, or for records dealt to files in another way."""
        chosen = "" if self.rows is None else f" {sorted(self.labels)}"
        chosen += f" {self.targets.as_json}" if self.targets != FIVE else ""
        return hashlib.sha256(f"{self.kind} {self.checksums}{chosen}".encode(errors="surrogateescape")).hexdigest()

    def stream(self, file):
        """The serialized records in the file of this number, a `tf.data.Dataset`."""
        records = serialized(self.files[file])
        if self.rows is None:
            return records
        first = sum(self.whole.counts[:file])
        rows = tf.constant(self.rows[first : first + self.whole.counts[file]])
        return records.enumerate().filter(lambda row, _: rows[row]).map(lambda _, record: record)


def open_records(path, key, kind):
    """Find the records of a split, one file or shards, and what is in them: a `RecordSet`.

    Raises `UserError` where they are missing, empty, cut short, or not records of this split and kind.
    """
    files = _files(Path(path), kind)
    stats, tables = {file: stat_key(file) for file in files}, {file: read_table(file) for file in files}
    for file in files:
        if not file.stat().st_size and tables[file].get("records") != 0:  # a shard may have no clip
            raise UserError(f"{file} is empty: run {MAKERS[kind]} again")
    # Frames of each clip in every file, by NUM_SHARDS, or each clip in one, by SHARD: a mixture lacks some of them
    if len({bool(table["shard"]) for table in tables.values() if "shard" in table}) > 1:
        raise UserError(f"{path}-*: some shards are of NUM_SHARDS, some of SHARD: move them all away and make one set")
    files = [file for file in files if file.stat().st_size]
    if not files:
        raise UserError(f"{path} and its shards hold no records: if these clips have no labels yet, give an annotation")
    targets = _targets_of(path, tables, files)
    encodings = {_check_first(file, key, kind, targets) for file in files}
    if len(encodings) > 1:
        raise UserError(f"{path}-*: these shards hold {' and '.join(sorted(encodings))}: keep those of one kind")
    tables = [tables[file] or _read_through(file, key, kind, targets) for file in files]
    counts, checksums = [[table[entry] for table in tables] for entry in ("records", "checksum")]
    labels = {clip: np.float32(label) for table in tables for clip, label in table["labels"].items()}
    if labels:
        label_mean = np.mean(list(labels.values()), axis=0, dtype=np.float64)
    else:
        label_mean = sum(table["label_sum"] for table in tables) / sum(counts)
    stats, files = [stats[file] for file in files], [str(file) for file in files]
    return RecordSet(files, counts, key, kind, encodings.pop(), labels, label_mean, checksums, stats, targets)


def open_split(split, kind, path="", annotation=None):
    """The records of `split` and of the `kind` "image" or "audio": a `RecordSet`.

    `path`: where they are, "" for where steps 3 and 4 write them. `annotation`: the file that has their labels, None
    for the split's own. Raises `UserError` as `open_records` does, and where they have other labels than that file.
    """
    records = open_records(path or getattr(split, f"{kind}_records"), split.key, kind)
    annotation = annotation or split.annotation
    annotations.refuse_other_labels(records.labels, annotation, records.files[0], records.targets)
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
        names = name_some(shard.name for shard in shards)
        raise UserError(f"{path}-*: shards of several sets are here ({names}): keep one set")
    if shards and shards != shard_paths(path, count := int(shards[0].name[-5:])):
        raise UserError(f"{path}-*: {len(shards)} shards are here, of {count}: run {MAKERS[kind]} again")
    return files


def _targets_of(path, tables, files):
    """The targets of the labels in record files, as their tables of contents say, be those of other records or not.

    Raises `UserError` where these differ.
    """
    of_files = {file: of_json(tables[file] or read_table(file, of_any_file=True)) for file in files}
    found = list(dict.fromkeys(of_files.values()))
    if len(found) > 1:
        several = "; ".join(targets.in_words for targets in found[:2])
        raise UserError(f"{path}-*: these shards are of different targets ({several}): run their step again for all")
    return found[0]


def _check_first(file, key, kind, targets):
    """The encoding of the inputs, by the file's first record, which has to be of this split, kind and `targets`."""
    with _damage_as_user_error(f"{file} does not hold TFRecords, or its start is damaged"):
        record = next(iter(serialized(str(file)).as_numpy_iterator()), b"")
        example = tf.train.Example.FromString(record)
    features = sorted(example.features.feature)
    if f"{key}/{kind}" not in features or f"{key}/label" not in features:
        found = ", ".join(features) or "nothing"
        raise UserError(f"{file} holds {found}, not {key}/{kind} and {key}/label: is it another file?")
    inputs = list(example.features.feature[f"{key}/{kind}"].bytes_list.value)
    if len(inputs) != 1:
        raise UserError(f"{file}: {key}/{kind} of its first record is not a byte string: did another program write it?")
    if kind == "image":
        encoding = "raw" if len(inputs[0]) == RAW_BYTES else "jpeg"
    else:
        encoding = "float64" if len(inputs[0]) == FEATURES * 8 else "float32"
    size = sum(map(len, example.features.feature[f"{key}/label"].bytes_list.value))
    if size != 4 * len(targets.names):
        remedy = f"bring back {table_path(file)}, which names them, or run {MAKERS[kind]} again"
        raise UserError(f"{file} has labels of {size / 4:g} numbers, not of {targets.in_words}: {remedy}")
    with _damage_as_user_error(f"{file}: its first record cannot be decoded"):
        DECODERS[encoding](tf.constant(inputs))
    return encoding


def _read_through(file, key, kind, targets):
    """What a table of contents would hold, from the records themselves; and the sum of their labels."""
    labels, label_sum, records = {}, np.zeros(len(targets.names)), 0
    with _damage_as_user_error(f"{file} is damaged, or not of this kind", "; run its step again"):
        for names, decoded in _without_inputs([str(file)], key, targets):
            labels.update((name, label) for name, label in zip(names, decoded, strict=True) if name)
            label_sum += decoded.sum(axis=0, dtype=np.float64)
            records += len(names)
    table = read_table(file, of_any_file=True)  # which may be of other records that were in the file's place
    if table and labels and labels.keys() <= table["labels"].keys() and records < table["records"]:
        raise UserError(f"{file} has lost {table['records'] - records} of its records: run its step again")
    if table:
        print(f"{file}: its table of contents is of other records; those in the file count")
    return {"records": records, "labels": labels, "label_sum": label_sum, "checksum": checksum_with_progress(file)}


def _without_inputs(files, key, targets):
    """The clips' names (list of str, "" where there is none) and labels (float32 [n, targets]), many at a time."""
    spec = {f"{key}/label": _BYTES, f"{key}/video": tf.io.FixedLenFeature([], tf.string, default_value="")}
    for batch in serialized(files).batch(1024).map(lambda batch: tf.io.parse_example(batch, spec)):
        names = [name.decode(errors="replace") for name in batch[f"{key}/video"].numpy()]
        yield names, _decode_label(batch[f"{key}/label"], targets).numpy()


def read_names(record_set):
    """The clips' names (str [n], "" where there is none) and labels (float32 [n, targets]), by index."""
    if record_set.known:
        return record_set.known
    batches = _without_inputs(record_set.files, record_set.key, record_set.targets)
    names, labels = map(np.concatenate, zip(*translate_read_errors(batches, record_set), strict=True))
    return names, labels


def restricted(record_set, known, clips):
    """The part of a `RecordSet` that is of these `clips`; `known` is what `read_names` gives of the whole.

    Its records keep their order, and are numbered anew.
    """
    names, true = known
    rows = np.isin(names, list(clips))
    bounds = np.cumsum(record_set.counts)[:-1]
    labels = {clip: label for clip, label in record_set.labels.items() if clip in clips}
    return replace(
        record_set,
        counts=[int(part.sum()) for part in np.split(rows, bounds)],
        labels=labels,
        label_mean=np.mean(list(labels.values()), axis=0, dtype=np.float64),
        whole=record_set,
        rows=rows,
        known=(names[rows], true[rows]),
    )


def translate_read_errors(dataset, record_set):
    """Iterate over `dataset`; damage in the files becomes a `UserError` that names them.

    Raises `UserError` also where a file has changed by the end of the pass, because its step ran meanwhile.
    """
    with _damage_as_user_error(f"{', '.join(record_set.files)}: damaged, or not of this kind"):
        yield from dataset
    changed = [file for file, stat in zip(record_set.files, record_set.stats, strict=True) if stat_key(file) != stat]
    if changed:
        raise UserError(f"{name_some(changed)}: changed while it was read: let its step end, and run this again")


@contextlib.contextmanager
def _damage_as_user_error(verdict, remedy=""):
    """Turn what TensorFlow raises over a file's bytes in the block into a `UserError`."""
    try:
        yield
    except (*MACHINE_FAULTS, *WORKER_FAULTS):
        raise
    except (tf.errors.OpError, DecodeError) as error:
        message = re.sub(r"\{\{.*?\}\} ?| \[Op:.*", "", short_message(error))  # without the names of a graph's nodes
        raise UserError(f"{verdict}: {message}{remedy}") from None


def decode(record_set, records):
    """(inputs [n, ..], labels float32 [n, targets]) of serialized records of the set, a string tensor [n].

    Inputs are uint8 [n, 224, 224, 3] RGB for images, float32 [n, 79534] for sound.
    """
    key, kind = record_set.key, record_set.kind
    values = tf.io.parse_example(records, dict.fromkeys((f"{key}/{kind}", f"{key}/label"), _BYTES))
    inputs = DECODERS[record_set.encoding](values[f"{key}/{kind}"])
    return inputs, _decode_label(values[f"{key}/label"], record_set.targets)


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


def _decode_label(data, targets):
    labels = tf.io.decode_raw(data, tf.float32)
    return tf.ensure_shape(labels, labels.shape[:-1] + [len(targets.names)])
