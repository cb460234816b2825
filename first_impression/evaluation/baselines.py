"""Baselines, which ignore pictures and sound: they know the names of the clips and the training labels alone."""

import numpy as np

from first_impression.common.errors import counted, name_some
from first_impression.evaluation.metrics import sources_of

CONSTANT, LOOKUP = "constant guess", "same-source lookup"


def constant_guess(clips, training_labels):
    """Answer the mean training label for each of `clips`: float64 [clips, k]. `training_labels`: {clip: [k]}."""
    return np.tile(np.mean(list(training_labels.values()), axis=0, dtype=np.float64), (len(clips), 1))


def same_source_lookup(clips, training_labels, sources=None):
    """Answer the mean label of the other training clips of the same source, else of all others: float64 [clips, k].

    nan where there is no other. `sources` is {clip: source} for clips whose names do not give it.
    """
    clips_by_source = {}
    for clip, source in zip(training_labels, sources_of(training_labels, sources), strict=True):
        clips_by_source.setdefault(source, []).append(clip)
    answers = constant_guess(clips, training_labels)
    count, total = len(training_labels), np.sum(list(training_labels.values()), axis=0, dtype=np.float64)
    for row, (clip, source) in enumerate(zip(clips, sources_of(clips, sources), strict=True)):
        others = [training_labels[other] for other in clips_by_source.get(source, ()) if other != clip]
        if others:
            answers[row] = np.mean(others, axis=0, dtype=np.float64)
        elif clip in training_labels:
            answers[row] = (total - training_labels[clip]) / (count - 1) if count > 1 else np.nan
    return answers


def other_training(trained_on, training_labels):
    """How the training clips of a run differ from those that the baselines know, in words; "" where they do not.

    Both are {clip: [k]}; the first is empty where the run's are not known.
    """
    if not trained_on:
        return "which clips it was trained on is not known; the baselines may know others"
    missing, more = training_labels.keys() - trained_on, trained_on.keys() - training_labels
    shared = trained_on.keys() & training_labels.keys()
    relabelled = [clip for clip in shared if not np.allclose(trained_on[clip], training_labels[clip], atol=1e-6)]
    found = {
        "without {} of those behind the baselines": missing,
        "on {} that the baselines do not know": more,
        "with other labels for {} than those behind the baselines": relabelled,
    }
    found = {words.format(counted(len(clips), "clip")): name_some(clips) for words, clips in found.items() if clips}
    parts = [f"{words} ({names})" for words, names in found.items()]
    return f"it was trained {'; '.join(parts)}" if parts else ""
