"""The streams of odd and ordinary clips."""

import subprocess

import numpy as np
import pytest
from conftest import FFMPEG, make_clip, numbered

from first_impression.common.errors import BadClipError
from first_impression.data.streams import probe, sound_stream, video_stream


def test_times_of_frames(folder):
    make_clip("even.mp4", numbered(51), rate=10, options=["-bf", "2"])
    even = video_stream("even.mp4")
    np.testing.assert_allclose(even.times, np.arange(51) / 10, atol=0.01)
    assert even.end == pytest.approx(5.1, abs=0.01) and even.frame_rate == pytest.approx(10, abs=0.1)
    uneven = ["-vf", "setpts='if(lt(N,25),N*0.04,1+(N-25)*0.2)/TB'", "-fps_mode", "passthrough", "vfr.mkv"]
    whole = make_clip("whole.mp4", numbered(50))
    subprocess.run([FFMPEG, "-v", "error", "-i", whole, "-an", "-c:v", "libx264", *uneven], check=True)
    wanted = np.concatenate([np.arange(25) * 0.04, 1 + np.arange(25) * 0.2])
    np.testing.assert_allclose(video_stream("vfr.mkv").times, wanted, atol=0.01)
    subprocess.run([FFMPEG, "-v", "error", "-i", whole, "-an", "-c:v", "mpeg4", "-bf", "2", "a.avi"], check=True)
    np.testing.assert_allclose(video_stream("a.avi").times, np.arange(50) / 25, atol=0.09)


def test_size_is_that_of_the_upright_picture(folder):
    wide = make_clip("wide.mp4", [128] * 3, size=(64, 32))
    for degrees in (90, 180):
        turned = ["-display_rotation", str(degrees), "-i", wide, "-c", "copy", f"{degrees}.mp4"]
        subprocess.run([FFMPEG, "-v", "error", *turned], check=True)
    make_clip("narrow.mp4", [128] * 3, size=(64, 32), options=["-vf", "setsar=1/2"])
    found = {name: video_stream(name) for name in ("wide.mp4", "90.mp4", "180.mp4", "narrow.mp4")}
    assert [(stream.width, stream.height) for stream in found.values()] == [(64, 32), (32, 64), (64, 32), (32, 32)]
    assert [abs(stream.rotation) for stream in found.values()] == [0, 90, 180, 0]


def test_sound(folder):
    make_clip("a.mp4", [90] * 50, options=["-ac", "1", "-ar", "8000"])
    found = sound_stream("a.mp4")
    assert (found.sample_rate, found.channels) == (8000, "mono") and found.end == pytest.approx(2, abs=0.2)


def test_missing_and_cut_streams_are_refused_by_name(folder):
    make_clip("mute.mp4", [90] * 50, sound=None)
    with pytest.raises(BadClipError, match="^no sound$"):
        sound_stream("mute.mp4")
    subprocess.run([FFMPEG, "-v", "error", "-i", make_clip("a.mp4", [90] * 50), "-vn", "blind.wav"], check=True)
    with pytest.raises(BadClipError, match="^no video stream$"):
        video_stream("blind.wav")
    whole = (folder / "a.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadClipError, match="^cut short"):
        video_stream("cut.mp4")


def comparable(stream):
    """All that is known of a stream, as text."""
    if stream is None:
        return ""
    known = {**vars(stream), **vars(stream.packets), "packets": ""}
    return str({name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in known.items()})


@pytest.mark.parametrize("name", ["a.mp4", "late.ts", "cut.mp4", "turned.mp4", "a.avi", "mute.mp4", "blind.wav"])
def test_probe_finds_what_each_stream_gives_by_itself(folder, name, monkeypatch):
    whole = make_clip("a.mp4", numbered(60), options=["-bf", "2", "-g", "20"])
    make = {
        "a.mp4": [],
        "late.ts": ["-itsoffset", "0.7", "-i", whole, "-i", whole, "-map", "0:v", "-map", "1:a", "-c", "copy"],
        "cut.mp4": ["-ss", "1.2", "-i", whole, "-c", "copy"],
        "turned.mp4": ["-display_rotation", "90", "-i", whole, "-c", "copy"],
        "a.avi": ["-i", whole, "-c:v", "mpeg4", "-bf", "2"],
        "mute.mp4": ["-i", whole, "-an", "-c", "copy"],
        "blind.wav": ["-i", whole, "-vn"],
    }[name]
    if make:
        subprocess.run([FFMPEG, "-v", "error", *make, name], check=True)
    video = None if name == "blind.wav" else video_stream(name)
    sound = None if name == "mute.mp4" else sound_stream(name)
    started, popen = [], subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(a) or popen(*a, **k))
    found_video, found_sound, missing = probe(name)
    assert len(started) == 1
    assert (comparable(found_video), comparable(found_sound)) == (comparable(video), comparable(sound))
    assert missing == {"mute.mp4": {"audio": "no sound"}, "blind.wav": {"image": "no video stream"}}.get(name, {})


def test_probe_finds_which_stream_is_damaged(folder):
    whole = make_clip("a.mp4", numbered(200), options=["-movflags", "+faststart"]).read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) * 6 // 10])
    found_video, found_sound, missing = probe("cut.mp4")
    assert (found_video, found_sound, list(missing)) == (None, None, ["image", "audio"])
    assert all(reason.startswith("cut short") for reason in missing.values())
    with pytest.raises(BadClipError) as reason:
        video_stream("cut.mp4")
    assert str(reason.value) == missing["image"]
