"""What is drawn: lines over time, loudness, histograms, as SVG that is stretched to the width there is.

Text is HTML's own, so that it stays readable at any width.
"""

from typing import NamedTuple

import numpy as np

from first_impression.common.words import clock

QUIETEST = -70.0  # dB, where the drawn loudness begins
LEVELS = 400  # of loudness, at most, that are drawn
PIXEL = 1000  # width of a drawing, in its own units
LEAST_AXIS = 0.2  # of the scale from 0 to 1, so that what a take moves by itself does not fill a drawing
MARGIN = 0.1  # of the least axis, above and below what is drawn


class Line(NamedTuple):
    """A trait over time."""

    times: list  # seconds [n]
    values: np.ndarray  # 0..1 [n]
    colour: str
    answer: float  # to the whole clip
    moves: float | None = None  # what the answer moves by without a reason: a band this far to either side
    kind: str = "first"  # or "second", which is dashed

    @property
    def band(self):
        return (self.answer - self.moves, self.answer + self.moves) if self.moves else (self.answer,)


def lines(drawn, start, end):
    """The `Line`s, each on its band, over the seconds from `start` to `end`."""
    if not any(len(line.values) for line in drawn):
        return '<p class="none">no pictures, so nothing over time</p>'
    low, high = axis(np.concatenate([[*line.values, *line.band] for line in drawn]))
    bands = "".join(_band(line, low, high) for line in drawn if line.moves)
    courses = "".join(_line(line, start, end, low, high) for line in drawn)
    bounds = f'<span class="high">{high:.2f}</span><span class="low">{low:.2f}</span>'
    return f'<div class="lines">{_drawing(100, bands + courses)}{bounds}</div>'


def axis(values, least=LEAST_AXIS, bounds=(0, 1)):
    """From where to where to draw `values`: (low, high), `least` or more apart, within `bounds`: numbers, or inf."""
    low, high = np.min(values) - MARGIN * least, np.max(values) + MARGIN * least
    more = max(0, least - (high - low)) / 2
    low, high = low - more, high + more
    shift = max(0, bounds[0] - low) - max(0, high - bounds[1])  # back onto the scale, where a narrow axis leaves it
    return max(bounds[0], low + shift), min(bounds[1], high + shift)


def _band(line, low, high):
    bottom, top = line.band
    span = 100 / (high - low)
    return (
        f'<rect class="band" fill="{line.colour}" x="0" width="{PIXEL}" y="{(high - top) * span:.1f}" '
        f'height="{(top - bottom) * span:.1f}"/>'
    )


def _line(line, start, end, low, high):
    across = (np.array(line.times) - start) / (end - start) * PIXEL
    up = 100 - (line.values - low) / (high - low) * 100
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, up, strict=True))
    return f'<polyline points="{points}" stroke="{line.colour}" class="{line.kind}"/>'


def sound(answers, start, end):
    """How loud one clip or two are, the second one dashed."""
    areas = "".join(_loudness(answer, start, end, number == 1) for number, answer in enumerate(answers))
    return f'<div class="sound">{_drawing(100, areas)}</div>' if areas else '<p class="none">no sound</p>'


def _loudness(answer, start, end, second):
    levels, step = np.array(answer["loudness"]["decibels"]), answer["loudness"]["step"]
    if not len(levels):
        return ""
    group = max(1, len(levels) // LEVELS)
    levels = levels[: len(levels) // group * group].reshape(-1, group).max(axis=1)
    times = answer["loudness"]["start"] + (np.arange(len(levels)) + 0.5) * group * step
    across = (times - start) / (end - start) * PIXEL
    up = 100 * np.clip(levels / QUIETEST, 0, 1)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, up, strict=True))
    if second:
        return f'<polyline points="{points}" class="second level"/>'
    return f'<polygon points="{across[0]:.1f},100 {points} {across[-1]:.1f},100" class="level"/>'


def seconds(start, end):
    """The axis of time."""
    ticks = "".join(f"<span>{clock(time)}</span>" for time in np.linspace(start, end, 4))
    return f'<p class="ends">{ticks}</p>'


def histogram(shares):
    """Bars side by side, as high as the `shares`, the highest one filling the height."""
    width, heights = PIXEL / len(shares), 100 * np.array(shares) / (max(shares) or 1)
    bars = "".join(
        f'<rect x="{number * width:.1f}" y="{100 - height:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
        for number, height in enumerate(heights)
    )
    return _drawing(100, f'<g class="labels">{bars}</g>')


def over_takes(values, within, colour, least, bounds):
    """A dot for each value, None for a take without, evenly apart, and a line through them: (SVG, low end, high end).

    `within` are standard deviations within the takes, or None, drawn as bars; `least` and `bounds` are as of `axis`.
    """
    places = [
        (PIXEL * (number + 0.5) / len(values), value, moves or 0.0)
        for number, (value, moves) in enumerate(zip(values, within, strict=True))
        if value is not None
    ]
    low, high = axis([value + sign * moves for _, value, moves in places for sign in (-1, 1)], least, bounds)

    def up(value):
        return f"{100 * (high - value) / (high - low):.1f}"

    points = " ".join(f"{x:.1f},{up(value)}" for x, value, _ in places)
    bars = "".join(
        f'<path d="M{x:.1f},{up(value - moves)}V{up(value + moves)}" class="within"/>' for x, value, moves in places
    )
    dots = "".join(f'<path d="M{x:.1f},{up(value)}h0" class="dot"/>' for x, value, _ in places)
    marks = f'<g stroke="{colour}">{bars}<polyline points="{points}" class="first"/>{dots}</g>'
    return _drawing(100, marks), low, high


def _drawing(height, content):
    """An SVG that fills its place; for screen readers, words elsewhere say the same."""
    return (
        f'<svg viewBox="0 0 {PIXEL} {height}" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f"{content}</svg>"
    )
