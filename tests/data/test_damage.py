"""Clips that are damaged or cut short: what is concealed, what is refused, and with which words."""

import numpy as np
import pytest
from conftest import make_clip, number_of, numbered
from PIL import Image
from test_as_played import extracted, make

from first_impression.common.errors import BadClipError
from first_impression.data import failures, media, packets
from first_impression.data.frames import extract_frames, frames_from
from first_impression.data.sound import extract_sound
from first_impression.data.streams import probe, sound_stream, video_stream

PACKET = 188  # bytes of a packet of a transport stream
PICTURES = 0x100  # what ffmpeg calls their packets


def transport_stream(count=300):
    """(The packets of a transport stream of so many frames, bytes [n]; which of them go on with a frame)."""
    clip = make_clip("a.mp4", numbered(count), size=(320, 240), options=["-g", "50", "-qp", "20"])
    make("-i", clip, "-c", "copy", "-muxpreload", "0", "a.ts")
    with open("a.ts", "rb") as file:
        parts = list(iter(lambda: file.read(PACKET), b""))
    kinds = [(int.from_bytes(part[1:3], "big") & 0x1FFF, part[1] & 0x40) for part in parts]
    return parts, [number for number, kind in enumerate(kinds) if kind == (PICTURES, 0)]


def test_a_lost_packet_costs_a_frame_and_is_told(folder):
    parts, within = transport_stream(256)
    del parts[within[len(within) // 2]]
    (folder / "b.ts").write_bytes(b"".join(parts))
    told = "damaged: 1 of 256 frames are lost, or shown as far as they can be"
    pictures, notes = extracted("b.ts", 256)
    assert len(pictures) == 256 and notes == [told]
    video, sound, missing = probe("b.ts")
    assert video.damaged == 1 and sound and not missing
    notes = []
    assert len(list(frames_from("b.ts", 32, 0.0, video, notes.append))) == 256 and notes == [told]


def test_more_than_two_per_cent_of_lost_frames_are_refused(folder):
    parts, within = transport_stream(256)
    lost = set(within[:: len(within) // 12])
    (folder / "b.ts").write_bytes(b"".join(part for number, part in enumerate(parts) if number not in lost))
    with pytest.raises(BadClipError, match=r"^damaged: \d+ of 256 frames are lost$"):
        extract_frames("b.ts", folder, 100, "even", 32)
    video, sound, missing = probe("b.ts")
    assert video is None and sound and missing["image"].startswith("damaged: ")
    extract_sound("b.ts", "a.wav")  # of which nothing was lost


def test_joined_transport_streams_show_all_their_frames(folder):
    parts = []
    for part, numbers in enumerate((numbered(100)[:60], numbered(100)[60:])):
        clip = make_clip(f"{part}.mp4", numbers, options=["-bf", "2"])
        make("-i", clip, "-c", "copy", f"{part}.ts")
        parts.append((folder / f"{part}.ts").read_bytes())
    (folder / "a.mts").write_bytes(b"".join(parts))
    pictures, notes = extracted("a.mts")
    assert [number_of(picture) for picture in pictures] == list(range(100))
    video, sound, missing = probe("a.mts")
    assert not missing and video.end == pytest.approx(4, abs=0.2)


HALVES = {
    "a.mkv": ["-c", "copy"],
    "a.webm": ["-c:v", "libvpx", "-c:a", "libopus"],
    "a.avi": ["-c:v", "mpeg4", "-c:a", "mp3"],
    "a.flv": ["-c", "copy"],
    "a.wmv": ["-c:v", "wmv2", "-c:a", "wmav2"],
    "fragments.mp4": ["-c", "copy", "-movflags", "frag_keyframe+empty_moov"],
    "a.wav": ["-vn"],
    "a.ts": ["-c", "copy"],
    "live.webm": ["-c:v", "libvpx", "-c:a", "libopus", "-live", "1"],
}


@pytest.mark.parametrize("name", HALVES)
def test_half_a_file_is_found_where_the_file_tells(folder, name):
    whole = make_clip("whole.mp4", numbered(150), options=["-g", "25"])
    make("-i", whole, *HALVES[name], name)
    reads = [lambda: extract_sound(name, "out.wav")]
    if name != "a.wav":
        reads += [lambda: extract_frames(name, folder, 10, "even", 32)]
    for read in reads:
        read()
    assert not set(probe(name)[2]) - ({"image"} if name == "a.wav" else set())
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    if name in ("a.ts", "live.webm"):  # nothing tells
        for read in reads:
            read()
        assert not probe(name)[2]
        return
    for read in reads:
        with pytest.raises(BadClipError, match="cut short"):
            read()
    video, sound, missing = probe(name)
    assert (video, sound) == (None, None)
    assert "cut short" in missing["audio"] and (name == "a.wav" or "cut short" in missing["image"])


def test_avi_with_a_broken_index_is_not_taken_for_its_first_second(folder):
    make("-i", make_clip("a.mp4", numbered(150)), "-c:v", "mpeg4", "-c:a", "mp3", "a.avi")
    content = bytearray((folder / "a.avi").read_bytes())
    at = content.rindex(b"idx1") + 8
    for entry in range(at + 40 * 16, len(content) - 15, 16):
        content[entry + 8 : entry + 12] = bytes(4)  # where each packet lies
    (folder / "a.avi").write_bytes(content)
    for read in (lambda: extract_frames("a.avi", folder, 10, "even", 32), lambda: extract_sound("a.avi", "a.wav")):
        with pytest.raises(BadClipError, match=r"only \d\.\d of the 6\.0 s that it declares .* a broken index"):
            read()


def test_what_is_no_clip_is_called_what_it_is(folder):
    for suffix in ("png", "jpg", "bmp", "tiff", "webp"):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(f"photo.{suffix}")
        with pytest.raises(BadClipError, match="^a picture, not a clip$"):
            extract_frames(f"photo.{suffix}", folder, 3, "even", 32)
    for address in ("https://example.org/a.mp4", "rtsp://example.org/a"):
        with pytest.raises(BadClipError, match="^an address: fetch it first"):
            probe(address)
    (folder / "a.mp4").write_bytes(b"not a video at all\n" * 100)
    for read in (video_stream, sound_stream, lambda clip: extract_frames(clip, folder, 3, "even", 32)):
        with pytest.raises(BadClipError) as reason:
            read("a.mp4")
        assert "cut short" not in str(reason.value)


def test_a_picture_that_is_too_large_is_told_with_the_limit(folder, monkeypatch):
    make_clip("a.mp4", [90] * 3, size=(128, 96))
    monkeypatch.setattr(failures, "LARGEST", (64, 48))
    monkeypatch.setattr(media, "MAX_PIXELS", 64 * 48)
    with pytest.raises(BadClipError, match="^pictures of 128 x 96 pixels: 64 x 48 are the most"):
        extract_frames("a.mp4", folder, 3, "even", 32)


def test_the_line_that_tells_the_cause_is_taken():
    said = """[in#0 @ 0x55] [error] moov atom not found
[in#0 @ 0x56] [error] Error opening input: Invalid data found when processing input
[error] Error opening input file a.mp4.
[fatal] Error opening input files: Invalid data found when processing input
"""
    assert str(media.failure(said.encode())) == "no MP4 that can be read: moov atom not found"
    said = """[auto_aresample_0 @ 0x7f] [SWR @ 0x7f] [error] Rematrix is needed between 9 channels and stereo
[auto_aresample_0 @ 0x7f] [error] Failed to configure output pad on auto_aresample_0
[af#0:0 @ 0x55] [error] Error reinitializing filters!
[af#0:0 @ 0x55] [error] Terminating thread with return code -22 (Invalid argument)
[out#0/s16le @ 0x55] [error] Nothing was written into output file, because one of its streams received no packets.
"""
    assert str(media.failure(said.encode())) == "Rematrix is needed between 9 channels and stereo"


def test_memory_for_the_times_of_frames_has_a_bound(folder, monkeypatch):
    clip = make_clip("a.mp4", numbered(60), sound=None)
    monkeypatch.setattr(packets, "MOST_PACKETS", 60)
    assert len(video_stream(clip).times) == 60
    monkeypatch.setattr(packets, "MOST_PACKETS", 59)
    with pytest.raises(BadClipError, match="^more than 59 frames"):
        video_stream(clip)


def test_what_an_ffmpeg_says_without_end_is_not_kept(folder, monkeypatch):
    monkeypatch.setattr(media, "LONGEST_LOG", 1000)
    loud = ["-v", "level+debug", *media.opening(make_clip("a.mp4", numbered(60))), "-f", "null"]
    done = media.stream(loud, lambda output: output.read())
    assert done.returncode == 0 and 1000 < len(done.log) <= 1000 + (1 << 17) and b"Exiting" in done.log[-200:]
