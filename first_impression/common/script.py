"""The frame around every script: its settings read, its errors told in one line with an exit status, its signals.

A script ends in a call of `run`:

    if __name__ == "__main__":
        script.run(main)

`main` receives the settings (settings.py): an object with one attribute per constant at the script's top.
"""

import contextlib
import errno
import os
import sys
from pathlib import Path

from first_impression.common import signals
from first_impression.common.errors import UserError
from first_impression.common.files import locked
from first_impression.common.settings import read_settings

# What to do about an error of the machine
REMEDIES = dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room")
REMEDIES |= dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "get the right to it, or work in a folder of yours")
REMEDIES |= dict.fromkeys((errno.EMFILE, errno.ENFILE), "allow more (ulimit -n), or lower WORKERS")
REMEDIES |= {errno.EFBIG: "allow larger ones (ulimit -f)"}


def _say_stopped(kind, error, trace):
    """Ctrl-C before `run` listens, while a script still imports its libraries: a line in place of a traceback."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        os.write(2, b"\nstopped before anything was begun\n")


sys.excepthook = _say_stopped


def run(main, inputs="", recipes=False, single_instance=None):
    """Call `main(settings)` for the script that defines it, and leave the process with its exit status.

    `inputs` names what the command line takes besides flags, one or more words ("[NAMES]": any number): the settings
    have them as a list of that name. With `recipes` it takes a recipe's path in that place. `single_instance`, a tuple,
    lets no second process of the script work in the same folder at the same time, unless it has other values of the
    settings named there.

    Statuses: 0 done; 1 a `UserError`, a refused setting or an error of the machine (no room, no rights),
    told in a line on stderr; 130 stopped by Ctrl-C, 143 by SIGTERM. Anything else is a fault of ours and keeps its
    traceback.
    """
    name = Path(main.__globals__["__file__"]).name
    sys.stdout.reconfigure(errors="backslashreplace")  # a file's name need not be text
    signals.listen()
    try:
        settings = read_settings(main.__globals__, sys.argv[1:], inputs, recipes)
        lock = None if single_instance is None else _lock(name, settings, single_instance)
        with locked(lock, name) if lock else contextlib.nullcontext():
            main(settings)
    except UserError as error:
        sys.exit(f"{name}: {error}")
    except signals.Stopped as stopped:
        print(f"\n{name}: stopped. What is complete stays; the same command does the rest.", file=sys.stderr)
        sys.exit(128 + stopped.number)  # as a shell counts it
    except BrokenPipeError:  # `python script.py | head`: nobody reads on, nothing to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        fault = _machine_fault(error)
        if not fault:
            raise
        sys.exit(f"{name}: {fault}")


def _machine_fault(error):
    """What to tell of an error of the machine, in one line; nothing where it is none."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno:
        text = f"{error.filename}: {os.strerror(error.errno)}" if error.filename else os.strerror(error.errno)
    # Libraries raise errors of their own, with the system's words in them
    remedies = [remedy for number, remedy in REMEDIES.items() if os.strerror(number) in text]
    if remedies:
        return f"{text}: {remedies[0]}, and run this again"
    return text if isinstance(error, OSError) else ""


def _lock(name, settings, single_instance):
    parts = [Path(name).stem, *(str(getattr(settings, each)).replace(os.sep, "-of-") for each in single_instance)]
    return Path("." + "-".join(filter(None, parts)) + ".lock")
