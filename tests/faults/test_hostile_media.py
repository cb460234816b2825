"""Clips made to do harm: playlists and references that open other files, sizes and lengths without limit."""

import os
import socket
import struct
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from conftest import FFMPEG, make_clip

from first_impression.common.errors import BadClipError, UserError
from first_impression.data import audio, media, sound
from first_impression.data.frames import extract_frames, frames_from
from first_impression.data.sound import LOUDNESS_STEP, SAMPLE_RATE, extract_sound, loudness, samples_from
from first_impression.data.streams import probe, sound_stream, video_stream
from predict import SUFFIXES

pytestmark = pytest.mark.usefixtures("no_harm")


def make(*arguments):
    """Make a file with the tests' own ffmpeg."""
    made = subprocess.run([FFMPEG, "-v", "error", "-y", *arguments], capture_output=True)
    assert made.returncode == 0, (arguments, made.stderr)


@pytest.fixture
def listening():
    """A web server on this machine that notes what it is asked for: (address, list of paths)."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802, the library's name
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            asked.append("connected")

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def playlists(target):
    """Files that make a player open `target`, by their format."""
    mpd = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT1S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
        '<AdaptationSet mimeType="video/mp4"><Representation id="0" bandwidth="1000" width="64" height="48">'
        f"<BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>"
    )
    return {
        "concat": f"ffconcat version 1.0\nfile {target}\n",
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n",
        "dash": mpd,
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\n",
        "imf": f'<?xml version="1.0"?><CompositionPlaylist><Id>urn:uuid:1</Id><!-- {target} --></CompositionPlaylist>',
        "rtsp": "rtsptext\nrtsp://127.0.0.1:9/a\n",
    }


def all_refuse(video, folder):
    """Assert that no function that opens clips reads anything of `video`; returns the reasons."""
    reasons = []
    for read in (
        lambda: extract_frames(video, folder, 3, "even", 32),
        lambda: extract_sound(video, folder / "out.wav"),
        lambda: video_stream(video),
        lambda: sound_stream(video),
        lambda: list(frames_from(video, 32)),
        lambda: list(samples_from(video)),
    ):
        with pytest.raises(BadClipError) as reason:
            read()
        reasons.append(str(reason.value))
    assert len(loudness(video)) == 0
    assert not list(folder.glob("frame*.jpg"))
    return reasons


@pytest.mark.parametrize("kind", playlists(""))
def test_playlist_in_an_mp4_opens_no_other_file_and_no_address(folder, kind, listening):
    address, asked = listening
    make_clip("secret.mp4", [90] * 25)
    make("-i", "secret.mp4", "-c", "copy", "secret.ts")
    for target in ("secret.mp4", f"file://{folder}/secret.ts", f"{address}/a.mp4", f"{address}/a.ts"):
        Path("a.mp4").write_text(playlists(target)[kind])
        all_refuse("a.mp4", folder)
    assert not asked


def test_without_our_guard_concat_and_dash_would_open_it(folder):
    # so that the test above cannot pass for another reason
    make_clip("secret.mp4", [90] * 25)
    for kind in ("concat", "dash"):
        Path("a.mp4").write_text(playlists("secret.mp4")[kind])
        make("-i", "a.mp4", "-map", "0:V:0", "-frames:v", "1", "-f", "null", "-")
        assert all("no video or sound file: a playlist" in reason for reason in all_refuse("a.mp4", folder))


@pytest.mark.slow
def test_all_containers_that_predict_takes_pass_the_guard(folder):
    clip = make_clip("made.mp4", [90] * 25)
    for suffix in sorted(SUFFIXES):
        options = {".3gp": ["-an"], ".opus": ["-vn", "-ar", "48000"], ".flac": ["-sample_fmt", "s16"]}.get(suffix, [])
        options += ["-s", "352x288"] if suffix == ".3gp" else []
        make("-i", clip, "-strict", "-2", *options, f"a{suffix}")
        if suffix in (".wav", ".mp3", ".m4a", ".aac", ".flac", ".ogg", ".opus", ".wma"):
            extract_sound(f"a{suffix}", folder / "out.wav")
            assert audio.read_wav(folder / "out.wav").shape[0] > 10_000, suffix
        else:
            assert extract_frames(f"a{suffix}", folder, 3, "even", 32) == 3, suffix


def test_reference_inside_an_mp4_to_another_file_is_not_followed(folder):
    make_clip("secret.mp4", [90] * 25, sound=None)
    content = (folder / "secret.mp4").read_bytes()
    at = content.index(b"dref") + 12  # size, type, version and flags of the one reference: 1 is "in this file"
    size, kind, flags = struct.unpack(">I4sI", content[at : at + 12])
    assert (size, kind, flags) == (12, b"url ", 1)
    target = f"file://{folder}/secret.mp4".encode() + b"\0"
    reference = struct.pack(">I4sI", 12 + len(target), b"url ", 0) + target
    changed = content[:at] + reference + content[at + 12 :]
    for box in (b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        place = changed.index(box) - 4
        longer = struct.unpack(">I", changed[place : place + 4])[0] + len(target)
        changed = changed[:place] + struct.pack(">I", longer) + changed[place + 4 :]
    start = changed.index(b"mdat") + 4  # its own pictures are wiped out: any that come are the other file's
    wiped = changed[:start] + bytes(changed.index(b"moov") - 4 - start) + changed[changed.index(b"moov") - 4 :]
    (folder / "a.mp4").write_bytes(wiped)
    with pytest.raises(BadClipError):
        extract_frames("a.mp4", folder, 3, "even", 32)
    assert not list(folder.glob("frame*.jpg"))


@pytest.mark.slow
def test_gaps_of_hours_and_very_wide_pixels_are_limited(folder, monkeypatch):
    monkeypatch.setattr(sound, "LONGEST_SOUND", 60)
    gaps = "asetpts='PTS+if(gt(T,1),10000/TB,0)'"
    make("-f", "lavfi", "-i", "sine=d=2", "-af", gaps, "-c:a", "pcm_s16le", "gap.mkv")
    assert len(loudness("gap.mkv")) <= 60 / LOUDNESS_STEP + 1
    make("-f", "lavfi", "-i", "sine=r=8000:d=90", "-c:a", "flac", "long.mkv")
    extract_sound("long.mkv", folder / "long.wav")
    assert 59 < len(audio.read_wav(folder / "long.wav")) / SAMPLE_RATE < 63
    make("-f", "lavfi", "-i", "color=s=1280x720:d=1:r=5", "-vf", "setsar=200/1", "-c:v", "libx264", "wide.mp4")
    assert video_stream("wide.mp4").width == 32 * 720


@pytest.mark.slow
def test_picture_larger_than_8k_is_not_decoded(folder):
    make("-f", "lavfi", "-i", "color=s=16000x16000:d=0.1:r=10", "-c:v", "mjpeg", "-q:v", "31", "a.avi")
    with pytest.raises(BadClipError):
        extract_frames("a.avi", folder, 1, "even", 32)


@pytest.mark.parametrize("table", [b"stts", b"stsz", b"stco", b"stsc", b"stss"])
def test_clip_that_asks_for_unlimited_memory_is_the_clips_fault(folder, table):
    content = bytearray(make_clip("a.mp4", [90] * 25, sound=None, options=["-g", "5"]).read_bytes())
    at = content.index(table) + (12 if table == b"stsz" else 8)  # where the number of its entries stands
    content[at : at + 4] = struct.pack(">I", 2**28 - 1)
    (folder / "a.mp4").write_bytes(content)
    try:
        assert 1 <= extract_frames("a.mp4", folder, 3, "even", 32) <= 3
    except BadClipError as reason:
        assert str(reason)


def test_decoder_that_does_not_open_is_the_clips_fault(folder):
    """ffmpeg then exits with status 255, as it does when it is asked to stop."""
    content = make_clip("a.ogv", [90] * 25, options=["-c:v", "libtheora", "-c:a", "libvorbis"]).read_bytes()
    at = content.index(b"\x82theora") + 7  # the decoder's tables
    Path("a.ogv").write_bytes(content[:at] + b"\xff" * 64 + content[at + 64 :])
    for read in (lambda: list(frames_from("a.ogv", 32)), lambda: extract_frames("a.ogv", folder, 3, "even", 32)):
        with pytest.raises(BadClipError) as reason:
            read()
        assert "extradata" in str(reason.value)  # what the decoder minds


def test_ffmpeg_out_of_memory_does_not_end_a_step():
    assert isinstance(media.failure(b"Error opening input files: Cannot allocate memory"), BadClipError)
    assert isinstance(media.failure(b"Error opening input: Permission denied"), UserError)


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "link to a device"])
def test_what_is_no_file_is_refused_before_it_is_opened(folder, kind):
    if kind == "pipe":
        os.mkfifo("a.mp4")  # opening it would wait for a writer without end
    elif kind == "socket":
        socket.socket(socket.AF_UNIX).bind("a.mp4")
    elif kind == "link to a device":
        os.symlink("/dev/zero", "a.mp4")
    reads = [probe, video_stream, sound_stream, lambda video: extract_frames(video, folder, 3, "even", 32)]
    reads += [lambda video: extract_sound(video, folder / "out.wav"), loudness, lambda video: list(samples_from(video))]
    for read in reads:
        with pytest.raises(BadClipError, match="not a file: a folder, a pipe, a socket or a device"):
            read("/dev/zero" if kind == "device" else "a.mp4")
