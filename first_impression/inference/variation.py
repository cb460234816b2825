"""How much an answer varies within one clip, beside which a difference between two answers is to be read."""

import contextlib

import numpy as np

from first_impression.data import windows
from first_impression.data.sound import SAMPLE_RATE, samples_from
from first_impression.inference.window import LEAST_SOUND, Window

PARTS = 3  # of a clip that is one window; the variation within it is taken over these
# Two recordings of the same scene differ by up to this, since each starts at another moment and is encoded anew: 0.005
# was measured
RECORDING = 0.01


def parts_of(answer, models):
    """The answers of the models to the windows of a clip, or else to its thirds: [{model: [k]}].

    `answer` is that to the clip, of these `models`. Empty where the clip is too short for thirds. Raises `UserError`
    where an answer is not finite.
    """
    if len(answer.windows) > 1:
        return [window.scores for window in answer.windows]
    clip = answer.clip
    length = (clip.end - clip.start) / PARTS
    if length < LEAST_SOUND:
        return []
    spans = windows.plan(clip.start, clip.end, length)
    samples = samples_from(clip.path, clip.start, clip.sound) if clip.sound else (nothing for nothing in ())
    with contextlib.closing(samples):
        sounds = windows.sound_in(spans, samples)
        return [_of_part(span, sound, answer, models) for span, sound in zip(spans, sounds, strict=True)]


def _of_part(span, sound, answer, models):
    """The answer of each model to a part of a clip: {model: [k]}, of the models that find something in it."""
    times, by_frame = answer.by_frame
    inside = (times >= span[0]) & (times < span[1])
    scores = {name: values[inside].mean(axis=0) for name, values in by_frame.items() if inside.any()}
    if len(sound) >= LEAST_SOUND * SAMPLE_RATE:
        window = Window(*span)
        window.hear(sound)
        heard = [model for model in models if model.kind == "audio" and model.name in answer.scores]
        scores |= {model.name: model.ask(window.features[None])[0] for model in heard}
    return scores


def within(parts, names):
    """The standard deviation of the mean of the models of these `names` over the `parts_of` a clip: float64 [k].

    It is taken over the parts that all of these have answered; None where there are not two.
    """
    means = [np.mean([part[name] for name in names], axis=0) for part in parts if part.keys() >= set(names)]
    return np.std(means, axis=0) if len(means) > 1 else None


def scatter(within):
    """What an answer moves by without a reason: `within`, a standard deviation or None, but at least RECORDING."""
    return None if within is None else max(within, RECORDING)


def is_larger(difference, within):
    """Whether a difference is larger than the variation `within` a clip and than that of two recordings of a scene.

    None where the variation is not known (None).
    """
    return None if within is None else abs(difference) > scatter(within)
