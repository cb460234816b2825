"""One take over time."""

from first_impression.evaluation.traits import COLOURS, SHOWN
from first_impression.page.views import drawing, measured
from first_impression.page.views.words import NAMES


def section(take):
    """The traits over time above the loudness; a click, or the slider below, asks for a moment."""
    answer = take.answer_json
    start, end = answer["start"], max(answer["end"], answer["start"] + 0.1)
    legend = "".join(f'<li><i class="key" style="--trait:{COLOURS[trait]}"></i>{NAMES[trait]}</li>' for trait in SHOWN)
    return (
        f'<section class="course" data-start="{start}" data-end="{end}"><h2>Over time</h2>'
        f'<ul class="legend">{legend}</ul>'
        f'<div class="seek">{drawing.lines([answer], SHOWN, start, end)}{drawing.sound([answer], start, end)}'
        '<i class="head" hidden></i></div>'
        f'<input type="range" min="{start}" max="{end}" step="0.1" value="{start}" '
        'aria-label="Moment of the clip, in seconds">'
        f"{drawing.seconds(start, end)}"
        '<p class="note">Above: the mean of the models for each frame; one that hears answers a whole window. Below: '
        "how loud it is. Click at a moment, or move the slider, to see what moved the models there.</p></section>"
        f"{measured.section(answer)}"
    )
