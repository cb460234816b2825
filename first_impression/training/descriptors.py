"""What the network below the dense layer gives for every record: computed once, and kept.

The cache, `descriptors/` in the current folder, may be deleted at any time. A folder in it belongs to one network
(layers, weights, number format) and one set of records, by the checksum in its name. It is filled part by part, each
complete or absent, so that a stopped pass goes on where it was. A part is an .npz file of

    descriptors   float32 [k, d]
    indices       int64 [k], the numbers of their records
"""

import hashlib
from pathlib import Path

import numpy as np

from first_impression.common.errors import UserError, is_machine_fault
from first_impression.common.files import whole_file
from first_impression.common.parallel import progress

CACHE = Path("descriptors")
PART = 1000  # records in a part
GPU_BATCH, CPU_BATCH = 250, 25  # records at a time; both divide PART


def compute(devices, model, records, title):
    """The descriptors of the `records`, a `RecordSet`, by index: float32 [n, d]; under a progress bar with `title`.

    Those of sound are its energies, standardised: they are read anew each time, since a cache would repeat the records.
    Raises `UserError` where one is not finite, and with several workers.
    """
    import keras

    if devices.workers > 1:
        raise UserError('TRAIN = "head" computes descriptors on one machine: run it without TF_CONFIG')
    body = keras.Model(model.input, model.get_layer("traits").input, name="body")
    whole = records.whole or records
    folder = CACHE / _checksum(body, whole) if whole.kind == "image" else None
    found = np.zeros((whole.size, body.output.shape[-1]), np.float32)
    for indices, descriptors in _parts(devices, body, whole, folder, title):
        found[indices] = descriptors
    if not np.isfinite(found).all():
        raise UserError(f"{title}: not finite: the weights of the network are damaged, or too large for its format")
    return found[records.rows] if records.whole else found


def _parts(devices, body, records, folder, title):
    """Yield (indices, descriptors) of each part: those that are in `folder`, then the others, which go there."""
    first = 0
    with progress(records.size, title, records.unit, delay=1) as bar:
        while folder and (part := _read(folder / f"{first:06d}.npz")):
            yield part
            bar.update(len(part[0]))
            first += 1
        bar.initial = bar.n  # so that the rate is that of the network
        batch_size = GPU_BATCH if devices.on_gpu else CPU_BATCH
        waiting, count = [], 0
        outputs = devices.outputs(body, records, batch_size, skip=first * PART // batch_size)
        for indices, descriptors in outputs if bar.n < records.size else ():
            waiting.append((indices, descriptors))
            count += len(indices)
            bar.update(len(indices))
            if count == PART or bar.n == records.size:
                part = tuple(map(np.concatenate, zip(*waiting, strict=True)))
                if folder:
                    _write(folder / f"{first:06d}.npz", *part)
                yield part
                waiting, count, first = [], 0, first + 1


def _write(path, indices, descriptors):
    with whole_file(path) as tmp, open(tmp, "wb") as file:
        np.savez(file, indices=indices, descriptors=descriptors)


def _read(path):
    """(indices, descriptors) of a part; None where it is not there, or damaged."""
    try:
        with np.load(path, allow_pickle=False) as part:
            return part["indices"], part["descriptors"]
    except FileNotFoundError:
        return None
    except Exception as error:  # NumPy and zipfile raise nearly anything over damaged bytes
        if is_machine_fault(error):
            raise
        return None


def _checksum(body, records):
    """A name that is another one for other layers, weights, number formats or records."""
    digest = hashlib.sha256(f"{body.to_json()} {records.fingerprint}".encode())
    for variable in body.variables:
        digest.update(np.ascontiguousarray(variable).tobytes())
    return digest.hexdigest()[:32]
