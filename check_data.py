"""Step 0: what is here of the dataset, what is missing, and how much disk space the steps will take.

Reads   data/ (or what is already in unzippedData/), Annotations/, the weights files
Writes  Annotations/annotation_<split>.pkl, where these are still in ChaLearn's zips, there or in data/
Run     python check_data.py
        python check_data.py --DEAL_SPLITS True

It also lists what the annotations have labels of, for TARGETS and SCALE of steps 3 and 4.
Ends with status 1 where something is missing, and lists everything that is. Without VGG-16's weights sound alone can be
trained: they are missing for PAPER only, and it says which files can stand there. The second form
first writes a column "split" into an Annotations/annotations.csv that has none, and keeps the file as it was beside it,
as annotations_without_splits.csv.
"""

import os
import shutil
import time
from pathlib import Path

from first_impression.common import rules, script
from first_impression.common.errors import counted
from first_impression.common.tensorflow_start import NVIDIA_DRIVER, load_tensorflow
from first_impression.data import chalearn, dealing, inventory
from first_impression.data.clips import NoClips, find_clips
from first_impression.evaluation.metrics import sources_of
from first_impression.training import number_format

PAPER = False  # True: what the paper's four models need, not only train.py's own
DEAL_SPLITS = False  # True: deal the clips of annotations.csv to training and validation, no speaker to both
DATA = "data"  # folder of the clips, in zips or not
MAX_ZIP_MEGABYTES = 2000.0  # a zip whose clips unpack to more is refused
ZIP_PASSWORD = ""  # of encrypted zips; also read from the environment variable CHALEARN_ZIP_PASSWORD
FRAMES_PER_CLIP = 100  # as in Video_to_Image.py
WEIGHTS = "vgg-face.mat"  # of VGG-16, as in train.py
RESNET_WEIGHTS = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"  # for PAPER; "": the ResNet starts from chance

RULES = {"MAX_ZIP_MEGABYTES": rules.more_than(0), "FRAMES_PER_CLIP": rules.whole(1, 10**6)}

_TRIAL = 8  # images that are looked at to measure this machine's speed
_TRAINING_COST = 3.6  # of an image in training, in images that are only looked at (docs/speed.md)
_HEAD_FRAMES = 16  # of a clip, for the recipes head_*.py


def main(settings):
    if settings.DEAL_SPLITS:
        dealing.deal_splits(sources_of)
    try:
        clips = find_clips(settings.DATA, settings.MAX_ZIP_MEGABYTES, settings.ZIP_PASSWORD)
    except NoClips:
        clips = []
    print(f"In {Path.cwd()}:", *inventory.describe_clips(clips), sep="\n  ")
    lines, weights, unusable = inventory.describe_weights(settings.WEIGHTS)
    print(*(f"  {line}" for line in lines), sep="\n")
    needed = [path for path in (settings.WEIGHTS, settings.RESNET_WEIGHTS) if path and settings.PAPER]
    if settings.PAPER and os.path.exists(settings.RESNET_WEIGHTS):
        print(f"  {settings.RESNET_WEIGHTS}: {os.path.getsize(settings.RESNET_WEIGHTS):,} bytes")
    visual_models = 3 if settings.PAPER else int(bool(weights))
    needs = inventory.disk_needs(clips, settings.FRAMES_PER_CLIP, visual_models)
    print(f"Disk space, of which {inventory.gigabytes(shutil.disk_usage('.').free)} are free:")
    for need in needs:
        whole, to_come = inventory.gigabytes(need.whole), inventory.gigabytes(need.to_come)
        print(f"  {need.what:<16} about {whole:>7}, {to_come:>7} of it to come")
    training_clips = sum(clip.split is chalearn.TRAINING for clip in clips)
    if visual_models and training_clips and not has_gpu():
        rate = images_per_second()
        epoch = duration(training_clips * settings.FRAMES_PER_CLIP * _TRAINING_COST / rate)
        head = duration(training_clips * _HEAD_FRAMES / rate)
        print(
            f"No NVIDIA GPU: this machine looks at {rate:.1f} images a second and trains on {rate / _TRAINING_COST:.1f}"
        )
        print(f"  To train: {counted(visual_models, 'visual model')}, an epoch of each takes {epoch}")
        print(f"  Or only its head, with {_HEAD_FRAMES} frames a clip: {head}. The audio model takes minutes")
    missing = inventory.missing_files(clips, needed, settings.ZIP_PASSWORD, settings.DATA)
    inventory.refuse_missing([*missing, *unusable], needs)


def has_gpu():
    return os.path.exists(NVIDIA_DRIVER) or bool(shutil.which("nvidia-smi"))


def images_per_second():
    """How many images DAN looks at in a second on this machine, measured in a second or two."""
    load_tensorflow()
    import tensorflow as tf

    from model import build_model

    model = number_format.in_format(build_model("dan", seed=0), number_format.choose("auto"))
    look, images = tf.function(lambda images: model(images, training=False)), tf.zeros((_TRIAL, 224, 224, 3), tf.uint8)
    look(images)  # traced
    start = time.monotonic()
    look(images).numpy()
    return _TRIAL / (time.monotonic() - start)


def duration(seconds):
    """Seconds in words: "3.5 days", "4 minutes"."""
    for unit, length in (("days", 86400), ("hours", 3600)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return counted(max(1, round(seconds / 60)), "minute")


if __name__ == "__main__":
    script.run(main)
