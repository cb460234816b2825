"""predict.py for clips whose sound starts late, in HDR, with lost packets, and for what is no file at all."""

import os
import subprocess

import numpy as np
import pytest
from conftest import FFMPEG, make_clip, refused, run
from stand_ins import LABELS, ask, audio_model, image_model, save_run

from first_impression.data.sound import SAMPLE_RATE
from first_impression.inference import clip


def make(*arguments):
    subprocess.run([FFMPEG, "-v", "error", "-y", *arguments], check=True)


def test_sound_that_starts_late_is_heard_alike_in_a_whole_clip_and_in_a_part_of_it(folder):
    five, three = (make_clip(f"{seconds}.mp4", [90] * 25 * seconds) for seconds in (5, 3))
    make("-i", five, "-itsoffset", "2", "-i", three, "-map", "0:v", "-map", "1:a", "-c", "copy", "a.mp4")
    (whole,), (part,) = clip.open_clip("a.mp4", 3).windows, clip.open_clip("a.mp4", 3, seconds=4.9).windows
    shared = int(4.8 * 100) * 2 * 26  # energies: windows of 10 ms of two channels, 26 each
    np.testing.assert_allclose(whole.features[:shared], part.features[:shared], atol=1e-3)
    silent = int(1.9 * 100) * 2 * 26
    assert whole.features[:silent].max() < whole.features[silent + 50 * 26 : shared].max() - 10


def test_how_much_is_seen_and_heard_is_told(folder):
    save_run("eye", image_model(), LABELS), save_run("ear", audio_model(), {})
    five, two = (make_clip(f"{seconds}.mp4", [90] * 25 * seconds) for seconds in (5, 2))
    make("-i", five, "-itsoffset", "3", "-i", two, "-map", "0:v", "-map", "1:a", "-c", "copy", "late.mp4")
    make("-i", two, "-i", five, "-map", "0:v", "-map", "1:a", "-c", "copy", "short.mp4")
    answers = ask("late.mp4", "short.mp4", "5.mp4", "--FRAMES_PER_CLIP", 3, "--FACES=False")["clips"]
    late, short, plain = (answers[name] for name in ("late.mp4", "short.mp4", "5.mp4"))
    assert late["sound"]["seconds"] == pytest.approx(2, abs=0.06) and late["video"]["seconds"] == pytest.approx(5)
    assert "sound in 2.0 of 5.0 s only" in late["warnings"]
    assert "pictures in 2.0 of 5.0 s only" in short["warnings"]
    assert plain["sound"]["seconds"] == pytest.approx(5, abs=0.06) and plain["video"]["hdr"] == ""
    assert not [line for line in plain["warnings"] if "only" in line]


@pytest.mark.parametrize("window", [15.3, 1.0])
def test_hdr_and_lost_packets_are_told(folder, window):
    save_run("eye", image_model(), LABELS)
    light = ["-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=4", "-pix_fmt", "yuv420p10le", "-c:v", "libx265"]
    told = "log-level=error:keyint=25:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc"
    make(*light, "-x265-params", told, "-color_trc", "arib-std-b67", "-f", "mpegts", "whole.ts")
    content = (folder / "whole.ts").read_bytes()
    parts = [content[at : at + 188] for at in range(0, len(content), 188)]
    within = [n for n, part in enumerate(parts) if part[1] & 0x5F == 1 and part[2] == 0]  # go on with a frame
    del parts[within[len(within) // 2]]
    (folder / "a.ts").write_bytes(b"".join(parts))
    answer = ask("a.ts", "--FRAMES_PER_CLIP", 3, "--FACES=False", "--WINDOW", window)["clips"]["a.ts"]
    assert answer["video"]["hdr"] == "HLG" and "HDR (HLG), tone-mapped to BT.709" in answer["warnings"]
    assert "damaged: 1 of 100 frames are lost, or shown as far as they can be" in answer["warnings"]


@pytest.mark.parametrize("place", ["as named", "in a folder"])
def test_what_is_no_file_is_refused_before_a_model_is_loaded(folder, place):
    (folder / "clips").mkdir()
    os.mkfifo("clips/a.mp4")
    refused(
        run("predict.py", "clips/a.mp4" if place == "as named" else "clips", "https://example.org/b.mp4"),
        "a.mp4 (not a file: a folder, a pipe, a socket or a device)",
        "https://example.org/b.mp4 (an address: fetch it first, and give the file)",
        "2 of 2 clips could not be used",
    )


def test_both_channels_of_opposite_sound_are_heard(folder):
    make("-f", "lavfi", "-i", "sine=440:d=4:r=44100", "-af", "tremolo=2:0.99,pan=stereo|c0=4*c0|c1=-4*c0", "a.wav")
    opened = clip.open_clip("a.wav", 3)
    (window,) = opened.windows
    assert window.sound_seconds == pytest.approx(4, abs=1 / SAMPLE_RATE)
    # a sine of half the full scale at its loudest
    assert opened.loudness.max() == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.5)
