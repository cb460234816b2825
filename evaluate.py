"""Step 6: score trained models, fuse their answers, and compare them with guesses that look at nothing.

Reads   runs/<MODEL>/final.keras (step 5) and the records of the split (steps 3 and 4), or CSV files of anyone
        Annotations/annotation_<split>.pkl, Annotations/annotation_training.pkl
Writes  runs/<MODEL>/predictions_<split>.csv, in ChaLearn's columns; scatter_<split>.png, errors_<split>.png
        runs/fusion/predictions_<split>.csv, the same pictures, models_<split>.png, scores_<split>.json
Run     python evaluate.py
        python evaluate.py --PREDICTIONS mine.csv,theirs.csv --ANNOTATION Annotations/annotation_validation.pkl

The second form scores CSV files as they are, without TensorFlow, and writes into runs/fusion/ alone.
"""

import os
from pathlib import Path

import numpy as np

from first_impression.common import script
from first_impression.common.errors import UserError, name_some
from first_impression.common.files import write_json
from first_impression.data import annotations, chalearn
from first_impression.evaluation import metrics, predictions
from first_impression.training import saved_models

MODELS = ""  # which runs, with commas between; "": all that are trained
SPLIT = "validation"  # "validation", "test" or "training"
FUSION_WEIGHTS = ""  # one number per model in the order of the tables, with commas between; "": the plain mean

PREDICTIONS = ""  # CSV files to score in the place of runs, with commas between
ANNOTATION = ""  # "": Annotations/annotation_<split>.pkl
TRAINING_ANNOTATION = "Annotations/annotation_training.pkl"  # for the two floors

RUNS = "runs"  # the folder of the runs
RESAMPLES = 1000  # of the bootstrap over clips
SEED = 0  # of the bootstrap
BATCH_SIZE = 0  # records at a time; 0: 256 on a GPU, 25 on a CPU

RULES = {
    "SPLIT": script.one_of("validation", "test", "training"),
    "RESAMPLES": script.whole(1, 10**6),
    "SEED": script.whole(0),
    "BATCH_SIZE": script.whole(0, 10**6),
}

FUSION = "fusion"


def main(settings):
    split = chalearn.split_named(settings.SPLIT)
    labels = annotations.read_annotation(settings.ANNOTATION or split.annotation)
    training_labels = {}
    if Path(settings.TRAINING_ANNOTATION).exists():
        training_labels = annotations.read_annotation(settings.TRAINING_ANNOTATION)
        if split is not chalearn.TRAINING:
            annotations.refuse_shared(
                training_labels, labels, f"{settings.TRAINING_ANNOTATION} and the annotation to score"
            )
    else:
        print(f"{settings.TRAINING_ANNOTATION} is not there: scores stand without the floors and the unseen sources")
    folder = Path(settings.RUNS)
    if settings.PREDICTIONS:
        answers, by_frame = read_files(settings.PREDICTIONS.split(",")), {}
    else:
        answers, by_frame = run_models(folder, split, settings)
    for name, of_clip in answers.items():
        compare_names(name, of_clip, labels)
    weights = fusion_weights(settings.FUSION_WEIGHTS, answers)
    if len(answers) > 1:
        answers[FUSION] = metrics.fuse(answers.values(), weights)
        predictions.write_csv(folder / FUSION / f"predictions_{split.name}.csv", answers[FUSION])

    report = {"split": split.name, "models": {}}
    for name, of_clip in answers.items():
        clips = sorted(of_clip.keys() & labels.keys())
        report["models"][name] = score(name, clips, of_clip, labels, training_labels, by_frame.get(name), settings)
    if len(answers) > 1:
        report["fusion_weights"] = dict(zip(list(answers)[:-1], weights, strict=True))
    print_summary(report)
    write_json(folder / FUSION / f"scores_{split.name}.json", report)
    draw(folder, split, answers, labels, report, own_folders=not settings.PREDICTIONS)
    print(f"\nscores: {folder / FUSION / f'scores_{split.name}.json'}, with pictures beside it")


def read_files(paths):
    """{file's name: {clip: [5]}} of ChaLearn CSV files; doubled clips are told."""
    answers = {}
    for path in map(str.strip, paths):
        if path in answers:
            raise UserError(f"PREDICTIONS names {path} twice")
        answers[path], doubled = predictions.read_csv(path)
        if doubled:
            print(f"{path}: {len(doubled)} clips stand twice, the first row counts: {name_some(doubled)}")
    return answers


def run_models(folder, split, settings):
    """Run every model over the split's records: {model: {clip: [5]}} and {model: accuracy by frame [5]}."""
    trained = saved_models.find_trained(folder, settings.MODELS)
    script.load_tensorflow()
    from first_impression.data import record_reader
    from first_impression.training.devices import Devices

    os.environ.pop("TF_CONFIG", None)  # one process scores, however many trained
    devices = Devices()
    answers, by_frame = {}, {}
    for name, run in trained.items():
        with devices.strategy.scope():
            model, kind = saved_models.load_model(run / saved_models.FINAL)
        print(f"{name}: first weights: {saved_models.start_of(run)['words']}")
        records = record_reader.open_records(getattr(split, f"{kind}_records"), split.key, kind)
        if not records.labels:
            raise UserError(f"{records.files[0]} does not name its clips: write it again with this project's own step")
        if split is not chalearn.TRAINING:
            annotations.refuse_shared(saved_models.training_clips(run), records.labels, f"{run} and {records.files[0]}")
        clips, true = record_reader.read_names(records)
        predicted = devices.predict(model, records, "record", name, settings.BATCH_SIZE)
        by_frame[name] = metrics.accuracy(predicted, true) if kind == "image" else None
        names, means = metrics.by_clip(clips, predicted)
        answers[name] = dict(zip(names, means, strict=True))
        predictions.write_csv(run / f"predictions_{split.name}.csv", answers[name])
    return answers, by_frame


def compare_names(name, of_clip, labels):
    """Tell which predicted clips have no label and which labelled clips no prediction."""
    for clips, what in (
        (of_clip.keys() - labels.keys(), "without a label, passed over"),
        (labels.keys() - of_clip, "missing"),
    ):
        if clips:
            print(f"{name}: {len(clips)} clips {what}: {name_some(clips)}")
    if not of_clip.keys() & labels.keys():
        raise UserError(f"{name}: none of its clips has a label; is this the annotation of these clips?")


def fusion_weights(text, answers):
    """One weight per model, from FUSION_WEIGHTS."""
    if not text:
        return [1.0] * len(answers)
    try:
        weights = [float(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"FUSION_WEIGHTS = {text!r}: numbers with commas between were expected") from None
    if len(weights) != len(answers) or not all(0 <= weight < np.inf for weight in weights) or not sum(weights):
        raise UserError(f"FUSION_WEIGHTS = {text!r}: one weight, 0 or more, is needed for each of {', '.join(answers)}")
    return weights


def score(name, clips, of_clip, labels, training_labels, by_frame, settings):
    """All scores of one model, printed and returned as what JSON can hold; once more on clips of unseen sources."""
    seen = {metrics.source(clip) for clip in training_labels}
    groups = {"all clips": clips}
    if training_labels:
        groups["clips of unseen sources"] = [clip for clip in clips if metrics.source(clip) not in seen]
    result = {}
    for group, members in groups.items():
        print(f"\n{name}, {len(members)} {group}")
        if not members:
            continue
        predicted, true = (np.array([values[clip] for clip in members], np.float64) for values in (of_clip, labels))
        rows = {label: function(predicted, true) for label, function in metrics.SCORES.items()}
        if by_frame is not None and group == "all clips":
            rows["accuracy by frame"] = by_frame
        if training_labels:
            rows["constant guess"] = metrics.accuracy(metrics.constant_guess(members, training_labels), true)
            rows["same-source lookup"] = metrics.accuracy(metrics.same_source_lookup(members, training_labels), true)
        low, high = metrics.bootstrap_interval(predicted, true, settings.RESAMPLES, settings.SEED)
        print(metrics.table(rows))
        print(f"mean accuracy: 95 % of {settings.RESAMPLES} resamples of the clips lie within {low:.4f} .. {high:.4f}")
        result[group] = {"clips": len(members), "interval": [round(low, 4), round(high, 4)]}
        result[group] |= {label: as_dict(values) for label, values in rows.items()}
    return result


def as_dict(values):
    """A score as {"mean": .., trait: ..}, to four decimals; None for what is no number, which JSON lacks."""
    numbers = [round(float(value), 4) if np.isfinite(value) else None for value in (np.mean(values), *values)]
    return dict(zip(("mean", *chalearn.TRAITS), numbers, strict=True))


def print_summary(report):
    """The last tables: accuracy by clip of every model beside the floors, on all clips and on unseen sources."""
    for group in ("all clips", "clips of unseen sources"):
        scored = {name: groups[group] for name, groups in report["models"].items() if group in groups}
        counts = {scores["clips"] for scores in scored.values()}
        rows = {  # with the number of clips, where models that know different clips stand side by side
            name + (f" ({scores['clips']} clips)" if len(counts) > 1 else ""): scores["accuracy"]
            for name, scores in scored.items()
        }
        for floor in ("constant guess", "same-source lookup"):
            found = max(scored.values(), key=lambda scores: scores["clips"], default={}).get(floor)
            rows |= {floor: found} if found else {}
        if rows:
            print(f"\n{report['split']}, accuracy by clip, {group}")
            print(metrics.table({name: [row[trait] for trait in chalearn.TRAITS] for name, row in rows.items()}))


def draw(folder, split, answers, labels, report, own_folders):
    """The pictures of each model in its own folder, or of the fusion alone where the models are CSV files."""
    from first_impression.evaluation import plots

    for name, of_clip in answers.items():
        clips = sorted(of_clip.keys() & labels.keys())
        predicted, true = (np.array([values[clip] for clip in clips]) for values in (of_clip, labels))
        if own_folders or name == FUSION or len(answers) == 1:
            target = folder / (name if own_folders else FUSION)
            plots.draw_scatter(target / f"scatter_{split.name}.png", predicted, true, f"{name}, {split.name}")
            plots.draw_errors(target / f"errors_{split.name}.png", predicted, true, f"{name}, {split.name}")
    plots.draw_models(folder / FUSION / f"models_{split.name}.png", report)


if __name__ == "__main__":
    script.run(main, single_instance=())
