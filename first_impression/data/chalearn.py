"""The ChaLearn First Impressions dataset as it lies on disk: traits, splits, clips and the names of their files."""

import re
import unicodedata
import zlib
from dataclasses import dataclass
from pathlib import Path

from first_impression.common.errors import UserError
from first_impression.common.files import below

# The order of every label and score in this project: the annotation's own, without `interview`.
# A high "neuroticism" in this dataset means emotionally stable; values are kept as they are.
TRAITS = ("extraversion", "neuroticism", "agreeableness", "conscientiousness", "openness")

CLIP_SECONDS = 15.3  # what the clips last; the audio model hears that much
FRAME_SIZE = 224  # pixels, width and height of the frames that the networks take

UNZIPPED = Path("unzippedData")
IMAGES = Path("ImageData")
VOICES = Path("VoiceData")
DRAWN_ID = "smpl"  # how the names of the drawn sample's source videos begin; see is_drawn
ANNOTATIONS = Path("Annotations")
ALL_SPLITS = "annotations.csv"  # a file there with the labels of all splits

# MD5 of ChaLearn's annotation files, by the name of their split
ANNOTATION_MD5 = {
    "training": "f980ecb11edf8cf492f55f12acc4307a",
    "validation": "9af44c3046278076d1df055e44f29934",
    "test": "255866f2efd7e0675a7b806e87089398",
}

# Of the files that are taken for videos; ChaLearn's are .mp4
VIDEO_SUFFIXES = frozenset(".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .wmv .flv .ts .mts .3gp .ogv".split())


@dataclass(frozen=True)
class Split:
    """One split of the dataset and its names on disk, relative to the current folder."""

    name: str
    key: str  # first part of the record file's name and of the feature names inside it
    folder: str

    @property
    def annotation(self):
        """The file of its labels: ChaLearn's pickle, a CSV file in its place, or one CSV file for all splits.

        Where there is none it is the pickle's path. Raises `UserError` where there are several.
        """
        names = (f"annotation_{self.name}.pkl", f"annotation_{self.name}.csv", ALL_SPLITS)
        found = [ANNOTATIONS / name for name in names if (ANNOTATIONS / name).exists()]
        if len(found) > 1:
            raise UserError(f"{' and '.join(map(str, found))} both have labels of the {self.name} clips: keep one")
        return found[0] if found else ANNOTATIONS / names[0]

    @property
    def image_records(self):
        return Path(f"{self.key}_full.tfrecords")

    @property
    def audio_records(self):
        return Path(f"{self.key}_audio_full.tfrecords")


TRAINING = Split("training", "train", "trainingData")
VALIDATION = Split("validation", "val", "validationData")
TEST = Split("test", "test", "testData")
SPLITS = (TRAINING, VALIDATION, TEST)
SPLIT_NAMED = {split.name: split for split in SPLITS}


@dataclass(frozen=True)
class Clip:
    """A clip and where its video comes from: an entry of a zip, or a file (`archive` is None)."""

    name: str  # file name without its suffix
    split: Split | None  # None until the clip is placed
    video: Path  # where it lies; of one in a zip, unzippedData/<zip>/<name>.mp4, whether or not it is there yet
    archive: Path | None = None
    entry: str = ""
    checksum: str = ""  # of the video as the zip's directory has it, see checksums.py; "" where there is no zip

    @property
    def key(self):
        return self.split.name, self.name

    @property
    def place(self):
        return f"{self.archive}: {self.entry}" if self.archive else str(self.video)

    @property
    def is_unpacked(self):
        """Whether the video lies in unzippedData/ without its zip."""
        return self.archive is None and UNZIPPED in self.video.parents


def output_path(folder, key):
    """Where the output of the clip (split's name, name) lies: its folder of frames in ImageData/, or its WAV file."""
    split, clip_name = key
    return below(folder / SPLIT_NAMED[split].folder, f"{clip_name}.wav" if folder == VOICES else clip_name)


def is_video(file):
    """Whether a file's name has a suffix of VIDEO_SUFFIXES."""
    _, dot, suffix = str(file).rpartition(".")
    return f"{dot}{suffix}".lower() in VIDEO_SUFFIXES


def name_of_video(file):
    """The name of the clip that a video's file name is of: without a suffix of VIDEO_SUFFIXES.

    Normalised (NFC): macOS writes "é" as two characters, and tables have it as one.
    """
    file = unicodedata.normalize("NFC", str(file))
    return file.rpartition(".")[0] if is_video(file) else file


def is_drawn(name):
    """Whether a clip of this name is one of the drawn sample's: smpl and seven characters, or -smpl and six, .number.

    No name in ChaLearn's annotations is like that.
    """
    return bool(re.fullmatch(rf"({DRAWN_ID}[\w-]{{7}}|-{DRAWN_ID}[\w-]{{6}})\.\d{{3}}", name, re.ASCII))


def in_shard(name, shard):
    """Whether the clip of this name is in the shard "3/16", the third of 16. Every clip is in "".

    The name alone decides, so that every step has the same clips in a shard, whatever other clips are there.
    """
    number, count = map(int, (shard or "1/1").split("/"))
    return zlib.crc32(name.encode(errors="surrogateescape")) % count == number - 1


def shard_suffix(shard):
    """What the names of a shard's own files have in them: "-3-of-16" for "3/16", nothing for ""."""
    return f"-{shard.replace('/', '-of-')}" if shard else ""
