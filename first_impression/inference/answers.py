"""What trained models answer to a clip: the five traits of each, and of all of them together.

models = load_models(saved_models.find_trained(Path("runs")))
clip = open_clip(Path("clip.mp4"), 100)
as_json(answer_clip(clip, models))
"""

import base64
import contextlib
import functools
from dataclasses import dataclass, field

import numpy as np

from first_impression.common import files
from first_impression.common.errors import BadClipError, UserError
from first_impression.common.tensorflow_start import load_tensorflow
from first_impression.data.chalearn import FRAME_SIZE, TRAITS
from first_impression.data.sound import LOUDNESS_STEP
from first_impression.evaluation.traits import by_trait
from first_impression.inference import evidence, unlike
from first_impression.inference.clip import Clip
from first_impression.training import saved_models

SCHEMA = 1  # of the JSON, as docs/answers.md describes it; counted up where a field changes its meaning
REMINDER = (
    "The values, 0 to 1, are strangers' first impressions as a model guesses them: no measure of the person, and no\n"
    'basis for decisions about people. A high "neuroticism" means emotionally stable, as in the dataset.'
)
BATCH_SIZE = 25  # frames at a time
STRIP = 7  # frames that show a clip; an odd number, so that the middle frame is one of them
BINS = 25  # of the histograms of the training labels, from 0 to 1


@dataclass
class Model:
    """A trained model, or the mean of several epochs of one: `infer` maps inputs [n, ...] to the traits [n, 5]."""

    name: str
    kind: str  # "image" or "audio"
    start: dict  # the weights that it started from, as settings.json has them
    network: object  # of the first of the epochs
    infer: object
    no_evidence: str  # why there are no evidence maps for it; empty where there are
    fingerprints: dict  # file's name -> its MD5

    @property
    def caution(self):
        """What to warn of: a visual model that did not start from published weights. Empty if there is nothing."""
        if self.start["published"] is not False:
            return ""
        return f"{self.name} did not start from published weights: {self.start['words']}"


class Models(list):
    """Loaded models, with what is known of the clips that they were trained on."""

    training_clips = 0  # how many
    quantiles = np.empty((0, len(TRAITS)))  # of their labels, float64 [manifest.QUANTILES, 5], perhaps without rows

    def below(self, values):
        """The share of the training clips whose labels are below `values` [n]: per cent, float64 [n, 5].

        From the quantiles, so that published models give what the runs themselves do. Exact to 1 %.
        """
        shares = np.linspace(0, 100, len(self.quantiles))
        return np.stack([np.interp(values, labels, shares, left=0, right=100) for labels in self.quantiles.T], axis=1)

    @property
    def cautions(self):
        return [model.caution for model in self if model.caution]


def load_models(folders, epochs=""):
    """The models of the runs {name: folder}, ready to answer: `Models`. `epochs` is as in `saved_models.epoch_files`.

    Raises `UserError` as `saved_models.load_networks` does.
    """
    load_tensorflow()
    import tensorflow as tf

    models = Models()
    models.training_clips, models.quantiles = saved_models.about_training(folders.values())
    for name, folder in folders.items():
        networks, kind = saved_models.load_networks(folder, epochs)
        infer = tf.function(saved_models.mean_of(networks), reduce_retracing=True)
        fingerprints = {file.name: files.md5(file) for file in saved_models.epoch_files(folder, epochs)}
        start, no_evidence = saved_models.start_of(folder), _no_evidence(networks)
        models.append(Model(name, kind, start, networks[0], infer, no_evidence, fingerprints))
    return models


def warm_up(models, counts):
    """Have the visual models answer once with as many frames as a window of each of the `counts` has.

    Their first answer takes seconds longer than those that follow.
    """
    batches = {size for count in counts for size in (min(count, BATCH_SIZE), count % BATCH_SIZE) if size}
    for model in models:
        for size in batches if model.kind == "image" else ():
            model.infer(np.zeros((size, FRAME_SIZE, FRAME_SIZE, 3), np.uint8))


def _no_evidence(networks):
    if len(networks) > 1:
        return "since it is the mean of several epochs"
    return "" if evidence.described(networks[0]) else "since it is not a DAN"


@dataclass
class WindowAnswer:
    """The answer to a window of a clip. Times are seconds of the clip."""

    start: float
    end: float
    sound_seconds: float  # how much the audio model listened to
    times: np.ndarray  # of the frames that the visual models looked at, float64 [n]
    by_frame: dict  # visual model -> float32 [n, 5]
    scores: dict  # model -> float64 [5]
    look: unlike.Look  # at the frames
    band: float  # bandwidth of the sound, Hz

    @property
    def fused(self):
        """The plain mean of the models: float64 [5]."""
        return np.mean(list(self.scores.values()), axis=0)


@dataclass
class Answer:
    """The answer to a clip: that of each model is the mean of its answers to the windows."""

    clip: Clip
    windows: list  # of WindowAnswer, in the order of time, of those that any model answered
    percentile: np.ndarray | None = None  # float64 [5], per cent of the training clips with a lower label
    strip: list = field(default_factory=list)  # (time, JPEG as bytes) of up to STRIP frames, spread over the clip
    evidence: dict = field(default_factory=dict)  # model -> `evidence.Evidence` of the strip's middle frame

    @property
    def scores(self):
        """{model: float64 [5]}."""
        names = dict.fromkeys(name for window in self.windows for name in window.scores)
        return {name: np.mean([w.scores[name] for w in self.windows if name in w.scores], axis=0) for name in names}

    @property
    def fused(self):
        """The plain mean of the models: float64 [5]."""
        return np.mean(list(self.scores.values()), axis=0)

    @property
    def spread(self):
        """The standard deviation of the windows' fused answers: float64 [5]; None where there is one window."""
        return np.std([window.fused for window in self.windows], axis=0) if len(self.windows) > 1 else None

    @property
    def sound_seconds(self):
        """How much of the clip the audio model listened to; what lies in two windows counts once."""
        total, before = 0.0, -np.inf
        for window in self.windows:
            end = window.start + window.sound_seconds
            total += max(0.0, end - max(window.start, before))
            before = max(before, end)
        return total

    @property
    def by_frame(self):
        """What the visual models looked at: (times float64 [n], {model: float32 [n, 5]}), each frame once."""
        times, first = self._frames
        seen = [window for window in self.windows if len(window.times)]
        names = seen[0].by_frame if seen else ()
        return times, {name: np.concatenate([window.by_frame[name] for window in seen])[first] for name in names}

    @property
    def look(self):
        """At all these frames: `unlike.Look`."""
        _, first = self._frames
        looks = [window.look for window in self.windows if len(window.times)]
        if not looks:
            return unlike.Look()
        faces = None if looks[0].faces is None else [boxes for look in looks for boxes in look.faces]
        return unlike.Look(
            np.concatenate([look.dark for look in looks])[first],
            np.concatenate([look.still for look in looks])[first],
            faces and [faces[index] for index in first],
        )

    def faces_at(self, time):
        """The boxes of the faces in the frame shown at `time`, float64 [k, 4]; None where nobody has looked."""
        faces = self.look.faces
        return None if faces is None else faces[np.searchsorted(self._frames[0], time)]

    @functools.cached_property
    def _frames(self):
        """The times of the frames, and where each lies among those of all windows, of which two may share one."""
        return np.unique(np.concatenate([window.times for window in self.windows]), return_index=True)

    @property
    def warnings(self):
        """What to warn of, as texts: what the clip lacks, and in what it is unlike those of the training."""
        clip, answered = self.clip, ", ".join(self.scores)
        told = [f"{reason}; answered by {answered} alone" for reason in clip.missing.values()]
        told += [clip.undecoded] if clip.undecoded else []
        told += unlike.in_length(clip.end - clip.start)
        if len(self._frames[0]):
            told += unlike.in_pictures(clip.video, self.look)
        if heard := [window for window in self.windows if window.sound_seconds]:
            spans, band = [(window.start, window.end) for window in heard], max(window.band for window in heard)
            told += unlike.in_sound(clip.loudness, clip.start, spans, band)
        return told


def answer_clip(clip, models, batch_size=BATCH_SIZE, with_evidence=False, each=iter):
    """Ask all of the `Models` that can answer the `Clip`: `Answer`.

    There is evidence where it is asked for, or where a face was looked for and found. `each(windows)` gives the
    windows as they are, and may show meanwhile how far they are.
    Raises `BadClipError` where no model can answer, and `UserError` where an answer is not finite.
    """
    answer = Answer(clip, [])
    strip = _Strip(clip)
    with contextlib.closing(clip):
        for window in each(clip.windows):
            answered = _answer_window(window, models, batch_size)
            strip.look_at(window)
            if answered.scores:
                answer.windows.append(answered)
    if not answer.windows:
        raise BadClipError(_why_none(clip, models))
    if models.training_clips:
        answer.percentile = models.below(answer.fused).diagonal()
    answer.strip = strip.frames if answer.by_frame[1] else []
    if answer.strip:
        time, middle = answer.strip[len(answer.strip) // 2]
        faces = answer.faces_at(time)
        if with_evidence or faces is not None and len(faces):
            explained = [model for model in models if not model.no_evidence]
            image = read_images([middle])
            answer.evidence = {m.name: evidence.explain(m.network, image, time, faces) for m in explained}
    return answer


def _answer_window(window, models, batch_size):
    by_frame, scores = {}, {}
    for model in models:
        if model.kind == "image" and window.frames:
            starts = range(0, len(window.frames), batch_size)
            parts = [model.infer(read_images(window.frames[at : at + batch_size])).numpy() for at in starts]
            values = by_frame[model.name] = np.concatenate(parts)
        elif model.kind == "audio" and window.features is not None:
            values = model.infer(window.features[None]).numpy()
        else:
            continue
        if not np.isfinite(values).all():
            raise UserError(f"{model.name} answers what is not finite: train it with a lower LEARNING_RATE")
        scores[model.name] = values.mean(axis=0, dtype=np.float64)
    heard = window.sound_seconds if len(scores) > len(by_frame) else 0.0
    times = window.times if by_frame else np.empty(0)
    return WindowAnswer(window.start, window.end, heard, times, by_frame, scores, window.look, window.band)


def _why_none(clip, models):
    reasons = list(dict.fromkeys(clip.missing.values())) or ["nothing in it can be decoded"]
    no_other = f", and no other model than {', '.join(m.name for m in models)}" if len(clip.missing) == 1 else ""
    return "; ".join(reasons) + no_other


class _Strip:
    """Picks the frames that show a clip while its windows pass by: those next to STRIP points of time."""

    def __init__(self, clip):
        shown = clip.video.times[[0, -1]] if clip.video else (clip.start, clip.end)
        self._points = np.linspace(*np.clip(shown, clip.start, clip.end), STRIP)
        self._next = [(np.inf, None)] * STRIP  # (time, JPEG) of the frame next to each point

    def look_at(self, window):
        for number, point in enumerate(self._points if window.frames else ()):
            index = np.abs(window.times - point).argmin()
            if abs(window.times[index] - point) < abs(self._next[number][0] - point):
                self._next[number] = float(window.times[index]), window.frames[index]

    @property
    def frames(self):
        """Each once, in the order of time."""
        return sorted({time: jpeg for time, jpeg in self._next if jpeg}.items())


def read_images(jpegs):
    """Decode frames, JPEGs as bytes, as training does: uint8 [n, 224, 224, 3], RGB."""
    import tensorflow as tf

    return np.stack([tf.io.decode_jpeg(jpeg, channels=3).numpy() for jpeg in jpegs])


def about_models(models, cautions):
    """What answers to all clips have in common, as JSON holds it; docs/answers.md describes the fields."""
    histograms = np.zeros((len(TRAITS), BINS))
    if models.training_clips:
        histograms = np.diff(models.below(np.linspace(0, 1, BINS + 1)), axis=0).T
    return {
        "schema": SCHEMA,
        "note": " ".join(REMINDER.split()),
        "cautions": list(cautions),
        "program": saved_models.made_by(),
        "models": {
            model.name: {
                "kind": model.kind,
                "started_from": model.start["words"],
                "caution": model.caution,
                "files": model.fingerprints,
            }
            for model in models
        },
        "training_clips": models.training_clips,
        "training_histogram": by_trait(histograms.round(6)),
    }


def document(about, clips, unusable=()):
    """The whole JSON of predict.py: `about_models`, `clips` {name: `as_json`} and `unusable` {file: why}."""
    return {**about, "clips": clips, "unusable": dict(unusable)}


def as_json(answer, with_maps=True):
    """All that is known of the answer to a clip, as JSON holds it; docs/answers.md describes the fields.

    The evidence comes with its maps on request.
    """
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
        },
        "sound": clip.sound and {"sample_rate": clip.sound.sample_rate, "channels": clip.sound.channels},
        "fused": by_trait(answer.fused),
        "spread": None if answer.spread is None else by_trait(answer.spread),
        "models": {name: by_trait(values) for name, values in answer.scores.items()},
        "percentile": None if answer.percentile is None else by_trait(answer.percentile),
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
        "evidence": {name: found.as_json(with_maps) for name, found in answer.evidence.items()},
        "warnings": answer.warnings,
    }
