"""Take A beside take B: what differs, and whether that is more than a take differs from itself."""

import numpy as np

from first_impression.evaluation.traits import SHOWN


def compare(a, b):
    """What differs between two clips as docs/answers.md describes them: {trait: {"a", "b", "difference", "within"}}.

    "difference" is b - a. "within" is how much the trait moves within a take, the larger of the two; None where
    nothing tells.
    """
    within = [movement(clip) for clip in (a, b)]
    return {
        trait: {
            "a": a["fused"][trait],
            "b": b["fused"][trait],
            "difference": b["fused"][trait] - a["fused"][trait],
            "within": None if None in within else max(each[trait] for each in within),
        }
        for trait in SHOWN
    }


def movement(clip):
    """How much each trait moves within a clip, {trait: standard deviation}; None where there is a single answer.

    Over the windows, or where there is one window, over the frames: the mean of the visual models.
    """
    if clip["spread"]:
        return clip["spread"]
    lines = course(clip)
    return {trait: float(np.std(lines[trait])) for trait in SHOWN} if len(clip["by_frame"]["times"]) > 1 else None


def course(clip):
    """The mean of the visual models over the frames: {trait: float64 [n]}."""
    answers = list(clip["by_frame"]["models"].values())
    return {trait: np.mean([each[trait] for each in answers], axis=0) if answers else np.empty(0) for trait in SHOWN}


def in_words(difference, within):
    """Whether a difference is one: "+0.031; within each take it moves by 0.050: no difference that .."."""
    if within is None:
        return f"{difference:+.3f}; how much it moves within a take is not known"
    verdict = "no difference that this model can see" if abs(difference) <= within else "more than a take alone moves"
    return f"{difference:+.3f}; within each take it moves by {within:.3f}: {verdict}"


def loudness(clip):
    """The median level of a clip's sound, dB; None without sound."""
    levels = clip["loudness"]["decibels"]
    return float(np.median(levels)) if levels else None


def face_share(clip):
    """The share of the frames with a face, 0 to 1; None where nobody has looked."""
    return 1 - clip["faces"][0] / sum(clip["faces"]) if clip["faces"] and sum(clip["faces"]) else None
