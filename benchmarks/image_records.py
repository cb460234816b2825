"""Step 3, Write_Into_TFRecords.py: frames per second, and bytes per record.

Against the original's way, one frame after another: open the JPEG with Pillow, resize to 224 x 224 with the Lanczos
filter, and write raw pixels and label as one Example. Twice: on the very frames that ours reads, which have that
size already, and on frames of 256 x 256 pixels, as the original's step 1 leaves them.
"""

import os
from pathlib import Path

import material
import numpy as np
from PIL import Image
from runner import compare, run_step, seconds, workshop

from first_impression.common import rules, script
from first_impression.common.tensorflow_start import load_tensorflow
from first_impression.data import chalearn

CLIPS = 40  # clips of 100 frames per round
ROUNDS = 3  # of ours and the yardstick each
MATERIAL = ""  # a folder that keeps the clips for the next benchmark; "": none

RULES = {"CLIPS": rules.whole(1), "ROUNDS": rules.whole(1)}

_ORIGINAL_SIZE = 256
SMALLER = 9  # a record of ours has at most one part of so many of the original's bytes


def main(settings):
    load_tensorflow()
    kept = settings.MATERIAL and os.path.abspath(settings.MATERIAL)
    with workshop():
        frames = material.make_frames(material.make_clips(kept), settings.CLIPS)
        larger = enlarge(frames)
        sizes = {}

        def step():
            for old in Path().glob("train_full.tfrecords*"):
                old.unlink()
            took = run_step("Write_Into_TFRecords")
            sizes["ours"] = chalearn.TRAINING.image_records.stat().st_size / len(frames)
            return took

        def original():
            """Pillow, Lanczos, raw pixels, one after another."""
            took = seconds(write_raw, frames)
            sizes["original"] = Path("raw.tfrecords").stat().st_size / len(frames)
            return took

        def original_frames():
            """the same from frames of 256 x 256 pixels."""
            return seconds(write_raw, larger)

        step()  # once without the clock: the first call imports modules
        rest = (settings.ROUNDS, len(frames), "frames")
        compare("image_records", step, original, *rest, target=10, bytes_per_record=sizes)
        share = sizes["original"] / sizes["ours"]
        reached = "reached" if share >= SMALLER else "MISSED"
        print(f"  bytes per record: ours {sizes['ours']:,.0f}, the original's {sizes['original']:,.0f}, ", end="")
        print(f"{share:.1f} times as many; target {SMALLER}: {reached}")
        compare("image_records_256", step, original_frames, *rest, target=10)


def enlarge(frames):
    """The frames at 256 x 256 pixels; returns their paths."""
    larger, made = [], {}
    for frame in frames:
        inode = frame.stat().st_ino  # one file under many names is enlarged once
        if inode not in made:
            made[inode] = Path("larger") / f"{len(made)}.jpg"
            made[inode].parent.mkdir(exist_ok=True)
            with Image.open(frame) as image:
                image.resize((_ORIGINAL_SIZE, _ORIGINAL_SIZE)).save(made[inode], quality=95)  # OpenCV's default
        larger.append(made[inode])
    return larger


def write_raw(frames):
    import tensorflow as tf

    def feature(content):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))

    label = np.full(5, 0.5, np.float32)
    size = (chalearn.FRAME_SIZE, chalearn.FRAME_SIZE)
    with tf.io.TFRecordWriter("raw.tfrecords") as writer:
        for frame in frames:
            pixels = np.array(Image.open(frame).resize(size, Image.Resampling.LANCZOS)).astype(np.uint8)
            values = {"train/label": feature(label.tobytes()), "train/image": feature(pixels.tobytes())}
            writer.write(tf.train.Example(features=tf.train.Features(feature=values)).SerializeToString())


if __name__ == "__main__":
    script.run(main)
