"""Many things at a time, in order, under a progress bar."""

import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor

from tqdm import tqdm

from first_impression.common import signals
from first_impression.common.errors import BadClipError, UserError


class Bar(tqdm):
    """A tqdm bar that shows itself once per `mininterval` at most, however often it is given something to show.

    What it shows last it shows when it is closed. On a screen it is there from the start, and each state takes the
    place of the one before; without one, as in the log of a batch job, each is a line, and the first comes after
    `mininterval`: work of a few seconds has one line.
    """

    def __init__(self, *arguments, **options):
        self._shown = -math.inf if sys.stderr.isatty() else time.monotonic()  # when
        super().__init__(*arguments, **options)

    def refresh(self, *arguments, **options):
        now = time.monotonic()
        if now - self._shown >= self.mininterval:
            self._shown = now
            super().refresh(*arguments, **options)

    @staticmethod
    def status_printer(file):
        if file.isatty():
            return tqdm.status_printer(file)
        before = []

        def show(state):
            file.write("\n".join([*before, state]))  # `close` ends the last line
            file.flush()
            before[:] = [""]

        return show


def progress(total, what, unit, done=0, **options):
    """A progress bar on stderr with rate and time left; `done` units were there before this run.

    On a screen it changes twice a second; a log gets a line every 15 s, or as often as tqdm's own environment variable
    TQDM_MININTERVAL says. `options` are those of tqdm: `delay=2` shows the bar only where the work takes longer than
    two seconds.
    """
    interval = float(os.environ.get("TQDM_MININTERVAL", 0.5 if sys.stderr.isatty() else 15))
    return Bar(total=total, initial=done, desc=what, unit=unit, dynamic_ncols=True, mininterval=interval, **options)


def in_order(task, items, workers, processes=False):
    """Yield (item, task(item)) in the order of `items`, `workers` (0: one per core) tasks at a time.

    Threads suffice where the work is a child process or releases the GIL; `processes` is for work in Python.
    Few results wait at a time, so memory does not grow with the number of items. A raised `BadClipError` is
    yielded as the result; any other error of a task ends the run.
    """
    workers = workers or os.cpu_count()
    if processes:
        # spawn, since a fork would copy the threads of libraries half
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _end_with_parent)
    else:
        pool = ThreadPoolExecutor(workers)
    waiting = deque()
    try:
        for item in items:
            # a worker that starts now inherits it: Ctrl-C is ours to handle
            with signals.ignored([signal.SIGINT] if processes else []):
                waiting.append((item, pool.submit(_attempt, task, item)))
            if len(waiting) >= 4 * workers:
                item, future = waiting.popleft()
                yield item, future.result()
        for item, future in waiting:
            yield item, future.result()
    except BrokenExecutor:
        raise UserError("a worker was killed, perhaps for want of memory: run this again, with fewer WORKERS") from None
    finally:
        with signals.ignored(
            signals.STOPPING
        ):  # a second Ctrl-C would cut this in two, and the workers would wait for ever
            pool.shutdown(cancel_futures=True)


def _end_with_parent():
    """Let this worker end as soon as its parent does: it would wait for work for ever where that one is killed."""

    def wait():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _attempt(task, item):
    try:
        return task(item)
    except BadClipError as reason:
        return reason
