"""What the models answer to one take: the five traits."""

import itertools
from html import escape

from first_impression.common.errors import counted
from first_impression.common.words import share_lower
from first_impression.evaluation.traits import COLOURS, SHOWN
from first_impression.page.views import around, drawing
from first_impression.page.views.words import MEANINGS, NAMES, of_take

NO_TAKE = '<p class="none">Record yourself, or choose a clip: its answer will appear here.</p>'
MARKS = "●■◆▲▼★"  # of the models, as in the picture of predict.py


def section(take, about):
    """The five traits among what they are ranked among, with each model's own answer."""
    answer, marks = take.answer_json, dict(zip(take.answer_json["models"], itertools.cycle(MARKS)))
    rows = "".join(_trait(trait, answer, marks) for trait in SHOWN)
    rank, frames = answer["rank"], counted(answer["frames"], "frame")
    among = f", among {escape(rank['among'])} (grey)" if rank else ""
    legend = "".join(f"<li>{mark} {escape(model)}</li>" for model, mark in marks.items())
    warnings = "".join(f"<li>{escape(text)}</li>" for text in _cautions(answer, about))
    warned = f'<h3>To bear in mind</h3><ul class="warnings">{warnings}</ul>' if warnings else ""
    return (
        f'<section class="traits">{around.drawn_sample(about)}<h2>{of_take(take)}: the five traits</h2>'
        f'<p class="note">Guessed, from 0 to 1{among}. The line is the mean of the models; the marks are:</p>'
        f'<ul class="legend">{legend}</ul><div class="grid">{rows}</div>{warned}'
        f'<p class="note">{frames} looked at, {answer["sound_seconds"]:.1f} s listened to.</p></section>'
    )


def _cautions(answer, about):
    return [text for model in answer["models"] if (text := about["models"][model]["caution"])] + answer["warnings"]


def _trait(trait, answer, marks):
    score, rank = answer["fused"][trait], answer["rank"]
    among = f"higher than {share_lower(rank, trait)} of these" if rank else ""
    moves = f"; ± {answer['spread'][trait]:.3f} over its {len(answer['windows'])} parts" if answer["spread"] else ""
    own = {model: answer["models"][model][trait] for model in marks}
    models = "".join(
        f'<i class="model" style="left:{100 * own[model]:.2f}%" aria-hidden="true">{mark}</i>'
        for model, mark in marks.items()
    )
    values = ", ".join(f"{marks[model]} {value:.3f}" for model, value in own.items())
    return (
        f'<div class="trait" style="--trait:{COLOURS[trait]}"><h3>{NAMES[trait]} <b>{score:.3f}</b></h3>'
        f'<p class="note">{MEANINGS[trait]}</p>'
        f'<div class="scale">{drawing.histogram(rank["histogram"][trait]) if rank else ""}'
        f'<i class="answer" style="left:{100 * score:.2f}%"></i>{models}</div>'
        f'<p class="ends"><span>0</span><span>1</span></p>'
        f'<p>{among}{moves}</p><p class="note">{values}</p></div>'
    )
