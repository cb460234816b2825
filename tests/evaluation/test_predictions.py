"""ChaLearn's CSV format: what is written, what is read, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from first_impression.common.errors import UserError
from first_impression.evaluation import predictions

HEADER = "VideoName,ValueExtraversion,ValueAgreeableness,ValueConscientiousness,ValueNeurotisicm,ValueOpenness"


def test_csv_has_chalearns_order_and_spelling():
    predictions.write_csv("p.csv", {"-x.000": [0.1, 0.2, 0.3, 0.4, 0.5]})  # E N A C O
    assert Path("p.csv").read_text().splitlines()[0] == HEADER
    assert Path("p.csv").read_text().splitlines()[1].split(",")[0] == "-x.000.mp4"
    assert [float(v) for v in Path("p.csv").read_text().splitlines()[1].split(",")[1:]] == [0.1, 0.3, 0.4, 0.2, 0.5]
    found, doubled = predictions.read_csv("p.csv")
    assert list(found) == ["-x.000"] and np.allclose(found["-x.000"], [0.1, 0.2, 0.3, 0.4, 0.5]) and not doubled


def test_names_with_commas_quotes_and_other_letters_come_back():
    clips = {name: np.full(5, 0.5) for name in ("a,b.000", 'the "q".001', "ünïcode.002", "nan", "007")}
    predictions.write_csv("p.csv", clips)
    assert list(predictions.read_csv("p.csv")[0]) == list(clips)


def test_csv_columns_are_found_by_name_in_any_order_and_either_spelling():
    for header in (
        "ValueOpenness,VideoName,ValueNeuroticism,ValueAgreeableness,extra,ValueExtraversion,ValueConscientiousness",
        "openness, videoname ,NEUROTICISM,agreeableness,x,extraversion,conscientiousness",
        "\ufeffValueOpenness,VideoName,ValueNeurotisicm,ValueAgreeableness,extra,ValueExtraversion,ValueConscientiousness",
    ):
        Path("p.csv").write_text(f"{header}\n0.5,a.mp4,0.2,0.3,9,0.1,0.4\n\n1,b,0,0,0,0,0\n")
        found, _ = predictions.read_csv("p.csv")
        assert found["a"].tolist() == [0.1, 0.2, 0.3, 0.4, 0.5] and found["b"].tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "VideoName,ValueOpenness\na,1\n",
            "no column for extraversion, neuroticism, agreeableness, conscientiousness:",
        ),
        (HEADER.replace("VideoName", "Clip") + "\na,1,1,1,1,1\n", "no column for VideoName"),
        (
            HEADER + ",neuroticism\na.mp4,0,0,0,0,0,1\n",
            "several columns for neuroticism, ValueNeurotisicm and neuroticism",
        ),
        (HEADER + ", Openness ,valueopenness\na.mp4,0,0,0,0,0,1,1\n", "several columns for openness"),
        (HEADER + ",VideoName\na.mp4,0,0,0,0,0,b\n", "several columns for VideoName"),
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
        predictions.read_csv("p.csv")
    assert words in str(refusal.value) and "p.csv" in str(refusal.value) and "\n" not in str(refusal.value)


def test_the_first_of_doubled_rows_counts():
    Path("p.csv").write_text(f"{HEADER}\na.mp4,0,0,0,0,0\nb,0,0,0,0,0\na,1,1,1,1,1\n")
    found, doubled = predictions.read_csv("p.csv")
    assert list(found) == ["a", "b"] and (found["a"] == 0).all() and doubled == ["a"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_not_written(value):
    with pytest.raises(UserError, match="p.csv: not written, since the values of b are not finite"):
        predictions.write_csv("p.csv", {"a": np.full(5, 0.5), "b": np.array([0.5, value, 0.5, 0.5, 0.5])})
    assert not Path("p.csv").exists()


def test_sources_come_from_a_column_of_their_own():
    Path("a.csv").write_text(f"{HEADER},Speaker\na.mp4,0,0,0,0,0,Anna\nb,0,0,0,0,0,Bert\nb,0,0,0,0,0,Bert\n")
    assert predictions.read_sources("a.csv") == {"a": "Anna", "b": "Bert"}
    Path("b.csv").write_text("source,VideoName\nx,a.mp4\n")
    assert predictions.read_sources(Path("b.csv")) == {"a": "x"}
    Path("c.csv").write_text(f"{HEADER}\na.mp4,0,0,0,0,0\n")
    assert predictions.read_sources("c.csv") == {} and predictions.read_sources("annotation.pkl") == {}
    for row in ("b,", "a.mp4,y"):
        Path("d.csv").write_text(f"VideoName,speaker\na.mp4,x\n{row}\n")
        with pytest.raises(UserError, match="d.csv, row 3: '.' needs one speaker"):
            predictions.read_sources("d.csv")
