"""What stands around an answer: the banner of the drawn sample, an alert, the player, the downloads."""

from html import escape


def alert(text):
    """One line about what went wrong, which a screen reader speaks at once; "" without text."""
    return f'<p class="alert" role="alert">{escape(text)}</p>' if text else ""


def drawn_sample(about):
    """What to say first where models were trained on the drawn sample; "" where none was."""
    return f'<p class="drawn">{escape(about["drawn_sample"])}</p>' if about["drawn_sample"] else ""


def player(take, address):
    """The take to watch. `address` is of its clip."""
    return (
        f'<video controls playsinline preload="auto" src="{escape(address)}" aria-label="Take {take.number}"></video>'
        '<p class="note" hidden>This browser cannot play the clip; its numbers are valid all the same.</p>'
    )


def downloads(links):
    """The download links: `links` is {kind of file: address}."""
    items = "".join(f'<a href="{escape(address)}" download>{name}</a>' for name, address in links.items())
    return (
        f'<p class="downloads">Download: {items}</p>'
        '<p class="note">In them, emotional stability has the dataset’s name: a high neuroticism means stable.</p>'
    )
