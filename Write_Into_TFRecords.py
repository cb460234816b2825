"""Step 3: frames and labels into TFRecords for training.

Reads   ImageData/trainingData/, ImageData/validationData/ (step 1)
        Annotations/annotation_training.pkl, Annotations/annotation_validation.pkl
Writes  train_full.tfrecords, val_full.tfrecords; each with its table of contents, *.tfrecords.json
Run     python Write_Into_TFRecords.py

Each record is one frame, with its own clip's label and name; the frames of all clips are shuffled.
A second run writes only what is not there for these frames, labels and constants.
"""

import io
import re

import numpy as np
from PIL import Image

from first_impression import Problem, chalearn, files, script

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
    records.refuse_other_shards(split.image_records, settings.NUM_SHARDS)
    read = pixels if settings.IMAGE_ENCODING == "raw" else jpeg
    note = chalearn.IMAGES / "settings.json"  # frames of another program's making have none
    made_with = {"encoding": settings.IMAGE_ENCODING, "frames": note.read_text() if note.exists() else ""}
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
    try:
        with Image.open(io.BytesIO(jpeg(frame))) as image:
            if image.size != (chalearn.FRAME_SIZE, chalearn.FRAME_SIZE):
                raise ValueError(f"its size is {image.size}, not {chalearn.FRAME_SIZE} x {chalearn.FRAME_SIZE}")
            return image.convert("RGB").tobytes()
    except Problem:
        raise
    except Exception as error:  # damaged bytes can raise nearly anything
        if files.machines_fault(error):
            raise
        raise Problem(
            f"{frame} is no usable frame ({files.why(error)}): delete its folder and run Video_to_Image.py again"
        ) from None


if __name__ == "__main__":
    script.run(
        main,
        alone=(),
        SEED=script.whole(0),
        IMAGE_ENCODING=script.one_of("jpeg", "raw"),
        NUM_SHARDS=script.whole(1),
    )
