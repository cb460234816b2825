"""What outputs were made from, by content: noted when they are made, compared before they are taken for done.

The content of a file is its size and CRC-32, as a zip's directory has it for each entry. Reading is saved where the
cheap signs (names, sizes, times in nanoseconds) are those that were noted with a content; where they differ, as those
of a copy do, the files are read once and noted anew. Times alone never decide that two things are the same.
"""

import hashlib
import json
import os
import stat
import zlib
from pathlib import Path

from first_impression.common.files import listed, where_allowed, whole_file

CHUNK = 1 << 20  # bytes read at a time


class Ledger:
    """The notes on the outputs in `folder`: JSON lines in `provenance.jsonl`, of which the last one on a name counts.

    Processes that work in one folder side by side each have a `suffix` and a file of their own; all of them are read.
    A line is {"name", "signs", "content"}, with "made_from" for what this project has made.
    """

    def __init__(self, folder, suffix=""):
        self._folder, self._file = Path(folder), Path(folder) / f"provenance{suffix}.jsonl"
        self.suffix = suffix
        self._notes = {}  # name -> its notes
        self._made = {}  # name -> {file of notes: the content that was made last}
        for file in listed(self._folder, "provenance*.jsonl"):
            for name, note in _notes_in(file):
                self._take(file, name, note)

    def _take(self, file, name, note):
        self._notes.setdefault(name, []).append(note)
        if note["made_from"] is not None:
            self._made.setdefault(name, {})[file] = note["content"]

    def content(self, path):
        """The content of a file or a folder of files, as text; "" where there is none. Read only if it is not known."""
        signs = signs_of(path)
        if not signs:
            return ""
        known = [note["content"] for note in self._notes.get(self._name(path), []) if note["signs"] == signs]
        if known:
            return known[-1]
        content = content_of(path)
        with where_allowed():  # in a folder of others, the next run reads it again
            self._add(path, signs, content, None)
        return content

    def is_made_from(self, path, made_from):
        """Whether `path` is there as it was when it was made from `made_from`, a value that JSON can hold."""
        notes = [note for note in self._notes.get(self._name(path), []) if note["made_from"] == made_from]
        content = self.content(path) if notes else ""
        if content not in [note["content"] for note in notes]:
            return False
        if not self.is_last_made(path, content):  # it was brought back, with what it was made from
            self._add(path, signs_of(path), content, made_from)
        return True

    def __contains__(self, path):
        """Whether something was made at `path`, whatever is there now."""
        return self._name(path) in self._made

    def is_last_made(self, path, content):
        """Whether what was made last at `path`, from whatever, had this content. Of several processes, by any."""
        return content in self._made.get(self._name(path), {}).values()

    def note(self, path, tmp, made_from, content=""):
        """Note that `tmp`, which is about to be renamed to `path`, was made from `made_from`.

        Before the renaming: a kill between the two leaves a note without its output, which is then made again.
        `content` is that of `tmp` where it is known already.
        """
        self._add(path, signs_of(tmp), content or content_of(tmp), made_from)

    def forget_missing(self):
        """Remove the notes on what is not there any more, in the files of this suffix, and of its shards."""
        for file in listed(self._folder, f"{self._file.stem}*.jsonl"):
            left = [(name, note) for name, note in _notes_in(file) if (self._folder / name).exists()]
            with whole_file(file) as tmp:
                tmp.write_text("".join(_line(name, note) for name, note in left), encoding="utf-8")

    def _add(self, path, signs, content, made_from):
        note = {"signs": signs, "content": content, "made_from": made_from}
        self._take(self._file, self._name(path), note)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(file, _line(self._name(path), note).encode())  # one call: lines of threads do not mix
        finally:
            os.close(file)

    def _name(self, path):
        return os.path.relpath(path, self._folder)


def _notes_in(file):
    """Yield (name, note) of each line of a ledger's file that is one."""
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            note = json.loads(line)
            yield note["name"], {"signs": note["signs"], "content": note["content"], "made_from": note.get("made_from")}
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # the line that a killed process was at: what it noted counts as not noted


def _line(name, note):
    # The line break comes first: a line that a full disk or a crash has cut short does not spoil the next one
    return "\n" + json.dumps({"name": name, **note})


def signs_of(path):
    """The names, sizes and times in nanoseconds of a file, or of the files in a folder, as text; "" if not there."""
    try:
        here = os.stat(path)
        if not stat.S_ISDIR(here.st_mode):
            return f"{here.st_size} {here.st_mtime_ns}"
        with os.scandir(path) as entries:
            files = sorted((entry.name, of.st_size, of.st_mtime_ns) for entry in entries for of in [entry.stat()])
    except FileNotFoundError:
        return ""
    return hashlib.blake2b(repr(files).encode(errors="surrogateescape"), digest_size=16).hexdigest()


def content_of(path, tell=lambda count: None):
    """The content of a file: "<size>-<CRC-32>"; of a folder: that of the list of its files' names and contents.

    `tell` is called with the number of bytes of a file as they are read.
    """
    path = Path(path)
    if path.is_dir():
        lines = [f"{name} {content_of(path / name)}\n" for name in sorted(os.listdir(path))]
        listing = "".join(lines).encode(errors="surrogateescape")
        return content_name(len(listing), zlib.crc32(listing))
    size = checksum = 0
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            size, checksum = size + len(chunk), zlib.crc32(chunk, checksum)
            tell(len(chunk))
    return content_name(size, checksum)


def content_name(size, crc32):
    """What `content_of` gives for a file of this size and CRC-32."""
    return f"{size}-{crc32:08x}"
