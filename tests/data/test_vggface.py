"""The reader of VGG-Face: files of every layout and defect, and the process that they are read in."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import PROJECT, SPOILT, spoil_layers, vgg_layers, write_mat
from scipy.io import savemat

from first_impression.common.errors import UserError
from first_impression.common.files import md5
from first_impression.data import vggface

LAYERS = vgg_layers(np.random.default_rng(4))


def check(weights, layers=LAYERS):
    """Assert that these are the `layers`, to the last bit, with the names and shapes of vggface.CONVOLUTIONS."""
    assert list(weights.convolutions) == list(layers) == list(vggface.CONVOLUTIONS)
    for name, (kernel, bias) in weights.convolutions.items():
        assert kernel.shape == vggface.CONVOLUTIONS[name] and kernel.dtype == bias.dtype == np.float32
        assert np.array_equal(kernel, layers[name][0]) and np.array_equal(bias, layers[name][1].reshape(-1))


def save(path, change=None, **more):
    """Write LAYERS in the current layout, each cell edited by `change(cell)`, with `more` variables."""
    cells = np.empty((1, len(LAYERS)), object)
    for index, (name, (kernel, bias)) in enumerate(LAYERS.items()):
        cells[0, index] = {"name": name, "weights": np.array([[kernel, bias]], object)}
        if change:
            change(cells[0, index])
    savemat(path, {"layers": cells, **more})


def read_by(monkeypatch, code):
    """Let this Python code stand in for the child process."""
    monkeypatch.setattr(vggface, "READER", (sys.executable, "-c", code))


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["current", "old", "oxford"])
def test_all_three_layouts_give_the_same_weights(folder, layout, capsys):
    write_mat("weights.mat", LAYERS, layout)
    weights = vggface.read("weights.mat")
    check(weights)
    assert weights.mean_colour == [120.0, 110.0, 100.0]
    assert weights.md5 == md5("weights.mat") and weights.published is False
    assert weights.words == "NOT the published VGG-Face: size or MD5 differ"
    assert capsys.readouterr().out == "weights.mat: NOT the published VGG-Face: its size or MD5 differs\n"


@pytest.mark.slow
def test_only_the_published_file_is_read_in_this_process(folder, monkeypatch, capsys):
    write_mat("vgg-face.mat", LAYERS)
    with monkeypatch.context() as patch:
        patch.setattr(vggface, "loadmat", lambda *_, **__: pytest.fail("read in this process"))
        check(vggface.read("vgg-face.mat"))
        size = Path("vgg-face.mat").stat().st_size
        for published in ((size, "0" * 32), (size + 1, md5("vgg-face.mat"))):
            patch.setattr(vggface, "BYTES", published[0])
            patch.setattr(vggface, "MD5", published[1])
            assert not vggface.read("vgg-face.mat").published
    monkeypatch.setattr(vggface, "BYTES", size)
    monkeypatch.setattr(vggface, "MD5", md5("vgg-face.mat"))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("read in another process"))
    capsys.readouterr()
    weights = vggface.read("vgg-face.mat")
    check(weights)
    assert weights.published is True and weights.words == "VGG-Face, as published"
    assert weights.mean_colour == [120.0, 110.0, 100.0] and not capsys.readouterr().out


@pytest.mark.slow
def test_the_words_are_those_of_the_file(folder):
    save("a.mat", meta={"note": "drawn by hand, \N{GREEK SMALL LETTER PI}"})
    assert vggface.read("a.mat").words == "NOT the published VGG-Face: drawn by hand, π"
    for note in ("", np.ones(3), {"note": "nested"}):
        save("a.mat", meta={"note": note})
        assert vggface.read("a.mat").words == "NOT the published VGG-Face: size or MD5 differ"


@pytest.mark.slow
def test_biases_come_as_columns_or_rows_and_numbers_in_any_type(folder):
    def change(cell):
        (kernel, bias), number = cell["weights"][0], len(cell["name"]) + int(cell["name"][-1])
        bias = bias.reshape([(-1, 1), (1, -1), (1, 1, -1)][number % 3])
        cell["weights"] = np.array([[kernel.astype(np.float64), bias.astype(np.float64)]], object)[:, :]

    save("a.mat", change)
    check(vggface.read("a.mat"))

    def in_whole_numbers(cell):
        kernel, bias = (np.arange(part.size).reshape(part.shape) % 100 for part in cell["weights"][0])
        cell["weights"] = np.array([[kernel.astype(np.int8), bias.astype(np.uint16)]], object)

    save("a.mat", in_whole_numbers)
    wanted = {name: [np.arange(part.size).reshape(part.shape) % 100 for part in pair] for name, pair in LAYERS.items()}
    check(vggface.read("a.mat"), wanted)


@pytest.mark.slow
def test_a_mean_per_pixel_is_averaged_and_there_may_be_none(folder):
    mean = np.random.default_rng(0).uniform(90, 130, (224, 224, 3)).astype(np.float32)
    save("a.mat", meta={"normalization": {"averageImage": mean}})
    assert np.allclose(vggface.read("a.mat").mean_colour, mean.mean(axis=(0, 1)), atol=1e-3)
    for more in ({}, {"meta": "none"}, {"meta": {"normalization": np.ones(3)}}, {"normalization": {"x": 1}}):
        save("a.mat", **more)
        assert vggface.read("a.mat").mean_colour is None


@pytest.mark.parametrize(
    "mean", [np.zeros((0, 0)), np.ones((2, 2)), np.array(["grey"]), np.full((1, 1, 3), np.nan), 3.0, {"r": 1}, 1j]
)
def test_a_senseless_mean_colour_is_refused(folder, mean):
    save("a.mat", meta={"normalization": {"averageImage": mean}})
    with pytest.raises(UserError, match="a.mat .*averageImage"):
        vggface.read("a.mat")


@pytest.mark.slow
def test_all_wrong_layers_are_listed_at_once(folder):
    write_mat("vgg-face.mat", vgg_layers(np.random.default_rng(5), spoil_layers))
    with pytest.raises(UserError) as refusal:
        vggface.read("vgg-face.mat")
    text = str(refusal.value)
    assert text.startswith("vgg-face.mat does not hold VGG-16's convolutions: ")
    assert all(complaint in text for complaint in SPOILT)
    assert "conv1_2" not in text and "\n" not in text


def test_a_single_layer_is_a_list_of_one(folder):
    kernel, bias = LAYERS["conv1_1"]
    cell = np.empty((1, 1), object)
    cell[0, 0] = {"name": "conv1_1", "filters": kernel, "biases": bias}
    savemat("a.mat", {"layers": cell})
    with pytest.raises(UserError) as refusal:
        vggface.read("a.mat")
    assert "conv1_1" not in str(refusal.value) and "conv1_2 is missing; conv2_1 is missing" in str(refusal.value)


@pytest.mark.parametrize(
    "content",
    [
        {"x": np.arange(3)},
        {"layers": "a text"},
        {"layers": 3.0},
        {"layers": np.ones((2, 2))},
        {"net": "a text"},
        {"net": {"x": 1}},
        {"layers": {"name": "conv1_1"}},
        {"layers": {"name": 5}},
        {"layers": {"name": "conv1_1", "weights": np.ones((3, 4))}},
        {"layers": {"name": "conv1_1", "filters": "kernel", "biases": np.ones(3)}},
        {"layers": {"name": "conv1_1", "filters": np.ones(3) * 1j, "biases": np.ones(3)}},
    ],
    ids=str,
)
def test_other_matlab_files_are_named(folder, content):
    savemat("other.mat", content)
    with pytest.raises(UserError, match="^other.mat is not laid out like vgg-face.mat") as refusal:
        vggface.read("other.mat")
    assert "\n" not in str(refusal.value)


@pytest.mark.slow
def test_unfit_files_are_named(folder, capsys):
    with pytest.raises(UserError, match=r"vgg-face.mat is missing: .*1,086,058,494 bytes, MD5 3d6cd504bf9c98af"):
        vggface.read("vgg-face.mat")
    write_mat("whole.mat", LAYERS)
    whole = Path("whole.mat").read_bytes()
    version_7_3 = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + whole[128:]
    for content in (b"no MAT file " * 1000, b"", whole[:100], whole[: len(whole) // 2], version_7_3):
        capsys.readouterr()
        Path("vgg-face.mat").write_bytes(content)
        with pytest.raises(UserError, match="^vgg-face.mat is not a readable MAT file .*compare its size and MD5"):
            vggface.read("vgg-face.mat")
        assert "vgg-face.mat: NOT the published VGG-Face" in capsys.readouterr().out  # before it is parsed


def test_a_child_that_was_killed_or_crashed_is_a_line(folder, monkeypatch):
    write_mat("a.mat", LAYERS)
    read_by(monkeypatch, "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(UserError, match="^a.mat could not be read: .* was killed, perhaps for lack of memory$"):
        vggface.read("a.mat")
    read_by(monkeypatch, "import os; os.abort()")
    with pytest.raises(UserError, match="^a.mat crashes its reader .Aborted.: fetch it again"):
        vggface.read("a.mat")


def test_no_room_for_the_arrays_is_a_line(folder, monkeypatch):
    write_mat("a.mat", LAYERS)
    limit = "vggface.READER_LIMITS['RLIMIT_FSIZE'] = 10**6"
    read_by(monkeypatch, f"from first_impression.data import vggface; {limit}; vggface._main()")
    with pytest.raises(UserError, match="^a.mat could not be read: .*File too large$"):
        vggface.read("a.mat")


@pytest.mark.slow
def test_the_child_imports_no_tensorflow_and_hands_over_no_objects(folder, monkeypatch):
    write_mat("a.mat", LAYERS)
    check_imports = "assert not {'tensorflow', 'keras', 'pandas'} & set(sys.modules)"
    read_by(monkeypatch, f"import sys; from first_impression.data import vggface; vggface._main(); {check_imports}")
    check(vggface.read("a.mat"))
    read_by(monkeypatch, "import sys, numpy; numpy.savez(sys.stdout.buffer, note=numpy.array([print], object))")
    with pytest.raises(ValueError, match="allow_pickle=False"):
        vggface.read("a.mat")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_no_child_and_no_file(folder, number):
    write_mat("a.mat", LAYERS)
    Path("tmp").mkdir()
    program = f"""
import sys
sys.path.insert(0, {str(PROJECT)!r})
from first_impression.common import script
from first_impression.data import vggface
sleeping = "import os, time; open({str(folder / "pid")!r}, 'w').write(str(os.getpid())); time.sleep(60)"
vggface.READER = (sys.executable, "-c", sleeping)
def main(settings):
    vggface.read("a.mat")
script.run(main)
"""
    Path("program.py").write_text(program)
    with subprocess.Popen([sys.executable, "program.py"], env={**os.environ, "TMPDIR": str(folder / "tmp")}) as process:
        while not (Path("pid").exists() and Path("pid").read_text()):
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(30) == 128 + number
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path("pid").read_text()), 0)
    assert not list(Path("tmp").iterdir())
