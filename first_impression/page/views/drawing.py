"""What is drawn: lines over time, loudness, histograms, as SVG that is stretched to the width there is.

Text is HTML's own, so that it stays readable at any width.
"""

import numpy as np

from first_impression.common.words import clock
from first_impression.evaluation.traits import COLOURS
from first_impression.page import comparison

QUIETEST = -70.0  # dB, where the drawn loudness begins
LEVELS = 400  # of loudness, at most, that are drawn
PIXEL = 1000  # width of a drawing, in its own units


def histogram(shares):
    width, heights = PIXEL / len(shares), 100 * np.array(shares) / (max(shares) or 1)
    bars = "".join(
        f'<rect x="{number * width:.1f}" y="{100 - height:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
        for number, height in enumerate(heights)
    )
    return _drawing(100, f'<g class="labels">{bars}</g>')


def lines(answers, shown, start, end, models=None):
    """The courses of one clip or two, the second one dashed, over the seconds from `start` to `end`.

    They are those of the models of these names; None: of all.
    """
    courses = [comparison.course(answer, models) for answer in answers]
    values = np.concatenate([course[trait] for course in courses for trait in shown])
    if not len(values):
        return '<p class="none">no pictures, so nothing over time</p>'
    low, high = max(values.min() - 0.03, 0), min(values.max() + 0.03, 1)
    lines = "".join(
        _line(answer["by_frame"]["times"], course[trait], start, end, low, high, COLOURS[trait], dashed=number == 1)
        for number, (answer, course) in enumerate(zip(answers, courses, strict=True))
        for trait in shown
    )
    bounds = f'<span class="high">{high:.2f}</span><span class="low">{low:.2f}</span>'
    return f'<div class="lines">{_drawing(100, lines)}{bounds}</div>'


def _line(times, values, start, end, low, high, colour, dashed):
    across = (np.array(times) - start) / (end - start) * PIXEL
    up = 100 - (values - low) / (high - low) * 100
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, up, strict=True))
    kind = "second" if dashed else "first"
    return f'<polyline points="{points}" stroke="{colour}" class="{kind}"/>'


def sound(answers, start, end):
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
    ticks = "".join(f"<span>{clock(time)}</span>" for time in np.linspace(start, end, 4))
    return f'<p class="ends">{ticks}</p>'


def _drawing(height, content):
    """An SVG that fills its place; for screen readers, words elsewhere say the same."""
    return (
        f'<svg viewBox="0 0 {PIXEL} {height}" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f"{content}</svg>"
    )
