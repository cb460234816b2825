"""The progress bar in a log, and many things at a time."""

import re
import subprocess
import sys

import pytest
from conftest import PROJECT

from first_impression.common import parallel

WORK = """
import sys, time
sys.path.insert(0, {project!r})
from first_impression.common.parallel import progress
with progress(200, "work", "step") as bar:
    for number in range(200):
        time.sleep({seconds} / 200)
        bar.set_postfix_str(f"loss {{number}}")
        bar.update()
print("done")
"""


def log_of(seconds, interval):
    """What a job of so many seconds leaves in a log, as lines, with the environment's TQDM_MININTERVAL."""
    code = WORK.format(project=str(PROJECT), seconds=seconds)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=interval, check=True)
    assert done.stdout == "done\n" and "\r" not in done.stderr.replace("\r\n", "\n").lstrip("\r")
    return done.stderr.splitlines()


@pytest.mark.slow
def test_a_log_has_a_line_per_interval_and_the_last(folder):
    (line,) = log_of(0.1, {})  # 15 s are not over
    assert re.match(r"work: 100%.* 200/200 .*loss 199", line)
    lines = log_of(1.05, {"TQDM_MININTERVAL": "0.25"})
    assert 3 <= len(lines) < 50 and "200/200" in lines[-1]  # of 200 states
    shown = [int(re.search(r"(\d+)/200", line)[1]) for line in lines]
    assert shown == sorted(shown) and shown[0] > 0


@pytest.mark.parametrize("processes", [False, True])
def test_results_come_in_order(processes):
    found = list(parallel.in_order(abs, [-3, 1, -2], 2, processes))
    assert found == [(-3, 3), (1, 1), (-2, 2)]
