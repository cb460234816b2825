"""A moment of a take: the frame, and what moved the models in it."""

import base64
import io
from html import escape

import numpy as np
from PIL import Image

from first_impression.common.words import clock
from first_impression.evaluation.display import in_words
from first_impression.page.views.words import how_to_read


def section(found, trait, answer):
    """A frame with what moved the models' answers for `trait`. `found` is as of `takes.moment`."""
    time, jpeg, evidence = found
    video = answer["video"]
    shape = f"aspect-ratio:{video['width']}/{video['height']}"
    picture = f'<img src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" alt="The frame at {clock(time)}">'
    parts = [_evidence(model, found, trait, picture, shape) for model, found in evidence.items()]
    if not parts:
        why = "Only models of the kind DAN can show where in the picture their answers come from; none of these is one."
        parts = [f'<figure><div class="frame" style="{shape}">{picture}</div><figcaption>{why}</figcaption></figure>']
    return (
        f'<section class="moment"><h2>What moved the guess of {in_words(trait)} at {clock(time)}</h2>'
        f"{''.join(parts)}</section>"
    )


def _evidence(model, evidence, trait, picture, shape):
    drawn = _map(evidence["maps"][trait])
    boxes = "".join(
        f'<i class="face" style="left:{100 * left:.1f}%;top:{100 * top:.1f}%;width:{100 * wide:.1f}%;'
        f'height:{100 * high:.1f}%"></i>'
        for left, top, wide, high in (evidence["face"] or {"boxes": ()})["boxes"]
    )
    return (
        f'<figure><div class="frame" style="{shape}">{picture}<img class="map" alt="" src="{drawn}">'
        f"{boxes}</div><figcaption><b>{escape(model)}: {evidence['score'][trait]:.2f}</b> for this frame. Red places "
        f"raise it, blue ones lower it. {_of_face(evidence, trait)}</figcaption></figure>"
    )


def _of_face(evidence, trait):
    face, share = evidence["face"], evidence["share"][trait]
    if share is None:
        return "No face was found in it."
    return (
        f"The face (box) covers {100 * face['area']:.0f} % of the picture, and {100 * share:.0f} % of the evidence "
        f"lies inside it. {_sum_of(evidence, trait)}"
    )


def _sum_of(evidence, trait):
    face = evidence["face"]
    return how_to_read(
        f"Inside {face['inside'][trait]:+.2f}, outside {face['outside'][trait]:+.2f} and the bias, the same for every "
        f"picture, {evidence['bias'][trait]:+.2f} add up to the logit {evidence['logit'][trait]:+.2f}, which is "
        "log(score / (1 - score))."
    )


def _map(places):
    """The map of a trait as a PNG: red raises, blue lowers, and little is see-through. `places`: a list of rows."""
    places = np.asarray(places)
    most = np.abs(places).max() or 1.0
    strength = 200 * (np.abs(places) / most) ** 0.6
    colour = np.where(places[..., None] > 0, (178, 24, 43), (33, 102, 172))
    pixels = np.concatenate([colour, strength[..., None]], axis=-1).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
