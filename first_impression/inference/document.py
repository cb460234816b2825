"""Answers as the JSON of predict.py holds them; docs/answers.md describes its fields."""

import base64
import functools

import numpy as np

from first_impression.data.sound import LOUDNESS_STEP
from first_impression.data.targets import INTERVIEW, NOT_FOR_HIRING
from first_impression.evaluation.display import by_target, shown
from first_impression.training import number_format
from first_impression.training.dataset import about_drawn
from first_impression.training.saved_models import made_by

SCHEMA = 2  # raised for another release of the format: docs/answers.md says what each has added
REMINDER = (
    "The values, 0 to 1, are strangers' first impressions as a model guesses them: no measure of the person, and no\n"
    "basis for decisions about people."
)
STABILITY = {  # what to know of "neuroticism": in the JSON, which has the dataset's name too, and where people read
    "json": ' A high "neuroticism" means emotionally stable, as in the dataset.',
    "words": ' Emotional stability is what the dataset calls "neuroticism".',
}
AMONG_LABELS = (
    "Ranked among training labels, which lie further apart than answers, most clips seem average: the models' answers "
    "to validation clips are not known (evaluate.py asks for them, publish.py passes them on)"
)
BINS = 25  # of the histograms, from 0 to 1


def about_models(ensemble, with_evidence=False):
    """What the answers to all clips have in common, as JSON holds it. "cautions" are for people to read.

    With evidence there is one more caution for each model that has none.
    """
    models, targets, histograms = ensemble.models, ensemble.targets, np.zeros((len(ensemble.targets.names), BINS))
    if ensemble.training_clips:
        histograms = np.diff(ensemble.below(np.linspace(0, 1, BINS + 1)), axis=0).T
    cautions = [model.caution for model in models if model.caution]
    cautions += [AMONG_LABELS] if ensemble.ranks_among_labels else []
    if with_evidence:
        cautions += [f"{model.name} has no evidence maps, {model.no_evidence}" for model in models if model.no_evidence]
    return {
        "drawn_sample": about_drawn([model.run for model in models]),
        "schema": SCHEMA,
        "note": " ".join(REMINDER.split()) + STABILITY["json"] * ("neuroticism" in targets.names),
        "not_for_hiring": NOT_FOR_HIRING * (INTERVIEW in targets.names),
        "targets": list(shown(targets.names)),
        "scale": [targets.low, targets.high],
        "cautions": cautions,
        "program": made_by(),
        "models": {
            model.name: {
                "kind": model.kind,
                "started_from": model.run.start["words"],
                "dataset": model.run.dataset,
                "targets": list(shown(model.run.targets.names)),
                "caution": model.caution,
                "numbers": number_format.format_of(model.run.networks[0]),
                "files": {file.name: md5 for file, md5 in model.run.md5s.items()},
            }
            for model in models
        },
        "training_clips": ensemble.training_clips,
        "training_histogram": by_target(histograms.round(6), targets.names),
    }


def first_lines(about, heading=""):
    """What a script prints before it answers, a list of lines. `about` is as of `about_models`."""
    warning = f"WARNING: {about['drawn_sample']}" if about["drawn_sample"] else ""
    reminder = REMINDER + STABILITY["words"] * ("neuroticism" in about["targets"])
    hiring = about["not_for_hiring"].replace(". ", ".\n")  # a line for each sentence
    return [line for line in (warning, heading, reminder, hiring, *about["cautions"]) if line]


def as_json(answer, with_maps=True):
    """All that is known of the answer to a clip, as JSON holds it; the maps of the evidence on request."""
    clip, (times, by_frame) = answer.clip, answer.by_frame
    faces = answer.look.faces

    by_name = functools.partial(by_target, names=answer.targets.names)
    return {
        "file": str(clip.path),
        "picture": "",
        "duration": clip.duration,
        "start": clip.start,
        "end": clip.end,
        "video": clip.video and _video(clip),
        "sound": clip.sound and _sound(clip),
        "fused": by_name(answer.fused),
        "spread": None if answer.spread is None else by_name(answer.spread),
        "models": {name: by_name(values) for name, values in answer.scores.items()},
        "percentile": None if answer.percentile is None else by_name(answer.percentile),
        "on_scale": _on_scale(answer, by_name) if answer.targets.has_own_scale else None,
        "rank": answer.ranking and _rank(answer.ranking, answer.fused, answer.targets.names),
        "frames": len(times),
        "sound_seconds": answer.sound_seconds,
        "windows": [_window(window, by_name) for window in answer.windows],
        "by_frame": {
            "times": times.tolist(),
            "models": {name: by_name(values.astype(np.float64).round(10).T) for name, values in by_frame.items()},
        },
        "loudness": {"start": clip.start, "step": LOUDNESS_STEP, "decibels": clip.loudness.round(2).tolist()},
        "strip": [{"time": time, "jpeg": base64.b64encode(jpeg).decode()} for time, jpeg in answer.strip],
        "faces": None if faces is None else np.bincount([len(boxes) for boxes in faces], minlength=1).tolist(),
        "measured": clip.measures.as_json(),
        "evidence": {name: found.as_json(with_maps) for name, found in answer.evidence.items()},
        "what_if": None,  # unless it is asked for: `what_if.WhatIf`
        "warnings": answer.warnings,
    }


def _video(clip):
    video = clip.video
    return {
        "width": video.width,
        "height": video.height,
        "rotation": video.rotation,
        "frame_rate": video.frame_rate,
        "frames": len(video.times),
        "seconds": video.seconds_in(clip.start, clip.end),
        "hdr": video.hdr,
    }


def _sound(clip):
    sound = clip.sound
    return {
        "sample_rate": sound.sample_rate,
        "channels": sound.channels,
        "seconds": sound.seconds_in(clip.start, clip.end),
    }


def _window(window, by_name):
    return {
        "start": window.start,
        "end": window.end,
        "frames": len(window.times),
        "sound_seconds": window.sound_seconds,
        "fused": by_name(window.fused),
        "models": {name: by_name(values) for name, values in window.scores.items()},
    }


def _on_scale(answer, by_name):
    """The answers on the scale on which the labels were given, of which 0 and 1 are the ends."""
    targets = answer.targets
    models = {name: by_name(targets.from_unit(values)) for name, values in answer.scores.items()}
    fused = by_name(targets.from_unit(answer.fused))
    return {"low": targets.low, "high": targets.high, "fused": fused, "models": models}


def _rank(ranking, fused, names):
    found = {name: by_target(values, names) for name, values in ranking.rank(fused).items()}
    histogram = by_target(ranking.histogram(BINS).T, names)
    return {"among": ranking.what, "clips": ranking.clips, "sources": ranking.sources, **found, "histogram": histogram}


def whole(about, answers, unusable=()):
    """The whole JSON: `about_models`, `answers` {name: `as_json`} and `unusable` {file: why}."""
    return {**about, "clips": answers, "unusable": dict(unusable)}
