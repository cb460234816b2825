"""What a published folder says: its manifest, and the scores that its models have got."""

import json
import secrets
from pathlib import Path

from first_impression.common.errors import UserError
from first_impression.common.files import md5
from first_impression.data.chalearn import TRAITS
from first_impression.evaluation import fusion
from first_impression.training import manifest, saved_models

WINDOW_SECONDS = 15.3  # how much of a clip the models are meant to answer at a time, as ChaLearn's clips have
# Of a run's constants: places on its machine, which are nobody else's business
PRIVATE = ("RUNS", "NAME", "TRAIN_RECORDS", "VAL_RECORDS", "WEIGHTS", "RESNET_WEIGHTS")


def describe(runs, epochs, license):
    """The manifest of the runs {name: folder}, of these `epochs`: a dict as in training/manifest.py.

    Raises `UserError` for a file that is not a sound float32 model of train.py's.
    """
    about = {
        "schema": manifest.SCHEMA,
        "license": license,
        "traits": list(TRAITS),
        "note": 'A high "neuroticism" means emotionally stable, as in the dataset.',
        "window_seconds": WINDOW_SECONDS,
        "epochs": epochs,
        "made_by": saved_models.made_by(),
        "files": {},
        "runs": {},
    }
    for name, run in runs.items():
        paths = saved_models.epoch_files(run, epochs)
        _, kind = saved_models.load_networks(run, epochs)
        for path in paths:
            about["files"][f"{name}/{path.name}"] = {"bytes": path.stat().st_size, "sha256": manifest.sha256(path)}
        about["runs"][name] = {
            "kind": kind,
            "files": [f"{name}/{path.name}" for path in paths],
            "settings": _settings(run),
            "training": manifest.about_training(saved_models.training_labels(run), secrets.token_hex(16)),
        }
    return about


def _settings(run):
    settings = saved_models.settings_of(run)
    if not settings:
        raise UserError(f"{run} has no settings.json: what made this model is not known, so it cannot be published")
    constants = {name: value for name, value in settings["constants"].items() if name not in PRIVATE}
    start = {**saved_models.start_of(run), "file": Path(saved_models.start_of(run)["file"]).name}
    recipe = Path(settings.get("recipe") or "").name
    return {"constants": constants, "recipe": recipe, "start": start, "made_by": settings["made_by"]}


def scores_of(folder, runs, epochs):
    """What evaluate.py has found of these very models: {split: the dict of docs/scores.md}, with these models alone.

    Scores of other files under the same names, of an earlier training for example, are left out.
    """
    found = {}
    for path in sorted((folder / fusion.NAME).glob("scores_*.json")):
        report = json.loads(path.read_text(encoding="utf-8"))
        models, kept = report["models"], {}
        sums = {name: {md5(file) for file in saved_models.epoch_files(run, epochs)} for name, run in runs.items()}
        for name, wanted in {**sums, fusion.NAME: set().union(*sums.values())}.items():
            if name in models and set(models[name]["made_from"].values()) == wanted:
                kept[name] = models[name]
        if kept:
            found.setdefault(report["split"], {**report, "models": {}})["models"] |= kept
    return found
