"""What if the clip were another one: the same models asked again about edits of it.

found = WhatIf(answer, ensemble.models)
for step in found.steps(): ..  # asks
found.as_json(variation.parts_of(answer, ensemble.models))

The effect of an edit is the answer to it less the answer to the same frames and the same sound as they are.
"""

import time

import numpy as np

from first_impression.common.errors import lack_of_memory_as_user_error
from first_impression.evaluation.display import by_target
from first_impression.inference import variation
from first_impression.inference.answer import read_images
from first_impression.inference.edits import EDITS
from first_impression.inference.models import BATCH_SIZE

SENSES = {"image": "sees", "audio": "hears"}  # what a kind of models does


class WhatIf:
    """The effects of `edits` on an `Answer`, over its excerpt; of the `models`, those that have answered are asked."""

    def __init__(self, answer, models, batch_size=BATCH_SIZE, edits=EDITS):
        self.answer, self.batch_size, self.edits = answer, batch_size, edits
        self.models = [model for model in models if model.name in answer.scores]
        self.inputs = self._inputs()
        self.faces, self.no_faces = self._faces()
        self.unedited = {}  # model -> float64 [k]
        self.effects = {}  # name of an edit -> {model: float64 [k]}, of those that were asked about
        self.seconds = {}  # kind of models -> how long it took the last time that all of them were asked

    def _inputs(self):
        """{kind of models: what they are asked about}, of the kinds that have answered."""
        kinds, excerpt = {model.kind for model in self.models}, self.answer.excerpt
        inputs = {"image": read_images([jpeg for _, jpeg in excerpt.frames])} if "image" in kinds else {}
        return inputs | ({"audio": np.stack(excerpt.features)} if "audio" in kinds else {})

    def _faces(self):
        """The face of each frame, float64 [n, 4], and "" - or None, and why there is none.

        Of several faces, it is the largest; in a frame without one, the median of the others.
        """
        if "image" not in self.inputs:
            return None, ""
        found = [self.answer.faces_at(time) for time, _ in self.answer.excerpt.frames]
        if found[0] is None:
            return None, "no faces were looked for (FACES = False)"
        seen = [boxes[np.argmax(boxes[:, 2] * boxes[:, 3])] for boxes in found if len(boxes)]
        if 2 * len(seen) < len(found):
            return None, f"a face in {len(seen)} of {len(found)} frames only" if seen else "no face was found"
        middle, seen = np.median(seen, axis=0), iter(seen)
        return np.stack([next(seen) if len(boxes) else middle for boxes in found]), ""

    def missing(self, edit):
        """Why the models cannot be asked about an edit, as text; "" if they can."""
        if edit.kind not in self.inputs:
            return self.answer.clip.missing.get(edit.kind) or f"no model that {SENSES[edit.kind]} was asked"
        return self.no_faces if edit.needs_faces else ""

    @property
    def count(self):
        """How many steps there are."""
        return 1 + sum(not self.missing(edit) for edit in self.edits)

    @property
    def seconds_left(self):
        """About how long the remaining steps will take: each as long as the last one of its kind."""
        left = [edit for edit in self.edits if not self.missing(edit) and edit.name not in self.effects]
        return sum(self.seconds[edit.kind] for edit in left)

    def steps(self):
        """Ask about the clip as it is and about each edit that can be; after each, yield what that was, in words.

        Raises `UserError` where an answer is not finite.
        """
        for kind, inputs in self.inputs.items():
            self.unedited |= self._ask(kind, inputs)
        yield "as it is"
        for edit in self.edits:
            if self.missing(edit):
                continue
            faces = {"faces": self.faces} if edit.needs_faces else {}
            edited = self._ask(edit.kind, edit.apply(self.inputs[edit.kind], **faces))
            self.effects[edit.name] = {name: scores - self.unedited[name] for name, scores in edited.items()}
            yield edit.words

    def _ask(self, kind, inputs):
        """The mean answers to all inputs of the models of this kind: {model: float64 [k]}."""
        begun = time.monotonic()
        batches = [inputs[at : at + self.batch_size] for at in range(0, len(inputs), self.batch_size)]
        with lack_of_memory_as_user_error(self.batch_size):
            found = {
                model.name: np.concatenate([model.ask(batch) for batch in batches]).mean(axis=0, dtype=np.float64)
                for model in self.models
                if model.kind == kind
            }
        self.seconds[kind] = time.monotonic() - begun
        return found

    def as_json(self, parts):
        """The fields that docs/answers.md describes; `parts` are the `variation.parts_of` the clip."""
        moves = variation.within(parts, [model.name for model in self.models])
        return {
            "frames": len(self.inputs.get("image", ())),
            "windows": len(self.inputs.get("audio", ())),
            "models": {name: self._named(scores) for name, scores in self.unedited.items()},
            "moves": None if moves is None else self._named(moves),
            "edits": {edit.name: self._of_edit(edit) for edit in self.edits},
        }

    def _of_edit(self, edit):
        effects, models = self.effects.get(edit.name), {}
        if effects:
            models = {name: effects.get(name, np.zeros_like(scores)) for name, scores in self.unedited.items()}
        return {
            "words": edit.words,
            "missing": "" if effects else self.missing(edit) or "not asked",
            "fused": self._named(np.mean(list(models.values()), axis=0)) if effects else None,
            "models": {name: self._named(values) for name, values in models.items()},
        }

    def _named(self, values):
        return by_target(values, self.answer.targets.names)
