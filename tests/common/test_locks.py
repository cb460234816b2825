"""The lock that keeps a second process from doing the same work."""

import errno
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import PROJECT

from first_impression.common.errors import UserError
from first_impression.common.files import locked

HOLDER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from first_impression.common.files import locked
with locked(".lock", "a test"):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_the_lock_of_a_running_process_is_refused_and_that_of_a_killed_one_is_free_at_once(folder):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, PROJECT], stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(UserError, match=rf"this is already running here \(process {holder.pid}\); wait for it"):
            with locked(".lock", "this"):
                pytest.fail("two at once")
        holder.kill()
    begun = time.monotonic()
    with locked(".lock", "this"):
        assert time.monotonic() - begun < 20 and Path(".lock").read_text() == f"{os.getpid()}\n"
    assert not list(folder.iterdir())


def test_a_link_in_the_place_of_a_lock_is_not_followed(folder):
    Path("file").write_text("content")
    Path(".lock").symlink_to("file")
    with pytest.raises(OSError, match="symbolic link"), locked(".lock", "this"):
        pytest.fail("the link was followed")
    assert Path("file").read_text() == "content"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
def test_a_file_system_without_locks_leaves_work_unguarded(folder, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(".lock", "this"):
        pass
    assert not list(folder.iterdir())
