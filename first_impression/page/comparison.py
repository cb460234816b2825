"""Two takes compared: what differs, and whether that is larger than the variation within one take."""

import numpy as np

from first_impression.evaluation.display import names_in

# Two recordings of the same scene differ by up to this, since each starts at another moment and is encoded anew: 0.005
# was measured
RECORDING = 0.01


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


def in_words(difference, within):
    """A difference and what it is worth: "+0.031; variation within a take 0.050: no difference that ..".

    `within` is the standard deviation within a take, or None.
    """
    if within is None:
        return f"{difference:+.3f}; the variation within a take is not known"
    real = abs(difference) > max(within, RECORDING)
    verdict = "larger than the variation within one take" if real else "no difference that this model can see"
    return f"{difference:+.3f}; variation within a take {within:.3f}: {verdict}"
