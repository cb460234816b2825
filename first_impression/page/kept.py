"""Takes that visitors of the page choose to keep, in a folder that the user names: written, listed, deleted.

A kept take is two files there: take_<date>_<chance>.webm, or whatever its clip is, and the same with .json, its answer
as docs/answers.md describes it, with the field `kept`. Such files alone are opened and deleted, and links never are.
"""

import hashlib
import json
import math
import os
import re
import secrets
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from first_impression.common import files
from first_impression.common.errors import UserError, counted, damage_as_user_error, name_some, short_message
from first_impression.data.targets import INTERVIEW
from first_impression.evaluation.display import by_target, names_in
from first_impression.inference import document, measures

OWN = re.compile(r"(?:\.partial\.)?(take_\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_[0-9a-f]{8})(\.[a-z0-9]+)", re.ASCII)


@dataclass(frozen=True)
class KeptTake:
    """A kept take, with what the page shows of it."""

    name: str  # of its files, without the suffix
    date: datetime  # in this machine's time zone
    title: str  # what the visitor called the clip
    seconds: float  # that were analysed
    models: dict  # {name: MD5s of its files} of those that answered; one with other files is another model
    guessed: dict  # {model: {trait: its answer}}
    parts: list  # [{model: {trait: its answer}}] of the take's parts, which the variation within it is taken over
    measured: dict  # {column of `measures`: value or None}

    def answered_by(self, models):
        """Whether all of these `models` have answered, {name: MD5s}."""
        return models.items() <= self.models.items()

    def mean(self, models, trait):
        """The mean of these models' answers, and its variation within the take, a standard deviation; or None."""
        models = [model for model in models if trait in self.guessed[model]]
        if not models:
            return None, None
        parts = [[part.get(model, {}).get(trait) for model in models] for part in self.parts]
        within = [np.mean(values) for values in parts if None not in values]
        mean = float(np.mean([self.guessed[model][trait] for model in models]))
        return mean, float(np.std(within)) if len(within) > 1 else None


def by_models(takes):
    """The takes that can be compared: [({model: MD5s}, all takes that these have answered)], each take in one or more.

    With another model, a difference is not one of the takes. The models of the newest take come first.
    """
    groups, grouped = [], set()
    for newest in reversed(takes):
        if newest.name not in grouped:
            groups.append((newest.models, [take for take in takes if take.answered_by(newest.models)]))
            grouped |= {take.name for take in groups[-1][1]}
    return groups


def digits(md5s):
    """A model's files in six digits, which tell it apart from another training of the same name."""
    return hashlib.md5("".join(md5s).encode(), usedforsecurity=False).hexdigest()[:6]


class Folder:
    """The folder of kept takes at `path`. It may hold files of others; the first take makes it where it is missing."""

    def __init__(self, path):
        self.path = Path(path).absolute()

    def keep(self, take, about):
        """Write a `takes.Take`; `about` is as of `document.about_models`. Raises `UserError` where that fails.

        The answer is written last: a clip without one is no take.
        """
        now = datetime.now().astimezone()
        name = f"take_{now:%Y-%m-%d_%H-%M-%S}_{secrets.token_hex(4)}"
        targets = take.answer.targets.names
        parts = [{model: by_target(values, targets) for model, values in part.items()} for part in take.parts]
        clip = self.path / f"{name}{take.path.suffix}"
        try:
            self.path.mkdir(0o700, parents=True, exist_ok=True)
            try:
                with files.whole_file(clip) as tmp:
                    shutil.copyfile(take.path, tmp)
                kept = {"date": now.isoformat(), "clip": clip.name, "parts": parts}
                files.write_json(clip.with_suffix(".json"), {"kept": kept, **take.document(about)})
            except BaseException:
                clip.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise UserError(f"{self.path} cannot take it ({short_message(error)}): it is not kept") from None

    def read(self):
        """(the kept takes, the oldest first; one line about whatever else lies in the folder, "" for nothing).

        Raises `UserError` for a folder that cannot be read.
        """
        own, foreign = self._listed()
        takes, passed_over = [], []
        for name, names in own.items():
            try:
                takes.append(self._read(name, names))
            except (UserError, OSError) as reason:
                passed_over.append(short_message(reason))
        lines = [f"Passed over: {name_some(passed_over)}."] if passed_over else []
        lines += [f"{counted(foreign, 'other file')} there, neither read nor deleted here."] if foreign else []
        return sorted(takes, key=lambda take: (take.date, take.name)), " ".join(lines)

    def clip(self, take):
        """The path of the clip of the take of this name. Raises `UserError` where there is none."""
        own, _ = self._listed()
        return self.path / _clip(take, own.get(take, ()))

    def delete(self, take=None):
        """Delete the take of this name, or without one all of them, and what a kill or a hand has left of any.

        Raises `UserError` where that fails.
        """
        own, _ = self._listed()
        names = [name for each in own if take in (each, None) for name in own[each]]
        try:
            for name in sorted(names, key=lambda name: name.endswith(".json")):  # the answer last: it is what is listed
                (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"{self.path / name} cannot be deleted ({short_message(error)})") from None

    def _listed(self):
        """({name of a take: the names of its files, of a half-written one too}, the number of all other files)."""
        own, foreign = {}, 0
        try:
            with os.scandir(self.path) as entries:
                for entry in entries:
                    found = OWN.fullmatch(entry.name)
                    if found and entry.is_file(follow_symlinks=False):
                        own.setdefault(found[1], []).append(entry.name)
                    else:
                        foreign += 1
        except FileNotFoundError:
            pass
        except OSError as error:
            raise UserError(f"{self.path} cannot be read ({short_message(error)})") from None
        return own, foreign

    def _read(self, name, names):
        """The take of this name with files of these `names`. Raises `UserError` where it is not whole."""
        answer = self.path / f"{name}.json"
        if answer.name not in names:
            raise UserError(f"{name} has no answer")
        _clip(name, names)
        with damage_as_user_error(f"{answer.name} is damaged", "its clip is still there"):
            return _read_answer(answer)


def _clip(take, names):
    """The name of the clip among those of a take's files. Raises `UserError` where there is none."""
    for name in names:
        if name.startswith(f"{take}.") and name != f"{take}.json":
            return name
    raise UserError(f"{take} has no clip")


def _read_answer(path):
    """The `KeptTake` that an answer's file describes. A damaged one raises nearly anything."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if content["schema"] != document.SCHEMA:
        raise ValueError(f"it has the schema {content['schema']}, and this page reads {document.SCHEMA}")
    (title, answer), kept = next(iter(content["clips"].items())), content["kept"]
    if not answer["models"]:
        raise ValueError("no model has answered")
    return KeptTake(
        path.stem,
        datetime.fromisoformat(kept["date"]).astimezone(),
        title.encode("utf-8", "replace").decode(),  # a lone surrogate could not be sent to a browser
        _number(answer["end"]) - _number(answer["start"]),
        {model: tuple(sorted(map(str, content["models"][model]["files"].values()))) for model in answer["models"]},
        _scores(answer["models"]),
        [_scores(part) for part in kept["parts"]],
        {quantity.column: _measured(answer["measured"], quantity) for quantity in measures.QUANTITIES},
    )


def _scores(by_model):
    return {
        model: {trait: _number(values[trait], 0, 1) for trait in names_in(values) if trait != INTERVIEW}
        for model, values in by_model.items()
    }


def _number(value, low=-math.inf, high=math.inf):
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{value} cannot be")
    return float(value)


def _measured(measured, quantity):
    """The value of a quantity, None for one that the clip, or an earlier version of the page, does not have."""
    value = (measured[quantity.part] or {}).get(quantity.key)
    return None if value is None else _number(value)
