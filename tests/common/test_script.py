"""Constants, flags and exit statuses, as users see them."""

import importlib
import re
import signal
import subprocess
import sys

import pytest
from conftest import PROJECT, ok, refused, run, run_alone

SCRIPTS = sorted(path.name for path in PROJECT.glob("*.py") if path.name != "model.py")


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_shows_every_constant_with_its_default(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "500")
    words = " ".join(ok(run(name, "--help")).partition("options:")[2].split())
    source = (PROJECT / name).read_text(encoding="utf-8")
    constants = re.findall(r"^([A-Z][A-Z_]*) = ([^({\[].*?)  # (.+)$", source, re.M)
    assert constants
    for constant, value, remark in constants:
        assert f"--{constant} " in words
        assert " ".join(remark.split()) in words
        shown = re.search(rf"--{constant} .*?\(default: (.*?)\)", words).group(1)
        module = importlib.import_module(name.removesuffix(".py"))
        assert shown == repr(eval(value, vars(module)))  # the default as the file has it


def test_names_send_the_terminal_no_commands(folder):
    (folder / "data").mkdir()
    (folder / "data/\x1b]0;title\x07.mp4").touch()
    done = run_alone("vid_to_wav.py")
    refused(done, "no clips")
    assert "\\x1b]0;title\\x07.mp4" in done.stdout and "\x1b" not in done.stdout
    done = run_alone("vid_to_wav.py", "--DATA", "\x1b[31m")
    refused(done, "\\x1b[31m")
    assert "\x1b" not in done.stderr


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
        ("train.py", "NAME", "a/b"),
        ("train.py", "NAME", ".."),
        ("train.py", "FLIP", "often"),
        ("train.py", "DETERMINISTIC", "maybe"),
        ("train.py", "MOMENTUM", "1"),
        ("train.py", "MOMENTUM", "5"),
        ("train.py", "SEED", "4294967296"),
        ("train.py", "BATCH_SIZE", "10000000000000000000"),
        ("evaluate.py", "SPLIT", "tests"),
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


def test_ctrl_c_while_a_script_imports_its_libraries_is_a_line(folder):
    code = "from first_impression.common import script\nraise KeyboardInterrupt"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 130 or done.returncode == -signal.SIGINT, done.stderr
    assert done.stderr.strip() == "stopped before any work began"


def test_importing_a_script_does_no_work_and_loads_no_tensorflow(folder):
    code = f"import sys\nsys.path.insert(0, {str(PROJECT)!r})\n"
    for name in SCRIPTS:
        code += f"import {name[:-3]}\nassert 'tensorflow' not in sys.modules, {name!r}\n"
    (folder / "importer.py").write_text(code)
    done = run_alone(folder / "importer.py")
    assert done.returncode == 0 and not done.stdout + done.stderr
    assert [path.name for path in folder.iterdir()] == ["importer.py"]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ('MODEL = "vgg"#', "MODEL = 'vgg': must be one of dan, "),
        ("MODEL = 2.5  # ", "MODEL = 2.5: must be one of dan, "),
        ("MODEL = True  # ", "MODEL = True: must be one of dan, "),
        ('MODEL = "vgg" \n_OTHER = 1  # ', "MODEL = 'vgg': must be one of dan, "),
        ('_OTHER = "dan"  # ', "MODEL is not a setting"),
        ("MODEL = None  # ", "MODEL is not a setting"),
    ],
)
def test_an_edited_constant_is_checked_like_a_flag(folder, edit, words):
    source = (PROJECT / "train.py").read_text(encoding="utf-8")
    assert '\nMODEL = "dan"  # ' in source
    (folder / "edited.py").write_text(source.replace('MODEL = "dan"  # ', edit), encoding="utf-8")
    refused(run(folder / "edited.py"), words)
