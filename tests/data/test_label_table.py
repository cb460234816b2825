"""CSV files with five traits per clip: what is read, and what is refused."""

import unicodedata
from pathlib import Path

import pytest
from conftest import ok, refused, run

from first_impression.common.errors import UserError
from first_impression.data import annotations, label_table

HEADER = "VideoName,ValueExtraversion,ValueAgreeableness,ValueConscientiousness,ValueNeurotisicm,ValueOpenness"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "VideoName,ValueOpenness\na,1\n",
            "no column for extraversion, neuroticism, agreeableness, conscientiousness:",
        ),
        (HEADER.replace("VideoName", "Who") + "\na,1,1,1,1,1\n", "no column for clip"),
        (
            HEADER + ",neuroticism\na.mp4,0,0,0,0,0,1\n",
            "several columns for neuroticism, ValueNeurotisicm and neuroticism",
        ),
        (HEADER + ", Openness ,valueopenness\na.mp4,0,0,0,0,0,1,1\n", "several columns for openness"),
        (HEADER + ",VideoName\na.mp4,0,0,0,0,0,b\n", "several columns for clip"),
        (
            HEADER + "\na.mp4,0.5,0.5,high,0.5,0.5\n",
            "row 2, conscientiousness of 'a': 'high' is not a number from 0 to 1",
        ),
        (HEADER + "\na.mp4,0.5,0.5,nan,0.5,0.5\n", "row 2, conscientiousness of 'a': 'nan'"),
        (HEADER + "\na.mp4,0.5,0.5,0.5,-inf,0.5\n", "row 2, neuroticism of 'a': '-inf'"),
        (HEADER + "\nb,0,0,0,0,0\n\na.mp4,0.5,0.5,0.5,0.5,\n", "row 4, openness of 'a': ''"),
        (HEADER + "\nb,0,0,0,0,0\na,1,1,1,1,1.001\n", "row 3, openness of 'a': '1.001' is not a number from 0 to 1"),
        (HEADER + "\na,50,60,70,80,90\n", "row 2, extraversion of 'a': '50'"),
        (HEADER + "\na,0,0,0,-0.01,0\n", "row 2, neuroticism of 'a': '-0.01'"),
        (HEADER + "\na.mp4,0.5,0.5\n", "row 2: 3 cells under 6 columns"),
        (HEADER + "\na.mp4,0,5,0,5,0,5,0,5,0,5\n", "row 2: 11 cells under 6 columns. Decimals take a point"),
        (HEADER + '\na.mp4,"0,5","0,5","0,5","0,5","0,5"\n', "row 2, extraversion of 'a': '0,5'"),
        ("", "not a readable CSV file: it is empty"),
        ("\0\xff\0" * 100, "p.csv is not a readable CSV file"),
    ],
)
def test_unfit_csv_files_are_named_in_one_line(content, words):
    Path("p.csv").write_bytes(content.encode("latin1"))
    with pytest.raises(UserError) as refusal:
        label_table.read("p.csv")
    assert words in str(refusal.value) and "p.csv" in str(refusal.value) and "\n" not in str(refusal.value)


def table_of(text):
    Path("t.csv").write_text(text, encoding="utf-8")
    return label_table.read("t.csv")


@pytest.mark.parametrize(
    "header",
    [
        "VideoName,ValueExtraversion,ValueNeurotisicm,ValueAgreeableness,ValueConscientiousness,ValueOpenness",
        "clip,extraversion,emotional_stability,agreeableness,conscientiousness,openness",
        " File Name ,EXTRAVERSION,Emotional Stability,Agreeableness,conscientiousness,Openness to Experience",
        "\ufeffvideo,Extraversion,emotionalStability,agreeableness,Conscientiousness,openness",
    ],
)
def test_columns_are_found_by_name_in_any_case(header):
    table = table_of(f"{header}\na.000.mp4,0.1,0.2,0.3,0.4,0.5\n")
    assert table.values.keys() == {"a.000"}
    assert table.values["a.000"].tolist() == [0.1, 0.2, 0.3, 0.4, 0.5]  # in the order of TRAITS
    columns = header.split(",")
    shuffled = table_of(",".join(["age", *columns[::-1]]) + "\n33,0.5,0.4,0.3,0.2,0.1,a.000.mp4\n")
    assert shuffled.values["a.000"].tolist() == table.values["a.000"].tolist()


def test_how_a_neuroticism_column_of_answers_is_read_is_printed(dataset):
    rows = "val.000,0.1,0.2,0.3,0.4,0.5\nval.001,0.1,0.2,0.3,0.4,0.5\n"
    Path("a.csv").write_text(f"clip,extraversion,neuroticism,agreeableness,conscientiousness,openness\n{rows}")
    printed = ok(run("evaluate.py", "--PREDICTIONS", "a.csv"))
    assert "a.csv: the column neuroticism is read as in ChaLearn's files" in printed


def test_how_a_neuroticism_column_is_read_is_printed_once(folder, capsys):
    annotation = folder / "labels.csv"
    header = "clip,extraversion,{},agreeableness,conscientiousness,openness\nann.mov,0,1,0,0,0\n"
    annotation.write_text(header.format("Neuroticism"))
    assert annotations.read_annotation(annotation)["ann"].tolist() == [0, 1, 0, 0, 0]
    printed = capsys.readouterr().out
    assert "labels.csv: the column Neuroticism is read as in ChaLearn's files" in printed
    assert "emotional_stability" in printed
    annotations.read_annotation(annotation)
    assert capsys.readouterr().out == ""
    annotation.write_text(header.format("emotional_stability"))
    assert annotations.read_annotation(annotation)["ann"].tolist() == [0, 1, 0, 0, 0]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        ("1,4.5,7,3,2", "Ratings from 1 to 7 become (x - 1) / 6"),
        ("1,4.5,5,3,2", "Ratings from 1 to 5 become (x - 1) / 4"),
        ("0,45,99,3,2", "Ratings from 0 to 100 become x / 100"),
        ("0,9.5,1,3,2", "Ratings from 0 to 10 become x / 10"),
    ],
)
def test_ratings_on_other_scales_are_refused_with_the_way_to_scale_them(values, advice):
    with pytest.raises(UserError) as refusal:
        table_of(f"{HEADER}\na,{values}\n")
    assert "row 2, " in str(refusal.value) and f". {advice}; for labels, steps 3 and 4 do" in str(refusal.value)


def test_no_scale_is_made_up():
    with pytest.raises(UserError, match="is not a number from 0 to 1$"):
        table_of(f"{HEADER}\na,-3,200,1,1,1\n")


def test_splits_and_speakers_have_columns():
    rows = "a.mp4,0,0,0,0,0,Train,Anna\nb,1,1,1,1,1,dev,Bert\nc,0,0,0,0,0,TEST,Anna\n"
    table = table_of(f"{HEADER},Set,Speaker\n{rows}")
    assert table.splits == {"a": "training", "b": "validation", "c": "test"}
    assert table.sources == annotations.read_sources("t.csv") == {"a": "Anna", "b": "Bert", "c": "Anna"}
    assert annotations.read_annotation("t.csv", "validation").keys() == {"b"}
    assert annotations.read_annotation("t.csv").keys() == {"a", "b", "c"}
    assert annotations.read_sources("annotation.pkl") == {}
    with pytest.raises(UserError, match="row 3: 'b' needs one split, one of training .or train.*, not 'middle'"):
        table_of(f"{HEADER},split\na,0,0,0,0,0,val\nb,0,0,0,0,0,middle\n")
    for row in ("b,0,0,0,0,0,", "a.mp4,0,0,0,0,0,y"):
        with pytest.raises(UserError, match="t.csv, row 3: '.' needs one source"):
            table_of(f"{HEADER},source\na.mp4,0,0,0,0,0,x\n{row}\n")


def test_the_rows_of_several_raters_are_averaged_with_a_line(folder, capsys):
    Path("a.csv").write_text(f"{HEADER}\na.mp4,0,0.5,0,0,0\nb,0,0,0,0,0\na,1,0.25,1,1,0.5\n")
    labels = annotations.read_annotation("a.csv")
    assert labels["a"].tolist() == [0.5, 0.5, 0.375, 0.5, 0.25] and labels["b"].tolist() == [0] * 5
    assert "a.csv: several rows for 1 clip, which are averaged: a\n" in capsys.readouterr().out
    table = label_table.read("a.csv")
    assert table.doubled == ["a"] and table.values["a"].tolist() == [0, 0, 0.5, 0, 0]


def test_one_file_for_all_splits_needs_the_splits(dataset):
    for old in Path("Annotations").iterdir():
        old.unlink()
    Path("Annotations/annotations.csv").write_text(f"{HEADER}\nplain.000.mp4,0,0,0,0,0\n")
    refused(run("Video_to_Image.py"), "annotations.csv needs a column named split")


def test_two_files_with_the_labels_of_one_split_are_refused(dataset):
    Path("Annotations/annotation_training.csv").write_text(f"{HEADER}\nplain.000.mp4,0,0,0,0,0\n")
    refused(run("Video_to_Image.py"), "training.pkl and Annotations/annotation_training.csv both have labels")


def test_a_message_about_many_columns_is_short():
    with pytest.raises(UserError, match="several columns for clip") as refusal:
        table_of(",".join([HEADER, *["clip"] * 10_000]) + "\n")
    assert len(str(refusal.value)) < 300


ROWS = "a.mp4,0.125,0.25,0.5,0.75,1\nb,0,0,0,0,0\n"
A = [0.125, 0.75, 0.25, 0.5, 1]  # in the order of TRAITS


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("told", ["", "sep={}\r\n"])
def test_tables_are_read_as_spreadsheets_write_them(mark, encoding, told):
    text = f"{HEADER}\n,,,,,\n{ROWS} , ,,,,\n".replace(",", mark).replace("\n", "\r\n")
    Path("t.csv").write_bytes((told.format(mark) + text).encode(encoding))
    values = label_table.read("t.csv").values
    assert values.keys() == {"a", "b"} and values["a"].tolist() == A


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            f"{HEADER}\na,0.1,,0.1,0.1,0.1\n".encode(),
            "row 2, agreeableness of 'a': '' .*: give one, or take the row out",
        ),
        (f"{HEADER}\na,0,1,0,1,0,1\n".replace(",", ";").encode(), "row 2: 7 cells under 6 columns"),
        (
            f"{HEADER};\na;0,1;0,2;0,3;0,4;0,5;\n".replace(HEADER, HEADER.replace(",", ";")).encode(),
            "row 2, extraversion of 'a': '0,1' .*decimals take a point, not a comma",
        ),
        (
            f"{HEADER}\nmüller,0,0,0,0,0\n".encode("cp1252"),
            f"byte {len(HEADER) + 2} is not UTF-8; save the table as CSV UTF-8",
        ),
        (b"PK\3\4 and so on", "is a zip, or an Excel file: .*save the table as CSV UTF-8"),
        (b"\r\n<!DOCTYPE html><html>", "is a web page"),
    ],
)
def test_what_is_wrong_with_a_table_is_called_by_its_name(content, words):
    Path("t.csv").write_bytes(content)
    with pytest.raises(UserError, match=words):
        label_table.read("t.csv")


def test_the_name_counts_in_a_path_and_two_clips_of_one_name_are_told():
    rows = "videos/anna/a.mp4,0,0,0,0,0\nC:\\clips\\b.MOV,1,1,1,1,1\n./c,0,0,0,0,0\n"
    assert table_of(f"{HEADER}\n{rows}").values.keys() == {"a", "b", "c"}
    with pytest.raises(UserError, match="row 5: 'ben/a.mp4' and another of that name in 'videos/anna' are two clips"):
        table_of(f"{HEADER}\n{rows}ben/a.mp4,1,1,1,1,1\n")


def test_a_column_that_is_used_for_nothing_is_told(capsys):
    table_of(f"{HEADER},warmth,interview\na,0,0,0,0,0,0.7,0.5\n")
    assert "t.csv: columns that are used for nothing: warmth\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "header", ["sample_id,pred_O,pred_C,pred_E,pred_A,pred_N", "Path,Openness,C{},E{},A{},Non-Neuroticism"]
)
def test_the_columns_of_others_predictions_are_found(header):
    header = header.format("onscientiousness", "xtraversion", "greeableness")
    assert table_of(f"{header}\ntest/a.mp4,1,0.5,0.125,0.25,0.75\n").values["a"].tolist() == A


def test_a_scale_is_advised_only_where_most_values_need_it():
    for odd in ("6.1", "1.0000001"):
        with pytest.raises(UserError, match=f"row 3, openness of 'b': '{odd}' is not a number from 0 to 1$"):
            table_of(f"{HEADER}\na,0.4,0.5,0.6,0.4,0.5\nb,0.4,0.5,0.6,0.4,{odd}\n")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_are_compared_as_they_look(form):
    """An "é" is one character or two: tables mostly have one, and macOS two."""
    name = unicodedata.normalize(form, "rené.001")
    assert table_of(f"{HEADER}\n{name}.mp4,0,0,0,0,0\n").values.keys() == {"ren\u00e9.001"}


def test_clips_are_dealt_to_splits_by_speaker(folder):
    Path("Annotations").mkdir()
    path = Path("Annotations/annotations.csv")
    rows = [f"{speaker}_{n}.mp4,0.5,0.5,0.5,0.5,0.5,{speaker}" for speaker in "abcdefghij" for n in range(3)]
    before = "\n".join([f"{HEADER},speaker", *rows]) + "\n"
    path.write_text(before)
    words = "split, of training .or train., validation .or val, valid, dev., test: .*check_data.py --DEAL_SPLITS True"
    with pytest.raises(UserError, match=words):
        annotations.read_annotation(path, "training")
    printed = run("check_data.py", "--DEAL_SPLITS", "True").stdout
    assert "a column split, with 24 training and 6 validation clips of 10 speakers, none in both" in printed
    table = label_table.read(path)
    of_speakers = {speaker: {table.splits[f"{speaker}_{n}"] for n in range(3)} for speaker in "abcdefghij"}
    assert all(len(splits) == 1 for splits in of_speakers.values()) and table.values.keys() == table.splits.keys()
    assert Path("Annotations/annotations_without_splits.csv").read_text() == before
    refused(run("check_data.py", "--DEAL_SPLITS", "True"), "has a column for the split")


def test_a_table_of_very_many_columns_is_read(folder):
    """Its header is longer than the longest cell that csv takes."""
    more = [f"score_of_item_{number}" for number in range(20_000)]
    Path("wide.csv").write_text("\n".join([",".join([HEADER, *more]), "a.mp4,0.1,0.2,0.3,0.4,0.5" + ",1" * len(more)]))
    assert list(label_table.read("wide.csv").values) == ["a"]
