"""What trained runs answer to the records of a split."""

import os

import numpy as np

from first_impression.common.errors import UserError, lack_of_memory_as_user_error
from first_impression.common.tensorflow_start import load_tensorflow
from first_impression.data import annotations, chalearn
from first_impression.data.clip_log import warn_of_missing
from first_impression.evaluation import metrics
from first_impression.evaluation.results import Answered
from first_impression.training import dataset, number_format


def ask_runs(runs, split, annotation, reference, epochs, batch_size=0):
    """Ask the runs, a list of `Run`, about the records of the split: {name: `Answered`}.

    `annotation` is the file of the labels in `reference`, a `comparison.Reference`; `epochs` is the text that chose the
    models of the runs. Records are answered `batch_size` at a time; 0: as many as suit the device.
    Raises `UserError` for records or models that cannot be used, before the first run is asked; and for an answer that
    is not finite.
    """
    load_tensorflow()
    from first_impression.data import record_reader
    from first_impression.training.devices import Devices

    os.environ.pop("TF_CONFIG", None)  # one process scores, however many trained
    devices, records, remarks = Devices(), {}, {}
    for run in runs:
        with devices.strategy.scope():
            kind = run.kind  # loads the networks, onto these devices
        print(f"{run.name}: first weights: {run.start['words']}; {number_format.describe(run.networks[0])}")
        remarks[run.name] = _remarks_on(run, split, epochs, reference.of(run.targets.names).training_labels)
        if kind not in records:
            records[kind] = record_reader.open_split(split, kind, annotation=annotation)
            if not records[kind].labels:
                raise UserError(f"{records[kind].files[0]} does not name its clips: run this project's own step again")
        if split is not chalearn.TRAINING:
            shared = run.trained_on(records[kind].labels)
            annotations.refuse_shared(shared, records[kind].labels, f"{run.folder} and {records[kind].files[0]}")
    for kind, record_set in records.items():
        warn_of_missing(record_set.labels, chalearn.VOICES if kind == "audio" else chalearn.IMAGES)
    names = {kind: record_reader.read_names(record_set) for kind, record_set in records.items()}
    answered = {}
    for run in runs:
        with lack_of_memory_as_user_error(batch_size or devices.inference_batch):
            predicted = devices.predict(run.network, records[run.kind], "record", run.name, batch_size)
        clips, true = names[run.kind]
        labelled = np.isin(clips, list(reference.labels))
        answered[run.name] = Answered(
            answers=dict(zip(*metrics.by_clip(clips, predicted), strict=True)),
            targets=run.targets,
            made_from={str(file): md5 for file, md5 in run.md5s.items()},
            model=run.model,
            settings=run.settings,
            numbers=number_format.format_of(run.networks[0]),
            by_frame=_by_frame(run.targets.names, predicted[labelled], true[labelled], records[run.kind]),
            remarks=remarks[run.name],
        )
    return answered


def _remarks_on(run, split, epochs, training_labels):
    """What to bear in mind with a run's scores, a list of texts; printed as well."""
    remarks = [dataset.OF_DRAWN] if run.dataset == dataset.DRAWN else []
    if split is chalearn.TRAINING:
        remarks.append("it was trained on these clips: its scores say nothing about others")
    if epochs == "best" and split is chalearn.VALIDATION:
        remarks.append("its best epoch was chosen by its accuracy on these clips, which is too high therefore")
    if training_labels and (other := run.other_training(training_labels)):
        remarks.append(other)
    for remark in remarks:
        print(f"{run.name}: {remark}")
    return remarks


def _by_frame(names, predicted, true, records):
    """The accuracy by frame, {"mean" and each target: number}; None for sounds, and without the frames' labels.

    `predicted` [n, k] are of the targets of these `names`, `true` of those of the `records`.
    """
    if records.kind != "image" or not len(true) or not set(names) <= set(records.targets.names):
        return None
    true = true[:, records.targets.columns(names)]
    return metrics.by_column(metrics.accuracy(predicted, true), names)
