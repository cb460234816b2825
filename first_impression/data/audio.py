"""The sound features of the paper's audio model: 3059 x 26 log filterbank energies of a stereo file."""

import math
import struct
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from python_speech_features import get_filterbanks, sigproc
from scipy.io import wavfile

from first_impression.common.errors import UserError, damage_as_user_error
from first_impression.data.sound import CHANNELS, SAMPLE_RATE
from first_impression.data.windows import plan

# SciPy warns about chunks it does not understand and reads on; `read_wav` refuses such files
warnings.filterwarnings("ignore", category=wavfile.WavFileWarning)

# Windows of a clip of CLIP_SECONDS. The authors call `logfbank` on the stereo array, which it flattens: left and right
# samples in turn, one signal of twice the length. So there are 2 x 1529 windows and one more, not 1529
WINDOWS = 3059
FILTERS = 26  # mel filters, the library's default
FEATURES = WINDOWS * FILTERS  # 79,534

WINDOW = 1103  # samples: the library's 25 ms at 44,100 Hz, rounded
STEP = 441  # samples: 10 ms
PRE_EMPHASIS = 0.97  # the library's default
FFT = 512  # the library's default: it transforms the first 512 samples of each window and drops the rest

WAV_HEADER = 44  # bytes of a WAV file of step 2 besides its samples
HEADER = 1024  # most bytes of a WAV file besides its samples: other programs add their name

REMAKE = "move it away and run vid_to_wav.py again"


def count_windows(samples):
    """How many windows the library cuts a stereo sound [n, 2] into, before ours are cut to 3059 or repeated."""
    return 1 + max(0, math.ceil((samples.size - WINDOW) / STEP))


def log_filterbank(samples):
    """Features of a stereo sound: float32 [79534], that is [3059, 26] row by row.

    `samples` is int16 [n, 2] at 44,100 Hz, n at least 1. The numbers are those of
    `python_speech_features.logfbank(samples, 44100)` with its defaults. A longer sound is cut to 3059 windows,
    a shorter one starts again until it has them: zeros would lie far outside log energies.
    """
    windows = min(count_windows(samples), WINDOWS)
    length = (windows - 1) * STEP + FFT
    # Given the stereo array, the library filters each channel and interleaves the two
    signal = sigproc.preemphasis(samples[: math.ceil(length / CHANNELS)], PRE_EMPHASIS)[:length]
    signal = np.pad(signal, (0, length - len(signal)))
    # As the library cuts them, which copies each window; and without their ends, which its FFT drops
    power = sigproc.powspec(np.lib.stride_tricks.sliding_window_view(signal, FFT)[::STEP], FFT)
    energies = power @ get_filterbanks(FILTERS, FFT, SAMPLE_RATE).T
    energies[energies == 0] = np.finfo(float).eps  # as the library, before the logarithm
    return np.resize(np.log(energies), (WINDOWS, FILTERS)).astype(np.float32).reshape(-1)


def amplified(features, decibels):
    """The features of the same sound made louder by so many decibels, or softer if below 0: float32 as `features`.

    It is the sound as numbers: none is clipped, and none rounded to 16 bits. Digital silence stays what it is.
    """
    silence = np.float32(np.log(np.finfo(float).eps))
    return np.where(features == silence, features, features + np.float32(decibels / 10 * np.log(10)))


class Part(NamedTuple):
    """A window of the long sound in a WAV file; the last one ends with the sound."""

    wav: Path
    start: float  # seconds
    end: float

    @property
    def name(self):
        """A name that tells it from all others of the split."""
        return f"{self.wav.name} from {self.start:.6f} s"

    def read(self):
        """Its samples, int16 [n, 2]. Raises `UserError` as `read_wav` does."""
        first, last = (round(seconds * SAMPLE_RATE) for seconds in (self.start, self.end))
        return np.array(read_wav(self.wav, mapped=True)[first:last])


def parts_of(wav):
    """The windows of a WAV file of step 2, a list of `Part`; or the file alone, a path, where it is one window."""
    samples = max(0, wav.stat().st_size - WAV_HEADER) // (2 * CHANNELS)
    spans = plan(0.0, samples / SAMPLE_RATE)
    return [Part(wav, *span) for span in spans] if len(spans) > 1 else [wav]


def read_wav(wav, mapped=False):
    """Samples of a WAV file of step 2: int16 [n, 2], n at least 1. Raises `UserError` for any other file.

    `mapped` ones are read when they are used: of an hour's sound a window needs little.
    """
    wav = Path(wav)
    with damage_as_user_error(f"{wav} is damaged", REMAKE):
        with open(wav, "rb") as file:
            kind, size = struct.unpack("<4sI", file.read(8))
        if kind != b"RIFF" or size + 8 != wav.stat().st_size:
            raise ValueError("it is not a WAV file, or not as long as it says")
        rate, samples = wavfile.read(wav, mmap=mapped)
    if rate != SAMPLE_RATE or samples.dtype != np.int16 or samples.ndim != 2 or samples.shape[1] != CHANNELS:
        raise UserError(f"{wav} is not 16-bit stereo at {SAMPLE_RATE} Hz: {REMAKE}")
    if wav.stat().st_size - samples.nbytes > HEADER:
        raise UserError(f"{wav} is damaged (it is longer than its sound): {REMAKE}")
    if not len(samples):
        raise UserError(f"{wav} holds no sound: {REMAKE}")
    return samples
