"""Answers as tables: for the screen, as ChaLearn takes them or with the targets' own names, and over time.

An `answer` here is what the JSON holds of a clip (docs/answers.md), `answers` are {clip name: answer}.
"""

import pandas as pd

from first_impression.common.errors import counted
from first_impression.common.files import whole_file
from first_impression.common.words import clock, percent, share_lower, span
from first_impression.data.label_table import CLIP, as_cell, scaled
from first_impression.data.targets import plain
from first_impression.evaluation.display import STABILITY, in_words, names_in
from first_impression.evaluation.predictions import columns_of
from first_impression.inference import measures
from first_impression.inference.variation import RECORDING, is_larger

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
    notes = [*what_if_lines(answer), *face_lines(answer), *answer["warnings"], answer["picture"]]
    print("".join(f"  {line}\n" for line in notes if line), end="", flush=True)


def as_table(answer):
    """The answer as text: a line per target, and one per window where there are several."""
    names = names_in(answer["fused"])
    columns = {FUSED: answer["fused"], **answer["models"]} if len(answer["models"]) > 1 else answer["models"]
    cells = {name: {target: f"{values[target]:.4f}" for target in names} for name, values in columns.items()}
    on_scale = answer["on_scale"]
    for name in cells if on_scale else ():
        own = on_scale["fused"] if name == FUSED else on_scale["models"][name]
        cells[name] = {target: f"{cell} = {own[target]:.2f}" for target, cell in cells[name].items()}
    widths = {name: max(8, len(name), *map(len, words.values())) for name, words in cells.items()}
    first = max(17, *(len(in_words(target)) for target in names))
    lines = [f"  {'guessed':<{first}}" + "".join(f"  {name:>{width}}" for name, width in widths.items())]
    spread, windows, rank = answer["spread"], answer["windows"], answer["rank"]
    lines[0] += f"  +- over {len(windows)} windows" if spread else ""
    lines[0] += f"  higher than, of {rank['among']}" if rank else ""
    for target in names:
        line = f"  {in_words(target):<{first}}" + "".join(f"  {cells[name][target]:>{widths[name]}}" for name in cells)
        line += f"  {spread[target]:<{len(f'+- over {len(windows)} windows')}.4f}" if spread else ""
        lines.append(line + (f"  {share_lower(rank, target)}" if rank else ""))
    if on_scale:
        scale = span(on_scale["low"], on_scale["high"])
        lines.append(f"  from 0 to 1 = on the labels' scale, from {scale}")
    return "\n".join(lines + (_window_lines(windows, names, first) if spread else []))


def _window_lines(windows, names, width):
    lines = [f"  {'window':<21}" + "".join(f"  {in_words(target):>{width}}" for target in names)]
    for window in windows[:MOST_WINDOWS]:
        span = f"{clock(window['start'])} to {clock(window['end'])}"
        lines.append(f"  {span:<21}" + "".join(f"  {window['fused'][target]:{width}.4f}" for target in names))
    if len(windows) > MOST_WINDOWS:
        lines.append(f"  and {len(windows) - MOST_WINDOWS} more, in the JSON, TIMES_CSV and the picture")
    return lines


def what_if_lines(answer):
    """The effects of edits on the fused answer, as lines of text; none where they were not asked for."""
    if not (asked := answer["what_if"]):
        return []
    names = names_in(answer["fused"])
    moves = asked["moves"] or dict.fromkeys(names)
    of_what = f"{counted(asked['frames'], 'frame')}, {counted(asked['windows'], 'window')} of sound"
    lines = [
        f"what if the clip were edited: the change of the guess ({of_what})",
        _line("", map(in_words, names)),
    ]
    for edit in asked["edits"].values():
        lines.append(_line(edit["words"], _effects(edit["fused"] and names, edit["fused"], moves), edit["missing"]))
    if asked["moves"]:
        lines.append(_line("moves by itself", (f"{moves[name]:.4f}  " for name in names)))
        lines.append(f"*: larger than that, and than {RECORDING}, by which two recordings of one scene can differ")
    else:
        lines.append("How much it moves by itself is not known: it is too short, or too little of it was answered")
    return lines


def _line(heading, cells, note=""):
    return (f"{heading:<21}" + "".join(f"  {cell:>17}" for cell in cells) + f"  {note}").rstrip()


def _effects(names, effects, moves):
    """The effects on targets, or on none, as text; a mark for what is larger than the clip `moves` by itself."""
    pairs = [(effects[name], moves[name]) for name in names or ()]
    return [f"{effect:+z.4f}{' *' if is_larger(effect, within) else '  '}" for effect, within in pairs]


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
        names = names_in(evidence["bias"])
        width = max(17, *(len(in_words(target)) for target in names))
        for target in names:
            parts = f"bias {evidence['bias'][target]:+.2f}, inside {face['inside'][target]:+.2f}"
            parts += f", outside {face['outside'][target]:+.2f}: logit {evidence['logit'][target]:+.2f}"
            lines.append(f"  {in_words(target):<{width}}  {parts}, score {evidence['score'][target]:.4f}")
    return lines


def write_csv(path, answers):
    """Write the fused answers in the columns of `predictions`, and which models answered in one more, "a;b".

    What is measured stands behind them, but for what has the name of a target, then the answers on the labels' own
    scale, if they have one, and ChaLearn's neuroticism once more, under the name of what it is.
    """
    rows = []
    for name, answer in answers.items():
        fused, on_scale = answer["fused"], answer["on_scale"]
        values = {column: fused[target] for target, column in columns_of(names_in(fused)).items()}
        rows.append({CLIP: as_cell(name), **values, MODELS: as_cell(";".join(answer["models"]))})
        measured, taken = measures.as_columns(answer["measured"]), set(map(plain, values))
        rows[-1] |= {column: value for column, value in measured.items() if plain(column) not in taken}
        for target in names_in(fused) if on_scale else ():
            rows[-1][scaled(target, on_scale["low"], on_scale["high"])] = on_scale["fused"][target]
        rows[-1] |= {STABILITY: fused[STABILITY]} if STABILITY in fused else {}
    with whole_file(path) as tmp:
        pd.DataFrame(rows).to_csv(tmp, index=False, float_format="%.8f")


def write_times_csv(path, answers):
    """Write the answers over time, one value per row: clip, time in seconds, model, trait (the target), value.

    A visual model answers each frame. The audio model hears a window's sound as a whole: the time of its answer is the
    middle of that sound. The model "fused" is the mean of all that answered a window, at the window's middle. Where
    the labels have a scale of their own, the value on that is in one more column.
    """
    tables = []
    for name, answer in answers.items():
        times, by_frame = answer["by_frame"]["times"], answer["by_frame"]["models"]
        for model, values in by_frame.items():
            tables.append(_over_time(name, model, times, values))
        for model in (model for model in answer["models"] if model not in by_frame):
            heard = [window for window in answer["windows"] if model in window["models"]]
            middles = [window["start"] + window["sound_seconds"] / 2 for window in heard]
            tables.append(_over_time(name, model, middles, _by_target(window["models"][model] for window in heard)))
        middles = [(window["start"] + window["end"]) / 2 for window in answer["windows"]]
        tables.append(_over_time(name, FUSED, middles, _by_target(window["fused"] for window in answer["windows"])))
    table = pd.concat(tables)
    if on_scale := next(iter(answers.values()))["on_scale"]:
        low, high = on_scale["low"], on_scale["high"]
        table[scaled("value", low, high)] = low + table["value"] * (high - low)
    with whole_file(path) as tmp:
        table.to_csv(tmp, index=False, float_format="%.6f")


def _by_target(scores):
    """Several {target: value} as {target: [values]}."""
    scores = list(scores)
    return {target: [values[target] for values in scores] for target in scores[0]}


def _over_time(clip, model, times, values):
    table = pd.DataFrame(values).assign(clip=as_cell(clip), time=times, model=as_cell(model))
    return table.melt(["clip", "time", "model"], var_name="trait")
