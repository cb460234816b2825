"""Where the visitors' clips lie, and when they go."""

import contextlib
import signal
import subprocess
import sys
import tempfile

import pytest
from conftest import PROJECT

from first_impression.page.visitors import PREFIX, Visitors, workplace


@pytest.fixture(autouse=True)
def temporary(folder, monkeypatch):
    """The system's folder for temporary files, for this test alone."""
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_two_visitors_have_folders_of_their_own_that_go_when_they_leave(folder):
    visitors = Visitors(folder / "visitors")
    with visitors.served("anna") as anna, visitors.served("ben") as ben:
        assert anna.folder != ben.folder
        for visitor in (anna, ben):
            assert visitor.folder.stat().st_mode & 0o77 == 0
            (visitor.folder / "take-1.webm").touch()
    with visitors.served("anna") as again:
        assert again is anna
    visitors.leave("anna")
    assert not anna.folder.exists() and ben.folder.exists() and len(visitors) == 1
    visitors.leave("anna")  # a page can end twice
    with visitors.served("anna") as anew:
        assert anew is not anna and not anew.takes


def test_who_leaves_while_being_answered_is_removed_after_that(folder):
    visitors = Visitors(folder / "visitors")
    with contextlib.suppress(ZeroDivisionError), visitors.served("anna") as anna:
        visitors.leave("anna")
        (anna.folder / "take-1.webm").touch()
        raise ZeroDivisionError
    assert not anna.folder.exists()


@pytest.mark.slow
def test_the_workplace_goes_at_the_end_and_leaves_others_alone(folder):
    (folder / "mine").mkdir()
    with contextlib.suppress(KeyboardInterrupt), workplace() as first, workplace() as second:
        assert first != second and first.is_dir() and second.is_dir() and first.stat().st_mode & 0o77 == 0
        raise KeyboardInterrupt
    assert [path.name for path in folder.iterdir()] == ["mine"]


def test_what_a_killed_page_has_left_is_swept_at_the_next_start(folder):
    code = f"""
import os, signal, sys, tempfile
sys.path.insert(0, {str(PROJECT)!r})
tempfile.tempdir = {str(folder)!r}
from first_impression.page.visitors import workplace
with workplace() as place:
    (place / "clip.webm").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    assert len(list(folder.glob(f"{PREFIX}*/clip.webm"))) == 1
    with workplace():
        assert not list(folder.glob(f"{PREFIX}*/clip.webm"))
    assert not list(folder.iterdir())
