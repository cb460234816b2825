"""Step 9: trained runs as a folder that can be given away: the models, what made them, their scores, and no dataset.

Reads   runs/<NAME>/ (step 5), runs/fusion/scores_*.json (step 6)
Writes  <TO>/<NAME>/<epoch>.keras, <TO>/manifest.json, <TO>/README.md, the model card
Run     python publish.py dan audio --TO published/my-models --LICENSE cc-by-nc-4.0

The folder is as good on a web server, on Zenodo or on the Hugging Face Hub: predict.py and evaluate.py take its path, a
zip of it or the address of its manifest.json as --RUNS. It has no label and no clip name of the training set.
"""

import shutil
from pathlib import Path

from first_impression.common import files, rules, script
from first_impression.common.errors import UserError
from first_impression.sharing import card, packing
from first_impression.training import manifest, saved_models

TO = ""  # the folder to write; it must not be there yet
LICENSE = ""  # of the models, as the Hugging Face Hub abbreviates it: cc-by-nc-4.0, for example
RUNS = "runs"  # the folder of the runs
EPOCHS = ""  # of each run; "": the last, "best": that of the best validation accuracy, "1" or "1,2": these, averaged
FORMAT = "keras"  # "onnx": the same models as ONNX files too, for programs without Keras (requirements-onnx.txt)
TITLE = ""  # of the model card; "": the name of the folder TO

RULES = {
    "EPOCHS": saved_models.epochs_rule,
    "LICENSE": card.license_rule,
    "FORMAT": rules.one_of("keras", "onnx"),
}


def main(settings):
    if not settings.TO or not settings.LICENSE:
        raise UserError(
            "TO and LICENSE have to be chosen: the folder to write, and the licence of the models. ChaLearn's clips "
            "are CC BY-NC 4.0 and VGG-Face has terms of its own: what is trained from them is bound by both"
        )
    target = Path(settings.TO)
    if target.exists():
        raise UserError(f"{target} is there already: publish into a new folder, or remove that one")
    runs = saved_models.find_trained(Path(settings.RUNS), ",".join(settings.NAMES))
    if settings.FORMAT == "onnx":
        packing.require_onnx()
    scores = packing.scores_of(Path(settings.RUNS), runs, settings.EPOCHS)
    with files.whole_folder(target) as tmp:
        for name, run in runs.items():
            (tmp / name).mkdir()
            for file in saved_models.epoch_files(run, settings.EPOCHS):
                shutil.copyfile(file, tmp / name / file.name)
                if settings.FORMAT == "onnx":
                    packing.write_onnx(file, tmp / name / f"{file.stem}.onnx")
        about = packing.describe(tmp, runs, settings.EPOCHS, settings.LICENSE)
        files.write_json(tmp / manifest.NAME, about)
        manifest.read(tmp)  # what cannot be read again is not given away
        (tmp / "README.md").write_text(card.write(settings.TITLE or target.name, about, scores), encoding="utf-8")
    size = sum(of["bytes"] for of in about["files"].values())
    print(f"{target}: {len(about['files'])} models, {size / 1e6:,.1f} MB, {manifest.NAME} and README.md, the card")
    for line in card.cautions(about, scores):
        print(f"  {line}")


if __name__ == "__main__":
    script.run(main, inputs="NAMES")
