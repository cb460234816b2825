"""The reader of image records, batching.batches, shuffled, in batches of 25: images per second.

Against the original's reader: a TensorFlow 1 queue graph over the same number of raw records (string_input_producer,
TFRecordReader, decode_raw, shuffle_batch with the original's capacity), in a process of its own.
Against bare decoding: decode_jpeg over the same JPEG bytes held in memory, on all cores, the pictures dropped as they
come. In two ways, since neither is the faster on every machine: a thread per core, each with its own share (the
operation releases Python's lock, and nothing is queued or copied); one graph that maps over all bytes (no Python at
all, a number of each picture is kept).
"""

import os
from concurrent.futures import ThreadPoolExecutor

import material
from runner import compare, in_child, run_step, seconds, temporary_folder

from first_impression.common import script
from first_impression.common.tensorflow_start import load_tensorflow
from first_impression.data import batching, chalearn, record_reader

CLIPS = 40  # clips of 100 frames; raw, these are 600 MB
ROUNDS = 5  # rounds of ours and each yardstick

_BATCH_SIZE = 25
_CAPACITY = 100  # of the original's queue


def main(settings):
    load_tensorflow()
    import tensorflow as tf

    path = chalearn.TRAINING.image_records
    with temporary_folder():
        material.make_clips(settings.CLIPS)
        run_step("Video_to_Image")
        run_step("Write_Into_TFRecords", "--IMAGE_ENCODING", "raw")
        raw = path.rename("raw.tfrecords").absolute()
        run_step("Write_Into_TFRecords")
        records = record_reader.open_records(path, chalearn.TRAINING.key, "image")
        jpegs = [frame.read_bytes() for frame in chalearn.IMAGES.glob("*/*/*.jpg")]
        cores = os.cpu_count()

        def ours():
            return seconds(lambda: [None for _ in batching.batches(records, _BATCH_SIZE, shuffle_seed=0)])

        def original():
            return in_child(read_with_queues, raw, len(jpegs))

        def decode_share(first):
            for jpeg in jpegs[first::cores]:
                tf.io.decode_jpeg(jpeg, channels=3)

        def threads():
            with ThreadPoolExecutor(cores) as pool:
                return seconds(lambda: list(pool.map(decode_share, range(cores))))

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def decode_all(contents):
            def corner(content):
                return tf.io.decode_jpeg(content, channels=3)[0, 0, 0]

            return tf.map_fn(corner, contents, parallel_iterations=cores, fn_output_signature=tf.uint8)

        def graph():
            return seconds(lambda: decode_all(tf.constant(jpegs)).numpy())

        ours(), graph()  # once without the clock: files into memory, the graph traced
        for yardstick, name in (
            (original, "a TensorFlow 1 queue graph over raw records"),
            (threads, "decode_jpeg over bytes in memory, a thread per core"),
            (graph, "decode_jpeg over bytes in memory, in one graph"),
        ):
            compare("reader", ours, yardstick, name, settings.ROUNDS, len(jpegs), "images")


def read_with_queues(path, images):
    """Read all records once, as the original does; returns the seconds from the first request to the last batch."""
    load_tensorflow()
    import tensorflow.compat.v1 as tf

    tf.disable_eager_execution()
    tf.logging.set_verbosity(tf.logging.ERROR)  # every call below is deprecated, and says so
    queue = tf.train.string_input_producer([str(path)], num_epochs=1)
    _, record = tf.TFRecordReader().read(queue)
    spec = {"train/image": tf.FixedLenFeature([], tf.string), "train/label": tf.FixedLenFeature([], tf.string)}
    values = tf.parse_single_example(record, features=spec)
    image = tf.reshape(tf.decode_raw(values["train/image"], tf.uint8), [chalearn.FRAME_SIZE, chalearn.FRAME_SIZE, 3])
    label = tf.reshape(tf.decode_raw(values["train/label"], tf.float32), [len(chalearn.TRAITS)])
    pair = [image, label]
    batch = tf.train.shuffle_batch(pair, _BATCH_SIZE, _CAPACITY, _BATCH_SIZE, allow_smaller_final_batch=True)
    with tf.Session() as session:
        session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        coordinator = tf.train.Coordinator()

        def read():
            tf.train.start_queue_runners(session, coordinator)
            seen = 0
            while seen < images:
                seen += len(session.run(batch)[0])

        took = seconds(read)
        coordinator.request_stop()
        coordinator.join()
    return took


if __name__ == "__main__":
    script.run(main)
