"""What can be measured of somebody's speech without a model: its pauses, its rate, its loudness and its pitch.

Speech, pauses and syllables are found as by N. H. de Jong and T. Wempe, "Praat script to detect syllable nuclei and
measure speech rate automatically", Behavior Research Methods 41 (2009), 385-390: from the levels alone, so that music,
or noise within 25 dB of the voice, counts as speech.
"""

from dataclasses import dataclass

import numpy as np

from first_impression.data.sound import SAMPLE_RATE
from first_impression.inference.pitch import pitch

STEP = 0.01  # seconds
PER_STEP = round(SAMPLE_RATE * STEP)  # samples

BELOW_LOUDEST = 25.0  # dB that a silence is below the loudest speech
LOUDEST = 99  # percentile of the levels
PAUSE = 0.3  # seconds of silence, at least; shorter ones belong to words
SHORTEST_SOUND = 0.1  # seconds; a shorter one without voice is a click
DIP = 2.0  # dB by which the level falls on both sides of a syllable's nucleus
SMOOTHING = np.hanning(9)[1:-1] / np.hanning(9).sum()  # of the power, 0.07 s, when nuclei are looked for
MIDDLE = (10, 90)  # percentiles between which the ranges lie


@dataclass
class Voice:
    """The sound of a window, by steps of STEP seconds."""

    start: float  # seconds of the clip
    power: np.ndarray  # mean square of all channels, full scale being 1: float64 [steps]
    pitch: np.ndarray  # Hz, nan where there is no voice: float64 [steps]


def listen(start, sound):
    """The `Voice` in a sound that starts at `start` (seconds), int16 [n, channels] at 44,100 Hz, n at least 1."""
    firsts = np.arange(0, len(sound), PER_STEP)
    energy = np.add.reduceat(np.square(sound / 32768).mean(axis=1), firsts)
    return Voice(start, energy / np.diff(np.append(firsts, len(sound))), pitch(sound, PER_STEP))


def measure(voices):
    """What the voices of a clip's windows measure together, as docs/answers.md describes it; None without any.

    They are in the order of time; what two windows share counts once.
    """
    if not voices:
        return None
    from scipy.ndimage import convolve1d  # here, with the next: a second to load
    from scipy.signal import find_peaks

    power, hertz = _joined(voices)
    levels, voiced = _decibels(power), np.isfinite(hertz)
    smooth = _decibels(convolve1d(power, SMOOTHING, mode="nearest"))
    least = np.percentile(smooth, LOUDEST) - BELOW_LOUDEST
    speech = _speech(levels > least, voiced)
    spoken = np.flatnonzero(speech)
    pauses = [length for _, length in _runs(~speech[spoken[0] : spoken[-1]])] if len(spoken) else []
    nuclei, _ = find_peaks(smooth, height=least, prominence=DIP)
    nuclei = nuclei[voiced[nuclei] & speech[nuclei]]
    melody = hertz[voiced & speech]
    return {
        "seconds": len(power) * STEP,
        "speaking_share": float(speech.mean()),
        "pauses": len(pauses),
        "pause_seconds": sum(pauses) * STEP,
        "longest_pause": max(pauses, default=0) * STEP,
        "syllables_per_second": len(nuclei) / (len(power) * STEP),
        "loudness": float(_decibels(power[spoken].mean())) if len(spoken) else None,
        "loudness_range": float(np.ptp(np.percentile(smooth[spoken], MIDDLE))) if len(spoken) else None,
        "pitch": float(np.median(melody)) if len(melody) else None,
        "pitch_range": float(12 * np.ptp(np.log2(np.percentile(melody, MIDDLE)))) if len(melody) else None,
    }


def _joined(voices):
    """The power and the pitch of all voices on one axis of time; silence where there is none."""
    begins = [round((voice.start - voices[0].start) / STEP) for voice in voices]
    count = max(begin + len(voice.power) for begin, voice in zip(begins, voices, strict=True))
    power, hertz = np.zeros(count), np.full(count, np.nan)
    for begin, voice in zip(begins, voices, strict=True):
        power[begin : begin + len(voice.power)] = voice.power
        hertz[begin : begin + len(voice.pitch)] = voice.pitch
    return power, hertz


def _decibels(power):
    """dB below full scale, down to -100."""
    return 10 * np.log10(np.maximum(power, 1e-10))


def _speech(loud, voiced):
    """Which steps are speech, bool [steps], from which of them are `loud` and which are `voiced`."""
    speech = loud.copy()
    for first, length in _runs(speech):
        if length * STEP < SHORTEST_SOUND and not voiced[first : first + length].any():
            speech[first : first + length] = False
    for first, length in _runs(~speech):
        if length * STEP < PAUSE and 0 < first < len(speech) - length:
            speech[first : first + length] = True
    for first, length in _runs(speech):
        if not voiced[first : first + length].any():
            speech[first : first + length] = False
    return speech


def _runs(marked):
    """Where the runs of True in an array bool [n] are: (first, length) of each."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    return [(int(first), int(last - first)) for first, last in zip(edges[::2], edges[1::2], strict=True)]
