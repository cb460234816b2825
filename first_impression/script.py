"""The frame around every script: constants become flags, errors become one line and an exit status.

A script keeps its settings as CAPITAL constants at its top, each with a remark behind it on the same line (one
without a remark is no setting), and ends in

    if __name__ == "__main__":
        script.run(main, SAMPLING=script.one_of("even", "first"), FRAMES_PER_CLIP=script.whole(1))

`main` receives the settings: an object with one attribute per constant, as the file or the command
line has it. Editing the file and giving a flag are checked by the same rules.
"""

import argparse
import ast
import contextlib
import errno
import io
import math
import os
import re
import signal
import sys
import tempfile
import tokenize
from pathlib import Path

from first_impression import Problem
from first_impression.files import only_one

PLAIN = {"bool": bool, "int": int, "float": float, "str": str}  # what a constant can be
NVIDIA_DRIVER = "/proc/driver/nvidia/version"
# What to do about an error of the machine
REMEDIES = dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room")
REMEDIES |= dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "get the right to it, or work in a folder of yours")
REMEDIES |= dict.fromkeys((errno.EMFILE, errno.ENFILE), "allow more (ulimit -n), or lower WORKERS")
REMEDIES |= {errno.EFBIG: "allow larger ones (ulimit -f)"}
STOPPING = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C, and what clusters and shutdowns send


class Stopped(KeyboardInterrupt):
    """Somebody wants the script to end: raised by a signal of STOPPING, `number`."""

    def __init__(self, number):
        super().__init__()
        self.number = number


def one_of(*choices):
    """A rule: the value is one of `choices`."""
    return lambda value: None if value in choices else f"must be one of {', '.join(map(str, choices))}"


def whole(low):
    """A rule: the value is a whole number, `low` or more."""
    return lambda value: None if _is_a(int, value) and value >= low else f"must be a whole number, {low} or more"


def at_least(low):
    """A rule: the value is a number, `low` or more."""
    return lambda value: None if _is_a(float, value) and value >= low else f"must be a number, {low} or more"


def more_than(low):
    """A rule: the value is a number above `low`."""
    return lambda value: None if _is_a(float, value) and value > low else f"must be a number above {low}"


def shard(value):
    """A rule: the value is empty, or one of several shards, as "3/16" is the third of 16."""
    match = re.fullmatch("([1-9][0-9]*)/([1-9][0-9]{0,4})", value) if isinstance(value, str) else None
    fits = value == "" or match and int(match[1]) <= int(match[2])
    return None if fits else "must be as 3/16, the third of 16: from 1/16 to 16/16; or empty, for all clips"


def _is_a(kind, value):
    """Whether `value` is of this type. Whole numbers do for float, truth values do not for numbers."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def run(main, inputs="", alone=None, **rules):
    """Call `main(settings)` for the script that defines it, and leave the process with its exit status.

    `alone`, a tuple, lets no second one of the script work in the same folder at the same time, unless it has other
    values of the settings named there.

    `inputs` names what the command line takes besides flags, one or more words: the settings have them as a list.

    Statuses: 0 done; 1 a `Problem`, a refused setting or an error of the machine (no room, no rights),
    told in a line on stderr; 130 stopped by Ctrl-C, 143 by SIGTERM. Anything else is a fault of ours and keeps its
    traceback.
    """
    name = Path(main.__globals__["__file__"]).name
    for number in STOPPING:
        signal.signal(number, _stop)
    try:
        settings = read_settings(main.__globals__, sys.argv[1:], inputs, **rules)
        with contextlib.nullcontext() if alone is None else only_one(_lock(name, settings, alone), name):
            main(settings)
    except Problem as problem:
        sys.exit(f"{name}: {problem}")
    except Stopped as stopped:
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


def _lock(name, settings, alone):
    parts = [Path(name).stem, *(str(getattr(settings, setting)).replace(os.sep, "-of-") for setting in alone)]
    return Path("." + "-".join(filter(None, parts)) + ".lock")


def _stop(number, frame):
    raise Stopped(number)


@contextlib.contextmanager
def delayed_stop():
    """In the block a signal only asks for an end, so that no step is cut in two: gives a function that says which came.

    It returns 0 as long as none did. The first signal is noted, a second one interrupts at once.
    """
    asked = [0]

    def note(number, frame):
        asked[0] = number
        for each in STOPPING:
            signal.signal(each, _stop)
        os.write(2, b"\nstopping after this step ...\n")  # print may not interrupt a print

    before = [signal.signal(number, note) for number in STOPPING]
    try:
        yield lambda: asked[0]
    finally:
        for number, handler in zip(STOPPING, before, strict=True):
            signal.signal(number, handler)


def load_tensorflow():
    """Import TensorFlow (seconds) and let it look for GPUs, without the notes that it prints meanwhile.

    They come out where they matter: if the import fails, or a machine with an NVIDIA driver shows no GPU.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        matter = True
        os.dup2(notes.fileno(), 2)
        try:
            import tensorflow

            gpus = tensorflow.config.list_physical_devices("GPU")
            for gpu in gpus:
                tensorflow.config.experimental.set_memory_growth(gpu, True)  # take what is needed: others may use it
            matter = not gpus and os.path.exists(NVIDIA_DRIVER)
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            if matter:
                notes.seek(0)
                os.write(2, notes.read())


class Settings(argparse.Namespace):
    """One attribute per constant."""

    def __getattr__(self, name):  # only for what is not there
        if name.isupper():
            raise Problem(f"{name} is no setting: a constant needs a plain value, and a remark (# ...) behind it")
        raise AttributeError(name)


def read_settings(script_globals, arguments, inputs="", **rules):
    """The script's constants with the command line's `arguments` applied, checked by `rules`.

    Accepts `--NAME value` and `--NAME=value`. Raises `Problem` for an unknown name, a value of the wrong
    type, or one that its rule refuses.
    """
    constants = _constants(script_globals)
    parser = _parser(script_globals["__doc__"], constants, inputs)
    settings = Settings(**vars(parser.parse_intermixed_args(arguments)))
    for name, value in vars(settings).items():
        complaint = rules[name](value) if name in rules and value is not None else None
        if name in constants and value is not None and not _is_a(constants[name][1], value):
            complaint = f"must be of the type {constants[name][1].__name__}"
        if isinstance(value, float) and not math.isfinite(value):
            complaint = "must be a finite number"
        if complaint:
            raise Problem(f"{name} = {value!r}: {complaint}")
    changed = {name: value for name, value in vars(settings).items() if name != inputs and value != constants[name][0]}
    if changed:
        shown = (f"{name} = {'***' if 'PASSWORD' in name else repr(value)}" for name, value in changed.items())
        print(f"{Path(script_globals['__file__']).name}: {', '.join(shown)}", flush=True)
    return settings


def _constants(script_globals):
    """{name: (value, type, remark)}, in order: the script's top-level capitals with a plain value and a remark.

    A constant that may be None says its type: `BATCH_SIZE: int | None = None  # None: as the recipe has it`.
    """
    source = Path(script_globals["__file__"]).read_text(encoding="utf-8")
    words = tokenize.generate_tokens(io.StringIO(source).readline)
    remarks = {word.start[0]: word.string.lstrip("# ") for word in words if word.type == tokenize.COMMENT}
    constants = {}
    for node in ast.parse(source).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        name = target.id if isinstance(target, ast.Name) else ""
        remark = remarks.get(node.end_lineno)
        if not (name.isupper() and remark):
            continue
        value = script_globals[name]
        kind = ast.unparse(node.annotation).split(" ")[0] if isinstance(node, ast.AnnAssign) else type(value).__name__
        if kind in PLAIN:
            constants[name] = (value, PLAIN[kind], remark)
    return constants


def _parser(description, constants, inputs):
    parser = _Parser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s [--NAME VALUE ...]" + (f" {inputs} ..." if inputs else ""),
        epilog="Every name is a constant at the top of the script, with its default there.",
        allow_abbrev=False,
    )
    if inputs:
        parser.add_argument(inputs, nargs="+", help=argparse.SUPPRESS)
    for name, (default, kind, remark) in constants.items():
        parser.add_argument(
            f"--{name}",
            type=_truth if kind is bool else kind,
            default=default,
            metavar=kind.__name__,
            help=f"{remark} (default: {default!r})".replace("%", "%%"),
        )
    return parser


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        if "arguments are required" in message:
            message += "; a name that begins with a dash is given as ./-name"
        raise Problem(f"{message.removeprefix('argument ')} (--help lists the names and what they take)")


def _truth(text):
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False")
    return text.lower() == "true"
