"""Labels: annotation files, compared with the clips in a folder and the labels in records."""

import functools
import io
import math
import numbers
import pickle
import re
from pathlib import Path

import numpy as np

from first_impression.common import files
from first_impression.common.errors import UserError, counted, damage_as_user_error, name_some, short_message
from first_impression.common.file_kinds import refuse_other_kinds
from first_impression.data import label_table
from first_impression.data.chalearn import (
    ALL_SPLITS,
    ANNOTATION_MD5,
    SPLIT_NAMED,
    SPLITS,
    TRAINING,
    in_shard,
    name_of_video,
)
from first_impression.data.targets import FIVE, NONE, named


def read_annotation(path, split="", targets=FIVE):
    """Read the labels of the `targets` from an annotation: {clip name without suffix: float32 array [targets]}.

    They are on the scale of the `targets` in the file, and are mapped to [0, 1]. With `NONE` it is read for the names
    of the clips alone. It is ChaLearn's pickle, or a CSV file (label_table.py) of which, where it has a column for the
    split, the rows of the split of this name count; "": all.
    Raises `UserError` for a missing, foreign or damaged file, a missing target, or a label that is not on the scale.
    """
    path = Path(path)
    if not path.exists():
        remedy = f"put ChaLearn's annotation files into {path.parent.absolute()}; check_data.py unpacks them from zips"
        raise UserError(f"{path} is missing: {remedy}")
    if path.suffix.lower() == ".csv":
        return _labels_of_table(path, split, targets)
    by_target = _unpickled(path)
    missing = [name for name in targets.names if not by_target.get(name)]
    if missing:
        there = f", only for {', '.join(map(str, by_target))}" if any(by_target.values()) else ""
        raise UserError(f"{path} has no labels for {', '.join(missing)}{there}: fetch it again, or set TARGETS")
    clips = dict.fromkeys(clip for name in targets.names or by_target for clip in by_target[name])
    values = [[by_target[name].get(clip) for name in targets.names] for clip in clips]
    for clip, of_clip in zip(clips, values, strict=True):
        for name, value in zip(targets.names, of_clip, strict=True):
            _refuse_label(path, clip, name, value, targets)
    labels = targets.to_unit(np.array(values, np.float64).reshape(len(clips), len(targets.names)))
    return dict(zip(map(name_of_video, clips), labels.astype(np.float32), strict=True))


def numbers_in(path):
    """{name: float64 [clips or rows of a table], nan where there is none} of all that an annotation has labels of."""
    if Path(path).suffix.lower() == ".csv":
        return label_table.numbers_in(path)
    by_target = _unpickled(Path(path))
    clips = dict.fromkeys(clip for values in by_target.values() for clip in values)
    labels = {name: [values.get(clip) for clip in clips] for name, values in by_target.items()}
    return {
        name: np.array([value if isinstance(value, numbers.Real) else math.nan for value in values], np.float64)
        for name, values in labels.items()
    }


def _unpickled(path):
    """{name of a target: {file of a clip: label}} of ChaLearn's pickle, written by Python 2, with any labels.

    Only what such a file needs is unpickled; anything else in it is refused before it runs.
    """
    refuse_other_kinds(path)
    with damage_as_user_error(f"{path} is not a readable pickle", "fetch it again"):
        found = _AnnotationUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    if not isinstance(found, dict) or not all(isinstance(values, dict) for values in found.values()):
        raise UserError(f"{path} is not an annotation: a dict of traits, each a dict of clips, was expected")
    by_target = {named(str(key)): values for key, values in found.items()}
    if len(by_target) < len(found):
        raise UserError(f"{path} has two targets of one name, of {name_some(map(str, found))}: leave one of them")
    return by_target


def _refuse_label(path, clip, name, value, targets):
    if value is None:
        remedy = "give one, take the clip out, or leave the target out of TARGETS"
        raise UserError(f"{path}: the labels of clip {clip!r} lack {name}: {remedy}")
    fits = isinstance(value, numbers.Real) and math.isfinite(value) and targets.low <= value <= targets.high
    if not fits:
        what = f"{path}: the labels of clip {clip!r} have {name} = {short_message(repr(value))}"
        raise UserError(f"{what}, not a number from {targets.ends_in_words}: mend it, or set SCALE")


def _labels_of_table(path, split, targets):
    table = label_table.read(path, targets, average=True)
    if table.doubled and targets.names:
        _tell_of_averages(path, len(set(table.doubled)), name_some(dict.fromkeys(table.doubled)))
    if split and not table.splits and path.name == ALL_SPLITS:
        raise UserError(
            f"{path} needs a column named split, of {label_table.WORDS_FOR_SPLITS}: write one, or have clips dealt "
            "to training and validation by speaker: python check_data.py --DEAL_SPLITS True"
        )
    chosen = [clip for clip in table.values if not split or table.splits.get(clip, split) == split]
    return {clip: table.values[clip].astype(np.float32) for clip in chosen}


@functools.cache
def _tell_of_averages(path, count, names):
    print(f"{path}: several rows for {counted(count, 'clip')}, which are averaged: {names}")


def read_sources(path):
    """{clip: the video or speaker that it is of}, as a CSV annotation's column says; {} for any other file."""
    return label_table.read(path, NONE).sources if Path(path).suffix.lower() == ".csv" else {}


def training_sources():
    """{clip: its source} of the training clips, as a column of their annotation here says; else {}."""
    annotation = TRAINING.annotation
    return read_sources(annotation) if annotation.exists() else {}


def split_of(path):
    """The split whose labels an annotation has, by its checksum if it is ChaLearn's, else by its name; None: unknown.

    Raises `UserError` for a missing file.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path.absolute()} is missing")
    md5, words = files.md5(path), re.split("[^a-z]+", path.stem.lower())
    named = {label_table.SPLIT_WORDS[word] for word in words if word in label_table.SPLIT_WORDS}
    found = [name for name, known in ANNOTATION_MD5.items() if known == md5] or list(named)
    return SPLIT_NAMED[found[0]] if len(found) == 1 else None


def splits_of_clips():
    """{clip: its split}, as the annotations here say; clips that are in those of several splits are left out."""
    found = {}
    for split in SPLITS:
        if split.annotation.exists():
            for clip in read_annotation(split.annotation, split.name, NONE):
                found[clip] = None if clip in found else split
    return {clip: split for clip, split in found.items() if split}


def pair(labels, found, folder, shard=""):
    """The clips that have both a label and files: a sorted list of names. Prints what has only one of the two.

    `labels` is what `read_annotation` gives, `found` the clip names in `folder`, those of the shard only.
    Raises `UserError` where nothing pairs; a shard may have no clip, or none with a label.
    """
    found, labelled = set(found), {name for name in labels if in_shard(name, shard)}
    if not (shard or labelled & found):
        raise UserError(f"no clip in {folder} has a label: are these the annotations of these clips?")
    for names, what in ((found - labelled, "without a label"), (labelled - found, "not there")):
        if names:
            print(f"{folder}: {counted(len(names), 'clip')} {what}, passed over: {name_some(names)}")
    return sorted(labelled & found)


def refuse_other_labels(labels, annotation, file, targets=FIVE):
    """Raises `UserError` where labels that `file` holds differ from those of the annotation, if that is here.

    `labels` is {clip: [targets]}; clips that the annotation does not know are passed over.
    """
    annotated = read_annotation(annotation, targets=targets) if annotation.exists() else {}
    other = [clip for clip in labels.keys() & annotated if not np.allclose(labels[clip], annotated[clip], atol=1e-6)]
    if other:
        permuted = all(np.allclose(np.sort(labels[clip]), np.sort(annotated[clip]), atol=1e-6) for clip in other)
        order = ", perhaps in another order of the targets" if permuted else ""
        difference = f"{file} has other labels than {annotation}{order}, for {name_some(other)}"
        raise UserError(f"{difference}: run its step again, or bring back the labels that it was made with")


def refuse_shared(training_clips, other_clips, where):
    """Raises `UserError` where clips to be scored are among those trained on; `where` says of what."""
    shared = set(training_clips) & set(other_clips)
    if shared:
        names = f"{counted(len(shared), 'clip')} ({name_some(shared)})"
        raise UserError(f"{where} share {names}: scores on training clips mean nothing; keep the splits apart")


# pickle's twin in Python: the one in C fills the memory where damage, or malice, makes an object's number large
class _AnnotationUnpickler(pickle._Unpickler):
    """Knows the globals that NumPy numbers need (NumPy 2 renamed their module) and ordered dicts, and nothing else."""

    def find_class(self, module, name):
        if (module, name) == ("numpy", "dtype"):
            return _NumberType
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if (module, name) in (("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar")):
            return _number
        if (module, name) == ("_codecs", "encode"):  # bytes, as Python 3 writes them into Python 2's format
            return _latin1_bytes
        raise pickle.UnpicklingError(f"refused: it asks for {module}.{name}, never needed; do not open it elsewhere")


class _NumberType:
    """Stands in for `numpy.dtype`, which would take types of any size, and any state."""

    def __init__(self, name, *flags):
        self.type = {"f8": "f8", "f4": "f4", "f2": "f2"}[name]

    def __setstate__(self, state):
        self.type = {"<": "<", ">": ">"}[state[1]] + self.type


def _number(kind, data):
    return float(np.frombuffer(data.encode("latin1") if isinstance(data, str) else data, kind.type)[0])


def _latin1_bytes(text, encoding):
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"refused: it asks for the codec {encoding!r}, never needed")
    return text.encode("latin1")
