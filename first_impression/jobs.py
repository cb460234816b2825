"""Work over many clips: side by side, with a progress bar, skipping what is done, collecting the unusable."""

import contextlib
import csv
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor

from tqdm import tqdm

from first_impression import Problem, Unusable, chalearn
from first_impression.files import whole_file
from first_impression.script import STOPPING

NAMED = 5  # how many unusable clips a summary shows; the file lists them all


def progress(total, what, unit, done=0):
    """A progress bar on stderr with rate and time left; `done` units were there before this run."""
    on_screen = sys.stderr.isatty()
    return tqdm(
        total=total, initial=done, desc=what, unit=unit, dynamic_ncols=True, mininterval=0.5 if on_screen else 15
    )


def in_order(task, items, workers, processes=False):
    """Yield (item, task(item)) in the order of `items`, `workers` (0: one per core) tasks at a time.

    Threads suffice where the work is a child process or releases the GIL; `processes` is for work in Python.
    Few results wait at a time, so memory does not grow with the number of items. A raised `Unusable` is
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
            with _ignoring([signal.SIGINT] if processes else []):
                waiting.append((item, pool.submit(_attempt, task, item)))
            if len(waiting) >= 4 * workers:
                item, future = waiting.popleft()
                yield item, future.result()
        for item, future in waiting:
            yield item, future.result()
    except BrokenExecutor:
        raise Problem("a worker was killed, perhaps for want of memory: run this again, with fewer WORKERS") from None
    finally:
        with _ignoring(STOPPING):  # a second Ctrl-C would cut this in two, and the workers would wait for ever
            pool.shutdown(cancel_futures=True)


def _end_with_parent():
    """Let this worker end as soon as its parent does: it would wait for work for ever where that one is killed."""

    def wait():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@contextlib.contextmanager
def _ignoring(numbers):
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


def _attempt(task, item):
    try:
        return task(item)
    except Unusable as reason:
        return reason


def make_per_clip(make, clips, output, folder, workers, shard=""):
    """One step over all clips: `make(clip)` where the output, the clip's attribute of that name, is not there yet.

    Writes `folder`/unusable.csv (split, clip, reason) and ends in a printed summary. Returns
    {clip: what make returned} of the clips made in this run. With a shard, "3/16", only its clips count.
    Raises `Problem` where more than half of all clips are unusable: then it is not the clips' fault.
    """
    start = time.monotonic()
    for split in {getattr(clip, output).parent for clip in clips}:
        split.mkdir(parents=True, exist_ok=True)  # so the next step's shards know of it, also one without clips of it
    clips = [clip for clip in clips if chalearn.in_shard(clip.name, shard)]
    if not clips:
        print(f"{folder}: there are few clips, and none is in shard {shard}: nothing to do")
    listing = chalearn.unusable_table(folder, shard)
    listing.unlink(missing_ok=True)  # it is there only when the step has ended
    missing = [clip for clip in clips if not getattr(clip, output).exists()]
    made, unusable = {}, {}
    with progress(len(clips), folder.name, "clip", done=len(clips) - len(missing)) as bar:
        for clip, outcome in in_order(make, missing, workers):
            (unusable if isinstance(outcome, Unusable) else made)[clip] = outcome
            bar.update()
    with whole_file(listing) as growing, open(growing, "w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow(["split", "clip", "reason"])
        writer.writerows([clip.split.name, clip.name, str(reason)] for clip, reason in unusable.items())
    print(
        f"{folder}: {len(made)} clips made, {len(clips) - len(missing)} were there, {len(unusable)} unusable, "
        f"in {time.monotonic() - start:.0f} s"
    )
    for clip, reason in list(unusable.items())[:NAMED]:
        print(f"  unusable: {clip.name}: {reason}")
    if len(unusable) > NAMED:
        print(f"  and {len(unusable) - NAMED} more: see {listing}")
    if 2 * len(unusable) > len(clips):
        raise Problem(
            f"{len(unusable)} of {len(clips)} clips are unusable (see {listing}), so something "
            "other than the clips must be wrong: look at the reasons there, mend it and run this step again"
        )
    return made
