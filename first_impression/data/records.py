"""TFRecords: the schema of image and audio records, and the table of contents beside each file.

A record is a `tf.train.Example` of byte strings. The split's key ("train", "val") is part of the feature names: the
original's habit, kept so that each reads the other's files.

    <key>/image   JPEG of one frame as it is on disk; or raw RGB, 224 x 224 x 3 uint8, as the original writes
    <key>/audio   79,534 x float32, little-endian, see audio.py; the reader takes the original's float64 too
    <key>/label   float32, little-endian, one per target, in [0, 1]; 5 in the original's, in the order of TRAITS
    <key>/video   clip name; the original's records have none

Beside `x.tfrecords` lies `x.tfrecords.json`, its table of contents, which saves reading the records to know how many
there are, of which clips and of which targets (targets.py). Records without it are read through instead, as of
ChaLearn's five.
"""

import json
from pathlib import Path

import numpy as np

from first_impression.common.checksums import checksum, stat_key
from first_impression.common.files import listed, where_allowed, write_json
from first_impression.common.parallel import progress
from first_impression.data import targets


def shard_paths(path, count):
    """The files of one record set: `path` itself, or `count` shards `path`-00000-of-00016 and so on."""
    if count == 1:
        return [path]
    return [path.with_name(f"{path.name}-{shard:05d}-of-{count:05d}") for shard in range(count)]


def files_here(path):
    """The files of the record set `path` that are here: that one, and its shards."""
    return [*filter(Path.exists, [path]), *listed(path.parent, f"{path.name}-?????-of-?????")]


def table_path(path):
    """The path of a record file's table of contents."""
    return path.with_name(f"{path.name}.json")


def read_table(path, of_any_file=False):
    """The table of contents of `path`; empty if there is none, or (unless `of_any_file`) if it is of another file.

    Whether it is of this one is known by the file's stat, or where that differs, as for a copy, by its checksum: the
    file is read once, and the table written anew.
    """
    table = _read_json(table_path(path))
    stat = stat_key(path)
    if not table or of_any_file or table["stat"] == stat:
        return table
    if not stat or table["checksum"] != checksum_with_progress(path):
        return {}
    table["stat"] = stat
    with where_allowed():  # where the folder may not be written to, the next run reads the file again
        write_json(table_path(path), table)
    return table


def checksum_with_progress(path):
    """The checksum of a record file, read under a progress bar."""
    with progress(path.stat().st_size, f"checking {path.name}", "B", unit_scale=True, delay=2) as bar:
        return checksum(path, bar.update)


def _read_json(path):
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        labels, names = np.array(list(table["labels"].values()), np.float32), targets.of_json(table).names
        sound = not len(labels) or labels.shape == (len(labels), len(names))  # a shard may be empty
        fits = isinstance(table["records"], int) and table.keys() >= {"made_from", "stat", "checksum"}
        return table if fits and sound and np.isfinite(labels).all() else {}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
