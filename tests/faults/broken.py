"""Read broken copies of a file, many in one process: `python broken.py` for test_broken_bytes.py.

Each line of standard input asks for one kind of file: a JSON object with the arguments of `read_copies`. A fork answers
it, so that a hang or crash in a library ends this fork alone, and what all of them need is imported once. A line with
the fork's exit code says that it has ended.
"""

import contextlib
import faulthandler
import itertools
import json
import multiprocessing
import os
import re
import resource
import shutil
import sys
import threading
import traceback
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from first_impression.common.errors import BadClipError, UserError  # noqa: E402
from first_impression.data import annotations, audio, batching, chalearn, label_table, record_reader, vggface
from first_impression.data.clips import find_clips, unzip
from first_impression.data.frames import extract_frames
from first_impression.data.sound import extract_sound, loudness
from first_impression.data.streams import video_stream
from first_impression.inference.clip import open_clip

SECONDS = 60  # for one broken copy; the sound ones take less than one
GIGABYTES = 2
EDGE = 2048  # bytes at either end, where a file's tables lie
# So small that the structure of the file is most of it
SMALL_VGG = {name: (3, 3, 3 if name == "conv1_1" else 2, 2) for name in vggface.CONVOLUTIONS}


def broken(content, random):
    """`content` with one to four mutations: bits flipped, bytes set, cut, pieces put in, doubled or swapped."""
    content = bytearray(content)
    for _ in range(random.integers(1, 5)):
        size = len(content)
        reach = min(size, EDGE) if random.random() < 0.5 else size  # as often at an end as anywhere
        at = int(random.integers(0, max(reach, 1)))
        at = at if random.random() < 0.5 else max(size - 1 - at, 0)
        length = int(2 ** random.uniform(0, np.log2(max(size / 2, 2))))
        match random.choice(["flip", "flip", "set", "number", "cut", "end", "insert", "double", "swap"]):
            case "flip" if size:
                content[at] ^= 1 << int(random.integers(8))
            case "set" if size:
                content[at] = int(random.choice([0, 1, 127, 128, 255]))
            case "number":  # a size or an offset
                content[at : at + 4] = random.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1]).item().to_bytes(4, "big")
            case "cut":
                del content[at : at + length]
            case "end":
                del content[at:]
            case "insert":
                content[at:at] = random.bytes(min(length, 4096))
            case "double":
                content[at:at] = content[at : at + length]
            case "swap":
                other = int(random.integers(0, max(size, 1)))
                first, second = sorted((at, other))
                length = min(length, second - first, size - second)
                left, right = content[first : first + length], content[second : second + length]
                content[first : first + length], content[second : second + length] = right, left
    return bytes(content)


class Reader:
    """Reads files of one kind as the scripts do: `read` raises `UserError` or `BadClipError`, or asserts."""

    suffix = ""
    workers = 1
    share = 1.0  # of the number of copies

    def __init__(self, specimen):
        self.specimen = specimen

    def whole(self, number):
        """The bytes from which a broken copy is made."""
        return self.specimen.read_bytes()

    def place(self, number):
        """The path of the broken copy."""
        return Path(f"{number}{self.suffix}")


class Zip(Reader):
    """A zip of clips, or one of such zips."""

    def __init__(self, specimen):
        super().__init__(specimen)
        Path("data").mkdir()
        self.place(0).write_bytes(self.whole(0))
        self.contents = {clip.name: unzip(clip).read_bytes() for clip in find_clips()}
        self.unpacked = {path.read_bytes() for path in self.files()}

    def place(self, number):
        return Path("data") / self.specimen.name

    def files(self):
        return [path for path in chalearn.UNZIPPED.rglob("*") if path.is_file() and path.suffix != ".jsonl"]

    def read(self, path):
        shutil.rmtree(chalearn.UNZIPPED, ignore_errors=True)
        try:
            found = {clip.name: unzip(clip).read_bytes() for clip in find_clips()}
        finally:
            left = [path for path in self.files() if path.read_bytes() not in self.unpacked]
            assert not left, f"left behind: {left}"
        assert found == self.contents, f"of {len(self.contents)} clips {len(found)}: {sorted(found)}"


class Mp4(Reader):
    suffix = ".mp4"
    workers = os.cpu_count()
    share = 0.4  # each starts six ffmpegs

    def read(self, path):
        folder = Path(f"{path.stem}_frames")
        folder.mkdir()
        wav = folder / "sound.wav"
        refusals = []
        with refused_into(refusals):
            written = extract_frames(path, folder, 10, "even", 32)
            shapes = [picture(folder / f"frame{n}.jpg").shape for n in range(1, written + 1)]
            assert written and shapes == [(32, 32, 3)] * written, shapes
            assert written == len(list(folder.glob("*.jpg")))
            stream = video_stream(path)
            assert len(stream.times) and np.isfinite([*stream.times, stream.end, stream.rotation]).all(), stream
            assert stream.width >= 1 and stream.height >= 1 and stream.frame_rate >= 0, stream
        with refused_into(refusals):
            extract_sound(path, wav)
            try:
                samples = audio.read_wav(wav)
            except UserError as problem:  # an empty stream
                raise BadClipError(str(problem)) from None
            finite(audio.log_filterbank(samples), (audio.FEATURES,))
            levels = loudness(path)
            assert np.isfinite(levels).all()
        with refused_into(refusals):  # as a part, which is streamed
            check_windows(open_clip(path, 3, start=0.01, with_faces=True))
        shutil.rmtree(folder)
        if refusals:
            raise refusals[0]


class LongClip(Reader):
    """A clip of many windows, in each container in turn; `specimen` is the folder with one file of each."""

    workers = os.cpu_count()
    share = 0.3

    def __init__(self, specimen):
        self.files = sorted(specimen.iterdir())

    def whole(self, number):
        return self.files[number % len(self.files)].read_bytes()

    def place(self, number):
        return Path(f"{number}{self.files[number % len(self.files)].suffix}")

    def read(self, path):
        clip = open_clip(path, 3, window=0.5)
        check_windows(clip)
        assert clip.missing or np.isfinite([clip.duration, clip.end, *clip.loudness]).all(), clip
        if not (clip.video or clip.sound):
            raise BadClipError("; ".join(clip.missing.values()))


class Wav(Reader):
    suffix = ".wav"

    def read(self, path):
        samples = audio.read_wav(path)
        assert samples.shape[0] >= 1 and samples.shape[1:] == (2,)
        # nothing but the samples is as long as the file
        assert abs(samples.nbytes - path.stat().st_size) <= audio.HEADER, (
            f"{samples.nbytes} of {path.stat().st_size} bytes"
        )
        finite(audio.log_filterbank(samples), (audio.FEATURES,))


class Annotation(Reader):
    suffix = ".pkl"

    def __init__(self, specimen):
        super().__init__(specimen)
        self.clips = len(annotations.read_annotation(specimen))

    def read(self, path):
        labels = annotations.read_annotation(path)
        # damage inside a name can make two clips one, damage between the entries none
        assert self.clips - 4 <= len(labels) <= self.clips, f"{len(labels)} clips of {self.clips}"
        check_labels(labels)


class Labels(Reader):
    """Labels of one's own, with splits and speakers."""

    suffix = ".csv"

    def read(self, path):
        labels, sources = annotations.read_annotation(path), annotations.read_sources(path)
        assert labels and sources.keys() in (labels.keys(), set())  # a column of a damaged name does not count
        check_labels(labels)
        splits = [annotations.read_annotation(path, split.name).keys() for split in chalearn.SPLITS]
        assert labels.keys() == set().union(*splits)
        assert len(labels) == sum(map(len, splits)) or all(split == labels.keys() for split in splits)


class Csv(Reader):
    suffix = ".csv"

    def read(self, path):
        answers, doubled, *_ = label_table.read(path)
        lines = path.read_bytes().count(b"\n") + path.read_bytes().count(b"\r") + 1
        assert len(answers) + len(doubled) <= lines
        for name, values in answers.items():
            assert isinstance(name, str)
            finite(values, (5,))


class Mat(Reader):
    suffix = ".mat"
    words = "NOT the published VGG-Face"
    workers = os.cpu_count()
    share = 0.2  # each copy starts a Python

    def __init__(self, specimen):
        super().__init__(specimen)
        vggface.CONVOLUTIONS = SMALL_VGG
        small = f"from first_impression.data import vggface; vggface.CONVOLUTIONS = {SMALL_VGG}; vggface._main()"
        vggface.READER = (sys.executable, "-c", small)

    def read(self, path):
        weights = vggface.read(path)
        assert not weights.published and weights.words.startswith(self.words)
        for name, (kernel, bias) in weights.convolutions.items():
            finite(kernel, SMALL_VGG[name])
            finite(bias, SMALL_VGG[name][-1:])
        if weights.mean_colour is not None:
            finite(np.array(weights.mean_colour), (3,))


class KerasWeights(Mat):
    suffix = ".h5"
    words = ""  # a broken name of a layer can make the one layout the other


class Records(Reader):
    suffix = ".tfrecords"

    def __init__(self, specimen):
        super().__init__(specimen)
        self.records = list(self.content(specimen))

    def content(self, path):
        opened = record_reader.open_records(path, "train", "image")
        names, _ = record_reader.read_names(opened)
        for images, labels, indices, _ in record_reader.translate_read_errors(
            batching.batches(opened, 4, pad=False), opened
        ):
            finite(images.numpy(), (len(indices), 224, 224, 3))
            finite(labels.numpy(), (len(indices), 5))
            for image, label, index in zip(images.numpy(), labels.numpy(), indices.numpy(), strict=True):
                yield image.tobytes(), label.tobytes(), names[index]

    def read(self, path):
        # each record has its checksums, the file has none: whole records can be lost or stand elsewhere
        found = list(self.content(path))
        assert found and set(found) <= set(self.records), f"{len(found)} records of {len(self.records)}"


class Keras(Reader):
    def __init__(self, specimen):
        super().__init__(specimen)
        from first_impression.training import opening

        self.weights = [values.tobytes() for values in opening.load_model(specimen)[0].get_weights()]

    def place(self, number):
        Path(f"{number}_run").mkdir()
        return Path(f"{number}_run/final.keras")

    def read(self, path):
        from first_impression.training import opening

        model, kind, _ = opening.load_model(path)
        assert kind == "audio"
        assert [values.tobytes() for values in model.get_weights()] == self.weights, "other weights"
        finite(model(np.zeros((1, audio.FEATURES), np.float32)).numpy(), (1, 5))


class Checkpoint(Reader):
    suffix = ".npz"

    def __init__(self, specimen):
        super().__init__(specimen)
        self.expected = self.content(specimen)

    def place(self, number):
        Path(f"{number}_run").mkdir()
        return Path(f"{number}_run/checkpoint.npz")

    def content(self, path):
        from first_impression.training import checkpoint

        architecture, arrays, progress = checkpoint.read(path.parent)
        return {name: values.tobytes() for name, values in arrays.items()}, architecture, progress

    def read(self, path):
        assert self.content(path) == self.expected, "other content"


READERS = {
    "zip": Zip,
    "outer zip": Zip,
    "mp4": Mp4,
    "long clip": LongClip,
    "wav": Wav,
    "annotation": Annotation,
    "labels": Labels,
    "csv": Csv,
    "mat": Mat,
    "keras weights": KerasWeights,
    "tfrecords": Records,
    "keras": Keras,
    "checkpoint": Checkpoint,
}


def check_labels(labels):
    for label in labels.values():
        finite(label, (5,))
        assert (label >= 0).all() and (label <= 1).all()


def check_windows(clip):
    with contextlib.closing(clip):
        for window in itertools.islice(clip.windows, 20):  # made-up times can claim hours
            assert len(window.frames) == len(window.times) == len(window.look.dark) <= 3, window
            assert window.features is None or finite(window.features, (audio.FEATURES,)) is None
            assert np.isfinite([*window.times, window.sound_seconds, window.band]).all(), window


@contextlib.contextmanager
def refused_into(refusals):
    try:
        yield
    except BadClipError as reason:
        refusals.append(reason)


def picture(path):
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image)


def finite(values, shape):
    assert values.shape == tuple(shape), f"{values.shape}, not {shape}"
    assert np.isfinite(values).all(), "values that are not finite"


def read_copies(folder, kind, specimen, count, seed):
    """Read `count` broken copies of a file; works in `folder`.

    Writes report.json: how many were refused, how many were read whole, what went wrong with the others, and the most
    memory that it took in gigabytes; and said.txt, with what was printed.
    """
    os.chdir(folder)
    said = os.open("said.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(said, 1)
    os.dup2(said, 2)
    warnings.simplefilter("error", ResourceWarning)
    reader = READERS[kind](Path(specimen).absolute())
    # Limits the memory of this process and its children, so that a fault does not fill the machine's
    now = int(re.search(r"VmData:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (now + GIGABYTES * 10**9,) * 2)
    lock = threading.Lock()
    outcomes, faults = Counter(), []

    def attempt(number):
        whole = reader.whole(number)
        content = broken(whole, np.random.default_rng([seed, number]))
        if content == whole:
            outcomes["unchanged"] += 1
            return
        path = reader.place(number)
        path.write_bytes(content)
        if reader.workers == 1:
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            Path("at.txt").write_text(str(number))
        try:
            reader.read(path)
            outcome = "whole"
        except (UserError, BadClipError) as reason:
            outcome = "refused"
            text = str(reason)
            named = isinstance(reason, BadClipError) or path.name in text  # a BadClipError gets the clip later
            if not text.strip() or not named or text.count("\n") > 1 or len(text) > 2000:
                outcome = "fault"
                faults.append([number, f"message: {text[:500]!r}"])
        except Exception:
            outcome = "fault"
            faults.append([number, traceback.format_exc()[-1500:]])
        with lock:
            outcomes[outcome] += 1
        if outcome != "fault":
            path.unlink()

    with ThreadPoolExecutor(reader.workers) as pool:
        list(pool.map(attempt, range(count))) if reader.workers > 1 else list(map(attempt, range(count)))
    faulthandler.cancel_dump_traceback_later()
    own = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1e6
    peaks = [own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6]
    counts = {name: outcomes[name] for name in ("refused", "whole", "unchanged")}
    Path("report.json").write_text(json.dumps({**counts, "faults": faults, "gigabytes": max(peaks)}))


def main():
    for line in sys.stdin:
        asked = json.loads(line)
        fork = multiprocessing.get_context("fork").Process(target=read_copies, kwargs=asked)
        fork.start()
        fork.join(200 + asked["count"])
        fork.kill()
        fork.join()
        print(fork.exitcode, flush=True)


if __name__ == "__main__":
    main()
