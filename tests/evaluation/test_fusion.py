"""Which models are fused, and how."""

import numpy as np
import pytest

from first_impression.common.errors import UserError
from first_impression.evaluation import fusion


def test_fusion_is_the_weighted_mean_of_the_models_that_know_the_clip():
    first, second = {"x": np.zeros(5), "y": np.full(5, 0.6)}, {"x": np.ones(5), "z": np.full(5, 0.1)}
    fused = fusion.fuse([first, second], [1, 1])
    assert {clip: values[0] for clip, values in fused.items()} == {"x": 0.5, "y": 0.6, "z": 0.1}
    fused = fusion.fuse([first, second], [3, 1])
    assert {clip: values[0] for clip, values in fused.items()} == {"x": 0.25, "y": 0.6, "z": 0.1}
    assert set(fusion.fuse([first, second], [1, 0])) == {"x", "y"}


def test_one_run_of_each_model_is_fused(capsys):
    assert fusion.members_of({"a": "dan", "b": "audio"}) == ["a", "b"]
    assert fusion.members_of({"a": "dan"}) == []
    assert not capsys.readouterr().out


def test_several_runs_of_one_model_are_not_fused_by_accident(capsys):
    runs = {"dan_1": "dan", "audio": "audio", "dan_2": "dan"}
    assert fusion.members_of(runs) == []
    told = capsys.readouterr().out
    assert "dan_1, dan_2" in told and "--FUSE dan_1,audio" in told
    assert fusion.members_of({"dan_1": "dan", "dan_2": "dan"}) == []
    assert fusion.members_of(runs, "dan_2, audio") == ["dan_2", "audio"]


@pytest.mark.parametrize(
    ("named", "words"),
    [("a,x", "names x, but scored here are a, b"), ("a,a", "two or more, each once"), ("a", "two or")],
)
def test_runs_to_fuse_that_are_not_there_or_alone_are_refused(named, words):
    with pytest.raises(UserError, match=words):
        fusion.members_of({"a": "dan", "b": "audio"}, named)


def test_weights_belong_to_the_models_in_their_order():
    assert fusion.weights_of("", ["b", "a"]) == {"b": 1.0, "a": 1.0}
    assert fusion.weights_of("3,0", ["b", "a"]) == {"b": 3.0, "a": 0.0}
    for wrong in ("1", "1,x", "-1,2", "0,0", "nan,1", "inf,1", "1,1,1"):
        with pytest.raises(UserError, match="FUSION_WEIGHTS"):
            fusion.weights_of(wrong, ["b", "a"])
    with pytest.raises(UserError, match="nothing to fuse"):
        fusion.weights_of("1", [])
