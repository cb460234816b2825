"""Answers as the JSON of predict.py holds them; docs/answers.md describes its fields."""

import base64

import numpy as np

from first_impression.data.chalearn import TRAITS
from first_impression.data.sound import LOUDNESS_STEP
from first_impression.evaluation.traits import by_trait
from first_impression.training import number_format
from first_impression.training.dataset import about_drawn
from first_impression.training.saved_models import made_by

SCHEMA = 1  # raised when a field changes its meaning
REMINDER = (
    "The values, 0 to 1, are strangers' first impressions as a model guesses them: no measure of the person, and no\n"
    'basis for decisions about people. A high "neuroticism" means emotionally stable, as in the dataset.'
)
AMONG_LABELS = (
    "Ranked among training labels, which lie further apart than answers, most clips seem average: the models' answers "
    "to validation clips are not known (evaluate.py asks for them, publish.py passes them on)"
)
BINS = 25  # of the histograms, from 0 to 1


def about_models(ensemble, with_evidence=False):
    """What the answers to all clips have in common, as JSON holds it. "cautions" are for people to read.

    With evidence there is one more caution for each model that has none.
    """
    models, histograms = ensemble.models, np.zeros((len(TRAITS), BINS))
    if ensemble.training_clips:
        histograms = np.diff(ensemble.below(np.linspace(0, 1, BINS + 1)), axis=0).T
    cautions = [model.caution for model in models if model.caution]
    cautions += [AMONG_LABELS] if ensemble.ranks_among_labels else []
    if with_evidence:
        cautions += [f"{model.name} has no evidence maps, {model.no_evidence}" for model in models if model.no_evidence]
    return {
        "drawn_sample": about_drawn([model.run for model in models]),
        "schema": SCHEMA,
        "note": " ".join(REMINDER.split()),
        "cautions": cautions,
        "program": made_by(),
        "models": {
            model.name: {
                "kind": model.kind,
                "started_from": model.run.start["words"],
                "dataset": model.run.dataset,
                "caution": model.caution,
                "numbers": number_format.format_of(model.run.networks[0]),
                "files": {file.name: md5 for file, md5 in model.run.md5s.items()},
            }
            for model in models
        },
        "training_clips": ensemble.training_clips,
        "training_histogram": by_trait(histograms.round(6)),
    }


def first_lines(about, heading=""):
    """What a script prints before it answers, a list of lines. `about` is as of `about_models`."""
    warning = f"WARNING: {about['drawn_sample']}" if about["drawn_sample"] else ""
    return [line for line in (warning, heading, REMINDER, *about["cautions"]) if line]


def as_json(answer, with_maps=True):
    """All that is known of the answer to a clip, as JSON holds it; the maps of the evidence on request."""
    clip, (times, by_frame) = answer.clip, answer.by_frame
    faces = answer.look.faces
    return {
        "file": str(clip.path),
        "picture": "",
        "duration": clip.duration,
        "start": clip.start,
        "end": clip.end,
        "video": clip.video
        and {
            "width": clip.video.width,
            "height": clip.video.height,
            "rotation": clip.video.rotation,
            "frame_rate": clip.video.frame_rate,
            "frames": len(clip.video.times),
            "seconds": clip.video.seconds_in(clip.start, clip.end),
            "hdr": clip.video.hdr,
        },
        "sound": clip.sound
        and {
            "sample_rate": clip.sound.sample_rate,
            "channels": clip.sound.channels,
            "seconds": clip.sound.seconds_in(clip.start, clip.end),
        },
        "fused": by_trait(answer.fused),
        "spread": None if answer.spread is None else by_trait(answer.spread),
        "models": {name: by_trait(values) for name, values in answer.scores.items()},
        "percentile": None if answer.percentile is None else by_trait(answer.percentile),
        "rank": answer.ranking and _rank(answer.ranking, answer.fused),
        "frames": len(times),
        "sound_seconds": answer.sound_seconds,
        "windows": [
            {
                "start": window.start,
                "end": window.end,
                "frames": len(window.times),
                "sound_seconds": window.sound_seconds,
                "fused": by_trait(window.fused),
                "models": {name: by_trait(values) for name, values in window.scores.items()},
            }
            for window in answer.windows
        ],
        "by_frame": {
            "times": times.tolist(),
            "models": {name: by_trait(values.astype(np.float64).round(10).T) for name, values in by_frame.items()},
        },
        "loudness": {"start": clip.start, "step": LOUDNESS_STEP, "decibels": clip.loudness.round(2).tolist()},
        "strip": [{"time": time, "jpeg": base64.b64encode(jpeg).decode()} for time, jpeg in answer.strip],
        "faces": None if faces is None else np.bincount([len(boxes) for boxes in faces], minlength=1).tolist(),
        "measured": clip.measures.as_json(),
        "evidence": {name: found.as_json(with_maps) for name, found in answer.evidence.items()},
        "warnings": answer.warnings,
    }


def _rank(ranking, fused):
    found = {name: by_trait(values) for name, values in ranking.rank(fused).items()}
    histogram = by_trait(ranking.histogram(BINS).T)
    return {"among": ranking.what, "clips": ranking.clips, "sources": ranking.sources, **found, "histogram": histogram}


def whole(about, answers, unusable=()):
    """The whole JSON: `about_models`, `answers` {name: `as_json`} and `unusable` {file: why}."""
    return {**about, "clips": answers, "unusable": dict(unusable)}
