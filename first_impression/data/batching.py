"""Records in batches, for training and inference: in order or shuffled, for one device or split among several."""

import os

import numpy as np
import tensorflow as tf

from first_impression.common import parallel
from first_impression.common.errors import UserError, name_some
from first_impression.data import record_reader
from first_impression.data.chalearn import FRAME_SIZE

# Records are shuffled, still encoded, within this much memory (20,000 frames of 10 kB; 630 sounds), on top of the
# order in the file, which step 3 has shuffled already
SHUFFLE_BYTES = 200e6
AHEAD = 2  # batches that wait, parsed, while the device is busy


def batches(record_set, batch_size, shuffle_seed=None, skip=0, context=None, pad=True, flip=False):
    """A `tf.data.Dataset` over one pass: (inputs, labels float32 [n, targets], indices int64 [n], weights float32 [n]).

    Inputs are uint8 [n, 224, 224, 3] RGB for images, float32 [n, 79534] for sound; an index is the record's number in
    the files, one after the other. Without a seed the order is that of the file, several files taking turns; with one
    it follows from the seed alone. `skip` leaves out that many batches at the start, undecoded.
    With `pad` all batches have one size: the last one is padded with other records of its own, with the index -1
    and the weight 0. The weight of every real record is 1 / the number of real records in the batch.
    With `flip` one coin flip per batch, which follows from the seed and the batch's number, mirrors all its images.
    `context`, a `tf.distribute.InputContext`, splits each batch among replicas: the dataset gives those of this worker
    their parts in turn, all of one size. Together they are the batches of a single device.
    """
    context = context or tf.distribute.InputContext()
    batch_size = min(batch_size, record_set.size)
    replicas_per_worker = context.num_replicas_in_sync // context.num_input_pipelines

    def parse(number, part):
        indices, records = part
        step = skip + number // replicas_per_worker
        size = tf.minimum(tf.cast(batch_size, tf.int64), record_set.size - step * batch_size)
        weights = tf.where(indices >= 0, 1 / tf.cast(size, tf.float32), 0.0)
        inputs, labels = record_reader.decode(record_set, records)
        if flip:
            coin = tf.random.stateless_uniform([], tf.stack([shuffle_seed or 0, step]))
            inputs = tf.cond(coin < 0.5, lambda: tf.reverse(inputs, [2]), lambda: inputs)
        return inputs, labels, indices, weights

    files = list(range(len(record_set.files)))  # their numbers, in the order in which they take turns
    if shuffle_seed is not None:
        files = np.random.default_rng(shuffle_seed).permutation(len(files)).tolist()
        files.sort(key=lambda file: -record_set.counts[file])  # longer ones come first, which keeps the turns even
    if pad and _files_can_be_split(record_set, files, batch_size, context):
        parts = _own_files_stream(record_set, files, batch_size, shuffle_seed, skip, context)
    else:
        parts = _all_files_stream(record_set, files, batch_size, shuffle_seed, skip, context, pad)
    # Whole batches are parsed side by side: a quarter faster than records, whose pixels would be copied together
    return parts.enumerate().map(parse, parallel.usable_cores(), deterministic=True).prefetch(AHEAD)


def _files_can_be_split(record_set, files, batch_size, context):
    """Whether each worker can read files of its own: these, taking turns, have every record of a batch for it."""
    workers = context.num_input_pipelines
    counts = [record_set.counts[file] for file in files]
    dealt_in_turn = [_ceil_div(record_set.size - place, len(files)) for place in range(len(files))]
    evenly = len(files) % workers == 0 and batch_size % context.num_replicas_in_sync == 0
    return workers > 1 and evenly and counts == dealt_in_turn


def _own_files_stream(record_set, files, batch_size, shuffle_seed, skip, context):
    """The parts of the batches for this worker's replicas in turn, (indices, records), from its own files alone."""
    workers = context.num_input_pipelines
    own_files = files[context.input_pipeline_id :: workers]
    padded_size = _ceil_div(record_set.size, batch_size) * batch_size // workers
    missing = padded_size - sum(record_set.counts[file] for file in own_files)
    first_record = _stream(record_set, own_files[:1], None).take(1)
    padding = first_record.map(lambda _, record: (tf.constant(-1, tf.int64), record)).repeat(missing)
    records = _stream(record_set, own_files, shuffle_seed).concatenate(padding)
    return records.skip(skip * batch_size // workers).batch(batch_size // context.num_replicas_in_sync)


def _all_files_stream(record_set, files, batch_size, shuffle_seed, skip, context, pad):
    """The parts of the batches for this worker's replicas in turn, (indices, records), from all the files."""
    replicas = context.num_replicas_in_sync
    own_replicas = np.array_split(np.arange(replicas), context.num_input_pipelines)[context.input_pipeline_id]

    def split(indices, records):
        """A whole batch [n] into the parts of this worker's replicas, [replicas, part]."""
        count = tf.shape(indices)[0]
        part = _ceil_div(batch_size if pad else count, replicas)
        places = tf.range(part)[None, :] * replicas + tf.constant(own_replicas, tf.int32)[:, None]
        taken = places % count
        return tf.where(places < count, tf.gather(indices, taken), -1), tf.gather(records, taken)

    return _stream(record_set, files, shuffle_seed).batch(batch_size).skip(skip).map(split).unbatch()


def _ceil_div(number, divisor):
    return (number + divisor - 1) // divisor


def _stream(record_set, files, shuffle_seed):
    """(index, serialized record) from the files with these numbers, which take turns."""
    first = np.cumsum([0, *record_set.counts])
    streams = []
    for file in files:
        stream = record_set.stream(file).enumerate(first[file])
        if shuffle_seed is not None:
            record_bytes = os.path.getsize(record_set.files[file]) / max(1, record_set.counts[file])
            buffer = max(1, int(SHUFFLE_BYTES / record_bytes / len(record_set.files)))
            seed = shuffle_seed + 1_000_003 * file  # no other epoch's seed
            stream = stream.shuffle(buffer, seed=seed, reshuffle_each_iteration=False)
        streams.append(stream)
    if len(streams) == 1:
        return streams[0]
    turns = tf.data.Dataset.range(len(streams)).repeat()
    return tf.data.Dataset.choose_from_datasets(streams, turns, stop_on_empty_dataset=False)


def average_image(record_set):
    """The mean of all images, float64 [224, 224, 3], RGB, 0..255, from one pass, under a bar where it takes long."""
    total = np.zeros((FRAME_SIZE, FRAME_SIZE, 3), np.int64)
    parts = record_reader.translate_read_errors(batches(record_set, 64, pad=False), record_set)
    with parallel.progress(record_set.size, "average image", record_set.unit, delay=2) as bar:
        for inputs, *_ in parts:
            total += inputs.numpy().sum(axis=0, dtype=np.int64)
            bar.update(len(inputs))
    return total / record_set.size


def mean_and_stddev(record_set):
    """The mean and the standard deviation of all values of all inputs: two floats, from one pass in bounded memory.

    Raises `UserError` for values that are not finite, with the names of their clips.
    """
    count, total, squares = 0, 0.0, 0.0
    for inputs, _, indices, _ in record_reader.translate_read_errors(batches(record_set, 64, pad=False), record_set):
        values = inputs.numpy()
        bad = indices.numpy()[~np.isfinite(values).all(axis=1)]
        if len(bad):
            names = record_reader.read_names(record_set)[0][bad]
            clips = name_some(set(names)) or "a clip without a name"
            raise UserError(f"{', '.join(record_set.files)}: the features of {clips} are not finite: make them again")
        count, total = count + values.size, total + values.sum(dtype=np.float64)
        squares += np.square(values, dtype=np.float64).sum()
    mean = total / count
    return float(mean), float(np.sqrt(max(squares / count - mean**2, 1e-12)))
