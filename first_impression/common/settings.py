"""A script's settings: the CAPITAL constants at its top, which a recipe and the command line can change.

Every plain constant there (a bool, a number or a string) is a setting, unless its name begins with `_`. The comment
behind it is its text in --help.

    SAMPLING = "even"  # "even": spread over the clip; "first": the first ones
    RULES = {"SAMPLING": rules.one_of("even", "first")}

A recipe is a file of such constants, `NAME = literal`. Flags override the recipe, and the recipe overrides the script;
values from all three are checked by the same rules.
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

PLAIN = (bool, int, float, str)  # types of settings


class Settings(argparse.Namespace):
    """One attribute per constant; `recipe` is the path of the recipe as given, or "" (train.py alone has it)."""

    def __getattr__(self, name):  # only called for missing attributes
        if name.isupper():
            raise UserError(f"{name} is not a setting of this script: make it a plain constant at the script's top")
        raise AttributeError(name)

    def constants(self):
        """The constants without inputs and recipe: {name: value}."""
        return {name: value for name, value in vars(self).items() if name in self._names}


def read_settings(script_globals, arguments=(), inputs="", recipes=False):
    """The script's constants with a recipe and the command line's `arguments` applied, checked by its RULES.

    `script_globals` is `vars(module)` of the script. Accepts `--NAME value` and `--NAME=value`, and `--NAME` alone
    for True. Prints a line with the values that differ from the script's, and where they come from.
    Raises `UserError` for an unknown name, a value of the wrong type, or one that its rule refuses.
    """
    constants = _constants(script_globals)
    parser = _parser(script_globals["__doc__"], constants, inputs, recipes)
    arguments = _switches_as_flags(arguments, constants)
    settings = Settings(_names=frozenset(constants), **vars(parser.parse_intermixed_args(arguments)))
    script = Path(script_globals["__file__"])
    flags = {name: value for name in constants if (value := getattr(settings, name)) is not None}
    recipe = {}
    if recipes and settings.recipe:
        recipe = read_recipe(_find_recipe(settings.recipe, script), constants)
        recipe = {name: value for name, value in recipe.items() if name not in flags}
    for name, (default, kind, _) in constants.items():
        value = flags.get(name, recipe.get(name, default))
        if isinstance(value, int) and not isinstance(value, bool) and kind is float:
            value = float(value)
        setattr(settings, name, value)
        if complaint := _complaint(value, kind, script_globals.get("RULES", {}).get(name)):
            where = f"{settings.recipe}: " if name in recipe else ""
            raise UserError(f"{where}{name} = {value!r}: {complaint}")
    changes = []
    for source, values in ((getattr(settings, "recipe", ""), recipe), ("flags", flags)):
        changed = {name: value for name, value in values.items() if value != constants[name][0]}
        shown = [f"{name} = {'***' if 'PASSWORD' in name else repr(value)}" for name, value in changed.items()]
        changes += [f"{source}: {', '.join(shown)}"] if shown else []
    if changes:
        print(f"{script.name}: {'; '.join(changes)}", flush=True)
    return settings


def _complaint(value, kind, rule):
    """What is wrong with a setting's value; "" if nothing is."""
    if not is_a(kind, value):
        return f"must be of the type {kind.__name__}"
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    return (rule and rule(value)) or ""


def _find_recipe(name, script):
    """The recipe's path: as given, or else beside the script, so that this project's recipes are found anywhere."""
    beside = script.parent / name
    return beside if not Path(name).exists() and beside.exists() else Path(name)


def read_recipe(path, constants):
    """The constants in the recipe `path`: {name: value}. It is read as `NAME = literal` lines, and never executed.

    Raises `UserError` for a missing file, for any other line, and for a name that is not among `constants`.
    """
    try:
        tree = ast.parse(Path(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing: give the path of a recipe, such as recipes/paper_dan.py") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"{path} is not a recipe ({short_message(error)}): write lines such as SEED = 3") from None
    values = {}
    for number, node in enumerate(tree.body):
        if number == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # the docstring
        target = node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
        try:
            values[target.id] = ast.literal_eval(node.value)
        except (AttributeError, ValueError, TypeError, RecursionError, MemoryError):
            raise UserError(f"{path}, line {node.lineno}: write only lines such as SEED = 3 in a recipe") from None
    unknown = [name for name in values if name not in constants]
    if unknown:
        raise UserError(f"{path}: {', '.join(unknown)} is not a constant of this script (--help lists them)")
    return values


def _constants(script_globals):
    """The settings of the script, in order: {name: (value, type, comment)}."""
    source = Path(script_globals["__file__"]).read_text(encoding="utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    constants = {}
    for node in ast.parse(source).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        name = target.id if isinstance(target, ast.Name) else ""
        if name.isupper() and name[0] != "_" and type(script_globals[name]) in PLAIN:
            constants[name] = (script_globals[name], type(script_globals[name]), comments.get(node.end_lineno, ""))
    return constants


def _parser(description, constants, inputs, recipes):
    parser = _Parser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s" + " [RECIPE]" * recipes + " [--NAME VALUE ...]" + (f" {inputs} ..." if inputs else ""),
        epilog="Every NAME is a constant at the top of the script, which holds its default.",
        allow_abbrev=False,
    )
    if inputs:
        parser.add_argument(inputs.strip("[]"), nargs="*" if inputs[0] == "[" else "+", help=argparse.SUPPRESS)
    if recipes:
        parser.add_argument("recipe", nargs="?", default="", help="a file of constants, such as those in recipes/")
    for name, (default, kind, comment) in constants.items():
        parser.add_argument(
            f"--{name}",
            type=_truth if kind is bool else kind,
            metavar=kind.__name__,
            help=f"{comment} (default: {default!r})".lstrip().replace("%", "%%"),
        )
    return parser


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        if "arguments are required" in message:
            message += "; write a name that begins with a dash as ./-name"
        raise UserError(f"{message.removeprefix('argument ')} (--help lists the names and their values)")


def _switches_as_flags(arguments, constants):
    """The arguments with `--NAME=True` in the place of each `--NAME` of a bool that has no value.

    Such a flag is followed by nothing, by another flag, or by an existing file, which is an input.
    """
    switches = {f"--{name}" for name, (_, kind, _) in constants.items() if kind is bool}
    expanded = []
    for word, following in itertools.pairwise([*arguments, "--"]):
        alone = following.startswith("--") or os.path.exists(following)
        expanded.append(f"{word}=True" if word in switches and alone else word)
    return expanded


def _truth(text):
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False, nor an existing file")
    return text.lower() == "true"


def refuse_other_constants(folder, earlier, constants, free=()):
    """Raises `UserError` if `folder` was made with constants, {name: value}, that differ from those of now.

    Those in `free` may differ.
    """
    differing = [
        f"{name} = {earlier.get(name)!r} (now {value!r})"
        for name, value in constants.items()
        if earlier.get(name) != value and name not in free
    ]
    if differing:
        remedy = "set that again, or choose another folder (a run: another NAME)"
        raise UserError(f"{folder} was made with {', '.join(differing)}: {remedy}")
