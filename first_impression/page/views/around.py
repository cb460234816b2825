"""What stands around an answer: the banner of the drawn sample, an alert, the player, the downloads."""

from html import escape

from first_impression.common.words import clock
from first_impression.page.views.words import of_take


def alert(text):
    """One line about what went wrong, which a screen reader speaks at once; "" without text."""
    return f'<p class="alert" role="alert">{escape(text)}</p>' if text else ""


def done(take):
    """What a screen reader speaks once a take is answered."""
    return f'<p class="unseen" role="status">{of_take(take)} is answered.</p>'


def drawn_sample(about):
    """What to say first where models were trained on the drawn sample; "" where none was."""
    return f'<p class="drawn">{escape(about["drawn_sample"])}</p>' if about["drawn_sample"] else ""


def player(take, address):
    """The take to watch, or to listen to; its frames, for a browser that cannot play it. `address` is of its clip."""
    source = f'controls preload="auto" src="{escape(address)}" aria-label="Take {take.number}"'
    why = "This browser cannot play the clip; its numbers are valid all the same."
    video = take.answer_json["video"]
    if not video:
        return f'<audio {source}></audio><p class="unplayable note" hidden>{why}</p>'
    shape = f"aspect-ratio:{video['width']}/{video['height']}"
    frames = "".join(
        f'<img style="{shape}" src="data:image/jpeg;base64,{frame["jpeg"]}" alt="The frame at {clock(frame["time"])}">'
        for frame in take.answer_json["strip"]
    )
    return (
        f'<video playsinline {source}></video><div class="unplayable" hidden><div class="frames">{frames}</div>'
        f'<p class="note">{why} These are frames of it.</p></div>'
    )


def downloads(links, targets):
    """The download links: `links` is {kind of file: address}, `targets` are the names of what is answered."""
    stability = "In JSON and CSV, neuroticism, the dataset’s word, is emotional stability: high is stable."
    items = "".join(f'<a href="{escape(address)}" download>{name}</a>' for name, address in links.items())
    note = f'<p class="note">{stability}</p>' if "neuroticism" in targets else ""
    return f'<p class="downloads">Download: {items}</p>{note}'
