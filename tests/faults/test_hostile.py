"""Files made to do harm: real specimens of each kind, and what must not happen."""

import io
import json
import marshal
import os
import pickle
import struct
import subprocess
import sys
import threading
import zipfile
import zlib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from conftest import FFMPEG, call, label_of, make_clip, make_zip, refused, run, write_annotation
from PIL import Image

import Write_Into_TFRecords
from first_impression.common.errors import BadClipError, UserError
from first_impression.data import annotations, audio, chalearn, media, record_reader, record_writer, records, sound
from first_impression.data.frames import extract_frames, frames_from
from first_impression.data.sound import LOUDNESS_STEP, SAMPLE_RATE, extract_sound, loudness, samples_from
from first_impression.data.streams import sound_stream, video_stream
from first_impression.training import checkpoint, saved_models

MARK = "harm.txt"  # what a file's code would write, if it ran


@pytest.fixture(autouse=True)
def no_harm(folder):
    """After each test: nothing ran, and nothing lies outside its place."""
    outside = set(folder.parent.iterdir())
    yield
    assert not [path for path in folder.rglob("*") if path.name in (MARK, f"{MARK}.mp4")], "it did its harm"
    assert set(folder.parent.iterdir()) == outside, "something left the folder"


def limited(code, *arguments):
    """Run Python code in a child that gets 2 GB at most; returns its (output, peak in GB)."""
    before = "import resource; resource.setrlimit(resource.RLIMIT_DATA, (2 * 10**9,) * 2)\n"
    after = "\nprint(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    environment = {**os.environ, "PYTHONPATH": str(Path(media.__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", before + code + after, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    *lines, peak = done.stdout.splitlines()
    return "\n".join(lines), float(peak) / 1e6


# ------------------------------------------------------------------------------------------------- pickles


class Runs:
    """Pickles into a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "call",
    [
        Runs(os.system, f"touch {MARK}"),
        Runs(eval, f"open('{MARK}', 'w')"),
        Runs(np.load, MARK),
        Runs(__import__, "antigravity"),
        Runs(getattr, "text", "format"),
    ],
    ids=["system", "eval", "load", "import", "getattr"],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_no_call_in_a_pickle_is_made(folder, call, protocol):
    (folder / "a.pkl").write_bytes(pickle.dumps({"extraversion": {"a.mp4": call}}, protocol))
    with pytest.raises(UserError, match="a.pkl: refused"):
        annotations.read_annotation("a.pkl")


def test_no_way_round_by_dots_in_a_name(folder):
    # protocol 4 takes "dtype.__class__.mro" for a name
    for name in (b"dtype.__init__.__globals__", b"core.multiarray.scalar.__self__"):
        code = b"\x80\x04\x8c\x05numpy\x8c" + bytes([len(name)]) + name + b"\x93."
        (folder / "a.pkl").write_bytes(code)
        with pytest.raises(UserError, match="a.pkl: refused"):
            annotations.read_annotation("a.pkl")


@pytest.mark.parametrize(
    "code",
    [
        b"\x80\x02}r\xff\xff\xff\x7f.",  # remembers an object as the two thousand millionth
        b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",  # bytes that are not there
        b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b".",
        b"\x80\x02cnumpy\ndtype\nX\x0b\x00\x00\x00V1999999999\x85Rcnumpy.core.multiarray\nscalar\n0\x85R.",
        b"\x80\x02" + b"(" * 1_000_000 + b".",
        b"\x80\x02]" + b"q\x00h\x00a" * 200_000 + b".",
    ],
    ids=["memo", "bytearray", "frame", "dtype", "marks", "list in itself"],
)
def test_no_pickle_fills_the_memory(folder, code):
    (folder / "a.pkl").write_bytes(code)
    said, peak = limited(
        "from first_impression.common.errors import UserError\nfrom first_impression.data import annotations\n"
        "try: annotations.read_annotation('a.pkl')\nexcept UserError as problem: print(problem)"
    )
    assert said.startswith("a.pkl ") and peak < 0.5


# ---------------------------------------------------------------------------------------------------- zips


def entry(name, link=False):
    info = zipfile.ZipInfo("placeholder.mp4")
    info.filename = name  # as it stands: the constructor would tidy it up
    if link:
        info.create_system, info.external_attr = 3, 0o120777 << 16
    return info


@pytest.mark.parametrize(
    "name",
    [
        "../harm.txt.mp4",
        "a/../../../harm.txt.mp4",
        "/harm.txt.mp4",
        "//host/share/harm.txt.mp4",
        "..\\harm.txt.mp4",
        "C:\\harm.txt.mp4",
        "C:harm.txt.mp4",
        "c:/harm.txt.mp4",
        "\\\\?\\C:\\harm.txt.mp4",
    ],
)
@pytest.mark.parametrize("script", ["Video_to_Image.py", "vid_to_wav.py"])
def test_no_entry_leaves_its_folder(folder, name, script):
    (folder / "data").mkdir()
    with zipfile.ZipFile("data/training80_01.zip", "w") as archive:
        archive.writestr(entry(name), b"harm")
    with pytest.raises(UserError, match="would leave its folder"):
        chalearn.find_clips()
    if name.startswith("../"):
        refused(run(script), "training80_01.zip", "would leave its folder")


def test_a_link_in_a_zip_is_no_link_on_disk(folder):
    (folder / "data").mkdir()
    (folder / "secret.mp4").write_bytes(make_clip("made.mp4", [90] * 5).read_bytes())
    with zipfile.ZipFile("data/training80_01.zip", "w") as archive:
        archive.writestr(entry("a.mp4", link=True), "../../secret.mp4")
        archive.writestr(entry("b.mp4", link=True), "/etc/passwd")
    for clip in chalearn.find_clips():
        video = chalearn.unzip(clip)
        assert video.is_file() and not video.is_symlink()
        with pytest.raises(BadClipError):
            extract_frames(video, folder, 3, "even", 32)


def overlapping(path, count, megabytes):
    """A zip of `count` clips that share the packed bytes of one, after David Fifield's bomb in its plain form."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packer.compress(bytes(megabytes * 10**6)) + packer.flush()
    checksum = zlib.crc32(bytes(megabytes * 10**6))
    numbers = struct.pack("<HHHHHIII", 20, 0, 8, 0, 33, checksum, len(body), megabytes * 10**6)
    local = b"PK\3\4" + numbers + struct.pack("<HH", 5, 0) + b"0.mp4" + body
    table = b""
    for number in range(count):
        name = f"{number}.mp4".encode()
        table += b"PK\1\2" + struct.pack("<H", 20) + numbers
        table += struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0) + name
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count, count, len(table), len(local), 0)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(local + table + end)


def test_no_zip_bomb_fills_the_disk(folder):
    overlapping(folder / "data/training80_01.zip", 5000, 30)  # 150 GB in 270 kB
    assert (folder / "data/training80_01.zip").stat().st_size < 300_000
    for script in ("Video_to_Image.py", "vid_to_wav.py"):
        refused(run(script), "training80_01.zip", "150,000 MB", "MAX_ZIP_MEGABYTES is 2,000")
    assert not list(folder.glob("unzippedData/**/*.mp4"))


def test_the_limit_can_be_raised_and_holds_for_one_large_clip(folder):
    (folder / "data").mkdir()
    with zipfile.ZipFile("data/training80_01.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.mp4", bytes(3_000_000))
    with pytest.raises(UserError, match="unpack to 3 MB, MAX_ZIP_MEGABYTES is 2"):
        chalearn.find_clips(most_megabytes=2.0)
    (clip,) = chalearn.find_clips(most_megabytes=3.5)
    assert chalearn.unzip(clip).stat().st_size == 3_000_000
    refused(run("vid_to_wav.py", "--MAX_ZIP_MEGABYTES", "2.5"), "training80_01.zip", "MAX_ZIP_MEGABYTES is 2")


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_entry_that_is_larger_than_it_says_is_not_unpacked_further(folder, packing):
    (folder / "data").mkdir()
    path = folder / "data/training80_01.zip"
    with zipfile.ZipFile(path, "w", packing) as archive, archive.open("a.mp4", "w") as target:
        for _ in range(400):
            target.write(bytes(1_000_000))
    content = path.read_bytes()
    lie = content.replace(struct.pack("<I", 400_000_000), struct.pack("<I", 1000))
    assert lie != content
    path.write_bytes(lie)
    said, peak = limited(
        "from first_impression.common.errors import UserError\nfrom first_impression.data import chalearn\n"
        "(clip,) = chalearn.find_clips()\n"
        "try: chalearn.unzip(clip)\nexcept UserError as problem: print(problem)"
    )
    assert "training80_01.zip is damaged at a.mp4" in said and peak < 1
    assert not list(folder.glob("unzippedData/**/*.mp4"))


def test_a_damaged_name_loses_no_clip_without_a_word(folder):
    for name in ("a.002", "a.003"):
        make_clip(f"{name}.mp4", [90] * 3)
    make_zip("data/training80_01.zip", ["a.002", "a.003"])
    content = (folder / "data/training80_01.zip").read_bytes()
    for old, new in ((b"a.003.mp4", b"a.003.mq4"), (b"a.003.mp4", b"a.002.mp4"), (b"a.003.mp4", b"..003.mp4")):
        at = content.rindex(old)  # in the table of contents
        (folder / "data/training80_01.zip").write_bytes(content[:at] + new + content[at + len(new) :])
        with pytest.raises(UserError, match="training80_01.zip is damaged at"):
            chalearn.find_clips()


def test_no_file_name_reaches_a_shell(folder):
    names = [
        "$(touch harm.txt)",
        "`touch harm.txt`",
        "a; touch harm.txt;",
        "-y",
        "a|touch harm.txt",
        "%d",
        "'\"",
        "a\nb",
    ]
    whole = make_clip("made.mp4", [90] * 12).read_bytes()
    (folder / "data").mkdir()
    with zipfile.ZipFile("data/training80_01.zip", "w") as archive:
        for name in names:
            archive.writestr(f"{name}.mp4", whole)
    for script in ("Video_to_Image.py", "vid_to_wav.py"):
        done = run(script)
        assert done.returncode == 0, done.stderr
    assert {path.name for path in Path("ImageData/trainingData").iterdir()} == set(names)
    assert {path.stem for path in Path("VoiceData/trainingData").glob("*.wav")} == set(names)


# -------------------------------------------------------------------------------------------------- ffmpeg


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
    thread = threading.Thread(target=server.serve_forever)
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
    """That nothing of `video` is read, by any of the ways a clip goes; returns the reasons."""
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
def test_a_playlist_in_an_mp4_opens_no_other_file(folder, kind):
    make_clip("secret.mp4", [90] * 25)
    subprocess.run([FFMPEG, "-v", "error", "-i", "secret.mp4", "-c", "copy", "secret.ts"], check=True)
    for target in ("secret.mp4", "secret.ts", f"file://{folder}/secret.ts", f"{folder}/secret.mp4"):
        Path("a.mp4").write_text(playlists(target)[kind])
        all_refuse("a.mp4", folder)


def test_concat_and_dash_would_open_it_without_our_guard(folder):
    # so that the test above cannot pass for another reason
    make_clip("secret.mp4", [90] * 25)
    for kind in ("concat", "dash"):
        Path("a.mp4").write_text(playlists("secret.mp4")[kind])
        form = ["-map", "0:V:0", "-frames:v", "1", "-f", "null", "-"]
        assert subprocess.run([FFMPEG, "-v", "quiet", "-i", "a.mp4", *form]).returncode == 0
        assert all("no video or sound file: a playlist" in reason for reason in all_refuse("a.mp4", folder))


@pytest.mark.parametrize("kind", playlists(""))
def test_a_playlist_in_an_mp4_opens_no_address(folder, kind, listening):
    address, asked = listening
    for ending in ("ts", "mp4"):
        Path("a.mp4").write_text(playlists(f"{address}/a.{ending}")[kind])
        all_refuse("a.mp4", folder)
    assert not asked


def test_a_reference_inside_an_mp4_to_another_file_is_not_followed(folder):
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


def test_all_containers_that_predict_takes_are_read(folder):
    from predict import SUFFIXES

    clip = make_clip("made.mp4", [90] * 25)
    for suffix in sorted(SUFFIXES):
        options = {".3gp": ["-an"], ".opus": ["-vn", "-ar", "48000"], ".flac": ["-sample_fmt", "s16"]}.get(suffix, [])
        options += ["-s", "352x288"] if suffix == ".3gp" else []
        made = subprocess.run(
            [FFMPEG, "-v", "error", "-y", "-i", clip, "-strict", "-2", *options, f"a{suffix}"], capture_output=True
        )
        assert made.returncode == 0, (suffix, made.stderr)
        if suffix in (".wav", ".mp3", ".m4a", ".aac", ".flac", ".ogg", ".opus", ".wma"):
            extract_sound(f"a{suffix}", folder / "out.wav")
            assert audio.read_wav(folder / "out.wav").shape[0] > 10_000, suffix
        else:
            assert extract_frames(f"a{suffix}", folder, 3, "even", 32) == 3, suffix


def test_hours_of_silence_and_a_pixel_of_miles_have_an_end(folder, monkeypatch):
    monkeypatch.setattr(sound, "LONGEST_SOUND", 60)
    gaps = "asetpts='PTS+if(gt(T,1),10000/TB,0)'"
    tone = [FFMPEG, "-v", "error", "-f", "lavfi", "-i", "sine=d=2", "-af"]
    subprocess.run([*tone, gaps, "-c:a", "pcm_s16le", "gap.mkv"], check=True)
    assert len(loudness("gap.mkv")) <= 60 / LOUDNESS_STEP + 1
    long = ["-v", "error", "-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono:d=90", "-c:a", "flac", "long.mkv"]
    subprocess.run([FFMPEG, *long], check=True)
    extract_sound("long.mkv", folder / "long.wav")
    assert 59 < len(audio.read_wav(folder / "long.wav")) / SAMPLE_RATE < 63
    plain = [FFMPEG, "-v", "error", "-f", "lavfi", "-i", "color=s=1280x720:d=1:r=5"]
    subprocess.run([*plain, "-vf", "setsar=200/1", "-c:v", "libx264", "wide.mp4"], check=True)
    assert video_stream("wide.mp4").width == 32 * 720


def test_a_picture_larger_than_8k_is_not_decoded(folder):
    large = ["-f", "lavfi", "-i", "color=s=16000x16000:d=0.1:r=10", "-c:v", "mjpeg", "-q:v", "31", "a.avi"]
    subprocess.run([FFMPEG, "-v", "error", *large], check=True)
    with pytest.raises(BadClipError):
        extract_frames("a.avi", folder, 1, "even", 32)


# -------------------------------------------------------------------------------------------------- models


def sound_model(*parts):
    sound = keras.Input((audio.FEATURES,))
    value = sound
    for part in parts:
        value = part(value)
    return keras.Model(sound, keras.layers.Dense(5, activation="sigmoid", name="traits")(value))


def repack(path, change=None, name="config.json", **extra):
    """Write the .keras file anew, its `name` as `change` makes it, the file's checksums right."""
    with zipfile.ZipFile(path) as archive:
        content = {entry: archive.read(entry) for entry in archive.namelist()}
    if change:
        content[name] = change(content[name])
    with zipfile.ZipFile(path, "w", extra.get("packing", zipfile.ZIP_STORED)) as archive:
        for entry, data in content.items():
            archive.writestr(entry, data)


def layer_becomes(layer):
    """A change of the configuration: the layer "traits" becomes another object."""

    def change(config):
        config = json.loads(config)
        place = next(part for part in config["config"]["layers"] if part["name"] == "traits")
        place.update(layer)
        return json.dumps(config).encode()

    return change


def code_of_lambda():
    def harm(x):
        import pathlib

        pathlib.Path("harm.txt").write_text("ran")
        return x

    import base64

    return base64.b64encode(marshal.dumps(harm.__code__)).decode()


HOSTILE_PARTS = {
    "os.system": {"module": "os", "class_name": "system", "config": {"command": f"touch {MARK}"}},
    "builtins.exec": {"module": "builtins", "class_name": "exec", "config": f"open('{MARK}', 'w')"},
    "function": {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"},
    "get_file": {
        "module": "keras.utils",
        "class_name": "get_file",
        "config": {"fname": "harm.txt", "origin": "file:///etc/passwd", "cache_dir": "."},
    },
    "TFSMLayer": {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "saved", "name": "a"}},
    "StringLookup": {
        "module": "keras.layers",
        "class_name": "StringLookup",
        "config": {"vocabulary": "/etc/passwd", "name": "a"},
    },
    "registered": {"module": "a", "class_name": "Dense", "registered_name": "builtins>Dense", "config": {}},
    "__lambda__": {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {"units": 5, "activation": {"class_name": "__lambda__", "config": {"value": "x"}}},
    },
}


def answer_of(run_folder):
    """What loading the model of `run_folder` says, when it is refused."""
    with pytest.raises(UserError) as refusal:
        saved_models.load_model(run_folder / saved_models.FINAL)
    assert "final.keras" in str(refusal.value) and "\n" not in str(refusal.value)
    return str(refusal.value)


def test_code_in_a_lambda_does_not_run(folder):
    model = sound_model(keras.layers.Lambda(lambda x: x))
    model.save("final.keras")
    repack("final.keras", lambda config: config)
    assert "keras.layers.Lambda" in answer_of(folder)
    with zipfile.ZipFile("final.keras") as archive:
        config = json.loads(archive.read("config.json"))
    place = next(part for part in config["config"]["layers"] if part["class_name"] == "Lambda")
    place["config"]["function"] = {"class_name": "__lambda__", "config": {"code": code_of_lambda(), "defaults": None}}
    repack("final.keras", lambda _: json.dumps(config).encode())
    answer_of(folder)


@pytest.mark.parametrize("part", HOSTILE_PARTS)
def test_no_foreign_part_of_a_model_is_made(folder, part):
    sound_model().save("final.keras")
    repack("final.keras", layer_becomes(HOSTILE_PARTS[part]))
    assert "it has a part that none of our models has" in answer_of(folder)
    # the same as the architecture of a checkpoint
    with zipfile.ZipFile("final.keras") as archive:
        about = {"architecture": archive.read("config.json").decode(), "progress": {}}
    np.savez("checkpoint.npz", about=np.array(json.dumps(about)))
    with pytest.raises(UserError, match="checkpoint.npz is damaged .*none of our models has"):
        checkpoint.read(folder)


def test_no_object_in_a_checkpoint_is_unpickled(folder):
    np.savez("checkpoint.npz", about=np.array([Runs(os.system, f"touch {MARK}")], object))
    with pytest.raises(UserError, match="checkpoint.npz is damaged"):
        checkpoint.read(folder)


def test_a_model_that_would_fill_the_memory_is_not_built(folder):
    sound_model().save("final.keras")
    repack("final.keras", lambda config: config.replace(b'"units": 5', b'"units": 1000000000'))
    assert "weights" in answer_of(folder)
    wide = keras.Input((audio.FEATURES,))
    value = wide
    for _ in range(4):
        value = keras.layers.Concatenate()([value, value])
    keras.Model(wide, keras.layers.Dense(5)(value)).save("final.keras")
    twice = value
    for _ in range(10):
        twice = keras.layers.Concatenate()([twice, twice])
    with zipfile.ZipFile("final.keras") as archive:
        weights = archive.read("model.weights.h5")
    config = keras.Model(wide, keras.layers.GlobalAveragePooling1D()(keras.ops.expand_dims(twice, -1))).to_json()
    assert weights and "Concatenate" in config
    with pytest.raises(ValueError, match="weights|part"):
        saved_models.check_architecture(json.loads(config))


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_a_model_or_checkpoint_that_unpacks_to_more_than_it_is_is_not_read(folder, name):
    sound_model().save("final.keras")
    repack("final.keras", lambda content: content + bytes(50_000_000), name, packing=zipfile.ZIP_DEFLATED)
    assert "unpacks to more" in answer_of(folder)
    np.savez_compressed("checkpoint.npz", a=np.zeros(10_000_000))
    with pytest.raises(UserError, match="checkpoint.npz .*unpacks to more"):
        checkpoint.read(folder)


def test_a_checkpoint_that_claims_a_huge_array_takes_no_memory(folder):
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": (2**40,)})
    with zipfile.ZipFile("checkpoint.npz", "w") as archive:
        archive.writestr("a.npy", head.getvalue())
    with pytest.raises(UserError, match="checkpoint.npz is damaged"):
        checkpoint.read(folder)


def test_a_flipped_weight_in_a_model_is_noticed(folder):
    sound_model().save("final.keras")
    content = bytearray((folder / "final.keras").read_bytes())
    content[len(content) // 2] ^= 64
    (folder / "final.keras").write_bytes(content)
    assert "final.keras is damaged" in answer_of(folder)


@pytest.mark.parametrize("kind", ["external link", "soft link", "external data", "virtual"])
def test_weights_come_from_the_model_file_alone(folder, kind):
    sound_model().save("final.keras")
    secret = np.full((audio.FEATURES, 5), 7, "f4")
    with h5py.File("secret.h5", "w") as file:
        file["a"] = secret
    secret.tofile("secret.raw")

    def change(weights):
        Path("w.h5").write_bytes(weights)
        with h5py.File("w.h5", "a") as file:
            names = []
            file.visititems(
                lambda name, item: names.append(name) if getattr(item, "shape", ()) == secret.shape else None
            )
            (name,) = names
            del file[name]
            if kind == "external link":
                file[name] = h5py.ExternalLink(str(folder / "secret.h5"), "a")
            elif kind == "soft link":
                file[name] = h5py.SoftLink("/nowhere")
            elif kind == "external data":
                place = [(str(folder / "secret.raw"), 0, h5py.h5f.UNLIMITED)]
                file.create_dataset(name, secret.shape, "f4", external=place)
            else:
                layout = h5py.VirtualLayout(secret.shape, "f4")
                layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "a", secret.shape)
                file.create_virtual_dataset(name, layout)
        return Path("w.h5").read_bytes()

    repack("final.keras", change, "model.weights.h5")
    answer_of(folder)


def test_predict_says_it_in_a_line(folder):
    sound_model().save("final.keras")
    (folder / "runs/audio").mkdir(parents=True)
    os.rename("final.keras", "runs/audio/final.keras")
    repack("runs/audio/final.keras", layer_becomes(HOSTILE_PARTS["os.system"]))
    make_clip("a.mp4", [90] * 5)
    refused(run("predict.py", "a.mp4"), "runs/audio/final.keras", "os.system")


# ----------------------------------------------------------------------------------- MATLAB files, records


def bomb(path, megabytes):
    """A compressed variable `layers` of so many megabytes of zeros, in a thousandth of that."""
    size = megabytes * 10**6 // 8 * 8
    inner = struct.pack("<IIIIIIII", 6, 8, 7, 0, 5, 8, size // 4, 1) + struct.pack("<HH6sxx", 1, 6, b"layers"[:6])
    inner = inner[:32] + struct.pack("<II8s", 1, 6, b"layers\0\0") + struct.pack("<II", 7, size)
    packer = zlib.compressobj(9)
    body = packer.compress(struct.pack("<II", 14, len(inner) + size) + inner)
    for _ in range(megabytes):
        body += packer.compress(bytes(10**6 // 8 * 8))
    body += packer.flush()
    path.write_bytes(b"MATLAB".ljust(124) + b"\x00\x01IM" + struct.pack("<II", 15, len(body)) + body)


def jpeg_of_size(side):
    """A JPEG of 224 x 224 pixels whose header says `side` x `side`."""
    file = io.BytesIO()
    Image.new("RGB", (224, 224), (90, 120, 40)).save(file, "jpeg")
    content = file.getvalue()
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + struct.pack(">HH", side, side) + content[at + 4 :]


@pytest.mark.parametrize("side", [225, 13_000, 60_000, 65_535])
def test_a_picture_that_claims_to_be_huge_fills_no_memory(folder, side):
    Path("frame1.jpg").write_bytes(jpeg_of_size(side))
    with pytest.raises(UserError, match="frame1.jpg is not a usable frame"):
        Write_Into_TFRecords.pixels(Path("frame1.jpg"))
    Path("frame1.jpg").write_bytes(jpeg_of_size(224))
    assert len(Write_Into_TFRecords.pixels(Path("frame1.jpg"))) == records.RAW_BYTES
    items = [record_writer.Example("a", label_of(1), folder), record_writer.Example("b", label_of(2), folder)]
    pictures = iter([jpeg_of_size(224), jpeg_of_size(side)])
    record_writer.write(folder / "t.tfrecords", "train", "image", items, lambda _: pictures, {})
    code = (
        "from first_impression.common.errors import UserError\nfrom first_impression.data import record_reader\n"
        "contents = record_reader.open_records('t.tfrecords', 'train', 'image')\n"
        "try: print(len(list(records.watched(record_reader.batches(contents, 1), contents))))\n"
        "except UserError as problem: print(problem)"
    )
    said, peak = limited(code)
    assert "t.tfrecords: damaged, or not of this kind" in said and peak < 2


def test_records_that_lost_their_end_are_not_taken_for_all(folder):
    items = [record_writer.Example(f"clip{n}", label_of(n), folder) for n in range(4)]
    record_writer.write(folder / "t.tfrecords", "train", "image", items, lambda _: iter([jpeg_of_size(224)] * 4), {})
    content = (folder / "t.tfrecords").read_bytes()
    (folder / "t.tfrecords").write_bytes(content[: len(content) // 4 * 3])  # three whole records
    with pytest.raises(UserError, match="t.tfrecords has lost 1 of its records"):
        record_reader.open_records("t.tfrecords", "train", "image")
    Path("t.tfrecords.json").unlink()
    assert record_reader.open_records("t.tfrecords", "train", "image").size == 3


def test_labels_that_are_none_are_refused_by_the_step(folder):
    write_annotation("Annotations/annotation_training.pkl", {"a": label_of(1)})
    Image.new("RGB", (224, 224)).save((folder / "ImageData/trainingData/a").mkdir(parents=True) or "frame1.jpg")
    os.rename("frame1.jpg", "ImageData/trainingData/a/frame1.jpg")
    whole = pickle.loads(Path("Annotations/annotation_training.pkl").read_bytes())
    whole["openness"]["a.mp4"] = Runs(os.system, f"touch {MARK}")
    Path("Annotations/annotation_training.pkl").write_bytes(pickle.dumps(whole, protocol=2))
    with pytest.raises(UserError, match="annotation_training.pkl: refused"):
        call(Write_Into_TFRecords)


@pytest.mark.parametrize("table", [b"stts", b"stsz", b"stco", b"stsc", b"stss"])
def test_a_clip_that_asks_for_memory_without_end_is_the_clips_fault(folder, table):
    content = bytearray(make_clip("a.mp4", [90] * 25, sound=None, options=["-g", "5"]).read_bytes())
    at = content.index(table) + (12 if table == b"stsz" else 8)  # where the number of its entries stands
    content[at : at + 4] = struct.pack(">I", 2**28 - 1)
    (folder / "a.mp4").write_bytes(content)
    try:
        assert 1 <= extract_frames("a.mp4", folder, 3, "even", 32) <= 3
    except BadClipError as reason:
        assert str(reason)


def test_ffmpegs_lack_of_memory_does_not_end_a_step():
    assert isinstance(media.failure(b"Error opening input files: Cannot allocate memory"), BadClipError)
    assert isinstance(media.failure(b"Error opening input: Permission denied"), UserError)
