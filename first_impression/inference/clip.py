"""The pictures and the sound of a clip as the models take them, whatever its container and its length."""

import contextlib
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from first_impression.common.errors import BadClipError
from first_impression.data import frames, sound, windows
from first_impression.data.chalearn import CLIP_SECONDS, FRAME_SIZE
from first_impression.data.frames import extract_frames, frames_from
from first_impression.data.sound import LONGEST_SOUND, SAMPLE_RATE, hear, loudness, samples_from
from first_impression.data.streams import SHARE_MAY_LACK, SoundStream, VideoStream, probe
from first_impression.inference.measures import Measures
from first_impression.inference.unlike import look_at
from first_impression.inference.window import HEARD_SECONDS, LEAST_SOUND, Window, one_ahead

LONGEST = LONGEST_SOUND  # seconds of a clip, or of the part asked for; damaged or invented times can claim years


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
    windows: Iterable[Window] = field(default_factory=list)  # to iterate over once; a long clip is decoded meanwhile
    loudness: np.ndarray = field(default_factory=lambda: np.empty(0))  # of the part, dB, one per LOUDNESS_STEP
    measures: Measures = field(default_factory=Measures)  # of the windows that were iterated over
    missing: dict = field(default_factory=dict)  # "image" or "audio" -> why there is none
    notes: dict = field(default_factory=dict)  # what else is to be known; complete once its windows were iterated over

    def note(self, words):
        """Add what is to be known of the clip, once."""
        self.notes[words] = None

    def close(self):
        """Stop decoding if not all windows were iterated over."""
        if not isinstance(self.windows, list):
            self.windows.close()


def open_clip(path, count, start=0.0, seconds=0.0, window=CLIP_SECONDS, with_faces=False, longest=None):
    """The `Clip` in the file `path`, or its part of so many seconds from `start` on (0: to its end).

    A clip that is one window is decoded here, a longer one while its windows are iterated over; either with up to
    `count` frames a window, in which faces are looked for if `with_faces`. Raises `BadClipError` if the clip ends
    before `start`, or is longer than `longest` seconds (None: six hours); other faults are noted in `missing`.
    """
    video, heard, missing = probe(path)
    opened = Clip(path, start, video=video, sound=heard, missing=missing)
    if not (video or heard):
        return opened
    opened.duration = max(stream.end for stream in (video, heard) if stream)
    if 0 < opened.duration <= start:
        raise BadClipError(f"it lasts {opened.duration:.1f} s: there is nothing from START = {start:g} on")
    opened.end = min(start + seconds, opened.duration) if seconds else opened.duration
    if longest and opened.end - start > longest:
        raise BadClipError(f"it lasts {opened.duration:.1f} s, and {longest:g} are the most")
    if opened.end - start > LONGEST:
        raise BadClipError(
            f"it lasts {opened.duration / 3600:.1f} hours, and {LONGEST // 3600} are the most: ask for a part of it "
            "with START and SECONDS"
        )
    for peculiarities, stream in ((frames.peculiarities, video), (sound.peculiarities, heard)):
        opened.notes |= dict.fromkeys(peculiarities(stream) if stream else ())
    opened.spans = windows.plan(start, opened.end, window)
    if len(opened.spans) == 1 and opened.end - start == opened.duration:
        opened.windows = [_whole(opened, count, with_faces, until=opened.end if seconds else None)]
        return opened
    opened.windows = one_ahead(_parts(opened, count, with_faces))
    if heard:
        opened.loudness = loudness(path, start, opened.end - start if start or seconds else None, heard)
    return opened


def _whole(opened, count, with_faces, until):
    """The only window of a clip, decoded as a clip of the dataset is for training. Sets `loudness`, up to `until`."""
    window = Window(0.0, opened.end)
    if opened.video:
        try:
            window.frames = _read_frames(opened, count)
        except BadClipError as reason:
            opened.missing["image"] = str(reason)
        shown = np.linspace(0, len(opened.video.times) - 1, len(window.frames)).round().astype(int)
        window.times = opened.video.times[shown]
    if opened.sound:
        samples, opened.loudness, problem = hear(opened.path, opened.sound, HEARD_SECONDS + 1, until)
        if problem:
            opened.missing["audio"] = str(problem)
        else:
            window.hear(samples)
            opened.measures.hear(window.start, samples)
    return _looked_at(opened, window, with_faces)


def _read_frames(opened, count):
    with tempfile.TemporaryDirectory() as folder:
        written = extract_frames(opened.path, folder, count, "even", FRAME_SIZE, opened.video, opened.note)
        return [Path(folder, f"frame{number}.jpg").read_bytes() for number in range(1, written + 1)]


def _parts(opened, count, with_faces):
    """The windows of a long clip, or of a part, decoded one after the other."""
    with contextlib.ExitStack() as reading:  # ends each ffmpeg, which would else wait forever to be read
        pictures, samples = iter(()), iter(())
        if opened.video:
            pictures = frames_from(opened.path, FRAME_SIZE, opened.start, opened.video, opened.note)
            pictures = _note_undecoded(opened, reading.enter_context(contextlib.closing(pictures)))
        if opened.sound:
            samples = samples_from(opened.path, opened.start, opened.sound)
            reading.enter_context(contextlib.closing(samples))
        spans = opened.spans
        in_windows = (spans, windows.frames_in(spans, pictures, count), windows.sound_in(spans, samples))
        for (start, end), shown, heard in zip(*in_windows, strict=True):
            window = Window(start, end)
            if opened.video and start < opened.video.end:
                window.frames = [picture for _, picture in shown]
                window.times = np.array([time for time, _ in shown])
            if len(heard) >= LEAST_SOUND * SAMPLE_RATE:
                window.hear(heard)
                opened.measures.hear(start, heard)
            yield _looked_at(opened, window, with_faces)


def _note_undecoded(opened, pictures):
    """Yield the frames, and note at the end if there were fewer in the part than the file lists."""
    count = 0
    for time, picture in pictures:
        count += opened.start <= time < opened.end
        yield time, picture
    times = opened.video.times
    listed = int(((times >= opened.start) & (times < opened.end)).sum())
    if count < listed * (1 - SHARE_MAY_LACK) - 1:  # edit lists hide some, and a file may end within one
        opened.note(f"only {count} of {listed} frames could be decoded: a picture stands where the next ones lack")


def _looked_at(opened, window, with_faces):
    if window.frames:
        aspect = opened.video.width / opened.video.height
        window.look = look_at(window.frames, aspect, with_faces)
        opened.measures.see(window, aspect)
    return window
