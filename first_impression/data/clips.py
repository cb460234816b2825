"""The clips of the dataset: found in whatever layout it is held, placed in their splits, unpacked from their zips."""

import dataclasses
import os
import re
import zlib
from collections import Counter
from pathlib import Path

from first_impression.common.checksums import checksum, checksum_of
from first_impression.common.errors import UserError, name_some
from first_impression.common.files import LONGEST_NAME, below, remove
from first_impression.common.parallel import progress
from first_impression.data import annotations, archives, delivered
from first_impression.data.chalearn import IMAGES, SPLITS, UNZIPPED, VOICES, Clip, is_video, name_of_video

INNER_ZIPS = UNZIPPED / ".zips"  # those that outer archives hold, each in a folder named by its checksum
NOT_OF_CLIPS = "__MACOSX"  # a folder of that system's own notes


class NoClips(UserError):
    """There is no clip at all."""


class TooLarge(UserError):
    """A zip unpacks to more than MAX_ZIP_MEGABYTES."""


def find_clips(data="data", most_megabytes=2000.0, password=""):
    """Every clip of every split in the folder `data`, however it is held there: a list of `Clip`, sorted by split.

    Found are videos at any depth, in zips too, and in zips inside zips, as ChaLearn's outer archives are: those are
    unpacked first, under a bar. A video that lies in unzippedData/ alone counts as well. Hidden files, `__MACOSX/` and
    files that are not videos are passed over.

    Annotations in ChaLearn's zips are unpacked first (delivered.py). They decide the split of a clip by its name; one
    that none of them knows is of the split that the nearest folder or zip names (train.., val.., test..). What cannot
    be placed is named in a printed line. A video that stands twice counts once.
    Raises `NoClips` where there is none, and `UserError` where a zip is damaged, wants a password that was not given or
    unpacks to more than `most_megabytes` (the scripts' MAX_ZIP_MEGABYTES), where an entry's path leaves the zip's
    folder, and where two different videos of a split have one name.
    """
    delivered.unpack_annotations(Path(data), password)
    split_of, placed, homeless, too_long = annotations.splits_of_clips(), {}, [], []
    for clip, folders in find_videos(Path(data), most_megabytes, password):
        split = split_of.get(clip.name) or _split_named_by(folders)
        if len(os.fsencode(max(f"{clip.name}.wav", clip.video.name, key=len))) > LONGEST_NAME:
            too_long.append(f"{clip.name[:40]}..")
            continue
        if split is None:
            homeless.append(clip.place)
            continue
        clip = dataclasses.replace(clip, split=split)
        first = placed.setdefault((split, clip.name), clip)
        if first is not clip and len({video.checksum or checksum(video.video) for video in (first, clip)}) > 1:
            places = " and ".join(str(video.archive or video.video) for video in (first, clip))
            raise UserError(f"two different videos have the name {clip.name}, in {places}: keep one of them")
    if too_long:
        print(f"videos passed over, since their names have more than {LONGEST_NAME} bytes: {name_some(too_long)}")
    if homeless:
        print(
            "videos passed over, since no annotation knows them and no folder's name begins with train, val or test: "
            f"{name_some(homeless)}"
        )
    if not placed:
        raise NoClips(
            f"no clips: {Path(data).absolute()} holds no videos that can be placed, and no zips of them. Put "
            "ChaLearn's zips there, or make a sample with sample_data.py"
        )
    return sorted(placed.values(), key=lambda clip: SPLITS.index(clip.split))


def find_videos(data, most_megabytes=2000.0, password=""):
    """All videos in `data` and of unzippedData/: [(`Clip` without a split, the folders and zips that it lies in)].

    The nearest folder comes first. Those in zips are known by the zips' directories.
    """
    loose, zips = _walk(data)
    found = [(clip, _folders(clip.video, data)) for clip in loose]  # before those in zips, which have to be unpacked
    queue = [(archive, archive, _folders(archive, data)) for archive in zips]  # (zip, outermost zip, where it lies)
    sizes, zipped, known = Counter(), set(), set()
    try:
        for archive, outer, above in queue:
            folder = archive.stem
            if folder in zipped:  # two zips of one name, in two folders
                folder = f"{folder[:40]}_{zlib.crc32(os.fsencode(archive)):08x}"
            zipped.add(folder)
            videos, inner_zips, size = _directory(archive, above, most_megabytes, below(UNZIPPED, folder))
            found += videos
            sizes[outer] += size
            _refuse_large(f"{outer}: the clips and zips in it", sizes[outer], most_megabytes, outer.stat().st_size)
            unpacked = _unpack_inner(archive, [info for info, _ in inner_zips], password)
            for inner, (_, folders) in zip(unpacked, inner_zips, strict=True):
                if inner not in known:
                    known.add(inner)
                    queue.append((inner, outer, folders))  # whose turn comes
    except TooLarge:
        for inner in [other for other, its_outer, _ in queue if its_outer == outer != other]:
            remove(inner.parent)
        raise
    names = {clip.name for clip, _ in found}
    for clip in _walk(UNZIPPED)[0]:  # a copy, where the video is in `data`; and of a zip there, the zip alone counts
        if clip.video.relative_to(UNZIPPED).parts[0] not in zipped and clip.name not in names:
            found.append((clip, _folders(clip.video, UNZIPPED)))
    return found


def _walk(folder):
    """(the videos as `Clip`, the zips) in `folder` at any depth, sorted. Links to folders are followed, each once."""
    clips, zips, irregular, split_zips = [], [], [], []
    seen = {os.path.realpath(made) for made in (UNZIPPED, IMAGES, VOICES) if made != folder}  # what the steps make

    def refuse(error):
        raise error  # os.walk would take a folder that may not be read for an empty one

    for here, folders, names in os.walk(folder, followlinks=True, onerror=refuse if Path(folder).exists() else None):
        folders[:] = sorted(name for name in folders if name[0] != "." and name != NOT_OF_CLIPS)
        if (real := os.path.realpath(here)) in seen:
            folders.clear()
            continue
        seen.add(real)
        for name in sorted(names):
            if name[0] == ".":
                continue
            path = Path(here, name)
            if name.lower().endswith(".zip") or is_video(name):
                if path.exists() and not path.is_file():  # to read a device or a pipe would never end
                    irregular.append(path)
                elif is_video(name):
                    clips.append(Clip(name_of_video(name), None, path))
                else:
                    zips.append(path)
            elif re.search(r"\.(zip\.\d+|z\d\d)$", name, re.I):
                split_zips.append(path)
    if irregular:
        print(f"passed over, since they are not regular files: {name_some(map(str, irregular))}")
    if split_zips:
        print(f"passed over, since they are parts of a split zip: {name_some(map(str, split_zips))}. {archives.JOIN}")
    return clips, zips


def _folders(path, data):
    """The names of the folders that a path in `data` lies in, the nearest first."""
    return (*reversed(path.relative_to(data).parts[:-1]), data.name)


def _split_named_by(folders):
    """The split whose key the nearest folder's or zip's name begins with: train, training80_01, TRAIN, train-1 .."""
    names = (folder.lower() for folder in folders)
    return next((split for name in names for split in SPLITS if name.startswith(split.key)), None)


def _directory(archive, above, most_megabytes, folder):
    """What a zip's directory lists: (its videos, as `find_videos` gives them; the zips in it; their size together).

    The zips are [(`ZipInfo`, folders and zips)]; `above` are those that this one lies in, `folder` is the one that its
    videos are unpacked to.
    """
    videos, inner_zips, size = {}, [], 0
    with archives.open_zip(archive) as opened:
        names = archives.names_in(archive, opened)
        for info in opened.infolist():
            parts = archives.parts_of(archive, names[info.filename])
            name, is_hidden = name_of_video(parts[-1]), parts[-1].startswith(".") or NOT_OF_CLIPS in parts
            folders = (*reversed(parts[:-1]), archive.stem, *above)
            target = below(folder, parts[-1])
            clip = Clip(name, None, target, archive, info.filename, checksum_of(info.file_size, info.CRC))
            if is_video(parts[-1]) and not is_hidden and name not in videos:
                videos[name] = clip, folders
                size += info.file_size
                continue
            archives.check_name(archive, opened, info)
            if is_video(parts[-1]) and not is_hidden and videos[name][0].checksum != clip.checksum:
                entries = f"{videos[name][0].entry!r} and {info.filename!r}"
                raise UserError(f"{archive}: two different videos have one name, {entries}: keep one of them")
            if parts[-1].lower().endswith(".zip") and not is_hidden:
                inner_zips.append((info, folders))
    # Here for all clips together, since entries may share their bytes. None unpacks to more than the zip declares:
    # zipfile reads no further, and compares the checksum there
    _refuse_large(f"{archive}: its clips", size, most_megabytes)
    return list(videos.values()), inner_zips, size + sum(info.file_size for info, _ in inner_zips)


def _refuse_large(what, size, most_megabytes, packed=0):
    """Raises `TooLarge` where `size` bytes are too many.

    `packed` is how large an outer archive is. ChaLearn's are above the limit themselves, and both what they hold and
    what that holds in turn are as large as they are: only what unpacking adds to this counts.
    """
    if size > most_megabytes * 1e6 + 2 * packed:
        raise TooLarge(
            f"{what} unpack to {size / 1e6:,.0f} MB, MAX_ZIP_MEGABYTES is {most_megabytes:,.0f}: "
            "raise it if the zip is what you expect"
        )


def _unpack_inner(outer, inner_zips, password):
    """Make sure that the zips that are entries of an outer archive lie in unzippedData/.zips/; returns their paths.

    Each lies in a folder named by its checksum: a changed one gets another path, and equal ones share theirs.
    """
    paths = []
    size = sum(info.file_size for info in inner_zips)
    with progress(size, f"unpacking {outer.name}", "B", delay=2, unit_scale=True) as bar:
        for info in inner_zips:
            folder = INNER_ZIPS / checksum_of(info.file_size, info.CRC)
            path = below(folder, f"{Path(archives.parts_of(outer, info.filename)[-1]).stem[:60]}.zip")
            if not path.exists():
                archives.unpack(outer, info.filename, path, password, by=f"-{os.getpid()}")
            paths.append(path)
            bar.update(info.file_size)
    return paths


def unzip(clip, password="", by=""):
    """Make sure that `clip.video` is there, whole and as the zip has it; returns its path.

    `password` opens encrypted zips. Several processes may do this side by side, each with another text `by`.
    Raises `UserError` where the zip is encrypted and the password is missing or wrong, or its bytes are damaged.
    """
    if clip.archive is not None and not (clip.video.exists() and checksum(clip.video) == clip.checksum):
        archives.unpack(clip.archive, clip.entry, clip.video, password, by)
    return clip.video
