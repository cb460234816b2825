"""Annotations as ChaLearn delivers them: pickles in zips, train-annotation.zip and, encrypted, val-annotation-e.zip."""

import os
from pathlib import Path, PurePosixPath

from first_impression.common.errors import UserError
from first_impression.common.files import listed
from first_impression.data import archives
from first_impression.data.chalearn import ANNOTATIONS, SPLITS

_MOST_BYTES = 100_000_000  # of an annotation; ChaLearn's largest has 800,000


def packed_annotations(data):
    """{split: (zip, its entry)} of the splits whose annotation lies in a zip alone, in Annotations/ or in `data`."""
    missing = {f"annotation_{split.name}.pkl": split for split in SPLITS if not split.annotation.exists()}
    found = {}
    for archive in [*listed(ANNOTATIONS, "*.zip"), *listed(data, "*annotation*.zip")] if missing else []:
        with archives.open_zip(Path(archive)) as opened:
            for entry in opened.infolist():
                split = missing.get(PurePosixPath(entry.filename).name)
                if split and entry.file_size > _MOST_BYTES:
                    raise UserError(f"{archive}: {entry.filename} is too large for an annotation: fetch the zip again")
                if split:
                    found.setdefault(split, (Path(archive), entry.filename))
    return found


def unpack_annotations(data, password=""):
    """Unpack the annotations that lie in zips to Annotations/annotation_<split>.pkl, for the splits that have none.

    Prints what was unpacked, and which zips wait for their password.
    Raises `UserError` for a damaged zip and a wrong password.
    """
    for split, (archive, entry) in packed_annotations(data).items():
        try:
            archives.unpack(archive, entry, split.annotation, password, by=f"-{os.getpid()}")
            print(f"{split.annotation}: unpacked from {archive}")
        except archives.NoPassword as reason:
            print(f"the {split.name} labels: {reason}")
