"""Answers as tables: for the screen, as ChaLearn takes them, and over time."""

import pandas as pd

from first_impression.common.files import whole_file
from first_impression.data.label_table import CLIP, COLUMNS
from first_impression.evaluation.traits import ROWS, SHOWN, by_trait

MODELS = "Models"  # the column beside ChaLearn's that says which models answered


def counted(number, noun):
    """ "1 clip", "2 clips"."""
    return f"{number:,} {noun}" + "s" * (number != 1)


def percent(value):
    """A percentile as text, the same in every table and picture."""
    return f"{value:.1f} %"


def as_table(answer, training_clips):
    """The answer as text, a line per trait."""
    columns = {"fused": answer.fused, **answer.scores} if len(answer.scores) > 1 else answer.scores
    widths = {name: max(8, len(name)) for name in columns}
    lines = [" " * 19 + "".join(f"  {name:>{width}}" for name, width in widths.items())]
    if training_clips:
        lines[0] += f"  higher than, of {counted(training_clips, 'training clip')}"
    for trait, row in zip(SHOWN, ROWS, strict=True):
        line = f"  {trait:<17}" + "".join(f"  {values[row]:{widths[name]}.4f}" for name, values in columns.items())
        lines.append(line + (f"  {percent(answer.percentile[row])}" if training_clips else ""))
    return "\n".join(lines)


def write_csv(path, answers):
    """Write the fused answers {clip: Answer} in ChaLearn's columns, and in one more which models answered, as "a;b"."""
    rows = []
    for clip, answer in answers.items():
        fused = by_trait(answer.fused)
        values = {column: fused[trait] for column, trait in COLUMNS.items()}
        rows.append({CLIP: clip, **values, MODELS: ";".join(answer.scores)})
    with whole_file(path) as tmp:
        pd.DataFrame(rows).to_csv(tmp, index=False, float_format="%.8f")


def write_times_csv(path, answers):
    """Write what each model answered when, one value per row: clip, time in seconds, model, trait, value.

    A visual model answers each frame. The audio model hears the whole: its answer stands at the middle of the sound.
    """
    parts = []
    for clip, answer in answers.items():
        for model, (times, values) in answer.over_time.items():
            table = pd.DataFrame(values[:, list(ROWS)], columns=SHOWN).assign(clip=clip, time=times, model=model)
            parts.append(table.melt(["clip", "time", "model"], var_name="trait"))
    with whole_file(path) as tmp:
        pd.concat(parts).to_csv(tmp, index=False, float_format="%.6f")
