"""Step 6: score trained models, fuse their answers, and compare them with baselines and with the best score possible.

Reads   runs/<NAME>/final.keras (step 5), or the epochs named; the records of the split (steps 3 and 4)
        Annotations/annotation_<split>.pkl, Annotations/annotation_training.pkl
        label_ceiling.json beside the annotation, if there is one (label_ceiling.py); the file GROUPS
Writes  runs/<NAME>/predictions_<split>.csv, in ChaLearn's columns; scatter_<split>.png, errors_<split>.png,
        calibration_<split>.png
        runs/<NAME>/predictions.json, which models have given the answers to the validation clips: with it predict.py
        ranks other answers among these
        runs/fusion/scores_<split>.json (docs/scores.md says what is in it), models_<split>.png
        and where runs are fused, the fusion's predictions and pictures beside these
Run     python evaluate.py
        python evaluate.py --EPOCHS 1,2
        python evaluate.py --PREDICTIONS mine.csv,theirs.csv --ANNOTATION Annotations/annotation_validation.pkl

With EPOCHS "1,2" all files are named so, as predictions_<split>_epoch-1-2.csv. The third form scores CSV files
from any source, without TensorFlow, and writes into the folder OUT alone.
"""

import os
from dataclasses import replace
from pathlib import Path

from first_impression.common import files, rules, script
from first_impression.common.errors import UserError, counted, name_some
from first_impression.data import annotations, chalearn, label_table
from first_impression.data.targets import FIVE, all_names
from first_impression.evaluation import comparison, fusion, groups, metrics, results, summary, unseen
from first_impression.evaluation.display import in_words
from first_impression.inference.record_answers import ask_runs
from first_impression.sharing.fetching import published_folder
from first_impression.training import number_format
from first_impression.training.runs import PublishedRun, epochs_rule, find_runs

# What to score
MODELS = ""  # which runs, with commas between; "": all that are trained
EPOCHS = ""  # of each run; "": the last, "best": that of the best validation accuracy, "1" or "1,2": these, averaged
SPLIT = ""  # "validation", "test" or "training"; "": that of ANNOTATION, by its name or content, else "validation"
PREDICTIONS = ""  # CSV files to score in the place of runs, with commas between

# Against what
ANNOTATION = ""  # "": Annotations/annotation_<split>.pkl
TRAINING_ANNOTATION = ""  # for the two baselines; "": Annotations/annotation_training.pkl
GROUPS = ""  # a CSV file of the columns clip and one or more groups of people, as age or sex; "": none
RESAMPLES = 1000  # of the bootstrap over sources
SEED = 0  # of the bootstrap

# The fusion
FUSE = ""  # the runs to fuse, with commas between; "": all, if no two of them are of one MODEL
FUSION_WEIGHTS = ""  # one number per fused run, in the order of FUSE or else of the tables; "": the plain mean

# Where, and how
RUNS = "runs"  # the folder of the runs; or a published folder, a zip of one, or the https address of its manifest.json
OUT = "scores"  # the folder for the results of PREDICTIONS, and of published runs
BATCH_SIZE = 0  # records at a time; 0: 256 on a GPU, 25 on a CPU
MIXED_PRECISION = "float32"  # as in train.py; scores in float32 do not depend on the machine (docs/reproducing.md)

RULES = {
    "EPOCHS": epochs_rule,
    "SPLIT": rules.one_of("", "validation", "test", "training"),
    "RESAMPLES": rules.whole(1, 10**5),
    "SEED": rules.whole(0),
    "BATCH_SIZE": rules.whole(0, 10**6),
    "MIXED_PRECISION": number_format.RULE,
}


def main(settings):
    split = split_to_score(settings.SPLIT, settings.ANNOTATION)
    ending = split.name + epochs_ending(settings.EPOCHS)
    annotation = Path(settings.ANNOTATION or split.annotation)
    training = Path(settings.TRAINING_ANNOTATION or chalearn.TRAINING.annotation)
    people = groups.read(settings.GROUPS) if settings.GROUPS else {}
    out = Path(settings.OUT)
    if settings.PREDICTIONS:
        if settings.MODELS or settings.EPOCHS:
            raise UserError("MODELS and EPOCHS choose among runs, PREDICTIONS names files: leave out one or the other")
        answered = read_files(settings.PREDICTIONS.split(","), out / f"predictions_{ending}.csv", annotation)
        of_models = {path: model.targets for path, model in answered.items()}
        models = {path: path for path in answered}
        folders = {fusion.NAME: out} if len(answered) > 1 else dict.fromkeys(answered, out)
    else:
        place = published_folder(settings.RUNS)
        runs = find_runs(place, settings.MODELS, settings.EPOCHS, settings.MIXED_PRECISION)
        models, of_models = {run.name: run.model or run.name for run in runs}, {run.name: run.targets for run in runs}
        published = isinstance(runs[0], PublishedRun)  # such a folder stays as it is
        folders = {name: (out if published else place) / name for name in (*models, fusion.NAME)}
        out = out if published else folders[fusion.NAME]
    if out == Path(settings.OUT):
        results.refuse_other_result(out / f"scores_{ending}.json", models, annotation)
    weights = fusion.weights_of(models, settings.FUSE, settings.FUSION_WEIGHTS)
    shared = fusion.shared_targets(of_models)
    every = replace(shared, names=all_names(of_models.values()))
    reference = comparison.read_reference(split, annotation, training, settings.RESAMPLES, settings.SEED, every)
    if settings.PREDICTIONS:
        remark_on_files(answered, reference)
    else:
        answered = ask_runs(runs, split, annotation, reference, settings.EPOCHS, settings.BATCH_SIZE)

    report = {"split": split.name, "epochs": settings.EPOCHS, "annotation": str(annotation)}
    report |= {"resamples": settings.RESAMPLES, "seed": settings.SEED, "fusion_weights": weights}
    report |= {"scale": [shared.low, shared.high]}
    report |= results.collect(answered, weights, reference, people, shared, fuse_shared=bool(settings.PREDICTIONS))
    summary.print_report(report)
    results.write(out, folders, ending, answered, reference, report)
    if not settings.PREDICTIONS and not published and split is chalearn.VALIDATION:
        for run in runs:
            table = folders[run.name] / f"predictions_{ending}.csv"
            sources = metrics.sources_of(answered[run.name].answers, reference.sources)
            unseen.record(table, unseen.VALIDATION, run.md5s.values(), sources)


def split_to_score(name, annotation):
    """The split of this name; without a name that of the file `annotation`, which is printed; else validation."""
    if name:
        return chalearn.SPLIT_NAMED[name]
    found = annotations.split_of(annotation) if annotation else None
    if found:
        print(f"{annotation} has the labels of the {found.name} split")
    return found or chalearn.VALIDATION


def read_files(paths, output, annotation):
    """The answers in the CSV files `paths` to what the `annotation` has labels of: {path: `Answered`}.

    Prints which clips have several rows. Raises `UserError` for a path that is there twice, or that is the `output` of
    this command, and for a file that answers nothing of the annotation's.
    """
    answered = {}
    for path in map(str.strip, paths):
        if path in answered:
            raise UserError(f"PREDICTIONS names {path} twice")
        if os.path.realpath(path) == os.path.realpath(output):
            raise UserError(f"PREDICTIONS names {path}, which this command would replace: choose another OUT")
        targets = targets_of_file(path, annotation)
        table = label_table.read(path, targets.unit)
        if table.doubled:
            rows = counted(len(table.doubled), "repeated row")
            print(f"{path}: {rows}, the first row of a clip counts: {name_some(table.doubled)}")
        answered[path] = results.Answered(table.values, {path: files.md5(path)}, targets)
    return answered


def targets_of_file(path, annotation):
    """What of the targets of the `annotation` a CSV file has columns for, on the scale that its columns name.

    Prints which of the five traits are missing in a file that has others of them. Raises `UserError` where it has none.
    """
    if not annotation.exists():
        return FIVE  # `comparison.read_reference` says that it is missing
    known = annotations.numbers_in(annotation)
    known = [*(name for name in FIVE.names if name in known), *(name for name in known if name not in FIVE.names)]
    targets = label_table.targets_in(path, known)
    if not targets.names:
        raise UserError(f"{path} has no column for what {annotation} has labels of: {', '.join(known)}")
    missing = [name for name in FIVE.names if name in known and name not in targets.names]
    if missing and not set(targets.names).isdisjoint(FIVE.names):
        print(f"{path} has no column for {', '.join(map(in_words, missing))}: it is scored by the others alone")
    return targets


def remark_on_files(answered, reference):
    """Note with each of {path: `Answered`} what to bear in mind with it."""
    for path, model in answered.items():
        labels = reference.of(model.targets.names).labels
        model.remarks += results.remarks_on_file(path, model.answers, labels, model.targets.names)


def epochs_ending(epochs):
    """What the names of the results have in them for EPOCHS: nothing for the last, else "_best" or "_epoch-1-2"."""
    if epochs in ("", "best"):
        return f"_{epochs}" if epochs else ""
    return "_epoch-" + "-".join(part.strip() for part in epochs.split(","))


if __name__ == "__main__":
    script.run(main, single_instance=())
