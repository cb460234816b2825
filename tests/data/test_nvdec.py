"""Frames that NVDEC decodes: the bytes of the CPU's, and back to the CPU where NVDEC cannot."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import FFMPEG, make_clip, numbered, ok, run, write_annotation
from test_media import program

from first_impression.data import frames, media

# An ffmpeg that decodes to NVDEC's own pixel formats, as one with NVDEC does, but on the CPU
SIMULATED = """
import os, sys
arguments = sys.argv[1:]
if "cuda" in arguments:
    at = arguments.index("-hwaccel") if "-hwaccel" in arguments else arguments.index("-init_hw_device")
    del arguments[at : at + 2]
    if "-vf" in arguments:
        {spoil}
        arguments[arguments.index("-vf") + 1] = "format={form}," + arguments[arguments.index("-vf") + 1]
        print("[graph -1 input from stream 0:0 @ 0x0] [verbose] w:64 h:48 pixfmt:{form} tb:1/25", file=sys.stderr)
sys.stderr.flush()
os.execv({ffmpeg!r}, [{ffmpeg!r}, *arguments])
"""


def simulate(monkeypatch, form="nv12", spoil="pass"):
    Path("simulated.py").write_text(SIMULATED.format(form=form, ffmpeg=FFMPEG, spoil=spoil))
    command = f'exec "{sys.executable}" "{Path("simulated.py").absolute()}" "$@"'
    monkeypatch.setenv("FFMPEG", program("simulated", command))


def extracted(video, folder, nvdec=None):
    folder.mkdir()
    frames.extract_frames(video, folder, 20, "even", 64, nvdec=nvdec)
    return [(folder / f"frame{n}.jpg").read_bytes() for n in range(1, 21)]


@pytest.mark.parametrize(
    ("form", "coding"),
    [("nv12", ("-c:v", "libx264", "-bf", "2")), ("p010le", ("-c:v", "libx265", "-pix_fmt", "yuv420p10le"))],
)
def test_the_pixel_formats_of_nvdec_give_the_bytes_of_the_cpu(folder, monkeypatch, form, coding):
    moving = ["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=2"]
    subprocess.run([FFMPEG, "-v", "error", *moving, *coding, "a.mp4"], check=True, stderr=subprocess.DEVNULL)
    by_cpu = extracted("a.mp4", folder / "cpu")
    simulate(monkeypatch, form)
    left = []
    assert extracted("a.mp4", folder / "gpu", lambda: left.append(1)) == by_cpu and not left


@pytest.mark.parametrize(
    "spoil",
    [
        'sys.exit("[error] NVDEC cannot")',
        'print("[error] something is damaged", file=sys.stderr)',  # ffmpeg goes on, with pictures of NVDEC's
    ],
)
def test_a_clip_that_nvdec_fails_on_is_decoded_by_the_cpu_as_ever(folder, monkeypatch, spoil):
    video = make_clip("a.mp4", numbered(40))
    by_cpu = extracted(video, folder / "cpu")
    simulate(monkeypatch, spoil=spoil)
    left = []
    assert extracted(video, folder / "gpu", lambda: left.append(1)) == by_cpu and left == [1]


@pytest.fixture
def two_clips(folder):
    for name, codec in (("a", "libx264"), ("b", "mpeg4")):
        make_clip(f"data/train/{name}.mp4", numbered(20), options=["-c:v", codec])
    write_annotation("Annotations/annotation_training.pkl", {name: [0.5] * 5 for name in "ab"})
    return folder


def written():
    return {path.relative_to("ImageData"): path.read_bytes() for path in Path("ImageData").rglob("*.jpg")}


@pytest.mark.skipif(not media.nvdec_fault(), reason="has an NVIDIA GPU")
def test_without_a_gpu_the_cpu_decodes_and_one_line_says_so(two_clips):
    ok(run("Video_to_Image.py"))
    frames_of_cpu = written()
    Path("ImageData").rename("before")
    printed = ok(run("Video_to_Image.py", "--NVDEC", "True"))
    assert written() == frames_of_cpu and len(frames_of_cpu) == 40
    assert len([line for line in printed.splitlines() if line.startswith("NVDEC = True: there is no NVIDIA GPU")]) == 1
    # The frames are the same, so a step that goes on with the other setting makes nothing anew
    assert "0 clips made, 2 already there" in ok(run("Video_to_Image.py"))


@pytest.mark.gpu
def test_nvdec_gives_the_bytes_of_the_cpu(two_clips):
    ok(run("Video_to_Image.py"))
    frames_of_cpu = written()
    Path("ImageData").rename("before")
    printed = ok(run("Video_to_Image.py", "--NVDEC", "True"))
    assert written() == frames_of_cpu and len(frames_of_cpu) == 40
    assert "there is no NVIDIA GPU" not in printed and "a" not in printed.partition("as NVDEC could not:")[2].split()
