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

from first_impression.common import rules, script
from first_impression.common.errors import UserError, counted, damage_as_user_error, name_some
from first_impression.common.files import listed
from first_impression.data import record_writer, steps
from first_impression.data.chalearn import FRAME_SIZE, IMAGES
from first_impression.data.targets import of_settings, scale_rule, targets_rule

TARGETS = ""  # what to learn, as columns of the labels are named: "extraversion, interview"; "": ChaLearn's five traits
SCALE = "0..1"  # from the lowest to the highest of the labels in the tables; "1..7", for example
SEED = 0  # of the order of the frames in the file
IMAGE_ENCODING = "jpeg"  # "jpeg": the bytes as on disk; "raw": pixels as the original has them, 20 times as large
NUM_SHARDS = 1  # 1: one file; more: train_full.tfrecords-00000-of-00016 and so on
SHARD = ""  # "3/16": only the third of 16 shards of the clips, to run 16 of these side by side; "": all

RULES = {
    "TARGETS": targets_rule,
    "SCALE": scale_rule,
    "SEED": rules.whole(0),
    "IMAGE_ENCODING": rules.one_of("jpeg", "raw"),
    "NUM_SHARDS": rules.whole(1, 99999),
    "SHARD": rules.shard,
}

_REMAKE = "move its folder away and run Video_to_Image.py again"


def main(settings):
    if settings.SHARD and settings.NUM_SHARDS > 1:
        raise UserError("NUM_SHARDS and SHARD do not go together: SHARD 3/16 writes the third of 16 files by itself")
    targets = of_settings(settings.TARGETS, settings.SCALE)
    examples = steps.labelled_examples(IMAGES, clips_with_frames, settings.SHARD, targets)
    for split, clips in examples.items():
        write_split(split, clips, settings, targets)
    steps.warn_of_stale_records(examples, IMAGES, lambda split: split.image_records)


def clips_with_frames(folder):
    """The names of the clips that have a folder of frames in a split's folder of ImageData/."""
    return [path.name for path in listed(folder, "[!.]*") if path.is_dir()]


def frames_of(clip_folder):
    """The paths of a clip's frames, in time order."""
    return sorted(listed(clip_folder, "frame*.jpg"), key=lambda path: int(re.sub(r"\D", "", path.stem) or 0))


def write_split(split, clips, settings, targets):
    examples = [clip._replace(source=frame) for clip in clips for frame in frames_of(clip.source)]
    if without := {clip.clip for clip in clips} - {frame.clip for frame in examples}:
        count = counted(len(without), "clip")
        print(f"{IMAGES / split.folder}: {count} without frames, passed over: {name_some(without)}")
    examples = steps.shuffled(examples, settings.SEED)
    paths = record_writer.paths_to_write(split.image_records, settings.NUM_SHARDS, settings.SHARD)
    read = pixels if settings.IMAGE_ENCODING == "raw" else jpeg
    made_with = {"encoding": settings.IMAGE_ENCODING, "shard": settings.SHARD}
    made_with["sources"] = {clip.clip: clip.checksum for clip in clips}
    for number, path in enumerate(paths):
        part = examples[number :: len(paths)]
        record_writer.write(path, split.key, "image", part, lambda frames: map(read, frames), made_with, targets)


def jpeg(frame):
    """The bytes of a frame as they are. Raises `UserError` where they are not a whole JPEG file of the right size."""
    content = frame.read_bytes()
    if not (content.startswith(b"\xff\xd8") and content.rstrip(b"\0").endswith(b"\xff\xd9")):
        raise UserError(f"{frame} is not a whole JPEG file: {_REMAKE}")
    if frame.stem == "frame1":  # one of each clip tells the size of all
        decoded(frame, content).close()
    return content


def pixels(frame):
    """The raw RGB bytes of a frame, 224 x 224 x 3, as the original's records hold them."""
    with damage_as_user_error(f"{frame} is not a usable frame", _REMAKE), decoded(frame, jpeg(frame)) as image:
        return image.convert("RGB").tobytes()


def decoded(frame, content):
    """The opened image. Raises `UserError` where it is damaged, or not 224 x 224."""
    from PIL import Image

    with damage_as_user_error(f"{frame} is not a usable frame", _REMAKE):
        image = Image.open(io.BytesIO(content))
        if image.size != (FRAME_SIZE, FRAME_SIZE):
            width, height = image.size
            raise ValueError(f"it has {width} x {height} pixels; the networks take {FRAME_SIZE} x {FRAME_SIZE}")
        return image


if __name__ == "__main__":
    script.run(main, single_instance=("SHARD",))
