"""A take: a visitor's clip with its answer, and what the page shows of it later."""

import mimetypes
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from first_impression.common import files
from first_impression.evaluation.display import by_target
from first_impression.inference import document, tables, variation
from first_impression.inference.answer import Answer, answer_clip, read_images
from first_impression.inference.clip import open_clip
from first_impression.inference.faces import share_inside


@dataclass
class Take:
    """An answered clip."""

    number: int
    name: str  # as the visitor knows it
    path: Path  # of the clip; what is made of it lies beside it
    answer_json: dict  # what the JSON of predict.py holds of it, see docs/answers.md
    frames: dict  # seconds -> JPEG as bytes, of all frames that were looked at
    answer: Answer
    parts: list  # what each model answers to each part of it, {model: [k]}; empty for a short one
    moments: dict = field(default_factory=dict)  # seconds -> {model: evidence}, of those asked for so far

    def moves(self, models=None):
        """The variation within it of the mean of the `models` (names; None: all): {trait: standard deviation}.

        It is taken over the parts that all of these have answered; None where there are not two.
        """
        models = list(self.answer_json["models"]) if models is None else models
        deviations = variation.within(self.parts, models)
        return None if deviations is None else by_target(deviations, self.answer.targets.names)

    def beside(self, suffix):
        """The path of a file that is made of the take."""
        return self.path.with_name(f"take-{self.number}{suffix}")

    def document(self, about):
        """What predict.py writes as JSON for this clip alone; `about` is as of `document.about_models`."""
        return document.whole(about, {self.name: self.answer_json})


def answer_take(number, name, path, ensemble, count, longest, on_step=lambda step, done, count: None):
    """Answer the clip at `path`, with up to `count` frames a window: `Take`.

    `on_step(step, done, count)` is called before each step, in words, with how many windows are answered.
    Raises `BadClipError` for a clip that no model can answer, or that lasts more than `longest` seconds, and
    `UserError` where an answer is not finite.
    """
    clip = open_clip(path, count, with_faces=True, longest=longest)
    frames = {}

    def observe(clip_windows):
        count = len(clip.spans)
        on_step("reading pictures and sound", 0, count)
        for done, window in enumerate(clip_windows):
            on_step("asking the models", done, count)
            frames.update(zip(window.times.tolist(), window.frames, strict=True))
            yield window
            if done + 1 < count:
                on_step("reading pictures and sound", done + 1, count)

    answer = answer_clip(clip, ensemble, observe=observe)
    answer_json = document.as_json(answer, with_maps=False) | {"file": name}
    return Take(number, name, path, answer_json, frames, answer, variation.parts_of(answer, ensemble.models))


def file_name(number, name):
    """The name of a take's file: of what the visitor chose, it keeps only a suffix of sound or video."""
    suffix = Path(name).suffix.lower()
    kind = mimetypes.guess_type(f"clip{suffix}")[0] or ""
    return f"take-{number}{suffix if kind.startswith(('video/', 'audio/')) else '.bin'}"


def middle(take):
    """The moment that a take is first shown at, seconds: of a frame in its middle; None without frames, or a take."""
    strip = take.answer_json["strip"] if take else ()
    return strip[len(strip) // 2]["time"] if strip else None


def moment(take, models, time):
    """What drove the models in the frame nearest to `time`: (its time, its JPEG, {model: evidence}).

    None for a take without frames. The evidence is as docs/answers.md has it, with maps, and "share": per trait, the
    share of the evidence, positive and negative, that lies in the face; None without a face.
    """
    if not take.frames:
        return None
    shown = min(take.frames, key=lambda frame_time: abs(frame_time - time))
    if shown not in take.moments:
        image, faces = read_images([take.frames[shown]]), take.answer.faces_at(shown)
        found = {model.name: model.explain(image, shown, faces) for model in models if not model.no_evidence}
        take.moments[shown] = {
            model: _with_share(evidence.as_json(with_maps=True), faces) for model, evidence in found.items()
        }
    return shown, take.frames[shown], take.moments[shown]


def _with_share(evidence, faces):
    inside = None if evidence["face"] is None else share_inside(faces, *evidence["grid"])
    return evidence | {"share": {trait: _share(np.abs(places), inside) for trait, places in evidence["maps"].items()}}


def _share(amounts, inside):
    return None if inside is None or not amounts.any() else float((amounts * inside).sum() / amounts.sum())


def rewrite_json(take, about):
    """Write the JSON of a take once more where `write_downloads` has written it: more is known of it now."""
    if (path := take.beside(".json")).exists():
        files.write_json(path, take.document(about))


def write_downloads(take, about):
    """Write the picture, the JSON and the CSV of a take, if they are not there: {kind of file: its path}."""
    from first_impression.inference import report  # here: Matplotlib takes seconds to load

    paths = {"picture": take.beside(".png"), "JSON": take.beside(".json"), "CSV": take.beside(".csv")}
    if not paths["CSV"].exists():  # the last one of them
        report.draw(paths["picture"], take.name, take.answer_json, about)
        files.write_json(paths["JSON"], take.document(about))
        tables.write_csv(paths["CSV"], {take.name: take.answer_json})
    return paths
