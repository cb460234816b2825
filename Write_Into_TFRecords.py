"""Step 3: frames and labels into TFRecords for training.

Reads   ImageData/trainingData/, ImageData/validationData/ (step 1)
        Annotations/annotation_training.pkl, Annotations/annotation_validation.pkl
Writes  train_full.tfrecords, val_full.tfrecords; each with its table of contents, *.tfrecords.json
Run     python Write_Into_TFRecords.py

Each record is one frame, with its own clip's label and name; the frames of all clips are shuffled.
A second run writes only what is not there for these frames, labels and constants.
"""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from first_impression import Problem, chalearn, script

SEED = 0  # of the order of the frames in the file
IMAGE_ENCODING = "jpeg"  # "jpeg": the bytes as on disk; "raw": pixels as the original has them, 20 times as large
NUM_SHARDS = 1  # 1: one file; more: train_full.tfrecords-00000-of-00016 and so on


def main(settings):
    found = {split: find_frames(split) for split in chalearn.SPLITS}
    if not any(found.values()):
        raise Problem(f"{chalearn.IMAGES.absolute()} holds no frames: run Video_to_Image.py first")
    labels = {split: chalearn.read_annotation(split.annotation) for split in found if found[split]}
    script.load_tensorflow()
    for split in labels:
        write_split(split, labels[split], found[split], settings)


def find_frames(split):
    """{clip name: its frames' paths in time order} for every clip of the split in ImageData/."""
    folder = chalearn.IMAGES / split.folder
    clips = sorted(folder.glob("[!.]*/")) if folder.exists() else []
    return {clip.name: sorted(clip.glob("frame*.jpg"), key=frame_number) for clip in clips}


def frame_number(path):
    return int(re.sub(r"\D", "", path.stem) or 0)


def write_split(split, labels, frames, settings):
    from first_impression import records  # here: TensorFlow takes seconds to load, and complaints should not wait

    clips = chalearn.pair(labels, frames, chalearn.IMAGES / split.folder)
    items = [records.Item(clip, labels[clip], frame) for clip in clips for frame in frames[clip]]
    order = np.random.default_rng(settings.SEED).permutation(len(items))
    paths = records.shard_paths(split.image_records, settings.NUM_SHARDS)
    read = pixels if settings.IMAGE_ENCODING == "raw" else Path.read_bytes
    made_with = {"encoding": settings.IMAGE_ENCODING, "frames": (chalearn.IMAGES / "settings.json").read_text()}
    for shard, path in enumerate(paths):
        part = [items[index] for index in order[shard :: len(paths)]]
        records.write(path, split.key, "image", part, lambda frames: map(read, frames), made_with)


def pixels(frame):
    """The raw RGB bytes of a frame, 224 x 224 x 3, as the original's records hold them."""
    with Image.open(frame) as image:
        return image.convert("RGB").tobytes()


if __name__ == "__main__":
    script.run(
        main,
        SEED=script.at_least(0),
        IMAGE_ENCODING=script.one_of("jpeg", "raw"),
        NUM_SHARDS=script.at_least(1),
    )
