"""Which ffmpeg is run, videos it cannot read, and an ffmpeg or a machine that fails."""

import json
import os
import re
import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest
from conftest import FFMPEG, make_clip, numbered, refused, run

from first_impression.common.errors import BadClipError, UserError
from first_impression.data import media
from first_impression.data.frames import extract_frames
from first_impression.data.sound import extract_sound

WHEEL = Path(imageio_ffmpeg.__file__).parent
HERE = media.ffmpeg()  # what the fake ones below run in the end


def program(path, *lines):
    """A shell script at `path`; returns its full path as text."""
    path = Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
    path.chmod(0o755)
    return str(path)


def version(text):
    """A line of a shell script that claims to be an ffmpeg of this version, and runs the one of the tests."""
    claim = f"echo 'ffmpeg version {text} Copyright (c) 2000-2020 the FFmpeg developers'"
    return f'[ "$1" = -version ] && {claim} || exec {HERE} "$@"'


def test_pinned_ffmpeg_is_used_whatever_is_on_the_path(folder, monkeypatch):
    monkeypatch.delenv("FFMPEG", raising=False)
    other = program("bin/ffmpeg", "touch used")
    monkeypatch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", other)
    assert Path(media.ffmpeg()).parent == WHEEL / "binaries"
    extract_sound(make_clip("a.mp4", [90] * 5), "a.wav")
    assert not Path("used").exists()
    assert re.fullmatch(r"n?\d+\.\d\S*", media.ffmpeg_version())


@pytest.mark.parametrize("named", ["other", "path"])
def test_ffmpeg_named_in_the_environment_is_used_and_logged(dataset, monkeypatch, named):
    path = program("bin/other", "echo used >>uses", version("8.1.2-made_up"))
    monkeypatch.setenv("PATH", f"{dataset}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("FFMPEG", "other" if named == "other" else "bin/other")
    for script, folder in (("Video_to_Image.py", "ImageData"), ("vid_to_wav.py", "VoiceData")):
        Path("uses").unlink(missing_ok=True)
        done = run(script)
        assert done.returncode == 0, done.stderr
        line = f"ffmpeg 8.1.2-made_up from {path}, as the environment variable FFMPEG says"
        assert done.stdout.splitlines().count(line) == 1
        assert len(Path("uses").read_text().splitlines()) >= 7  # clips
        log = Path(folder, "clips.jsonl").read_text().split("\n", 2)[1]
        assert json.loads(log)["constants"]["FFMPEG"] == "8.1.2-made_up"


@pytest.mark.slow
def test_outputs_of_two_ffmpeg_versions_are_not_mixed(dataset, monkeypatch):
    for script, folder in (("Video_to_Image.py", "ImageData"), ("vid_to_wav.py", "VoiceData")):
        monkeypatch.setenv("FFMPEG", program("one", version("7.0.2")))
        assert run(script).returncode == 0
        monkeypatch.setenv("FFMPEG", program("two", version("8.0")))
        refused(run(script), f"{folder} was made with FFMPEG = '7.0.2' (now '8.0'): set that again")


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (None, "there is no such command"),
        (["echo it lacks libfoo.so.1 >&2", "exit 127"], "does not start (it lacks libfoo.so.1)"),
        (["echo something else"], "is not ffmpeg"),
        ([version("4.1.11-0ubuntu1")], "is ffmpeg 4.1.11-0ubuntu1, and 4.2 is the oldest that works"),
        ([version("n3.4")], "is ffmpeg n3.4"),
    ],
)
def test_unusable_ffmpeg_is_refused_at_once(dataset, monkeypatch, lines, complaint):
    monkeypatch.setenv("FFMPEG", program("bin/mine", *lines) if lines else "bin/nothing")
    for script in ("Video_to_Image.py", "vid_to_wav.py"):
        refused(run(script), complaint, "FFMPEG")
    assert not Path("ImageData").exists() and not Path("VoiceData").exists()


def test_file_that_no_system_can_run_is_refused(folder, monkeypatch):
    Path(program("mine")).write_bytes(b"\x7fELF and no more")
    monkeypatch.setenv("FFMPEG", "./mine")
    with pytest.raises(UserError, match="mine does not start"):
        media.ffmpeg()


@pytest.mark.parametrize("text", ["4.2", "4.2.2-static", "10.0", "n4.4.1", "N-117000-g1234567", "2025-01-02-git-abc"])
def test_version_4_2_and_later_are_accepted(folder, monkeypatch, text):
    monkeypatch.setenv("FFMPEG", program("mine", version(text)))
    assert media.ffmpeg_version() == text


def damaged(kind):
    clip = make_clip("clip.mp4", numbered(200), options=["-movflags", "+faststart"])
    content = clip.read_bytes()
    if kind == "cut short":
        clip.write_bytes(content[: len(content) * 6 // 10])
    elif kind == "cut in its table":
        clip.write_bytes(content[:300])
    elif kind == "empty":
        clip.write_bytes(b"")
    elif kind == "text":
        clip.write_bytes(b"not a video at all\n" * 100)
    return clip


@pytest.mark.parametrize("kind", ["cut short", "cut in its table", "empty", "text"])
def test_broken_video_is_unusable_for_frames_and_sound(folder, kind):
    clip = damaged(kind)
    with pytest.raises(BadClipError):
        extract_frames(clip, folder, 100, "even", 32)
    with pytest.raises(BadClipError):
        extract_sound(clip, folder / "a.wav")


def test_video_without_pictures_and_video_without_sound(folder):
    make_clip("mute.mp4", range(10, 20), sound=None)
    with pytest.raises(BadClipError, match="no sound"):
        extract_sound("mute.mp4", folder / "a.wav")
    both = make_clip("both.mp4", range(10, 20))
    subprocess.run([FFMPEG, "-v", "error", "-i", both, "-vn", "-c", "copy", "blind.mp4"], check=True)
    with pytest.raises(BadClipError, match="no video stream"):
        extract_frames("blind.mp4", folder, 100, "even", 32)
    extract_sound("blind.mp4", folder / "a.wav")


def test_odd_names_reach_ffmpeg_unharmed(folder):
    for name in ("-dash.mp4", "sp ace.mp4", "50%d.mp4", "http:colon.mp4", "quote'\".mp4", "ünï.mp4"):
        clip = make_clip(folder / name, range(10, 13))
        target = folder / f"out {name}%d"
        target.mkdir()
        assert extract_frames(clip.relative_to(folder), target, 100, "even", 16) == 3
        extract_sound(clip, target / f"{name}.wav")


def test_full_disk_is_not_blamed_on_the_clip(folder):
    clip = make_clip("a.mp4", numbered(5))
    with pytest.raises(OSError, match="No space left"):
        extract_sound(clip, "/dev/full")
    (folder / "frame3.jpg").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        extract_frames(clip, folder, 5, "even", 32)
    assert media.stream(["-version"], list).returncode == 0  # and the next run is not affected


def test_missing_rights_are_not_blamed_on_the_clip():
    said = b"[in#0 @ 0x5581] Error opening input: Permission denied\nError opening input files: Permission denied\n"
    assert isinstance(media.failure(said), UserError)
    assert isinstance(media.failure(b"moov atom not found"), BadClipError)


def test_verbose_ffmpeg_does_not_block(folder, monkeypatch):
    """It writes more than a pipe holds to both: its frames and its errors."""
    talks = '[ "$1" = -version ] || yes an error of many | head -c 300000 >&2'
    monkeypatch.setenv("FFMPEG", program("talks", talks, f'exec {HERE} "$@"'))
    clip = make_clip("a.mp4", numbered(100), size=(640, 480))
    assert extract_frames(clip, folder, 100, "even", 224) == 100
    extract_sound(clip, "a.wav")
    done = media.stream([*media.opening(clip), "-map", "0:V:0", "-f", "rawvideo"], lambda out: len(out.read()))
    assert done.returncode == 0 and len(done.stderr) >= 300_000 and done.taken > 1000
