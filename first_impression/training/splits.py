"""The records that a run is trained and validated on."""

from first_impression.common.errors import UserError
from first_impression.data import annotations, chalearn, record_reader
from first_impression.data.clip_log import warn_of_missing
from first_impression.training import cross_validation


def open_records(settings):
    """The `RecordSet`s to train and to validate on: those of the two splits, or with a FOLD two parts of the first.

    `settings` are those of train.py. Raises `UserError` as `open_split` does, where the two share clips or are of
    different targets, and where records that need names have none.
    """
    kind = "audio" if settings.MODEL == "audio" else "image"
    training = record_reader.open_split(chalearn.TRAINING, kind, settings.TRAIN_RECORDS)
    if not training.labels and (settings.FOLD or settings.TRAIN == "head"):
        raise UserError(f"{training.files[0]} does not name its clips: run this project's own step again")
    if settings.FOLD:
        sources = annotations.training_sources()
        training, validation = cross_validation.parts(training, settings.FOLD, sources, settings.SEED)
    else:
        validation = record_reader.open_split(chalearn.VALIDATION, kind, settings.VAL_RECORDS)
        annotations.refuse_shared(training.labels, validation.labels, f"training and {validation.files[0]}")
        if training.targets != validation.targets:
            both = f"{training.files[0]} is of {training.targets.in_words}; {validation.files[0]} of"
            raise UserError(f"{both} {validation.targets.in_words}: run their step with one TARGETS and SCALE")
    for name, records in (
        ("training", training),
        (f"fold {settings.FOLD}" if settings.FOLD else "validation", validation),
    ):
        print(f"{name}: {records.size} records of {len(records.labels) or 'unnamed'} clips")
    made_in = chalearn.VOICES if kind == "audio" else chalearn.IMAGES
    warn_of_missing(training.labels.keys() | validation.labels.keys(), made_in)
    return training, validation
