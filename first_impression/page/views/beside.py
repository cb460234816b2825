"""Two takes beside each other."""

from html import escape

from first_impression.evaluation.display import colours
from first_impression.inference import variation
from first_impression.page import comparison
from first_impression.page.views import drawing
from first_impression.page.views.answer import cautions
from first_impression.page.views.measured import facts
from first_impression.page.views.words import how_to_read, of_take, title, warnings

PURPOSE = (
    "For two takes by one person at one place: what you did differently is then what differs. The page does not know "
    "who is in a take."
)


def section(a, b, about):
    """What differs from take `a` to take `b`: what is measured, then what is guessed, and whether that is real.

    `about` is as of `document.about_models`.
    """
    answers = a.answer_json, b.answer_json
    models = comparison.models_of_both(*answers)
    guessed = _guessed(a, b, models) if models else '<p class="none">No model has answered both takes.</p>'
    return (
        f'<section class="beside"><h2>From {of_take(a)} to {of_take(b)}</h2><p class="note">{PURPOSE}</p>'
        f"{warnings(comparison.unlike(*answers))}<h3>Measured</h3>{facts(*answers)}"
        f"<h3>Guessed</h3>{warnings(cautions(models, about))}{guessed}</section>"
    )


def _guessed(a, b, models):
    answers, moves = (a.answer_json, b.answer_json), [take.moves(models) for take in (a, b)]
    length = max(answer["end"] - answer["start"] for answer in answers) or 0.1
    found = comparison.compare(*answers, models, moves)
    courses = [comparison.course(answer, models) for answer in answers]
    of_names = colours(tuple(found)).items()
    rows = "".join(_difference(trait, colour, found[trait], answers, courses, length) for trait, colour in of_names)
    return (
        f'<p class="note">By the models that answered both takes: {escape(", ".join(models))}.</p>'
        + how_to_read(
            "A take also moves by itself, from part to part: by the standard deviation in brackets, drawn as a band. "
            f"Only a larger difference means anything, and only one above {variation.RECORDING}, by which two "
            "recordings of the same scene can differ."
        )
        + f'<ul class="legend"><li>— Take {a.number}</li><li>- - Take {b.number}</li></ul>'
        f"{rows}<h3>Loudness</h3>"
        f'<div class="timeline">{drawing.sound(answers, 0, length)}{drawing.seconds(0, length)}</div>'
    )


def _difference(trait, colour, found, answers, courses, length):
    drawn = [
        drawing.Line(
            answer["by_frame"]["times"],
            course[trait],
            colour,
            found[side],
            variation.scatter(found["within"]),
            kind,
        )
        for answer, course, side, kind in zip(answers, courses, "ab", ("first", "second"), strict=True)
    ]
    return (
        f'<div class="trait" style="--trait:{colour}">'
        f"<div><h3>{title(trait)} <b>{found['a']:.2f} → {found['b']:.2f}</b></h3>"
        f"<p>{comparison.in_words(found)}</p></div>"
        f'<div class="timeline">{drawing.lines(drawn, 0, length)}</div></div>'
    )
