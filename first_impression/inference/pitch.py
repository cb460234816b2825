"""The pitch of a voice over time, by autocorrelation.

The method is that of P. Boersma, "Accurate short-term analysis of the fundamental frequency and the
harmonics-to-noise ratio of a sampled sound", Proceedings of the Institute of Phonetic Sciences 17 (Amsterdam 1993),
97-110, with the constants given there; written anew in NumPy, since the libraries that have such a method need a
compiler (pyworld), a GPL (praat-parselmouth) or 17 more packages (librosa).
"""

import numpy as np
import scipy.fft

from first_impression.data.sound import SAMPLE_RATE

LOWEST, HIGHEST = 75.0, 500.0  # Hz, of voices

DECIMATION = 4
RATE = SAMPLE_RATE // DECIMATION  # Hz: 11,025, which keeps the harmonics that matter
FRAME = round(3 * RATE / LOWEST)  # samples: three periods of the lowest pitch
SIZE = 1024  # of the Fourier transform: half as much again as the frame, so that what wraps around is not seen
FINER = 4  # lags between two samples

CANDIDATES = 6  # of each frame
VOICING_THRESHOLD, SILENCE_THRESHOLD = 0.45, 0.03  # of the autocorrelation; of the loudest moment's peak
OCTAVE_COST, OCTAVE_JUMP_COST, VOICING_COST = 0.01, 0.35, 0.14  # the last two for steps of 0.01 s


def pitch(sound, step):
    """The pitch in the middle of each `step` samples of a sound, int16 [n, channels] at 44,100 Hz.

    Hz, float64 [ceil(n / step)], nan where there is no voice. The path through the candidates is the cheapest one.
    """
    if not len(sound):
        return np.empty(0)
    autocorrelation, peaks = _autocorrelation(sound, step)
    strength, hertz = _candidates(autocorrelation)
    relative = peaks / max(peaks.max(), 1e-9)
    unvoiced = VOICING_THRESHOLD + np.maximum(0, 2 - relative * (1 + VOICING_THRESHOLD) / SILENCE_THRESHOLD)
    strength = np.column_stack([unvoiced, strength])
    hertz = np.column_stack([np.full(len(hertz), np.nan), hertz])
    return hertz[np.arange(len(hertz)), _best_path(strength, hertz)]


def _autocorrelation(sound, step):
    """(float32 [steps, lags], that of a frame divided by that of its window; largest amplitude of each frame).

    The channels' are added up: what is opposite in two would be missing in the sum of the sounds. The lags go from 0
    by 1 / FINER samples.
    """
    from scipy.signal import resample_poly  # here: a second to load, while TensorFlow starts anyway

    middles = ((np.arange(0, len(sound), step) + step / 2) / DECIMATION).round().astype(int)
    window = np.hanning(FRAME + 2)[1:-1].astype(np.float32)
    lags = int(RATE / LOWEST + 2) * FINER
    power, peaks = 0.0, 0.0
    for channel in sound.T.astype(np.float32) / 32768:
        channel = np.pad(resample_poly(channel, 1, DECIMATION), FRAME)
        places = (middles + FRAME - FRAME // 2)[:, None] + np.arange(FRAME)
        frames = channel[np.minimum(places, len(channel) - 1)]
        frames -= frames.mean(axis=1, keepdims=True)
        peaks = np.maximum(peaks, np.abs(frames).max(axis=1))
        power = power + np.square(np.abs(scipy.fft.rfft(frames * window, SIZE, axis=1)))
    of_window = scipy.fft.irfft(np.square(np.abs(scipy.fft.rfft(window, SIZE))), SIZE * FINER)[:lags]
    found = scipy.fft.irfft(power, SIZE * FINER, axis=1)[:, :lags]
    return found / np.maximum(found[:, :1], 1e-12) / (of_window / of_window[0]), peaks


def _candidates(autocorrelation):
    """The highest peaks of each frame: (strength, Hz), both [steps, CANDIDATES]; the strength of none is -inf."""
    least = int(RATE / HIGHEST * FINER)
    before, here, after = (autocorrelation[:, least + shift : shift - 1 or None] for shift in (-1, 0, 1))
    before, here = before[:, : after.shape[1]], here[:, : after.shape[1]]
    is_peak = (here > before) & (here >= after)
    rise, bend = after - before, np.where(is_peak, 2 * here - before - after, 1)
    shift = rise / (2 * bend)  # from here to the top of the parabola through the three
    hertz = RATE * FINER / (least + np.arange(here.shape[1]) + shift)
    strength = np.minimum(here + rise * shift / 4, 1) + OCTAVE_COST * np.log2(hertz / LOWEST)
    strength = np.where(is_peak, strength, -np.inf)
    chosen = np.argpartition(-strength, CANDIDATES, axis=1)[:, :CANDIDATES]
    return np.take_along_axis(strength, chosen, axis=1), np.take_along_axis(hertz, chosen, axis=1)


def _best_path(strength, hertz):
    """Which candidate each frame has on the path of the greatest strength, less what its jumps cost: int [steps]."""
    octaves, voiced = np.log2(np.nan_to_num(hertz, nan=1.0)), np.isfinite(hertz)
    total, back = strength[0], np.zeros(hertz.shape, int)
    for now in range(1, len(hertz)):
        jump = OCTAVE_JUMP_COST * np.abs(octaves[now][:, None] - octaves[now - 1])
        changed = voiced[now][:, None] != voiced[now - 1]
        cost = np.where(changed, VOICING_COST, np.where(voiced[now][:, None], jump, 0.0))
        reached = total - cost
        back[now] = reached.argmax(axis=1)
        total = strength[now] + reached.max(axis=1)
    path = [int(total.argmax())]
    for now in range(len(hertz) - 1, 0, -1):
        path.append(back[now][path[-1]])
    return path[::-1]
