"""One take over time."""

from first_impression.evaluation.display import colours, names_in
from first_impression.inference import variation
from first_impression.page import comparison
from first_impression.page.views import drawing
from first_impression.page.views.words import how_to_read, title


def section(take, at=None):
    """The traits over time above the loudness; a click, or the slider below, asks for a moment.

    `at` is the moment that is shown first, in seconds, or None.
    """
    answer, moves = take.answer_json, take.moves()
    start, end = answer["start"], max(answer["end"], answer["start"] + 0.1)
    at = start if at is None else at
    courses, of_names = comparison.course(answer), colours(names_in(answer["fused"]))
    drawn = [
        drawing.Line(
            answer["by_frame"]["times"],
            courses[trait],
            colour,
            answer["fused"][trait],
            moves and variation.scatter(moves[trait]),
        )
        for trait, colour in of_names.items()
    ]
    legend = "".join(
        f'<li><i class="key" style="--trait:{colour}"></i>{title(target)}</li>' for target, colour in of_names.items()
    )
    return (
        f'<section class="course" data-start="{start}" data-end="{end}"><h2>Over time</h2>'
        f'<ul class="legend">{legend}</ul><div class="timeline">'
        f'<div class="seek">{drawing.lines(drawn, start, end)}{drawing.sound([answer], start, end)}'
        f'<i class="head" style="left:{100 * (at - start) / (end - start):.2f}%"></i></div>'
        f'<input type="range" min="{start}" max="{end}" step="0.1" value="{at:.1f}" '
        'aria-label="Moment of the clip, in seconds">'
        f"{drawing.seconds(start, end)}</div>"
        '<p class="note">Click at a moment, or move the slider, to see what moved the models there.</p>'
        + how_to_read(
            "Lines: the mean of the models for each frame; one that hears answers a whole window. "
            f"{_about_bands(moves)} Below them: how loud it is."
        )
        + "</section>"
    )


def _about_bands(moves):
    if moves is None:
        return "The take is too short to tell how far it moves by itself."
    return (
        "Bands: how far the take moves by itself, from part to part (standard deviation, at least "
        f"{variation.RECORDING}); a line that stays in its band shows no change."
    )
