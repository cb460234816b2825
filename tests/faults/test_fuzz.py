"""Tables, manifests, recipes and zips as Hypothesis invents them: read or refused, in little memory, nothing outside.

A hundred of each; the soak tries 10,000. FAULTS_SEED=1 in the environment tries others.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SEED = os.environ.get("FAULTS_SEED", "0")
MOST_MEGABYTES = 500  # of which NumPy, pandas and Hypothesis take some 150 before the first input


@pytest.mark.parametrize("count", [100, pytest.param(10_000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("kind", ["tables", "manifests", "recipes", "zips"])
def test_invented_files_are_read_or_refused(folder, kind, count):
    Path("inside").mkdir()
    command = [sys.executable, str(Path(__file__).with_name("fuzz.py")), kind, str(count), SEED]
    done = subprocess.run(command, cwd="inside", capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, done.stderr[-5000:]
    found = json.loads(done.stdout)
    print(kind, found)
    assert found["megabytes"] < MOST_MEGABYTES
    assert found["read"] > count // 100 and found["refused"] > count // 100  # neither by chance
    assert os.listdir(".") == ["inside"]
