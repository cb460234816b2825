"""A script's settings: the CAPITAL constants at its top, which a recipe and the command line can change.

Every plain constant there (a truth value, a number or a text) is a setting, unless its name begins with `_`. The
remark behind it is what --help says of it.

    SAMPLING = "even"  # "even": spread over the clip; "first": the first ones
    RULES = {"SAMPLING": rules.one_of("even", "first")}

A recipe is a file of constants, `NAME = literal`; flags beat the recipe, the recipe beats the script. Values from all
three are checked by the same rules.
"""

import argparse
import ast
import io
import itertools
import math
import os
import tokenize
from pathlib import Path

from first_impression.common.errors import UserError, short_message
from first_impression.common.rules import is_a

PLAIN = (bool, int, float, str)  # what a constant can be


class Settings(argparse.Namespace):
    """One attribute per constant; `recipe` is the path of the recipe, or ""."""

    def __getattr__(self, name):  # only for what is not there
        if name.isupper():
            raise UserError(f"{name} is not a setting of this script: it is no plain constant at its top")
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
    script, of_recipe = Path(script_globals["__file__"]), {}
    if recipes and settings.recipe:
        of_recipe = read_recipe(_find_recipe(settings.recipe, script), constants)
        of_recipe = {name: value for name, value in of_recipe.items() if name not in flags}
    for name, (value, kind, _) in constants.items():
        chosen = flags.get(name, of_recipe.get(name, value))
        if isinstance(chosen, int) and not isinstance(chosen, bool) and kind is float:
            chosen = float(chosen)
        setattr(settings, name, chosen)
        if complaint := _complaint(chosen, kind, script_globals.get("RULES", {}).get(name)):
            where = f"{settings.recipe}: " if name in of_recipe else ""
            raise UserError(f"{where}{name} = {chosen!r}: {complaint}")
    sources = {settings.recipe: of_recipe} if of_recipe else {}
    changes = []
    for source, values in (sources | {"flags": flags}).items():
        changed = {name: value for name, value in values.items() if value != constants[name][0]}
        shown = [f"{name} = {'***' if 'PASSWORD' in name else repr(value)}" for name, value in changed.items()]
        changes += [f"{source}: {', '.join(shown)}"] if shown else []
    if changes:
        print(f"{script.name}: {'; '.join(changes)}", flush=True)
    return settings


def _complaint(value, kind, rule):
    """What is wrong with a setting's value, as text; empty if nothing is."""
    if not is_a(kind, value):
        return f"must be of the type {kind.__name__}"
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    return (rule and rule(value)) or ""


def _find_recipe(name, script):
    """The recipe's path as given, else beside the script: a run in another folder finds this project's recipes."""
    beside = script.parent / name
    return beside if not Path(name).exists() and beside.exists() else Path(name)


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
    """{name: (value, type, remark)}, in order: the script's plain top-level capitals."""
    source = Path(script_globals["__file__"]).read_text(encoding="utf-8")
    words = tokenize.generate_tokens(io.StringIO(source).readline)
    remarks = {word.start[0]: word.string.lstrip("# ") for word in words if word.type == tokenize.COMMENT}
    constants = {}
    for node in ast.parse(source).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        name = target.id if isinstance(target, ast.Name) else ""
        if name.isupper() and name[0] != "_" and type(script_globals[name]) in PLAIN:
            constants[name] = (script_globals[name], type(script_globals[name]), remarks.get(node.end_lineno, ""))
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
        parser.add_argument(inputs.strip("[]"), nargs="*" if inputs[0] == "[" else "+", help=argparse.SUPPRESS)
    if recipes:
        parser.add_argument("recipe", nargs="?", default="", help="a file of constants, as those in recipes/")
    for name, (default, kind, remark) in constants.items():
        parser.add_argument(
            f"--{name}",
            type=_truth if kind is bool else kind,
            metavar=kind.__name__,
            help=f"{remark} (default: {default!r})".lstrip().replace("%", "%%"),
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


def refuse_other_constants(folder, before, constants, free=()):
    """Raises `UserError` where `folder` was made with other constants, {name: value}, than it is to be used with now.

    Those in `free` may differ.
    """
    was = [
        f"{name} = {before.get(name)!r} (now {value!r})"
        for name, value in constants.items()
        if before.get(name) != value and name not in free
    ]
    if was:
        raise UserError(
            f"{folder} was made with {', '.join(was)}: set that again, or choose another folder (a run: another NAME)"
        )
