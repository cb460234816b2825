"""Which clips the sample has: their names, source videos and labels, and who speaks in them."""

import math
from dataclasses import dataclass

import numpy as np

from first_impression.data.chalearn import DRAWN_ID, TRAINING, TRAITS, VALIDATION

CLIPS_PER_SOURCE = 3  # clips cut from one source video
OWN_SHARE = 0.3  # how far a clip's values lie from its source's, at most; sources' values go from 0 to 1
DRAWS_OF_LABELS = 300  # of which the best one is used
ID_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

# RGB, 0..255. Skin is a mixture of two neighbouring tones, the others are picked from these
SKIN = ((252, 226, 205), (238, 190, 150), (198, 140, 98), (141, 91, 60), (84, 54, 40))
HAIR = ((28, 24, 26), (62, 42, 32), (112, 70, 42), (156, 74, 38), (216, 176, 104), (170, 168, 168), (238, 234, 226))
HAIR_STYLES = ("short", "long", "bun", "curls", "none")
IRIS = ((74, 46, 28), (104, 78, 40), (70, 104, 66), (70, 110, 150))


@dataclass(frozen=True)
class PlannedClip:
    """A clip to be made."""

    name: str  # <id of the source video>.<number of the clip in it>, as ChaLearn's
    number: int  # counts the clips of both splits
    source: int  # number of the source video
    traits: dict  # {trait: float in (0.1, 0.9)}


@dataclass(frozen=True)
class Speaker:
    """Who seems to speak in a source video."""

    skin: np.ndarray  # RGB, float64 [3], 0..255, as is the hair
    hair: np.ndarray
    hair_style: str  # one of HAIR_STYLES
    iris: tuple  # RGB, 0..255
    glasses: bool
    pitch: float  # of the voice, Hz


def plan_clips(training, validation, seed):
    """{split: list of `PlannedClip`}: so many `training` and `validation` clips, in the order of the zips.

    Half of the validation clips are cut from source videos that training clips are cut from, as most of ChaLearn's are.
    """
    rng = np.random.default_rng([seed, 0])
    known = math.ceil(training / CLIPS_PER_SOURCE)
    shared = validation // 2
    sources = [clip % known for clip in range(training + shared)]
    sources += [known + clip // CLIPS_PER_SOURCE for clip in range(validation - shared)]
    ids = [_video_id(number, rng) for number in range(max(sources) + 1)]
    names = [f"{ids[source]}.{sources[:clip].count(source):03d}" for clip, source in enumerate(sources)]
    # Among few clips two traits can be correlated by accident
    labels = min((_draw_labels(sources, training, rng) for _ in range(DRAWS_OF_LABELS)), key=_largest_covariance)
    traits = [dict(zip(TRAITS, row, strict=True)) for row in np.concatenate(labels).tolist()]
    clips = [PlannedClip(*plan) for plan in zip(names, range(len(names)), sources, traits, strict=True)]
    splits = {TRAINING: clips[:training], VALIDATION: clips[training:]}
    for part in splits.values():
        rng.shuffle(part)
    return splits


def draw_speaker(source, seed):
    """The `Speaker` of the source video with this number. Drawn by chance alone: no label reaches this function.

    Among so few people some features still correlate with a label by accident; another seed has other accidents.
    """
    rng = np.random.default_rng([seed, 1, source])
    tone = rng.uniform(0, len(SKIN) - 1)
    return Speaker(
        skin=np.array([np.interp(tone, range(len(SKIN)), channel) for channel in zip(*SKIN, strict=True)]),
        hair=np.array(HAIR[rng.integers(len(HAIR))]) * rng.uniform(0.85, 1.05),
        hair_style=HAIR_STYLES[rng.integers(len(HAIR_STYLES))],
        iris=IRIS[rng.integers(len(IRIS))],
        glasses=bool(rng.random() < 0.25),
        pitch=rng.uniform(95, 230),
    )


def _video_id(number, rng):
    """Eleven characters, as in YouTube's ids, which `chalearn.is_drawn` knows. Some begin with a dash, as real ones."""
    characters = "".join(rng.choice(list(ID_CHARACTERS), 7))
    return f"-{DRAWN_ID}{characters[:6]}" if number % 9 == 4 else f"{DRAWN_ID}{characters}"


def _draw_labels(sources, training, rng):
    """Labels of the first `training` clips and of the others: two float64 arrays [clips, 5], 0.1..0.9.

    A clip's values are its source's plus a part of its own, so that the source predicts much of them and not all.
    Their ranks in a split become the labels, which spreads each trait evenly, however few the clips are.
    """
    count = max(sources) + 1
    source_values = rng.permuted(np.tile(np.arange(count)[:, None] / count, len(TRAITS)), axis=0)
    values = source_values[sources] + rng.uniform(-OWN_SHARE, OWN_SHARE, (len(sources), len(TRAITS)))
    splits = values[:training], values[training:]
    return [0.1 + 0.8 * (part.argsort(axis=0).argsort(axis=0) + 0.5) / len(part) for part in splits]


def _largest_covariance(labels):
    """The largest covariance, in absolute value, of two traits within a split."""
    covariances = [(part - 0.5).T @ (part - 0.5) / len(part) for part in labels]
    return max(np.abs(matrix - np.diag(np.diag(matrix))).max() for matrix in covariances)
