"""What trained models answer to a clip: the five traits of each, and of all of them together.

models = load_models(saved_models.find_trained(Path("runs")))
with tempfile.TemporaryDirectory() as folder:
    answer = answer_clip(decode_clip(Path("clip.mp4"), folder, 100), models)
as_json({"clip": answer}, models)
"""

from dataclasses import dataclass

import numpy as np

from first_impression.common import script
from first_impression.common.errors import BadClipError
from first_impression.data.chalearn import TRAITS
from first_impression.evaluation.predictions import read_csv
from first_impression.evaluation.traits import by_trait
from first_impression.training import saved_models

REMINDER = (
    "The values, 0 to 1, are strangers' first impressions as a model guesses them: no measure of the person, and no\n"
    'basis for decisions about people. A high "neuroticism" means emotionally stable, as in the dataset.'
)


@dataclass
class Model:
    """A trained model, or the mean of several epochs of one: `infer` maps inputs [n, ...] to the traits [n, 5]."""

    name: str
    kind: str  # "image" or "audio"
    start: dict  # the weights that it started from, as settings.json has them
    network: object  # of the first of the epochs
    infer: object
    no_evidence: str  # why there are no evidence maps for it; empty where there are

    @property
    def caution(self):
        """What to warn of: a visual model that did not start from published weights. Empty if there is nothing."""
        if self.start["published"] is not False:
            return ""
        return f"{self.name} did not start from published weights: {self.start['words']}"


class Models(list):
    """Loaded models, with the labels of their training clips: `labels`, float64 [clips, 5], perhaps without rows."""

    labels = np.empty((0, len(TRAITS)))

    @property
    def cautions(self):
        return [model.caution for model in self if model.caution]


def load_models(folders, epochs=""):
    """The models of the runs {name: folder}, ready to answer: `Models`. `epochs` is as in `saved_models.epoch_files`.

    Raises `UserError` as `saved_models.load_networks` does.
    """
    script.load_tensorflow()
    import tensorflow as tf

    models = Models()
    models.labels = _training_labels(folders.values())
    for name, folder in folders.items():
        networks, kind = saved_models.load_networks(folder, epochs)
        infer = tf.function(saved_models.mean_of(networks), reduce_retracing=True)
        models.append(Model(name, kind, saved_models.start_of(folder), networks[0], infer, _no_evidence(networks)))
    return models


def _no_evidence(networks):
    from first_impression.inference import evidence

    if len(networks) > 1:
        return "since it is the mean of several epochs"
    return "" if evidence.described(networks[0]) else "since it is not a DAN"


def _training_labels(folders):
    """Labels of the runs' training clips, each clip once: float64 [clips, 5]; without rows if the runs name none."""
    labels = {}
    for folder in folders:
        if (folder / saved_models.TRAINING_LABELS).exists():
            labels |= read_csv(folder / saved_models.TRAINING_LABELS)[0]
    return np.array(list(labels.values())).reshape(-1, len(TRAITS))


@dataclass
class Answer:
    """The answer to one clip."""

    file: str
    scores: dict  # model -> float64 [5]
    fused: np.ndarray  # [5], their plain mean
    frames: int  # how many the visual models looked at
    sound_seconds: float  # how much the audio model listened to
    percentile: np.ndarray | None  # [5], per cent of the training clips with a lower label
    over_time: dict  # model -> (times in seconds [n], values [n, 5]); a visual model's are those of the frames
    warnings: list
    picture: str = ""  # the file of its report


def answer_clip(clip, models, batch_size=25):
    """Ask all of the `Models` that can answer the `DecodedClip`: `Answer`. Raises `BadClipError` where none can."""
    rows = {}  # model -> [frames, 5], or [1, 5]
    for model in models:
        if model.kind == "image" and clip.frames:
            starts = range(0, len(clip.frames), batch_size)
            parts = [model.infer(read_images(clip.frames[at : at + batch_size])).numpy() for at in starts]
            rows[model.name] = np.concatenate(parts)
        elif model.kind == "audio" and clip.features is not None:
            rows[model.name] = model.infer(clip.features[None]).numpy()
    if not rows:
        others = ", ".join(model.name for model in models)
        no_other = f", and no other model than {others}" if len(clip.missing) == 1 else ""
        raise BadClipError("; ".join(dict.fromkeys(clip.missing.values())) + no_other)
    scores = {name: values.mean(axis=0, dtype=np.float64) for name, values in rows.items()}
    fused = np.mean(list(scores.values()), axis=0)
    visual = [model.name for model in models if model.kind == "image" and model.name in rows]
    of_sound = np.array([clip.sound_seconds / 2])
    return Answer(
        file=str(clip.path),
        scores=scores,
        fused=fused,
        frames=len(clip.frames) if visual else 0,
        sound_seconds=clip.sound_seconds if len(rows) > len(visual) else 0.0,
        percentile=100 * (models.labels < fused).mean(axis=0) if len(models.labels) else None,
        over_time={name: (clip.times if name in visual else of_sound, values) for name, values in rows.items()},
        warnings=[f"{reason}; answered by {', '.join(rows)} alone" for reason in clip.missing.values()],
    )


def read_images(paths):
    """Decode frames as training does: uint8 [n, 224, 224, 3], RGB."""
    import tensorflow as tf

    return np.stack([tf.io.decode_jpeg(path.read_bytes(), channels=3).numpy() for path in paths])


def as_json(answers, models, unusable=None, cautions=()):
    """All that is known about the answers {clip: Answer}, as what JSON can hold. `unusable`: {file: reason}."""

    return {
        "note": " ".join(REMINDER.split()),
        "cautions": list(cautions),
        "models": {model.name: {"kind": model.kind, "started_from": model.start["words"]} for model in models},
        "training_clips": len(models.labels),
        "clips": {
            name: {
                "file": answer.file,
                "fused": by_trait(answer.fused),
                "models": {model: by_trait(values) for model, values in answer.scores.items()},
                "percentile": None if answer.percentile is None else by_trait(answer.percentile),
                "frames": answer.frames,
                "sound_seconds": answer.sound_seconds,
                "warnings": answer.warnings,
                "picture": answer.picture,
            }
            for name, answer in answers.items()
        },
        "unusable": unusable or {},
    }
