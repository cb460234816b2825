"""Pack trained runs into a folder to give away: the models, what made them, their scores, and nothing of the dataset.

Reads   runs/<NAME>/ (step 5), runs/fusion/scores_*.json (step 6)
Writes  <TO>/<NAME>/<epoch>.keras, <TO>/manifest.json, and the model card <TO>/README.md
Run     python publish.py dan audio --TO published/my-models --LICENSE cc-by-nc-4.0

The folder can be put on a web server, on Zenodo or on the Hugging Face Hub: predict.py and evaluate.py take its path, a
zip of it or the address of its manifest.json as --RUNS. It has no label and no clip name of the training set.
"""

from pathlib import Path

from first_impression.common import files, rules, script
from first_impression.common.errors import UserError, counted
from first_impression.common.tensorflow_start import load_tensorflow
from first_impression.sharing import card, packing
from first_impression.training import manifest, scored
from first_impression.training.runs import epochs_rule, find_runs

TO = ""  # the folder to write; it must not be there yet
LICENSE = ""  # of the models, as the Hugging Face Hub abbreviates it: cc-by-nc-4.0, for example
RUNS = "runs"  # the folder of the runs
EPOCHS = ""  # of each run; "": the last, "best": that of the best validation accuracy, "1" or "1,2": these, averaged
FORMAT = "keras"  # "onnx": the same models as ONNX files too, for programs without Keras (requirements-onnx.txt)
TITLE = ""  # of the model card; "": the name of the folder TO

RULES = {"EPOCHS": epochs_rule, "LICENSE": card.license_rule, "FORMAT": rules.one_of("keras", "onnx")}


def main(settings):
    if not settings.TO or not settings.LICENSE:
        raise UserError(
            "choose TO and LICENSE: the folder to write, and the licence of the models. ChaLearn's clips are CC BY-NC "
            "4.0 and VGG-Face has terms of its own: models trained from them are bound by both"
        )
    target, folder = Path(settings.TO), Path(settings.RUNS)
    if target.exists():
        raise UserError(f"{target} exists: publish into a new folder, or remove that one")
    runs = find_runs(folder, ",".join(settings.NAMES), settings.EPOCHS)
    if settings.FORMAT == "onnx":
        packing.require_onnx()
    scores = scored.scores_of(folder, runs)
    load_tensorflow()
    with files.whole_folder(target) as tmp:
        for run in runs:
            packing.copy_models(run, tmp / run.name, settings.FORMAT == "onnx")
        about = packing.describe(tmp, runs, settings.EPOCHS, settings.LICENSE)
        files.write_json(tmp / manifest.NAME, about)
        manifest.read(tmp)  # nothing is published that cannot be read again
        (tmp / "README.md").write_text(card.write(settings.TITLE or target.name, about, scores), encoding="utf-8")
    size = sum(file["bytes"] for file in about["files"].values())
    models = counted(len(about["files"]), "model")
    summary = f"{target}: {models}, {size / 1e6:,.1f} MB, {manifest.NAME} and README.md, the model card"
    print(summary, *card.cautions(about, scores), sep="\n  ")


if __name__ == "__main__":
    script.run(main, inputs="NAMES")
