"""What is measured, without a model."""

from first_impression.inference import measures


def section(answer):
    """What is measured of a clip; `answer` is its JSON."""
    return (
        '<section class="measured"><h2>Measured</h2><p class="note">In the sound and the pictures themselves; the '
        "traits are guessed by models. No number here is good or bad.</p>"
        f"{facts(measures.in_words(answer['measured']))}</section>"
    )


def facts(lines):
    """The lines {part: text} of `measures`."""
    items = "".join(f"<li><b>{part.capitalize()}</b>: {text}</li>" for part, text in lines.items())
    return f'<ul class="facts">{items}</ul>'
