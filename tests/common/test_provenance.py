"""The ledger: what is noted of outputs, and when a file is read."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from first_impression.common import provenance
from first_impression.common.provenance import Ledger


@pytest.fixture
def read(monkeypatch):
    """The names of the files and folders that were read, as a list that grows."""
    names, content_of = [], provenance.content_of

    def noted(path, *more):
        names.append(Path(path).name)
        return content_of(path, *more)

    monkeypatch.setattr(provenance, "content_of", noted)
    return names


def make(ledger, path, text, made_from):
    path.parent.mkdir(exist_ok=True)
    tmp = path.with_name("tmp")
    tmp.write_text(text)
    ledger.note(path, tmp, made_from)
    tmp.rename(path)


def test_a_file_is_read_where_its_signs_differ_and_then_noted(folder, read):
    path = folder / "made/a"
    make(Ledger("made"), path, "one", 1)
    read.clear()
    assert Ledger("made").is_made_from(path, 1) and not Ledger("made").is_made_from(path, 2) and not read
    os.utime(path, ns=(0, 0))
    assert Ledger("made").is_made_from(path, 1) and read == ["a"]
    assert Ledger("made").is_made_from(path, 1) and read == ["a"]
    path.write_text("two")
    assert not Ledger("made").is_made_from(path, 1) and Ledger("made").content("made/none") == ""


def test_of_a_folder_every_file_counts(folder):
    ledger = Ledger(".")
    for change in (lambda: Path("a/1").write_text("1"), lambda: Path("a/2").write_text("2"), Path("a/1").unlink):
        Path("a").mkdir(exist_ok=True)
        before = ledger.content("a")
        change()
        assert ledger.content("a") != before


def test_the_last_thing_made_counts_until_an_earlier_one_is_made_again(folder):
    ledger, path = Ledger("made"), folder / "made/a"
    make(ledger, path, "one", 1)
    shutil.copy2(path, "older")
    make(ledger, path, "two", 2)
    shutil.copy2("older", path)  # brought back, with its time
    for each in (ledger, Ledger("made")):
        assert path in each and not each.is_last_made(path, each.content(path)) and not each.is_made_from(path, 2)
    assert ledger.is_made_from(path, 1)  # its source is back as well
    assert Ledger("made").is_last_made(path, ledger.content(path))


def test_a_line_that_was_cut_short_does_not_spoil_the_next_one(folder):
    path = folder / "made/a"
    make(Ledger("made"), path, "one", 1)
    notes = Path("made/provenance.jsonl")
    notes.write_bytes(notes.read_bytes()[:-9])
    assert path not in Ledger("made")
    make(Ledger("made"), path, "two", 2)
    assert Ledger("made").is_made_from(path, 2)


def test_processes_side_by_side_read_each_others_notes(folder):
    for number in (1, 2):
        make(Ledger("made", f"-{number}-of-2"), folder / f"made/{number}", "text", number)
    assert all(Ledger("made").is_made_from(folder / f"made/{number}", number) for number in (1, 2))
    (folder / "made/1").unlink()
    Ledger("made").forget_missing()
    assert [path.read_text().count("content") for path in sorted(Path("made").glob("*.jsonl"))] == [0, 1]


def test_in_a_folder_of_others_nothing_is_noted_and_all_is_known(folder, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    Path("a").write_text("one")
    monkeypatch.setattr(os, "open", refuse)
    assert Ledger(".").content("a") == provenance.content_of("a")
