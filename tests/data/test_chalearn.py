"""Annotations and zips: what is read, and what is refused."""

import pickle
import re
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import label_of, make_clip, make_zip, write_annotation

from first_impression.common.errors import UserError
from first_impression.data import annotations, chalearn


def test_labels_come_by_trait_name_and_clip_name():
    write_annotation("a.pkl", {"-x.000": label_of(3), "y.001": label_of(4)})
    labels = annotations.read_annotation("a.pkl")
    assert list(labels) == ["-x.000", "y.001"]
    assert labels["-x.000"].dtype == np.float32 and labels["-x.000"].tolist() == label_of(3).tolist()


def test_a_pickle_of_python_2_is_read():
    # What Python 2 wrote for {trait: {"a.mp4": numpy.float64(0.5)}}: latin-1 text where Python 3 has bytes
    def entry(trait):
        number = b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
        return b"S'" + trait.encode() + b"'\n(dS'a.mp4'\n" + number + rb"S'\x00\x00\x00\x00\x00\x00\xe0?'" + b"\ntRss"

    Path("a.pkl").write_bytes(b"(d" + b"".join(map(entry, chalearn.TRAITS)) + b".")
    assert annotations.read_annotation("a.pkl")["a"].tolist() == [0.5] * 5


class Foreign:
    def __reduce__(self):
        return (open, ("ran.txt", "w"))


def test_foreign_code_in_an_annotation_is_refused_unexecuted(folder):
    (folder / "a.pkl").write_bytes(pickle.dumps({"extraversion": Foreign()}, protocol=2))
    with pytest.raises(UserError, match="a.pkl: refused: it asks for .*open"):
        annotations.read_annotation("a.pkl")
    assert not (folder / "ran.txt").exists()


def test_unfit_annotations_are_refused_by_name(folder):
    def written(content):
        (folder / "a.pkl").write_bytes(content)

    with pytest.raises(UserError, match="a.pkl is missing"):
        annotations.read_annotation("a.pkl")
    written(b"not a pickle")
    with pytest.raises(UserError, match="a.pkl is not a readable pickle"):
        annotations.read_annotation("a.pkl")
    written(pickle.dumps([1, 2], protocol=2))
    with pytest.raises(UserError, match="a.pkl is not an annotation"):
        annotations.read_annotation("a.pkl")
    write_annotation("a.pkl", {"x.000": label_of(1)})
    whole = pickle.loads((folder / "a.pkl").read_bytes())
    written(
        pickle.dumps({trait: whole[trait] for trait in whole if trait not in ("openness", "neuroticism")}, protocol=2)
    )
    with pytest.raises(UserError, match="a.pkl has no labels for neuroticism, openness"):
        annotations.read_annotation("a.pkl")
    for wrong in (np.float64("nan"), np.float64(1.5), "high", None):
        whole["openness"]["x.000.mp4"] = wrong
        written(pickle.dumps(whole, protocol=2))
        with pytest.raises(UserError, match="a.pkl: the labels of clip 'x.000.mp4'"):
            annotations.read_annotation("a.pkl")
    write_annotation("a.pkl", {f"x.{n:03d}": label_of(n) for n in range(50)})
    written((folder / "a.pkl").read_bytes()[:-400])
    with pytest.raises(UserError, match="a.pkl is not a readable pickle"):
        annotations.read_annotation("a.pkl")


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
    clips = chalearn.find_clips()
    assert [(clip.split.name, clip.name) for clip in clips] == [
        ("training", "a.000"),
        ("training", "-b"),
        ("validation", "c"),
    ]
    assert chalearn.unzip(clips[1]) == Path("unzippedData/training80_01/-b.mp4")
    assert Path("unzippedData/training80_01/-b.mp4").read_bytes() == b"b"


@pytest.mark.parametrize(
    "entry", ["../out.mp4", "a/../../out.mp4", "/tmp/out.mp4", "C:/out.mp4", "..\\out.mp4", "\\out.mp4"]
)
def test_an_entry_that_would_leave_its_folder_is_refused(folder, entry):
    zip_of("data/training80_01.zip", {"good.mp4": b"good", entry: b"bad"})
    with pytest.raises(UserError, match=f"training80_01.zip: the entry {re.escape(repr(entry))}"):
        chalearn.find_clips()
    assert not list(folder.rglob("*out.mp4"))


def test_no_zips_and_broken_zips_are_named(folder):
    with pytest.raises(UserError, match="no clips: .*data holds no training80"):
        chalearn.find_clips()
    zip_of("data/training80_01.zip", {"a.mp4": b"a" * 1000})
    whole = Path("data/training80_01.zip").read_bytes()
    Path("data/training80_01.zip").write_bytes(whole[:600])
    with pytest.raises(UserError, match="training80_01.zip is not a complete zip"):
        chalearn.find_clips()
    flipped = bytearray(whole)
    flipped[500] ^= 1
    Path("data/training80_01.zip").write_bytes(flipped)
    (clip,) = chalearn.find_clips()
    with pytest.raises(UserError, match="training80_01.zip is damaged at a.mp4"):
        chalearn.unzip(clip)
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
    (clip,) = chalearn.find_clips()
    with pytest.raises(
        UserError, match="is encrypted, as ChaLearn's test zips are.*--ZIP_PASSWORD.*CHALEARN_ZIP_PASSWORD"
    ):
        chalearn.unzip(clip)
    with pytest.raises(UserError, match="password is wrong|is damaged"):
        chalearn.unzip(clip, "wrong")
    assert not clip.video.exists()
    monkeypatch.setenv("CHALEARN_ZIP_PASSWORD", "open sesame")
    assert chalearn.unzip(clip).read_bytes() == b"secret clip" * 20


def test_clips_already_unzipped_do_without_the_zips(folder):
    make_clip("unzippedData/training80_01/a.mp4", [50, 60])
    (clip,) = chalearn.find_clips()
    assert chalearn.unzip(clip) == Path("unzippedData/training80_01/a.mp4")
    make_zip("data/training80_01.zip", ["a"], "unzippedData/training80_01")
    assert len(chalearn.find_clips()) == 1


def test_a_packing_that_python_cannot_read_is_not_called_a_wrong_password(folder):
    zip_of("data/training80_01.zip", {"a.mp4": b"a" * 100})
    content = bytearray(Path("data/training80_01.zip").read_bytes())
    for signature, place in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        content[content.find(signature) + place] = 9  # Deflate64
    Path("data/training80_01.zip").write_bytes(content)
    (clip,) = chalearn.find_clips()
    with pytest.raises(UserError, match="packed in a way that Python cannot read"):
        chalearn.unzip(clip)


def test_what_a_killed_run_left_is_no_clip(folder):
    make_clip("unzippedData/training80_01/a.mp4", [50, 60])
    make_clip("unzippedData/training80_01/.partial.b.mp4", [50, 60])
    Path("unzippedData/training80_01/a.mp4").rename("unzippedData/training80_01/a.MP4")
    assert [clip.name for clip in chalearn.find_clips()] == ["a"]


def test_a_clip_that_one_trait_lacks_is_told_whichever_trait(folder):
    for trait in ("extraversion", "openness"):
        write_annotation("a.pkl", {"x.000": label_of(1), "y.000": label_of(2)})
        whole = pickle.loads((folder / "a.pkl").read_bytes())
        del whole[trait]["y.000.mp4"]
        (folder / "a.pkl").write_bytes(pickle.dumps(whole, protocol=2))
        with pytest.raises(UserError, match="the labels of clip 'y.000.mp4'"):
            annotations.read_annotation("a.pkl")


def test_two_videos_of_one_name_are_told_and_none_is_dropped(folder):
    for entries in (("d1/x.mp4", "d2/x.mp4"), ("y.mp4", "y.MP4")):
        zip_of("data/training80_01.zip", {entries[0]: b"one", entries[1]: b"other"})
        with pytest.raises(UserError, match="training80_01.zip: two different videos have one name, .*keep one"):
            chalearn.find_clips()
        zip_of("data/training80_01.zip", dict.fromkeys(entries, b"the same"))
        assert len(chalearn.find_clips()) == 1
    zip_of("data/training80_01.zip", {"x.mp4": b"one"})
    zip_of("data/training80_02.zip", {"x.mp4": b"other"})
    with pytest.raises(UserError, match="two different videos have the name x, in .*_01.zip and .*_02.zip: keep one"):
        chalearn.find_clips()
    zip_of("data/training80_02.zip", {"x.mp4": b"one"})
    assert len(chalearn.find_clips()) == 1
