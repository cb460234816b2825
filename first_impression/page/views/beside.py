"""Two takes beside each other."""

from html import escape

from first_impression.evaluation.traits import COLOURS
from first_impression.inference import measures
from first_impression.page import comparison
from first_impression.page.views import drawing
from first_impression.page.views.measured import facts
from first_impression.page.views.words import NAMES, of_take


def section(a, b):
    """Take `a` beside take `b`: what is measured, then what is guessed, and whether its differences are real."""
    answers = a.answer_json, b.answer_json
    models = comparison.models_of_both(*answers)
    changed = facts(measures.changes(*(answer["measured"] for answer in answers)))
    guessed = (
        _guessed(a, b, models) if models else '<p class="none">No model has answered both, so nothing to compare</p>'
    )
    return (
        f'<section class="beside"><h2>{of_take(a)} beside {of_take(b)}</h2>'
        f"<h3>Measured</h3>{changed}<h3>Guessed</h3>{guessed}</section>"
    )


def _guessed(a, b, models):
    answers, moves = (a.answer_json, b.answer_json), [take.moves(models) for take in (a, b)]
    length = max(answer["end"] - answer["start"] for answer in answers) or 0.1
    found = comparison.compare(*answers, models, moves)
    rows = "".join(_difference(trait, found[trait], answers, models, length) for trait in found)
    return (
        f'<ul class="legend"><li>— {of_take(a)}</li><li>- - {of_take(b)}</li></ul>'
        f'<p class="note">By {escape(", ".join(models))}, which answered both takes. The answer also varies within a '
        "take, from part to part; its standard deviation is given as "
        f"variation. Only a difference larger than that, and larger than the {comparison.RECORDING} by which two "
        "recordings of the same scene can differ, means anything.</p>"
        f'<div class="grid">{rows}</div><h3>Loudness</h3>'
        f"{drawing.sound(answers, 0, length)}{drawing.seconds(0, length)}"
    )


def _difference(trait, found, answers, models, length):
    heading = f"{NAMES[trait]} {found['a']:.3f} → {found['b']:.3f}"
    return (
        f'<div class="trait" style="--trait:{COLOURS[trait]}"><h3>{heading}</h3>'
        f"{drawing.lines(answers, [trait], 0, length, models)}"
        f"<p>{NAMES[trait].lower()} {comparison.in_words(found['difference'], found['within'])}</p></div>"
    )
