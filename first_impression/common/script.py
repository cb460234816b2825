"""The frame around every script: constants become flags, errors become one line and an exit status.

A script keeps its settings as CAPITAL constants at its top, each with a remark behind it on the same line (one
without a remark is not a setting). Beside them stand the rules that their values have to keep, and the script ends in
a call of `run`:

    SAMPLING = "even"  # "even": spread over the clip; "first": the first ones
    RULES = {"SAMPLING": script.one_of("even", "first")}

    if __name__ == "__main__":
        script.run(main)

`main` receives the settings: an object with one attribute per constant, as the file, a recipe or the command line
has it. All three are checked by the same rules. A recipe is a file of constants, `NAME = literal`; flags beat the
recipe, the recipe beats the script.
"""

import argparse
import ast
import contextlib
import errno
import io
import itertools
import math
import os
import re
import signal
import sys
import tempfile
import tokenize
from pathlib import Path

from first_impression.common.errors import UserError, short_message
from first_impression.common.files import locked

PLAIN = (bool, int, float, str)  # what a constant can be
NVIDIA_DRIVER = "/proc/driver/nvidia/version"
# What to do about an error of the machine
REMEDIES = dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room")
REMEDIES |= dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "get the right to it, or work in a folder of yours")
REMEDIES |= dict.fromkeys((errno.EMFILE, errno.ENFILE), "allow more (ulimit -n), or lower WORKERS")
REMEDIES |= {errno.EFBIG: "allow larger ones (ulimit -f)"}
STOPPING = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C, and what clusters and shutdowns send


def _say_stopped(kind, error, trace):
    """Ctrl-C before `run` listens, while a script still imports its libraries: a line in place of a traceback."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        os.write(2, b"\nstopped before anything was begun\n")


sys.excepthook = _say_stopped


class Stopped(KeyboardInterrupt):
    """Somebody wants the script to end: raised by a signal of STOPPING, `number`."""

    def __init__(self, number):
        super().__init__()
        self.number = number


def one_of(*choices):
    """A rule: the value is one of `choices`."""
    return lambda value: None if value in choices else f"must be one of {', '.join(map(str, choices))}"


def whole(low, high=None):
    """A rule: the value is a whole number from `low` to `high`, or `low` or more."""
    range_ = f"from {low} to {high}" if high else f"{low} or more"

    def rule(value):
        fits = _is_a(int, value) and value >= low and (high is None or value <= high)
        return None if fits else f"must be a whole number, {range_}"

    return rule


def at_least(low, below=math.inf):
    """A rule: the value is a number, `low` or more, and less than `below`."""
    limit = f", and less than {below}" if below < math.inf else ""
    return lambda value: (
        None if _is_a(float, value) and low <= value < below else f"must be a number, {low} or more{limit}"
    )


def between(low, high):
    """A rule: the value is a number from `low` to `high`."""
    return lambda value: (
        None if _is_a(float, value) and low <= value <= high else f"must be a number from {low} to {high}"
    )


def more_than(low):
    """A rule: the value is a number above `low`."""
    return lambda value: None if _is_a(float, value) and value > low else f"must be a number above {low}"


def file_name(value):
    """A rule: the value can be the name of a file or folder, or is empty."""
    fits = isinstance(value, str) and "/" not in value and "\0" not in value and not value.startswith(".")
    return (
        None if fits and len(value.encode(errors="surrogateescape")) <= 200 else "must be a plain name, without a slash"
    )


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


def run(main, inputs="", recipes=False, single_instance=None):
    """Call `main(settings)` for the script that defines it, and leave the process with its exit status.

    `inputs` names what the command line takes besides flags, one or more words: the settings have them as a list of
    that name. With `recipes` it takes a recipe's path in that place. `single_instance`, a tuple, lets no second
    process of the script work in the same folder at the same time, unless it has other values of the settings named
    there.

    Statuses: 0 done; 1 a `UserError`, a refused setting or an error of the machine (no room, no rights),
    told in a line on stderr; 130 stopped by Ctrl-C, 143 by SIGTERM. Anything else is a fault of ours and keeps its
    traceback.
    """
    name = Path(main.__globals__["__file__"]).name
    sys.stdout.reconfigure(errors="backslashreplace")  # a file's name need not be text
    for number in STOPPING:
        signal.signal(number, _stop)
    try:
        settings = read_settings(main.__globals__, sys.argv[1:], inputs, recipes)
        lock = None if single_instance is None else _lock(name, settings, single_instance)
        with locked(lock, name) if lock else contextlib.nullcontext():
            main(settings)
    except UserError as error:
        sys.exit(f"{name}: {error}")
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


def _lock(name, settings, single_instance):
    parts = [Path(name).stem, *(str(getattr(settings, each)).replace(os.sep, "-of-") for each in single_instance)]
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
    """One attribute per constant; `recipe` is the path of the recipe, or ""."""

    def __getattr__(self, name):  # only for what is not there
        if name.isupper():
            raise UserError(f"{name} is not a setting: a constant needs a plain value, and a remark (# ...) behind it")
        raise AttributeError(name)

    def constants(self):
        """The constants alone: {name: value}."""
        return {name: value for name, value in vars(self).items() if name in self._names}


def read_settings(script_globals, arguments=(), inputs="", recipes=False):
    """The script's constants with a recipe and the command line's `arguments` applied, checked by its RULES.

    `script_globals` is `vars(module)` of the script. Accepts `--NAME value` and `--NAME=value`, and `--NAME` alone
    for True. What differs from the file is told in a printed line, with where it comes from.
    Raises `UserError` for an unknown name, a value of the wrong type, or one that its rule refuses.
    """
    constants = _constants(script_globals)
    parser = _parser(script_globals["__doc__"], constants, inputs, recipes)
    arguments = _switches_as_flags(arguments, constants)
    settings = Settings(_names=frozenset(constants), **vars(parser.parse_intermixed_args(arguments)))
    flags = {name: value for name in constants if (value := getattr(settings, name)) is not None}
    of_recipe = read_recipe(settings.recipe, constants) if recipes and settings.recipe else {}
    for name, (value, kind, _) in constants.items():
        chosen = flags.get(name, of_recipe.get(name, value))
        if isinstance(chosen, int) and not isinstance(chosen, bool) and kind is float:
            chosen = float(chosen)
        setattr(settings, name, chosen)
        complaint = None if _is_a(kind, chosen) else f"must be of the type {kind.__name__}"
        if not complaint and isinstance(chosen, float) and not math.isfinite(chosen):
            complaint = "must be a finite number"
        rule = script_globals.get("RULES", {}).get(name)
        if complaint := complaint or rule and rule(chosen):
            of = f"{settings.recipe}: " if name in of_recipe and name not in flags else ""
            raise UserError(f"{of}{name} = {chosen!r}: {complaint}")
    of_recipe = {name: value for name, value in of_recipe.items() if name not in flags}
    told = []
    for source, values in ((settings.recipe if recipes else "", of_recipe), ("flags", flags)):
        changed = {name: value for name, value in values.items() if value != constants[name][0]}
        shown = [f"{name} = {'***' if 'PASSWORD' in name else repr(value)}" for name, value in changed.items()]
        told += [f"{source}: {', '.join(shown)}"] if shown else []
    if told:
        print(f"{Path(script_globals['__file__']).name}: {'; '.join(told)}", flush=True)
    return settings


def read_recipe(path, constants):
    """The constants in the recipe `path`: {name: value}. It is read as `NAME = literal` lines, never executed.

    Raises `UserError` for a missing file, for anything else in it, and for a name that is not among `constants`.
    """
    try:
        tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing: give a recipe's path, as recipes/paper_dan.py") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"{path} is not a recipe ({short_message(error)}): one has lines such as SEED = 3") from None
    values = {}
    for number, node in enumerate(tree.body):
        if number == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # its docstring
        target = node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
        try:
            values[target.id] = ast.literal_eval(node.value)
        except (AttributeError, ValueError, TypeError, RecursionError, MemoryError):
            raise UserError(f"{path}, line {node.lineno}: a recipe has only lines such as SEED = 3") from None
    unknown = [name for name in values if name not in constants]
    if unknown:
        raise UserError(f"{path}: {', '.join(unknown)} is not a constant of this script (--help lists them)")
    return values


def _constants(script_globals):
    """{name: (value, type, remark)}, in order: the script's top-level capitals with a plain value and a remark."""
    source = Path(script_globals["__file__"]).read_text(encoding="utf-8")
    words = tokenize.generate_tokens(io.StringIO(source).readline)
    remarks = {word.start[0]: word.string.lstrip("# ") for word in words if word.type == tokenize.COMMENT}
    constants = {}
    for node in ast.parse(source).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        name = target.id if isinstance(target, ast.Name) else ""
        remark = remarks.get(node.end_lineno)
        if name.isupper() and remark and type(script_globals[name]) in PLAIN:
            constants[name] = (script_globals[name], type(script_globals[name]), remark)
    return constants


def _parser(description, constants, inputs, recipes):
    parser = _Parser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s" + " [RECIPE]" * recipes + " [--NAME VALUE ...]" + (f" {inputs} ..." if inputs else ""),
        epilog="Every name is a constant at the top of the script, with its default there.",
        allow_abbrev=False,
    )
    if inputs:
        parser.add_argument(inputs, nargs="+", help=argparse.SUPPRESS)
    if recipes:
        parser.add_argument("recipe", nargs="?", default="", help="a file of constants, as those in recipes/")
    for name, (default, kind, remark) in constants.items():
        parser.add_argument(
            f"--{name}",
            type=_truth if kind is bool else kind,
            metavar=kind.__name__,
            help=f"{remark} (default: {default!r})".replace("%", "%%"),
        )
    return parser


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        if "arguments are required" in message:
            message += "; a name that begins with a dash is given as ./-name"
        raise UserError(f"{message.removeprefix('argument ')} (--help lists the names and what they take)")


def _switches_as_flags(arguments, constants):
    """The arguments with `--NAME=True` for each `--NAME` of a truth value that stands alone.

    That is at the end, before another flag, or before a file, which is an input and not its value.
    """
    switches = {f"--{name}" for name, (_, kind, _) in constants.items() if kind is bool}
    spelt = []
    for word, following in itertools.pairwise([*arguments, "--"]):
        alone = following.startswith("--") or os.path.exists(following)
        spelt.append(f"{word}=True" if word in switches and alone else word)
    return spelt


def _truth(text):
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False, nor a file")
    return text.lower() == "true"
