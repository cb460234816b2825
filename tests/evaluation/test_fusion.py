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


TWO = {"a": "dan", "b": "audio"}


def test_one_run_of_each_model_is_fused(capsys):
    assert list(fusion.weights_of(TWO)) == ["a", "b"]
    assert fusion.weights_of({"a": "dan"}) == {}
    assert not capsys.readouterr().out


def test_several_runs_of_one_model_are_not_fused_by_accident(capsys):
    runs = {"dan_1": "dan", "audio": "audio", "dan_2": "dan"}
    assert fusion.weights_of(runs) == {}
    printed = capsys.readouterr().out
    assert "dan_1, dan_2" in printed and "--FUSE dan_1,audio" in printed
    assert fusion.weights_of({"dan_1": "dan", "dan_2": "dan"}) == {}
    assert list(fusion.weights_of(runs, "dan_2, audio")) == ["dan_2", "audio"]


@pytest.mark.parametrize("named", ["a,x", "a,a", "a"])
def test_unknown_repeated_or_single_runs_to_fuse_are_refused(named):
    with pytest.raises(UserError, match="FUSE"):
        fusion.weights_of(TWO, named)


def test_weights_belong_to_the_models_in_their_order():
    assert fusion.weights_of(TWO, "b,a") == {"b": 1.0, "a": 1.0}
    assert fusion.weights_of(TWO, "b,a", "3,0") == {"b": 3.0, "a": 0.0}
    for wrong in ("1", "1,x", "-1,2", "0,0", "nan,1", "inf,1", "1,1,1"):
        with pytest.raises(UserError, match="FUSION_WEIGHTS"):
            fusion.weights_of(TWO, "", wrong)
    with pytest.raises(UserError, match="nothing to fuse"):
        fusion.weights_of({"a": "dan"}, "", "1")


def test_a_run_named_as_the_fusion_is_refused():
    with pytest.raises(UserError, match="reserved for the fusion"):
        fusion.weights_of({"fusion": "dan"})
