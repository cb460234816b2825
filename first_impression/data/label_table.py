"""CSV files with the targets of clips, whoever made them: labels, or a model's answers."""

import functools
import math
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from first_impression.common.errors import UserError, name_some
from first_impression.common.words import digits
from first_impression.data import csv_rows
from first_impression.data.chalearn import TRAITS, name_of_video
from first_impression.data.targets import FIVE, INTERVIEW, STABLE, Targets, named, plain, scale_of, targets_rule

CLIP = "VideoName"
# ChaLearn's order, which is not that of TRAITS, and ChaLearn's spelling
COLUMNS = {
    "ValueExtraversion": "extraversion",
    "ValueAgreeableness": "agreeableness",
    "ValueConscientiousness": "conscientiousness",
    "ValueNeurotisicm": "neuroticism",
    "ValueOpenness": "openness",
}
# Names of columns, in small letters and without anything between the words
CLIP_NAMES = ("videoname", "video", "clip", "clipname", "file", "filename", "name")
RARE_CLIP_NAMES = ("path", "filepath", "videopath", "sampleid", "videoid", "clipid")  # where there is none of those
SOURCE_NAMES = ("source", "speaker")  # of which video, or of which person, a clip is
SPLIT_NAMES = ("split", "set", "subset")
SPLIT_WORDS = dict.fromkeys(("val", "valid", "validation", "dev"), "validation")
SPLIT_WORDS |= {"train": "training", "training": "training", "test": "test"}
MOST_NAMED = 20  # columns in a message
WORDS_FOR_SPLITS = "training (or train), validation (or val, valid, dev), test"
SCALES = ((1, 5), (1, 7), (0, 10), (0, 100))  # on which people are rated


def as_cell(text):
    """`text` for a cell of a CSV file: behind an apostrophe where a spreadsheet would take it for a formula.

    `clip_of` takes that away. Names that begin with "-", as ChaLearn's do, stay as they are.
    """
    return f"'{text}" if re.match("'*[=+@]", text) else text


def clip_of(text):
    """The clip that a cell names, with the suffix of a video and the folders it lies in, or without."""
    return name_of_video(_folder_and_file(text)[1])


def _folder_and_file(text):
    """("videos/anna", "1.mp4") of a cell with a path, of Windows too; ("", "1.mp4") of one with a name."""
    folder, _, file = re.sub("^'('*[=+@])", r"\1", text.strip()).replace("\\", "/").rpartition("/")
    return folder, file


class Table(NamedTuple):
    """What a CSV file says of its clips, by their names without suffix."""

    values: dict  # clip -> float64 [targets], from 0 to 1
    doubled: list  # clips that stand more than once, once for each further row
    sources: dict  # clip -> of which video or speaker it is; empty where no column says so
    splits: dict  # clip -> name of its split; empty where no column says so


def read(path, targets=FIVE, average=False, quiet=False):
    """Read what a CSV file says of the `targets`: `Table`. Columns are found by name, in any order and case.

    The values, which are on the scale of the `targets`, are mapped to [0, 1]. Of a clip that stands more than once the
    first row counts, or with `average` the mean of its rows. How a column named neuroticism is read, and which columns
    are used for nothing, is printed, once per file; with `quiet`, as for this project's own tables, nothing is.
    Raises `UserError` for a missing or unreadable file, a column that is missing or there twice, a row of another
    length than the header, a value that is no number on the scale, an unknown split, a clip of two sources or splits
    or of none, and for two clips of one name in different folders.
    """
    header, rows = csv_rows.read(path)
    at = columns_of(path, header, targets.names, rows)
    numbers = [[_number(row[at[name]]) for name in targets.names] for _, row in rows]
    numbers = np.array(numbers, np.float64).reshape(len(rows), len(targets.names))
    _refuse_values(path, rows, at, numbers, targets)
    found, folders, sources, splits = {}, {}, {}, {}
    for (number, row), values in zip(rows, targets.to_unit(numbers), strict=True):
        folder, file = _folder_and_file(row[at["clip"]])
        clip = name_of_video(file)
        if folders.setdefault(clip, folder) != folder:
            both = f"{row[at['clip']][:80]!r} and another of that name in {folders[clip][:80]!r}"
            raise UserError(f"{path}, row {number}: {both} are two clips of one name: give them different names")
        for kind, of_clips in (("source", sources), ("split", splits)):
            if kind in at:
                word = row[at[kind]].strip()
                word = SPLIT_WORDS.get(word.lower(), "") if kind == "split" else word
                if not word or of_clips.setdefault(clip, word) != word:
                    allowed = f", one of {WORDS_FOR_SPLITS}" if kind == "split" else ""
                    cell = row[at[kind]][:80]
                    raise UserError(f"{path}, row {number}: {clip[:80]!r} needs one {kind}{allowed}, not {cell!r}")
        found.setdefault(clip, []).append(values)
    doubled = [clip for clip, values in found.items() for _ in values[1:]]
    if "neuroticism" in at and not quiet:
        _warn_of_neuroticism(Path(path), header[at["neuroticism"]])
    if targets.names and not quiet:
        _warn_of_columns(Path(path), tuple(_unused(header, at)))
    values = {clip: np.mean(values, axis=0) if average else values[0] for clip, values in found.items()}
    return Table(values, doubled, sources, splits)


def _refuse_values(path, rows, at, numbers, targets):
    """Raises `UserError` for the first of the `numbers` [rows, targets] that is none on the scale of the `targets`."""
    for place in np.argwhere(~((numbers >= targets.low) & (numbers <= targets.high)))[:1]:
        (number, row), name = rows[place[0]], targets.names[place[1]]
        cell = row[at[name]][:40]
        where = f"{path}, row {number}, {name} of {clip_of(row[at['clip']])[:80]!r}"
        what = f"{where}: {cell!r} is not a number from {targets.ends_in_words}"
        if not cell.strip():
            raise UserError(f"{what}: give one, or take the row out")
        if re.fullmatch(r"\s*-?\d*,\d+\s*", cell):
            raise UserError(f"{what}: decimals take a point, not a comma")
        raise UserError(f"{what}{_scaling(numbers)}")


@functools.cache
def _warn_of_neuroticism(path, column):
    if plain(column) not in STABLE:
        print(
            f"{path}: the column {column} is read as in ChaLearn's files, where a high value means emotionally "
            "stable. If yours means neurotic, turn its scale around in a column named emotional_stability"
        )


@functools.cache
def _warn_of_columns(path, unused):
    if unused:
        print(f"{path}: columns that are used for nothing: {name_some(unused)}")


def _unused(header, at):
    """The names of the columns that are none of those in `at`; ChaLearn's interview, which is no trait, aside."""
    names = [column.strip()[:40] for place, column in enumerate(header) if place not in at.values()]
    return sorted(name for name in names if name and named(name) != INTERVIEW and on_scale(name)[0] not in at)


def columns_of(path, header, targets=(), rows=()):
    """{"clip", each name of `targets`, and "source" and "split" if there are any: the number of its column}.

    Of columns with several names for one, the first counts if they are alike in all of the `rows`.
    """
    at = _places(header, targets)
    missing = [name for name in ("clip", *targets) if not at[name]]
    if missing:
        expected = f"should be {','.join([CLIP, *COLUMNS])}, or clip and the traits by name"
        expected += "; for others, set TARGETS of steps 3 and 4"
        if not set(missing) <= {"clip", *TRAITS}:
            expected = f"are {', '.join(column.strip()[:40] for column in header[:MOST_NAMED])}"
        raise UserError(f"{path} has no column for {', '.join(missing)}: its columns {expected}")
    for name, places in at.items():
        if len(places) > 1 and not _says_the_same(header, rows, places):
            columns = " and ".join(header[place][:40] for place in places[:5])
            raise UserError(f"{path} has several columns for {name}, {columns}: leave the one that counts")
    return {name: places[0] for name, places in at.items() if places}


def _says_the_same(header, rows, places):
    """Whether columns have each another name and the same cells, as emotional_stability beside ValueNeurotisicm."""
    names = {plain(header[place]) for place in places}
    return bool(rows) and len(names) == len(places) and all(len({row[at] for at in places}) == 1 for _, row in rows)


def targets_in(path, wanted):
    """What of the `wanted` names a CSV file of answers has columns for, on the scale that one names: `Targets`.

    The scale is that of a column as `scaled` names it; 0 to 1 without one.
    """
    header, _ = csv_rows.read(path)
    at = _places(header, wanted)
    ends = next((ends for _, ends in map(on_scale, header) if ends), (0.0, 1.0))
    return Targets(tuple(name for name in wanted if at[name]), *ends)


def scaled(name, low, high):
    """The column of answers to a target on the labels' own scale, beside those from 0 to 1: "warmth 1..7"."""
    return f"{name} {digits(low)}..{digits(high)}"


def on_scale(column):
    """(name of the target, (low, high)) of a column as `scaled` names it; (itself, None) of another one."""
    name, _, ends = column.strip().rpartition(" ")
    ends = scale_of(ends)
    return (named(name), ends) if name and ends else (column, None)


def _places(header, targets=()):
    """{"clip", "source", "split" and each name of `targets`: the numbers of its columns}."""
    words = [plain(column) for column in header]
    at = {
        name: [place for place, word in enumerate(words) if word in known]
        for name, known in (("clip", CLIP_NAMES), ("source", SOURCE_NAMES), ("split", SPLIT_NAMES))
    }
    at["clip"] = at["clip"] or [place for place, word in enumerate(words) if word in RARE_CLIP_NAMES]
    for name in targets:
        # As in others' files of predictions: pred_O, predicted_openness; looked for where the usual names are missing
        ends = (plain(name), name[0]) if name in TRAITS else (plain(name),)
        rare = [f"pred{middle}{end}" for middle in ("", "icted") for end in ends]
        at[name] = [place for place, column in enumerate(header) if plain(named(column)) == plain(name)]
        at[name] = at[name] or [place for place, word in enumerate(words) if word in rare]
    return at


def numbers_in(path):
    """{name: float64 [rows], nan for an empty cell} of the columns that may be a target's: that hold numbers alone."""
    header, rows = csv_rows.read(path)
    taken, found = columns_of(path, header).values(), {}
    for place, column in enumerate(header):
        cells = [row[place].strip() for _, row in rows]
        numbers = np.array([_number(cell) for cell in cells])
        are_numbers = np.isfinite(numbers).any() and not any(np.isnan(numbers) & (np.array(cells) != ""))
        if place not in taken and are_numbers and targets_rule(named(column)) is None:
            found[named(column)] = numbers
    return found


def _scaling(values):
    """What to do with values of a usual scale of ratings; empty where they are of none, or most need nothing."""
    least, most = np.min(values), np.max(values)  # nan where one is not a number
    for low, high in SCALES if np.mean(values > 1) > 0.5 else ():
        if low <= least and most <= high:
            above = f"(x - {low})" if low else "x"
            ratings = f"Ratings from {low} to {high} become {above} / {high - low}"
            return f'. {ratings}; for labels, steps 3 and 4 do that with SCALE = "{low}..{high}"'
    return ""


def _number(cell):
    try:
        return float(cell)
    except ValueError:
        return math.nan
