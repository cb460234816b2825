"""Tables of judgements behind labels: votes between two clips, or ratings of single clips, as CSV files."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from first_impression.common.errors import UserError, damage_as_user_error, name_some
from first_impression.data.chalearn import name_of_video
from first_impression.data.targets import named

LEFT, RIGHT = "LEFT", "RIGHT"
# The questions of ChaLearn's votes ("Who is more ..?"), as its organisers assign them to the traits. Who looks
# comfortable is emotionally stable, which the dataset calls neuroticism.
TRAITS_OF_QUESTIONS = {
    "friendly": "extraversion",
    "authentic": "agreeableness",
    "organized": "conscientiousness",
    "comfortable": "neuroticism",
    "imaginative": "openness",
}


class Votes(NamedTuple):
    """Who of two clips has more of something."""

    clips: list  # their names without suffix, sorted
    left: np.ndarray  # int [votes], numbers of clips
    right: np.ndarray  # int [votes]
    answers: dict  # {target: float64 [votes]}: 1 for the left clip, 0 for the right one, nan for "don't know"


class Ratings(NamedTuple):
    """How much of something a rater saw in a clip."""

    clips: list  # their names without suffix, sorted
    clip: np.ndarray  # int [ratings], numbers of clips
    rater: np.ndarray  # int [ratings], numbers of raters
    answers: dict  # {target: float64 [ratings]}, nan where it was not rated


def read(paths):
    """The judgements in these CSV files, taken together: `Votes` or `Ratings`.

    Votes have the columns left and right (or ChaLearn's videoLeft and videoRight, with its questions), then one per
    target with LEFT or RIGHT; anything else there means "don't know". Ratings have the columns clip and rater, then one
    per target with numbers or nothing. Columns without a LEFT or RIGHT, or without a number, are no targets: they are
    ignored. Raises `UserError` for a missing or unreadable file, for other columns, for two of one target, and where no
    target is left.
    """
    tables = [_read_table(Path(path)) for path in paths]
    for path, table in zip(paths, tables, strict=True):
        if set(table.columns) != set(tables[0].columns):
            raise UserError(f"{path} has other columns than {paths[0]}: give tables of one kind")
    table = pd.concat(tables, ignore_index=True)
    columns = {re.sub("^video", "", column.strip().lower()): column for column in table.columns}
    where = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    if len(columns) < len(table.columns):
        raise UserError(f"{where} has columns whose names differ in case alone: leave the one that counts")
    if {"left", "right"} <= columns.keys():
        return _votes(where, table, columns)
    if {"clip", "rater"} <= columns.keys():
        return _ratings(where, table, columns)
    raise UserError(f"{where} has no columns left and right, nor clip and rater, but {name_some(table.columns)}")


def _read_table(path):
    if not path.exists():
        raise UserError(f"{path.absolute()} is missing")
    with damage_as_user_error(f"{path} is not a readable CSV file", "give a table of votes or ratings"):
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)


def _votes(where, table, columns):
    left, right = (_names(where, table[columns[side]]) for side in ("left", "right"))
    clips, numbers = np.unique(np.concatenate([left, right]), return_inverse=True)
    same = np.flatnonzero(left == right)
    if len(same):
        raise UserError(f"{where}: {left[same[0]]!r} is on both sides of a vote")
    answers, questions = {}, TRAITS_OF_QUESTIONS if columns["left"].strip().lower() == "videoleft" else {}
    for name, column in columns.items():
        words = table[column].str.strip().str.upper().to_numpy()
        if name not in ("left", "right") and np.isin(words, (LEFT, RIGHT)).any():
            target = questions.get(re.sub("[^a-z0-9]", "", name)) or named(name) or name
            _refuse_second(where, answers, target)
            answers[target] = np.select([words == LEFT, words == RIGHT], [1.0, 0.0], np.nan)
    _refuse_none(where, answers, "LEFT or RIGHT")
    return Votes(clips.tolist(), numbers[: len(left)], numbers[len(left) :], answers)


def _ratings(where, table, columns):
    clips, clip = np.unique(_names(where, table[columns["clip"]]), return_inverse=True)
    _, rater = np.unique(table[columns["rater"]].str.strip().to_numpy(str), return_inverse=True)
    answers = {}
    for name, column in columns.items():
        numbers = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64)
        if name not in ("clip", "rater") and np.isfinite(numbers).any():
            target = named(name) or name
            _refuse_second(where, answers, target)
            answers[target] = np.where(np.isfinite(numbers), numbers, np.nan)
    _refuse_none(where, answers, "numbers")
    return Ratings(clips.tolist(), clip, rater, answers)


def _names(where, column):
    names = column.str.strip().map(name_of_video).to_numpy(str)
    if not all(names):
        raise UserError(f"{where}: a row names no clip")
    return names


def _refuse_second(where, answers, target):
    if target in answers:
        raise UserError(f"{where} has several columns for {target}: leave the one that counts")


def _refuse_none(where, answers, expected):
    if not answers:
        raise UserError(f"{where} has no column with {expected}")
