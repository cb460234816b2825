"""What there is of a clip to look at and to listen to, whatever its container and its length."""

import contextlib
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from first_impression.common.errors import BadClipError, UserError
from first_impression.data import audio
from first_impression.data.chalearn import FRAME_SIZE
from first_impression.data.frames import extract_frames, frames_from
from first_impression.data.sound import LONGEST_SOUND, SAMPLE_RATE, extract_sound, loudness, samples_from
from first_impression.data.streams import SoundStream, VideoStream, sound_stream, video_stream
from first_impression.inference import windows
from first_impression.inference.unlike import look_at
from first_impression.inference.windows import HEARD_SECONDS, Window

MAY_LACK = 0.02  # of a long clip's frames; edit lists hide some, and a file may end within one
LONGEST = LONGEST_SOUND  # seconds of a clip, or of the part asked for; damaged or made-up times can claim years


@dataclass
class Clip:
    """A clip, or the part of it that is asked for, as windows for the models. All times are seconds of the clip."""

    path: Path
    start: float = 0.0  # of the part
    end: float = 0.0
    duration: float = 0.0  # of the clip
    video: VideoStream | None = None
    sound: SoundStream | None = None
    spans: list = field(default_factory=list)  # of the windows: (start, end)
    windows: Iterable[Window] = field(
        default_factory=list
    )  # to be gone through once; those of a long clip are decoded meanwhile
    loudness: np.ndarray = field(default_factory=lambda: np.empty(0))  # of the part, dB, one per LOUDNESS_STEP
    missing: dict = field(default_factory=dict)  # "image" or "audio" -> why there is none
    undecoded: str = ""  # what of a long clip's pictures is not there, known when its windows were gone through

    def close(self):
        """End the decoding where not all windows were gone through."""
        if not isinstance(self.windows, list):
            self.windows.close()


def open_clip(path, count, start=0.0, seconds=0.0, window=windows.SECONDS, with_faces=False, longest=None):
    """The `Clip` in the file `path`, or its part of so many seconds from `start` on (0: to its end).

    A clip that is one window is decoded here, a longer one while its windows are gone through; either with up to
    `count` frames a window, in which faces are looked for on request. Raises `BadClipError` where the clip ends before
    `start`, or is longer than `longest` seconds (None: six hours); what else can be wrong with it stands in `missing`.
    """
    clip = Clip(path, start)
    clip.video = _unless_missing(clip, "image", video_stream, path)
    clip.sound = _unless_missing(clip, "audio", sound_stream, path)
    streams = [stream for stream in (clip.video, clip.sound) if stream]
    if not streams:
        return clip
    clip.duration = max(stream.end for stream in streams)
    if 0 < clip.duration <= start:
        raise BadClipError(f"it lasts {clip.duration:.1f} s: there is nothing from START = {start:g} on")
    clip.end = min(start + seconds, clip.duration) if seconds else clip.duration
    if longest and clip.end - start > longest:
        raise BadClipError(f"it lasts {clip.duration:.1f} s, and {longest:g} are the most")
    if clip.end - start > LONGEST:
        raise BadClipError(
            f"it lasts {clip.duration / 3600:.1f} hours, and {LONGEST // 3600} are the most: ask for a part of it with "
            "START and SECONDS"
        )
    clip.spans = windows.plan(start, clip.end, window)
    if len(clip.spans) == 1 and clip.end - start == clip.duration:
        clip.windows = [_whole(clip, count, with_faces)]
    else:
        clip.windows = windows.one_ahead(_parts(clip, count, with_faces))
    if clip.sound:
        clip.loudness = loudness(path, start, clip.end - start) if start or seconds else loudness(path)
    return clip


def _unless_missing(clip, kind, read, *arguments):
    """What `read(*arguments)` returns; None where it finds that the clip is `missing` this kind, which is noted."""
    try:
        return read(*arguments)
    except BadClipError as reason:
        clip.missing[kind] = str(reason)


def _whole(clip, count, with_faces):
    """The only window of a clip, decoded as a clip of the dataset is for training."""
    window = Window(0.0, clip.end)
    with tempfile.TemporaryDirectory() as folder:
        if clip.video:
            window.frames = _unless_missing(clip, "image", _read_frames, clip.path, folder, count) or []
            shown = np.linspace(0, len(clip.video.times) - 1, len(window.frames)).round().astype(int)
            window.times = clip.video.times[shown]
        if clip.sound and (samples := _unless_missing(clip, "audio", _read_sound, clip.path, folder)) is not None:
            window.hear(samples)
    return _looked_at(clip, window, with_faces)


def _read_frames(path, folder, count):
    written = extract_frames(path, folder, count, "even", FRAME_SIZE)
    return [Path(folder, f"frame{number}.jpg").read_bytes() for number in range(1, written + 1)]


def _read_sound(path, folder):
    wav = Path(folder, "sound.wav")
    extract_sound(path, wav, seconds=HEARD_SECONDS + 1)
    try:
        return audio.read_wav(wav)
    except UserError:
        raise BadClipError("its sound is empty") from None


def _parts(clip, count, with_faces):
    """The windows of a long clip, or of a part, decoded one after the other."""
    with contextlib.ExitStack() as reading:  # an ffmpeg each, which would wait for ever for somebody to read on
        frames, samples = iter(()), iter(())
        if clip.video:
            frames = reading.enter_context(contextlib.closing(frames_from(clip.path, FRAME_SIZE, clip.start)))
            frames = _note_undecoded(clip, frames)
        if clip.sound:
            samples = reading.enter_context(contextlib.closing(samples_from(clip.path, clip.start)))
        each = (clip.spans, windows.frames_in(clip.spans, frames, count), windows.sound_in(clip.spans, samples))
        for (start, end), pictures, sound in zip(*each, strict=True):
            window = Window(start, end)
            if clip.video and start < clip.video.end:
                window.frames = [picture for _, picture in pictures]
                window.times = np.array([time for time, _ in pictures])
            if len(sound) >= windows.LEAST_SOUND * SAMPLE_RATE:
                window.hear(sound)
            yield _looked_at(clip, window, with_faces)


def _note_undecoded(clip, frames):
    """Yield the frames, and note in the end where there were fewer in the part than the file lists."""
    count = 0
    for time, picture in frames:
        count += clip.start <= time < clip.end
        yield time, picture
    listed = int(((clip.video.times >= clip.start) & (clip.video.times < clip.end)).sum())
    if count < listed * (1 - MAY_LACK) - 1:
        clip.undecoded = f"only {count} of {listed} frames could be decoded: a picture stands where the next ones lack"


def _looked_at(clip, window, with_faces):
    if window.frames:
        window.look = look_at(window.frames, clip.video.aspect, with_faces)
    return window
