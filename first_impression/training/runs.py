"""Trained runs: which there are in a folder, and what is known of each. What a run is asked for is read once."""

import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from first_impression.common.errors import UserError, counted, damage_as_user_error, name_some
from first_impression.common.files import digests
from first_impression.data import label_table
from first_impression.data.chalearn import is_drawn
from first_impression.data.targets import of_json
from first_impression.evaluation import baselines, unseen
from first_impression.training import dataset, manifest, number_format, saved_models, scored
from first_impression.training.opening import load_model
from first_impression.training.saved_models import BEST, CHECKPOINT, FINAL

# Constants of train.py that runs from before these existed do not have, with the values that they had in effect
EARLIER = {"MEAN": "weights", "TRAIN": "all", "FOLD": ""}


@dataclass
class Run:
    """A run of one's own, as train.py leaves it in its folder."""

    folder: Path
    epochs: str = ""  # a text that `epochs_rule` takes, which chooses the models
    precision: str = "float32"  # MIXED_PRECISION of the script that asks it, see number_format.py

    @property
    def name(self):
        return self.folder.name

    @property
    def files(self):
        """The paths of the models of the chosen epochs: "" the last, "best" in validation, "1,2" those two."""
        numbered = [f"epoch-{number.strip()}.keras" for number in self.epochs.split(",")]
        return [self.folder / name for name in {"": [FINAL], "best": [BEST]}.get(self.epochs, numbered)]

    @cached_property
    def md5s(self):
        """{each of `files`: its MD5}. Raises `UserError` where one is not as train.py wrote it last."""
        return saved_models.verify(self.folder, self.files)

    @cached_property
    def _loaded(self):
        loaded = [load_model(file) for file in self.md5s]
        kinds = {kind for _, kind, _ in loaded}
        if len(kinds) > 1:
            raise UserError(f"{self.folder} holds models of images and of sound: they are of different runs")
        if others := [targets for *_, targets in loaded if targets != self.targets]:
            what = f"{self.folder} holds a model that answers {others[0].in_words}, not {self.targets.in_words}"
            raise UserError(f"{what}, as its settings say: they are of different runs")
        wanted = number_format.choose(self.precision)
        return [number_format.in_format(network, wanted) for network, *_ in loaded], kinds.pop()

    @property
    def networks(self):
        """The models in `files`, each a `keras.Model`. Loading takes seconds, and raises as `md5s` and `load_model`."""
        return self._loaded[0]

    def network(self, inputs, training=False):
        """The answers to inputs [n, ...]: a tensor [n, targets], the plain mean of what `networks` answer."""
        return sum(network(inputs, training=training) for network in self.networks) / len(self.networks)

    @property
    def kind(self):
        """What the run's models take: "image" or "audio". Loads them."""
        return self._loaded[1]

    @cached_property
    def settings(self):
        """What settings.json holds, a dict: "constants", "start", "records" ..; empty where it cannot be read."""
        try:
            settings = json.loads((self.folder / "settings.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return settings if isinstance(settings, dict) else {}

    @property
    def model(self):
        """The constant MODEL of the training, "dan" for example; None where the settings do not name it."""
        constants = self.settings.get("constants")
        return constants.get("MODEL") if isinstance(constants, dict) else None

    @cached_property
    def targets(self):
        """What it answers, `Targets`: as settings.json says, else ChaLearn's five. Raises `UserError` for others."""
        with damage_as_user_error(f"{self.folder / 'settings.json'} is damaged", "train it again"):
            return of_json(self.settings)

    @property
    def start(self):
        """The weights that the training started from: {"words", "file", "md5", "published"}."""
        try:
            start = self.settings["start"]
            return {"words": str(start["words"]), "published": start["published"], **start}
        except (KeyError, TypeError):
            return {"words": "not known", "file": "", "md5": "", "published": None}

    @property
    def dataset(self):
        """What it was trained on, as `dataset.dataset_of` has it."""
        if "dataset" in self.settings:
            return str(self.settings["dataset"])
        drawn = "sample data" in self.start["words"] or any(map(is_drawn, self.training_labels))
        return dataset.DRAWN if drawn else ""  # of runs from before it was noted, no more is known

    @cached_property
    def verdicts(self):
        """What evaluate.py has found that speaks against it: a list of texts, as `scored.verdicts` gives."""
        return scored.verdicts(self.name, scored.scores_of(self.folder.parent, [self]))

    @cached_property
    def training_labels(self):
        """The labels of the training clips, {clip: float64 [targets]}; empty where the run has no such file."""
        file = self.folder / saved_models.TRAINING_LABELS
        return label_table.read(file, self.targets.unit, quiet=True).values if file.exists() else {}

    @cached_property
    def training(self):
        """What is known of the training clips: a dict as `manifest.about_training` gives."""
        return manifest.about_training(self.training_labels, salt="", targets=self.targets)

    @property
    def training_clips(self):
        """The number of training clips; 0 where it is not known."""
        return self.training["clips"]

    @property
    def quantiles(self):
        """The quantiles of the training labels: float64 [`manifest.QUANTILES`, targets]; no rows where not known."""
        return np.array([self.training["quantiles"][name] for name in self.targets.names], np.float64).T

    @cached_property
    def unseen(self):
        """The answers of these very models to clips that they were not trained on, as `unseen.read` gives them."""
        return unseen.read(self.folder, self.md5s.values(), self.targets)

    def trained_on(self, clips):
        """Those of `clips` that the run was trained on: a set of names."""
        names = manifest.hashed(clips, self.training["salt"])
        return {names[known] for known in names.keys() & set(self.training["names"])}

    def other_training(self, labels):
        """How the training clips differ from those of `labels`, {clip: [targets]}, in words; "" where they do not."""
        return baselines.other_training(self.training_labels, labels)


@dataclass
class PublishedRun(Run):
    """A run in a folder that publish.py has made. It knows the names of its training clips as salted hashes alone."""

    published: dict = field(default_factory=dict)  # the manifest of the folder that it is in

    @property
    def _about(self):
        return self.published["runs"][self.name]

    @property
    def files(self):
        return [self.folder.parent / name for name in self._about["files"]]

    @cached_property
    def md5s(self):
        """{each of `files`: its MD5}. Raises `UserError` where one is not the file that the manifest names."""
        found = {}
        for file in self.files:
            named = self.published["files"][f"{self.name}/{file.name}"]
            found[file], sha256 = digests(file, "md5", "sha256")
            if file.stat().st_size != named["bytes"] or sha256 != named["sha256"]:
                what = f"{file} is not the file that {manifest.NAME} names (its SHA-256 differs)"
                raise UserError(f"{what}: fetch the folder again")
        return found

    @property
    def settings(self):
        return self._about["settings"]

    @cached_property
    def targets(self):
        return of_json(self._about)  # which manifest.read has checked

    @property
    def verdicts(self):
        return self._about.get("verdicts", [])

    @property
    def training(self):
        return self._about["training"]

    def other_training(self, labels):
        clips, known = self.training_clips, len(self.trained_on(labels))
        if clips == known == len(labels):
            return ""
        known_labels = f"{len(labels):,}, of which {known:,} are its own"
        return f"it was trained on {counted(clips, 'clip')}, the baselines know {known_labels}"


def find_runs(folder, models="", epochs="", precision="float32"):
    """The trained runs in `folder`, or those that `models` names, with commas between: a list of `Run`.

    `epochs`, a text that `epochs_rule` takes, chooses the models of each, `precision` their number format. Without
    `models`, the names of runs whose training has not ended are printed. Raises `UserError` where there is none, where
    a run or a model of the chosen epochs is missing, and for epochs of published runs, whose publisher has chosen them.
    """
    published = manifest.read(folder)
    trained = sorted(published["runs"] if published else (path.parent.name for path in folder.glob(f"*/{FINAL}")))
    if not trained:
        raise UserError(
            f"{folder.absolute()} holds no trained run: train one with `python train.py`, or let ./run_pipeline.sh "
            "make one from the sample and say --RUNS=sample/runs"
        )
    unfinished = [path.parent.name for path in folder.glob(f"*/{CHECKPOINT}") if path.parent.name not in trained]
    if unfinished and not models:
        print(f"{folder}: skipped, since their training has not ended: {name_some(unfinished)}")
    wanted = list(dict.fromkeys(name.strip() for name in models.split(",") if name.strip())) or trained
    if missing := [name for name in wanted if name not in trained]:
        raise UserError(f"MODELS: {folder} holds no trained {', '.join(missing)}, only {', '.join(trained)}")
    if published and epochs:
        raise UserError(f"EPOCHS = {epochs!r}: {folder} is published, with the epochs that its publisher chose")
    if published:
        runs = [PublishedRun(folder / name, "", precision, published) for name in wanted]
    else:
        runs = [Run(folder / name, epochs, precision) for name in wanted]
    remedy = "fetch it again" if published else "train.py keeps every epoch's model with KEEP_EPOCHS = True"
    for run in runs:
        if absent := [file.name for file in run.files if not file.exists()]:
            here = name_some(path.name for path in run.folder.glob("[!.]*.keras")) or "no model at all"
            raise UserError(f"EPOCHS = {epochs!r}: {run.folder} has no {', '.join(absent)}, only {here}; {remedy}")
    return runs


def epochs_rule(value):
    """A rule for a script's EPOCHS: the value is "", "best", or the numbers of epochs with commas between."""
    numbers = [part.strip() for part in value.split(",")] if isinstance(value, str) else [""]
    if value in ("", "best") or all(re.fullmatch("[1-9][0-9]*", part) for part in numbers):
        return "names an epoch twice" if len(set(numbers)) < len(numbers) else None
    return 'must be "" (the last), "best", or epochs as "1" or "1,2"'
