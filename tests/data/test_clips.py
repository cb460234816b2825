"""The clips of the dataset: found in any layout, placed in their splits, unpacked from their zips."""

import os
import re
import unicodedata
import zipfile
import zlib
from pathlib import Path

import pytest
from conftest import label_of, make_clip, make_zip, write_annotation

from first_impression.common import files
from first_impression.common.errors import UserError
from first_impression.data import clips, inventory
from first_impression.data.chalearn import IMAGES, output_path
from first_impression.data.clips import NoClips, find_clips, unzip


def zip_of(path, entries):
    Path(path).parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def test_entries_that_are_no_clips_are_passed_over_and_folders_flattened(folder):
    zip_of(
        "data/training80_01.zip",
        {
            "training80_01/a.000.mp4": b"a",
            "__MACOSX/._a.000.mp4": b"",
            "._b.mp4": b"",
            "notes.txt": b"",
            "deep/er/-b.mp4": b"b",
        },
    )
    zip_of("data/validation80_25.zip", {"c.mp4": b"c"})
    zip_of("data/other.zip", {"d.mp4": b"d"})
    clips = find_clips()
    assert [(clip.split.name, clip.name) for clip in clips] == [
        ("training", "a.000"),
        ("training", "-b"),
        ("validation", "c"),
    ]
    assert unzip(clips[1]) == Path("unzippedData/training80_01/-b.mp4")
    assert Path("unzippedData/training80_01/-b.mp4").read_bytes() == b"b"


@pytest.mark.parametrize(
    "entry", ["../out.mp4", "a/../../out.mp4", "/tmp/out.mp4", "C:/out.mp4", "..\\out.mp4", "\\out.mp4"]
)
def test_an_entry_that_would_leave_its_folder_is_refused(folder, entry):
    zip_of("data/training80_01.zip", {"good.mp4": b"good", entry: b"bad"})
    with pytest.raises(UserError, match=f"training80_01.zip: the entry {re.escape(repr(entry))}"):
        find_clips()
    assert not list(folder.rglob("*out.mp4"))


def test_no_clips_and_broken_zips_are_named(folder):
    with pytest.raises(NoClips, match="no clips: .*data holds no videos"):
        find_clips()
    zip_of("data/training80_01.zip", {"a.mp4": b"a" * 1000})
    whole = Path("data/training80_01.zip").read_bytes()
    Path("data/training80_01.zip").write_bytes(whole[:600])
    with pytest.raises(UserError, match="training80_01.zip is not a complete zip"):
        find_clips()
    flipped = bytearray(whole)
    flipped[500] ^= 1
    Path("data/training80_01.zip").write_bytes(flipped)
    (clip,) = find_clips()
    with pytest.raises(UserError, match="training80_01.zip is damaged at a.mp4"):
        unzip(clip)
    assert not list(folder.glob("unzippedData/**/*.mp4"))


def encrypt(path, name, content, password):
    """A stored zip entry under the traditional PKWARE encryption, as ChaLearn's (APPNOTE.TXT, section 6.1)."""
    keys = [0x12345678, 0x23456789, 0x34567890]

    def crc(value, byte):
        return (value >> 8) ^ table[(value ^ byte) & 0xFF]

    table = [_crc_entry(n) for n in range(256)]

    def update(byte):
        keys[0] = crc(keys[0], byte)
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = crc(keys[2], keys[1] >> 24)

    def scramble(byte):
        mixed = (keys[2] | 2) & 0xFFFF
        out = byte ^ (((mixed * (mixed ^ 1)) >> 8) & 0xFF)
        update(byte)
        return out

    for byte in password.encode():
        update(byte)
    checksum = zlib.crc32(content)
    secret = bytes(map(scramble, b"\0" * 11 + bytes([checksum >> 24]) + content))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, secret)
    data = bytearray(Path(path).read_bytes())
    for signature, flags, crc_at, size_at in ((b"PK\3\4", 6, 14, 22), (b"PK\1\2", 8, 16, 24)):
        start = data.find(signature)
        data[start + flags] |= 1
        data[start + crc_at : start + crc_at + 4] = checksum.to_bytes(4, "little")
        data[start + size_at : start + size_at + 4] = len(content).to_bytes(4, "little")
    Path(path).write_bytes(data)


def _crc_entry(n):
    for _ in range(8):
        n = (n >> 1) ^ (0xEDB88320 if n & 1 else 0)
    return n


def test_an_encrypted_zip_asks_for_the_password_and_takes_it(folder, monkeypatch):
    Path("data").mkdir()
    encrypt("data/training80_01.zip", "a.mp4", b"secret clip" * 20, "open sesame")
    (clip,) = find_clips()
    with pytest.raises(
        UserError, match="is encrypted, as ChaLearn's test zips are.*--ZIP_PASSWORD.*CHALEARN_ZIP_PASSWORD"
    ):
        unzip(clip)
    with pytest.raises(UserError, match="password is wrong|is damaged"):
        unzip(clip, "wrong")
    assert not clip.video.exists()
    monkeypatch.setenv("CHALEARN_ZIP_PASSWORD", "open sesame")
    assert unzip(clip).read_bytes() == b"secret clip" * 20


def test_clips_already_unzipped_do_without_the_zips(folder):
    make_clip("unzippedData/training80_01/a.mp4", [50, 60])
    (clip,) = find_clips()
    assert unzip(clip) == Path("unzippedData/training80_01/a.mp4")
    make_zip("data/training80_01.zip", ["a"], "unzippedData/training80_01")
    assert len(find_clips()) == 1


def test_a_packing_that_python_cannot_read_is_not_called_a_wrong_password(folder):
    zip_of("data/training80_01.zip", {"a.mp4": b"a" * 100})
    content = bytearray(Path("data/training80_01.zip").read_bytes())
    for signature, place in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        content[content.find(signature) + place] = 9  # Deflate64
    Path("data/training80_01.zip").write_bytes(content)
    (clip,) = find_clips()
    with pytest.raises(UserError, match="packed in a way that Python cannot read"):
        unzip(clip)


def test_what_a_killed_run_left_is_no_clip(folder):
    make_clip("unzippedData/training80_01/a.mp4", [50, 60])
    make_clip("unzippedData/training80_01/.partial.b.mp4", [50, 60])
    Path("unzippedData/training80_01/a.mp4").rename("unzippedData/training80_01/a.MP4")
    assert [clip.name for clip in find_clips()] == ["a"]


def test_two_videos_of_one_name_are_told_and_none_is_dropped(folder):
    for entries in (("d1/x.mp4", "d2/x.mp4"), ("y.mp4", "y.MP4")):
        zip_of("data/training80_01.zip", {entries[0]: b"one", entries[1]: b"other"})
        with pytest.raises(UserError, match="training80_01.zip: two different videos have one name, .*keep one"):
            find_clips()
        zip_of("data/training80_01.zip", dict.fromkeys(entries, b"the same"))
        assert len(find_clips()) == 1
    zip_of("data/training80_01.zip", {"x.mp4": b"one"})
    zip_of("data/training80_02.zip", {"x.mp4": b"other"})
    with pytest.raises(UserError, match="two different videos have the name x, in .*_01.zip and .*_02.zip: keep one"):
        find_clips()
    zip_of("data/training80_02.zip", {"x.mp4": b"one"})
    assert len(find_clips()) == 1


@pytest.mark.parametrize("name", ["..", ".", "", "../x", "a/../../x", "/x", "a/.."])
def test_no_name_leads_out_of_its_folder(folder, name):
    with pytest.raises(UserError, match="would leave the folder"):
        files.below("unzippedData", name)
    assert files.below("unzippedData", "a/..b").parent == Path("unzippedData/a")
    if "x" in name:
        with pytest.raises(UserError, match="would leave the folder"):  # as a damaged log may have it
            output_path(IMAGES, ("training", name))


def test_no_name_of_a_zip_leads_out_of_its_folder(folder, monkeypatch):
    zip_of("data/train.zip", {"holiday.mp4": b"other"})
    monkeypatch.setattr(clips, "_walk", lambda path: ([], [Path("data/...zip")] if path == Path("data") else []))
    Path("data/train.zip").rename("data/...zip")  # hidden, so that nothing but this finds it
    with pytest.raises(UserError, match="the name '..' would leave the folder unzippedData"):
        find_clips()


def test_devices_and_pipes_are_passed_over(folder, capsys):
    zip_of("data/train.zip", {"a.mp4": b"a"})
    Path("data/train").mkdir()
    Path("data/train/zero.mp4").symlink_to("/dev/zero")
    os.mkfifo("data/train/pipe.mov")
    os.mkfifo("data/train/pipe.zip")
    assert [clip.name for clip in find_clips()] == ["a"]
    printed = capsys.readouterr().out
    assert "not regular files: data/train/pipe.mov, data/train/pipe.zip, data/train/zero.mp4" in printed


def test_names_too_long_for_a_file_stop_no_step(folder, capsys):
    longest = "ü" * 125
    zip_of("inner.zip", {"inner.mp4": b"c"})
    zip_of(
        "data/train.zip",
        {f"{'x' * 300}.mp4": b"a", f"{longest}.mp4": b"b", f"{'z' * 300}.zip": Path("inner.zip").read_bytes()},
    )
    zip_of(f"data/val/{'y' * 252}.ts", {})  # fits, but not as .wav
    assert {clip.name: unzip(clip).read_bytes() for clip in find_clips()} == {longest: b"b", "inner": b"c"}
    printed = capsys.readouterr().out
    assert "more than 255 bytes" in printed and "xxx" in printed and "yyy" in printed


def test_names_in_two_ways_of_writing_an_accent_are_one(folder):
    """macOS writes "é" as two characters: on disk and in its zips, whose names are UTF-8 and do not say so."""
    nfc, nfd = (unicodedata.normalize(form, "rené") for form in ("NFC", "NFD"))
    assert nfc != nfd
    Path(f"data/{nfd}_1.mp4").parent.mkdir()
    Path(f"data/{nfd}_1.mp4").write_bytes(b"one")
    zip_of("data/unsaid.zip", {f"{nfd}_2.mp4": b"two"})
    content = bytearray(Path("data/unsaid.zip").read_bytes())
    for signature, flags in ((b"PK\3\4", 7), (b"PK\1\2", 9)):  # the upper byte of the flags
        content[content.index(signature) + flags] = 0
    Path("data/unsaid.zip").write_bytes(content)
    write_annotation("Annotations/annotation_training.pkl", {f"{nfc}_{n}": label_of(n) for n in (1, 2)})
    found = find_clips()
    assert {clip.name: (clip.split.name, unzip(clip).read_bytes()) for clip in found} == {
        f"{nfc}_1": ("training", b"one"),
        f"{nfc}_2": ("training", b"two"),
    }


@pytest.mark.parametrize("alphabet", ["gbk", "cp437"])
def test_names_of_an_unsaid_alphabet_are_kept_and_told(folder, capsys, alphabet):
    name = {"gbk": "中文", "cp437": "né"}[alphabet].encode(alphabet)
    plain = "x" * len(name)
    zip_of("data/train.zip", {f"{plain}.mp4": b"a"})
    Path("data/train.zip").write_bytes(Path("data/train.zip").read_bytes().replace(plain.encode(), name))
    (clip,) = find_clips()
    assert clip.name == name.decode("cp437") and unzip(clip).read_bytes() == b"a"
    printed = capsys.readouterr().out
    assert f"train.zip: names that do not say in which alphabet they are, taken as CP437: {clip.name}.mp4" in printed


def test_an_entry_under_aes_is_called_that(folder):
    zip_of("data/train.zip", {"a.mp4": b"a" * 100})
    content = bytearray(Path("data/train.zip").read_bytes())
    for signature, flags, packing in ((b"PK\3\4", 6, 8), (b"PK\1\2", 8, 10)):
        at = content.index(signature)
        content[at + flags] |= 1
        content[at + packing] = 99  # as the specification of WinZip's AES has it
    Path("data/train.zip").write_bytes(content)
    (clip,) = find_clips()
    with pytest.raises(UserError, match="train.zip: a.mp4 is encrypted with AES.* unpack the zip with 7-Zip"):
        unzip(clip, "any")


def test_parts_of_a_split_zip_are_called_that(folder, capsys):
    zip_of("train.zip", {"a.mp4": b"a" * 1000, "b.mp4": b"b" * 1000})
    whole = Path("train.zip").read_bytes()
    Path("data").mkdir()
    for number, start in enumerate(range(0, len(whole), 700), 1):  # as 7-Zip does
        Path(f"data/train.zip.{number:03d}").write_bytes(whole[start : start + 700])
    with pytest.raises(NoClips):
        find_clips()
    assert "parts of a split zip: data/train.zip.001, data/train.zip.002" in capsys.readouterr().out
    end = bytearray(whole[-500:])  # as Info-ZIP does: train.z01, then train.zip, whose end counts the parts before
    end[end.index(b"PK\5\6") + 4 : end.index(b"PK\5\6") + 8] = b"\1\0\1\0"
    Path("data/train.zip").write_bytes(end)
    with pytest.raises(UserError, match="data/train.zip is a part of a split zip. Join them"):
        find_clips()


def test_what_lies_in_a_zips_place_is_called_by_its_name(folder):
    Path("data").mkdir()
    Path("data/train.zip").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    with pytest.raises(UserError, match="data/train.zip is a Git LFS pointer"):
        find_clips()


@pytest.mark.parametrize("place", ["Annotations", "data"])
def test_annotations_in_chalearns_zips_are_taken(folder, capsys, place):
    zip_of("data/any.zip", {"x.000.mp4": b"x", "y.000.mp4": b"y"})
    Path(place).mkdir(exist_ok=True)
    for split, clip in (("training", "x.000"), ("validation", "y.000")):
        write_annotation(f"made/annotation_{split}.pkl", {clip: label_of(3)})
    pickles = [Path(f"made/annotation_{split}.pkl").read_bytes() for split in ("training", "validation")]
    zip_of(f"{place}/train-annotation.zip", {"annotation_training.pkl": pickles[0]})
    encrypt(f"{place}/val-annotation-e.zip", "annotation_validation.pkl", pickles[1], "sesame")
    assert [(clip.name, clip.split.name) for clip in find_clips()] == [("x.000", "training")]
    assert f"the validation labels: {place}/val-annotation-e.zip is encrypted" in capsys.readouterr().out
    assert inventory.missing_files([], [], "")[-1].startswith(f"the password of {place}/val-annotation-e.zip")
    with pytest.raises(UserError, match="val-annotation-e.zip.*(password is wrong|is damaged)"):
        find_clips(password="wrong")
    assert {clip.name: clip.split.name for clip in find_clips(password="sesame")} == {
        "x.000": "training",
        "y.000": "validation",
    }
    assert [Path(f"Annotations/annotation_{split}.pkl").read_bytes() for split in ("training", "validation")] == pickles
