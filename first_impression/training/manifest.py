"""manifest.json of a published folder, which describes its runs: written by publish.py, read by all other scripts.

    {"schema": 1, "license": .., "traits": names of all targets, "window_seconds": .., "made_by": {..},
     "epochs": EPOCHS of publish.py,
     "files": {"dan/final.keras": {"bytes": .., "sha256": ..}}, perhaps with the same models as .onnx,
     "runs": {"dan": {"kind": "image" or "audio", "files": ["dan/final.keras"], "settings": what settings.json has,
              perhaps "targets" and "scale", as in targets.py, of what it answers, if that is not ChaLearn's five,
              "verdicts": what its scores have against it, texts,
              "training": {"clips": how many, "sources": of how many sources, "quantiles": {target: QUANTILES numbers},
                           "salt": .., "names": [..]}}},
     "unseen": [{"runs": ["dan"], "of": "validation", "clips": .., "sources": .., "quantiles": {..}}, ..]}

Only what `files` names belongs to the folder. Training labels, and the mean answers of sets of runs to clips that none
of them was trained on, are given as quantiles, names of training clips as salted hashes: enough to rank an answer and
to recognise a training clip, without giving away the dataset. Folders of earlier versions have no "unseen" and no
number of sources.
"""

import hashlib
import json
import re
from pathlib import Path

import numpy as np

from first_impression.common.errors import damage_as_user_error
from first_impression.data.targets import FIVE, all_names, of_json, shared_names
from first_impression.evaluation import unseen
from first_impression.evaluation.metrics import sources_of
from first_impression.evaluation.ranking import QUANTILES

NAME = "manifest.json"
SCHEMA = 1
QUANTILE_DECIMALS = 3  # fewer than labels have, so that no label is given away
MOST_BYTES = 20_000_000  # of a manifest; enough for the names of a million clips
MOST_FILES = 200

_PART = r"[A-Za-z0-9_][A-Za-z0-9._ +-]{0,99}"
_FILE = re.compile(rf"{_PART}/{_PART}\.(keras|onnx)")  # <run>/<file>, and nothing that leaves a folder


def read(folder):
    """The manifest of a published folder; None where `folder` has none. Raises `UserError` as `parse` does."""
    path = Path(folder) / NAME
    return parse(path.read_bytes(), path) if path.exists() else None


def parse(content, where):
    """The manifest in the bytes `content`, from the file or address `where`, so checked that callers need no checks.

    Raises `UserError` for anything but a manifest as publish.py writes it.
    """
    with damage_as_user_error(f"{where} is not a manifest of publish.py", "ask its publisher for another"):
        if len(content) > MOST_BYTES:
            raise ValueError(f"it has {len(content):,} bytes")
        manifest = json.loads(content)
        if manifest["schema"] != SCHEMA:
            raise ValueError(f"its schema is {manifest['schema']!r}, this project reads {SCHEMA}")
        files, runs = manifest["files"], manifest["runs"]
        if not 0 < len(files) <= MOST_FILES or not runs:
            raise ValueError(f"it lists {len(files)} files of {len(runs)} runs")
        for name, about in files.items():
            if not _FILE.fullmatch(name):
                raise ValueError(f"the file name {name!r}")
            size, checksum = about["bytes"], about["sha256"]
            if type(size) is not int or size <= 0 or not re.fullmatch("[0-9a-f]{64}", checksum):
                raise ValueError(f"{name} has the size {size!r} and the SHA-256 {checksum!r}")
        if manifest["traits"] != list(all_names(map(of_json, runs.values()))):
            raise ValueError(f"its traits are {str(manifest['traits'])[:200]}, not those of its runs")
        for run, about in runs.items():
            _check_run(run, about, files)
        for about in manifest.get("unseen", ()):
            _check_unseen(about, runs)
        return manifest


def _check_run(run, about, files):
    own = [name for name in files if name.partition("/")[0] == run and name.endswith(".keras")]
    if not about["files"] or sorted(about["files"]) != sorted(own) or about["kind"] not in ("image", "audio"):
        raise ValueError(f"{run} is of the kind {about['kind']!r} and has the files {about['files']!r}")
    training = about["training"]
    clips, sources = training["clips"], training.get("sources", training["clips"])
    known = not clips or _are_quantiles(training["quantiles"], of_json(about).names)
    if not (_are_counts(clips, sources) and known):
        raise ValueError(f"{run} has no rising quantiles of {clips!r} training labels")
    if not (isinstance(about["settings"], dict) and isinstance(training["salt"], str)):
        raise ValueError(f"{run} has no settings")
    if not all(isinstance(name, str) for name in training["names"]):
        raise ValueError(f"{run} has no names of its training clips")
    if not all(isinstance(text, str) for text in about.get("verdicts", [])):  # earlier manifests have none
        raise ValueError(f"the verdicts of {run} are no texts")


def _check_unseen(about, runs):
    names, clips = about["runs"], about["clips"]
    if not names or names != sorted(names) or not set(names) <= runs.keys() or about["of"] not in unseen.KINDS:
        raise ValueError(f"it has answers of {names!r} to clips of the kind {about['of']!r}")
    shared = shared_names([of_json(runs[run]) for run in names])  # what they answer together
    if not (_are_counts(clips, about["sources"]) and clips and _are_quantiles(about["quantiles"], sorted(shared))):
        raise ValueError(f"it has no rising quantiles of {clips!r} answers of {', '.join(names)}")


def _are_counts(clips, sources):
    """Whether these are numbers of clips and of their sources."""
    return type(clips) is type(sources) is int and (0 < sources <= clips or sources == clips == 0)


def _are_quantiles(by_target, names):
    quantiles = np.array([by_target[name] for name in names], np.float64)
    inside = quantiles.shape == (len(names), QUANTILES) and ((quantiles >= 0) & (quantiles <= 1)).all()
    return bool(inside and (np.diff(quantiles) >= 0).all())


def about_training(labels, salt, targets=FIVE):
    """What a manifest says of a run's training labels, {clip: [targets]}: a dict without any label or name."""
    values = np.empty((0, len(targets.names)))
    if labels:
        values = np.quantile(np.array(list(labels.values()), np.float64), np.linspace(0, 1, QUANTILES), axis=0)
    quantiles = dict(zip(targets.names, values.round(QUANTILE_DECIMALS).T.tolist(), strict=True))
    sources = len(set(sources_of(labels)))
    names = sorted(hashed(labels, salt))
    return {"clips": len(labels), "sources": sources, "quantiles": quantiles, "salt": salt, "names": names}


def hashed(clips, salt):
    """{salted hash: clip} of clip names."""
    return {hashlib.sha256(f"{salt} {clip}".encode(errors="surrogateescape")).hexdigest()[:16]: clip for clip in clips}
