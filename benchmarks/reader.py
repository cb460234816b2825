"""The reader of image records, batching.batches, shuffled, in batches of 25: images per second.

Against the original's reader: a TensorFlow 1 queue graph over the same number of raw records (string_input_producer,
TFRecordReader, decode_raw, shuffle_batch with the original's capacity), in a process of its own.
Against bare decoding: decode_jpeg over the same JPEG bytes held in memory, on all cores, the pictures dropped as they
come. Three loops, since none is the fastest on every machine: a thread per core, each with its own share (the operation
releases Python's lock, and nothing is queued or copied); one graph that maps over all bytes (no Python at all, a number
of each picture is kept); a tf.data pipeline (it moves each picture into a batch, as ours does). The target is
meant against the fastest.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import material
from runner import compare, in_child, run_step, seconds, workshop

from first_impression.common import rules, script
from first_impression.common.tensorflow_start import load_tensorflow
from first_impression.data import batching, chalearn, record_reader

CLIPS = 40  # clips of 100 frames; raw, these are 600 MB
ROUNDS = 5  # of ours and each yardstick
MATERIAL = ""  # a folder that keeps the clips for the next benchmark; "": none

RULES = {"CLIPS": rules.whole(1), "ROUNDS": rules.whole(1)}

_BATCH_SIZE = 25
CAPACITY = 100  # of the original's queue


def main(settings):
    load_tensorflow()
    import tensorflow as tf

    kept = settings.MATERIAL and os.path.abspath(settings.MATERIAL)
    path = chalearn.TRAINING.image_records
    with workshop():
        frames = material.make_frames(material.make_clips(kept), settings.CLIPS)
        run_step("Write_Into_TFRecords", "--IMAGE_ENCODING", "raw")
        raw = path.rename("raw.tfrecords")
        run_step("Write_Into_TFRecords")
        records = record_reader.open_records(path, chalearn.TRAINING.key, "image")
        jpegs = [frame.read_bytes() for frame in frames]

        def ours():
            return seconds(lambda: count(images for images, *_ in batching.batches(records, _BATCH_SIZE, 0)))

        def count(batches):
            images = sum(len(batch) for batch in batches)
            assert images == len(frames), images

        def original():
            """a TensorFlow 1 queue graph over raw records."""
            return in_child(read_with_queues, raw.absolute(), len(frames))

        def threads():
            """decode_jpeg over bytes in memory, a thread per core."""
            return seconds(decode_in_threads, jpegs)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def decode_in_graph(contents):
            def corner(content):
                return tf.io.decode_jpeg(content, channels=3)[0, 0, 0]

            return tf.map_fn(corner, contents, parallel_iterations=os.cpu_count(), fn_output_signature=tf.uint8)

        def graph():
            """decode_jpeg over bytes in memory, in one graph."""
            return seconds(lambda: decode_in_graph(tf.constant(jpegs)).numpy())

        def pipeline():
            """decode_jpeg over bytes in memory in a tf.data pipeline."""
            dataset = tf.data.Dataset.from_tensor_slices(jpegs)
            dataset = dataset.map(lambda content: tf.io.decode_jpeg(content, channels=3), tf.data.AUTOTUNE)
            return seconds(lambda: count(dataset.batch(_BATCH_SIZE).prefetch(tf.data.AUTOTUNE)))

        ours(), graph()  # once without the clock: files into memory, the graph traced
        rest = (settings.ROUNDS, len(frames), "images")
        compare("reader_original", ours, original, *rest, target=1.3)
        for name, loop in (("threads", threads), ("graph", graph), ("tfdata", pipeline)):
            compare(f"reader_decoding_{name}", ours, loop, *rest, target=0.9)


def decode_in_threads(jpegs):
    import tensorflow as tf

    def decode(share):
        for jpeg in share:
            tf.io.decode_jpeg(jpeg, channels=3)

    cores = os.cpu_count()
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(decode, [jpegs[core::cores] for core in range(cores)]))


def read_with_queues(path, images):
    """Read all records once, as the original does; returns the seconds from the first request to the last batch."""
    load_tensorflow()
    import tensorflow.compat.v1 as tf

    tf.disable_eager_execution()
    tf.logging.set_verbosity(tf.logging.ERROR)  # every call below is deprecated, and says so
    queue = tf.train.string_input_producer([str(Path(path))], num_epochs=1)
    _, record = tf.TFRecordReader().read(queue)
    spec = {"train/image": tf.FixedLenFeature([], tf.string), "train/label": tf.FixedLenFeature([], tf.string)}
    values = tf.parse_single_example(record, features=spec)
    image = tf.reshape(tf.decode_raw(values["train/image"], tf.uint8), [chalearn.FRAME_SIZE, chalearn.FRAME_SIZE, 3])
    label = tf.reshape(tf.decode_raw(values["train/label"], tf.float32), [len(chalearn.TRAITS)])
    batch = tf.train.shuffle_batch(
        [image, label],
        batch_size=_BATCH_SIZE,
        capacity=CAPACITY,
        min_after_dequeue=_BATCH_SIZE,
        allow_smaller_final_batch=True,
    )
    with tf.Session() as session:
        session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        start = time.perf_counter()
        coordinator = tf.train.Coordinator()
        threads = tf.train.start_queue_runners(session, coordinator)
        seen = 0
        while seen < images:
            seen += len(session.run(batch)[0])
        took = time.perf_counter() - start
        coordinator.request_stop()
        coordinator.join(threads)
    return took


if __name__ == "__main__":
    script.run(main)
