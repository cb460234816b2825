"""A take: a clip of a visitor's, answered, and what can be asked of it later on."""

import contextlib
import mimetypes
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from first_impression.common import files
from first_impression.data.sound import SAMPLE_RATE, samples_from
from first_impression.evaluation.traits import by_trait
from first_impression.inference import answers, evidence, tables, windows
from first_impression.inference.clip import open_clip
from first_impression.inference.faces import share_inside

PARTS = 3  # of a take that is one window, whose answers tell how much it moves within itself


@dataclass
class Take:
    """An answered clip. `told` is what the JSON of predict.py holds of it, see docs/answers.md."""

    number: int
    name: str  # as the visitor knows it
    path: Path  # of the clip; what is made of it lies beside it
    told: dict
    frames: dict  # seconds -> JPEG as bytes, of all frames that were looked at
    answer: answers.Answer
    moves: dict | None  # how much it moves within itself, {trait: standard deviation over its parts}, or None
    moments: dict = field(default_factory=dict)  # seconds -> {model: evidence}, of those asked for so far

    def beside(self, suffix):
        """The path of a file that is made of the take."""
        return self.path.with_name(f"take-{self.number}{suffix}")

    def document(self, about):
        """What predict.py writes as JSON for this clip alone; `about` is as of `answers.about_models`."""
        return answers.document(about, {self.name: self.told})


def answer_take(number, name, path, models, count, longest, tell=lambda done, count: None):
    """Answer the clip at `path`, with up to `count` frames a window: `Take`.

    `tell(done, count)` hears how many of its windows are answered.
    Raises `BadClipError` for a clip that no model can answer, or that lasts more than `longest` seconds, and
    `UserError` where an answer is not finite.
    """
    clip = open_clip(path, count, with_faces=True, longest=longest)
    frames = {}

    def each(windows):
        for done, window in enumerate(windows):
            tell(done, len(clip.spans))
            frames.update(zip(window.times.tolist(), window.frames, strict=True))
            yield window

    answer = answers.answer_clip(clip, models, each=each)
    told = answers.as_json(answer, with_maps=False)
    told["file"] = name
    return Take(number, name, path, told, frames, answer, _moves(clip, answer, models))


def _moves(clip, answer, models):
    """How much each trait moves within a clip, {trait: standard deviation}: over its windows, else over its thirds.

    None for a clip too short to tell.
    """
    if answer.spread is not None:
        return by_trait(answer.spread)
    length = (clip.end - clip.start) / PARTS
    if length < windows.LEAST_SOUND:
        return None
    spans = windows.plan(clip.start, clip.end, length)
    samples = samples_from(clip.path, clip.start) if clip.sound else (nothing for nothing in ())
    with contextlib.closing(samples):
        sounds = windows.sound_in(spans, samples)
        parts = [_of_part(span, sound, answer, models) for span, sound in zip(spans, sounds, strict=True)]
    whole = [np.mean(list(part.values()), axis=0) for part in parts if part.keys() == answer.scores.keys()]
    return by_trait(np.std(whole, axis=0)) if len(whole) > 1 else None


def _of_part(span, sound, answer, models):
    """What each model says of a part of a clip: {model: [5]}, of those that find something in it."""
    times, by_frame = answer.by_frame
    inside = (times >= span[0]) & (times < span[1])
    scores = {name: values[inside].mean(axis=0) for name, values in by_frame.items() if inside.any()}
    if len(sound) >= windows.LEAST_SOUND * SAMPLE_RATE:
        window = windows.Window(*span)
        window.hear(sound)
        heard = [model for model in models if model.kind == "audio" and model.name in answer.scores]
        scores |= {model.name: model.infer(window.features[None]).numpy()[0] for model in heard}
    return scores


def file_name(number, name):
    """What a take's file is called: nothing of a visitor's own choice but a suffix of sound or video."""
    suffix = Path(name).suffix.lower()
    kind = mimetypes.guess_type(f"clip{suffix}")[0] or ""
    return f"take-{number}{suffix if kind.startswith(('video/', 'audio/')) else '.bin'}"


def moment(take, models, time):
    """What moved the models in the frame next to `time`: (its time, its JPEG, {model: evidence}); None without frames.

    The evidence is as docs/answers.md has it, with maps, and "share": per trait, how much of what the places add,
    whichever way, lies in the face; None without a face.
    """
    if not take.frames:
        return None
    shown = min(take.frames, key=lambda each: abs(each - time))
    if shown not in take.moments:
        image, faces = answers.read_images([take.frames[shown]]), take.answer.faces_at(shown)
        found = {m.name: evidence.explain(m.network, image, shown, faces) for m in models if not m.no_evidence}
        take.moments[shown] = {name: _with_share(each.as_json(with_maps=True), faces) for name, each in found.items()}
    return shown, take.frames[shown], take.moments[shown]


def _with_share(told, faces):
    inside = None if told["face"] is None else share_inside(faces, *told["grid"])
    return told | {"share": {trait: _share(np.abs(places), inside) for trait, places in told["maps"].items()}}


def _share(amounts, inside):
    return None if inside is None or not amounts.any() else float((amounts * inside).sum() / amounts.sum())


def write_downloads(take, about):
    """Write the picture, the JSON and the CSV of a take: {what it is: its path}."""
    from first_impression.inference import report  # here: Matplotlib takes seconds to load

    made = {"picture": take.beside(".png"), "JSON": take.beside(".json"), "CSV": take.beside(".csv")}
    if not made["CSV"].exists():  # the last one of them
        report.draw(made["picture"], take.name, take.told, about)
        files.write_json(made["JSON"], take.document(about))
        tables.write_csv(made["CSV"], {take.name: take.told})
    return made
