"""Step 3: frames and labels into TFRecords for training.

Reads   ImageData/trainingData/, ImageData/validationData/ (step 1)
        Annotations/annotation_training.pkl, Annotations/annotation_validation.pkl
Writes  train_full.tfrecords, val_full.tfrecords; each with its table of contents, *.tfrecords.json
Run     python Write_Into_TFRecords.py

Each record is one frame, with its own clip's label and name; the frames of all clips are shuffled.
With a SHARD only its clips are looked at, and only its file of each set is written:
train_full.tfrecords-00002-of-00016 for 3/16.
A second run writes only what is not there for these frames, labels and constants.
"""

import io
import re

import numpy as np
from PIL import Image

from first_impression import Problem, chalearn, script
from first_impression.files import damage, listed

SEED = 0  # of the order of the frames in the file
IMAGE_ENCODING = "jpeg"  # "jpeg": the bytes as on disk; "raw": pixels as the original has them, 20 times as large
NUM_SHARDS = 1  # 1: one file; more: train_full.tfrecords-00000-of-00016 and so on
SHARD = ""  # "3/16": only the third of 16 shards of the clips, to run 16 of these side by side; "": all


def main(settings):
    if settings.SHARD and settings.NUM_SHARDS > 1:
        raise Problem("NUM_SHARDS and SHARD do not go together: SHARD 3/16 writes the third of 16 files by itself")
    folders = {split: chalearn.IMAGES / split.folder for split in chalearn.SPLITS}
    found = {split: find_frames(split, settings.SHARD) for split, folder in folders.items() if folder.is_dir()}
    if not (found if settings.SHARD else any(found.values())):
        raise Problem(f"{chalearn.IMAGES.absolute()} holds no frames: run Video_to_Image.py first")
    chalearn.refuse_unmade(chalearn.IMAGES, settings.SHARD, "Video_to_Image.py")
    # A shard without clips of a split has its file in the set nevertheless, an empty one
    splits = [split for split in found if found[split] or settings.SHARD]
    labels = {split: chalearn.read_annotation(split.annotation) for split in splits}
    script.load_tensorflow()
    for split in labels:
        write_split(split, labels[split], found[split], settings)


def find_frames(split, shard):
    """{clip name: its frames' paths in time order} for every clip of the split and the shard in ImageData/."""
    clips = [path for path in listed(chalearn.IMAGES / split.folder, "[!.]*") if path.is_dir()]
    clips = [clip for clip in clips if chalearn.in_shard(clip.name, shard)]
    return {clip.name: sorted(listed(clip, "frame*.jpg"), key=frame_number) for clip in clips}


def frame_number(path):
    return int(re.sub(r"\D", "", path.stem) or 0)


def write_split(split, labels, frames, settings):
    from first_impression import records  # here: TensorFlow takes seconds to load, and complaints should not wait

    clips = chalearn.pair(labels, frames, chalearn.IMAGES / split.folder, settings.SHARD)
    items = [records.Item(clip, labels[clip], frame) for clip in clips for frame in frames[clip]]
    order = np.random.default_rng(settings.SEED).permutation(len(items))
    paths = records.paths_to_write(split.image_records, settings.NUM_SHARDS, settings.SHARD)
    read = pixels if settings.IMAGE_ENCODING == "raw" else jpeg
    note = chalearn.IMAGES / "settings.json"  # frames of another program's making have none
    made_with = {"encoding": settings.IMAGE_ENCODING, "frames": note.read_text() if note.exists() else ""}
    made_with["shard"] = settings.SHARD
    for shard, path in enumerate(paths):
        part = [items[index] for index in order[shard :: len(paths)]]
        records.write(path, split.key, "image", part, lambda frames: map(read, frames), made_with)


def jpeg(frame):
    """The bytes of a frame as they are. Raises `Problem` where they are no whole JPEG file."""
    content = frame.read_bytes()
    if not (content.startswith(b"\xff\xd8") and content.rstrip(b"\0").endswith(b"\xff\xd9")):
        raise Problem(f"{frame} is no whole JPEG file: delete its folder and run Video_to_Image.py again")
    return content


def pixels(frame):
    """The raw RGB bytes of a frame, 224 x 224 x 3, as the original's records hold them."""
    content = jpeg(frame)
    with damage(f"{frame} is no usable frame", "delete its folder and run Video_to_Image.py again"):
        with Image.open(io.BytesIO(content)) as image:
            if image.size != (chalearn.FRAME_SIZE, chalearn.FRAME_SIZE):
                raise ValueError(f"its size is {image.size}, not {chalearn.FRAME_SIZE} x {chalearn.FRAME_SIZE}")
            return image.convert("RGB").tobytes()


if __name__ == "__main__":
    script.run(
        main,
        alone=("SHARD",),
        SEED=script.whole(0),
        IMAGE_ENCODING=script.one_of("jpeg", "raw"),
        NUM_SHARDS=script.whole(1),
        SHARD=script.shard,
    )
