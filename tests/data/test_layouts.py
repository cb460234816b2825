"""The dataset as people hold it: one set of twelve clips in five layouts."""

import io
import os
import shutil
import zipfile
from pathlib import Path

import pytest
from conftest import label_of, make_clip, make_zip, ok, run, write_annotation

from first_impression.common.errors import UserError
from first_impression.data.chalearn import TRAITS
from first_impression.data.clips import find_clips, unzip

TRAINING = [f"-train{number}.00{number % 3}" for number in range(8)]
VALIDATION = [f"val{number}.001" for number in range(4)]
LABELS = {name: label_of(number) for number, name in enumerate([*TRAINING, *VALIDATION])}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with the twelve clips."""
    folder = tmp_path_factory.mktemp("made")
    for number, name in enumerate(LABELS):
        make_clip(folder / f"{name}.mp4", [20 * number + 5, 255 - 20 * number, 90], sound=200 + 40 * number)
    return folder


def annotate():
    for split, names in (("training", TRAINING), ("validation", VALIDATION)):
        write_annotation(f"Annotations/annotation_{split}.pkl", {name: LABELS[name] for name in names})


def inner_zips(made):
    annotate()
    make_zip("data/training80_01.zip", TRAINING[:5], made)
    make_zip("data/training80_02.zip", TRAINING[5:], made)
    make_zip("data/validation80_01.zip", VALIDATION, made)


def outer_zips(made):
    inner_zips(made)
    for outer, inner in (("train-1", ("training80_01", "training80_02")), ("val-1", ("validation80_01",))):
        with zipfile.ZipFile(f"data/{outer}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name in inner:
                archive.write(f"data/{name}.zip", f"{outer}/{name}.zip")
                Path(f"data/{name}.zip").unlink()


def nested_folders(made):
    annotate()
    for folder, names in (
        ("train-1/training80_01", TRAINING[:5]),
        ("train-1/training80_02", TRAINING[5:]),
        ("val-1/validation80_01", VALIDATION),
    ):
        lay(made, f"data/{folder}", names)


def flat_folders(made):
    annotate()
    lay(made, "data/TRAIN", TRAINING)
    lay(made, "data/VALIDATION", VALIDATION)


def ones_own(made):
    lay(made, "data/our videos", LABELS)
    Path("Annotations").mkdir()
    rows = [
        f"{name}.mp4,{'train' if name in TRAINING else 'val'},{','.join(map(str, label))}"
        for name, label in LABELS.items()
    ]
    traits = ",".join("emotional_stability" if trait == "neuroticism" else trait for trait in TRAITS)
    Path("Annotations/annotations.csv").write_text("\n".join([f"clip,split,{traits}", *rows]))


def lay(made, folder, names):
    Path(folder).mkdir(parents=True)
    for name in names:
        shutil.copy(made / f"{name}.mp4", folder)


LAYOUTS = (inner_zips, outer_zips, nested_folders, flat_folders, ones_own)


@pytest.fixture(scope="module")
def records():
    """The first layout's records, for the others to be compared with."""
    return {}


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_equal_records_from_every_layout(folder, made, records, layout):
    layout(made)
    before = {path for path in Path("data").rglob("*")}
    for step in ("Video_to_Image.py", "vid_to_wav.py", "Write_Into_TFRecords.py", "feat_extraction_from_wav.py"):
        text = ok(run(step))
        assert "passed over" not in text
    assert {path for path in Path("data").rglob("*")} == before
    unpacked = [path for path in Path("unzippedData").rglob("*.mp4")]
    assert len(unpacked) == (12 if layout in (inner_zips, outer_zips) else 0)  # what lies there unpacked is not copied
    for path in Path().glob("*.tfrecords"):
        assert records.setdefault(path.name, path.read_bytes()) == path.read_bytes()
    assert len(records) == 4


def test_the_annotation_decides_the_split_and_else_the_nearest_folder(folder, made, capsys):
    annotate()
    make_zip("data/validation80_01.zip", TRAINING[:2], made)  # whatever the zip is called
    for number, place in enumerate(["test-1/test80_03", "Train/val_of_mine", "testing", "valid", "elsewhere"]):
        Path("data", place).mkdir(parents=True)
        shutil.copy(made / "val0.001.mp4", f"data/{place}/unknown{number}.mp4")
    found = {clip.name: clip.split.name for clip in find_clips()}
    assert found == {
        **dict.fromkeys(TRAINING[:2], "training"),
        "unknown0": "test",
        "unknown1": "validation",
        "unknown2": "test",
        "unknown3": "validation",
    }
    assert "videos passed over" in (told := capsys.readouterr().out) and "data/elsewhere/unknown4.mp4" in told


def test_a_clip_in_two_places_counts_once_and_unpacked_ones_stay_where_they_are(folder, made):
    annotate()
    make_zip("data/training80_01.zip", TRAINING[:2], made)
    lay(made, "data/train/here", TRAINING[:1])
    clips = {clip.name: clip for clip in find_clips()}
    assert clips.keys() == set(TRAINING[:2])
    assert clips[TRAINING[0]].archive is None and clips[TRAINING[1]].archive
    shutil.copy(made / f"{TRAINING[1]}.mp4", f"data/train/here/{TRAINING[0]}.mp4")
    with pytest.raises(UserError, match=f"two different videos have the name {TRAINING[0]}, in data/train/here"):
        find_clips()


def test_videos_of_other_containers_are_found_and_links_followed_once(folder, made):
    annotate()
    lay(made, "elsewhere", TRAINING[:1])
    Path(f"elsewhere/{TRAINING[0]}.mp4").rename(f"elsewhere/{TRAINING[0]}.MOV")
    Path("elsewhere/.hidden.mp4").write_bytes(b"")
    Path("data").mkdir()
    Path("data/train").symlink_to(folder / "elsewhere")
    Path("elsewhere/loop").symlink_to(folder / "data")
    assert [clip.name for clip in find_clips()] == [TRAINING[0]]
    ok(run("Video_to_Image.py"))
    assert Path("ImageData/trainingData", TRAINING[0], "frame1.jpg").exists()
    for data in (".", folder / "elsewhere"):
        assert [clip.name for clip in find_clips(data)] == [TRAINING[0]]


def test_an_outer_archive_cannot_fill_the_disk_or_leave_its_folder(folder, made):
    make_zip("training80_01.zip", TRAINING[:1], made)
    Path("data").mkdir()
    with zipfile.ZipFile("data/train-1.zip", "w") as archive:
        archive.write("training80_01.zip", "../training80_01.zip")
    with pytest.raises(UserError, match="train-1.zip: the entry '../training80_01.zip' would leave its folder"):
        find_clips()
    with zipfile.ZipFile("data/train-1.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("training80_01.zip", bytes(3_000_000))
    with pytest.raises(UserError, match="train-1.zip: the clips and zips in it unpack to 3 MB, MAX_ZIP_MEGABYTES is 2"):
        find_clips(most_megabytes=2.0)
    with pytest.raises(UserError, match="unzippedData/.zips/.*/training80_01.zip is not a complete zip"):
        find_clips()
    content = Path("data/train-1.zip").read_bytes()
    Path("data/train-1.zip").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="train-1.zip is not a complete zip"):
        find_clips()


def zip_bytes(entries):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, inner in entries.items():
            archive.writestr(name, inner)
    return content.getvalue()


@pytest.mark.parametrize("deeper", [False, True])
def test_all_that_an_outer_archive_unpacks_to_is_bounded_and_nothing_stays(folder, deeper):
    inner = {f"{number}.zip": zip_bytes({f"{number}.mp4": bytes(800_000)}) for number in range(20)}
    if not deeper:
        inner = {f"{number}.zip": zip_bytes({"a.txt": bytes(800_000 + number)}) for number in range(20)}
        inner = {name: content + bytes(700_000) for name, content in inner.items()}
    Path("data").mkdir()
    Path("data/train-1.zip").write_bytes(zip_bytes(inner))
    with pytest.raises(UserError, match="train-1.zip: the clips and zips in it unpack to .* MAX_ZIP_MEGABYTES is 1"):
        find_clips(most_megabytes=1.0)
    assert not [path for path in Path("unzippedData").rglob("*") if path.is_file()]


def test_an_outer_archive_above_the_limit_is_unpacked_where_it_only_stores(folder):
    inner = {f"{number}.zip": zip_bytes({f"{number}.mp4": os.urandom(800_000)}) for number in range(3)}
    Path("data").mkdir()
    Path("data/train-1.zip").write_bytes(zip_bytes(inner))
    assert len(find_clips(most_megabytes=1.0)) == 3


@pytest.mark.parametrize("depth", ["outer", "inner"])
def test_zips_of_one_name_in_two_folders_lose_no_clip(folder, depth):
    annotate()
    expected = {}
    for place, split in (("train_a", "training"), ("train_b", "training"), ("val_c", "validation")):
        Path("data", place).mkdir(parents=True)
        clips = {f"{place}.mp4": place.encode(), f"same in {split}.mp4": split.encode()}
        if split == "validation":
            clips |= {"same in training.mp4": b"another"}  # one name in two splits
        content = zip_bytes(clips)
        Path("data", place, "part.zip").write_bytes(zip_bytes({"part.zip": content}) if depth == "inner" else content)
        expected |= {(split, name.removesuffix(".mp4")): video for name, video in clips.items()}
    found = find_clips()
    for _ in range(2):  # the second time all lie there
        assert {clip.key: unzip(clip).read_bytes() for clip in found} == expected
    assert len({clip.video for clip in found}) == len(expected)


def test_a_changed_outer_archive_is_unpacked_again(folder, made):
    annotate()
    Path("data").mkdir()
    for names in (TRAINING[:2], TRAINING[:3]):
        make_zip("training80_01.zip", names, made)
        with zipfile.ZipFile("data/train-1.zip", "w") as archive:
            archive.write("training80_01.zip")
        assert [clip.name for clip in find_clips()] == names
    assert not list(Path("unzippedData").rglob(".partial*"))
