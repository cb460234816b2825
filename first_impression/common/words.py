"""Numbers, times and percentages as text, the same in every message, table and picture."""

import numpy as np

WIDE = 10  # per cent, of an interval: one that is as wide is left out of text


def digits(value):
    """A number in full and no longer than it need be: "7", "0.25", "1000000"."""
    return np.format_float_positional(value, trim="-")


def span(low, high):
    """The ends of a scale: "1 to 7"."""
    return f"{digits(low)} to {digits(high)}"


def percent(value):
    """A percentage: "12.5 %"."""
    return f"{value:.1f} %"


def share_lower(rank, trait):
    """The share that is lower than an answer: "62 %", or "60 % (41 to 77)" where its interval is wide.

    `rank` is the field of docs/answers.md.
    """
    percent, low, high = (rank[field][trait] for field in ("percent", "low", "high"))
    return f"{percent} %" + (f" ({low} to {high})" if high - low > WIDE else "")


def clock(seconds):
    """A time in a clip: "7.5 s", "12:30.0", "1:02:03.4"."""
    hours, minutes, rest = int(seconds // 3600), int(seconds // 60 % 60), f"{int(seconds * 10) / 10 % 60:04.1f}"
    return f"{hours}:{minutes:02}:{rest}" if hours else f"{minutes}:{rest}" if minutes else f"{seconds:.1f} s"
