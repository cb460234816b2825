"""Step 8: the paper's table, filled with our scores beside the published ones.

Reads   runs/fusion/scores_validation.json and scores_test.json (step 6), as far as they are there
        runs/<NAME>/settings.json (step 5)
Writes  nothing
Run     python paper_table.py

A published number has no interval, so the interval of a difference to one is that of our score. Where a score cannot
be compared with a published one, the reasons follow the table.
"""

import json
from pathlib import Path

from first_impression.common import files, script
from first_impression.common.errors import UserError, counted, damage_as_user_error
from first_impression.common.settings import read_recipe
from first_impression.data.vggface import VGG_FACE
from first_impression.evaluation import fusion, published
from first_impression.evaluation.comparison import ALL
from first_impression.training.runs import EARLIER, Run

RUNS = "runs"  # the folder of the runs
MODELS = "paper_dan,paper_dan_plus,paper_resnet,paper_audio"  # the runs of the paper's models, named as their recipes

RECIPES = Path(__file__).parent / "recipes"


def main(settings):
    folder = Path(settings.RUNS)
    runs = [Run(folder / name) for name in settings.MODELS.split(",")]
    reports = read_reports(folder / fusion.NAME)
    for split, report in reports.items():
        print(f"\n{split}: accuracy by clip, and differences with their 95 % intervals\n")
        print(published.table(split, report, [run.name for run in runs]))
        if found := cautions(split, report, runs):
            print("NOT comparable with the published scores:", *found, sep="\n  ")
    print("\nPublished:")
    for (model, split), (accuracy, source) in published.PUBLISHED.items():
        print(f"  {model} on {split}: {accuracy['mean']:.4f} ({source})")
    print("  No number could be read of the paper's visual models alone.")


def read_reports(folder):
    """The reports of evaluate.py in `folder`, {split: the dict of docs/scores.md}, of the splits that were scored.

    Raises `UserError` where there is none, or a damaged one.
    """
    reports = {}
    for split in ("validation", "test"):
        if (path := folder / f"scores_{split}.json").exists():
            with damage_as_user_error(f"{path} is damaged or not evaluate.py's", "run evaluate.py again"):
                reports[split] = json.loads(path.read_text(encoding="utf-8"))
                reports[split]["models"], reports[split]["annotation"]  # what is read of it
    if not reports:
        raise UserError(f"{folder} holds no scores: run evaluate.py first")
    return reports


def cautions(split, report, runs):
    """Why our scores cannot be compared with the published ones: a list of texts, empty where they can."""
    found, names = [], [run.name for run in runs]
    annotation, expected = Path(report["annotation"]), published.ANNOTATIONS.get(split)
    if expected and not (annotation.exists() and files.md5(annotation) == expected):
        found.append(f"{annotation} is not ChaLearn's annotation file of this split")
    found += [f"{name} was not scored" for name in (*names, fusion.NAME) if name not in report["models"]]
    models = report["models"].items()
    found += [f"{name} does not answer the five traits" for name, of in models if not published.answers_the_five(of)]
    counts = {name: model["groups"][ALL]["clips"] for name, model in report["models"].items()}
    for count in sorted({*counts.values()} - {published.CLIPS}):
        scored = ", ".join(name for name in counts if counts[name] == count)
        found.append(f"scored on {counted(count, 'clip')}, not on all {published.CLIPS:,}: {scored}")
    if report["fusion_weights"].keys() != set(names) or len(set(report["fusion_weights"].values())) > 1:
        found.append(f"the fusion is not the plain mean of {', '.join(names)}")
    for run in runs:
        if run.start["published"] is False:
            found.append(f"{run.name} did not start from published weights: {run.start['words']}")
        elif run.model in ("dan", "dan_plus") and run.start.get("pretrained", VGG_FACE) != VGG_FACE:
            found.append(f"{run.name} did not start from VGG-Face, as the paper's did: {run.start['words']}")
        constants, recipe = EARLIER | run.settings.get("constants", {}), RECIPES / f"{run.name}.py"
        if recipe.exists() and run.settings.get("constants"):
            numbers = read_recipe(recipe, constants)
            if other := [f"{key} = {constants[key]!r}" for key in numbers if constants[key] != numbers[key]]:
                found.append(f"{run.name} was trained with {', '.join(other)}, not as recipes/{run.name}.py says")
    return found


if __name__ == "__main__":
    script.run(main)
