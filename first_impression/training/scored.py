"""What evaluate.py has found of trained runs, and what of it speaks against them."""

import json

from first_impression.common.errors import counted, damage_as_user_error
from first_impression.evaluation import fusion
from first_impression.evaluation.comparison import ALL

NEARLY_CONSTANT = 0.1  # answers less spread than this share of the labels' standard deviation are nearly one answer


def scores_of(folder, runs):
    """What evaluate.py has found of these very models: {split: the dict of docs/scores.md}, with these models alone.

    `folder` is that of the runs. Scores of other files of the same names, as of an earlier training, are left out.
    Raises `UserError` for damaged scores.
    """
    found, wanted = {}, {run.name: set(run.md5s.values()) for run in runs}
    wanted[fusion.NAME] = set().union(*wanted.values())
    for path in sorted((folder / fusion.NAME).glob("scores_*.json")):
        with damage_as_user_error(f"{path} is damaged or not evaluate.py's", "run evaluate.py again, or delete it"):
            report = json.loads(path.read_text(encoding="utf-8"))
            for name, model in report["models"].items():
                if set(model["made_from"].values()) == wanted.get(name):
                    found.setdefault(report["split"], {**report, "models": {}})["models"][name] = model
    return found


def verdicts(name, scores):
    """What speaks against the run `name` in `scores`, as `scores_of` gives them: texts to put after "it"."""
    found = []
    for split, report in scores.items():
        if split == "training" or name not in report["models"]:  # of its own clips, scores say little
            continue
        model = report["models"][name]
        scored, spread = model["groups"][ALL], model.get("spread", {}).get("mean")
        if spread is not None and spread < NEARLY_CONSTANT:
            found.append(
                f"answers nearly the same to every clip: on {split} its answers vary {spread:.1%} as much as the labels"
            )
        if _beats_none(scored):
            found.append(f"beat no baseline when it was scored on {split} ({counted(scored['clips'], 'clip')})")
    return found


def _beats_none(scored):
    """Whether no baseline is beaten by a whole interval; not so where there are no baselines or intervals."""
    if scored["beats_baselines"] is not False:
        return False
    lows = [beside["differences"]["accuracy"]["mean"]["low"] for beside in scored["baselines"].values()]
    return all(low <= 0 for low in lows)
