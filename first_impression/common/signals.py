"""Ctrl-C and SIGTERM: how they end a script, and how a block of work delays or ignores them."""

import contextlib
import os
import signal
import threading

STOPPING = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C, and what clusters and system shutdowns send


class Stopped(KeyboardInterrupt):
    """The script was asked to stop, by the signal `number` of STOPPING."""

    def __init__(self, number):
        super().__init__()
        self.number = number


def listen():
    """Make the signals of STOPPING raise `Stopped` from here on."""
    for number in STOPPING:
        signal.signal(number, _stop)


def _stop(number, frame):
    raise Stopped(number)


@contextlib.contextmanager
def delayed_stop():
    """Let the block finish its step when a signal comes; yields a function that returns the signal's number, or 0.

    The first signal is only noted, a second one interrupts at once.
    """
    received = 0

    def note(number, frame):
        nonlocal received
        received = number
        listen()
        os.write(2, b"\nstopping after this step ...\n")  # print may not interrupt a print

    before = [signal.signal(number, note) for number in STOPPING]
    try:
        yield lambda: received
    finally:
        for number, handler in zip(STOPPING, before, strict=True):
            signal.signal(number, handler)


@contextlib.contextmanager
def ignored(numbers):
    """Ignore these signals in the block, if it runs in the main thread: only that one is interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
