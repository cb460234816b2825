"""The visitors of the page and their clips: each visitor has a folder for as long as he or she stays.

What the page writes is all in one temporary folder. It goes when the page ends; where that was killed, the next start
removes it.
"""

import contextlib
import functools
import os
import secrets
import shutil
import stat
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from first_impression.common import files, signals
from first_impression.common.errors import UserError

PREFIX = "first-impression-page-"  # of such folders, in the system's for temporary files
UPLOADS = "uploads"  # in such a folder: what browsers and programs have just sent
LOCK = ".lock"  # what is added to a folder's name; who holds that file still works in the folder


@contextlib.contextmanager
def workplace():
    """The path of a new temporary folder for the block, removed after it."""
    place = Path(tempfile.gettempdir()).resolve()
    _sweep(place)
    folder = place / f"{PREFIX}{secrets.token_hex(8)}"
    with files.locked(_lock_of(folder), "the page"):  # before the folder is there, so that none is without
        folder.mkdir(0o700)
        clear = functools.partial(shutil.rmtree, folder, ignore_errors=True)
        try:
            with signals.at_stop(clear):
                yield folder
        finally:
            clear()


def _sweep(place):
    """Remove the folders of pages that were killed."""
    for folder in files.listed(place, f"{PREFIX}*"):
        lock = _lock_of(folder)
        if _is_own(folder, stat.S_IFDIR) and (_is_own(lock, stat.S_IFREG) or not os.path.lexists(lock)):
            with contextlib.suppress(UserError, OSError), files.locked(lock, "a page"):
                shutil.rmtree(folder, ignore_errors=True)


def _is_own(path, kind):
    """Whether `path` is of this kind, `stat.S_IFREG` or `stat.S_IFDIR`, this user's, and no link of either sort.

    In the system's temporary folder, every user can put links to files of others under names like ours.
    """
    try:
        found = path.lstat()
    except OSError:
        return False
    user = getattr(os, "getuid", lambda: found.st_uid)()  # Windows has a temporary folder for each user
    linked = kind == stat.S_IFREG and found.st_nlink > 1
    return stat.S_IFMT(found.st_mode) == kind and found.st_uid == user and not linked


def _lock_of(folder):
    return folder.with_name(f"{folder.name}{LOCK}")


@dataclass
class Visitor:
    """A visitor of the page. The name of the folder cannot be guessed: whoever knows it may see what is in there."""

    folder: Path
    takes: dict = field(default_factory=dict)  # number -> Take
    files: dict = field(default_factory=dict)  # number -> paths of the upload and of the take's clip, the same file
    count: int = 0  # of the takes so far, including those removed
    answered: list = field(default_factory=list)  # numbers of takes of which the page has not said whether to keep them
    served: int = 0  # questions of theirs that are being answered
    seen: float = 0.0  # when the last question was answered, by time.monotonic
    left: bool = False

    def add(self, number, upload, clip):
        """Make the uploaded file the `clip` of a take, a path in the folder.

        The upload stays, since another visitor may have sent the same file under the same name.
        """
        os.link(upload, clip)
        self.files[number] = upload, clip

    def remove(self, number):
        """Remove a take with all its files."""
        upload, clip = self.files.pop(number)
        with contextlib.suppress(FileNotFoundError):
            if upload.samefile(clip):  # and not what another visitor has sent since
                upload.unlink()
        for file in self.folder.glob(f"take-{number}.*"):
            file.unlink()
        self.takes.pop(number, None)


class Visitors:
    """All present visitors, by the name that Gradio gives to a session: a secret of the visitor's browser.

    They have their folders in `folder`, which is made for the first one. At most `most` are there at a time.
    """

    def __init__(self, folder, most):
        self.folder, self.most = Path(folder), most
        self._present = {}
        self._connected = Counter()  # session -> heartbeats, of present visitors and of those who sent nothing so far
        self._guard = threading.Lock()

    @contextlib.contextmanager
    def connected(self, session):
        """Keep the session for the block, which lasts as long as a browser's heartbeat, and end it afterwards."""
        with self._guard:
            self._connected[session] += 1
        try:
            yield
        finally:
            with self._guard:
                self._connected[session] -= 1
                if not self._connected[session]:
                    del self._connected[session]
                    self._leave(session)

    @contextlib.contextmanager
    def served(self, session):
        """The `Visitor` of that session, whose folder is kept at least until the end of the block.

        Raises `UserError` for a new visitor where there are too many.
        """
        with self._guard:
            visitor = self._present.get(session)
            if visitor is None:
                if len(self._present) >= self.most:
                    raise UserError(f"the page has {self.most} visitors, which is the most: try again later")
                visitor = self._present[session] = Visitor(self.folder / secrets.token_urlsafe(16))
                visitor.folder.mkdir(0o700, parents=True)
            visitor.served += 1
        try:
            yield visitor
        finally:
            with self._guard:
                visitor.served -= 1
                visitor.seen = time.monotonic()
                self._remove_if_left(visitor)

    def age_out(self, seconds):
        """End the sessions without a heartbeat whose last question was answered more than `seconds` ago."""
        with self._guard:
            for session, visitor in list(self._present.items()):
                idle = not visitor.served and visitor.seen < time.monotonic() - seconds
                if idle and session not in self._connected:
                    self._leave(session)

    def _leave(self, session):
        """End the session: remove all its files, at once or as soon as its last question is answered."""
        if visitor := self._present.pop(session, None):
            visitor.left = True
            self._remove_if_left(visitor)

    @staticmethod
    def _remove_if_left(visitor):
        if visitor.left and not visitor.served:
            for number in list(visitor.files):
                visitor.remove(number)
            shutil.rmtree(visitor.folder, ignore_errors=True)


def remove_old(folder, seconds):
    """Remove the files, and the empty folders, that have been in `folder` unchanged for `seconds`."""
    for path in sorted(Path(folder).rglob("*"), reverse=True):  # files before their folders
        with contextlib.suppress(OSError):  # it is not there any more, or a folder is not empty
            if path.lstat().st_mtime < time.time() - seconds:
                path.rmdir() if path.is_dir() else path.unlink()
