"""A visitor's folder: private, and removed once nobody is there and no answer is being made."""

import contextlib
import os
import tempfile

from first_impression.page.visitors import PREFIX, Visitors, workplace


def test_each_visitor_has_a_private_folder_until_he_or_she_leaves(folder):
    visitors = Visitors(folder / "visitors", most=2)
    with visitors.connected("anna"), visitors.served("anna") as anna, visitors.served("ben") as ben:
        assert anna.folder != ben.folder
        assert not (anna.folder.stat().st_mode | ben.folder.stat().st_mode) & 0o77
    assert not anna.folder.exists() and ben.folder.exists()
    with visitors.served("anna") as again:
        assert again.folder != anna.folder and not again.takes


def test_visitor_who_leaves_during_an_answer_is_removed_after_it(folder):
    visitors = Visitors(folder / "visitors", most=2)
    with contextlib.suppress(ZeroDivisionError), visitors.served("anna") as anna:
        with visitors.connected("anna"):
            pass
        assert anna.folder.exists()
        (anna.folder / "take-1.webm").touch()
        raise ZeroDivisionError
    assert not anna.folder.exists()


def test_folder_of_a_killed_page_is_removed_on_windows_too(folder, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.delattr(os, "getuid")
    (folder / f"{PREFIX}left").mkdir()
    with workplace() as own:
        assert [path for path in folder.iterdir() if path.is_dir()] == [own]
