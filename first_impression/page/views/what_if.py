"""What if a take were edited: what that changes of its guessed traits."""

from html import escape

from first_impression.common.errors import counted
from first_impression.evaluation.display import names_in
from first_impression.inference.edits import EDITS
from first_impression.inference.variation import RECORDING, scatter
from first_impression.page.comparison import is_larger
from first_impression.page.views.words import how_to_read, of_take, title

OFFER = (
    '<p class="note">Asks the models about this take again, edited, which shows what they react to: '
    f"{', '.join(edit.words for edit in EDITS)}.</p>"
)
HOW_TO_READ = how_to_read(
    "By itself: what the take moves by from part to part (standard deviation), but at least the "
    f"{RECORDING} by which two recordings of the same scene can differ. Head and shoulders are a plain shape around "
    "the face; where they fill the picture, cutting them out changes nothing. A louder sound is not clipped. The "
    "models learned from clips without such edits."
)


def section(take, state=""):
    """The effects of the edits that the models were asked about so far, as a table; `state` is HTML about the rest."""
    if not (asked := take.answer_json["what_if"]):
        return state or OFFER
    names, moves = {name: title(name) for name in names_in(take.answer_json["fused"])}, asked["moves"]
    heads = "".join(f'<th scope="col"><span>{name}</span></th>' for name in names.values())
    own = "".join(f"<td>{scatter(moves[trait]):.2f}</td>" for trait in names) if moves else _all(names, "not known")
    rows = "".join(_row(edit, names, moves) for edit in asked["edits"].values())
    return (
        f'<section class="what-if"><h2>What if {of_take(take)} were edited</h2>{state}'
        f'<p class="note">{_about(asked)}</p>'
        f'<table class="effects"><thead><tr><td></td>{heads}</tr></thead><tbody>'
        f'<tr class="own"><th scope="row">by itself</th>{own}</tr>{rows}</tbody></table>'
        f"{HOW_TO_READ}</section>"
    )


def _about(asked):
    of_what = [counted(asked["frames"], "frame")] * bool(asked["frames"])
    of_what += [f"{counted(asked['windows'], 'window')} of sound"] * bool(asked["windows"])
    return (
        f"What each edit adds to the guess, the mean of the models, over {' and '.join(of_what)}. <b>Bold</b>: more "
        "than the take moves by itself."
    )


def _row(edit, names, moves):
    if not edit["fused"]:
        cells = _all(names, escape(edit["missing"]))
    else:
        cells = "".join(_cell(edit["fused"][trait], moves and moves[trait]) for trait in names)
    return f'<tr><th scope="row">{edit["words"]}</th>{cells}</tr>'


def _cell(effect, within):
    number = f"{effect:+z.2f}"
    larger = f'<b>{number}<span class="unseen"> larger</span></b>'  # in words too, for who does not see what is bold
    return f"<td>{larger if is_larger(effect, within) else number}</td>"


def _all(names, text):
    return f'<td class="none" colspan="{len(names)}">{text}</td>'


def asking(done, count, seconds):
    """How far the models have been asked, with about so many `seconds` left, as HTML."""
    return (
        f'<p role="status">Asking the models: {done} of {count} answers, about {seconds:.0f} s left '
        f'<progress max="{count}" value="{done}" aria-hidden="true"></progress></p>'
    )


WAITING = '<p role="status">Asking the models <progress aria-hidden="true"></progress></p>'
STOPPED = '<p role="status">Stopped.</p>'
