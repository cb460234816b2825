"""Examples into record files, each with its table of contents."""

import hashlib
import json
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from first_impression.common.checksums import stat_key
from first_impression.common.errors import UserError, name_some
from first_impression.common.files import whole_file, write_json
from first_impression.common.parallel import progress
from first_impression.common.tensorflow_start import load_tensorflow
from first_impression.data.records import checksum_with_progress, files_here, read_table, shard_paths, table_path
from first_impression.data.targets import FIVE


class Example(NamedTuple):
    """What becomes one record, or the records of a clip's frames."""

    clip: str
    label: np.ndarray  # float32 [targets]
    source: Path  # a frame, a WAV file, or the folder of a clip's frames
    checksum: str = ""  # of what step 1 or 2 has made


def paths_to_write(path, count, shard):
    """The files of the record set `path` that one run writes: all `count`, or the third of 16 for the shard "3/16".

    Raises `UserError` where the set is here in another number of files.
    """
    number, count = map(int, shard.split("/")) if shard else (0, count)
    paths = shard_paths(path, count)
    others = {file.name for file in files_here(path) if file not in paths}
    if others:
        raise UserError(f"{name_some(others)}: a set of another NUM_SHARDS or SHARD is here: move it away or keep it")
    return paths[number - 1 : number] if shard else paths


def write(path, key, kind, examples, payloads, made_with, targets=FIVE):
    """Write `examples`, with labels of the `targets`, into one record file with its table of contents, and say so.

    `payloads(sources)` yields the bytes of each example's source; `made_with` is a dict of whatever else decides
    about them, the "sources", their checksums, above all, with "shard" where the examples are those of a shard.
    Together they identify the file: only the same call finds it done.
    Raises `UserError` where the file cannot be written.
    """
    start = time.monotonic()
    fingerprint = _fingerprint(key, kind, examples, made_with | targets.as_json)
    if read_table(path).get("made_from") == fingerprint:
        print(f"{path}: {len(examples)} records, were there")
        return
    load_tensorflow()
    import tensorflow as tf  # here: it takes seconds, and most reruns have nothing to write

    try:
        with whole_file(path) as tmp:
            with tf.io.TFRecordWriter(str(tmp)) as writer, progress(len(examples), path.name, "record") as bar:
                for example, payload in zip(examples, payloads([example.source for example in examples]), strict=True):
                    writer.write(_serialize(key, kind, example, payload))
                    bar.update()
            size, stat, checksum = tmp.stat().st_size, stat_key(tmp), checksum_with_progress(tmp)
            table_path(path).unlink(missing_ok=True)  # or, after a kill, an old one would stand beside the new file
    except tf.errors.OpError as error:
        raise UserError(f"{path} could not be written ({error.message}): mend that, and run this again") from None
    table = {"made_from": fingerprint, "stat": stat, "checksum": checksum, "records": len(examples)}
    table |= {"shard": made_with.get("shard", "")} | targets.as_json
    table["labels"] = {example.clip: example.label.tolist() for example in examples}
    write_json(table_path(path), table)
    counts = f"{len(examples)} records of {len(table['labels'])} clips"
    print(f"{path}: {counts}, {size / 1e6:.1f} MB, {time.monotonic() - start:.0f} s")


def _serialize(key, kind, example, payload):
    import tensorflow as tf

    video, label = example.clip.encode(errors="surrogateescape"), example.label.astype("<f4").tobytes()
    features = {
        f"{key}/{name}": tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        for name, value in ((kind, payload), ("label", label), ("video", video))
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)


def _fingerprint(key, kind, examples, made_with):
    digest = hashlib.sha256(json.dumps([key, kind, made_with], sort_keys=True).encode())
    for example in examples:
        name = f"{example.clip}\0{example.source.name}\0".encode(errors="surrogateescape")
        digest.update(name + example.label.tobytes())
    return digest.hexdigest()
