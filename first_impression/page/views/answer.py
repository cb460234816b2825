"""What the models answer to one take."""

import itertools
from html import escape

from first_impression.common.errors import counted
from first_impression.common.words import share_lower, span
from first_impression.evaluation.display import colours, names_in
from first_impression.page.views import drawing
from first_impression.page.views.words import MEANINGS, of_take, title, warnings

MARKS = "●■◆▲▼★"  # of the models, as in the picture of predict.py


def section(take, about, folded=False):
    """What to bear in mind, and what is answered among what they are ranked among, with each model's own answer.

    `folded` shows no more than its heading until somebody asks for the rest.
    """
    answer, names = take.answer_json, list(take.answer_json["models"])
    marks = dict(zip(names, itertools.cycle(MARKS))) if len(names) > 1 else {}  # of one, the line is all there is
    of_names = colours(names_in(answer["fused"]))
    rows = "".join(_trait(target, colour, answer, marks) for target, colour in of_names.items())
    grey = f"; grey: {escape(answer['rank']['among'])}" if answer["rank"] else ""
    models = "".join(f"<li>{mark} {escape(model)}</li>" for model, mark in marks.items())
    line = "the mean of the models, the marks are theirs" if marks else f"the answer of {escape(names[0])}"
    heading = f"<h2>{of_take(take)}: guesses</h2>"
    shown = (
        f"{warnings([*cautions(answer['models'], about), *answer['warnings']])}"
        f'<p class="note">Guessed, from 0 to 1. The line is {line}{grey}.</p>'
        f'<ul class="legend">{models}</ul>{rows}'
        f'<p class="note">{counted(answer["frames"], "frame")} looked at, {answer["sound_seconds"]:.1f} s listened '
        "to.</p>"
    )
    content = f"<details><summary>{heading}</summary>{shown}</details>" if folded else heading + shown
    return f'<section class="traits">{content}</section>'


def cautions(models, about):
    """What speaks against the `models` (names), a text each; `about` is as of `document.about_models`."""
    return [text for model in models if (text := about["models"][model]["caution"])]


def _trait(trait, colour, answer, marks):
    score, rank = answer["fused"][trait], answer["rank"]
    among = [f"higher than {share_lower(rank, trait)} of these clips"] if rank else []
    moves = [f"± {answer['spread'][trait]:.2f} over its {len(answer['windows'])} parts"] if answer["spread"] else []
    own = {model: answer["models"][model][trait] for model in marks}
    places = "".join(
        f'<i class="model" style="left:{100 * own[model]:.2f}%" aria-hidden="true">{mark}</i>'
        for model, mark in marks.items()
    )
    meaning = MEANINGS.get(trait, "")
    if on_scale := answer["on_scale"]:
        scale = span(on_scale["low"], on_scale["high"])
        meaning = f"{on_scale['fused'][trait]:.2f} on a scale from {scale}"
    values = ", ".join(f"{marks[model]} {value:.2f}" for model, value in own.items())
    return (
        f'<div class="trait" style="--trait:{colour}">'
        f'<div><h3>{title(trait)} <b>{score:.2f}</b></h3><p class="note">{meaning}</p></div>'
        f'<div><div class="scale">{drawing.histogram(rank["histogram"][trait]) if rank else ""}'
        f'<i class="answer" style="left:{100 * score:.2f}%"></i>{places}</div>'
        f'<p class="ends"><span>0</span><span>{"; ".join([*among, *moves])}</span><span>1</span></p>'
        f'<p class="note">{values}</p></div></div>'
    )
