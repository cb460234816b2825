"""Answers as tables: for the screen, as ChaLearn takes them, and over time. Each is what the JSON holds of a clip."""

import pandas as pd

from first_impression.common.files import whole_file
from first_impression.data.label_table import CLIP, COLUMNS
from first_impression.evaluation.traits import SHOWN

MODELS = "Models"  # the column beside ChaLearn's that says which models answered
FUSED = "fused"  # the plain mean of the models, beside their names
MOST_WINDOWS = 20  # that the screen shows


def counted(number, noun):
    """ "1 clip", "2 clips"."""
    return f"{number:,} {noun}" + "s" * (number != 1)


def percent(value):
    """A percentile as text, the same in every table and picture."""
    return f"{value:.1f} %"


def clock(seconds):
    """A time in a clip as text: "7.5 s", "12:30.0", "1:02:03.4"."""
    hours, minutes, rest = int(seconds // 3600), int(seconds // 60 % 60), f"{int(seconds * 10) / 10 % 60:04.1f}"
    return f"{hours}:{minutes:02}:{rest}" if hours else f"{minutes}:{rest}" if minutes else f"{seconds:.1f} s"


def as_table(clip, training_clips):
    """The answer as text, a line per trait, and one per window where there are several."""
    columns = {FUSED: clip["fused"], **clip["models"]} if len(clip["models"]) > 1 else clip["models"]
    widths = {name: max(8, len(name)) for name in columns}
    lines = [" " * 19 + "".join(f"  {name:>{width}}" for name, width in widths.items())]
    spread, windows = clip["spread"], clip["windows"]
    lines[0] += f"  +- over {len(windows)} windows" if spread else ""
    lines[0] += f"  higher than, of {counted(training_clips, 'training clip')}" if training_clips else ""
    for trait in SHOWN:
        line = f"  {trait:<17}" + "".join(f"  {values[trait]:{widths[name]}.4f}" for name, values in columns.items())
        line += f"  {spread[trait]:<{len(f'+- over {len(windows)} windows')}.4f}" if spread else ""
        lines.append(line + (f"  {percent(clip['percentile'][trait])}" if training_clips else ""))
    if spread:
        lines.append(f"  {'window':<21}" + "".join(f"  {trait:>17}" for trait in SHOWN))
        for window in windows[:MOST_WINDOWS]:
            span = f"{clock(window['start'])} to {clock(window['end'])}"
            lines.append(f"  {span:<21}" + "".join(f"  {window['fused'][trait]:17.4f}" for trait in SHOWN))
        if len(windows) > MOST_WINDOWS:
            lines.append(f"  and {len(windows) - MOST_WINDOWS} more, in the JSON, TIMES_CSV and the picture")
    return "\n".join(lines)


def face_lines(clip):
    """Per model with evidence on a frame with a face: how much of it lies inside the face, as text."""
    lines = []
    for model, evidence in clip["evidence"].items():
        if face := evidence["face"]:
            parts = (f"{trait} {face['inside'][trait]:+.2f} {face['outside'][trait]:+.2f}" for trait in SHOWN)
            where = f"{percent(100 * face['area'])} of the picture at {clock(evidence['time'])}"
            lines.append(f"{model}'s evidence inside the face ({where}) and outside: {', '.join(parts)}")
    return lines


def write_csv(path, clips):
    """Write the fused answers {clip: its JSON} in ChaLearn's columns, and in one more which models answered: "a;b"."""
    rows = []
    for name, clip in clips.items():
        values = {column: clip["fused"][trait] for column, trait in COLUMNS.items()}
        rows.append({CLIP: name, **values, MODELS: ";".join(clip["models"])})
    with whole_file(path) as tmp:
        pd.DataFrame(rows).to_csv(tmp, index=False, float_format="%.8f")


def write_times_csv(path, clips):
    """Write what was answered when, one value per row: clip, time in seconds, model, trait, value.

    A visual model answers each frame. The audio model hears a window's sound as a whole: its answer stands at the
    middle of that. The model "fused" is the mean of all that answered a window, at the window's middle.
    """
    tables = []
    for name, clip in clips.items():
        times, by_frame = clip["by_frame"]["times"], clip["by_frame"]["models"]
        for model, values in by_frame.items():
            tables.append(_over_time(name, model, times, values))
        for model in set(clip["models"]) - set(by_frame):
            heard = [window for window in clip["windows"] if model in window["models"]]
            middles = [window["start"] + window["sound_seconds"] / 2 for window in heard]
            tables.append(_over_time(name, model, middles, _by_trait(window["models"][model] for window in heard)))
        middles = [(window["start"] + window["end"]) / 2 for window in clip["windows"]]
        tables.append(_over_time(name, FUSED, middles, _by_trait(window["fused"] for window in clip["windows"])))
    with whole_file(path) as tmp:
        pd.concat(tables).to_csv(tmp, index=False, float_format="%.6f")


def _by_trait(answers):
    """Answers {trait: value} as {trait: [values]}."""
    answers = list(answers)
    return {trait: [answer[trait] for answer in answers] for trait in SHOWN}


def _over_time(clip, model, times, values):
    table = pd.DataFrame(values).assign(clip=clip, time=times, model=model)
    return table.melt(["clip", "time", "model"], var_name="trait")
