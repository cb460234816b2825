"""Take A beside take B: what differs, and whether that is more than a take differs from itself."""

import numpy as np

from first_impression.evaluation.traits import SHOWN

# What two recordings of one and the same scene can differ by, since they begin at another moment and are coded anew:
# 0.005 was measured
RECORDING = 0.01


def compare(a, b, moves):
    """What differs between two clips as docs/answers.md describes them: {trait: {"a", "b", "difference", "within"}}.

    "difference" is b - a. `moves` is how much each of the two moves within itself, {trait: standard deviation} or None;
    "within" is the larger one, None where one is not known.
    """
    return {
        trait: {
            "a": a["fused"][trait],
            "b": b["fused"][trait],
            "difference": b["fused"][trait] - a["fused"][trait],
            "within": None if None in moves else max(each[trait] for each in moves),
        }
        for trait in SHOWN
    }


def course(clip):
    """The mean of the visual models over the frames: {trait: float64 [n]}."""
    answers = list(clip["by_frame"]["models"].values())
    return {trait: np.mean([each[trait] for each in answers], axis=0) if answers else np.empty(0) for trait in SHOWN}


def in_words(difference, within):
    """Whether a difference is one: "+0.031; within each take it moves by 0.050: no difference that .."."""
    if within is None:
        return f"{difference:+.3f}; how much it moves within a take is not known"
    seen = abs(difference) > max(within, RECORDING)
    verdict = "more than a take moves by itself" if seen else "no difference that this model can see"
    return f"{difference:+.3f}; within each take it moves by {within:.3f}: {verdict}"


def loudness(clip):
    """The median level of a clip's sound, dB; None without sound."""
    levels = clip["loudness"]["decibels"]
    return float(np.median(levels)) if levels else None


def face_share(clip):
    """The share of the frames with a face, 0 to 1; None where nobody has looked."""
    return 1 - clip["faces"][0] / sum(clip["faces"]) if clip["faces"] and sum(clip["faces"]) else None
