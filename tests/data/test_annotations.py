"""Annotations: what is read, and what is refused."""

import gzip
import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from conftest import label_of, write_annotation

from first_impression.common.errors import UserError
from first_impression.data import annotations, chalearn, steps


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
    with pytest.raises(UserError, match="a.pkl is not a readable pickle .refused: it asks for .*open"):
        annotations.read_annotation("a.pkl")
    assert not (folder / "ran.txt").exists()


def test_float16_and_ordered_dicts_are_read(folder):
    whole = OrderedDict((trait, OrderedDict([("é.mp4", np.float16(0.25))])) for trait in chalearn.TRAITS)
    for protocol in (2, 4):
        (folder / "a.pkl").write_bytes(pickle.dumps(whole, protocol))
        assert {clip: label.tolist() for clip, label in annotations.read_annotation("a.pkl").items()} == {
            "é": [0.25] * 5
        }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
            "a Git LFS pointer.*: run git lfs pull",
        ),
        (b"\xef\xbb\xbf\n<!doctype HTML>", "a web page"),
        # without the time of day: a test's name is made of its arguments, and has to be the same for every worker
        (gzip.compress(b"any", mtime=0), "packed with gzip: unpack it with gunzip"),
    ],
)
def test_what_lies_in_an_annotations_place_is_called_by_its_name(folder, content, words):
    (folder / "a.pkl").write_bytes(content)
    with pytest.raises(UserError, match=f"a.pkl is {words}"):
        annotations.read_annotation("a.pkl")


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


def test_a_clip_that_one_trait_lacks_is_told_whichever_trait(folder):
    for trait in ("extraversion", "openness"):
        write_annotation("a.pkl", {"x.000": label_of(1), "y.000": label_of(2)})
        whole = pickle.loads((folder / "a.pkl").read_bytes())
        del whole[trait]["y.000.mp4"]
        (folder / "a.pkl").write_bytes(pickle.dumps(whole, protocol=2))
        with pytest.raises(UserError, match="the labels of clip 'y.000.mp4'"):
            annotations.read_annotation("a.pkl")


def test_any_two_splits_that_share_a_clip_are_refused(folder):
    for split, clip in (("training", "a"), ("validation", "b"), ("test", "c")):
        write_annotation(
            f"Annotations/annotation_{split}.pkl", {clip: label_of(1), **({} if clip == "b" else {"s": label_of(2)})}
        )
        Path(f"ImageData/{split}Data/{clip}").mkdir(parents=True)
    with pytest.raises(UserError, match="annotation_training.pkl and .*annotation_test.pkl share 1 clip .s."):
        steps.labelled_examples(chalearn.IMAGES, os.listdir)
