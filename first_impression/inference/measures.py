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
    words: str  # a format of the value, which is multiplied by `times` before
    times: int = 1


QUANTITIES = (
    Quantity("sound", "speaking_share", "speaking_share", "speaking {:.0f} % of the time", 100),
    Quantity("sound", "pauses", "pauses", "pauses {:.0f}"),
    Quantity("sound", "pause_seconds", "pauses_s", "{:.1f} s in all"),
    Quantity("sound", "longest_pause", "longest_pause_s", "the longest {:.1f} s"),
    Quantity("sound", "syllables_per_second", "syllables_per_s", "{:.1f} syllables a second"),
    Quantity("sound", "loudness", "loudness_db", "loudness {:.1f} dB"),
    Quantity("sound", "loudness_range", "loudness_range_db", "its range {:.1f} dB"),
    Quantity("sound", "pitch", "pitch_hz", "pitch {:.0f} Hz"),
    Quantity("sound", "pitch_range", "pitch_range_semitones", "its range {:.1f} semitones"),
    Quantity("pictures", "brightness", "brightness", "brightness {:.0f} %", 100),
    Quantity("pictures", "sharpness", "sharpness", "sharpness {:.0f}"),
    Quantity("pictures", "motion", "motion_heights_per_s", "motion {:.1f} % of the height a second", 100),
    Quantity("face", "one_face_share", "one_face_share", "one face in {:.0f} % of the frames", 100),
    Quantity("face", "size", "face_size", "it covers {:.1f} % of the picture", 100),
    Quantity("face", "x", "face_x", "its middle {:.0f} % from the left", 100),
    Quantity("face", "y", "face_y", "{:.0f} % from the top", 100),
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
            lines.setdefault(quantity.part, []).append(quantity.words.format(value * quantity.times))
    return {part: ", ".join(words) for part, words in lines.items()}


def as_columns(measured):
    """The JSON `measured` of a clip as {column: value}, None for one without."""
    return {quantity.column: value_of(measured, quantity) for quantity in QUANTITIES}
