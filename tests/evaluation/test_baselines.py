"""What can be answered without a look."""

import numpy as np

from first_impression.evaluation import baselines

LABELS = {"-a.b.000": np.full(5, 0.2), "-a.b.001": np.full(5, 0.4), "c.000": np.full(5, 0.9)}


def test_baselines_look_at_names_alone():
    clips = ["-a.b.005", "c.003", "d.000", "-a.000"]
    assert np.allclose(baselines.constant_guess(clips, LABELS), 0.5)
    assert np.allclose(baselines.same_source_lookup(clips, LABELS)[:, 0], [0.3, 0.9, 0.5, 0.5])


def test_names_without_a_dot_do_not_share_a_source():
    labels = {"anna": np.full(5, 0.1), "bert": np.full(5, 0.5)}
    assert np.allclose(baselines.same_source_lookup(["carl"], labels), 0.3)


def test_speakers_of_ones_own_are_the_sources():
    labels = {"one": np.full(5, 0.1), "two": np.full(5, 0.5), "c.000": np.full(5, 0.9)}
    speakers = {"one": "Anna", "two": "Bert", "three": "Anna", "c.001": "Bert"}
    clips = ["three", "c.001", "four"]
    assert np.allclose(baselines.same_source_lookup(clips, labels, speakers)[:, 0], [0.1, 0.5, 0.5])


def test_the_lookup_does_not_see_the_clips_own_label():
    answers = baselines.same_source_lookup(list(LABELS), LABELS)
    assert np.allclose(answers[:, 0], [0.4, 0.2, 0.3])  # c.000 has no other of its source: the mean of the others
    changed = {**LABELS, "-a.b.000": np.full(5, 0.8)}
    assert np.allclose(baselines.same_source_lookup(["-a.b.000"], changed), answers[0])
    assert np.isnan(baselines.same_source_lookup(["c.000"], {"c.000": np.full(5, 0.9)})).all()


def test_training_on_other_clips_or_labels_is_described():
    assert baselines.other_training(LABELS, LABELS) == ""
    rounded = {clip: np.round(np.float32(label), 8) for clip, label in LABELS.items()}
    assert baselines.other_training(rounded, LABELS) == ""
    words = baselines.other_training(
        {"-a.b.000": np.full(5, 0.3), "-a.b.001": LABELS["-a.b.001"], "x": LABELS["c.000"]}, LABELS
    )
    assert "without 1 clip of those behind the baselines (c.000)" in words
    assert "on 1 clip that the baselines do not know (x)" in words
    assert "other labels for 1 clip than those behind the baselines (-a.b.000)" in words
    assert "not known" in baselines.other_training({}, LABELS)
