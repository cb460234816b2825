"""Constants, flags and exit statuses, as a user meets them."""

import os
import re

import pytest
from conftest import PROJECT, refused, run

SCRIPTS = sorted(path.name for path in PROJECT.glob("*.py") if path.name != "model.py")


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_shows_every_constant_with_its_default(name):
    done = run(name, "--help", env={**os.environ, "COLUMNS": "500"})
    assert done.returncode == 0
    words = " ".join(done.stdout.partition("options:")[2].split())
    constants = re.findall(
        r"^([A-Z_]+)(?:: [a-z| ]+None)? = (.+?)  # (.+)$", (PROJECT / name).read_text(encoding="utf-8"), re.M
    )
    assert constants
    for constant, value, remark in constants:
        assert f"--{constant} " in words
        assert " ".join(remark.split()) in words
        shown = re.search(rf"--{constant} .*?\(default: (.*?)\)", words).group(1)
        assert shown == repr(eval(value))  # the default as the file has it


@pytest.mark.parametrize("name", SCRIPTS)
def test_unknown_names_are_refused(name):
    refused(run(name, "--NO_SUCH_NAME", "1"), f"{name}: ", "--NO_SUCH_NAME")


@pytest.mark.parametrize(
    ("name", "flag", "value"),
    [
        ("train.py", "BATCH_SIZE", "0"),
        ("train.py", "BATCH_SIZE", "many"),
        ("train.py", "BATCH_SIZE", "2.5"),
        ("train.py", "LEARNING_RATE", "0"),
        ("train.py", "LEARNING_RATE", "nan"),
        ("train.py", "LEARNING_RATE", "inf"),
        ("train.py", "N_EPOCHS", "-1"),
        ("train.py", "MODEL", "vgg"),
        ("train.py", "RECIPE", "mine"),
        ("train.py", "FLIP", "often"),
        ("evaluate.py", "SPLIT", "tests"),
        ("train.py", "DETERMINISTIC", "maybe"),
        ("Video_to_Image.py", "FRAMES_PER_CLIP", "0"),
        ("Video_to_Image.py", "SAMPLING", "random"),
        ("Video_to_Image.py", "WORKERS", "-1"),
        ("Write_Into_TFRecords.py", "NUM_SHARDS", "0"),
        ("Write_Into_TFRecords.py", "IMAGE_ENCODING", "png"),
    ],
)
def test_senseless_values_are_refused(name, flag, value):
    refused(run(name, f"--{flag}={value}"), name, flag)
    refused(run(name, f"--{flag}", value), name, flag)


def test_a_flag_overrides_its_constant_and_is_echoed_but_a_password_is_not():
    done = run("Video_to_Image.py", "--FRAMES_PER_CLIP=7", "--ZIP_PASSWORD", "sesame")
    refused(done, "no clips")
    assert "FRAMES_PER_CLIP = 7" in done.stdout
    assert "sesame" not in done.stdout + done.stderr


def test_an_edited_constant_is_checked_like_a_flag(folder):
    source = (PROJECT / "Video_to_Image.py").read_text(encoding="utf-8")
    for wrong in ("0", '"all"', "2.5", "True"):
        (folder / "edited.py").write_text(
            f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n"
            + source.replace("FRAMES_PER_CLIP = 100", f"FRAMES_PER_CLIP = {wrong}"),
            encoding="utf-8",
        )
        refused(run(folder / "edited.py"), "FRAMES_PER_CLIP", "must be a whole number, 1 or more")


@pytest.mark.parametrize("name", SCRIPTS)
def test_importing_a_script_does_no_work_and_loads_no_tensorflow(folder, name):
    code = (
        f"import sys; sys.path.insert(0, {str(PROJECT)!r}); import {name[:-3]}; assert 'tensorflow' not in sys.modules"
    )
    (folder / "importer.py").write_text(code)
    done = run(folder / "importer.py")
    assert done.returncode == 0 and not done.stdout + done.stderr
    assert [path.name for path in folder.iterdir()] == ["importer.py"]


def test_an_edited_constant_counts_however_its_remark_is_set(folder):
    source = (PROJECT / "train.py").read_text(encoding="utf-8")
    assert "N_EPOCHS: int | None = None  # " in source
    heading = f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n"
    for edit, words in (
        ("N_EPOCHS: int | None = -7#", "N_EPOCHS = -7: must be a whole number"),
        ("N_EPOCHS: int | None = 2.5  # ", "N_EPOCHS = 2.5"),
        ("N_EPOCHS: int | None = 7 \nOTHER = 1  # ", "N_EPOCHS is no setting"),
    ):
        (folder / "edited.py").write_text(
            heading + source.replace("N_EPOCHS: int | None = None  # ", edit), encoding="utf-8"
        )
        refused(run(folder / "edited.py"), words)
