"""The model card of a published folder, with the front matter that the Hugging Face Hub reads.

It says only what holds for the runs in the folder: what they were trained on, what they started from.
"""

import re

from first_impression.common.errors import counted
from first_impression.data import vggface
from first_impression.data.targets import FIVE, INTERVIEW, NOT_FOR_HIRING, of_json
from first_impression.evaluation import fusion
from first_impression.evaluation.comparison import ALL, UNSEEN
from first_impression.evaluation.display import in_words
from first_impression.training import dataset, manifest

FEW_CLIPS = 100
LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]{1,40}")

FRONT_MATTER = (
    "---\nlicense: {license}\nlibrary_name: keras\n"
    "tags:\n- apparent-personality\n- first-impressions\n- video\n{tags}metrics:\n- mae\n---\n"
)

USE = """## What it is

Models that guess, from a video of about 15 seconds, how strangers would rate the person in it on {rated}. \
They answer numbers from 0 to 1{scale}: an impression, as a crowd on the internet would have it, and **not a measure
of the person**.{stability}

## What it is for, and what not

For research on first impressions and on the models that imitate them. **Not for decisions about people**: not for
hiring, admission, credit, policing or dating. The labels carry the prejudices of those who gave them, about looks, age,
sex and origin among them, and the models have learnt these too.
{interview}"""
BIG_FIVE = 'the "Big Five"\ntraits'
STABILITY = ' A high "neuroticism" means *emotionally stable*{as_in_chalearn}.'
OWN_SCALE = ", the ends of the scale on which their labels were given, which is named below"

SCORES = """## Scores

Accuracy is 1 minus the mean absolute error, by clip; in brackets the 95 % interval over source videos. The
two baselines ignore the video: the training labels' mean, and the mean label of training clips of the same
source."""

TRAINING = f"""## Training

{{runs}}

`{manifest.NAME}` has every constant, the versions, the size and SHA-256 of each file, and quantiles of
the training labels and of answers to unseen clips, to rank others among. Names of training clips are
there as salted hashes only, so that nobody scores the models on clips that they were trained on.
Packed by revision {{revision}}.
"""

TERMS = """## Licence

{license}, as its publisher chose.{bearing}
"""
CHALEARN_TERMS = "the clips and labels of ChaLearn First Impressions V2, on which they were trained, are CC BY-NC 4.0"
VGG_FACE_TERMS = "VGG-Face, from which visual models start, is for non-commercial research"

USAGE = f"""## How to use it

With First-Impression, from a clip to a table, a picture and a JSON file:

    python predict.py clip.mp4 --RUNS <this folder, a zip of it, or the address of its {manifest.NAME}>

With Keras alone, on {{inputs}}:

    import keras, numpy as np
    model = keras.models.load_model("{{file}}", compile=False)
    print({{on_scale}}model.predict(np.zeros({{shape}}, "{{dtype}}")))  # {{answers}}
"""

ONNX_USAGE = """With ONNX Runtime, on the same as float32; the file itself says what it takes and answers:

    import json, numpy as np, onnxruntime
    session = onnxruntime.InferenceSession("{file}")
    about = {{name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}}
    (answers,) = session.run(None, {{session.get_inputs()[0].name: np.zeros({shape}, "float32")}})
    low, high = about["scale"]
    print(about["targets"], low + (high - low) * answers)
"""

INPUTS = {  # of a kind of models: what, and the shape and dtype of one
    "image": ("frames as RGB, 0 to 255, 224 x 224", "(1, 224, 224, 3)", "uint8"),
    "audio": ("79,534 log filterbank energies of 15.3 s of sound", "(1, 79534)", "float32"),
}


def license_rule(value):
    """A rule for publish.py's LICENSE: a licence as the Hugging Face Hub abbreviates it, or "", not chosen yet."""
    fits = value == "" or isinstance(value, str) and LICENSE.fullmatch(value)
    return None if fits else "must be a licence as the Hub abbreviates it: cc-by-nc-4.0, for example"


def cautions(about, scores):
    """Warnings for the top of the card: a list of texts, empty where there are none."""
    found = []
    for name, run in about["runs"].items():
        if run["settings"]["dataset"] == dataset.DRAWN:
            found.append(f"{name} was {dataset.OF_DRAWN}.")
        if run["settings"]["start"]["published"] is False:
            words = run["settings"]["start"]["words"]
            found.append(f"{name} did not start from published weights: {words}.".replace("..", "."))
        found += [f"{name} {verdict}." for verdict in run["verdicts"]]
    scored = {name for report in scores.values() for name in report["models"]}
    if unscored := [name for name in about["runs"] if name not in scored]:
        found.append(f"Scored on nothing: {', '.join(unscored)}.")
    return found


def write(title, about, scores):
    """The model card as Markdown text. `about` is the manifest, `scores` what `scored.scores_of` gives."""
    of_chalearn = _trained_on_chalearn(about)
    parts = [FRONT_MATTER.format(license=about["license"], tags="- chalearn\n" * of_chalearn), f"# {title}\n"]
    parts += [f"> **{caution}**\n" for caution in cautions(about, scores)]
    parts += [_use(about, of_chalearn), _scores(scores), _training(about), *_usage(about)]
    return "\n".join([*parts, TERMS.format(license=about["license"], bearing=_bearing(about))])


def _use(about, of_chalearn):
    """What the models answer, and what for."""
    names, several = about["traits"], list(map(of_json, about["runs"].values()))
    stability = STABILITY.format(as_in_chalearn=", as in the dataset" * of_chalearn)
    return USE.format(
        rated=BIG_FIVE if set(names) == set(FIVE.names) else ", ".join(names),
        scale=OWN_SCALE * any(targets.has_own_scale for targets in several),
        stability=stability * ("neuroticism" in names),
        interview=f"\n**{NOT_FOR_HIRING}**\n" * (INTERVIEW in names),
    )


def _trained_on_chalearn(about):
    return any(run["settings"]["dataset"] == dataset.CHALEARN for run in about["runs"].values())


def _bearing(about):
    """What bears on the licence, as a sentence; "" where nothing is known to."""
    pretrained = {run["settings"]["start"].get("pretrained") for run in about["runs"].values()}
    terms = [CHALEARN_TERMS] * _trained_on_chalearn(about) + [VGG_FACE_TERMS] * (vggface.VGG_FACE in pretrained)
    return f" What bears on it: {', and '.join(terms)}." if terms else ""


def _scores(scores):
    if not scores:
        return "## Scores\n\nNone: these models were scored on nothing.\n"
    lines = [SCORES]
    for split, report in scores.items():
        for group in (UNSEEN, ALL):
            models = report["models"].items()
            scored = {name: model["groups"][group] for name, model in models if group in model["groups"]}
            if scored:
                most_clips = max(model_scores["clips"] for model_scores in scored.values())
                lines += ["", f"### {split}: {group} ({most_clips:,})", ""]
                if most_clips < FEW_CLIPS:
                    lines += [f"On {counted(most_clips, 'clip')} chance decides much of this.", ""]
                columns = dict.fromkeys(column for of in scored.values() for column in of["scores"]["accuracy"])
                heads = " | ".join(map(in_words, columns))
                lines += [f"| | {heads} |", "| --- " * (len(columns) + 1) + "|", *_rows(scored, columns)]
    return "\n".join([*lines, ""])


def _rows(scored, columns):
    rows, baselines = [], {}
    for name, scores in scored.items():
        digits = _decimals(scores["clips"])
        for baseline, beside in scores["baselines"].items():
            baselines[baseline] = baselines.get(baseline, {}) | beside["scores"]["accuracy"]
        verdicts = {True: ", beats both baselines", False: ", does not beat both baselines"}
        title = ("all fused" if name == fusion.NAME else name) + verdicts.get(scores["beats_baselines"], "")
        rows.append(_row(title, scores["scores"]["accuracy"], columns, digits))
    return [*(_row(baseline, found, columns, digits) for baseline, found in baselines.items()), *rows]


def _decimals(clips):
    """How many decimals of an accuracy on so many clips say anything: its standard error is about .08 / sqrt(clips)."""
    return 4 if clips >= 1000 else 3 if clips >= FEW_CLIPS else 2


def _row(title, accuracy, columns, digits):
    cells = []
    for column in (accuracy.get(name) for name in columns):  # None: of a target that this model does not answer
        has_interval = column and column["low"] is not None
        interval = f" ({column['low']:.{digits}f} to {column['high']:.{digits}f})" if has_interval else ""
        cells.append(f"{column['value']:.{digits}f}{interval}" if column else "")
    return f"| {title} | {' | '.join(cells)} |"


def _usage(about):
    """How to use the first model, with Keras and, if it is there as ONNX too, with ONNX Runtime: parts of the card."""
    run = next(iter(about["runs"].values()))
    file, targets, (inputs, shape, dtype) = run["files"][0], of_json(run), INPUTS[run["kind"]]
    on_scale = f"{targets.low!r} + {targets.high - targets.low!r} * " * targets.has_own_scale
    words = {"on_scale": on_scale, "answers": targets.in_words}
    yield USAGE.format(inputs=inputs, file=file, shape=shape, dtype=dtype, **words)
    if (onnx := f"{file.removesuffix('.keras')}.onnx") in about["files"]:
        yield ONNX_USAGE.format(file=onnx, shape=shape)


def _training(about):
    lines = []
    for name, run in about["runs"].items():
        settings, clips = run["settings"], counted(run["training"]["clips"], "training clip")
        model = settings["constants"].get("MODEL", "model not known")
        recipe = f", recipe {settings['recipe']}" if settings["recipe"] else ""
        start = f"first weights: {settings['start']['words']}; files {', '.join(run['files'])}"
        trained_on = f" of {settings['dataset']}" if settings["dataset"] else ""
        answers = f"; it answers {of_json(run).in_words}" * (of_json(run) != FIVE)
        lines.append(f"- **{name}** ({model}{recipe}): {clips}{trained_on}; {start}{answers}")
    return TRAINING.format(runs="\n".join(lines), revision=about["made_by"]["revision"])
