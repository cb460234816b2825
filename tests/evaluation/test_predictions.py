"""ChaLearn's CSV format: what is written, what is read, and what is refused."""

import re
from pathlib import Path

import numpy as np
import pytest

from first_impression.common.errors import UserError
from first_impression.data import label_table
from first_impression.evaluation import predictions

HEADER = "VideoName,ValueExtraversion,ValueAgreeableness,ValueConscientiousness,ValueNeurotisicm,ValueOpenness"


def test_csv_has_chalearns_order_and_spelling():
    predictions.write_csv("p.csv", {"-x.000": [0.1, 0.2, 0.3, 0.4, 0.5]})  # E N A C O
    assert Path("p.csv").read_text().splitlines()[0] == HEADER
    assert Path("p.csv").read_text().splitlines()[1].split(",")[0] == "-x.000.mp4"
    assert [float(v) for v in Path("p.csv").read_text().splitlines()[1].split(",")[1:]] == [0.1, 0.3, 0.4, 0.2, 0.5]
    table = label_table.read("p.csv")
    assert list(table.values) == ["-x.000"] and not table.doubled
    assert np.allclose(table.values["-x.000"], [0.1, 0.2, 0.3, 0.4, 0.5])


def test_names_with_commas_quotes_and_other_letters_come_back():
    clips = {
        name: np.full(5, 0.5)
        for name in ("a,b.000", 'the "q".001', "ünïcode.002", "nan", "007", "=1+1", "'=1", "+a", "@b", "'c")
    }
    predictions.write_csv("p.csv", clips)
    assert list(label_table.read("p.csv").values) == list(clips)
    assert not re.search('^"?[=+@]', Path("p.csv").read_text(), re.M)  # no formulas for a spreadsheet


def test_csv_columns_are_found_by_name_in_any_order_and_either_spelling():
    for header in (
        "ValueOpenness,VideoName,ValueNeuroticism,ValueAgreeableness,extra,ValueExtraversion,ValueConscientiousness",
        "openness, videoname ,NEUROTICISM,agreeableness,x,extraversion,conscientiousness",
        "\ufeffValueOpenness,VideoName,ValueNeurotisicm,ValueAgreeableness,extra,ValueExtraversion,ValueConscientiousness",
    ):
        Path("p.csv").write_text(f"{header}\n0.5,a.mp4,0.2,0.3,9,0.1,0.4\n\n1,b,0,0,0,0,0\n")
        found = label_table.read("p.csv").values
        assert found["a"].tolist() == [0.1, 0.2, 0.3, 0.4, 0.5] and found["b"].tolist() == [0, 0, 0, 0, 1]


def test_the_first_of_doubled_rows_counts():
    Path("p.csv").write_text(f"{HEADER}\na.mp4,0,0,0,0,0\nb,0,0,0,0,0\na,1,1,1,1,1\n")
    table = label_table.read("p.csv")
    assert list(table.values) == ["a", "b"] and (table.values["a"] == 0).all() and table.doubled == ["a"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_not_written(value):
    with pytest.raises(UserError, match="not written, since the values of b are not finite"):
        predictions.write_csv("p.csv", {"a": np.full(5, 0.5), "b": np.array([0.5, value, 0.5, 0.5, 0.5])})
    assert not Path("p.csv").exists()
