"""Answers to one's own clips, out of a JSON file of predict.py, to rank other answers among."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from first_impression.common.errors import UserError, counted, damage_as_user_error
from first_impression.data.chalearn import name_of_video
from first_impression.data.targets import FIVE
from first_impression.evaluation.metrics import sources_of
from first_impression.evaluation.ranking import Ranking, quantiles_of


@dataclass
class Pool:
    """The answers of a file, to rank among."""

    name: str  # of the file
    answers: dict  # {name of a clip's file: {model: float64 [k]}}

    def ranking(self, models, clip):
        """The mean answers of these `models` to all clips but the file `clip` itself: a `Ranking`; None without any."""
        found = {
            name: np.mean([answers[model] for model in models], axis=0)
            for name, answers in self.answers.items()
            if answers.keys() >= set(models) and Path(name).name != Path(clip).name
        }
        if not found:
            return None
        sources = len(set(sources_of(map(name_of_video, found))))
        words = f"the answers to {counted(len(found), 'clip')} of {self.name}"
        return Ranking(words, len(found), sources, quantiles_of(list(found.values())))


def read(path, runs, targets=FIVE):
    """The `Pool` in the file `path`, which predict.py has written with --JSON: of the answers to these `targets`.

    Raises `UserError` for another file, one without clips, and for answers of other models than those of the `runs`.
    """
    with damage_as_user_error(f"{path} is not a JSON file of predict.py", "make one of your clips, with --JSON"):
        about = json.loads(Path(path).read_text(encoding="utf-8"))
        models = {name: set(model["files"].values()) for name, model in about["models"].items()}
        answers = {
            name: {model: _values(scores, targets.names) for model, scores in clip["models"].items()}
            for name, clip in about["clips"].items()
        }
        if not all(((0 <= row) & (row <= 1)).all() for rows in answers.values() for row in rows.values()):
            raise ValueError("it has answers that are not from 0 to 1")
    if other := [run.name for run in runs if models.get(run.name) != set(run.md5s.values())]:
        raise UserError(f"{path} is not answered by {', '.join(other)} as of now: answer its clips again, with --JSON")
    if not answers:
        raise UserError(f"{path} has no clips: answer some, with --JSON")
    return Pool(Path(path).name, answers)


def _values(scores, names):
    if missing := [name for name in names if name not in scores]:
        raise ValueError(f"it has no answers to {', '.join(missing)}")
    return np.array([scores[name] for name in names], float)
