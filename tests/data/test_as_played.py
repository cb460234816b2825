"""A clip is what a player shows and plays: its frames, its light, when its sound is heard, and which streams."""

import subprocess

import numpy as np
import pytest
from conftest import FFMPEG, make_clip, number_of, numbered, ok, run
from PIL import Image
from scipy.io import wavfile
from test_media import HERE, program

from first_impression.common.errors import UserError
from first_impression.data import media
from first_impression.data.frames import extract_frames, frames_from
from first_impression.data.packets import list_packets
from first_impression.data.sound import SAMPLE_RATE, extract_sound, hear, loudness, samples_from
from first_impression.data.streams import probe, sound_stream, video_stream


def make(*arguments):
    subprocess.run([FFMPEG, "-v", "error", "-y", *arguments], check=True)


def extracted(video, count=100, size=32):
    """(The pictures that `extract_frames` writes, float64 [n, size, size, 3]; what it notes)."""
    notes = []
    written = extract_frames(video, ".", count, "even", size, note=notes.append)
    return np.array([np.asarray(Image.open(f"frame{n}.jpg"), float) for n in range(1, written + 1)]), notes


def hlg(light):
    """The signal of Hybrid Log-Gamma, 0 to 1, that a screen of 1,000 cd/m2 shows as grey of so many (BT.2100)."""
    scene = (light / 1000) ** (1 / 1.2)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)


def pq(light):
    """As `hlg`, of the Perceptual Quantizer."""
    power = (light / 10_000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


LIGHT = np.array([5, 20, 40, 60, 100, 203, 500, 1000.0])  # cd/m2, of eight bars


def make_hdr(path, signal, transfer, tags=True):
    """A clip in 10 bits of three frames with eight grey bars of this signal, 0 to 1."""
    bars = np.repeat(np.rint(64 + 876 * signal), 8).astype("<u2")
    frame = np.tile(bars, 64).tobytes() + np.full(2 * 32 * 32, 512, "<u2").tobytes()
    raw = ["-f", "rawvideo", "-pix_fmt", "yuv420p10le", "-s", "64x64", "-r", "10", "-i", "-"]
    told = f"transfer={transfer}" + (":colorprim=bt2020:colormatrix=bt2020nc" if tags else "")
    coding = ["-c:v", "libx265", "-x265-params", f"log-level=error:lossless=1:{told}", "-color_trc", transfer]
    coding += ["-color_primaries", "bt2020", "-colorspace", "bt2020nc"] if tags else []
    subprocess.run([FFMPEG, "-v", "error", "-y", *raw, *coding, path], input=3 * frame, check=True)


@pytest.mark.parametrize("name, path, tags", [("HLG", "a.mp4", True), ("PQ", "a.mp4", True), ("PQ", "a.mkv", False)])
def test_hdr_is_tone_mapped_and_told(folder, name, path, tags):
    make_hdr(path, (hlg if name == "HLG" else pq)(LIGHT), {"HLG": "arib-std-b67", "PQ": "smpte2084"}[name], tags)
    pictures, notes = extracted(path, 3, 64)
    grey = pictures[0][:, :, :].reshape(64, 8, 8, 3)[:, :, 2:6].mean(axis=(0, 2))
    assert np.ptp(grey, axis=1).max() < 2  # grey has stayed grey
    # BT.709's white is HDR's reference white, and its screens have a gamma of 2.4 (BT.2408, BT.1886)
    np.testing.assert_allclose(grey[:4, 0], 255 * (LIGHT[:4] / 203) ** (1 / 2.4), atol=2)
    assert (np.diff(grey[:, 0]) > 5).all() and 200 < grey[5, 0] < 235 and grey[7, 0] > 250
    assert notes == [f"HDR ({name}), tone-mapped to BT.709"]
    stream = video_stream(path)
    streamed = [jpeg for _, jpeg in frames_from(path, 64, 0.0, stream)]
    assert stream.hdr == name and streamed == [(folder / f"frame{n}.jpg").read_bytes() for n in (1, 2, 3)]


def test_hdr_without_the_filters_for_it_is_refused_in_a_line(folder, monkeypatch):
    make_hdr("a.mp4", hlg(LIGHT), "arib-std-b67")
    lacks = 'case "$*" in *zscale*) echo "[AVFilterGraph @ 0x1] [error] No such filter: \'zscale\'" >&2; exit 1;; esac'
    monkeypatch.setenv("FFMPEG", program("mine", lacks, f'exec {HERE} "$@"'))
    with pytest.raises(UserError, match="in HDR, and this ffmpeg lacks the filters zscale and tonemap: unset FFMPEG"):
        extract_frames("a.mp4", folder, 3, "even", 32)


def test_step_1_prints_what_is_to_be_known_of_a_clip(folder):
    (folder / "data/training").mkdir(parents=True)
    make_hdr("data/training/bright.mp4", hlg(LIGHT), "arib-std-b67")
    make_clip("data/training/plain.mp4", [90] * 3)
    lines = ok(run("Video_to_Image.py", "--FRAMES_PER_CLIP", 2)).splitlines()
    assert "  bright: HDR (HLG), tone-mapped to BT.709" in lines and not [line for line in lines if "plain:" in line]


def test_packets_of_vp8_that_are_not_shown_are_no_frames(folder):
    source = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=30:d=4"]
    coding = ["-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "16", "-b:v", "200k", "-passlogfile", "log"]
    make(*source, *coding, "-pass", "1", "-f", "null", "-")
    make(*source, *coding, "-pass", "2", "a.webm")
    listed, _ = list_packets([*media.opening("a.webm"), "-map", "0:V:0"])
    assert len(listed[0].shown) > 122  # alternate reference frames are among them
    stream, _, _ = probe("a.webm")
    np.testing.assert_allclose(stream.times, np.arange(120) / 30, atol=0.01)
    assert stream.frame_rate == pytest.approx(30, abs=0.1)
    assert extract_frames("a.webm", folder, 200, "even", 32) == 120 == len(list(frames_from("a.webm", 32)))


def onset(samples):
    """When a sound gets loud, in seconds. `samples`: int16 [n, 2]."""
    return float(np.argmax(np.abs(samples[:, 0]) > 500)) / SAMPLE_RATE


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "late.ts"])
def test_sound_that_starts_late_stands_at_its_time_in_every_way(folder, name):
    six, four = (make_clip(f"{seconds}.mp4", [90] * 25 * seconds) for seconds in (6, 4))
    make("-i", six, "-itsoffset", "2", "-i", four, "-map", "0:v", "-map", "1:a", "-c", "copy", name)
    _, stream, missing = probe(name)
    extract_sound(name, "a.wav")
    trained = wavfile.read("a.wav")[1]
    samples, levels, problem = hear(name, stream, 60)
    windows = [np.concatenate(list(samples_from(name, start, stream))) for start in (0, 1)]
    assert not missing and problem is None
    np.testing.assert_array_equal(samples, trained)
    for found, begins in ((trained, 2), (windows[0], 2), (windows[1], 1)):
        assert onset(found) == pytest.approx(begins, abs=0.05)
        assert len(found) / SAMPLE_RATE == pytest.approx(begins + 4, abs=0.06)
    assert (levels[:38] == -100).all() and (levels[42:118] > -30).all()
    np.testing.assert_array_equal(levels, loudness(name))
    assert stream.seconds_in(0, 6) == pytest.approx(4, abs=0.06)
    assert stream.seconds_in(1, 3) == pytest.approx(1, abs=0.05)


def test_sound_that_starts_a_few_milliseconds_late_is_heard_as_it_is(folder):
    clip = make_clip("a.mp4", [90] * 50)
    make("-i", clip, "-itsoffset", "0.008", "-i", clip, "-map", "0:v", "-map", "1:a", "-c", "copy", "b.mp4")
    extract_sound("b.mp4", "ours.wav")
    plain = ["-map", "0:a:0", "-c:a", "pcm_s16le", "-ar", "44100", "-ac", "2", "-bitexact"]
    subprocess.run([media.ffmpeg(), "-v", "error", "-i", "b.mp4", *plain, "theirs.wav"], check=True)
    assert (folder / "ours.wav").read_bytes() == (folder / "theirs.wav").read_bytes()


def test_rotation_is_that_of_the_pictures_in_use_and_a_mirror_is_none(folder):
    light = "color=black:s=64x48:d=0.2:r=10,drawbox=w=32:h=24:c=white:t=fill"  # white above on the left
    make("-f", "lavfi", "-i", light, "-pix_fmt", "yuv420p", "a.mp4")
    clip = "a.mp4"
    make("-i", clip, "-display_rotation", "90", "-i", clip, "-map", "0:v", "-map", "1:v", "-c", "copy", "two.mp4")
    make("-display_hflip", "-i", clip, "-c", "copy", "mirrored.mp4")
    make("-display_rotation", "180", "-i", clip, "-c", "copy", "turned.mp4")
    found = {name: probe(f"{name}.mp4")[0] for name in ("two", "mirrored", "turned")}
    assert (found["two"].rotation, found["two"].width, found["two"].height) == (0, 64, 48)
    assert found["mirrored"].rotation == 0 and abs(found["turned"].rotation) == 180
    for name, white in (("mirrored", np.s_[:14, 18:]), ("turned", np.s_[18:, 18:])):
        (picture,) = extracted(f"{name}.mp4", 1)[0]
        assert picture[white].mean() > 240 and picture.mean() < 80


@pytest.mark.parametrize("codec", ["mjpeg", "libx264"])
def test_a_cover_without_its_flag_is_no_video(folder, codec):
    clip = make_clip("a.mp4", [90] * 50)
    make("-i", clip, "-frames:v", "1", "cover.png")
    cover = ["-map", "0:a", "-map", "1:v", "-c:a", "copy", "-c:v", codec, "-pix_fmt", "yuv420p"]
    make("-i", clip, "-i", "cover.png", *cover, "b.mp4")
    video, sound, missing = probe("b.mp4")
    assert video is None and sound.end == pytest.approx(2, abs=0.1) and missing == {"image": "a picture, not a clip"}


def tone(path):
    """The pitch of a WAV file's first second, in Hz, of each channel."""
    samples = wavfile.read(path)[1][:SAMPLE_RATE]
    return np.abs(np.fft.rfft(samples, axis=0)).argmax(axis=0).tolist()


@pytest.mark.parametrize("second_is_default", [True, False])
@pytest.mark.parametrize("broken", [None, 0, 1])
def test_the_default_track_of_sound_that_decodes_is_heard(folder, second_is_default, broken):
    clip, tones = make_clip("a.mp4", [90] * 50), [f"sine={pitch}:d=2" for pitch in (300, 600)]
    inputs = ["-i", clip, "-f", "lavfi", "-i", tones[0], "-f", "lavfi", "-i", tones[1]]
    kinds = ["-map", "0:v", "-map", "1:a", "-map", "2:a", "-c:v", "copy", "-c:a:0", "aac", "-c:a:1", "flac"]
    flags = ["-disposition:a:0", "0" if second_is_default else "default"]
    make(*inputs, *kinds, *flags, "-disposition:a:1", "default" if second_is_default else "0", "b.mkv")
    content = (folder / "b.mkv").read_bytes()
    if broken is not None:  # a codec that no player knows
        content = content.replace([b"A_AAC", b"A_FLAC"][broken], [b"A_QQQ", b"A_QQQQ"][broken])
    (folder / "b.mkv").write_bytes(content)
    wanted = second_is_default if broken is None else 1 - broken
    stream = sound_stream("b.mkv")
    extract_sound("b.mkv", "a.wav")
    assert stream.track == wanted and tone("a.wav") == [300 * (1 + wanted)] * 2
    np.testing.assert_array_equal(hear("b.mkv", stream, 9)[0], wavfile.read("a.wav")[1])
    streamed = np.concatenate(list(samples_from("b.mkv", 0, stream)))
    np.testing.assert_array_equal(streamed[:60_000], wavfile.read("a.wav")[1][:60_000])


@pytest.mark.parametrize("count", [9, 18])
def test_of_many_channels_without_a_layout_the_first_two_are_heard(folder, count):
    times = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    channels = np.stack([np.sin(2 * np.pi * times * 100 * (number + 1)) for number in range(count)], axis=1)
    samples = np.rint(9000 * channels).astype(np.int16)
    make_raw = ["-f", "s16le", "-ar", str(SAMPLE_RATE), "-ac", str(count), "-i", "-", "-c:a", "pcm_s16le", "a.wav"]
    subprocess.run([FFMPEG, "-v", "error", *make_raw], input=samples.tobytes(), check=True)
    notes, stream = [], sound_stream("a.wav")
    extract_sound("a.wav", "b.wav", notes.append)
    assert notes == [f"the first two of {count} channels, since the file does not say which they are"]
    for found in (wavfile.read("b.wav")[1], hear("a.wav", stream, 9)[0], *samples_from("a.wav", 0, stream)):
        np.testing.assert_array_equal(found, samples[:, :2])


def test_loudness_is_that_of_the_channels_not_of_their_sum(folder):
    left = 0.5 * np.sin(2 * np.pi * 440 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    wavfile.write("a.wav", SAMPLE_RATE, np.rint(32767 * np.stack([left, -left], axis=1)).astype(np.int16))
    np.testing.assert_allclose(loudness("a.wav")[2:18], 20 * np.log10(0.5 / np.sqrt(2)), atol=0.1)


def test_frames_closer_than_the_file_says_on_average_are_all_taken(folder):
    whole = make_clip("whole.mp4", numbered(50))
    near = "setpts='(N*0.2-if(eq(mod(N,10),1),0.197,0))/TB'"  # each tenth comes 3 ms after the one before
    make(
        "-i",
        whole,
        "-an",
        "-vf",
        near,
        "-fps_mode",
        "passthrough",
        "-enc_time_base",
        "1/1000",
        "-qp",
        "4",
        "-bf",
        "0",
        "a.mkv",
    )
    pictures, _ = extracted("a.mkv")
    assert [number_of(picture) for picture in pictures] == list(range(50))
    times = [time for time, _ in frames_from("a.mkv", 32)]
    np.testing.assert_allclose(times, [0.2 * n - 0.197 * (n % 10 == 1) for n in range(50)], atol=0.0011)


def test_a_looped_transport_stream_is_read_every_time(folder):
    clip = make_clip("a.mp4", numbered(25), options=["-bf", "2"])
    make("-i", clip, "-c", "copy", "a.ts")
    (folder / "b.ts").write_bytes(3 * (folder / "a.ts").read_bytes())
    for _ in range(5):  # whether its encoder minds equal times depends on chance
        times = [time for time, _ in frames_from("b.ts", 32)]
        assert len(times) == 75 and (np.diff(times) > 0).all()
