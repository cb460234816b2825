"""A signal ends a script soon, whatever its threads and children do."""

import signal
import subprocess
import sys
import time

import pytest
from conftest import PROJECT

from first_impression.common import signals

# What keeps a script busy: a thread that no signal interrupts, a child that never ends, a call that swallows the signal
BUSY = {
    "thread": "threading.Thread(target=time.sleep, args=[60]).start(); print('busy', flush=True); time.sleep(60)",
    "child": """
with subprocess.Popen(["sh", "-c", "trap '' TERM INT; while :; do sleep 0.1; done"]) as child:
    with signals.at_stop(child.kill):
        print("busy", flush=True)
        child.wait()
""",
    "call": """
print("busy", flush=True)
while True:
    with contextlib.suppress(signals.Stopped):
        time.sleep(60)
""",
}
SCRIPT = """
import contextlib, subprocess, sys, threading, time
sys.path.insert(0, {project!r})
from first_impression.common import script, signals
def main(settings):
{body}
if __name__ == "__main__":
    script.run(main)
"""


@pytest.mark.parametrize("number", signals.STOPPING)
@pytest.mark.parametrize("busy", BUSY)
def test_a_signal_ends_a_busy_script_within_two_seconds(folder, busy, number):
    body = "\n".join(f"    {line}" for line in BUSY[busy].splitlines())
    (folder / "busy.py").write_text(SCRIPT.format(project=str(PROJECT), body=body))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen([sys.executable, "busy.py"], **pipes, start_new_session=True) as process:
        assert process.stdout.readline() == "busy\n"
        process.send_signal(number)
        start = time.monotonic()
        said = process.stdout.read()  # ends once no process has the pipe, the child included
        assert process.wait() == 128 + number
    assert signals.FAREWELL in said and "Traceback" not in said
    assert time.monotonic() - start < signals.PATIENCE + 3  # of slack for a busy machine


def test_a_delayed_stop_may_take_longer(folder):
    body = """
    with signals.delayed_stop() as stop_signal:
        print("busy", flush=True)
        while not stop_signal():
            time.sleep(0.01)
        time.sleep(signals.PATIENCE + 1)
        print("saved", flush=True)
    raise signals.Stopped(stop_signal())
"""
    (folder / "busy.py").write_text(SCRIPT.format(project=str(PROJECT), body=body))
    with subprocess.Popen([sys.executable, "busy.py"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "busy\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "saved\n"
        assert process.wait() == 143
