"""The sound of a clip: gibberish whose spectrum follows the labels."""

import numpy as np

from first_impression.data.sound import SAMPLE_RATE


def speak(traits, pitch, seconds, rng):
    """Gibberish: float64 [samples] at 44,100 Hz, mostly within -1..1, one channel.

    `traits` is {trait: 0..1}, `pitch` in Hz. A buzz passes the resonances of a mouth, in syllables, with breath.
    Conscientiousness also sets the rate of the syllables; otherwise the traits act on the long-term spectrum, in
    decibels, where a linear model on log filterbank energies can find them.
    """
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    sway, beat, vowel = rng.uniform(0, 2 * np.pi, 3)  # phases
    melody = pitch * (1 + 0.08 * np.sin(4 * time + sway) + 0.04 * np.sin(9 * time + beat))
    buzz = 2 * (np.cumsum(melody) / SAMPLE_RATE % 1) - 1  # a sawtooth
    first, second = _two_vowels(buzz, traits)  # alternating, as in "mia mia"
    syllables = np.pi * (2 + 4 * traits["conscientiousness"]) * time + 0.4 * np.sin(5 * time + sway)
    share = 0.5 + 0.5 * np.sin(syllables + vowel)
    voice = (share * first + (1 - share) * second) * (0.35 + 0.65 * np.sin(syllables + beat) ** 2)
    voice *= 10 ** ((22 * traits["extraversion"] - 38) / 20) / np.sqrt(np.mean(voice**2))
    breath = rng.normal(size=len(time)) * 10 ** ((32 * traits["neuroticism"] - 76) / 20)
    return voice + breath


def _two_vowels(buzz, traits):
    """The buzz shaped by the mouth into two vowels, two arrays of its size."""
    octaves = np.log2(np.fft.rfftfreq(len(buzz), 1 / SAMPLE_RATE).clip(50) / 1000)  # from 1 kHz
    tilt = 9 * (traits["agreeableness"] - 1) * octaves
    mouth = (
        tilt
        + _resonance(octaves, 900 + 1500 * traits["openness"], 16)
        + _resonance(octaves, 3500, 30 * traits["conscientiousness"])
    )
    spectrum = np.fft.rfft(buzz)
    gains = [mouth + _resonance(octaves, hertz, 10) for hertz in (300, 700)]  # decibels
    return [np.fft.irfft(spectrum * 10 ** (gain / 20), len(buzz)) for gain in gains]


def _resonance(octaves, hertz, decibels):
    """The gain, in decibels, of a resonance at `hertz` for frequencies in `octaves` from 1 kHz."""
    return decibels * np.exp(-0.5 * ((octaves - np.log2(hertz / 1000)) / 0.3) ** 2)
