"""What is measured of a clip, beside what models guess: in numbers, in words, and as columns of a table.

Nothing here judges a number, and no model of impressions has a part in it.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from first_impression.inference import pictures, voice


@dataclass
class Measures:
    """What has been seen and heard of a clip so far, window by window."""

    voices: list = field(default_factory=list)  # of `voice.Voice`
    pictures: list = field(default_factory=list)  # of `pictures.Pictures`

    def hear(self, start, sound):
        """Note the sound of a window that starts at `start` (seconds): int16 [n, 2] at 44,100 Hz, n at least 1."""
        self.voices.append(voice.listen(start, sound))

    def see(self, window, aspect):
        """Note the frames of a `Window` that has been looked at, of pictures `aspect` times as wide as high."""
        self.pictures.append(pictures.look(window.frames, window.times, aspect, window.look.faces))

    def as_json(self):
        """All of it, as docs/answers.md describes it."""
        seen, face = pictures.measure(self.pictures)
        return {"sound": voice.measure(self.voices), "pictures": seen, "face": face}


class Quantity(NamedTuple):
    """A quantity as people read it."""

    part: str  # of the JSON: "sound", "pictures" or "face"
    key: str  # in it
    column: str  # in a table: with its unit
    words: str  # where {} stands for the value
    digits: int  # behind the point
    times: int = 1  # by which the value is multiplied in words

    def number(self, value):
        """A value as text, without its unit."""
        return f"{value * self.times:.{self.digits}f}"


QUANTITIES = (
    Quantity("sound", "speaking_share", "speaking_share", "speaking {} % of the time", 0, 100),
    Quantity("sound", "pauses", "pauses", "pauses {}", 0),
    Quantity("sound", "pause_seconds", "pauses_s", "{} s in all", 1),
    Quantity("sound", "longest_pause", "longest_pause_s", "the longest {} s", 1),
    Quantity("sound", "syllables_per_second", "syllables_per_s", "{} syllables a second", 1),
    Quantity("sound", "loudness", "loudness_db", "loudness {} dB", 1),
    Quantity("sound", "loudness_range", "loudness_range_db", "its range {} dB", 1),
    Quantity("sound", "pitch", "pitch_hz", "pitch {} Hz", 0),
    Quantity("sound", "pitch_range", "pitch_range_semitones", "its range {} semitones", 1),
    Quantity("pictures", "brightness", "brightness", "brightness {} %", 0, 100),
    Quantity("pictures", "sharpness", "sharpness", "sharpness {}", 0),
    Quantity("pictures", "motion", "motion_heights_per_s", "motion {} % of the height a second", 1, 100),
    Quantity("face", "one_face_share", "one_face_share", "one face in {} % of the frames", 0, 100),
    Quantity("face", "size", "face_size", "it covers {} % of the picture", 1, 100),
    Quantity("face", "x", "face_x", "its middle {} % from the left", 0, 100),
    Quantity("face", "y", "face_y", "{} % from the top", 0, 100),
)


def value_of(measured, quantity):
    """The value of a quantity in the JSON `measured` of a clip; None where it has none."""
    part = measured[quantity.part]
    return None if part is None else part[quantity.key]


def in_words(measured):
    """The JSON `measured` of a clip as text: {part: one line}, of the parts that it has."""
    lines = {}
    for quantity in QUANTITIES:
        if (value := value_of(measured, quantity)) is not None:
            lines.setdefault(quantity.part, []).append(quantity.words.format(quantity.number(value)))
    return {part: ", ".join(words) for part, words in lines.items()}


def as_columns(measured):
    """The JSON `measured` of a clip as {column: value}, None for one without."""
    return {quantity.column: value_of(measured, quantity) for quantity in QUANTITIES}
