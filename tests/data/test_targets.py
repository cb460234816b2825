"""Targets of one's own: their names and scale, as labels, in records and in what check_data.py says."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from conftest import label_of, make_clip, ok, refused, run

from first_impression.common.errors import UserError
from first_impression.data import annotations, label_table, record_reader, record_writer
from first_impression.data.chalearn import TRAITS
from first_impression.data.targets import FIVE, Targets, of_json, of_model, of_settings, scale_rule, targets_rule
from first_impression.evaluation import fusion, predictions

SIX = Targets((*TRAITS, "interview"))
FOUR = Targets(("warmth", "competence", "honesty_humility", "trust"), 1.0, 7.0)


def test_the_five_are_what_is_meant_where_nothing_is_said():
    assert of_settings("", "0..1") == of_settings(", ".join(TRAITS), "0..1") == of_json({}) == of_model("dan") == FIVE
    assert FIVE.as_json == {} and FIVE.model_name("dan") == "dan"
    assert of_settings("", "1..7") == Targets(TRAITS, 1.0, 7.0) != FIVE
    assert of_settings(", ".join(reversed(TRAITS)), "0..1").names == TRAITS[::-1]  # in the order that is asked for


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        ("Honesty-Humility", "honesty_humility"),
        (" honesty humility ", "honesty_humility"),
        ("Emotional Stability", "neuroticism"),
        ("ValueNeurotisicm", "neuroticism"),
        ("openness to experience", "openness"),
        ("ValueInterview", "interview"),
    ],
)
def test_a_name_is_known_however_it_is_spelled(spelled, name):
    assert targets_rule(spelled) is None and of_settings(f"trust,{spelled}", "0..1").names == ("trust", name)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("warmth, Warmth", "names warmth twice"),
        ("honesty_humility, honestyhumility", "names honesty_humility twice"),
        ("emotional stability, neuroticism", "names neuroticism twice"),
        ("warmth,", "the first a letter, not ''"),
        ("wärme", "letters from a to z"),
        ("7th", "the first a letter"),
        ("a\nb\x00" + "c" * 60, "40 at most"),
        ("mean", "mean has another meaning"),
        ("warmth, Models", "models has another meaning"),  # of predict.py's CSV
        ("file name", "file_name has another meaning"),
        ("Speaker", "speaker has another meaning"),
        (",".join(f"item_{number}" for number in range(101)), "names 101 targets, 100 at most"),
    ],
)
def test_unusable_names_are_refused(value, words):
    assert words in targets_rule(value)


@pytest.mark.parametrize(("scale", "ends"), [("1..7", (1, 7)), ("-3 .. 3", (-3, 3)), ("0.5..2.25", (0.5, 2.25))])
def test_a_scale_has_two_ends(scale, ends):
    assert scale_rule(scale) is None
    targets = of_settings("warmth", scale)
    assert (targets.low, targets.high) == ends and targets.has_own_scale
    assert targets.to_unit(np.array([*ends, sum(ends) / 2])).tolist() == [0, 1, 0.5]
    assert of_model(targets.model_name("dan")) == of_json(json.loads(json.dumps(targets.as_json))) == targets


@pytest.mark.parametrize("scale", ["0..1000000", "-123456789..0", "0.1234567..0.9", "0..0.000001", "1..7"])
def test_a_scale_is_written_in_full_and_read_again(scale, folder):
    targets = of_settings("warmth", scale)
    assert targets.in_words == f"warmth, from {scale.replace('..', ' to ')}"
    assert label_table.scaled("warmth", targets.low, targets.high) == f"warmth {scale}"
    assert label_table.on_scale(f"warmth {scale}") == ("warmth", (targets.low, targets.high))
    predictions.write_csv("a.csv", {"a.000": [0.25], "b.000": [1]}, targets)
    assert label_table.targets_in("a.csv", ["warmth"]) == targets
    one_more = of_settings("warmth", f"{targets.low:f}..{targets.high + 1:f}")
    with pytest.raises(UserError, match="labels are on different scales"):
        fusion.shared_targets({"a": targets, "b": one_more})


@pytest.mark.parametrize("scale", ["", "7..1", "1..1", "1-7", "1...7", "nan..1", "0..inf", "1..7..9", "1e3..2e3"])
def test_other_scales_are_refused(scale):
    assert "two numbers" in scale_rule(scale)


@pytest.mark.parametrize(
    "about",
    [
        {"targets": []},
        {"targets": ["warmth"]},
        {"targets": "warmth", "scale": [0, 1]},
        {"targets": ["Warmth"], "scale": [0, 1]},
        {"targets": ["warmth", "warmth"], "scale": [0, 1]},
        {"targets": ["../x"], "scale": [0, 1]},
        {"targets": [["warmth"]], "scale": [0, 1]},
        {"targets": ["warmth"], "scale": [1, 0]},
        {"targets": ["warmth"], "scale": [0, float("inf")]},
        {"targets": ["warmth"], "scale": ["0", "1"]},
    ],
)
def test_files_that_name_anything_else_are_damaged(about):
    with pytest.raises(ValueError, match="its targets have"):
        of_json(about)


# Labels


def write_six(path, clips):
    """ChaLearn's pickle with an `interview` that follows from the clip's number: its labels, {clip: [6]}."""
    labels = {clip: [*label_of(number), number / 64] for number, clip in enumerate(clips, 1)}
    by_key = {
        name: {f"{clip}.mp4": np.float64(of[place]) for clip, of in labels.items()}
        for place, name in enumerate(SIX.names)
    }
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_bytes(pickle.dumps(by_key, protocol=2))
    return labels


def test_interview_is_read_from_chalearns_pickle_alone_and_beside_the_five(folder):
    labels = write_six("a.pkl", ["a.000", "b.001"])
    for targets, chosen in (
        (SIX, slice(None)),
        (Targets(("interview",)), [5]),
        (Targets(("interview", "openness")), [5, 4]),
    ):
        found = annotations.read_annotation("a.pkl", targets=targets)
        assert {clip: of.tolist() for clip, of in found.items()} == {
            clip: np.float32(of)[chosen].tolist() for clip, of in labels.items()
        }


def test_what_a_pickle_lacks_is_named(folder):
    write_six("a.pkl", ["a.000", "b.001"])
    with pytest.raises(UserError, match="a.pkl has no labels for warmth, only for extraversion, .*, interview"):
        annotations.read_annotation("a.pkl", targets=Targets(("interview", "warmth")))
    whole = pickle.loads(Path("a.pkl").read_bytes())
    whole["interview"]["a.000.mp4"] = np.float64(1.25)
    Path("a.pkl").write_bytes(pickle.dumps(whole, protocol=2))
    with pytest.raises(
        UserError, match="a.pkl: .* clip 'a.000.mp4' have interview = .*1.25.*, not a number from 0 to 1"
    ):
        annotations.read_annotation("a.pkl", targets=SIX)
    del whole["interview"]["a.000.mp4"]
    Path("a.pkl").write_bytes(pickle.dumps(whole, protocol=2))
    with pytest.raises(UserError, match="a.pkl: the labels of clip 'a.000.mp4' lack interview: .*out of TARGETS"):
        annotations.read_annotation("a.pkl", targets=SIX)
    assert annotations.read_annotation("a.pkl").keys() == {"a.000", "b.001"}  # the five are not concerned
    whole["Interview"] = whole["interview"]
    Path("a.pkl").write_bytes(pickle.dumps(whole, protocol=2))
    with pytest.raises(UserError, match="a.pkl has two targets of one name"):
        annotations.read_annotation("a.pkl", targets=SIX)


HEADER = "clip,split,speaker,Warmth,competence,Honesty-Humility,ValueTrust"


def write_table(rows, header=HEADER):
    Path("Annotations").mkdir(exist_ok=True)
    Path("Annotations/annotations.csv").write_text("\n".join([header, *rows]) + "\n")
    return Path("Annotations/annotations.csv")


def test_ratings_on_a_scale_are_mapped_once_and_several_raters_averaged(folder, capsys):
    path = write_table(["a.mp4,train,anna,1,4,7,2.5", "b,val,ben,7,7,7,7", "a,train,anna,3,4,1,2.5"])
    found = annotations.read_annotation(path, "training", FOUR)
    assert found.keys() == {"a"} and np.allclose(found["a"], [1 / 6, 1 / 2, 1 / 2, 1 / 4], atol=1e-7)
    assert found["a"].dtype == np.float32 and "several rows for 1 clip" in capsys.readouterr().out
    assert annotations.read_annotation(path, "validation", FOUR)["b"].tolist() == [1, 1, 1, 1]
    assert annotations.read_annotation(path, "", Targets(("trust",), 1.0, 7.0))["a"].tolist() == [0.25]
    assert "used for nothing: Honesty-Humility, Warmth, competence" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "header", "words"),
    [
        (["a,train,x,1,1,1,7.5"], HEADER, "row 2, trust of 'a': '7.5' is not a number from 1 to 7"),
        (["a,train,x,1,0.5,1,7"], HEADER, "row 2, competence of 'a': '0.5' is not a number from 1 to 7"),
        (
            ["a,train,x,1,1,1,1", "b,val,x,1,,1,1"],
            HEADER,
            "row 3, competence of 'b': '' .* give one, or take the row out",
        ),
        (['a,train,x,1,"1,5",1,1'], HEADER, "row 2, competence of 'a': '1,5' .* decimals take a point"),
        (
            ["a,train,x,1,1,1,1"],
            HEADER.replace("Trust", "Faith"),
            "no column for trust: its columns are clip, split, .*Val",
        ),
        (["a,train,x,1,1,1,1,1"], f"{HEADER},WARMTH", "several columns for warmth, Warmth and WARMTH"),
    ],
)
def test_unfit_tables_of_own_targets_are_named_in_one_line(rows, header, words, folder):
    path = write_table(rows, header)
    with pytest.raises(UserError, match=f"annotations.csv.*{words}") as refusal:
        annotations.read_annotation(path, targets=FOUR)
    assert "\n" not in str(refusal.value)


def test_check_data_lists_what_there_are_labels_of_and_deals_any_table(folder):
    rows = [
        f"{who}_{n}.mp4,{who},{1 + n},{2_000_000 + n},some words,{n / 4 if n else ''}"
        for who in "abcde"
        for n in range(3)
    ]
    write_table(rows, "clip,speaker,warmth,Honesty-Humility,remark,interview")
    Path("data").mkdir()
    for clip in ("a_0", "b_1"):
        make_clip(f"data/{clip}.mp4", [30, 60])
    refused(run("Video_to_Image.py"), "annotations.csv needs a column named split")
    printed = run("check_data.py", "--DEAL_SPLITS", "True").stdout
    assert "12 training and 3 validation clips of 5 speakers" in printed
    wanted = "annotations.csv has labels of warmth (from 1 to 3), honesty_humility (from 2000000 to 2000002), interview"
    assert f"{wanted} (not for all: 10 of 15); TARGETS and SCALE of steps 3 and 4" in printed
    ok(run("Video_to_Image.py", "--FRAMES_PER_CLIP", 1))
    refused(run("Write_Into_TFRecords.py"), "annotations.csv has no column for extraversion, neuroticism")
    write_six("Annotations/annotation_training.pkl", ["a_0"])
    Path("Annotations/annotations.csv").unlink()
    assert (
        "training.pkl has labels of extraversion, neuroticism, agreeableness, conscientiousness, openness, interview\n"
        in (run("check_data.py").stdout)
    )


def test_a_table_of_all_splits_is_named_once_where_a_clip_is_removed(folder):
    write_table(["a.mp4,train,anna,1,2,3,4", "b.mp4,val,ben,1,2,3,4"])
    make_clip("data/a.mp4", [30, 60])
    printed = ok(run("remove_clips.py", "anna"))
    assert printed.count("Annotations/annotations.csv still has the labels of a\n") == 1


# Records


@pytest.fixture
def frames(folder):
    """Step 1 over three clips of two splits that have labels of six targets: the labels, {clip: [6]}."""
    Path("data").mkdir()
    labels = write_six("Annotations/annotation_training.pkl", ["a.000", "b.000"])
    labels |= write_six("Annotations/annotation_validation.pkl", ["c.000"])
    for clip in labels:
        make_clip(f"data/{clip}.mp4", [30, 60], sound=400)
    ok(run("Video_to_Image.py", "--FRAMES_PER_CLIP", 2))
    ok(run("vid_to_wav.py"))
    return labels


def test_records_say_what_they_are_of_and_those_of_the_five_as_ever(frames):
    ok(run("Write_Into_TFRecords.py"))
    before = {path: path.read_bytes() for path in Path().glob("*.tfrecords*")}
    table = json.loads(Path("train_full.tfrecords.json").read_text())
    assert list(table) == ["made_from", "stat", "checksum", "records", "shard", "labels"]
    assert record_reader.open_records("train_full.tfrecords", "train", "image").targets == FIVE

    # The five by name are the five, and nothing is written anew
    assert "records, were there" in ok(run("Write_Into_TFRecords.py", "--TARGETS", ",".join(TRAITS)))
    assert {path: path.read_bytes() for path in Path().glob("*.tfrecords*")} == before

    for step, name, kind in (("Write_Into_TFRecords", "", "image"), ("feat_extraction_from_wav", "_audio", "audio")):
        chosen = ("--TARGETS", "Interview, openness", "--SCALE=-1..1")
        printed = ok(run(f"{step}.py", *chosen))
        assert f"train{name}_full.tfrecords: {'4' if kind == 'image' else '2'} records of 2 clips" in printed
        assert "were there" in ok(run(f"{step}.py", *chosen))
        table = json.loads(Path(f"train{name}_full.tfrecords.json").read_text())
        assert table["targets"] == ["interview", "openness"] and table["scale"] == [-1, 1]
        records = record_reader.open_records(f"train{name}_full.tfrecords", "train", kind)
        assert records.targets == Targets(("interview", "openness"), -1.0, 1.0)
        names, labels = record_reader.read_names(records)
        for clip, label in zip(names, labels, strict=True):
            assert np.allclose(label, [(frames[clip][5] + 1) / 2, (frames[clip][4] + 1) / 2], atol=1e-7)
        # on another scale, or in another order, they are others, although the numbers in the files may be equal
        assert "were there" not in ok(run(f"{step}.py", "--TARGETS", "interview, openness"))
    ok(run("Write_Into_TFRecords.py"))
    assert all(Path(path).read_bytes() == content for path, content in before.items() if path.suffix == ".tfrecords")


def test_bad_targets_are_refused_by_the_steps_in_one_line(frames):
    refused(
        run("Write_Into_TFRecords.py", "--TARGETS", "warmth, interview"), "annotation_training.pkl has no labels for w"
    )
    refused(run("feat_extraction_from_wav.py", "--TARGETS", "interview, Interview"), "names interview twice")
    refused(run("Write_Into_TFRecords.py", "--SCALE", "7..1"), "SCALE = '7..1': must be two numbers")
    refused(
        run("Write_Into_TFRecords.py", "--SCALE", "0..0.01"),
        "a.000.mp4' have",
        "not a number from 0 to 0.01: ",
        "SCALE",
    )
    assert not list(Path().glob("*.tfrecords"))


def write_records(path, targets, labels):
    """Records of silence with these `labels`, {clip: [targets]}."""
    items = [record_writer.Example(clip, np.float32(label), Path(clip)) for clip, label in labels.items()]
    silence = bytes(4 * 79_534)
    record_writer.write(Path(path), "train", "audio", items, lambda paths: (silence for _ in paths), {}, targets)


def test_shards_of_different_targets_are_refused(folder):
    write_records("t.tfrecords-00000-of-00002", FOUR, {"a": [0, 0, 0, 1]})
    write_records("t.tfrecords-00001-of-00002", Targets(FOUR.names[::-1], 1.0, 7.0), {"b": [0, 0, 0, 1]})
    with pytest.raises(UserError, match="these shards are of different targets .warmth, .*, from 1 to 7; trust"):
        record_reader.open_records("t.tfrecords", "train", "audio")


def test_records_that_have_lost_their_table_of_contents_are_of_the_five_or_refused(folder):
    for path, targets in (("four", FOUR), ("five", FIVE)):
        write_records(path, targets, {"a": [0.5] * len(targets.names)})
        Path(f"{path}.json").unlink()
    assert record_reader.open_records("five", "train", "audio").targets == FIVE
    with pytest.raises(UserError, match="four has labels of 4 numbers, not of extraversion, .*: bring back four.json"):
        record_reader.open_records("four", "train", "audio")
    write_records("four", FOUR, {"a": [0.5] * 4})
    about = json.loads(Path("four.json").read_text())
    Path("four.json").write_text(json.dumps(about | {"targets": about["targets"][:3]}))
    with pytest.raises(UserError, match="four has labels of 4 numbers"):
        record_reader.open_records("four", "train", "audio")


def test_records_of_other_names_are_other_records(folder):
    found = set()
    for names in (FOUR.names, FOUR.names[::-1]):
        write_records("t", Targets(names), {"a": [0.5] * 4})
        found.add(record_reader.open_records("t", "train", "audio").fingerprint)
    assert len(found) == 2
