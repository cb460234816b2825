"""The clips of the dataset: found in whatever layout it is held, placed in their splits, unpacked from their zips."""

import contextlib
import os
import re
import shutil
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from first_impression.common.errors import UserError, damage_as_user_error, name_some, short_message
from first_impression.common.files import whole_file
from first_impression.common.parallel import progress
from first_impression.common.provenance import Ledger, content_name
from first_impression.data import annotations
from first_impression.data.chalearn import IMAGES, SPLITS, UNZIPPED, VIDEO_SUFFIXES, VOICES, Clip, name_of_video

PASSWORD_VARIABLE = "CHALEARN_ZIP_PASSWORD"
INNER_ZIPS = UNZIPPED / ".zips"  # those that outer archives hold
NOT_OF_CLIPS = "__MACOSX"  # a folder of that system's own notes


class NoClips(UserError):
    """There is no clip at all."""


class Found(NamedTuple):
    """A video, before its split is known."""

    name: str  # the clip's
    video: Path
    folders: tuple  # names of the folders and zips that it lies in, the nearest first
    archive: Path | None = None
    entry: str = ""
    content: str = ""  # as the zip's directory has it

    @property
    def place(self):
        return f"{self.archive}: {self.entry}" if self.archive else str(self.video)


def find_clips(data="data", most_megabytes=2000.0, password=""):
    """Every clip of every split in the folder `data`, however it is held there: a list of `Clip`, sorted.

    Found are videos at any depth, in zips too, and in zips inside zips, as ChaLearn's outer archives are: those are
    unpacked first, under a bar. What lies in unzippedData/ of zips that are not here counts as well. Hidden files,
    `__MACOSX/` and files that are not videos are passed over.

    The annotations decide the split of a clip by its name; one that none of them knows is of the split that the nearest
    folder or zip names (train.., val.., test..). What cannot be placed is told in a printed line. A video that stands
    twice counts once.
    Raises `NoClips` where there is none, and `UserError` where a zip is damaged, wants a password that was not given or
    unpacks to more than `most_megabytes` (the scripts' MAX_ZIP_MEGABYTES), where an entry's path leaves the zip's
    folder, and where two different videos of a split have one name.
    """
    of_clip, clips, homeless = annotations.splits_of_clips(), {}, []
    ledger = Ledger(UNZIPPED, "-found")
    for each in find_videos(Path(data), most_megabytes, password):
        split = of_clip.get(each.name) or _split_by_folder(each)
        if split is None:
            homeless.append(each.place)
            continue
        clip = Clip(each.name, split, each.video, each.archive, each.entry, each.content)
        first = clips.setdefault((split, clip.name), clip)
        if first is not clip and len({each.content or ledger.content(each.video) for each in (first, clip)}) > 1:
            places = " and ".join(str(of.archive or of.video) for of in (first, clip))
            raise UserError(f"two different videos have the name {clip.name}, in {places}: keep one of them")
    if homeless:
        print(
            "videos passed over, since no annotation knows them and no folder's name begins with train, val or test: "
            f"{name_some(homeless)}"
        )
    if not clips:
        raise NoClips(
            f"no clips: {Path(data).absolute()} holds no videos that can be placed, and no zips of them. Put "
            "ChaLearn's zips there, or make a sample with sample_data.py"
        )
    order = {split: number for number, split in enumerate(SPLITS)}
    return sorted(clips.values(), key=lambda clip: order[clip.split])


def find_videos(data, most_megabytes=2000.0, password=""):
    """All videos in `data` and of unzippedData/, each a `Found`; those in zips by the zips' directories."""
    loose, archives = _walk(data)
    inside = {archive: infos for archive in archives if (infos := _inner_zips(archive))}
    for outer, infos in inside.items():
        archives += _unpack_inner(outer, infos, most_megabytes, password)
    found = [_loose(video, data) for video in loose]  # before those in zips, which would have to be unpacked
    found += [video for archive in archives for video in _videos_of_zip(archive, data, most_megabytes)]
    zipped = {archive.stem for archive in archives}
    for video in _walk(UNZIPPED)[0]:  # of a zip that is here, the zip alone says what is in it
        if video.relative_to(UNZIPPED).parts[0] not in zipped:
            found.append(_loose(video, UNZIPPED))
    return found


def _walk(folder):
    """(the videos, the zips) in `folder` at any depth, sorted. Links to folders are followed, each folder once."""
    videos, archives = [], []
    seen = {os.path.realpath(each) for each in (UNZIPPED, IMAGES, VOICES) if each != folder}  # what the steps make

    def refuse(error):
        raise error  # os.walk would take a folder that may not be read for an empty one

    for here, folders, names in os.walk(folder, followlinks=True, onerror=refuse if Path(folder).exists() else None):
        folders[:] = sorted(name for name in folders if name[0] != "." and name != NOT_OF_CLIPS)
        if (real := os.path.realpath(here)) in seen:
            folders.clear()
            continue
        seen.add(real)
        for name in sorted(names):
            suffix = os.path.splitext(name)[1].lower()
            if name[0] != "." and (suffix == ".zip" or suffix in VIDEO_SUFFIXES):
                (archives if suffix == ".zip" else videos).append(Path(here, name))
    return videos, archives


def _loose(video, data):
    return Found(name_of_video(video.name), video, (*reversed(video.relative_to(data).parts[:-1]), data.name))


def _split_by_folder(found):
    """The split whose key the nearest folder's or zip's name begins with: train, training80_01, TRAIN, train-1 .."""
    names = (folder.lower() for folder in found.folders)
    return next((split for name in names for split in SPLITS if name.startswith(split.key)), None)


def _videos_of_zip(archive, data, most_megabytes):
    """The videos that a zip holds, by its directory: a list of `Found`."""
    videos, size = {}, 0
    inside = archive.relative_to(data).parts[:-1] if archive.is_relative_to(data) else archive.parts[-2:-1]
    with _open_zip(archive) as opened:
        for info in opened.infolist():
            parts = _parts(archive, info.filename)
            name = name_of_video(parts[-1])
            is_video = name != parts[-1] and not parts[-1].startswith(".") and NOT_OF_CLIPS not in parts
            folders = (*reversed(parts[:-1]), archive.stem, *reversed(inside), data.name)
            content = content_name(info.file_size, info.CRC)
            video = Found(name, UNZIPPED / archive.stem / parts[-1], folders, archive, info.filename, content)
            if is_video and name not in videos:
                videos[name] = video
                size += info.file_size
                continue
            _check_name(archive, opened, info)
            if is_video and videos[name].content != content:
                entries = f"{videos[name].entry} and {info.filename}"
                raise UserError(f"{archive}: two different videos have one name, {entries}: keep one of them")
    # Here for all clips together, since entries may share their bytes. None unpacks to more than the zip declares:
    # zipfile reads no further, and compares the checksum there
    _refuse_large(f"{archive}: its clips", size, most_megabytes)
    return list(videos.values())


def _refuse_large(what, size, most_megabytes):
    if size > most_megabytes * 1e6:
        raise UserError(
            f"{what} unpack to {size / 1e6:,.0f} MB, MAX_ZIP_MEGABYTES is {most_megabytes:,.0f}: "
            "raise it if the zip is what you expect"
        )


def _parts(archive, entry):
    """The folders and the name in an entry's path. Raises `UserError` for one that leaves the zip's own folder."""
    parts = re.split(r"[/\\]", entry)
    if ".." in parts or parts[0] == "" or re.match("[A-Za-z]:", entry):
        raise UserError(f"{archive}: the entry {entry!r} would leave its folder; this is not a zip of ChaLearn's")
    return parts


def _inner_zips(archive):
    """The entries of a zip that are zips themselves: a list of `zipfile.ZipInfo`."""
    with _open_zip(archive) as opened:
        infos = [info for info in opened.infolist() if PurePosixPath(info.filename).suffix.lower() == ".zip"]
        return [info for info in infos if NOT_OF_CLIPS not in _parts(archive, info.filename)]


def _unpack_inner(outer, infos, most_megabytes, password):
    """Make sure that the zips that are `infos` in an outer archive lie in unzippedData/.zips/; returns their paths."""
    ledger = Ledger(INNER_ZIPS)
    for info in infos:
        _refuse_large(f"{outer}: {info.filename}", info.file_size, most_megabytes)
    paths = [INNER_ZIPS / outer.stem / _parts(outer, info.filename)[-1] for info in infos]
    size = sum(info.file_size for info in infos)
    with progress(size, f"unpacking {outer.name}", "B", delay=2, unit_scale=True) as bar:
        for info, path in zip(infos, paths, strict=True):
            content = content_name(info.file_size, info.CRC)
            if ledger.content(path) != content:
                _unpack(outer, info.filename, path, password, ledger, by=f"-{os.getpid()}")
            bar.update(info.file_size)
    return paths


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


def is_encrypted(archive):
    """Whether an entry of this zip needs a password. Raises `UserError` for a damaged zip."""
    with _open_zip(archive) as opened:
        return any(info.flag_bits & 0x1 for info in opened.infolist())


def unzip(clip, password="", ledger=None, by=""):
    """Make sure that `clip.video` is there, whole and as the zip has it; returns its path.

    `password` opens encrypted zips, `ledger` is one of unzippedData/. Several processes may do this side by side, each
    with another text `by`.
    Raises `UserError` where the zip is encrypted and the password is missing or wrong, or its bytes are damaged.
    """
    ledger = ledger or Ledger(UNZIPPED)
    if clip.archive is not None and ledger.content(clip.video) != clip.content:
        _unpack(clip.archive, clip.entry, clip.video, password, ledger, by)
    return clip.video


def _unpack(archive, entry, path, password, ledger, by):
    """Unpack one entry of a zip to `path`, and note it. Of several passwords, with spaces between, each is tried."""
    password = password or os.environ.get(PASSWORD_VARIABLE, "")
    passwords = list(dict.fromkeys([password, *password.split()])) if password else []
    with _open_zip(archive) as opened, whole_file(path, by) as tmp:
        info = opened.getinfo(entry)
        if info.compress_type == zipfile.ZIP_BZIP2:  # zipfile unpacks 16 kB of that to 18 GB at once, if they are so
            raise UserError(f"{archive}: {entry} is packed with bzip2, which is not safe to unpack: repack it")
        encrypted = info.flag_bits & 0x1
        if encrypted and not passwords:
            raise UserError(
                f"{archive} is encrypted, as ChaLearn's test zips are: give the password that ChaLearn sent "
                f"you as --ZIP_PASSWORD=... or in the environment variable {PASSWORD_VARIABLE}"
            )
        for password in passwords if encrypted else [""]:
            with damage_as_user_error(f"{archive} is damaged at {entry}", "fetch the zip again"):
                try:
                    with opened.open(entry, pwd=password.encode() or None) as source, open(tmp, "wb") as target:
                        shutil.copyfileobj(source, target, 1 << 14)  # LZMA makes 115 MB of that at most
                    ledger.note(path, tmp, {"archive": archive.name}, content_name(info.file_size, info.CRC))
                    return
                except NotImplementedError as error:  # a RuntimeError too, so it stands first
                    raise UserError(
                        f"{archive} is packed in a way that Python cannot read ({short_message(error)}): repack it"
                    ) from None
                except RuntimeError:  # zipfile's way to say: wrong password
                    continue
                except (zipfile.BadZipFile, zlib.error):  # one in 256 wrong passwords is only told by the bytes
                    if not encrypted or password == passwords[-1]:
                        raise
        raise UserError(f"{archive}: the zip password is wrong (checked on {entry})")
