"""Two takes compared: what differs, whether that is larger than the variation within one take, and what forbids it."""

import numpy as np

from first_impression.common.errors import counted
from first_impression.evaluation.display import names_in
from first_impression.inference.variation import scatter

ELSEWHERE = 0.15  # of the picture's width or height, by which faces lie apart that are clearly not at one place
LARGER = 3.0  # times the area of the other face: leaning forward does not do that


def models_of_both(a, b):
    """The names of the models that have answered both: with another model, a difference is not one of the takes."""
    return [name for name in a["models"] if name in b["models"]]


def compare(a, b, models, moves):
    """The differences between two answers, as docs/answers.md describes them, and the variation within the takes.

    {trait: {"a", "b", "difference", "within"}}: "a" and "b" are the means of these `models`, at least one, and
    "difference" is b - a. `moves` are the variations of these means within the two takes, each
    {trait: standard deviation} or None; "within" is the larger one, None where one is not known.
    """
    found = {}
    for trait in names_in(a["models"][models[0]]):
        first, second = (float(np.mean([answer["models"][name][trait] for name in models])) for answer in (a, b))
        within = None if None in moves else max(deviations[trait] for deviations in moves)
        found[trait] = {"a": first, "b": second, "difference": second - first, "within": within}
    return found


def course(answer, names=None):
    """The mean of the models, of all or those of these `names`, for each frame: {trait: float64 [n]}.

    A model that hears counts in each frame with its answer to the window, so that the mean over the frames of a window
    is the answer itself.
    """
    times, seen = np.array(answer["by_frame"]["times"]), answer["by_frame"]["models"]
    traits = names_in(next(iter(answer["models"].values())))
    names = answer["models"] if names is None else names
    if not seen.keys() & set(names):
        return {trait: np.empty(0) for trait in traits}
    return {
        trait: np.mean([seen[name][trait] if name in seen else _heard(answer, name, trait, times) for name in names], 0)
        for trait in traits
    }


def _heard(answer, name, trait, times):
    """A model's answers to the windows that the `times` lie in, float64 [n]; in one without, that to the clip."""
    values = np.full(len(times), answer["models"][name][trait])
    for window in answer["windows"]:
        if name in window["models"]:
            values[(window["start"] <= times) & (times < window["end"])] = window["models"][name][trait]
    return values


def in_words(found):
    """The difference of a trait, as of `compare`, and what it is worth: "+0.24, more than a take moves by itself ..".

    The numbers fit those of the two takes where all are rounded to two digits.
    """
    difference, least = round(found["b"], 2) - round(found["a"], 2), scatter(found["within"])
    if least is None:
        return f"{difference:+.2f}; how far a take moves by itself is not known"
    more = "more" if is_larger(difference, found["within"]) else "no more"
    return f"{difference:+z.2f}, {more} than a take moves by itself ({least:.2f})"


def is_larger(difference, within):
    """Whether a difference is larger than what a take moves by itself, where both are rounded as the page shows them.

    None where the variation `within` it is not known (None).
    """
    return None if within is None else round(abs(difference), 2) > round(scatter(within), 2)


def unlike(a, b):
    """Yield what speaks against comparing two answers, as text: faces clearly differ in number, place or size."""
    counts = [None if answer["faces"] is None else int(np.argmax(answer["faces"])) for answer in (a, b)]
    if None not in counts and counts[0] != counts[1]:
        yield f"most frames show {counts[0]} and {counted(counts[1], 'face')}: compare takes of one person alone"
    faces = [answer["measured"]["face"] for answer in (a, b)]
    if None in faces or any(face[key] is None for face in faces for key in ("x", "y", "size")):
        return
    moved = [abs(faces[1][axis] - faces[0][axis]) for axis in ("x", "y")]
    if max(moved) > ELSEWHERE:
        by = [f"{100 * share:.0f} % of the {side}" for share, side in zip(moved, ("width", "height"), strict=True)]
        yield f"the face lies elsewhere, by {' and '.join(by)}"
    small, large = sorted(face["size"] for face in faces)
    if large > LARGER * small:
        yield f"one face is {large / small:.1f} times as large as the other"
