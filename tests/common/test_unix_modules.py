"""Every script and module of the package can be imported without the modules that Windows lacks."""

import subprocess
import sys

import pytest
from conftest import PROJECT

IMPORTER = """
import builtins, importlib, pathlib, sys

UNIX_ONLY = {"_posixshmem", "fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
project, python_import = pathlib.Path(sys.argv[1]), builtins.__import__

def import_as_on_windows(name, globals=None, *more, **options):
    importer = pathlib.Path((globals or {}).get("__file__") or "")
    is_ours = importer.parent == project or importer.is_relative_to(project / "first_impression")
    if name.partition(".")[0] in UNIX_ONLY and is_ours:
        raise ImportError(f"{importer} imports {name}")
    return python_import(name, globals, *more, **options)

sys.path.insert(0, str(project))
builtins.__import__ = import_as_on_windows
for path in [*project.glob("*.py"), *project.glob("first_impression/**/*.py")]:
    importlib.import_module(".".join(path.relative_to(project).with_suffix("").parts).removesuffix(".__init__"))
"""


@pytest.mark.slow
def test_no_import_needs_a_module_that_windows_lacks():
    """Python's own modules and the libraries keep them here: on Windows they have others."""
    done = subprocess.run([sys.executable, "-c", IMPORTER, PROJECT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
