"""Ctrl-C and SIGTERM: how they end a script, and how a block of work puts them off."""

import contextlib
import os
import signal
import threading

STOPPING = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C, and what clusters and shutdowns send


class Stopped(KeyboardInterrupt):
    """Somebody wants the script to end: raised by a signal of STOPPING, `number`."""

    def __init__(self, number):
        super().__init__()
        self.number = number


def listen():
    """From here on the signals of STOPPING raise `Stopped`."""
    for number in STOPPING:
        signal.signal(number, _stop)


def _stop(number, frame):
    raise Stopped(number)


@contextlib.contextmanager
def delayed_stop():
    """In the block a signal only asks for an end, so that no step is cut in two: gives a function that says which came.

    It returns 0 as long as none did. The first signal is noted, a second one interrupts at once.
    """
    asked = [0]

    def note(number, frame):
        asked[0] = number
        listen()
        os.write(2, b"\nstopping after this step ...\n")  # print may not interrupt a print

    before = [signal.signal(number, note) for number in STOPPING]
    try:
        yield lambda: asked[0]
    finally:
        for number, handler in zip(STOPPING, before, strict=True):
            signal.signal(number, handler)


@contextlib.contextmanager
def ignored(numbers):
    """Ignore these signals in the block; only the main thread can, and only it is interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
