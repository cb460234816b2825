"""What the models answer to a clip: the targets by window, by frame, by model, and of all models together.

ensemble = models.load(find_runs(Path("runs")))
answer = answer_clip(open_clip(Path("clip.mp4"), 100), ensemble)
"""

import contextlib
import functools
from dataclasses import dataclass, field

import numpy as np

from first_impression.common.errors import BadClipError, lack_of_memory_as_user_error
from first_impression.data.targets import FIVE, Targets
from first_impression.evaluation.ranking import Ranking
from first_impression.inference import unlike
from first_impression.inference.clip import Clip
from first_impression.inference.excerpt import Excerpt
from first_impression.inference.models import BATCH_SIZE

STRIP = 7  # frames that show a clip; an odd number, so that the middle frame is one of them
ASKED_AGAIN = 25  # frames, and windows with sound, that the models can be asked about once more, at most


@dataclass
class WindowAnswer:
    """The answer to a window of a clip. Times are seconds of the clip."""

    start: float
    end: float
    sound_seconds: float  # how much the audio model listened to
    times: np.ndarray  # of the frames that the visual models looked at, float64 [n]
    by_frame: dict  # visual model -> float32 [n, k]
    scores: dict  # model -> float64 [k]
    look: unlike.Look  # what the frames themselves look like
    band: float  # bandwidth of the sound, Hz

    @property
    def fused(self):
        """The plain mean of the models: float64 [k]."""
        return np.mean(list(self.scores.values()), axis=0)


@dataclass
class Answer:
    """The answer to a clip: that of each model is the mean of its answers to the windows."""

    clip: Clip
    windows: list  # of WindowAnswer, in the order of time, of those that any model answered
    percentile: np.ndarray | None = None  # float64 [k], per cent of the training clips with a lower label
    ranking: Ranking | None = None  # what the answer is ranked among
    strip: list = field(default_factory=list)  # (time, JPEG as bytes) of up to STRIP frames, spread over the clip
    excerpt: Excerpt | None = None  # what the models can be asked about once more
    evidence: dict = field(default_factory=dict)  # model -> `evidence.Evidence` of the strip's middle frame
    targets: Targets = FIVE  # what is answered

    @property
    def scores(self):
        """{model: float64 [k]}."""
        names = dict.fromkeys(name for window in self.windows for name in window.scores)
        return {name: np.mean([w.scores[name] for w in self.windows if name in w.scores], axis=0) for name in names}

    @property
    def fused(self):
        """The plain mean of the models: float64 [k]."""
        return np.mean(list(self.scores.values()), axis=0)

    @property
    def spread(self):
        """The standard deviation of the windows' fused answers: float64 [k]; None where there is one window."""
        return np.std([window.fused for window in self.windows], axis=0) if len(self.windows) > 1 else None

    @property
    def sound_seconds(self):
        """How much of the clip the audio model listened to; the overlap of two windows counts once."""
        total, before = 0.0, -np.inf
        for window in self.windows:
            end = window.start + window.sound_seconds
            total += max(0.0, end - max(window.start, before))
            before = max(before, end)
        return total

    @property
    def by_frame(self):
        """What the visual models looked at: (times float64 [n], {model: float32 [n, k]}), each frame once."""
        times, first = self._frames
        seen = [window for window in self.windows if len(window.times)]
        names = seen[0].by_frame if seen else ()
        return times, {name: np.concatenate([window.by_frame[name] for window in seen])[first] for name in names}

    @functools.cached_property
    def look(self):
        """What all these frames look like: `unlike.Look`."""
        _, first = self._frames
        looks = [window.look for window in self.windows if len(window.times)]
        if not looks:
            return unlike.Look()
        faces = None if looks[0].faces is None else [boxes for look in looks for boxes in look.faces]
        return unlike.Look(
            np.concatenate([look.dark for look in looks])[first],
            np.concatenate([look.still for look in looks])[first],
            None if faces is None else [faces[index] for index in first],
        )

    def faces_at(self, time):
        """The boxes of the faces in the frame shown at `time`, float64 [k, 4]; None where none were looked for."""
        faces = self.look.faces
        return None if faces is None else faces[np.searchsorted(self._frames[0], time)]

    @functools.cached_property
    def _frames(self):
        """The times of the frames, and where each lies among those of all windows, of which two may share one."""
        return np.unique(np.concatenate([window.times for window in self.windows]), return_index=True)

    @property
    def warnings(self):
        """What to warn of, as texts: what the clip lacks, and how it differs from the training clips."""
        clip, answered_by = self.clip, ", ".join(self.scores)
        warnings = [f"{reason}; answered by {answered_by} alone" for reason in clip.missing.values()]
        warnings += clip.notes
        warnings += unlike.in_length(clip.end - clip.start)
        warnings += unlike.in_streams(clip.video, clip.sound, clip.start, clip.end)
        if len(self._frames[0]):
            warnings += unlike.in_pictures(clip.video, self.look)
        if heard := [window for window in self.windows if window.sound_seconds]:
            spans, band = [(window.start, window.end) for window in heard], max(window.band for window in heard)
            warnings += unlike.in_sound(clip.loudness, clip.start, spans, band)
        return warnings


def answer_clip(clip, ensemble, batch_size=BATCH_SIZE, with_evidence=False, observe=iter):
    """Ask all models of the `Ensemble` that can answer the opened clip: `Answer`.

    There is evidence where it is asked for, or where faces were looked for and found in the middle frame.
    `observe(windows)` yields the windows as they are, and may show progress meanwhile.
    Raises `BadClipError` where no model can answer, and `UserError` where an answer is not finite.
    """
    answer = Answer(clip, [], excerpt=Excerpt(clip, ASKED_AGAIN, ASKED_AGAIN), targets=ensemble.targets)
    strip = Excerpt(clip, STRIP)
    with contextlib.closing(clip), lack_of_memory_as_user_error(batch_size):
        for window in observe(clip.windows):
            answered = _answer_window(window, ensemble.models, batch_size)
            strip.look_at(window)
            answer.excerpt.look_at(window)
            if answered.scores:
                answer.windows.append(answered)
    if not answer.windows:
        raise BadClipError(_why_none(clip, ensemble.models))
    if ensemble.training_clips:
        answer.percentile = ensemble.below(answer.fused).diagonal()
    answer.ranking = ensemble.ranking(answer.scores, clip.path)
    answer.strip = strip.frames if answer.by_frame[1] else []
    if answer.strip:
        time, middle = answer.strip[len(answer.strip) // 2]
        faces = answer.faces_at(time)
        if with_evidence or faces is not None and len(faces):
            explained = [model for model in ensemble.models if not model.no_evidence]
            image = read_images([middle])
            answer.evidence = {model.name: model.explain(image, time, faces) for model in explained}
    return answer


def _answer_window(window, models, batch_size):
    by_frame, scores = {}, {}
    for model in models:
        if model.kind == "image" and window.frames:
            starts = range(0, len(window.frames), batch_size)
            batches = (read_images(window.frames[at : at + batch_size]) for at in starts)
            values = by_frame[model.name] = np.concatenate([model.ask(batch) for batch in batches])
        elif model.kind == "audio" and window.features is not None:
            values = model.ask(window.features[None])
        else:
            continue
        scores[model.name] = values.mean(axis=0, dtype=np.float64)
    heard = window.sound_seconds if len(scores) > len(by_frame) else 0.0
    times = window.times if by_frame else np.empty(0)
    return WindowAnswer(window.start, window.end, heard, times, by_frame, scores, window.look, window.band)


def _why_none(clip, models):
    reasons = list(dict.fromkeys(clip.missing.values())) or ["nothing in it can be decoded"]
    no_other = f", and no other model than {', '.join(m.name for m in models)}" if len(clip.missing) == 1 else ""
    return "; ".join(reasons) + no_other


def read_images(jpegs):
    """Decode frames, JPEGs as bytes, as training does: uint8 [n, 224, 224, 3], RGB."""
    import tensorflow as tf

    return np.stack([tf.io.decode_jpeg(jpeg, channels=3).numpy() for jpeg in jpegs])
