"""What goes into a published folder: the models and their manifest."""

import importlib.util
import json
import secrets
import shutil
import sys
from pathlib import Path

import numpy as np

from first_impression.common.errors import UserError
from first_impression.common.files import sha256
from first_impression.data.chalearn import CLIP_SECONDS
from first_impression.data.targets import INTERVIEW, NOT_FOR_HIRING, all_names
from first_impression.sharing import card
from first_impression.training import manifest, rankings
from first_impression.training.saved_models import made_by

# Constants of a run that are not published: they name places on its machine
PRIVATE = ("RUNS", "NAME", "TRAIN_RECORDS", "VAL_RECORDS", "WEIGHTS", "RESNET_WEIGHTS")


def copy_models(run, folder, with_onnx=False):
    """Copy the models of a `Run` into a new `folder`; on request as ONNX files too, as `_export` does.

    Raises `UserError` for a file that is not a model of train.py's, or not as that wrote it.
    """
    folder.mkdir()
    for file, network in zip(run.files, run.networks, strict=True):
        shutil.copyfile(file, folder / file.name)
        if with_onnx:
            _export(run, network, folder / f"{file.stem}.onnx")


def _export(run, network, path):
    """Write a `network` of the `Run` as the ONNX file `path`, which takes and gives float32.

    Its metadata, each a text of JSON, say what a manifest says of a run: "targets", the names of the answers in their
    order, "scale", the ends of the labels' own scale, which are 0 and 1 in the answers, and the "note" on these names;
    "input" is what the model card says of it.
    """
    import onnx

    network(np.zeros((1, *network.input_shape[1:]), np.float32))  # Keras exports only what was called once
    network.export(path, format="onnx", verbose=False)
    exported = onnx.load(path)
    targets, (inputs, *_) = run.targets, card.INPUTS[run.kind]
    about = {"input": inputs, "targets": list(targets.names), "scale": [targets.low, targets.high]}
    about |= {"note": _note(targets.names)}
    onnx.helper.set_model_props(exported, {name: json.dumps(value) for name, value in about.items()})
    onnx.save(exported, path)


def describe(folder, runs, epochs, license):
    """The manifest of a `folder` that has the models of the `runs`, a list of `Run`, of the chosen `epochs`: a dict.

    Raises `UserError` for a run without settings.json.
    """
    names = list(all_names(run.targets for run in runs))
    about = {"schema": manifest.SCHEMA, "license": license, "traits": names, "note": _note(names)}
    about |= {"window_seconds": CLIP_SECONDS, "epochs": epochs, "made_by": made_by(), "files": {}, "runs": {}}
    for run in runs:
        for path in sorted((folder / run.name).iterdir()):
            about["files"][f"{run.name}/{path.name}"] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
        about["runs"][run.name] = {
            "kind": run.kind,
            **run.targets.as_json,
            "files": [f"{run.name}/{file.name}" for file in run.files],
            "settings": _settings(run),
            "verdicts": run.verdicts,
            "training": manifest.about_training(run.training_labels, secrets.token_hex(16), run.targets),
        }
    return about | {"unseen": rankings.for_manifest(runs)}


def _note(names):
    """What to know of targets of these names."""
    notes = {"neuroticism": 'A high "neuroticism" means emotionally stable.', INTERVIEW: NOT_FOR_HIRING}
    return " ".join(note for name, note in notes.items() if name in names)


def _settings(run):
    if not run.settings:
        raise UserError(f"{run.folder} has no settings.json: what made this model is not known, so do not publish it")
    constants = {name: value for name, value in run.settings["constants"].items() if name not in PRIVATE}
    start = {**run.start, "file": Path(run.start["file"]).name}
    recipe = Path(run.settings.get("recipe") or "").name
    about = {"constants": constants, "recipe": recipe, "start": start, "made_by": run.settings["made_by"]}
    return {**about, "dataset": run.dataset}


def require_onnx():
    """Raises `UserError` where the packages that write ONNX files are not installed."""
    if missing := [name for name in ("onnx", "tf2onnx") if importlib.util.find_spec(name) is None]:
        raise UserError(f"{', '.join(missing)} not installed: {sys.executable} -m pip install -r requirements-onnx.txt")
