"""The ChaLearn First Impressions dataset as it lies on disk: splits, traits, zips, annotations."""

import contextlib
import os
import re
import shutil
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from first_impression.common.errors import UserError, damage_as_user_error, short_message
from first_impression.common.files import listed, whole_file
from first_impression.common.provenance import Ledger, content_name, content_of

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
    content: str = ""  # of the video as the zip's directory has it, see provenance.content_of; "" where there is no zip

    @property
    def frames(self):
        return IMAGES / self.split.folder / self.name

    @property
    def wav(self):
        return VOICES / self.split.folder / f"{self.name}.wav"


def find_clips(data="data", most_megabytes=2000.0):
    """Every clip of every split: from the zips in the folder `data`, and what is unpacked of other zips.

    Returns a list of `Clip`, sorted by split, zip and name. Entries that are not clips (`__MACOSX/`, text
    files, folders) are passed over. A video that stands twice counts once, the first time.
    Raises `UserError` where there is neither zip nor clip, where a zip is damaged or its clips unpack to more than
    `most_megabytes` (the scripts' MAX_ZIP_MEGABYTES), where an entry's path leaves the zip's folder, and where two
    different videos have one name.
    """
    clips = {}
    for split in SPLITS:
        archives = listed(data, f"{split.zip_prefix}*.zip")
        found = [clip for archive in archives for clip in _clips_of_zip(split, archive, most_megabytes)]
        for folder in filter(Path.is_dir, listed(UNZIPPED, f"{split.zip_prefix}*")):
            if folder.name not in {archive.stem for archive in archives}:  # else the zip alone says what is in it
                videos = listed(folder, "[!.]*.[mM][pP]4")
                found += [Clip(clip_name(video), split, video) for video in videos]
        for clip in found:
            first = clips.setdefault((split, clip.name), clip)
            if first is not clip and _content(first) != _content(clip):
                places = " and ".join(str(each.archive or each.video) for each in (first, clip))
                raise UserError(f"two different videos have the name {clip.name}, in {places}: keep one of them")
    if not clips:
        patterns = " or ".join(f"{split.zip_prefix}*.zip" for split in SPLITS)
        raise UserError(
            f"no clips: {Path(data).absolute()} holds no {patterns} with videos in it. "
            "Put ChaLearn's zips there, or make a sample with sample_data.py"
        )
    return list(clips.values())


def _content(clip):
    return clip.content or content_of(clip.video)


def clip_name(path):
    """The name of the clip that a video, a sound or a folder of frames is of."""
    return path.stem if path.suffix.lower() in (".mp4", ".wav") else path.name


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


def _clips_of_zip(split, archive, most_megabytes):
    clips, size = {}, 0
    with _open_zip(archive) as opened:
        for info in opened.infolist():
            entry = info.filename
            parts = re.split(r"[/\\]", entry)
            if ".." in parts or parts[0] == "" or re.match("[A-Za-z]:", entry):
                raise UserError(
                    f"{archive}: the entry {entry!r} would leave its folder; this is not a zip of ChaLearn's"
                )
            video = UNZIPPED / archive.stem / parts[-1]
            is_clip = parts[-1].lower().endswith(".mp4") and not parts[-1].startswith(".") and "__MACOSX" not in parts
            clip = Clip(video.stem, split, video, archive, entry, content_name(info.file_size, info.CRC))
            if is_clip and video.stem not in clips:
                clips[video.stem] = clip
                size += info.file_size
                continue
            _check_name(archive, opened, info)
            if is_clip and clips[video.stem].content != clip.content:
                entries = f"{clips[video.stem].entry} and {entry}"
                raise UserError(f"{archive}: two different videos have one name, {entries}: keep one of them")
    # Here for all clips together, since entries may share their bytes. None unpacks to more than the zip declares:
    # zipfile reads no further, and compares the checksum there
    if size > most_megabytes * 1e6:
        raise UserError(
            f"{archive}: its clips unpack to {size / 1e6:,.0f} MB, MAX_ZIP_MEGABYTES is {most_megabytes:,.0f}: "
            "raise it if the zip is what you expect"
        )
    return list(clips.values())


def _check_name(archive, opened, info):
    """Where an entry is passed over: its name stands twice in a zip, so damage to one of them would lose a clip."""
    # RuntimeError: encrypted, or packed in an unknown way; the names were compared before
    with (
        damage_as_user_error(f"{archive} is damaged at {info.filename!r}", "fetch the zip again"),
        contextlib.suppress(RuntimeError),
    ):
        opened.open(info).close()


def _open_zip(archive):
    with damage_as_user_error(f"{archive} is not a complete zip", "fetch it again"):
        return zipfile.ZipFile(archive)


def unzip(clip, password="", ledger=None, by=""):
    """Make sure that `clip.video` is there, whole and as the zip has it; returns its path.

    `password` opens encrypted zips, `ledger` is one of unzippedData/. Several processes may do this side by side, each
    with another text `by`.
    Raises `UserError` where the zip is encrypted and the password is missing or wrong, or its bytes are damaged.
    """
    ledger = ledger or Ledger(UNZIPPED)
    if clip.archive is None or ledger.content(clip.video) == clip.content:
        return clip.video
    password = password or os.environ.get(PASSWORD_VARIABLE, "")
    with _open_zip(clip.archive) as opened, whole_file(clip.video, by) as tmp:
        if opened.getinfo(clip.entry).flag_bits & 0x1 and not password:
            raise UserError(
                f"{clip.archive} is encrypted, as ChaLearn's test zips are: give the password that ChaLearn sent "
                f"you as --ZIP_PASSWORD=... or in the environment variable {PASSWORD_VARIABLE}"
            )
        with damage_as_user_error(f"{clip.archive} is damaged at {clip.entry}", "fetch the zip again"):
            try:
                with opened.open(clip.entry, pwd=password.encode() or None) as source, open(tmp, "wb") as target:
                    shutil.copyfileobj(source, target, 1 << 14)  # bzip2 makes up to 300 MB of that, whatever it says
            except NotImplementedError as error:  # a RuntimeError too, so it stands first
                raise UserError(
                    f"{clip.archive} is packed in a way that Python cannot read ({short_message(error)}): repack it"
                ) from None
            except RuntimeError:  # zipfile's way to say: wrong password
                raise UserError(f"{clip.archive}: the zip password is wrong (checked on {clip.entry})") from None
        ledger.note(clip.video, tmp, {"archive": clip.archive.name}, clip.content)  # zipfile has compared it
    return clip.video
