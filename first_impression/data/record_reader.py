"""Record files into batches for training and inference."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from first_impression.common.checksums import stat_key
from first_impression.common.errors import UserError, name_some, short_message
from first_impression.data.audio import FEATURES
from first_impression.data.chalearn import FRAME_SIZE, TRAITS
from first_impression.data.records import checksum_with_progress, files_here, read_table, shard_paths

RAW_BYTES = FRAME_SIZE * FRAME_SIZE * 3

MACHINE_FAULTS = (tf.errors.PermissionDeniedError, tf.errors.ResourceExhaustedError)  # not of the files

# Records are shuffled, still encoded, within this much memory (20,000 frames of 10 kB; 630 sounds), on top of the
# order in the file, which step 3 has shuffled already
SHUFFLE_BYTES = 200e6


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
    contents: list  # of each file, see checksums.checksum
    signs: list  # of each file, see checksums.stat_key

    @property
    def size(self):
        """The number of records."""
        return sum(self.counts)

    @property
    def fingerprint(self):
        """A text that differs where the records, or how they are dealt to files, do."""
        return hashlib.sha256(f"{self.kind} {self.contents}".encode()).hexdigest()


def open_records(path, key, kind):
    """Find the records of a split, one file or shards, and say what is in them: a `RecordSet`.

    Raises `UserError` where they are missing, empty, cut short, or not records of this split and kind.
    """
    files = _files(Path(path), kind)
    # Frames of each clip in every file, by NUM_SHARDS, or each clip in one, by SHARD: a mixture lacks some of them
    signs = {file: stat_key(file) for file in files}
    tables = {file: read_table(file) for file in files}
    if len({bool(table["shard"]) for table in tables.values() if "shard" in table}) > 1:
        raise UserError(f"{path}-*: some shards are of NUM_SHARDS, some of SHARD: move them all away and make one set")
    files = [file for file in files if file.stat().st_size]
    if not files:
        raise UserError(
            f"{path} and its shards hold no records: have these clips no labels? Then give their annotation"
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
        contents=[table["checksum"] for table in tables],
        signs=[signs[file] for file in files],
    )


def _files(path, kind):
    maker = "Write_Into_TFRecords.py" if kind == "image" else "feat_extraction_from_wav.py"
    files = files_here(path)
    shards = [file for file in files if file != path]
    if shards and path in files:
        raise UserError(f"both {path} and {shards[0]} are here: move the set away that is not wanted")
    if not files:
        raise UserError(f"{path.absolute()} is missing: make it with {maker}")
    if len({shard.name[-5:] for shard in shards}) > 1:
        raise UserError(
            f"{path}-*: shards of several sets are here ({name_some(s.name for s in shards)}): keep one set"
        )
    if shards and shards != shard_paths(path, int(shards[0].name[-5:])):
        raise UserError(f"{path}-*: {len(shards)} shards are here, of {int(shards[0].name[-5:])}: run {maker} again")
    for file in files:
        if not file.stat().st_size and read_table(file).get("records") != 0:  # a shard may have no clip
            raise UserError(f"{file} is empty: run {maker} again")
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
            f"{file} holds {', '.join(features) or 'nothing'}, not {key}/{kind} and {key}/label: another file?"
        )
    content = list(example.features.feature[f"{key}/{kind}"].bytes_list.value)
    if len(content) != 1:
        raise UserError(f"{file}: {key}/{kind} of its first record is not a byte string: another program's file?")
    if kind == "image":
        encoding = "raw" if len(content[0]) == RAW_BYTES else "jpeg"
    else:
        encoding = "float64" if len(content[0]) == FEATURES * 8 else "float32"
    try:
        DECODERS[encoding](tf.constant(content))
    except tf.errors.InvalidArgumentError as error:
        raise UserError(f"{file}: its first record is not as it should be: {_tensorflow_message(error)}") from None
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
        told = _tensorflow_message(error)
        raise UserError(f"{file} is damaged, or not of this kind: {told}; run its step again") from None
    table = read_table(file, of_any_file=True)  # other records may have come into the file's place
    if table and labels and labels.keys() <= table["labels"].keys() and records < table["records"]:
        raise UserError(f"{file} has lost {table['records'] - records} of its records: run its step again")
    if table:
        print(f"{file}: other records than its table of contents tells of; they count as they are")
    return {"records": records, "labels": labels, "label_sum": label_sum, "checksum": checksum_with_progress(file)}


def _without_inputs(files, key, kind):
    """The clips' names (list of str, "" where there is none) and labels (float32 [n, 5]) of many records at a time."""
    spec = _features(key, kind)
    del spec[f"{key}/{kind}"]
    for batch in tf.data.TFRecordDataset(files).batch(1024).map(lambda batch: tf.io.parse_example(batch, spec)):
        names = [name.decode(errors="replace") for name in batch[f"{key}/video"].numpy()]
        yield names, _decode_label(batch[f"{key}/label"]).numpy()


def batches(record_set, batch_size, shuffle_seed=None, skip=0, context=None, pad=True, flip=False):
    """A `tf.data.Dataset` over one pass: (inputs, labels float32 [n, 5], indices int64 [n], weights float32 [n]).

    Inputs are uint8 [n, 224, 224, 3] RGB for images, float32 [n, 79534] for sound; an index is the record's number in
    the files, one after the other. Without a seed the order is that of the file, several files taking turns; with one
    it follows from the seed alone. `skip` leaves out that many batches at the start, undecoded.

    With `pad` all batches have one size: the last one is filled up with other records of its own, with the index -1
    and the weight 0. The weight of every real record is 1 / the number of real records in the batch.

    With `flip` one coin flip per batch, which follows from the seed and the batch's number, mirrors all its images.

    `context`, a `tf.distribute.InputContext`, splits each batch among replicas: the dataset gives those of this input
    pipeline their parts in turn, all of one size. Together they are the batches of a single device.
    """
    context = context or tf.distribute.InputContext()
    key, decode = record_set.key, DECODERS[record_set.encoding]
    batch_size = min(batch_size, record_set.size)
    replicas, workers = context.num_replicas_in_sync, context.num_input_pipelines
    here = replicas // workers  # replicas that this pipeline feeds
    mine = range(context.input_pipeline_id * here, (context.input_pipeline_id + 1) * here)

    def split(indices, records):
        """A whole batch [n] into the parts of the replicas that are fed here: [here, part]."""
        count = tf.shape(indices)[0]
        part = -(-batch_size // replicas) if pad else -(-count // replicas)
        places = tf.range(part)[None, :] * replicas + tf.constant(list(mine))[:, None]
        real, taken = places < count, places % count
        return tf.where(real, tf.gather(indices, taken), -1), tf.gather(records, taken)

    def parse(number, element):
        indices, records = element
        values = tf.io.parse_example(records, _features(key, record_set.kind))
        step = skip + number // here
        size = tf.minimum(tf.cast(batch_size, tf.int64), record_set.size - step * batch_size)
        weights = tf.where(indices >= 0, 1 / tf.cast(size, tf.float32), 0.0)
        inputs, labels = decode(values[f"{key}/{record_set.kind}"]), _decode_label(values[f"{key}/label"])
        if flip:
            coin = tf.random.stateless_uniform([], tf.stack([shuffle_seed or 0, step]))
            inputs = tf.cond(coin < 0.5, lambda: tf.reverse(inputs, [2]), lambda: inputs)
        return inputs, labels, indices, weights

    files = _order(record_set, shuffle_seed)
    counts = [record_set.counts[file] for file in files]
    turns = [-(-(record_set.size - file) // len(files)) for file in range(len(files))]  # were all files of one length
    if workers > 1 and pad and not batch_size % replicas and not len(files) % workers and turns == counts:
        # Taking turns, every record of a batch is in a file of the worker that it is for: read no others
        own = files[context.input_pipeline_id :: workers]
        whole = -(-record_set.size // batch_size) * batch_size // workers
        missing = whole - sum(record_set.counts[file] for file in own)
        filling = _stream(record_set, own[:1], None).take(1).map(lambda _, record: (tf.constant(-1, tf.int64), record))
        dataset = _stream(record_set, own, shuffle_seed).concatenate(filling.repeat(missing))
        dataset = dataset.skip(skip * batch_size // workers).batch(batch_size // replicas)
    else:
        dataset = _stream(record_set, files, shuffle_seed).batch(batch_size).skip(skip).map(split).unbatch()
    # Whole batches are parsed side by side: a quarter faster than records, whose pixels would be copied together
    return dataset.enumerate().map(parse, tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def _order(record_set, shuffle_seed):
    """The numbers of the files in the order in which they take turns; longer ones come first, which keeps them even."""
    if shuffle_seed is None:
        return list(range(len(record_set.files)))
    order = np.random.default_rng(shuffle_seed).permutation(len(record_set.files)).tolist()
    return sorted(order, key=lambda file: -record_set.counts[file])


def _stream(record_set, files, shuffle_seed):
    """(index, serialized record) of the files with these numbers, which take turns."""
    first = np.cumsum([0, *record_set.counts])
    streams = []
    for file in files:
        stream = tf.data.TFRecordDataset(record_set.files[file]).enumerate(first[file])
        if shuffle_seed is not None:
            record_bytes = os.path.getsize(record_set.files[file]) / record_set.counts[file]
            buffer = max(1, int(SHUFFLE_BYTES / record_bytes / len(record_set.files)))
            seed = shuffle_seed + 1_000_003 * file  # no other epoch's seed
            stream = stream.shuffle(buffer, seed=seed, reshuffle_each_iteration=False)
        streams.append(stream)
    if len(streams) == 1:
        return streams[0]
    return tf.data.Dataset.choose_from_datasets(
        streams, tf.data.Dataset.range(len(streams)).repeat(), stop_on_empty_dataset=False
    )


def read_names(record_set):
    """The clips' names (str [n], "" where there is none) and labels (float32 [n, 5]), by index."""
    batches_of_names = _without_inputs(record_set.files, record_set.key, record_set.kind)
    parts = list(translate_read_errors(batches_of_names, record_set))
    return np.concatenate([names for names, _ in parts]), np.concatenate([labels for _, labels in parts])


def mean_and_stddev(record_set):
    """The mean and the standard deviation of all values of all inputs: two floats, from one pass in bounded memory.

    Raises `UserError` for values that are not finite, with the names of their clips.
    """
    count, total, squares = 0, 0.0, 0.0
    for inputs, _, indices, _ in translate_read_errors(batches(record_set, 64, pad=False), record_set):
        values = inputs.numpy()
        bad = indices.numpy()[~np.isfinite(values).all(axis=1)]
        if len(bad):
            clips = name_some(set(read_names(record_set)[0][bad])) or "a clip without a name"
            raise UserError(f"{', '.join(record_set.files)}: the features of {clips} are not finite: make them anew")
        count, total = count + values.size, total + values.sum(dtype=np.float64)
        squares += np.square(values, dtype=np.float64).sum()
    mean = total / count
    return float(mean), float(np.sqrt(max(squares / count - mean**2, 1e-12)))


def translate_read_errors(dataset, record_set):
    """Iterate over `dataset`; damage in the files becomes a `UserError` that names them.

    Raises `UserError` as well where a file is another one by the end of the pass, as where its step ran meanwhile.
    """
    try:
        yield from dataset
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError):
        raise  # another worker's end, see Devices.worker_failures
    except MACHINE_FAULTS:
        raise
    except tf.errors.OpError as error:
        raise UserError(
            f"{', '.join(record_set.files)}: damaged, or not of this kind: {_tensorflow_message(error)}"
        ) from None
    changed = [file for file, signs in zip(record_set.files, record_set.signs, strict=True) if stat_key(file) != signs]
    if changed:
        raise UserError(f"{name_some(changed)}: changed while it was read: let its step end, and run this again")


def _features(key, kind):
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


def _tensorflow_message(error):
    """TensorFlow's message without the names of its graph's nodes."""
    return re.sub(r"\{\{.*?\}\} ?| \[Op:.*", "", str(error.message).partition("\n")[0])
