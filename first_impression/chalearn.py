"""The ChaLearn First Impressions dataset as it lies on disk: splits, traits, zips, annotations."""

import contextlib
import io
import math
import numbers
import os
import pickle
import re
import shutil
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from first_impression import Problem
from first_impression.files import damage, listed, machines_fault, whole_file, why

# The order of every label and score in this project: the annotation's own, without `interview`.
# A high "neuroticism" in this dataset means emotionally stable; values are kept as they are.
TRAITS = ("extraversion", "neuroticism", "agreeableness", "conscientiousness", "openness")

FRAME_SIZE = 224  # pixels, width and height of the frames that the networks take

UNZIPPED = Path("unzippedData")
IMAGES = Path("ImageData")
VOICES = Path("VoiceData")
PASSWORD_VARIABLE = "CHALEARN_ZIP_PASSWORD"


@dataclass(frozen=True)
class Split:
    """One split of the dataset and its names on disk, relative to the current folder."""

    name: str
    key: str  # first part of the record file's name and of the feature names inside it
    zip_prefix: str
    folder: str

    @property
    def annotation(self):
        return Path("Annotations") / f"annotation_{self.name}.pkl"

    @property
    def image_records(self):
        return Path(f"{self.key}_full.tfrecords")

    @property
    def audio_records(self):
        return Path(f"{self.key}_audio_full.tfrecords")


TRAINING = Split("training", "train", "training80_", "trainingData")
VALIDATION = Split("validation", "val", "validation80_", "validationData")
TEST = Split("test", "test", "test80_", "testData")
SPLITS = (TRAINING, VALIDATION, TEST)


def split_named(name):
    """The split of this name: "training", "validation" or "test"."""
    return next(split for split in SPLITS if split.name == name)


@dataclass(frozen=True)
class Clip:
    """A clip and where its video comes from: an entry of a zip, or already unzipped (`archive` is None)."""

    name: str  # file name without .mp4
    split: Split
    video: Path  # unzippedData/<zip>/<name>.mp4, whether or not it is there yet
    archive: Path | None = None
    entry: str = ""

    @property
    def frames(self):
        return IMAGES / self.split.folder / self.name

    @property
    def wav(self):
        return VOICES / self.split.folder / f"{self.name}.wav"


def find_clips(data="data", most_megabytes=2000.0):
    """Every clip of every split: from the zips in the folder `data`, else those already unzipped.

    Returns a list of `Clip`, sorted by split, zip and name. Entries that are no clips (`__MACOSX/`, text
    files, folders) are passed over. A clip that stands twice counts once, the first time.
    Raises `Problem` where there is neither zip nor clip, where a zip is damaged or its clips unpack to more than
    `most_megabytes` (the scripts' MAX_ZIP_MEGABYTES), or where an entry's path leaves the zip's folder.
    """
    data = Path(data)
    clips = {}
    for split in SPLITS:
        for archive in listed(data, f"{split.zip_prefix}*.zip"):
            for clip in _clips_of_zip(split, archive, most_megabytes):
                clips.setdefault((split, clip.name), clip)
        for folder in filter(Path.is_dir, listed(UNZIPPED, f"{split.zip_prefix}*")):
            for video in listed(folder, "[!.]*.[mM][pP]4"):
                clips.setdefault((split, video.stem), Clip(video.stem, split, video))
    if not clips:
        patterns = " or ".join(f"{split.zip_prefix}*.zip" for split in SPLITS)
        raise Problem(
            f"no clips: {data.absolute()} holds no {patterns} with videos in it. "
            "Put ChaLearn's zips there, or make a sample with sample_data.py"
        )
    return list(clips.values())


def in_shard(name, shard):
    """Whether the clip of this name is in the shard "3/16", the third of 16. Every clip is in "".

    The name alone decides, so that every step has the same clips in a shard, whatever other clips are there.
    """
    if not shard:
        return True
    number, count = map(int, shard.split("/"))
    return zlib.crc32(name.encode(errors="surrogateescape")) % count == number - 1


def shard_suffix(shard):
    """What the names of a shard's own files have in them: "-3-of-16" for "3/16", nothing for ""."""
    return f"-{shard.replace('/', '-of-')}" if shard else ""


def unusable_table(folder, shard):
    """The file that lists the clips unusable for `folder`. It is there when the step that fills `folder` has ended."""
    return folder / f"unusable{shard_suffix(shard)}.csv"


def refuse_unmade(folder, shard, maker):
    """Raises `Problem` where the script `maker` has not ended for this shard in `folder`, nor for all clips.

    Without a shard nothing is refused: what is in the folder may be of another program's making.
    """
    if shard and not any(unusable_table(folder, ended).exists() for ended in (shard, "")):
        raise Problem(f"{folder} is without shard {shard}, or it did not end: run {maker} --SHARD {shard} first")


def _clips_of_zip(split, archive, most_megabytes):
    clips, size = {}, 0
    with _open_zip(archive) as opened:
        for info in opened.infolist():
            entry = info.filename
            parts = re.split(r"[/\\]", entry)
            if ".." in parts or parts[0] == "" or re.match("[A-Za-z]:", entry):
                raise Problem(f"{archive}: the entry {entry!r} would leave its folder; this is no zip of ChaLearn's")
            video = UNZIPPED / archive.stem / parts[-1]
            is_clip = parts[-1].lower().endswith(".mp4") and not parts[-1].startswith(".") and "__MACOSX" not in parts
            if is_clip and video.stem not in clips:
                clips[video.stem] = Clip(video.stem, split, video, archive, entry)
                size += info.file_size
            else:
                _check_name(archive, opened, info)
    # Here for all clips together, since entries may share their bytes. None unpacks to more than the zip declares:
    # zipfile reads no further, and compares the checksum there
    if size > most_megabytes * 1e6:
        raise Problem(
            f"{archive}: its clips unpack to {size / 1e6:,.0f} MB, MAX_ZIP_MEGABYTES is {most_megabytes:,.0f}: "
            "raise it if the zip is what you expect"
        )
    return list(clips.values())


def _check_name(archive, opened, info):
    """Where an entry is passed over: its name stands twice in a zip, so damage to one of them would lose a clip."""
    # RuntimeError: encrypted, or packed in an unknown way; the names were compared before
    with damage(f"{archive} is damaged at {info.filename!r}", "fetch the zip again"), contextlib.suppress(RuntimeError):
        opened.open(info).close()


def _open_zip(archive):
    with damage(f"{archive} is not a complete zip", "fetch it again"):
        return zipfile.ZipFile(archive)


def unzip(clip, password=""):
    """Make sure that `clip.video` is there, whole; returns its path. `password` opens encrypted zips.

    Raises `Problem` where the zip is encrypted and the password is missing or wrong, or its bytes are damaged.
    """
    if clip.archive is None or clip.video.exists():
        return clip.video
    password = password or os.environ.get(PASSWORD_VARIABLE, "")
    with _open_zip(clip.archive) as opened, whole_file(clip.video) as growing:
        if opened.getinfo(clip.entry).flag_bits & 0x1 and not password:
            raise Problem(
                f"{clip.archive} is encrypted, as ChaLearn's test zips are: give the password that ChaLearn sent "
                f"you as --ZIP_PASSWORD=... or in the environment variable {PASSWORD_VARIABLE}"
            )
        with damage(f"{clip.archive} is damaged at {clip.entry}", "fetch the zip again"):
            try:
                with opened.open(clip.entry, pwd=password.encode() or None) as source, open(growing, "wb") as target:
                    shutil.copyfileobj(source, target, 1 << 14)  # bzip2 makes up to 300 MB of that, whatever it says
            except NotImplementedError as error:  # a RuntimeError too, so it stands first
                raise Problem(
                    f"{clip.archive} is packed in a way that Python cannot read ({why(error)}): repack it"
                ) from None
            except RuntimeError:  # zipfile's way to say: wrong password
                raise Problem(f"{clip.archive}: the zip password is wrong (checked on {clip.entry})") from None
    return clip.video


def read_annotation(path):
    """Read an annotation pickle: {clip name without .mp4: float32 array [5] in [0, 1], in the order of TRAITS}.

    The file was written by Python 2: a dict of traits, each a dict from clip name to a number. Only what such
    a file needs is unpickled; anything else in it is refused before it runs.
    Raises `Problem` for a missing, foreign or damaged file, a missing trait, or a label outside [0, 1].
    """
    path = Path(path)
    if not path.exists():
        raise Problem(f"{path} is missing: put ChaLearn's annotation files into {path.parent.absolute()}")
    try:
        traits = _AnnotationUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except Problem as problem:
        raise Problem(f"{path}: {problem}") from None
    except Exception as error:  # a damaged pickle can raise nearly anything
        if machines_fault(error):
            raise
        raise Problem(
            f"{path} is not a readable pickle ({type(error).__name__}: {why(error)}): fetch it again"
        ) from None
    return _labels(path, traits)


def _labels(path, traits):
    if not isinstance(traits, dict) or not all(isinstance(values, dict) for values in traits.values()):
        raise Problem(f"{path} is not an annotation: a dict of traits, each a dict of clips, was expected")
    missing = [trait for trait in TRAITS if not traits.get(trait)]
    if missing:
        raise Problem(f"{path} has no labels for {', '.join(missing)}: fetch it again")
    labels = {}
    for name in dict.fromkeys(name for trait in TRAITS for name in traits[trait]):
        values = [traits[trait].get(name) for trait in TRAITS]
        if not all(isinstance(value, numbers.Real) and math.isfinite(value) and 0 <= value <= 1 for value in values):
            raise Problem(f"{path}: the labels of clip {name!r} are {values}, not five numbers from 0 to 1")
        labels[str(name).removesuffix(".mp4")] = np.array(values, np.float32)
    return labels


def pair(labels, found, folder, shard=""):
    """The clips that have both a label and files: a sorted list of names. Prints what has only one of the two.

    `labels` is what `read_annotation` gives, `found` the clip names in `folder`, those of the shard only.
    Raises `Problem` where nothing pairs; a shard may have no clip, or none with a label.
    """
    found, labelled = set(found), {name for name in labels if in_shard(name, shard)}
    paired = sorted(labelled & found)
    if not paired and not shard:
        raise Problem(f"no clip in {folder} has a label: are these the annotations of these clips?")
    for names, what in ((found - labelled, "without a label"), (labelled - found, "not there")):
        if names:
            print(f"{folder}: {len(names)} clips {what}, passed over: {name_some(names)}")
    return paired


def refuse_other_labels(labels, annotation, file):
    """Raises `Problem` where labels that `file` holds differ from those of the annotation, if that is here.

    `labels` is {clip: [5]}; clips that the annotation does not know are passed over.
    """
    if not annotation.exists():
        return
    annotated = read_annotation(annotation)
    other = [clip for clip in labels.keys() & annotated if not np.allclose(labels[clip], annotated[clip], atol=1e-6)]
    if other:
        order = ", perhaps in another order of the traits"
        permuted = all(np.allclose(np.sort(labels[clip]), np.sort(annotated[clip]), atol=1e-6) for clip in other)
        raise Problem(
            f"{file} has other labels than {annotation}{order if permuted else ''}, for {name_some(other)}: "
            "delete it and make it again with its step"
        )


def refuse_shared(training_clips, other_clips, where):
    """Raises `Problem` where clips to be scored are among those trained on; `where` says of what."""
    shared = set(training_clips) & set(other_clips)
    if shared:
        raise Problem(
            f"{where} share {len(shared)} clips ({name_some(shared)}): scores on clips trained on mean nothing; "
            "keep the splits apart"
        )


def name_some(names, most=5):
    """The first few of `names` as text, with the number of the others: "a, b, c and 12 more"."""
    names = sorted(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


# pickle's twin in Python: the one in C fills the memory where damage, or malice, makes an object's number large
class _AnnotationUnpickler(pickle._Unpickler):
    """Knows the globals that NumPy numbers need (NumPy 2 renamed their module), and nothing else."""

    def find_class(self, module, name):
        if (module, name) == ("numpy", "dtype"):
            return _NumberType
        if (module, name) in (("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar")):
            return _number
        if (module, name) == ("_codecs", "encode"):  # bytes, as Python 3 writes them into Python 2's format
            return _latin1_bytes
        raise Problem(f"refused: it asks for {module}.{name}, which no annotation needs; do not open it elsewhere")


class _NumberType:
    """Stands in for `numpy.dtype`, which would take types of any size, and any state."""

    def __init__(self, name, *flags):
        self.type = {"f8": "f8", "f4": "f4"}[name]

    def __setstate__(self, state):
        self.type = {"<": "<", ">": ">"}[state[1]] + self.type


def _number(kind, content):
    return float(np.frombuffer(content.encode("latin1") if isinstance(content, str) else content, kind.type)[0])


def _latin1_bytes(text, encoding):
    if encoding != "latin1":
        raise Problem(f"refused: it asks for the codec {encoding!r}, which no annotation needs")
    return text.encode("latin1")
