"""Answers as tables: for the screen, as ChaLearn takes them, and over time.

An `answer` here is what the JSON holds of a clip (docs/answers.md), `answers` are {clip name: answer}.
"""

import pandas as pd

from first_impression.common.errors import counted
from first_impression.common.files import whole_file
from first_impression.common.words import clock, percent, share_lower
from first_impression.data.label_table import CLIP, COLUMNS, as_cell
from first_impression.evaluation.traits import SHOWN
from first_impression.inference import measures

MODELS = "Models"  # the column beside ChaLearn's that says which models answered
FUSED = "fused"  # the plain mean of the models, beside their names
MOST_WINDOWS = 20  # that the screen shows


def print_answer(path, answer, about):
    """Print the table of an answer, with its warnings and where its picture is.

    `path` is the clip's, `about` what the JSON holds of the models.
    """
    print(f"\n{path}: {counted(answer['frames'], 'frame')}, {answer['sound_seconds']:.1f} s of sound")
    print(f"  WARNING: {about['drawn_sample']}\n" * bool(about["drawn_sample"]), end="")
    print(as_table(answer))
    for part, words in measures.in_words(answer["measured"]).items():
        print(f"  {f'measured {part}':<19}{words}")
    notes = [*face_lines(answer), *answer["warnings"], answer["picture"]]
    print("".join(f"  {line}\n" for line in notes if line), end="", flush=True)


def as_table(answer):
    """The answer as text: a line per trait, and one per window where there are several."""
    columns = {FUSED: answer["fused"], **answer["models"]} if len(answer["models"]) > 1 else answer["models"]
    widths = {name: max(8, len(name)) for name in columns}
    lines = [f"  {'guessed':<17}" + "".join(f"  {name:>{width}}" for name, width in widths.items())]
    spread, windows, rank = answer["spread"], answer["windows"], answer["rank"]
    lines[0] += f"  +- over {len(windows)} windows" if spread else ""
    lines[0] += f"  higher than, of {rank['among']}" if rank else ""
    for trait in SHOWN:
        line = f"  {trait:<17}" + "".join(f"  {values[trait]:{widths[name]}.4f}" for name, values in columns.items())
        line += f"  {spread[trait]:<{len(f'+- over {len(windows)} windows')}.4f}" if spread else ""
        lines.append(line + (f"  {share_lower(rank, trait)}" if rank else ""))
    if spread:
        lines.append(f"  {'window':<21}" + "".join(f"  {trait:>17}" for trait in SHOWN))
        for window in windows[:MOST_WINDOWS]:
            span = f"{clock(window['start'])} to {clock(window['end'])}"
            lines.append(f"  {span:<21}" + "".join(f"  {window['fused'][trait]:17.4f}" for trait in SHOWN))
        if len(windows) > MOST_WINDOWS:
            lines.append(f"  and {len(windows) - MOST_WINDOWS} more, in the JSON, TIMES_CSV and the picture")
    return "\n".join(lines)


def face_lines(answer):
    """Per model with maps of a frame with a face: what makes up its answers to that frame, as lines of text."""
    lines = []
    for model, evidence in answer["evidence"].items():
        face = evidence["face"]
        if not face or "maps" not in evidence:  # without EVIDENCE these numbers are in the JSON alone
            continue
        area = percent(100 * face["area"])
        lines += [
            f"What makes up {model}'s answers to the frame at {clock(evidence['time'])}: a bias, the same for every "
            f"picture, what lies inside the face ({area} of it) and what lies outside.",
            "A part above 0 raises the score, one below lowers it; they add up to the logit, log(score / (1 - score)):",
        ]
        for trait in SHOWN:
            parts = f"bias {evidence['bias'][trait]:+.2f}, inside {face['inside'][trait]:+.2f}"
            parts += f", outside {face['outside'][trait]:+.2f}: logit {evidence['logit'][trait]:+.2f}"
            lines.append(f"  {trait:<17}  {parts}, score {evidence['score'][trait]:.4f}")
    return lines


def write_csv(path, answers):
    """Write the fused answers in ChaLearn's columns, which models answered in one more, "a;b", and what is measured."""
    rows = []
    for name, answer in answers.items():
        values = {column: answer["fused"][trait] for column, trait in COLUMNS.items()}
        rows.append({CLIP: as_cell(name), **values, MODELS: as_cell(";".join(answer["models"]))})
        rows[-1] |= measures.as_columns(answer["measured"])
    with whole_file(path) as tmp:
        pd.DataFrame(rows).to_csv(tmp, index=False, float_format="%.8f")


def write_times_csv(path, answers):
    """Write the answers over time, one value per row: clip, time in seconds, model, trait, value.

    A visual model answers each frame. The audio model hears a window's sound as a whole: the time of its answer is the
    middle of that sound. The model "fused" is the mean of all that answered a window, at the window's middle.
    """
    tables = []
    for name, answer in answers.items():
        times, by_frame = answer["by_frame"]["times"], answer["by_frame"]["models"]
        for model, values in by_frame.items():
            tables.append(_over_time(name, model, times, values))
        for model in (model for model in answer["models"] if model not in by_frame):
            heard = [window for window in answer["windows"] if model in window["models"]]
            middles = [window["start"] + window["sound_seconds"] / 2 for window in heard]
            tables.append(_over_time(name, model, middles, _by_trait(window["models"][model] for window in heard)))
        middles = [(window["start"] + window["end"]) / 2 for window in answer["windows"]]
        tables.append(_over_time(name, FUSED, middles, _by_trait(window["fused"] for window in answer["windows"])))
    with whole_file(path) as tmp:
        pd.concat(tables).to_csv(tmp, index=False, float_format="%.6f")


def _by_trait(scores):
    """Several {trait: value} as {trait: [values]}."""
    scores = list(scores)
    return {trait: [values[trait] for values in scores] for trait in SHOWN}


def _over_time(clip, model, times, values):
    table = pd.DataFrame(values).assign(clip=as_cell(clip), time=times, model=as_cell(model))
    return table.melt(["clip", "time", "model"], var_name="trait")
