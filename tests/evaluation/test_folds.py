"""Folds: every clip in one, no source in two."""

import numpy as np
import pytest

from first_impression.common.errors import UserError
from first_impression.evaluation import folds


@pytest.mark.parametrize("seed", range(5))
def test_folds_share_no_source_and_have_every_clip_once(seed):
    clips = [f"{source}.{part:03d}" for source in range(23) for part in range(1 + source % 6)]
    fold_of = folds.deal(clips, 7, seed=seed)
    assert sorted(fold_of) == sorted(clips) and set(fold_of.values()) == set(range(7))
    for source in range(23):
        assert len({fold for clip, fold in fold_of.items() if clip.split(".")[0] == str(source)}) == 1
    lengths = np.bincount(list(fold_of.values()))
    assert lengths.max() - lengths.min() <= 6  # no more than the longest source


def test_sources_from_a_column_outrank_names_and_the_order_of_clips_does_not_matter():
    clips = [f"video.{number:03d}" for number in range(12)]  # one source by their names
    speakers = {clip: "ann" if number % 2 else f"other {number}" for number, clip in enumerate(clips)}
    fold_of = folds.deal(clips, 3, speakers)
    assert len({fold_of[clip] for clip, speaker in speakers.items() if speaker == "ann"}) == 1
    assert folds.deal(clips[::-1], 3, speakers) == fold_of
    with pytest.raises(UserError, match="1 sources cannot be dealt to 3 folds"):
        folds.deal(clips, 3)


def test_what_a_FOLD_may_be():
    for value in ("", "3/10", "10/10", "all/10", "1/2"):
        assert folds.rule(value) is None
    for value in ("3", "0/10", "11/10", "1/1", "all/1", "all", "3/0", "a/10", 3):
        assert folds.rule(value)
    assert folds.named("3/10") == ["3/10"] and folds.named("all/3") == ["1/3", "2/3", "3/3"] and folds.named("") == [""]
