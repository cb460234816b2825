"""Hostile annotations and zips: pickles that run code, entries that leave their folder, bombs."""

import os
import pickle
import resource
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import HARM, call, label_of, make_clip, make_zip, refused, run, run_alone, write_annotation
from hostile import TOUCHES, Runs, limited
from PIL import Image

import Write_Into_TFRecords
from first_impression.common.errors import BadClipError, UserError
from first_impression.data import annotations
from first_impression.data.clips import find_clips, unzip
from first_impression.data.frames import extract_frames

pytestmark = pytest.mark.usefixtures("no_harm")


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    "content",
    [TOUCHES, Runs(eval, f"open('{HARM}', 'w')"), Runs(np.load, HARM), Runs(getattr, "text", "format")],
    ids=["system", "eval", "load", "getattr"],
)
def test_call_in_a_pickle_is_not_made(content, protocol):
    Path("a.pkl").write_bytes(pickle.dumps({"extraversion": {"a.mp4": content}}, protocol))
    with pytest.raises(UserError, match="a.pkl is not a readable pickle .refused"):
        annotations.read_annotation("a.pkl")


def test_step_3_refuses_a_hostile_annotation(folder):
    write_annotation("Annotations/annotation_training.pkl", {"a": label_of(1)})
    (folder / "ImageData/trainingData/a").mkdir(parents=True)
    Image.new("RGB", (224, 224)).save("ImageData/trainingData/a/frame1.jpg")
    whole = pickle.loads(Path("Annotations/annotation_training.pkl").read_bytes())
    whole["openness"]["a.mp4"] = TOUCHES
    Path("Annotations/annotation_training.pkl").write_bytes(pickle.dumps(whole, protocol=2))
    with pytest.raises(UserError, match="annotation_training.pkl is not a readable pickle .refused"):
        call(Write_Into_TFRecords)


@pytest.mark.parametrize("name", [b"dtype.__init__.__globals__", b"core.multiarray.scalar.__self__"])
def test_dotted_name_in_a_pickle_is_refused(name):
    # protocol 4 takes "dtype.__class__.mro" for a name
    Path("a.pkl").write_bytes(b"\x80\x04\x8c\x05numpy\x8c" + bytes([len(name)]) + name + b"\x93.")
    with pytest.raises(UserError, match="a.pkl is not a readable pickle .refused"):
        annotations.read_annotation("a.pkl")


def test_pickle_bombs_fill_no_memory():
    codes = {
        "memo": b"\x80\x02}r\xff\xff\xff\x7f.",  # remembers an object as the two thousand millionth
        "bytearray": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",  # bytes that are not there
        "frame": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b".",
        "dtype": b"\x80\x02cnumpy\ndtype\nX\x0b\x00\x00\x00V1999999999\x85Rcnumpy.core.multiarray\nscalar\n0\x85R.",
        "marks": b"\x80\x02" + b"(" * 1_000_000 + b".",
        "list in itself": b"\x80\x02]" + b"q\x00h\x00a" * 200_000 + b".",
    }
    for name, code in codes.items():
        Path(f"{name}.pkl").write_bytes(code)
    said, peak = limited(
        "from first_impression.data import annotations\n"
        f"for name in {list(codes)}: refused(annotations.read_annotation, f'{{name}}.pkl')"
    )
    assert len(said) == len(codes) and peak < 0.5
    assert all(line.startswith(f"{name}.pkl ") for name, line in zip(codes, said, strict=True)), said


def write_zip(entries, packing=zipfile.ZIP_STORED):
    """data/training80_01.zip with these entries, {name or `ZipInfo`: content}."""
    path = Path("data/training80_01.zip")
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


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
        "C:harm.txt.mp4",
        "c:/harm.txt.mp4",
        "\\\\?\\C:\\harm.txt.mp4",
    ],
)
def test_entry_that_would_leave_its_folder_is_refused(name):
    write_zip({entry(name): b"harm"})
    with pytest.raises(UserError, match="would leave its folder"):
        find_clips()
    if name.startswith("../"):
        for script in ("Video_to_Image.py", "vid_to_wav.py"):
            refused(run(script), "training80_01.zip", "would leave its folder")


def test_link_in_a_zip_becomes_no_link_on_disk(folder):
    make_clip("secret.mp4", [90] * 5)
    write_zip({entry("a.mp4", link=True): "../../secret.mp4", entry("b.mp4", link=True): "/etc/passwd"})
    for clip in find_clips():
        video = unzip(clip)
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


def test_zip_bomb_is_refused(folder):
    overlapping(folder / "data/training80_01.zip", 5000, 30)  # 150 GB in 270 kB
    assert (folder / "data/training80_01.zip").stat().st_size < 300_000
    for script in ("Video_to_Image.py", "vid_to_wav.py"):
        refused(run(script), "training80_01.zip", "150,000 MB", "MAX_ZIP_MEGABYTES")
    assert not list(folder.glob("unzippedData/**/*.mp4"))


def test_limit_on_a_zip_can_be_raised_and_holds_for_one_large_clip():
    write_zip({"a.mp4": bytes(3_000_000)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match="unpack to 3 MB, MAX_ZIP_MEGABYTES is 2"):
        find_clips(most_megabytes=2.0)
    (clip,) = find_clips(most_megabytes=3.5)
    assert unzip(clip).stat().st_size == 3_000_000
    refused(run("vid_to_wav.py", "--MAX_ZIP_MEGABYTES", "2.5"), "training80_01.zip", "MAX_ZIP_MEGABYTES is 2")


@pytest.mark.parametrize(
    ("packing", "megabytes", "said"),
    [
        (zipfile.ZIP_DEFLATED, 300, "is damaged at a.mp4"),
        (zipfile.ZIP_BZIP2, 300, "a.mp4 is packed with bzip2"),
        pytest.param(zipfile.ZIP_LZMA, 1500, "is damaged at a.mp4", marks=pytest.mark.soak),
    ],
)
def test_entry_larger_than_it_claims_is_not_unpacked_further(folder, packing, megabytes, said):
    path = write_zip({"a.mp4": bytes(megabytes * 10**6)}, packing)
    whole = path.read_bytes()
    lie = whole.replace(struct.pack("<I", megabytes * 10**6), struct.pack("<I", 1000))
    assert lie != whole
    path.write_bytes(lie)
    lines, peak = limited(
        "from first_impression.data.clips import find_clips, unzip\n(clip,) = find_clips()\nrefused(unzip, clip)"
    )
    assert "training80_01.zip" in lines[0] and said in lines[0] and peak < 0.29
    assert not list(folder.glob("unzippedData/**/*.mp4"))


@pytest.mark.parametrize("gigabytes", [3, 5])
def test_clip_is_not_called_unusable_where_memory_is_limited(gigabytes):
    make_clip("data/train/a.mp4", [90] * 5)
    make_clip("data/train/b.mp4", [90] * 5)
    Path("data/train/text.mp4").write_text("no video")
    limit = (gigabytes * 10**9,) * 2
    done = run_alone("Video_to_Image.py", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit))
    if gigabytes == 5:
        assert done.returncode == 0 and "1 unusable" in done.stdout
    else:
        refused(done, "data/train/text.mp4 could not be used", "ulimit -v allows 3.0 GB")
        assert "text" not in Path("ImageData/clips.jsonl").read_text()


def test_damaged_name_in_a_zip_is_refused():
    for name in ("a.002", "a.003"):
        make_clip(f"{name}.mp4", [90] * 3)
    path = make_zip("data/training80_01.zip", ["a.002", "a.003"])
    content = path.read_bytes()
    at = content.rindex(b"a.003.mp4")  # in the table of contents
    for name in (b"a.003.mq4", b"a.002.mp4", b"..003.mp4"):
        path.write_bytes(content[:at] + name + content[at + len(name) :])
        with pytest.raises(UserError, match="training80_01.zip is damaged at"):
            find_clips()


@pytest.mark.slow
def test_file_names_reach_no_shell():
    harmful = [f"$(touch {HARM})", f"`touch {HARM}`", f"a; touch {HARM};", f"a|touch {HARM}"]
    names = {*harmful, "-y", "%d", "'\"", "a\nb"}
    whole = make_clip("made.mp4", [90] * 12).read_bytes()
    write_zip({f"{name}.mp4": whole for name in names})
    for script in ("Video_to_Image.py", "vid_to_wav.py"):
        done = run(script)
        assert done.returncode == 0, done.stderr
    assert set(os.listdir("ImageData/trainingData")) == names
    assert {path.stem for path in Path("VoiceData/trainingData").glob("*.wav")} == names
