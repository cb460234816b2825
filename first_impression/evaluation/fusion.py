"""Late fusion: several models' answers to a clip averaged, and which of them."""

import numpy as np

from first_impression.common.errors import UserError

NAME = "fusion"  # under which the fused answers stand beside the models'


def members_of(models, named=""):
    """Which of `models`, {name: its MODEL}, to fuse: a list of names, empty where there is nothing to fuse.

    Those that `named` names, with commas between; else all of them, if no two are of one MODEL. Two that are, runs
    with other seeds or rates, are there to be compared: that there is no fusion then is told.
    Raises `UserError` where `named` names one that is not there, one twice, or one alone.
    """
    if named:
        wanted = [name.strip() for name in named.split(",")]
        unknown = [name for name in wanted if name not in models]
        if unknown:
            raise UserError(f"FUSE names {', '.join(unknown)}, but scored here are {', '.join(models)}")
        if len(set(wanted)) < max(2, len(wanted)):
            raise UserError(f"FUSE = {named!r}: name two or more, each once")
        return wanted
    first = {}
    for name, model in models.items():
        first.setdefault(model, name)
    if len(first) < len(models):
        several = [name for name, model in models.items() if list(models.values()).count(model) > 1]
        advice = f"name those to fuse, as --FUSE {','.join(first.values())}" if len(first) > 1 else "FUSE can name them"
        print(f"no fusion: of one MODEL there are several, {', '.join(several)}; {advice}")
        return []
    return list(models) if len(models) > 1 else []


def weights_of(text, members):
    """{name: weight} of the models to fuse, from the text FUSION_WEIGHTS: numbers with commas between; "": all equal.

    Raises `UserError` where they are not one number, 0 or more, for each.
    """
    if not text:
        return dict.fromkeys(members, 1.0)
    try:
        weights = [float(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"FUSION_WEIGHTS = {text!r}: numbers with commas between were expected") from None
    if not members:
        raise UserError(f"FUSION_WEIGHTS = {text!r}: there is nothing to fuse")
    if len(weights) != len(members) or not all(0 <= weight < np.inf for weight in weights) or not sum(weights):
        raise UserError(f"FUSION_WEIGHTS = {text!r}: one weight, 0 or more, is needed for each of {', '.join(members)}")
    return dict(zip(members, weights, strict=True))


def fuse(predictions, weights):
    """The weighted mean of several models' answers, for every clip that any of them knows.

    `predictions`: one {clip: [5]} per model, `weights`: one number each. A clip that a model does not know (one
    without sound, say) is the mean of the others.
    """
    known = {}
    for of_model, weight in zip(predictions, weights, strict=True):
        for clip, values in of_model.items():
            known.setdefault(clip, []).append((weight, values))
    fused = {}
    for clip, answers in known.items():
        parts, values = zip(*answers, strict=True)
        if sum(parts) > 0:
            fused[clip] = np.average(values, axis=0, weights=parts)
    return fused
