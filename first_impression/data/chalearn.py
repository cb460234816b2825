"""The ChaLearn First Impressions dataset as it lies on disk: traits, splits, clips and the names of their files."""

import zlib
from dataclasses import dataclass
from pathlib import Path

from first_impression.common.errors import UserError
from first_impression.common.files import listed

# The order of every label and score in this project: the annotation's own, without `interview`.
# A high "neuroticism" in this dataset means emotionally stable; values are kept as they are.
TRAITS = ("extraversion", "neuroticism", "agreeableness", "conscientiousness", "openness")

FRAME_SIZE = 224  # pixels, width and height of the frames that the networks take

UNZIPPED = Path("unzippedData")
IMAGES = Path("ImageData")
VOICES = Path("VoiceData")
ANNOTATIONS = Path("Annotations")
ALL_SPLITS = "annotations.csv"  # a file there with the labels of all splits

# Of the files that are taken for videos; ChaLearn's are .mp4
VIDEO_SUFFIXES = frozenset(".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .wmv .flv .ts .mts .3gp .ogv".split())


@dataclass(frozen=True)
class Split:
    """One split of the dataset and its names on disk, relative to the current folder."""

    name: str
    key: str  # first part of the record file's name and of the feature names inside it
    zip_prefix: str
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


TRAINING = Split("training", "train", "training80_", "trainingData")
VALIDATION = Split("validation", "val", "validation80_", "validationData")
TEST = Split("test", "test", "test80_", "testData")
SPLITS = (TRAINING, VALIDATION, TEST)


def split_named(name):
    """The split of this name: "training", "validation" or "test"."""
    return next(split for split in SPLITS if split.name == name)


@dataclass(frozen=True)
class Clip:
    """A clip and where its video comes from: an entry of a zip, or a file (`archive` is None)."""

    name: str  # file name without its suffix
    split: Split
    video: Path  # where it lies; of one in a zip, unzippedData/<zip>/<name>.mp4, whether or not it is there yet
    archive: Path | None = None
    entry: str = ""
    content: str = ""  # of the video as the zip's directory has it, see provenance.content_of; "" where there is no zip

    @property
    def frames(self):
        return IMAGES / self.split.folder / self.name

    @property
    def wav(self):
        return VOICES / self.split.folder / f"{self.name}.wav"


def name_of_video(file):
    """The name of the clip that a video's file name is of: without a suffix of VIDEO_SUFFIXES."""
    stem, dot, suffix = str(file).rpartition(".")
    return stem if f"{dot}{suffix}".lower() in VIDEO_SUFFIXES else str(file)


def clip_name(path):
    """The name of the clip that a video, a sound or a folder of frames is of."""
    return path.stem if path.suffix.lower() == ".wav" else name_of_video(path.name)


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
    """Raises `UserError` where the script `maker` has not ended for this shard in `folder`, nor for all clips.

    Without a shard, what another program has made is not refused, nor is what `maker` has made of shards alone.
    """
    if shard and not any(unusable_table(folder, ended).exists() for ended in (shard, "")):
        raise UserError(f"{folder} is without shard {shard}, or it did not end: run {maker} --SHARD {shard} first")
    if (folder / "settings.json").exists() and not listed(folder, "unusable*.csv"):
        raise UserError(f"{folder}: {maker} did not end there: run it again, so that no clip is missing or out of date")
