"""What is here of the dataset, what the steps will miss, and the disk space that they will take."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from first_impression.common.errors import UserError, counted, name_some
from first_impression.common.files import listed
from first_impression.common.words import span
from first_impression.data import annotations, audio, chalearn, delivered, vggface
from first_impression.data.archives import PASSWORD_VARIABLE, is_encrypted, passwords
from first_impression.data.targets import FIVE, NONE

# Bytes that a clip of 15.3 s takes: measured on the sample and on videos of 1280 x 720
FRAME_BYTES = 10_000  # a JPEG file of 224 x 224 pixels, and its record
SOUND_BYTES = 2_700_000  # 15.3 s x 44,100 Hz x 2 channels x 2 bytes
FEATURE_BYTES = 4 * audio.FEATURES  # a record of float32 numbers
RUN_BYTES = 300_000_000  # of a visual model: the final, the best and an epoch's, and a checkpoint

# The files that train.py's WEIGHTS can name: what each holds, and where it is published
WEIGHTS = {
    "vgg-face.mat": ("VGG-Face, 1.1 GB", "www.vlfeat.org/matconvnet/models/vgg-face.mat"),
    "rcmalli_vggface_tf_notop_vgg16.h5": (
        "VGG-Face, 58 MB",
        "github.com/rcmalli/keras-vggface/releases/download/v2.0/rcmalli_vggface_tf_notop_vgg16.h5",
    ),
    "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5": (
        "ImageNet's VGG-16, 59 MB",
        "storage.googleapis.com/tensorflow/keras-applications/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    ),
}


class DiskNeed(NamedTuple):
    """Bytes on disk for one kind of output."""

    what: str
    whole: int
    there: int  # of `whole`, as far as can be told from what is there

    @property
    def to_come(self):
        return max(0, self.whole - self.there)


def describe_clips(clips):
    """Lines on each split: its clips, how many have labels, which labelled ones are missing, what is not unpacked."""
    lines = []
    for split in chalearn.SPLITS:
        names = {clip.name for clip in clips if clip.split is split}
        line = f"{split.name}: {counted(len(names), 'clip') if names else 'no clips'}"
        if names and split.annotation.exists():
            labels = annotations.read_annotation(split.annotation, split.name, NONE)
            line += f", {len(names & labels.keys()):,} of them with labels in {split.annotation}"
            if without := labels.keys() - names:
                line += f", which also has labels for {counted(len(without), 'clip')} that are not here"
                line += f": {name_some(without)}"
        lines.append(line)
    annotated = dict.fromkeys(split.annotation for split in chalearn.SPLITS if split.annotation.exists())
    lines += map(describe_labels, annotated)
    packed = [clip for clip in clips if clip.archive]
    if waiting := len(packed) - len(_present([clip.video for clip in packed])):
        zips = counted(len({clip.archive for clip in packed}), "zip")
        lines.append(f"of the clips in {zips}, {waiting:,} are not yet unpacked; steps 1 and 2 do that")
    return lines


def describe_labels(annotation):
    """A line on what an annotation has labels of, with the values of what is not from 0 to 1, and how many lack it."""
    found, words, usable = annotations.numbers_in(annotation), [], set()
    for name, labels in found.items():
        known = labels[np.isfinite(labels)]
        notes = []
        if len(known) and not (known.min() >= 0 and known.max() <= 1):
            notes.append(f"from {span(known.min(), known.max())}")
        if len(known) < len(labels):
            notes.append(f"not for all: {len(known):,} of {len(labels):,}")
        words.append(f"{name} ({'; '.join(notes)})" if notes else name)
        if not notes:
            usable.add(name)
    remedy = "" if usable.issuperset(FIVE.names) else "; TARGETS and SCALE of steps 3 and 4 say what to learn of these"
    return f"{annotation} has labels of {', '.join(words) or 'nothing'}{remedy}"


def describe_weights(wanted):
    """Lines on the files of VGG-16's weights: the one `wanted`, and those of WEIGHTS that are here in its place.

    Returns (the lines, which files are here, which of these cannot be used). Where none is here the lines say what can
    be had, and where.
    """
    lines, unusable = [], []
    here = [path for path in dict.fromkeys((wanted, *WEIGHTS)) if os.path.exists(path)]
    for path in here:
        _, words, _ = vggface.identify(path)
        try:
            words = words or vggface.read(path).words
        except UserError as reason:
            words = "cannot be used"
            unusable.append(str(reason))
        note = "" if path == wanted else f"; for train.py --WEIGHTS {path}"
        lines.append(f"{path}: {os.path.getsize(path):,} bytes, {words}{note}")
    if not here:
        lines = [f"no {wanted}: sound alone can be trained. The visual models start from one of these files (WEIGHTS):"]
        lines += [f"  {name}: {what}, {source}" for name, (what, source) in WEIGHTS.items()]
    return lines, here, unusable


def missing_files(clips, weights, password, data="data"):
    """What later steps need and is not here, as a list of texts. `weights` are paths of weights files."""
    here, needed = {clip.split for clip in clips}, (chalearn.TRAINING, chalearn.VALIDATION)
    splits = [split for split in chalearn.SPLITS if split in here.union(needed)]
    missing = [str(split.annotation) for split in splits if not split.annotation.exists()]
    missing += [f"the {split.name} clips" for split in needed if split not in here]
    missing += [path for path in weights if not Path(path).exists()]
    if not passwords(password):
        archives = sorted({clip.archive for clip in clips if clip.archive})
        archives += sorted({archive for archive, _ in delivered.packed_annotations(Path(data)).values()})
        if encrypted := next(filter(is_encrypted, archives), None):
            missing.append(f"the password of {encrypted}, in {PASSWORD_VARIABLE}")
    return missing


def disk_needs(clips, frames_per_clip, visual_models):
    """The disk space that steps 1 to 5 take for these clips: a list of `DiskNeed`. Sound alone needs no frames."""
    packed = [clip for clip in clips if clip.archive]
    count = len(clips)
    made_frames, made_wavs = (
        len(_present([chalearn.output_path(folder, clip.key) for clip in clips]))
        for folder in (chalearn.IMAGES, chalearn.VOICES)
    )
    unpacked = _present([clip.video for clip in packed])
    images = frames_per_clip * FRAME_BYTES if visual_models else 0
    records, of_sound = (sum(map(os.path.getsize, listed(".", f"*{key}_full.tfrecords*"))) for key in ("", "_audio"))
    return [
        DiskNeed("unpacked videos", _size(packed), _size(clip for clip in packed if clip.video in unpacked)),
        DiskNeed("frames", count * images, made_frames * images),
        DiskNeed("sound", count * SOUND_BYTES, made_wavs * SOUND_BYTES),
        DiskNeed("image records", count * images, records - of_sound),
        DiskNeed("sound records", count * FEATURE_BYTES, of_sound),
        DiskNeed("trained models", visual_models * RUN_BYTES, 0),
    ]


def _present(paths):
    """Which of these paths are there, from one listing of each folder."""
    return {path for folder in {path.parent for path in paths} for path in listed(folder, "*")} & set(paths)


def _size(packed):
    return sum(int(clip.checksum.partition("-")[0]) for clip in packed)


def refuse_missing(missing, needs, folder="."):
    """Raises `UserError` that lists everything that is missing, disk space too."""
    to_come, free = sum(need.to_come for need in needs), shutil.disk_usage(folder).free
    if to_come > free:
        missing = [*missing, f"{gigabytes(to_come - free)} of disk space"]
    if missing:
        raise UserError(f"missing: {'; '.join(missing)}. README.md says where to get each")


def gigabytes(count):
    """Bytes in words."""
    return f"{count / 1e9:,.1f} GB"
