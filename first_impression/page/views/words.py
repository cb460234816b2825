"""What traits and takes are called on the page."""

from html import escape

from first_impression.evaluation.traits import SHOWN

NAMES = {trait: trait.capitalize() for trait in SHOWN} | {"neuroticism": "Emotional stability"}
MEANINGS = {  # of a high value, or a low one
    "extraversion": "outgoing and lively, or quiet and reserved",
    "agreeableness": "warm and friendly, or cool and critical",
    "conscientiousness": "careful and organised, or easy-going and careless",
    "neuroticism": "calm and secure, or easily upset",
    "openness": "curious and imaginative, or down to earth",
}


def of_take(take):
    """A take as its visitor knows it, as HTML."""
    return f"Take {take.number} ({escape(take.name)})"
