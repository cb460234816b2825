"""Two takes beside each other."""

from html import escape

from first_impression.evaluation.display import colours
from first_impression.inference import measures, variation
from first_impression.page import comparison
from first_impression.page.views import drawing
from first_impression.page.views.measured import facts
from first_impression.page.views.words import of_take, title

PURPOSE = (
    "For two takes by one person at one place: what you did differently is then what differs. The page does not know "
    "who is in a take."
)


def section(a, b):
    """Take `a` beside take `b`: what is measured, then what is guessed, and whether its differences are real."""
    answers = a.answer_json, b.answer_json
    models = comparison.models_of_both(*answers)
    changed = facts(measures.changes(*(answer["measured"] for answer in answers)))
    warnings = "".join(f"<li>{text}</li>" for text in comparison.unlike(*answers))
    guessed = (
        _guessed(a, b, models) if models else '<p class="none">No model has answered both, so nothing to compare</p>'
    )
    return (
        f'<section class="beside"><h2>{of_take(a)} beside {of_take(b)}</h2><p class="note">{PURPOSE}</p>'
        f'{warnings and f"""<ul class="warnings">{warnings}</ul>"""}'
        f"<h3>Measured</h3>{changed}<h3>Guessed</h3>{guessed}</section>"
    )


def _guessed(a, b, models):
    answers, moves = (a.answer_json, b.answer_json), [take.moves(models) for take in (a, b)]
    length = max(answer["end"] - answer["start"] for answer in answers) or 0.1
    found = comparison.compare(*answers, models, moves)
    courses = [comparison.course(answer, models) for answer in answers]
    of_names = colours(tuple(found)).items()
    rows = "".join(_difference(trait, colour, found[trait], answers, courses, length) for trait, colour in of_names)
    return (
        f'<p class="note">By {escape(", ".join(models))}, which answered both takes. A take also moves by itself, from '
        "part to part: by the standard deviation in brackets, drawn as a band. Only a larger difference means "
        f"anything, and only one above {variation.RECORDING}, by which two recordings of the same scene can "
        "differ.</p>"
        f'<ul class="legend"><li>— {of_take(a)}</li><li>- - {of_take(b)}</li></ul>'
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
        f"<div><h3>{title(trait)} {found['a']:.2f} → {found['b']:.2f}</h3>"
        f"<p>{comparison.in_words(found)}</p></div>"
        f'<div class="timeline">{drawing.lines(drawn, 0, length)}</div></div>'
    )
