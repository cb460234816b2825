"""What a published folder says: its manifest, and the scores that its models have got."""

import importlib.util
import json
import secrets
import sys
from pathlib import Path

import numpy as np

from first_impression.common.errors import UserError
from first_impression.common.files import md5, sha256
from first_impression.data.audio import CLIP_SECONDS
from first_impression.data.chalearn import TRAITS
from first_impression.evaluation import fusion
from first_impression.training import manifest, saved_models

# Of a run's constants: places on its machine, which are nobody else's business
PRIVATE = ("RUNS", "NAME", "TRAIN_RECORDS", "VAL_RECORDS", "WEIGHTS", "RESNET_WEIGHTS")


def describe(folder, runs, epochs, license):
    """The manifest of a folder with the models of the runs {name: folder}: a dict as in training/manifest.py.

    `epochs` are those that were chosen. Raises `UserError` for a file that is not a model of train.py's.
    """
    about = {
        "schema": manifest.SCHEMA,
        "license": license,
        "traits": list(TRAITS),
        "note": 'A high "neuroticism" means emotionally stable, as in the dataset.',
        "window_seconds": CLIP_SECONDS,
        "epochs": epochs,
        "made_by": saved_models.made_by(),
        "files": {},
        "runs": {},
    }
    for name, run in runs.items():
        paths = saved_models.epoch_files(run, epochs)
        _, kind = saved_models.load_networks(run, epochs)
        for path in sorted((folder / name).iterdir()):
            about["files"][f"{name}/{path.name}"] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
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


def require_onnx():
    """Raises `UserError` where the packages that write ONNX files are not installed."""
    missing = [name for name in ("onnx", "tf2onnx") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"{', '.join(missing)} not installed: {sys.executable} -m pip install -r requirements-onnx.txt")


def write_onnx(file, target):
    """Write a saved model as an ONNX file: inputs float32 [n, ...] as Keras takes them, traits float32 [n, 5]."""
    model, _ = saved_models.load_model(file)
    model(np.zeros((1, *model.input_shape[1:]), np.float32))  # a model that was never called cannot be exported
    model.export(target, format="onnx", verbose=False)


def scores_of(folder, runs, epochs):
    """What evaluate.py has found of these very models: {split: the dict of docs/scores.md}, with these models alone.

    Scores of other files under the same names, of an earlier training for example, are left out.
    """
    found = {}
    sums = {name: {md5(file) for file in saved_models.epoch_files(run, epochs)} for name, run in runs.items()}
    wanted = {**sums, fusion.NAME: set().union(*sums.values())}
    for path in sorted((folder / fusion.NAME).glob("scores_*.json")):
        report = json.loads(path.read_text(encoding="utf-8"))
        models = {name: model for name, model in report["models"].items() if name in wanted}
        kept = {name: of for name, of in models.items() if set(of["made_from"].values()) == wanted[name]}
        if kept:
            found.setdefault(report["split"], {**report, "models": {}})["models"] |= kept
    return found
