"""What targets and takes are called on the page."""

from html import escape

from first_impression.evaluation.display import in_words

MEANINGS = {  # of a high value, or a low one
    "extraversion": "outgoing and lively, or quiet and reserved",
    "agreeableness": "warm and friendly, or cool and critical",
    "conscientiousness": "careful and organised, or easy-going and careless",
    "neuroticism": "calm and secure, or easily upset",
    "openness": "curious and imaginative, or down to earth",
}


def title(target):
    """A target's name at the start of a line: "Emotional stability"."""
    return in_words(target).capitalize()


def of_take(take):
    """A take as its visitor knows it, as HTML."""
    return f"Take {take.number} ({escape(take.name)})"


def warnings(texts):
    """What speaks against numbers, a line each, as HTML; "" without `texts`."""
    lines = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return lines and f'<ul class="warnings">{lines}</ul>'


def how_to_read(text):
    """What explains a drawing, as HTML `text`, folded away until somebody asks."""
    return f'<details class="note"><summary>How to read this</summary><p>{text}</p></details>'
