"""Ctrl-C and SIGTERM: how they end a script, and how a block of work delays or ignores them.

A signal raises `Stopped` in the main thread, so that what is half done is cleaned up. Where that takes longer than
`PATIENCE`, since Python cannot interrupt a call into a library or a thread, the process ends all the same: outputs are
whole or not there at any moment.
"""

import contextlib
import os
import signal
import socket
import threading
import time

STOPPING = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C, and what clusters and system shutdowns send
PATIENCE = 1.5  # seconds that a script has to end by itself
FAREWELL = "stopped. Complete outputs stay; the same command does the rest."

_actions = []  # what a signal that ends the script does at once
_delayed = []  # not empty: the next signal is delayed
_wakeup = []  # the socket that the interpreter writes the numbers of signals to, once `listen` was called


class Stopped(KeyboardInterrupt):
    """The script was asked to stop, by the signal `number` of STOPPING."""

    def __init__(self, number):
        super().__init__()
        self.number = number


def listen():
    """Make the signals of STOPPING raise `Stopped` from here on, and end the process `PATIENCE` seconds later."""
    for number in STOPPING:
        signal.signal(number, _stop)
    if not _wakeup:
        receiver, sender = socket.socketpair()
        sender.setblocking(False)
        _wakeup.append(sender)
        threading.Thread(target=_watch, args=[receiver], daemon=True).start()
    signal.set_wakeup_fd(_wakeup[0].fileno(), warn_on_full_buffer=False)


def _stop(number, frame):
    _act()
    raise Stopped(number)


def _watch(receiver):
    """End the process some time after a signal that was neither delayed nor ignored, if it still runs."""
    while number := receiver.recv(1):
        if _delayed:
            _delayed.clear()
        elif signal.getsignal(number[0]) is _stop:
            time.sleep(PATIENCE)
            _act()
            os.write(2, f"\n{FAREWELL}\n".encode())
            os._exit(128 + number[0])


@contextlib.contextmanager
def at_stop(action):
    """In the block, a signal that ends this script calls `action()` at once, perhaps more than once, in any thread."""
    _actions.append(action)
    try:
        yield
    finally:
        _actions.remove(action)


def _act():
    for action in list(_actions):
        action()


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

    _delayed.append(True)
    before = [signal.signal(number, note) for number in STOPPING]
    try:
        yield lambda: received
    finally:
        _delayed.clear()
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
