"""Step 7: the five traits of any video, from the trained runs.

Reads   the videos or sound files on the command line, or those in the folders there; runs/<MODEL>/final.keras
Writes  predictions/<clip>.png: frames, traits, traits over time, loudness
        with --JSON out.json and --CSV out.csv, the answers as such (the CSV in ChaLearn's columns)
Run     python predict.py clip.mp4

Several runs are fused by the plain mean of their answers. A clip without sound is answered by the visual models
alone, one without pictures by the audio model alone. A clip whose name starts with a dash is given as ./-clip.mp4.
"""

import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from first_impression import Problem, Unusable, files, media, predictions, runs, script
from first_impression.chalearn import TRAITS, name_some
from first_impression.footage import read_footage

# Who answers
RUNS = "runs"  # folder of the trained runs
MODELS = ""  # the runs to ask, by name, commas between them; empty: all that are trained

# How
FRAMES_PER_CLIP = 100  # frames looked at, spread over the clip; a shorter clip gives all it has
BATCH_SIZE = 25  # frames at a time

# What comes out besides the table
JSON = ""  # file for everything that is known about the answers
CSV = ""  # file for the fused answers as ChaLearn takes them
PICTURE = True  # one picture per clip
PICTURES = "predictions"  # folder of the pictures
EVIDENCE = False  # True: the pictures also show where in the middle frame DAN's answers come from

# Facts; without a remark behind them they are no flags
SUFFIXES = set(".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .wmv .flv .ts .mts .3gp .ogv .gif".split()) | set(
    ".wav .mp3 .m4a .aac .flac .ogg .opus .wma".split()
)
REMINDER = (
    "The values, 0 to 1, are strangers' first impressions as a model guesses them: no measure of the person, and no\n"
    'basis for decisions about people. A high "neuroticism" means emotionally stable, as in the dataset.'
)


def main(settings):
    if settings.EVIDENCE and not settings.PICTURE:
        raise Problem("EVIDENCE is drawn into the picture: leave PICTURE = True")
    clips = find_clips(settings.CLIPS)
    folders = runs.find_trained(Path(settings.RUNS), settings.MODELS)
    labels = training_labels(folders)
    media.ffmpeg()
    answers, unusable = {}, {}
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(1) as reader:

        def start(name):
            return reader.submit(read_footage, clips[name], tempfile.mkdtemp(dir=scratch), settings.FRAMES_PER_CLIP)

        # A clip is decoded while TensorFlow starts, or while the clip before it is answered
        names = list(clips)
        coming = start(names[0])
        models = load_models(folders)
        cautions = [model.caution for model in models if model.caution]
        if settings.EVIDENCE:
            blank = [model.name for model in models if not model.has_evidence]
            cautions += [f"{name} has no evidence maps, since it is no DAN" for name in blank]
        print("\n".join([f"{len(clips)} clips, {len(models)} models: {', '.join(folders)}", REMINDER, *cautions]))
        for name, following in zip(names, [*names[1:], None], strict=True):
            this, coming = coming, start(following) if following else None
            try:
                footage = this.result()
                answer = answer_clip(footage, models, labels, settings.BATCH_SIZE)
                print(f"\n{footage.path}: {answer.frames} frames, {answer.sound_seconds:.1f} s of sound")
                print(table(answer, len(labels)))
                if settings.PICTURE:
                    answer.picture = str(Path(settings.PICTURES) / f"{name}.png")
                    draw(name, footage, answer, models, labels, settings.EVIDENCE)
                print("".join(f"  {line}\n" for line in (*answer.warnings, answer.picture) if line), end="", flush=True)
                answers[name] = answer
                shutil.rmtree(footage.folder)
            except Unusable as reason:
                unusable[str(clips[name])] = str(reason)
                print(f"\n{clips[name]}: cannot be used: {reason}")
    if settings.JSON:
        files.write_json(settings.JSON, everything(clips, answers, unusable, models, len(labels), cautions))
    if settings.CSV and answers:
        predictions.write_csv(settings.CSV, {name: answer.fused for name, answer in answers.items()})
    if unusable:
        raise Problem(
            f"{len(unusable)} of {len(clips)} clips could not be used: "
            + name_some(f"{path} ({reason})" for path, reason in unusable.items())
        )


def find_clips(inputs):
    """The clips named, and those in the folders named: {file name without suffix: path}, each file once.

    Raises `Problem` for what is not there, for a folder without clips, and for two files of one name.
    """
    missing = [path for path in inputs if not os.path.exists(path)]
    if missing:
        raise Problem(f"not there: {', '.join(missing)}")
    clips = {}
    for path in map(Path, inputs):
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
            if not found:
                raise Problem(f"{path.absolute()} holds no video or sound file of the usual suffixes: name the files")
        else:
            found = [path]
        for clip in found:
            name = os.fsencode(clip.stem).decode(errors="replace")  # a file's name need not be text
            if not os.path.samefile(clips.setdefault(name, clip), clip):
                raise Problem(f"{clips[name]} and {clip} have one name, {name!r}: ask for them one by one")
    return clips


def training_labels(folders):
    """Labels of the runs' training clips, each clip once: float64 [clips, 5]; without rows if the runs name none."""
    labels = {}
    for folder in folders.values():
        if (folder / runs.TRAINING_LABELS).exists():
            labels |= predictions.read_csv(folder / runs.TRAINING_LABELS)[0]
    return np.array(list(labels.values())).reshape(-1, len(TRAITS))


@dataclass
class Model:
    """A trained model: `infer` maps its inputs [n, ...] to the traits, tensor [n, 5]."""

    name: str
    kind: str  # "image" or "audio"
    start: str  # the weights that it started from, in words
    network: object
    infer: object
    has_evidence: bool  # whether there are evidence maps for it

    @property
    def caution(self):
        return f"{self.name} did not start from VGG-Face: {self.start}" if runs.NOT_VGG_FACE in self.start else ""


def load_models(folders):
    """The runs' models, ready to answer."""
    script.load_tensorflow()
    import tensorflow as tf

    from first_impression import evidence

    models = []
    for name, folder in folders.items():
        model, kind = runs.load_model(folder)
        infer = tf.function(lambda inputs, model=model: model(inputs, training=False), reduce_retracing=True)
        models.append(Model(name, kind, runs.start_of(folder), model, infer, bool(evidence.described(model))))
    return models


@dataclass
class Answer:
    scores: dict  # model -> float64 [5]
    fused: np.ndarray  # [5], their plain mean
    frames: int  # how many the visual models looked at
    sound_seconds: float  # how much the audio model listened to
    percentile: np.ndarray | None  # [5], per cent of the training clips with a lower label
    by_frame: np.ndarray | None  # [n, 5], mean of the visual models
    warnings: list
    picture: str = ""


def answer_clip(footage, models, labels, batch_size):
    """Ask all models that can answer. Raises `Unusable` where none can."""
    rows = {}  # model -> [frames, 5], or [1, 5]
    for model in models:
        if model.kind == "image" and footage.frames:
            starts = range(0, len(footage.frames), batch_size)
            parts = [model.infer(read_images(footage.frames[at : at + batch_size])).numpy() for at in starts]
            rows[model.name] = np.concatenate(parts)
        elif model.kind == "audio" and footage.features is not None:
            rows[model.name] = model.infer(footage.features[None]).numpy()
    if not rows:
        others = ", ".join(model.name for model in models)
        alone = f", and no other model than {others}" if len(footage.lacking) == 1 else ""
        raise Unusable("; ".join(dict.fromkeys(footage.lacking.values())) + alone)
    warnings = [f"{reason}; answered by {', '.join(rows)} alone" for reason in footage.lacking.values()]
    scores = {name: values.mean(axis=0, dtype=np.float64) for name, values in rows.items()}
    fused = np.mean(list(scores.values()), axis=0)
    visual = [rows[model.name] for model in models if model.kind == "image" and model.name in rows]
    by_frame = np.mean(visual, axis=0) if visual else None
    heard = footage.sound_seconds if len(rows) > len(visual) else 0.0
    percentile = 100 * (labels < fused).mean(axis=0) if len(labels) else None
    return Answer(scores, fused, len(footage.frames) if visual else 0, heard, percentile, by_frame, warnings)


def read_images(paths):
    """Decode frames as training does: uint8 [n, 224, 224, 3], RGB."""
    import tensorflow as tf

    return np.stack([tf.io.decode_jpeg(path.read_bytes(), channels=3).numpy() for path in paths])


def table(answer, training_clips):
    """The answer as text, a line per trait."""
    columns = {"fused": answer.fused, **answer.scores} if len(answer.scores) > 1 else answer.scores
    widths = {name: max(8, len(name)) for name in columns}
    lines = [" " * 19 + "".join(f"  {name:>{width}}" for name, width in widths.items())]
    if training_clips:
        lines[0] += f"  higher than, of {training_clips:,} training clips"
    for row, trait in enumerate(TRAITS):
        line = f"  {trait:<17}" + "".join(f"  {values[row]:{widths[name]}.4f}" for name, values in columns.items())
        lines.append(line + (f"  {answer.percentile[row]:.1f} %" if training_clips else ""))
    return "\n".join(lines)


def draw(name, footage, answer, models, labels, with_evidence):
    """Write the picture of one clip."""
    from first_impression import evidence, portrait  # here, since they need Keras and Matplotlib: seconds

    shown = portrait.strip_indices(len(footage.frames)) if footage.frames else []
    frames = [(index, read_images([footage.frames[index]])[0]) for index in shown]
    maps = {}
    if with_evidence and frames:
        middle = frames[len(frames) // 2][1][None]
        for model in models:
            if model.has_evidence:
                maps[model.name] = evidence.combined(evidence.evidence_maps(model.network, middle)[0])[0]
    cautions = [model.caution for model in models if model.caution and model.name in answer.scores] + answer.warnings
    portrait.draw(answer.picture, name, footage, answer, labels, frames, maps, cautions)


def everything(clips, answers, unusable, models, training_clips, cautions):
    """All that is known about the answers, for JSON."""

    def named(values):
        return None if values is None else dict(zip(TRAITS, map(float, values), strict=True))

    return {
        "note": " ".join(REMINDER.split()),
        "cautions": cautions,
        "models": {model.name: {"kind": model.kind, "started_from": model.start} for model in models},
        "training_clips": training_clips,
        "clips": {
            name: {
                "file": str(clips[name]),
                "fused": named(answer.fused),
                "models": {model: named(values) for model, values in answer.scores.items()},
                "percentile": named(answer.percentile),
                "frames": answer.frames,
                "sound_seconds": answer.sound_seconds,
                "warnings": answer.warnings,
                "picture": answer.picture,
            }
            for name, answer in answers.items()
        },
        "unusable": unusable,
    }


if __name__ == "__main__":
    script.run(main, inputs="CLIPS", alone=("PICTURES",), FRAMES_PER_CLIP=script.whole(1), BATCH_SIZE=script.whole(1))
