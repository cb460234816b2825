"""What the tests of hostile files share."""

import os
import subprocess
import sys

from conftest import HARM, PROJECT


class Runs:
    """An object whose pickle calls `function` when it is loaded."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


TOUCHES = Runs(os.system, f"touch {HARM}")


def limited(code):
    """Run Python code in a process that may take 2 GB; returns the lines that it printed and its peak memory in GB.

    The code can call `refused(function, *arguments)`, which prints the `UserError` that the call raises.
    """
    before = """
import resource
resource.setrlimit(resource.RLIMIT_DATA, (2 * 10**9,) * 2)
from first_impression.common.errors import UserError
def refused(function, *arguments):
    try: print("not refused:", function(*arguments))
    except UserError as problem: print(problem)
"""
    after = "\nprint(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-c", before + code + after]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    *lines, peak = done.stdout.splitlines()
    return lines, float(peak) / 1e6
