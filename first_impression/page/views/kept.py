"""The takes that are kept: their list, and each value over them."""

from collections import Counter
from html import escape

from first_impression.common.errors import counted
from first_impression.evaluation.display import colours
from first_impression.inference import measures, variation
from first_impression.page import kept
from first_impression.page.views import drawing
from first_impression.page.views.words import title

MEASURED = {  # a heading for each column of `measures`, with the unit that it has in words
    "speaking_share": "Speaking, % of the time",
    "pauses": "Pauses",
    "pauses_s": "Pauses, s in all",
    "longest_pause_s": "Longest pause, s",
    "syllables_per_s": "Syllables a second",
    "loudness_db": "Loudness, dB",
    "loudness_range_db": "Range of the loudness, dB",
    "pitch_hz": "Pitch, Hz",
    "pitch_range_semitones": "Range of the pitch, semitones",
    "brightness": "Brightness, %",
    "sharpness": "Sharpness",
    "motion_heights_per_s": "Motion, % of the height a second",
    "one_face_share": "One face, % of the frames",
    "face_size": "Face, % of the picture",
    "face_x": "Face, % from the left",
    "face_y": "Face, % from the top",
}
LEAST = 0.2  # of the largest value: what the axis of a measured one spans at least, as far as the value can go
OTHER = "#5b6470"  # of what has no colour of its own


def offer(folder):
    """What to say beside the choice to keep takes in the folder."""
    return (
        "Off: nothing is kept. On: each take that you make from then on, clip and answer, is written into the folder "
        f"{folder} and stays there when you close the page, until you delete it in the list at the end of the page. "
        "Takes made before are not kept. Whoever opens this page on this machine sees the list, and can delete from it."
    )


def section(folder, takes, others):
    """The kept `takes`, the oldest first, of the folder; `others` is a line about what else lies in it."""
    count = counted(len(takes), "take") if takes else "No take"
    beside = f'<p class="note">{escape(others)}</p>' if others else ""
    rows = f'<ul class="takes">{"".join(map(_row, reversed(takes)))}</ul>' if takes else ""
    every = f'<button type="button" data-all="{count}">Delete all kept takes</button>' if takes or others else ""
    return (
        f'<section class="kept"><h2>Kept takes</h2><p role="status">{count} kept in {escape(str(folder))}</p>'
        f"{beside}{rows}{every}{_over(takes) if takes else ''}</section>"
    )


def _date(take):
    return f"{take.date.day} {take.date:%b %Y, %H:%M}"


def _row(take):
    return (
        f"<li><span><b>{_date(take)}</b> {escape(take.title)}, {take.seconds:.1f} s</span>"
        f'<button type="button" data-take="{take.name}" aria-label="Delete the take of {_date(take)}:{take.date:%S}">'
        "Delete</button></li>"
    )


def _over(takes):
    """Each value over the takes: what is measured, then what is guessed, apart for the models that guessed."""
    measured = "".join(_measured(takes, quantity) for quantity in measures.QUANTITIES)
    groups = kept.by_models(takes)
    guessed = "".join(_guessed(_names(models, groups), models, group) for models, group in groups)
    return (
        f'<h3>Measured</h3><p class="note">{_span(takes)} No number here is good or bad.</p>'
        f'<div class="grid">{measured}</div><h3>Guessed</h3><p class="note">Takes are compared as the same models '
        "answered them. The bar at a dot is how far the answer varies within that take (standard deviation); a short "
        "take has none. Only a difference larger than that, and larger than the "
        f"{variation.RECORDING} by which two recordings of the same scene can differ, means anything.</p>{guessed}"
    )


def _span(takes):
    if len(takes) == 1:
        return f"The take of {_date(takes[0])}."
    return f"From left to right, evenly apart: {len(takes)} takes, {_date(takes[0])} to {_date(takes[-1])}."


def _measured(takes, quantity):
    values = [take.measured[quantity.column] for take in takes]
    known = [value for value in values if value is not None]
    if not known:
        return ""
    bounds = 0 if min(known) >= 0 else None, 1 if quantity.times == 100 and max(known) <= 1 else None
    least = max(LEAST * max(map(abs, known)), 4 * 10**-quantity.digits / quantity.times)
    return _chart(MEASURED[quantity.column], values, [None] * len(values), OTHER, least, bounds, quantity.number)


def _names(models, groups):
    """The models of one of the groups, as text; of two that differ in their files alone, it has the files' digits."""
    trainings = {(model, md5s) for others, _ in groups for model, md5s in others.items()}
    count = Counter(model for model, _ in trainings)
    return ", ".join(
        model if count[model] == 1 else f"{model} (its weights {kept.digits(md5s)})" for model, md5s in models.items()
    )


def _guessed(by, models, takes):
    """What these models have answered to the takes; `by` is what to call the models."""
    traits = dict.fromkeys(trait for take in takes for model in models for trait in take.guessed[model])
    charts = []
    for trait, colour in colours(tuple(traits)).items():
        values, within = zip(*(take.mean(models, trait) for take in takes), strict=True)
        charts.append(_chart(title(trait), values, within, colour, drawing.LEAST_AXIS, (0, 1), "{:.2f}".format))
    return f'<p class="note">By {escape(by)}. {_span(takes)}</p><div class="grid">{"".join(charts)}</div>'


def _chart(name, values, within, colour, least, bounds, number):
    """A value over takes, drawn; `number` makes text of it. The text for screen readers has all of them."""
    drawn, low, high = drawing.over_takes(values, within, colour, least, bounds)
    texts = ["none" if value is None else number(value) for value in values]
    ends = " → ".join(dict.fromkeys((texts[0], texts[-1])))
    return (
        f'<div class="trait" style="--trait:{colour}"><h4>{escape(name)} <b>{ends}</b></h4>'
        f'<div class="lines" role="img" aria-label="{escape(name)}, take by take: {", ".join(texts)}">{drawn}'
        f'<span class="high">{number(high)}</span><span class="low">{number(low)}</span></div></div>'
    )
