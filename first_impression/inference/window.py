"""A window of a clip as the models take it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from first_impression.data import audio
from first_impression.data.sound import SAMPLE_RATE
from first_impression.inference.unlike import Look, bandwidth

# Seconds of sound that the audio model needs in one of several windows: a shorter sound it would hear over and over
LEAST_SOUND = 1.0
# Seconds of a window that the audio model hears
HEARD_SECONDS = ((audio.WINDOWS - 1) * audio.STEP + audio.FFT) / audio.CHANNELS / SAMPLE_RATE


@dataclass
class Window:
    """A part of a clip as the models take it."""

    start: float  # seconds of the clip
    end: float
    frames: list = field(default_factory=list)  # JPEGs as bytes, in time order
    times: np.ndarray = field(default_factory=lambda: np.empty(0))  # of the frames, float64 [n], seconds of the clip
    features: np.ndarray | None = None  # of the sound, float32 [79534]
    sound_seconds: float = 0.0  # how much sound the features cover
    look: Look = field(default_factory=Look)  # of the frames
    band: float = 0.0  # the sound's bandwidth, Hz

    def hear(self, sound):
        """Set what follows from the window's sound, int16 [n, 2] at 44,100 Hz, n at least 1."""
        self.features = audio.log_filterbank(sound)
        self.sound_seconds = min(len(sound) / SAMPLE_RATE, HEARD_SECONDS)
        self.band = bandwidth(sound)


def one_ahead(items):
    """Yield the items of a generator; each is made in a thread while the one before it is used."""
    items, end = iter(items), object()
    with ThreadPoolExecutor(1) as maker:
        try:
            coming = maker.submit(next, items, end)
            while (item := coming.result()) is not end:
                coming = maker.submit(next, items, end)
                yield item
        finally:
            maker.shutdown()
            items.close()  # it may hold an ffmpeg
