"""What the tests share: clips whose frames carry their number, datasets made of them, and running the scripts."""

import contextlib
import gc
import io
import os
import pickle
import runpy
import signal
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

PROJECT = Path(__file__).parent.parent
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()  # for the tests' material
sys.path.insert(0, str(PROJECT))

from first_impression.common import signals  # noqa: E402, once the project can be found
from first_impression.common.settings import read_settings  # noqa: E402, once the project can be found
from first_impression.common.tensorflow_start import NVIDIA_DRIVER  # noqa: E402, likewise
from first_impression.data.chalearn import TRAITS  # noqa: E402
from first_impression.evaluation import plots  # noqa: E402, likewise

gc.disable()  # until all is imported, see pytest_collection_finish

HARM = "harm.txt"  # what the code in a hostile file would write, if it ran
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


pytest.register_assert_rewrite("harness")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark soak tests as slow too, since -m "not slow" replaces -m "not soak"; skip those of a GPU where none is.

    The longest come first, so that no process works alone at the end.
    """
    items.sort(key=lambda item: item.path.parent.name not in ("training", "sample"))
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("gpu") and not os.path.exists(NVIDIA_DRIVER):
            item.add_marker(pytest.mark.skip(reason="there is no NVIDIA GPU"))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish():
    """Let the garbage collector work, but pass over what was imported: it takes a second to look through that."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def blank_pictures(request, monkeypatch):
    """Leave the pictures of scores and curves blank, but in tests of `pictures`: they take most of an evaluation."""

    def blank(figure, title):
        plots.plt.close(figure)
        png = io.BytesIO()
        Image.new("1", (1, 1)).save(png, "png")
        return png.getvalue()

    if not request.node.get_closest_marker("pictures"):
        monkeypatch.setattr(plots, "_png", blank)


@pytest.fixture(scope="session")
def done(tmp_path_factory, request):
    """Every step run once undisturbed, for the tests of faults, by the first pytest worker that asks for it.

    DAN takes long, and only the soak trains it.
    """
    from harness import STEPS, done_once  # in tests/faults

    soak = any(item.get_closest_marker("soak") for item in request.session.items)
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "done"
    return done_once(folder, [step for step in STEPS if soak or step != "dan"])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every test works in an empty folder of its own, since the scripts work in the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHALEARN_ZIP_PASSWORD", raising=False)
    return tmp_path


@pytest.fixture
def no_harm(folder):
    """For tests of hostile files, which would write `HARM`: asserts after the test that no such file exists."""
    outside = set(folder.parent.iterdir())
    yield
    assert not [path for path in folder.rglob("*") if path.name in (HARM, f"{HARM}.mp4")], "hostile code ran"
    assert set(folder.parent.iterdir()) == outside, "something was written outside the folder"


def run(name, *arguments):
    """Run a script with this command line in this process; returns a completed process, as `run_alone` does.

    It saves the 4 s that Python and TensorFlow take to start. `run_alone` is for signals and for a fresh memory.
    """
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="", write_through=True) for _ in range(2)]
    handlers, path, status = {number: signal.getsignal(number) for number in signals.STOPPING}, list(sys.path), 0
    if "keras" in sys.modules:  # names of layers, as a new process has them
        sys.modules["keras"].backend.clear_session(free_memory=False)
    command, sys.argv = sys.argv, [name, *map(str, arguments)]
    environment, temporary = dict(os.environ), tempfile.tempdir  # app.py changes both
    try:
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            runpy.run_path(str(PROJECT / name), run_name="__main__")
    except SystemExit as end:  # its code may be text, which Python would print
        status = end.code if isinstance(end.code, int) else 1
        streams[1].write("" if isinstance(end.code, int) else f"{end.code}\n")
    finally:
        sys.argv, sys.path[:], tempfile.tempdir = command, path, temporary
        os.environ.clear()
        os.environ.update(environment)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    out, error = (stream.buffer.getvalue().decode() for stream in streams)
    return subprocess.CompletedProcess([name, *arguments], status, out, error)


def run_alone(name, *arguments, **options):
    """Run a script as a user does, in a process of its own; returns the completed process with text output."""
    command = [sys.executable, str(PROJECT / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)


def call(module, *arguments):
    """A script's main in this process, with the command line's `arguments`; it raises its errors."""
    module.main(read_settings(vars(module), arguments))


def ok(done):
    """Assert that a run ended well; returns what it printed."""
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(done, *words):
    """Assert that a run ended with an error that the user can fix: status 1, one or two lines, no traceback."""
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip() and "%|" not in line]  # "%|": a bar
    assert "Traceback" not in done.stderr and 1 <= len(lines) <= 2, done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


def make_clip(path, frames, size=(64, 48), rate=25, sound=440.0, options=()):
    """Write an H.264 clip with a tone of `sound` Hz (None: mute) and one frame per entry of `frames`.

    An entry is a grey level (0..255), or two: of the left and the right half.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.array([np.broadcast_to(entry, 2) for entry in frames], np.uint8)  # [frames, 2]
    pixels = np.repeat(np.repeat(levels[:, None, :], size[1], axis=1), size[0] // 2, axis=2)
    video = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{size[0]}x{size[1]}", "-r", str(rate), "-i", "-"]
    tone = ["-f", "lavfi", "-i", f"sine=frequency={sound}:sample_rate=44100:duration={len(levels) / rate}"]
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-qp", "4", "-pix_fmt", "yuv420p", "-c:a", "aac"]
    command = [FFMPEG, "-v", "error", "-y", *video, *(tone if sound else []), *coding, *options, f"file:{path}"]
    subprocess.run(command, input=pixels.tobytes(), check=True)
    return path


def numbered(count):
    """Frames for `make_clip` that carry their number, 0 to 255, for `number_of` to read."""
    return [(8 + 15 * (number // 16), 8 + 15 * (number % 16)) for number in range(count)]


def number_of(image):
    """The number that a picture of a `numbered` frame carries; `image` is an array [height, width, 3]."""
    half = image.shape[1] // 2
    left, right = (np.rint((part.mean() - 8) / 15) for part in (image[:, : half - 2], image[:, half + 2 :]))
    return int(16 * left + right)


def make_zip(path, clips, root="."):
    """Zip the files `<root>/<clip>.mp4` into `path`, at the top level of the archive."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for clip in clips:
            archive.write(Path(root) / f"{clip}.mp4", f"{clip}.mp4")
    return path


def label_of(number):
    """A label that no other clip has: five values in [0, 1], exact in float32."""
    return np.array([(number * 5 + trait) / 512 for trait in range(5)])


def write_annotation(path, labels):
    """An annotation pickle as ChaLearn's: protocol 2, six traits, NumPy numbers. `labels`: {clip: [5]}."""
    traits = {
        trait: {f"{clip}.mp4": np.float64(label[i]) for clip, label in labels.items()} for i, trait in enumerate(TRAITS)
    }
    order = ["extraversion", "neuroticism", "agreeableness", "conscientiousness", "interview", "openness"]
    traits["interview"] = {f"{clip}.mp4": np.float64(0.5) for clip in labels}
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps({trait: traits[trait] for trait in order}, protocol=2))


GREY = {"-dash_id.000": 40, "plain.000": 80, "sp ace.001": 120, "ünicode.002": 160, "short.003": 200}


@pytest.fixture
def dataset(folder):
    """Five training clips, one of them short, two validation clips; clip i has grey level GREY and label_of(i)."""
    for clip, grey in GREY.items():
        make_clip(f"made/{clip}.mp4", [grey] * (3 if clip == "short.003" else 12), sound=4 * grey)
    names = list(GREY)
    make_zip("data/training80_01.zip", names[:3], "made")
    make_zip("data/training80_02.zip", names[3:], "made")
    for number, clip in enumerate(("val.000", "val.001")):
        make_clip(f"made/{clip}.mp4", [60 + 90 * number] * 12, sound=300 + 300 * number)
    make_zip("data/validation80_01.zip", ["val.000", "val.001"], "made")
    write_annotation("Annotations/annotation_training.pkl", {clip: label_of(i) for i, clip in enumerate(names)})
    write_annotation("Annotations/annotation_validation.pkl", {"val.000": label_of(50), "val.001": label_of(51)})
    return folder


def vgg_layers(random, change=None):
    """{name: (kernel [3, 3, in, out], bias [out, 1])} of VGG-16's convolutions, random; `change(layers)` edits it."""
    layers, channels = {}, 3
    for block, (filters, count) in enumerate(BLOCKS, 1):
        for layer in range(1, count + 1):
            kernel = random.normal(0, np.sqrt(2 / (9 * channels)), (3, 3, channels, filters))
            layers[f"conv{block}_{layer}"] = (
                kernel.astype(np.float32),
                random.normal(0, 1, (filters, 1)).astype(np.float32),
            )
            channels = filters
    if change:
        change(layers)
    return layers


def write_mat(path, layers, layout="current", mean=(120.0, 110.0, 100.0)):
    """A MatConvNet file of these layers in one of the three layouts, a fully connected layer at its end."""
    layers = {**layers, "fc8": (np.zeros((1, 1, 4, 5), np.float32), np.zeros((5, 1), np.float32))}
    cells = np.empty((1, len(layers)), object)
    for index, (name, (kernel, bias)) in enumerate(layers.items()):
        if layout == "current":
            weights = np.empty((1, 2), object)
            weights[0, 0], weights[0, 1] = kernel, bias
            cells[0, index] = {"name": name, "type": "conv", "weights": weights}
        else:
            cells[0, index] = {"name": name, "type": "conv", "filters": kernel, "biases": bias.reshape(1, -1)}
    normalization = {"averageImage": np.array(mean, np.float32).reshape(1, 1, 3)}
    if layout == "current":
        content = {"layers": cells, "meta": {"normalization": normalization}}
    elif layout == "old":
        content = {"layers": cells, "normalization": normalization}
    else:
        content = {"net": {"normalization": normalization, "layers": cells}}
    savemat(path, content, do_compression=False)
    return path


# What is said of layers that `spoil_layers` has changed
SPOILT = ("conv2_1 is missing", "conv3_2 has", "conv4_3 has", "conv5_1 has values", "conv6_1 is not one of them")


def spoil_layers(layers):
    """A `change` for `vgg_layers`: one convolution missing, two misshapen, one with nan, one too many."""
    del layers["conv2_1"]
    kernel, bias = layers["conv3_2"]
    layers["conv3_2"] = kernel[:, :, :100], bias
    layers["conv4_3"] = layers["conv4_3"][0], bias[:7]
    layers["conv5_1"][0][0, 0, 0, 0] = np.nan
    layers["conv6_1"] = layers["conv1_1"]
