"""Frames of odd and ordinary videos."""

import subprocess

import numpy as np
import pytest
from conftest import FFMPEG, make_clip, number_of, numbered
from PIL import Image
from test_media import program

from first_impression.common.errors import BadClipError
from first_impression.data import frames, media, windows


def extract(video, folder, count=100, sampling="even", size=32):
    """The numbers that the written frames carry, in the order of their names."""
    (folder / "out").mkdir()
    written = frames.extract_frames(video, folder / "out", count, sampling, size)
    assert written == len(list((folder / "out").iterdir()))
    return [number_of(np.asarray(Image.open(folder / "out" / f"frame{n}.jpg"))) for n in range(1, written + 1)]


@pytest.mark.parametrize("total", [100, 101, 230])
def test_even_takes_exactly_100_from_first_to_last(folder, total):
    found = extract(make_clip("a.mp4", numbered(total), options=["-bf", "2"]), folder)
    assert found == np.round(np.arange(100) * (total - 1) / 99).astype(int).tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    "coding",
    [
        ["-c:v", "libx264"],
        ["-c:v", "libx264", "-bf", "2", "-x264-params", "b-pyramid=none"],
        ["-c:v", "libx264", "-bf", "8", "-refs", "5", "-x264-params", "open-gop=1:keyint=40"],
        ["-c:v", "libx264", "-flags", "+ildct+ilme"],
        ["-c:v", "libx265", "-x265-params", "log-level=error"],
        ["-c:v", "mpeg4", "-bf", "2"],
    ],
)
def test_skipping_frames_that_nothing_refers_to_changes_no_output(folder, coding, monkeypatch):
    motion = ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30:duration=8"]
    subprocess.run([FFMPEG, "-v", "error", *motion, *coding, "-pix_fmt", "yuv420p", "a.mp4"], check=True)
    stream, referred = frames._list_frames("a.mp4")
    places, indices = frames._needless(stream.packets, referred, frames.frame_indices(240, 100, "even"))
    assert len(stream.times) == 240 and len(places) == len(indices)
    # an older ffmpeg cannot list them, and for other codecs it is not asked to
    assert len(places) > 60 or coding[1] != "libx264" or media.ffmpeg() != FFMPEG

    def decoded():
        frames.extract_frames("a.mp4", folder, 100, "even", 64)
        return [(folder / f"frame{n}.jpg").read_bytes() for n in range(1, 101)]

    without = decoded()
    monkeypatch.setattr(frames, "_needless", lambda packets, referred, wanted: ((), ()))
    assert without == decoded()


def test_more_frames_than_ffmpeg_takes_in_one_sum(folder):
    clip = make_clip("a.mp4", numbered(256), options=["-bf", "2"])
    assert extract(clip, folder, count=200) == np.round(np.arange(200) * 255 / 199).astype(int).tolist()


def test_first_takes_the_first_frames(folder):
    assert extract(make_clip("a.mp4", numbered(160)), folder, sampling="first") == list(range(100))


@pytest.mark.parametrize("sampling", ["even", "first"])
def test_short_clip_gives_all_its_frames(folder, sampling):
    assert extract(make_clip("a.mp4", numbered(37)), folder, sampling=sampling) == list(range(37))


def test_indices_are_distinct_sorted_and_cover_the_clip():
    for total in (0, 1, 2, 99, 100, 101, 459, 108_000):
        indices = frames.frame_indices(total, 100, "even")
        assert len(set(indices)) == len(indices) == min(total, 100)
        assert indices == sorted(indices)
        assert not indices or (indices[0] == 0 and (total == 1 or indices[-1] == total - 1))


@pytest.mark.slow
def test_resize_is_antialiased_like_pillow(folder):
    # A photograph-like frame: smooth light, edges and fine texture; strong colours, where JPEG halves resolution
    y, x = np.mgrid[0:720, 0:1280]
    random = np.random.default_rng(0)
    picture = np.stack([60 + x / 12, 90 + y / 8 + 20 * np.sin(x / 9), 140 - x / 20 + 25 * (x % 160 < 80)], axis=-1)
    picture = np.clip(picture + random.normal(0, 8, picture.shape[:2] + (1,)), 0, 255).astype(np.uint8)
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "1280x720", "-r", "25", "-i", "-"]
    coding = ["-c:v", "libx264", "-qp", "8", "-pix_fmt", "yuv420p"]
    subprocess.run([FFMPEG, "-v", "error", *raw, *coding, "a.mp4"], input=picture.tobytes() * 3, check=True)
    decode = [
        FFMPEG,
        "-v",
        "error",
        "-i",
        "a.mp4",
        "-frames:v",
        "1",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]
    source = np.frombuffer(subprocess.run(decode, capture_output=True, check=True).stdout, np.uint8).reshape(
        720, 1280, 3
    )
    wanted = np.asarray(Image.fromarray(source).resize((224, 224), Image.Resampling.BICUBIC), np.float64)
    extract("a.mp4", folder, size=224)
    found = np.asarray(Image.open("out/frame1.jpg"), np.float64)
    assert found.shape == (224, 224, 3)
    assert np.abs(found - wanted).mean() < 3
    aliased = np.asarray(Image.fromarray(source).resize((224, 224), Image.Resampling.NEAREST), np.float64)
    assert np.abs(aliased - wanted).mean() > 6  # so the bound above can fail


def test_rotated_phone_video_comes_out_upright(folder):
    flat = make_clip("flat.mp4", [128] * 5, size=(64, 32))
    dark_left = "drawbox=x=0:y=0:w=32:h=32:color=black:t=fill"
    made = [FFMPEG, "-v", "error", "-y"]
    subprocess.run([*made, "-i", flat, "-vf", dark_left, "-c:v", "libx264", "-qp", "4", "marked.mp4"], check=True)
    subprocess.run([*made, "-display_rotation", "90", "-i", "marked.mp4", "-c", "copy", "turned.mp4"], check=True)
    extract("turned.mp4", folder)
    image = np.asarray(Image.open("out/frame1.jpg").convert("L"), np.float64)
    assert abs(image[:16].mean() - image[16:].mean()) > 100  # dark left has become dark below or above
    assert abs(image[:, :16].mean() - image[:, 16:].mean()) < 5


def test_clip_whose_start_an_edit_list_hides(folder):
    whole = make_clip("whole.mp4", numbered(160), options=["-g", "50", "-bf", "2"])
    cut = [FFMPEG, "-v", "error", "-ss", "1.2", "-i", whole, "-c", "copy", "cut.mp4"]
    subprocess.run(cut, check=True)
    found = extract("cut.mp4", folder)
    assert len(set(found)) == 100 and found == sorted(found)
    assert abs(found[0] - 30) <= 1 and found[-1] == 159


def test_variable_frame_rate_neither_repeats_nor_drops(folder):
    whole = make_clip("whole.mp4", numbered(50))
    uneven = ["-vf", "setpts='if(lt(N,25),N*0.04,1+(N-25)*0.2)/TB'", "-fps_mode", "passthrough", "-qp", "4", "vfr.mp4"]
    subprocess.run([FFMPEG, "-v", "error", "-i", whole, "-an", "-c:v", "libx264", *uneven], check=True)
    assert extract("vfr.mp4", folder) == list(range(50))


# An old ffmpeg: it has another name for one of our options, and cannot leave frames out
OLD = """
case "$*" in *-fps_mode*|*filter_units*|*noise=drop*) echo unknown option >&2; exit 1;; esac
for each do shift; [ "$each" = -vsync ] && each=-fps_mode; set -- "$@" "$each"; done
"""


def test_old_ffmpeg_gives_the_same_frames(folder, monkeypatch):
    clip = make_clip("a.mp4", numbered(160), options=["-bf", "2"])
    frames.extract_frames(clip, folder, 100, "even", 32)
    before = [(folder / f"frame{n}.jpg").read_bytes() for n in range(1, 101)]
    ours = media.ffmpeg() if media.stream(["-fps_mode", "passthrough", "-version"], list).returncode == 0 else FFMPEG
    monkeypatch.setenv("FFMPEG", program("old", OLD, f'exec {ours} "$@"'))
    assert extract(clip, folder) == np.round(np.arange(100) * 159 / 99).astype(int).tolist()
    after = [(folder / "out" / f"frame{n}.jpg").read_bytes() for n in range(1, 101)]
    assert after == before or ours == FFMPEG


@pytest.mark.parametrize("lost", [1, 2, 700])
def test_a_picture_that_does_not_end_is_not_accepted_whatever_the_status(folder, monkeypatch, lost):
    clip = make_clip("a.mp4", numbered(5))
    extract(clip, folder)
    size = sum(path.stat().st_size for path in (folder / "out").iterdir()) - lost
    short = f'case "$*" in *mjpeg*) {media.ffmpeg()} "$@" | head -c {size}; exit 0;; esac; exec {media.ffmpeg()} "$@"'
    monkeypatch.setenv("FFMPEG", program("mine", short))
    with pytest.raises(BadClipError, match=r"only \d of 5 frames"):
        frames.extract_frames(clip, folder, 100, "even", 32)
    assert not (folder / "frame5.jpg").exists()


@pytest.mark.parametrize("start", [0, 26])
def test_streamed_frames_equal_extracted_ones_and_have_their_times(folder, start, monkeypatch):
    monkeypatch.setattr(windows, "TOLERANCE", 60)  # or a long clip's are streamed themselves
    clip = make_clip("clip.mp4", numbered(150), size=(96, 96), rate=5, options=["-bf", "2", "-g", "20"])
    (folder / "out").mkdir()
    frames.extract_frames(clip, folder / "out", 150, "even", 32)
    times, streamed = zip(*frames.frames_from(clip, 32, start), strict=True)
    np.testing.assert_allclose(times, np.arange(5 * start, 150) / 5, atol=0.001)
    wanted = [(folder / f"out/frame{number + 1}.jpg").read_bytes() for number in range(5 * start, 150)]
    assert list(streamed) == wanted


def test_ffmpeg_ends_when_a_stream_of_frames_is_left_early(folder, monkeypatch):
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1])
    streamed = frames.frames_from(make_clip("clip.mp4", [9] * 2000), 224)
    assert next(streamed)[0] == 0 and started[-1].poll() is None
    streamed.close()
    assert started[-1].poll() is not None


SIZES = [(320, 240), (160, 120), (480, 360)]


@pytest.mark.parametrize("count", [5, 100])
def test_frames_of_a_clip_whose_picture_size_changes(folder, count):
    for part, size in enumerate(SIZES):
        numbers = numbered(129)[43 * part : 43 * part + 43]
        make_clip(f"{part}.webm", numbers, size=size, sound=None, options=["-c:v", "libvpx", "-crf", "4", "-b:v", "2M"])
    (folder / "list").write_text("".join(f"file {part}.webm\n" for part in range(3)))
    subprocess.run([FFMPEG, "-v", "error", "-f", "concat", "-i", "list", "-c", "copy", "a.webm"], check=True)
    assert extract("a.webm", folder, count) == np.round(np.arange(count) * 128 / (count - 1)).astype(int).tolist()


def test_frames_of_a_clip_whose_size_changes_while_it_lies_on_its_side(folder):
    turned = ["-bsf:v", "h264_metadata=display_orientation=insert:rotate=90"]
    parts = []
    for part, size in enumerate([(640, 480), (64, 48)]):
        # each number as the picture's brightness, since the turn puts its halves above each other
        levels = [20 + 8 * number for number in range(14 * part, 14 * part + 14)]
        parts.append(make_clip(f"{part}.h264", levels, size=size, sound=None, options=turned).read_bytes())
    (folder / "a.h264").write_bytes(b"".join(parts))
    assert frames.extract_frames("a.h264", folder, 4, "even", 32) == 4
    found = [np.asarray(Image.open(f"frame{n}.jpg").convert("L")).mean() for n in range(1, 5)]
    np.testing.assert_allclose(found, [20, 20 + 8 * 9, 20 + 8 * 18, 20 + 8 * 27], atol=3)
