"""Files: outputs that are complete or absent, locks, checksums, JSON.

An output is written to `.partial.<name>` and gets its final name when it is complete. After a kill the next run
overwrites that file, so nothing piles up.
"""

import contextlib
import errno
import fnmatch
import hashlib
import json
import os
import re
import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from first_impression.common.errors import UserError, damage_as_user_error

# A list of plain numbers in indented JSON; in a JSON string a line break is escaped, so none matches
NUMBERS = re.compile(r"\[\n[-+.,\s\dEe]*\]")
LONGEST_NAME = 255  # bytes, of a file on all common file systems
LOCK_TIMEOUT = 1.0  # seconds: a child that a killed script had just forked holds its lock until it has become ffmpeg


def partial(path, by=""):
    """The temporary path for the output `path`: hidden, so that it is not mistaken for a clip.

    Where several processes may write the same output, `by` tells them apart.
    """
    name = f".partial.{path.name}{by}"
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f".partial.{hashlib.sha256(os.fsencode(name)).hexdigest()}{path.suffix}"
    return path.with_name(name)


def below(folder, name):
    """The path `name`, which a zip, a manifest or a log gives, in `folder`.

    Raises `UserError` where that is not below the folder.
    """
    path = Path(folder, name)
    if Path(os.path.abspath(folder)) not in Path(os.path.abspath(path)).parents:
        raise UserError(f"the name {str(name)!r} would leave the folder {folder}: nothing is written there")
    return path


def refuse_packing(archive, *allowed):
    """Raises `ValueError` where an entry of the opened zip is packed in another way than those `allowed`.

    Of bzip2, zipfile unpacks whatever it reads at once: gigabytes out of kilobytes, whatever size the zip declares.
    """
    for info in archive.infolist():
        if info.compress_type not in allowed:
            raise ValueError(f"{info.filename[:80]!r} is packed in a way that is not used here")


@contextlib.contextmanager
def whole_file(path, by=""):
    """Yield a temporary path to write to; rename it to `path` if the block succeeds, remove it otherwise.

    Raises `UserError` if `path` is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path} is a folder in the place of an output: move it away")
    path.parent.mkdir(parents=True, exist_ok=True)
    tmp = partial(path, by)
    tmp.unlink(missing_ok=True)  # an ffmpeg that outlived its killed script may still write to the old one
    try:
        yield tmp
        os.replace(tmp, path)
    finally:
        tmp.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path, by=""):
    """Yield an empty temporary folder to fill; if the block succeeds, rename it to `path`, replacing what was there.

    Raises `UserError` if `path` is a file.
    """
    path = Path(path)
    if path.is_file():
        raise UserError(f"{path} is a file in the place of an output: move it away")
    tmp, old = partial(path, by), partial(path, f"{by}-old")
    for stale in (tmp, old):
        while stale.exists():
            try:
                remove(stale)
            except OSError as error:  # such an ffmpeg still adds files, and soon ends
                if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
                    raise
    tmp.mkdir(parents=True)
    try:
        yield tmp
        if path.exists():  # os.replace does not replace a folder that has files in it
            os.replace(path, old)
        os.replace(tmp, path)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def remove(path):
    """Remove a file, or a folder with its contents; a missing one is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def where_allowed():
    """Ignore missing permissions in the block, which writes something that can be done without."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise


@contextlib.contextmanager
def locked(path, work):
    """Hold the lock file `path` in the block, so that no second process does the same `work` (words for the message).

    The system frees the lock when the process ends, however it ends. A file system without locks leaves the work
    unguarded. Raises `UserError` where another process holds the lock, and `OSError` where `path` is a link.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=LOCK_TIMEOUT, on_acquired=_write_process_number)
    try:
        lock.acquire()
    except Timeout:
        holder = ""
        with contextlib.suppress(OSError):  # it may have just ended
            holder = f" (process {path.read_text().strip()})"
        raise UserError(f"{work} is already running here{holder}; wait for it, or stop it") from None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows removes the file itself, once the lock is released
            path.unlink()
        lock.release()


def _write_process_number(lock):
    os.ftruncate(lock, 0)  # of a process that was killed
    os.write(lock, b"%d\n" % os.getpid())


def listed(folder, pattern):
    """The paths in `folder` whose names match `pattern`, sorted; none if the folder is missing.

    Raises `OSError` for a folder without read permission, which `Path.glob` would treat as empty.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(Path(folder) / name for name in names if fnmatch.fnmatchcase(name, pattern))


def md5(path):
    """The file's MD5 as hexadecimal text."""
    return digests(path, "md5")[0]


def sha256(path):
    """The file's SHA-256 as hexadecimal text."""
    return digests(path, "sha256")[0]


def digests(path, *kinds):
    """The file's digests of these kinds, "md5" or "sha256", as hexadecimal texts. It is read once."""
    found = [hashlib.new(kind) for kind in kinds]
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            for digest in found:
                digest.update(chunk)
    return [digest.hexdigest() for digest in found]


def write_json(path, value, by=""):
    """Write `value` as indented JSON, complete or not at all, with each list of plain numbers on one line."""
    text = NUMBERS.sub(lambda match: " ".join(match[0].split()), json.dumps(value, indent=1))
    with whole_file(path, by) as tmp:
        tmp.write_text(f"{text}\n", encoding="utf-8")


def read_record(path, fields, remedy):
    """What a file of `write_json` puts on record, {name: {field: value}} with these `fields`; {} without such a file.

    Raises `UserError` for a damaged one, with the `remedy`.
    """
    if not path.exists():
        return {}
    with damage_as_user_error(f"{path} is damaged", remedy):
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: {field: entry[field] for field in fields} for name, entry in found.items()}
