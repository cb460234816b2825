"""The takes that are kept: their list, and each value over them."""

import math
from collections import Counter
from html import escape

from first_impression.common.errors import counted
from first_impression.evaluation.display import colours
from first_impression.inference import measures, variation
from first_impression.page import kept
from first_impression.page.views import drawing
from first_impression.page.views.measured import NAMES
from first_impression.page.views.words import how_to_read, title

LEAST = 0.2  # of the largest value: what the axis of a measured one spans at least, as far as the value can go
OTHER = "#5b6470"  # of what has no colour of its own


def offer(folder):
    """What to say beside the choice to keep takes in the folder."""
    return (
        f"Off: nothing is kept. On: from then on, the clip and the answer of each take stay in {folder} until you "
        "delete them at the end of the page. Whoever opens this page on this machine can see and delete them, too."
    )


def section(folder, takes, others, played=None, source=""):
    """The kept `takes`, the oldest first, of the folder; `others` is a line about what else lies in it.

    The take of the name `played` has a player, of the clip at the address `source`.
    """
    count = counted(len(takes), "take") if takes else "No take"
    beside = f'<p class="note">{escape(others)}</p>' if others else ""
    rows = "".join(_row(take, source if take.name == played else "") for take in reversed(takes))
    every = f'<button type="button" data-all="{count}">Delete all kept takes</button>' if takes or others else ""
    return (
        f'<section class="kept"><h2>Kept takes</h2><p role="status">{count} kept in {escape(str(folder))}</p>'
        f"{beside}<ul class='takes'>{rows}</ul>{every}{_over(takes) if len(takes) > 1 else ''}</section>"
    )


def _date(take):
    return f"{take.date.day} {take.date:%b %Y, %H:%M}"


def _row(take, source):
    which = f"the take of {_date(take)}:{take.date:%S}"
    player = f'<video controls autoplay playsinline src="{escape(source)}" aria-label="{which}"></video>'
    return (
        f"<li><span><b>{_date(take)}</b> {escape(take.title)}, {take.seconds:.1f} s</span>"
        f'<button type="button" data-play="{take.name}" aria-label="Play {which}">Play</button>'
        f'<button type="button" data-take="{take.name}" aria-label="Delete {which}">Delete</button>'
        f"{player if source else ''}</li>"
    )


def _over(takes):
    """Each value over the takes: what is measured, then what is guessed, apart for the models that guessed."""
    measured = "".join(_measured(takes, quantity) for quantity in measures.QUANTITIES)
    groups = kept.by_models(takes)
    guessed = "".join(_guessed(_names(models, groups), models, group) for models, group in groups)
    return (
        f'<h3>Measured</h3><p class="note">{_span(takes)} No number here is good or bad.</p>'
        f'<div class="grid">{measured}</div><h3>Guessed</h3>'
        + how_to_read(
            "Takes are compared as the same models answered them. The bar at a dot is how far the answer varies within "
            "that take (standard deviation); a short take has none. Only a difference larger than that, and larger "
            f"than the {variation.RECORDING} by which two recordings of the same scene can differ, means anything."
        )
        + guessed
    )


def _span(takes):
    if len(takes) == 1:
        return f"The take of {_date(takes[0])}."
    return f"{len(takes)} takes, from {_date(takes[0])} on the left to {_date(takes[-1])} on the right."


def _measured(takes, quantity):
    values = [take.measured[quantity.column] for take in takes]
    known = [value for value in values if value is not None]
    if not known:
        return ""
    bounds = 0 if min(known) >= 0 else -math.inf, 1 if quantity.times == 100 and max(known) <= 1 else math.inf
    least = max(LEAST * max(map(abs, known)), 4 * 10**-quantity.digits / quantity.times)
    return _chart(*NAMES[quantity.column], values, [None] * len(values), OTHER, least, bounds, quantity.number)


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
        charts.append(_chart(title(trait), "", values, within, colour, drawing.LEAST_AXIS, (0, 1), "{:.2f}".format))
    return f'<p class="note">By {escape(by)}. {_span(takes)}</p><div class="grid">{"".join(charts)}</div>'


def _chart(name, unit, values, within, colour, least, bounds, number):
    """A value over takes, drawn; `number` makes text of it. The text for screen readers has all of them."""
    drawn, low, high = drawing.over_takes(values, within, colour, least, bounds)
    texts = ["none" if value is None else number(value) for value in values]
    ends = " → ".join([texts[0], texts[-1]] if len(set(texts)) > 1 else texts[:1])
    return (
        f'<div class="trait" style="--trait:{colour}">'
        f"<h4>{escape(name)} <b>{ends}</b>{unit}</h4>"
        f'<div class="lines" role="img" aria-label="{escape(name)}{unit}, take by take: {", ".join(texts)}">{drawn}'
        f'<span class="high">{number(high)}</span><span class="low">{number(low)}</span></div></div>'
    )
