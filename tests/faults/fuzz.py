"""Readers of small files, given what Hypothesis invents: `python fuzz.py <kind> <count> <seed>`, in an empty folder.

Run by test_fuzz.py as a process of its own, whose memory is measured. Every input is either read, with a result that
makes sense, or refused with a `UserError`; nothing is written outside the folder. Prints a JSON object: how many inputs
were read and refused, and the peak of the memory in MB.
"""

import contextlib
import copy
import io
import json
import os
import pickle
import shutil
import sys
import unicodedata
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import hypothesis
import numpy as np
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2]))

from first_impression.common.errors import BadClipError, UserError  # noqa: E402
from first_impression.common.settings import read_recipe  # noqa: E402
from first_impression.data import annotations, judgements, label_table  # noqa: E402
from first_impression.data.chalearn import TRAITS  # noqa: E402
from first_impression.data.clips import find_clips, unzip  # noqa: E402
from first_impression.evaluation import groups  # noqa: E402
from first_impression.training import manifest  # noqa: E402

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252", "utf-32")
CELLS = st.sampled_from(
    "0.5 0 1 1e999 nan -1 6.1 0,5 1_0 '=1 a.mp4 videos/a.mp4 C:\\clips\\b.mov ../x .mp4 train val dev anna".split()
) | st.text(max_size=12)
COLUMNS = (
    "clip path sample_id file openness pred_O neuroticism Non-Neuroticism ValueNeurotisicm emotional_stability "
    "extraversion pred_E agreeableness pred_A conscientiousness pred_C speaker source split set warmth rater left right"
).split()
USUAL = ["clip", *TRAITS]
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 6), st.binary(max_size=6)), max_size=3)


def edited(content, edits):
    """`content` with a few pieces replaced by others."""
    content = bytearray(content)
    for place, length, piece in edits:
        at = int(place * len(content))
        content[at : at + length] = piece
    return bytes(content)


@st.composite
def tables(draw):
    header = draw(st.permutations(USUAL) | st.lists(st.sampled_from(COLUMNS) | st.text(max_size=8), max_size=9))
    header = [*header, *draw(st.lists(st.sampled_from(COLUMNS), max_size=2))]
    row = st.lists(CELLS, min_size=len(header), max_size=len(header)) | st.lists(CELLS, max_size=9)
    good = st.tuples(*(CELLS if column == "clip" else st.just("0.5") for column in header)).map(list)
    rows = [header, *draw(st.lists(good, max_size=6) | st.lists(good | row, max_size=6))]
    mark, end = draw(st.sampled_from(",,;\t|")), draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n"]))
    text = draw(st.sampled_from(["", "sep=;\n", "sep=\t\r\n"])) + end.join(mark.join(cells) for cells in rows)
    edits = draw(EDITS) if draw(st.integers(0, 2)) == 0 else []
    return edited(text.encode(draw(st.sampled_from(ENCODINGS)), "replace"), edits)


def read_table(content):
    Path("t.csv").write_bytes(content)
    for reader in (groups.read, lambda path: judgements.read([path])):
        with contextlib.suppress(UserError):
            reader("t.csv")
    annotations.split_of("t.csv")
    table = label_table.read("t.csv")
    values = np.array(list(table.values.values())).reshape(-1, 5)
    assert ((values >= 0) & (values <= 1)).all()
    assert all(unicodedata.is_normalized("NFC", clip) for clip in table.values)
    assert not table.splits or table.splits.keys() == table.values.keys()
    assert annotations.read_annotation("t.csv").keys() == table.values.keys()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
ODD = st.sampled_from([0, -1, 1.5, 2**70, "many", "../x", [], {}, None, True, ["a"] * 3, {"a": 1}]) | JSON


@st.composite
def manifests(draw):
    """A whole manifest with some of its parts replaced."""
    training = manifest.about_training({"a": np.full(5, 0.5), "b": np.full(5, 0.6)}, "salt")
    run = {"kind": "image", "files": ["dan/final.keras"], "settings": {}, "training": training}
    whole = {"schema": 1, "traits": list(TRAITS), "runs": {"dan": run}}
    whole["files"] = {"dan/final.keras": {"bytes": 3, "sha256": "0" * 64}}
    whole["license"], training["salt"] = draw(JSON), draw(st.text(max_size=8))  # free, as the settings are
    run["settings"] = draw(st.dictionaries(st.text(max_size=8), JSON, max_size=3))
    for _ in range(draw(st.integers(0, 3))):
        part = whole
        while True:
            keys = list(part) if isinstance(part, dict) else list(range(len(part)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(part[key], dict | list) and draw(st.booleans()):
                part = part[key]
                continue
            part[key] = copy.deepcopy(draw(ODD))  # or a part of it would be replaced for all inputs to come
            break
    return edited(json.dumps(whole).encode(), draw(EDITS) if draw(st.integers(0, 3)) == 0 else [])


def read_manifest(content):
    found = manifest.parse(content, "manifest.json")
    for run, about in found["runs"].items():
        quantiles = np.array([about["training"]["quantiles"][trait] for trait in TRAITS])
        assert about["training"]["clips"] == 0 or quantiles.shape == (5, manifest.QUANTILES)
        assert all(name.startswith(f"{run}/") and ".." not in name.split("/") for name in about["files"])


LITERALS = JSON.map(repr) | st.sampled_from(["-" * 3000 + "1", "(" * 300, "open('x', 'w')", "f'{1}'", "1 if 1 else 2"])
LINES = st.tuples(st.sampled_from(["SEED", "NAME", "x", "SEED, NAME", "SEED.x", ""]), LITERALS).map(" = ".join)
RECIPES = st.builds(
    lambda lines, encoding, edits: edited("\n".join(lines).encode(encoding, "replace"), edits),
    st.lists(LINES | st.text(max_size=20), max_size=5),
    st.sampled_from(ENCODINGS),
    EDITS,
)


def read_a_recipe(content):
    Path("mine.py").write_bytes(content)
    assert read_recipe("mine.py", {"SEED": 0, "NAME": ""}).keys() <= {"SEED", "NAME"}


NAMES = st.sampled_from(
    "a.mp4 b.mov deep/a.mp4 ../x.mp4 ..\\x.mp4 /tmp/x.mp4 C:x.mp4 ...zip ..zip in.zip a/.. é.mp4 train/é.mp4 "
    "annotation_training.pkl x/annotation_test.pkl".split()
) | st.text(min_size=1, max_size=12).map(lambda name: f"{name}.mp4")
LABELS = {trait: {"a.mp4": 0.5} for trait in TRAITS}
CONTENTS = st.binary(max_size=40) | st.sampled_from([pickle.dumps(LABELS, 2), bytes(3000), b"PK\5\6" + bytes(18)])


@st.composite
def zips(draw, depth=1):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name may stand twice
        for name in draw(st.lists(NAMES, max_size=4)):
            info = zipfile.ZipInfo("x")
            info.filename = name
            info.compress_type = draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA]))
            archive.writestr(info, draw(zips(0) if depth and name.endswith(".zip") else CONTENTS))
    flags = draw(st.booleans())
    return edited(packed.getvalue(), [] if flags else draw(EDITS))


def read_zip(content):
    for folder in ("unzippedData", "Annotations", "data"):
        shutil.rmtree(folder, ignore_errors=True)
    Path("data").mkdir()
    Path("data/train-annotation.zip").write_bytes(content)
    for clip in find_clips("data", 10.0):
        assert Path("unzippedData").absolute() in Path(os.path.abspath(clip.video)).parents
        with contextlib.suppress(UserError):
            assert unzip(clip, "secret").is_file()


KINDS = {
    "tables": (tables(), read_table),
    "manifests": (manifests(), read_manifest),
    "recipes": (RECIPES, read_a_recipe),
    "zips": (zips(), read_zip),
}


def peak_megabytes():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1000


def main(kind, count, seed):
    strategy, read = KINDS[kind]
    outcomes, outside = Counter(), set(os.listdir(".."))

    def attempt(content):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                read(content)
                outcomes["read"] += 1
            except (UserError, BadClipError) as refusal:
                assert "\n" not in str(refusal).strip() and len(str(refusal)) < 2000, str(refusal)
                outcomes["refused"] += 1
        assert set(os.listdir("..")) == outside, "something was written outside"
        here = set(os.listdir("."))
        assert here <= {"t.csv", "mine.py", "data", "unzippedData", "Annotations", ".hypothesis"}, here

    checks = list(hypothesis.HealthCheck)
    options = {"max_examples": count, "database": None, "deadline": None, "suppress_health_check": checks}
    test = hypothesis.settings(**options)(hypothesis.seed(seed)(hypothesis.given(strategy)(attempt)))
    warnings.simplefilter("ignore")
    test()
    print(json.dumps({**outcomes, "megabytes": peak_megabytes()}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
