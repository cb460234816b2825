"""Two takes compared: what differs, and whether that is larger than the variation within one take."""

import numpy as np

from first_impression.evaluation.traits import SHOWN

# Two recordings of the same scene differ by up to this, since each starts at another moment and is encoded anew: 0.005
# was measured
RECORDING = 0.01


def compare(a, b, moves):
    """The differences between two answers, as docs/answers.md describes them, and the variation within the takes.

    {trait: {"a", "b", "difference", "within"}}: "difference" is b - a. `moves` are the variations within the two takes,
    each {trait: standard deviation} or None; "within" is the larger one, None where one is not known.
    """
    return {
        trait: {
            "a": a["fused"][trait],
            "b": b["fused"][trait],
            "difference": b["fused"][trait] - a["fused"][trait],
            "within": None if None in moves else max(deviations[trait] for deviations in moves),
        }
        for trait in SHOWN
    }


def course(answer):
    """The mean of the visual models for each frame: {trait: float64 [n]}."""
    models = list(answer["by_frame"]["models"].values())
    return {trait: np.mean([model[trait] for model in models], axis=0) if models else np.empty(0) for trait in SHOWN}


def in_words(difference, within):
    """A difference and what it is worth: "+0.031; variation within a take 0.050: no difference that ..".

    `within` is the standard deviation within a take, or None.
    """
    if within is None:
        return f"{difference:+.3f}; the variation within a take is not known"
    real = abs(difference) > max(within, RECORDING)
    verdict = "larger than the variation within one take" if real else "no difference that this model can see"
    return f"{difference:+.3f}; variation within a take {within:.3f}: {verdict}"


def loudness(answer):
    """The median level of a clip's sound, dB; None without sound."""
    levels = answer["loudness"]["decibels"]
    return float(np.median(levels)) if levels else None


def face_share(answer):
    """The share of the frames with a face, 0 to 1; None where none were looked for."""
    counts = answer["faces"]  # of frames with 0 faces, 1 face ..
    return 1 - counts[0] / sum(counts) if counts and sum(counts) else None
