"""check_data.py: what is here, what is missing, how much room the steps will take."""

import re
import shutil
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest
from conftest import call, make_zip, ok, refused, run

import check_data
from first_impression.common.errors import UserError
from first_impression.common.files import md5
from first_impression.data import inventory, vggface
from first_impression.data.clips import find_clips


def test_what_is_here_is_printed(dataset, capsys):
    call(check_data)
    text = capsys.readouterr().out
    assert "training: 5 clips, 5 of them with labels in Annotations/annotation_training.pkl\n" in text
    assert "validation: 2 clips" in text and "test: no clips" in text
    make_zip("data/training80_01.zip", ["plain.000"], "made")
    call(check_data)
    text = capsys.readouterr().out
    assert "training: 3 clips, 3 of them with labels in Annotations/annotation_training.pkl" in text
    assert "which also has labels for 2 clips that are not here: -dash_id.000, sp ace.001" in text
    assert "of the clips in 3 zips, 5 are not yet unpacked" in text


def test_sound_alone_needs_no_weights_and_is_told_what_could_stand_there(dataset, capsys):
    call(check_data)
    text = capsys.readouterr().out
    assert "no vgg-face.mat: sound alone can be trained" in text
    for name in ("vgg-face.mat", "rcmalli_vggface_tf_notop_vgg16.h5", "vgg16_weights_tf_dim_ordering_tf_kernels_notop"):
        assert f"\n    {name}" in text
    assert "frames           about  0.0 GB" in text and "an epoch of each takes" not in text
    refused(run("check_data.py", "--PAPER", "--RESNET_WEIGHTS="), "missing: vgg-face.mat. README.md")


def test_a_file_of_weights_is_said_to_be_what_it_is(dataset, capsys, monkeypatch):
    monkeypatch.setattr(check_data, "images_per_second", lambda: 1.0)  # measuring takes seconds
    name = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    Path(name).write_bytes(b"weights")
    monkeypatch.setattr(vggface, "KERAS_MD5S", (md5(name),))
    call(check_data)
    text = capsys.readouterr().out
    assert f"{name}: 7 bytes, ImageNet's VGG-16, as Keras publishes it; for train.py --WEIGHTS {name}" in text
    monkeypatch.setattr(vggface, "BYTES", 4)
    Path("vgg-face.mat").write_bytes(b"face")
    monkeypatch.setattr(vggface, "MD5", md5("vgg-face.mat"))
    call(check_data)
    assert "  vgg-face.mat: 4 bytes, VGG-Face, as published\n" in capsys.readouterr().out
    monkeypatch.setattr(vggface, "MD5", "")
    with pytest.raises(UserError, match="missing: vgg-face.mat is not a readable MAT file"):
        call(check_data)
    text = capsys.readouterr().out
    assert "vgg-face.mat: NOT the published VGG-Face" in text and "4 bytes, cannot be used" in text


def test_the_time_without_a_gpu_follows_from_what_this_machine_does(dataset, capsys, monkeypatch):
    name = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    Path(name).write_bytes(b"weights")
    monkeypatch.setattr(vggface, "KERAS_MD5S", (md5(name),))
    monkeypatch.setattr(check_data, "has_gpu", lambda: False)
    call(check_data)
    assert float(re.search(r"this machine looks at ([\d.]+) images a second", capsys.readouterr().out)[1]) > 0
    monkeypatch.setattr(check_data, "images_per_second", lambda: 0.1)
    monkeypatch.setattr(check_data, "_TRAINING_COST", 4)
    call(check_data, "--FRAMES_PER_CLIP", "1000")
    text = capsys.readouterr().out
    assert "an epoch of each takes 2.3 days\n" in text  # 5 clips x 1000 frames x 4 / 0.1 a second
    assert "Or only its head, with 16 frames a clip: 13 minutes." in text  # 5 clips x 16 frames / 0.1 a second


def test_everything_missing_is_listed_at_once(dataset, monkeypatch):
    Path("Annotations/annotation_validation.pkl").unlink()
    Usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**9, 10**9, 0))
    done = run("check_data.py", "--PAPER")
    refused(done, "annotation_validation.pkl; vgg-face.mat; resnet50_weights", "GB of disk space", "README.md")
    assert "training: 5 clips" in done.stdout and "validation: 2 clips" in done.stdout
    shutil.rmtree("data")
    refused(run("check_data.py"), "annotation_validation.pkl; the training clips; the validation clips")
    make_zip("data/training80_01.zip", ["plain.000"], "made")
    refused(run("check_data.py"), "annotation_validation.pkl; the validation clips")


def test_the_password_of_encrypted_zips_is_asked_for_before_any_work(dataset, monkeypatch):
    shutil.copy("made/val.000.mp4", "made/tested.000.mp4")
    make_zip("data/test80_01.zip", ["tested.000"], "made")
    content = bytearray(Path("data/test80_01.zip").read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1  # the flag of the first entry, in the directory
    Path("data/test80_01.zip").write_bytes(content)
    with zipfile.ZipFile("data/test80_01.zip") as archive:
        assert archive.infolist()[0].flag_bits & 1
    clips = find_clips()
    assert inventory.missing_files(clips, [], "") == [
        "Annotations/annotation_test.pkl",
        "the password of data/test80_01.zip, in CHALEARN_ZIP_PASSWORD",
    ]
    assert inventory.missing_files(clips, [], "secret") == ["Annotations/annotation_test.pkl"]
    monkeypatch.setenv("CHALEARN_ZIP_PASSWORD", "secret")
    assert inventory.missing_files(clips, [], "") == ["Annotations/annotation_test.pkl"]


@pytest.mark.slow
def test_disk_space_to_come_shrinks_with_the_work(dataset):
    before = {need.what: need for need in inventory.disk_needs(find_clips(), 3, 1)}
    videos = sum(path.stat().st_size for path in Path("made").iterdir())
    assert before["unpacked videos"].whole == before["unpacked videos"].to_come == videos
    assert before["frames"].to_come == 7 * 3 * inventory.FRAME_BYTES
    for name in ("Video_to_Image.py", "vid_to_wav.py", "Write_Into_TFRecords.py", "feat_extraction_from_wav.py"):
        ok(run(name, *(["--FRAMES_PER_CLIP", 3] if name == "Video_to_Image.py" else [])))
    after = {need.what: need for need in inventory.disk_needs(find_clips(), 3, 1)}
    for what in ("unpacked videos", "frames", "sound"):
        assert after[what].to_come == 0
    of_sound = sum(path.stat().st_size for path in Path().glob("*_audio_full.tfrecords"))
    assert after["sound records"].there >= of_sound > 7 * 300_000
    assert 0 < after["image records"].there < of_sound / 10


def test_too_little_disk_space_is_refused(folder):
    with pytest.raises(UserError, match="missing: .* GB of disk space"):
        inventory.refuse_missing([], [inventory.DiskNeed("frames", 10**15, 0)])
    inventory.refuse_missing([], [inventory.DiskNeed("frames", 10**15, 10**15)])
