"""Checksums of files and folders, and the stat by which an unchanged one is known without reading it.

A checksum is a file's size and CRC-32, as a zip's directory has them for each entry. Equal stats save reading; times
alone never decide that two files are the same or that they differ.
"""

import hashlib
import os
import stat
import zlib
from pathlib import Path

CHUNK = 1 << 20  # bytes read at a time


def checksum(path, tell=lambda count: None):
    """The checksum "<size>-<CRC-32>" of a file; of a folder that of the list of its files' names and checksums.

    `tell` is called with the number of bytes of a file as they are read.
    """
    path = Path(path)
    if path.is_dir():
        lines = [f"{name} {checksum(path / name)}\n" for name in sorted(os.listdir(path))]
        listing = "".join(lines).encode(errors="surrogateescape")
        return checksum_of(len(listing), zlib.crc32(listing))
    size = crc32 = 0
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            size, crc32 = size + len(chunk), zlib.crc32(chunk, crc32)
            tell(len(chunk))
    return checksum_of(size, crc32)


def checksum_of(size, crc32):
    """The checksum of a file of this size and CRC-32."""
    return f"{size}-{crc32:08x}"


def stat_key(path):
    """The names, sizes and times in nanoseconds of a file, or of the files in a folder, as text; "" if not there."""
    try:
        entry = os.stat(path)
        if not stat.S_ISDIR(entry.st_mode):
            return f"{entry.st_size} {entry.st_mtime_ns}"
        with os.scandir(path) as entries:
            stats = sorted((entry.name, entry.stat()) for entry in entries)
    except FileNotFoundError:
        return ""
    files = [(name, entry.st_size, entry.st_mtime_ns) for name, entry in stats]
    return hashlib.blake2b(repr(files).encode(errors="surrogateescape"), digest_size=16).hexdigest()


def is_unchanged(path, known_stat, known_checksum):
    """Whether `path` is there with the checksum that was known for it; read only where its stat differs."""
    now = stat_key(path)
    return bool(now) and (now == known_stat or checksum(path) == known_checksum)
