"""Progress bars, and tasks that run several at a time with their results in order."""

import contextlib
import math
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

from tqdm import tqdm

from first_impression.common import signals
from first_impression.common.errors import BadClipError, UserError


def progress(total, what, unit, done=0, **options):
    """A progress bar on stderr with rate and time left; `done` units were there before this run.

    On a screen it changes twice a second. A log gets a line at the start, one every 15 s and one at the end. tqdm's
    environment variable TQDM_MININTERVAL sets another number of seconds. `options` are those of tqdm: `delay=2` shows
    the bar only where the work takes longer than two seconds. Text for the bar is set with `refresh=False`, since
    tqdm would show it at once otherwise.
    """
    screen = sys.stderr.isatty()
    options |= {
        "file": None if screen else SimpleNamespace(write=_write_line),
        "mininterval": float(os.environ.get("TQDM_MININTERVAL", 0.5 if screen else 15)),
        "miniters": 1,  # look at the clock at each update
    }
    return tqdm(total=total, initial=done, desc=what, unit=unit, dynamic_ncols=True, **options)


def _write_line(state):
    """A state of a bar as a line of a log: tqdm would write each one over the one before."""
    if state.strip():
        print(state.strip(), file=sys.stderr, flush=True)


def usable_cores(cgroups="/sys/fs/cgroup", own="/proc/self/cgroup"):
    """How many cores this process may use: a scheduler or a container may have given it fewer than there are.

    `cgroups` and `own` are where Linux tells the time on the processors that is allotted to groups of processes, and
    which groups this process is in; cgroups(7).
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        groups = [line.split(":", 2) for line in Path(own).read_text().splitlines()]
    except OSError:  # another system
        return cores
    for _, controllers, path in groups:
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = Path(cgroups, controllers and "cpu")
        here = root / path.lstrip("/")
        for folder in (here, *here.parents):  # the limits above hold as well
            cores = min(cores, _allotted(folder))
            if folder == root:
                break
    return cores


def _allotted(folder):
    """How many cores a control group may use, at least 1; infinite where it has no limit."""
    files = [folder / "cpu.max"], [folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us"]  # version 2, version 1
    for paths in files:
        with contextlib.suppress(OSError, ValueError):  # not there; "max" or -1 is no limit
            quota, period = map(int, " ".join(path.read_text() for path in paths).split())
            if quota > 0 and period > 0:
                return max(1, math.ceil(quota / period))
    return math.inf


def in_order(task, items, workers, processes=False):
    """Yield (item, task(item)) in the order of `items`, `workers` (0: one per core) tasks at a time.

    Threads suffice where the work is a child process or releases the GIL; `processes` is for work in Python.
    Few results wait at a time, so memory does not grow with the number of items. A `BadClipError` that a task raises
    is yielded as its result; any other error ends the run. Raises `UserError` where a worker process was killed.
    """
    workers = workers or usable_cores()
    if processes:
        # spawn: a forked worker would have the locks of libraries' threads, and not the threads
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _end_with_parent)
    else:
        pool = ThreadPoolExecutor(workers)
    waiting = deque()
    try:
        for item in items:
            # a worker process that starts now inherits this: Ctrl-C is for the script to handle
            with signals.ignored([signal.SIGINT] if processes else []):
                waiting.append((item, pool.submit(_attempt, task, item)))
            if len(waiting) >= 4 * workers:
                item, future = waiting.popleft()
                yield item, future.result()
        for item, future in waiting:
            yield item, future.result()
    except BrokenExecutor:
        raise UserError("a worker was killed, perhaps for lack of memory: run this again with fewer WORKERS") from None
    finally:
        with signals.ignored(signals.STOPPING):  # a second Ctrl-C in here would leave the workers waiting forever
            pool.shutdown(cancel_futures=True)


def _end_with_parent():
    """End this worker as soon as its parent ends: it would wait for work forever where the parent is killed."""

    def wait():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _attempt(task, item):
    try:
        return task(item)
    except BadClipError as reason:
        return reason
