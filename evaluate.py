"""Step 6: score trained models, fuse their answers, and compare them with baselines that look at nothing.

Reads   runs/<NAME>/final.keras (step 5), or the epochs named; the records of the split (steps 3 and 4)
        Annotations/annotation_<split>.pkl, Annotations/annotation_training.pkl
Writes  runs/<NAME>/predictions_<split>.csv, in ChaLearn's columns; scatter_<split>.png, errors_<split>.png
        runs/fusion/scores_<split>.json (docs/scores.md says what is in it), models_<split>.png
        and where runs are fused, the fusion's predictions and pictures beside these
Run     python evaluate.py
        python evaluate.py --EPOCHS 1,2
        python evaluate.py --PREDICTIONS mine.csv,theirs.csv --ANNOTATION Annotations/annotation_validation.pkl

With EPOCHS "1,2" all files are named so, as predictions_<split>_epoch-1-2.csv. The third form scores CSV files of
anyone as they are, without TensorFlow, and writes into the folder OUT alone.
"""

import os
from pathlib import Path

import numpy as np

from first_impression.common import files, rules, script
from first_impression.common.errors import UserError, name_some
from first_impression.common.tensorflow_start import load_tensorflow
from first_impression.data import annotations, chalearn
from first_impression.data.clip_log import warn_of_missing
from first_impression.evaluation import baselines, comparison, fusion, metrics, predictions, results, summary
from first_impression.sharing.fetching import published_folder
from first_impression.training import manifest, saved_models

# What to score
MODELS = ""  # which runs, with commas between; "": all that are trained
EPOCHS = ""  # of each run; "": the last, "best": that of the best validation accuracy, "1" or "1,2": these, averaged
SPLIT = "validation"  # "validation", "test" or "training"
PREDICTIONS = ""  # CSV files to score in the place of runs, with commas between

# By what
ANNOTATION = ""  # "": Annotations/annotation_<split>.pkl
TRAINING_ANNOTATION = ""  # for the two baselines; "": Annotations/annotation_training.pkl
RESAMPLES = 1000  # of the bootstrap over sources
SEED = 0  # of the bootstrap

# The fusion
FUSE = ""  # the runs to fuse, with commas between; "": all, if no two of them are of one MODEL
FUSION_WEIGHTS = ""  # one number per fused run, in the order of FUSE or else of the tables; "": the plain mean

# Where, and how
RUNS = "runs"  # the folder of the runs; or a published folder, a zip of one, or the https address of its manifest.json
OUT = "scores"  # the folder for the results of PREDICTIONS, and of published runs
BATCH_SIZE = 0  # records at a time; 0: 256 on a GPU, 25 on a CPU

RULES = {
    "EPOCHS": saved_models.epochs_rule,
    "SPLIT": rules.one_of("validation", "test", "training"),
    "RESAMPLES": rules.whole(1, 10**5),
    "SEED": rules.whole(0),
    "BATCH_SIZE": rules.whole(0, 10**6),
}


def main(settings):
    split = chalearn.split_named(settings.SPLIT)
    reference = read_reference(split, settings)
    if settings.PREDICTIONS:
        answered = read_files(settings)
        weights = fusion_weights({path: path for path in answered}, settings)
    else:
        settings.RUNS = str(published_folder(settings.RUNS))
        runs = saved_models.find_trained(Path(settings.RUNS), settings.MODELS)
        weights = fusion_weights({name: saved_models.model_of(run) or name for name, run in runs.items()}, settings)
        answered = ask_runs(runs, split, reference, settings)
    for name, model in answered.items():
        compare_names(name, model, reference.labels)
    if weights:
        answered[fusion.NAME] = fused(answered, weights)

    about = {"split": split.name, "epochs": settings.EPOCHS, "annotation": str(annotation_of(split, settings))}
    about |= {"resamples": settings.RESAMPLES, "seed": settings.SEED, "fusion_weights": weights}
    report = about | results.collect(answered, reference)
    for name, model in report["models"].items():
        summary.print_model(name, model)
    summary.print_comparison(report)
    write_results(split, answered, reference.labels, report, settings)


def read_reference(split, settings):
    """The labels, those that the baselines know, and the sources that a table of labels names: `Reference`."""
    annotation = annotation_of(split, settings)
    training = Path(settings.TRAINING_ANNOTATION or chalearn.TRAINING.annotation)
    labels, sources = annotations.read_annotation(annotation, split.name), annotations.read_sources(annotation)
    training_labels = {}
    if training.exists():
        training_labels = annotations.read_annotation(training, chalearn.TRAINING.name)
        sources = annotations.read_sources(training) | sources
        if split is not chalearn.TRAINING:
            annotations.refuse_shared(training_labels, labels, f"{training} and the annotation to score")
    else:
        print(f"{training} is not there: scores stand without the baselines and the unseen sources")
    return comparison.Reference(labels, training_labels, sources, settings.RESAMPLES, settings.SEED)


def annotation_of(split, settings):
    return Path(settings.ANNOTATION or split.annotation)


def read_files(settings):
    """The answers in the CSV files of PREDICTIONS: {path: `Answered`}; doubled clips are told."""
    for name in ("MODELS", "EPOCHS"):
        if getattr(settings, name):
            raise UserError(f"{name} chooses among runs, PREDICTIONS are files as they stand: give one of the two")
    answered, output = {}, Path(settings.OUT, f"predictions_{settings.SPLIT}.csv")
    for path in map(str.strip, settings.PREDICTIONS.split(",")):
        if path in answered:
            raise UserError(f"PREDICTIONS names {path} twice")
        if os.path.realpath(path) == os.path.realpath(output):
            raise UserError(f"PREDICTIONS names {path}, which this command would replace: choose another OUT")
        answers, doubled = predictions.read_csv(path)
        if doubled:
            print(f"{path}: {len(doubled)} clips stand twice, the first row counts: {name_some(doubled)}")
        answered[path] = results.Answered(answers, {path: files.md5(path)})
    return answered


def fusion_weights(models, settings):
    """{name of a model to fuse: its weight}, empty where there is nothing to fuse. `models` is {name: its MODEL}."""
    if fusion.NAME in models:
        raise UserError(f"{Path(settings.RUNS) / fusion.NAME}: that name is the fusion's; give the run another")
    return fusion.weights_of(settings.FUSION_WEIGHTS, fusion.members_of(models, settings.FUSE))


def ask_runs(runs, split, reference, settings):
    """Ask the models of {name: folder} about the split's records: {name: `Answered`}. All is checked before that."""
    load_tensorflow()
    from first_impression.training.devices import Devices

    os.environ.pop("TF_CONFIG", None)  # one process scores, however many trained
    devices = Devices()
    networks, made_from, kinds, records = {}, {}, {}, {}
    for name, run in runs.items():
        made_from[name] = {str(file): files.md5(file) for file in saved_models.epoch_files(run, settings.EPOCHS)}
        with devices.strategy.scope():
            networks[name], kind = saved_models.load_networks(run, settings.EPOCHS)
        print(f"{name}: first weights: {saved_models.start_of(run)['words']}")
        kinds[name] = kind
        if kind not in records:
            records[kind] = open_records(split, kind, settings)
            made_in = chalearn.VOICES if kind == "audio" else chalearn.IMAGES
            warn_of_missing(records[kind].labels, made_in)
        if split is not chalearn.TRAINING:
            where = f"{run} and {records[kind].files[0]}"
            annotations.refuse_shared(saved_models.trained_on(run, records[kind].labels), records[kind].labels, where)
    answered = {}
    for name, run in runs.items():
        asked = records[kinds[name]]
        predicted = devices.predict(
            saved_models.mean_of(networks.pop(name)), asked, "record", name, settings.BATCH_SIZE
        )
        answered[name] = answer_of(run, made_from[name], asked, predicted, reference.labels)
        answered[name].remarks = remarks_on(run, split, reference, settings)
    return answered


def open_records(split, kind, settings):
    """The records of the split. Raises `UserError` where they name no clips, or have other labels than those here."""
    from first_impression.data import record_reader

    records = record_reader.open_records(getattr(split, f"{kind}_records"), split.key, kind)
    if not records.labels:
        raise UserError(f"{records.files[0]} does not name its clips: write it again with this project's own step")
    annotations.refuse_other_labels(records.labels, annotation_of(split, settings), records.files[0])
    return records


def answer_of(run, made_from, records, predicted, labels):
    """A run's answers `predicted` [records, 5] as `Answered`; `made_from` is {model file: its MD5}."""
    from first_impression.data import record_reader

    clips, true = record_reader.read_names(records)
    labelled = np.isin(clips, list(labels))
    frames = records.kind == "image" and labelled.any()
    return results.Answered(
        answers=dict(zip(*metrics.by_clip(clips, predicted), strict=True)),
        made_from=made_from,
        model=saved_models.model_of(run),
        settings=saved_models.settings_of(run),
        by_frame=metrics.accuracy(predicted[labelled], true[labelled]) if frames else None,
    )


def remarks_on(run, split, reference, settings):
    """What to bear in mind with a run's scores, in words; printed as well."""
    remarks = []
    if split is chalearn.TRAINING:
        remarks.append("it was trained on these clips: its scores say nothing about others")
    if settings.EPOCHS == "best" and split is chalearn.VALIDATION:
        remarks.append("its best epoch was chosen by its accuracy on these clips, which is too high therefore")
    if reference.training_labels:
        remarks += other_training(run, reference.training_labels)
    for remark in remarks:
        print(f"{run.name}: {remark}")
    return remarks


def other_training(run, training_labels):
    """In which way a run was trained on other clips than those behind the baselines: a list of at most one text."""
    published, _ = manifest.run_in(run)
    if published:
        count, known = published["training"]["clips"], len(saved_models.trained_on(run, training_labels))
        if count == known == len(training_labels):
            return []
        return [
            f"it was trained on {count} clips, the baselines know {len(training_labels)}, of which {known} are its own"
        ]
    other = baselines.other_training(saved_models.training_labels(run), training_labels)
    return [other] if other else []


def compare_names(name, model, labels):
    """Tell which predicted clips have no label and which labelled clips no prediction."""
    for clips, what in (
        (model.answers.keys() - labels.keys(), "without a label, passed over"),
        (labels.keys() - model.answers.keys(), "missing"),
    ):
        if clips:
            print(f"{name}: {len(clips)} clips {what}: {name_some(clips)}")
    if not model.answers.keys() & labels.keys():
        raise UserError(f"{name}: none of its clips has a label; is this the annotation of these clips?")


def fused(answered, weights):
    """The fusion of those `answered` that have a weight, as `Answered`."""
    members = [answered[name] for name in weights]
    made_from = {file: md5 for member in members for file, md5 in member.made_from.items()}
    return results.Answered(fusion.fuse([member.answers for member in members], weights.values()), made_from)


def write_results(split, answered, labels, report, settings):
    """Write what the docstring above names. First goes all that the same command has left, of a fusion too."""
    from first_impression.evaluation import plots

    ending = split.name + epochs_ending(settings.EPOCHS)
    if settings.PREDICTIONS:
        out = Path(settings.OUT)
        folders = {name: out for name in answered if name == fusion.NAME or len(answered) == 1}
    elif manifest.read(settings.RUNS):  # a published folder stays as it is
        out = Path(settings.OUT)
        folders = {name: out / name for name in answered}
    else:
        out = Path(settings.RUNS) / fusion.NAME
        folders = {name: Path(settings.RUNS) / name for name in answered}
    # A kill on the way must not leave scores beside answers of another making
    for folder in {out, *folders.values()}:
        for what in ("scores_{}.json", "models_{}.png", "predictions_{}.csv", "scatter_{}.png", "errors_{}.png"):
            files.remove(folder / what.format(ending))
    for name, folder in folders.items():
        answers = answered[name].answers
        predictions.write_csv(folder / f"predictions_{ending}.csv", answers)
        clips = sorted(answers.keys() & labels.keys())
        predicted, true = (np.array([values[clip] for clip in clips]) for values in (answers, labels))
        plots.draw_scatter(folder / f"scatter_{ending}.png", predicted, true, f"{name}, {ending}")
        plots.draw_errors(folder / f"errors_{ending}.png", predicted, true, f"{name}, {ending}")
    plots.draw_models(out / f"models_{ending}.png", report["models"], f"Models side by side, {ending}")
    files.write_json(out / f"scores_{ending}.json", results.without_nan(report))
    print(f"\nscores: {out / f'scores_{ending}.json'}, with pictures beside it")


def epochs_ending(epochs):
    """What the names of the results have in them for EPOCHS: nothing for the last, else "_best" or "_epoch-1-2"."""
    if epochs in ("", "best"):
        return f"_{epochs}" if epochs else ""
    return "_epoch-" + "-".join(part.strip() for part in epochs.split(","))


if __name__ == "__main__":
    script.run(main, single_instance=())
