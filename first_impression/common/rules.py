"""Rules for the values of settings: each is a function of the value that returns a complaint, or None.

RULES = {"SAMPLING": rules.one_of("even", "first"), "WORKERS": rules.whole(0, 10000)}
"""

import math
import re


def one_of(*choices):
    """A rule: the value is one of `choices`."""
    return lambda value: None if value in choices else f"must be one of {', '.join(map(str, choices))}"


def whole(low, high=None):
    """A rule: the value is a whole number from `low` to `high`, or `low` or more."""
    range_ = f"from {low} to {high}" if high else f"{low} or more"

    def rule(value):
        fits = is_a(int, value) and value >= low and (high is None or value <= high)
        return None if fits else f"must be a whole number, {range_}"

    return rule


def at_least(low, below=math.inf):
    """A rule: the value is a number, `low` or more, and less than `below`."""
    limit = f", and less than {below}" if below < math.inf else ""
    return lambda value: (
        None if is_a(float, value) and low <= value < below else f"must be a number, {low} or more{limit}"
    )


def between(low, high):
    """A rule: the value is a number from `low` to `high`."""
    return lambda value: (
        None if is_a(float, value) and low <= value <= high else f"must be a number from {low} to {high}"
    )


def more_than(low):
    """A rule: the value is a number above `low`."""
    return lambda value: None if is_a(float, value) and value > low else f"must be a number above {low}"


def file_name(value):
    """A rule: the value can be the name of a file or folder, or is empty."""
    fits = isinstance(value, str) and "/" not in value and "\0" not in value and not value.startswith(".")
    return (
        None if fits and len(value.encode(errors="surrogateescape")) <= 200 else "must be a plain name, without a slash"
    )


def shard(value):
    """A rule: the value is empty, or names one of several shards: "3/16" is the third of 16."""
    match = re.fullmatch("([1-9][0-9]*)/([1-9][0-9]{0,4})", value) if isinstance(value, str) else None
    fits = value == "" or match and int(match[1]) <= int(match[2])
    return None if fits else "must be empty, for all clips, or a shard such as 3/16, the third of 16 (1/16 to 16/16)"


def is_a(kind, value):
    """Whether `value` has the type `kind`. An int also passes as float; a bool passes as bool only."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)
