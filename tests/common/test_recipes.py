"""Recipes: files of constants that are read, never executed, and rank between flags and script."""

from pathlib import Path

import pytest
from conftest import PROJECT, refused, run

import train
from first_impression.common.errors import UserError
from first_impression.common.settings import read_settings

RECIPES = sorted((PROJECT / "recipes").glob("*.py"))
MARK = "harm.txt"  # what a recipe's code would write, if it ran


def read(*arguments):
    return read_settings(vars(train), list(arguments), recipes=True)


def recipe(text, path="mine.py"):
    Path(path).write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_every_recipe_of_the_project_is_valid_and_names_its_run(path):
    settings = read(str(path))
    assert train.run_name(settings) == path.stem
    assert settings.MODEL in path.stem or path.stem == "sample_dan"


def test_flags_override_the_recipe_and_the_recipe_overrides_the_script(folder, capsys):
    path = recipe(
        '"""What it is for."""\n\nBATCH_SIZE = 4  # few\nSEED = 7\nFLIP = True\nLEARNING_RATE = 1\nMOMENTUM = 0.0\n'
    )
    settings = read(path, "--SEED", "9", "--N_EPOCHS=2")
    assert (settings.BATCH_SIZE, settings.SEED, settings.FLIP, settings.OPTIMIZER) == (4, 9, True, train.OPTIMIZER)
    assert settings.LEARNING_RATE == 1.0 and isinstance(settings.LEARNING_RATE, float)
    # The values that differ from the script's, once, with their source
    assert capsys.readouterr().out == (
        "train.py: mine.py: BATCH_SIZE = 4, FLIP = True, LEARNING_RATE = 1; flags: SEED = 9\n"
    )
    assert read("--SEED", "9", path).constants() == settings.constants()  # in any order
    assert read().constants() == {name: getattr(train, name) for name in settings.constants()}


def test_a_recipe_with_a_byte_order_mark_is_read(folder):
    Path("mine.py").write_text("SEED = 7\n", encoding="utf-8-sig")
    assert read("mine.py").SEED == 7


def test_a_run_is_named_by_NAME_else_the_recipe_else_the_model(folder):
    Path("tries").mkdir()
    path = recipe('MODEL = "audio"\n', "tries/my.try.py")
    assert train.run_name(read(path, "--NAME", "other")) == "other"
    assert train.run_name(read(path)) == "my.try"
    assert train.run_name(read("--MODEL", "dan_plus")) == "dan_plus"


@pytest.mark.parametrize(
    "line",
    [
        f"SEED = open({MARK!r}, 'w')",
        f"open({MARK!r}, 'w')",
        f"import os; os.system('touch {MARK}')",
        f"from os import system\nSEED = system('touch {MARK}')",
        f"SEED = [open({MARK!r}, 'w') for _ in range(1)]",
        f"SEED = (lambda: open({MARK!r}, 'w'))()",
        f"@open({MARK!r}, 'w')\ndef SEED(): pass",
        f"if open({MARK!r}, 'w'): SEED = 3",
        f"SEED: open({MARK!r}, 'w') = 3",
        f'NAME = f"{{open({MARK!r}, chr(119))}}"',
        "SEED = BATCH_SIZE",
        "SEED = 10 ** 3",
        "SEED = N_EPOCHS = 3",
        "SEED, N_EPOCHS = 3, 4",
        "SEED += 3",
        "SEED: int = 3",
        "train.SEED = 3",
        'SEED = 3\n"no docstring"',
        "SEED = " + "-" * 5000 + "3",
        "SEED = " + "[" * 90 + "]" * 90,
        "SEED = (",
        "SEED = 3\0",
    ],
)
def test_a_recipe_holds_literals_only_and_is_not_executed(folder, line):
    with pytest.raises(UserError, match="mine.py") as refusal:
        read(recipe(f"{line}\n"))
    assert "\n" not in str(refusal.value)
    assert not Path(MARK).exists()


def test_files_that_are_not_recipes_are_refused_by_name(folder):
    with pytest.raises(UserError, match="no.py is missing: .* recipes/paper_dan.py"):
        read("no.py")
    Path("latin1.py").write_bytes(b'NAME = "\xe4"')
    with pytest.raises(UserError, match="latin1.py is not a recipe"):
        read("latin1.py")
    Path("folder.py").mkdir()
    refused(run("train.py", "folder.py"), "folder.py", "directory")
    refused(run("train.py", "one.py", "two.py"), "two.py")
    refused(run("vid_to_wav.py", recipe("WORKERS = 1\n")), "mine.py")  # train.py alone has recipes


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("EPOCHS = 3", "mine.py: EPOCHS is not a constant"),
        ("RULES = {}", "mine.py: RULES is not a constant"),
        ("recipe = 3", "mine.py: recipe is not a constant"),
        ("BATCH_SIZE = 0", "mine.py: BATCH_SIZE = 0: "),
        ("BATCH_SIZE = 2.0", "mine.py: BATCH_SIZE = 2.0: "),
        ("BATCH_SIZE = True", "mine.py: BATCH_SIZE = True: "),
        ("BATCH_SIZE = None", "mine.py: BATCH_SIZE = None: "),
        ('LEARNING_RATE = "0.1"', "mine.py: LEARNING_RATE = '0.1': "),
        ("LEARNING_RATE = 1e999", "mine.py: LEARNING_RATE = inf: "),
        ("LEARNING_RATE = -0.1", "mine.py: LEARNING_RATE = -0.1: "),
        ("FLIP = 1", "mine.py: FLIP = 1: "),
        ('FLIP = "True"', "mine.py: FLIP = 'True': "),
        ("MODEL = [1]", "mine.py: MODEL = \\[1\\]: "),
        ("WEIGHTS = {}", "mine.py: WEIGHTS = {}: "),
    ],
)
def test_an_unknown_name_or_bad_value_is_reported_with_the_recipe(folder, line, words):
    with pytest.raises(UserError, match=words):
        read(recipe(f"SEED = 3\n{line}\n"))


def test_a_flag_overrides_a_bad_value_and_is_checked_itself(folder):
    path = recipe("BATCH_SIZE = 0\n")
    assert read(path, "--BATCH_SIZE", "2").BATCH_SIZE == 2
    with pytest.raises(UserError, match="^BATCH_SIZE = -1: "):
        read(path, "--BATCH_SIZE", "-1")


def test_rules_also_hold_for_programs_that_read_the_settings():
    """A benchmark or a notebook that imports the script gets the checks of the command line."""
    names = {**vars(train), "BATCH_SIZE": 0}
    with pytest.raises(UserError, match="^BATCH_SIZE = 0: must be a whole number, from 1"):
        read_settings(names)
    with pytest.raises(UserError, match="^MODEL = 'vgg': must be one of dan"):
        read_settings(vars(train), ["--MODEL", "vgg"])
    with pytest.raises(UserError, match="NO_SUCH is not a setting"):
        _ = read_settings(vars(train)).NO_SUCH


def test_a_recipe_of_this_project_is_found_from_any_folder(folder):
    assert read("recipes/paper_dan.py").LOSS == "euclidean"
    Path("recipes").mkdir()
    Path("recipes/paper_dan.py").write_text('LOSS = "squared"\n', encoding="utf-8")
    assert read("recipes/paper_dan.py").LOSS == "squared"  # one in this folder comes first
