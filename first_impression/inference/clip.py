"""What there is of a clip to look at and to listen to, whatever its container."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from first_impression.common.errors import BadClipError, UserError
from first_impression.data import audio
from first_impression.data.chalearn import FRAME_SIZE
from first_impression.data.frames import display_aspect, extract_frames, frame_times
from first_impression.data.sound import SAMPLE_RATE, extract_sound, loudness

# What the audio model hears of a clip
SOUND_SECONDS = ((audio.WINDOWS - 1) * audio.STEP + audio.FFT) / audio.CHANNELS / SAMPLE_RATE


@dataclass
class DecodedClip:
    """A clip as the models take it, and its course in time."""

    path: Path
    folder: str  # where its frames lie, for a while
    frames: list = field(default_factory=list)  # of paths, in time order
    times: np.ndarray | None = None  # of the frames, seconds
    aspect: float = 1.0  # width / height of the picture
    features: np.ndarray | None = None  # of the sound, float32 [79534]
    sound_seconds: float = 0.0  # of the sound that the features are of
    loudness: np.ndarray = field(default_factory=lambda: np.empty(0))  # dB
    missing: dict = field(default_factory=dict)  # "image" or "audio" -> why there is none


def decode_clip(path, folder, count):
    """Decode a clip: `count` frames into `folder`, and its sound as the audio model takes it."""
    clip = DecodedClip(path, folder)
    try:
        written = extract_frames(path, folder, count, "even", FRAME_SIZE)
        clip.frames = [Path(folder) / f"frame{number}.jpg" for number in range(1, written + 1)]
        clip.times, clip.aspect = frame_times(path, written), display_aspect(path)
    except BadClipError as reason:
        clip.missing["image"] = str(reason)
    try:
        wav = Path(folder) / "sound.wav"
        extract_sound(path, wav, seconds=SOUND_SECONDS + 1)
        try:
            samples = audio.read_wav(wav)
        except UserError:
            raise BadClipError("its sound is empty") from None
        clip.features = audio.log_filterbank(samples)
        clip.sound_seconds = min(len(samples) / SAMPLE_RATE, SOUND_SECONDS)
        clip.loudness = loudness(path)
    except BadClipError as reason:
        clip.missing["audio"] = str(reason)
    return clip
