"""The visitors of the page and their clips: each visitor has a folder for as long as he or she stays.

What the page writes is all in one temporary folder. It goes when the page ends; where that was killed, the next start
removes it.
"""

import contextlib
import os
import secrets
import shutil
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

from first_impression.common import files
from first_impression.common.errors import UserError

PREFIX = "first-impression-page-"  # of such folders, in the system's for temporary files
LOCK = ".lock"  # what is added to a folder's name; who holds that file still works in the folder


@contextlib.contextmanager
def workplace():
    """The path of a new temporary folder for the block, removed after it."""
    place = Path(tempfile.gettempdir()).resolve()
    _sweep(place)
    folder = place / f"{PREFIX}{secrets.token_hex(8)}"
    with files.locked(_lock_of(folder), "the page"):  # before the folder is there, so that none is without
        folder.mkdir(0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _sweep(place):
    """Remove the folders of pages that were killed."""
    for folder in files.listed(place, f"{PREFIX}*"):
        if folder.is_dir() and folder.stat().st_uid == os.getuid():
            with contextlib.suppress(UserError), files.locked(_lock_of(folder), "a page"):
                shutil.rmtree(folder, ignore_errors=True)


def _lock_of(folder):
    return folder.with_name(f"{folder.name}{LOCK}")


@dataclass
class Visitor:
    """A visitor of the page. The name of the folder cannot be guessed: whoever knows it may see what is in there."""

    folder: Path
    takes: dict = field(default_factory=dict)  # number -> Take
    count: int = 0  # of the takes so far, including those removed
    served: int = 0  # questions of theirs that are being answered
    left: bool = False


class Visitors:
    """All present visitors, by the name that Gradio gives to a session: a secret of the visitor's browser."""

    def __init__(self, folder):
        self._folder = Path(folder)
        self._present = {}
        self._guard = threading.Lock()

    def __len__(self):
        return len(self._present)

    @contextlib.contextmanager
    def served(self, session):
        """The `Visitor` of that session, whose folder is kept at least until the end of the block."""
        with self._guard:
            visitor = self._present.get(session)
            if visitor is None:
                visitor = self._present[session] = Visitor(self._folder / secrets.token_urlsafe(16))
                visitor.folder.mkdir(0o700, parents=True)
            visitor.served += 1
        try:
            yield visitor
        finally:
            with self._guard:
                visitor.served -= 1
                self._remove_if_gone(visitor)

    def leave(self, session):
        """End the session: remove all its files, at once or as soon as its last question is answered."""
        with self._guard:
            if visitor := self._present.pop(session, None):
                visitor.left = True
                self._remove_if_gone(visitor)

    @staticmethod
    def _remove_if_gone(visitor):
        if visitor.left and not visitor.served:
            visitor.takes.clear()
            shutil.rmtree(visitor.folder, ignore_errors=True)
