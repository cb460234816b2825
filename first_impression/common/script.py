"""The frame around a script's `main`: its settings, its lock, and its errors and signals as a line and an exit status.

A script ends in a call of `run`:

    if __name__ == "__main__":
        script.run(main)

`main` receives the settings (settings.py): an object with one attribute per constant at the script's top.
"""

import contextlib
import errno
import os
import re
import sys
from pathlib import Path

from first_impression.common import signals
from first_impression.common.errors import UserError
from first_impression.common.files import locked
from first_impression.common.settings import read_settings

# What to do about errors of the machine
REMEDIES = dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room")
REMEDIES |= dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "get permission, or work in a folder of your own")
REMEDIES |= dict.fromkeys((errno.EMFILE, errno.ENFILE), "allow more open files (ulimit -n), or lower WORKERS")
REMEDIES |= {errno.EFBIG: "allow larger files (ulimit -f)"}

CONTROL = re.compile(r"[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # but for tabs and line breaks


def _say_stopped(kind, error, trace):
    """Print a line, not a traceback, for a Ctrl-C while a script still imports its libraries, before `run`."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        os.write(2, b"\nstopped before any work began\n")


sys.excepthook = _say_stopped


def run(main, inputs="", recipes=False, single_instance=None):
    """Call `main(settings)` for the script that defines it, and leave the process with its exit status.

    `inputs` names what the command line takes besides flags, one or more words ("[NAMES]": any number), which become
    the list of that name in the settings. With `recipes` it takes the path of a recipe instead. `single_instance`, a
    tuple of names of settings, keeps a second process of the script with the same values of these from working in the
    same folder.

    Statuses: 0 done; 1 for a `UserError`, a refused setting or an error of the machine (a full disk, no permission),
    with a line on stderr; 130 stopped by Ctrl-C, 143 by SIGTERM. Any other error is a bug and keeps its traceback.
    """
    name = Path(main.__globals__["__file__"]).name
    sys.stdout.reconfigure(errors="backslashreplace")  # the name of a file need not be valid text
    _show_escapes(sys.stdout)
    _show_escapes(sys.stderr)
    signals.listen()
    try:
        settings = read_settings(main.__globals__, sys.argv[1:], inputs, recipes)
        with contextlib.nullcontext() if single_instance is None else _lock(name, settings, single_instance):
            main(settings)
    except UserError as error:
        sys.exit(f"{name}: {error}")
    except signals.Stopped as stopped:
        print(f"\n{name}: {signals.FAREWELL}", file=sys.stderr)
        sys.exit(128 + stopped.number)  # as a shell counts it
    except BrokenPipeError:  # `python script.py | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        message = _machine_fault(error)
        if not message:
            raise
        sys.exit(f"{name}: {message}")


def _show_escapes(stream):
    """Write control characters as text from here on: in a file's name they would command the terminal."""
    write = stream.write
    stream.write = lambda text: write(CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text))


def _machine_fault(error):
    """An error of the machine in one line, with its remedy; "" for any other error."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno:
        text = f"{error.filename}: {os.strerror(error.errno)}" if error.filename else os.strerror(error.errno)
    # Libraries raise errors of their own classes that quote the system's message
    remedies = [remedy for number, remedy in REMEDIES.items() if os.strerror(number) in text]
    if remedies:
        return f"{text}: {remedies[0]}, and run this again"
    return text if isinstance(error, OSError) else ""


def _lock(name, settings, single_instance):
    parts = [Path(name).stem, *(str(getattr(settings, setting)).replace("/", "-of-") for setting in single_instance)]
    return locked("." + "-".join(filter(None, parts)) + ".lock", "this script")
