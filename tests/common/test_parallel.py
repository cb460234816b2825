"""The progress bar in a log, and the order of results."""

import os
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
        bar.set_postfix_str(f"loss {{number}}", refresh=False)
        bar.update()
print("done")
"""


def log_of(seconds, environment):
    """The lines that a job of so many seconds leaves in a log, with these environment variables."""
    code = WORK.format(project=str(PROJECT), seconds=seconds)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "done\n" and "\r" not in done.stderr
    return done.stderr.splitlines()


@pytest.mark.slow
def test_a_log_has_a_line_at_the_start_one_per_interval_and_one_at_the_end(folder):
    first, last = log_of(0.1, {})  # well under 15 s
    assert "0/200" in first and re.match(r"work: 100%.* 200/200 .*loss 199", last)
    lines = log_of(1.05, {"TQDM_MININTERVAL": "0.25"})
    assert 4 <= len(lines) < 50 and "200/200" in lines[-1]  # of 200 states
    shown = [int(re.search(r"(\d+)/200", line)[1]) for line in lines]
    assert shown == sorted(shown)


@pytest.mark.parametrize("processes", [False, True])
def test_results_come_in_order(processes):
    found = list(parallel.in_order(abs, [-3, 1, -2], 2, processes))
    assert found == [(-3, 3), (1, 1), (-2, 2)]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system binds no process to cores")
def test_workers_are_as_many_as_the_cores_that_the_process_may_use():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert parallel.usable_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(
    ("groups", "limits", "cores"),
    [
        ("0::/", {"cpu.max": "max 100000"}, None),
        ("0::/", {"cpu.max": "100000 100000"}, 1),
        ("0::/job/step", {"job/cpu.max": "50000 100000", "job/step/cpu.max": "max 100000"}, 1),
        (
            "3:cpuset:/job\n1:cpu,cpuacct:/job",
            {"cpu/job/cpu.cfs_quota_us": "-1", "cpu/job/cpu.cfs_period_us": "9"},
            None,
        ),
        ("1:cpu:/job", {"cpu/cpu.cfs_quota_us": "90000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ("7:memory:/job", {"cpu/job/cpu.cfs_quota_us": "1", "cpu/job/cpu.cfs_period_us": "9"}, None),
    ],
)
def test_workers_are_as_many_as_the_control_group_allows(folder, groups, limits, cores):
    (folder / "own").write_text(f"{groups}\n")
    for name, limit in limits.items():
        path = folder / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{limit}\n")
    everything = parallel.usable_cores(folder / "cgroup", folder / "nothing")
    assert parallel.usable_cores(folder / "cgroup", folder / "own") == (cores or everything)
