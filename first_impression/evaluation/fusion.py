"""Late fusion: which models are fused, and the weighted mean of their answers to a clip."""

from dataclasses import replace

import numpy as np

from first_impression.common.errors import UserError
from first_impression.data.targets import shared_names
from first_impression.evaluation.display import in_words, shown

NAME = "fusion"  # of the fused answers, among the names of the models


def weights_of(models, named="", weights=""):
    """{name of a model to fuse: its weight}; empty where there is nothing to fuse. `models` is {name: its MODEL}.

    Fused are those that the text `named` names, with commas between; else all, if no two are of one MODEL. Two that
    are, with other seeds or rates, are there to be compared: it is printed that there is no fusion then.
    `weights` has a number for each, with commas between; "": all weigh the same.
    Raises `UserError` where one of the texts does not fit the models, and for a model with the name of the fusion.
    """
    if NAME in models:
        raise UserError(f"{NAME}: this name is reserved for the fusion; give the run another name")
    members = _members_of(models, named)
    if not weights:
        return dict.fromkeys(members, 1.0)
    try:
        numbers = [float(part) for part in weights.split(",")]
    except ValueError:
        raise UserError(f"FUSION_WEIGHTS = {weights!r}: give numbers with commas between") from None
    if not members:
        raise UserError(f"FUSION_WEIGHTS = {weights!r}: there is nothing to fuse")
    if len(numbers) != len(members) or not all(0 <= number < np.inf for number in numbers) or not sum(numbers):
        raise UserError(f"FUSION_WEIGHTS = {weights!r}: give one weight, 0 or more, for each of {', '.join(members)}")
    return dict(zip(members, numbers, strict=True))


def _members_of(models, named):
    if named:
        members = [name.strip() for name in named.split(",")]
        if unknown := [name for name in members if name not in models]:
            raise UserError(f"FUSE names {', '.join(unknown)}, but scored here are {', '.join(models)}")
        if len(set(members)) < max(2, len(members)):
            raise UserError(f"FUSE = {named!r}: name two or more, each once")
        return members
    first = {}
    for name, model in models.items():
        first.setdefault(model, name)
    if len(first) < len(models):
        several = [name for name, model in models.items() if list(models.values()).count(model) > 1]
        advice = f"name those to fuse, as --FUSE {','.join(first.values())}" if len(first) > 1 else "FUSE can name them"
        print(f"no fusion: several runs are of one MODEL, {', '.join(several)}; {advice}")
        return []
    return list(models) if len(models) > 1 else []


def fuse(predictions, weights):
    """The weighted mean of several models' `predictions`, each {clip: [k]}, with a weight each: {clip: float64 [k]}.

    A clip that a model does not know (one without sound, say) is the mean of the others.
    """
    known = {}
    for answers, weight in zip(predictions, weights, strict=True):
        for clip, values in answers.items():
            rows, parts = known.setdefault(clip, ([], []))
            rows.append(values)
            parts.append(weight)
    return {clip: np.average(rows, axis=0, weights=parts) for clip, (rows, parts) in known.items() if sum(parts) > 0}


def shared_targets(of_models):
    """The targets that all models have, in the order of the first one's: `Targets`. `of_models` is {name: `Targets`}.

    Where some have more, it is printed what is left out of what the models do together. Raises `UserError` where they
    share none, and where their labels were given on different scales.
    """
    first = next(iter(of_models.values()))
    together = f"{', '.join(of_models)} cannot be fused or compared"
    if len({targets.ends_in_words for targets in of_models.values()}) > 1:
        scales = ", ".join(f"those of {name} from {targets.ends_in_words}" for name, targets in of_models.items())
        raise UserError(f"{together}, since their labels are on different scales ({scales}): take them one by one")
    names = shared_names(list(of_models.values()))
    if not names:
        answers = "; ".join(f"{name} answers {_listed(targets.names)}" for name, targets in of_models.items())
        raise UserError(f"{together}, since they share no target ({answers}): take them one by one")
    more = {name: [one for one in targets.names if one not in names] for name, targets in of_models.items()}
    if left_out := [f"{_listed(others)} (of {name})" for name, others in more.items() if others]:
        print(f"together: {_listed(names)}, which all of {', '.join(of_models)} have; without {', '.join(left_out)}")
    return replace(first, names=names)


def _listed(names):
    return ", ".join(map(in_words, shown(names)))
