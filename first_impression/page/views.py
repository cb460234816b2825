"""The parts of the page as HTML, made from the JSON that docs/answers.md describes.

Text is HTML's own, so that it stays readable at any width; what is drawn is stretched to the width there is.
"""

import base64
import io
import itertools
from html import escape

import numpy as np
from PIL import Image

from first_impression.common.errors import counted
from first_impression.common.words import clock, share_lower
from first_impression.data.targets import FIVE
from first_impression.evaluation.display import colours, in_words, names_in
from first_impression.inference import measures
from first_impression.page import comparison

NO_TAKE = '<p class="none">Record yourself, or choose a clip: its answer will appear here.</p>'
MEANINGS = {  # of a high value, or a low one
    "extraversion": "outgoing and lively, or quiet and reserved",
    "agreeableness": "warm and friendly, or cool and critical",
    "conscientiousness": "careful and organised, or easy-going and careless",
    "neuroticism": "calm, or easily upset; the dataset calls it “neuroticism” and rates it this way round",
    "openness": "curious and imaginative, or down to earth",
}
MARKS = "●■◆▲▼★"  # of the models, as in the picture of predict.py
QUIETEST = -70.0  # dB, where the drawn loudness begins
LEVELS = 400  # of loudness, at most, that are drawn
PIXEL = 1000  # width of a drawing, in its own units


def title(target):
    """A target's name at the start of a line: "Emotional stability"."""
    return in_words(target).capitalize()


def alert(text):
    """One line about what went wrong, which a screen reader speaks at once; "" without text."""
    return f'<p class="alert" role="alert">{escape(text)}</p>' if text else ""


def drawn_sample(about):
    """What to say first where models were trained on the drawn sample; "" where none was."""
    return f'<p class="drawn">{escape(about["drawn_sample"])}</p>' if about["drawn_sample"] else ""


def traits(take, about):
    """What is answered, among what they are ranked among, with each model's own answer."""
    answer, marks = take.answer_json, dict(zip(take.answer_json["models"], itertools.cycle(MARKS)))
    of_names = colours(names_in(answer["fused"]))
    rows = "".join(_trait(target, colour, answer, marks) for target, colour in of_names.items())
    rank, frames = answer["rank"], counted(answer["frames"], "frame")
    among = f", among {escape(rank['among'])} (grey)" if rank else ""
    legend = "".join(f"<li>{mark} {escape(model)}</li>" for model, mark in marks.items())
    warnings = "".join(f"<li>{escape(text)}</li>" for text in _cautions(answer, about))
    warned = f'<h3>To bear in mind</h3><ul class="warnings">{warnings}</ul>' if warnings else ""
    return (
        f'<section class="traits">{drawn_sample(about)}<h2>{_take(take)}: {_what(of_names)}</h2>'
        f'<p class="note">Guessed, from 0 to 1{among}. The line is the mean of the models; the marks are:</p>'
        f'<ul class="legend">{legend}</ul><div class="grid">{rows}</div>{warned}'
        f'<p class="note">{frames} looked at, {answer["sound_seconds"]:.1f} s listened to.</p></section>'
    )


def _what(names):
    return "the five traits" if set(names) == set(FIVE.names) else "what the models answer"


def _cautions(answer, about):
    return [text for model in answer["models"] if (text := about["models"][model]["caution"])] + answer["warnings"]


def _trait(trait, colour, answer, marks):
    score, rank = answer["fused"][trait], answer["rank"]
    among = f"higher than {share_lower(rank, trait)} of these" if rank else ""
    moves = f"; ± {answer['spread'][trait]:.3f} over its {len(answer['windows'])} parts" if answer["spread"] else ""
    own = {model: answer["models"][model][trait] for model in marks}
    models = "".join(
        f'<i class="model" style="left:{100 * own[model]:.2f}%" aria-hidden="true">{mark}</i>'
        for model, mark in marks.items()
    )
    values = ", ".join(f"{marks[model]} {value:.3f}" for model, value in own.items())
    meaning = MEANINGS.get(trait, "")
    if on_scale := answer["on_scale"]:
        meaning = f"{on_scale['fused'][trait]:.2f} on a scale from {on_scale['low']:g} to {on_scale['high']:g}"
    return (
        f'<div class="trait" style="--trait:{colour}"><h3>{title(trait)} <b>{score:.3f}</b></h3>'
        f'<p class="note">{meaning}</p>'
        f'<div class="scale">{_histogram(rank["histogram"][trait]) if rank else ""}'
        f'<i class="answer" style="left:{100 * score:.2f}%"></i>{models}</div>'
        f'<p class="ends"><span>0</span><span>1</span></p>'
        f'<p>{among}{moves}</p><p class="note">{values}</p></div>'
    )


def _histogram(shares):
    width, heights = PIXEL / len(shares), 100 * np.array(shares) / (max(shares) or 1)
    bars = "".join(
        f'<rect x="{number * width:.1f}" y="{100 - height:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
        for number, height in enumerate(heights)
    )
    return _drawing(100, f'<g class="labels">{bars}</g>')


def _drawing(height, content):
    """An SVG that fills its place; for screen readers, words elsewhere say the same."""
    return (
        f'<svg viewBox="0 0 {PIXEL} {height}" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f"{content}</svg>"
    )


def course(take):
    """The traits over time above the loudness; a click, or the slider below, asks for a moment."""
    answer = take.answer_json
    start, end = answer["start"], max(answer["end"], answer["start"] + 0.1)
    of_names = colours(names_in(answer["fused"]))
    legend = "".join(
        f'<li><i class="key" style="--trait:{colour}"></i>{title(target)}</li>' for target, colour in of_names.items()
    )
    return (
        f'<section class="course" data-start="{start}" data-end="{end}"><h2>Over time</h2>'
        f'<ul class="legend">{legend}</ul>'
        f'<div class="seek">{_lines([answer], of_names, start, end)}{_sound([answer], start, end)}'
        '<i class="head" hidden></i></div>'
        f'<input type="range" min="{start}" max="{end}" step="0.1" value="{start}" '
        'aria-label="Moment of the clip, in seconds">'
        f"{_seconds(start, end)}"
        '<p class="note">Above: the mean of the models for each frame; one that hears answers a whole window. Below: '
        "how loud it is. Click at a moment, or move the slider, to see what moved the models there.</p></section>"
        f'<section class="measured"><h2>Measured</h2><p class="note">In the sound and the pictures themselves; the '
        "traits are guessed by models. No number here is good or bad.</p>"
        f"{_measured(measures.in_words(answer['measured']))}</section>"
    )


def _lines(answers, shown, start, end, models=None):
    """The courses of one clip or two, the second one dashed, over the seconds from `start` to `end`.

    They are of the targets `shown`, {name: colour}, by the models of these names; None: by all.
    """
    courses = [comparison.course(answer, models) for answer in answers]
    values = np.concatenate([course[trait] for course in courses for trait in shown])
    if not len(values):
        return '<p class="none">no pictures, so nothing over time</p>'
    low, high = max(values.min() - 0.03, 0), min(values.max() + 0.03, 1)
    lines = "".join(
        _line(answer["by_frame"]["times"], course[trait], start, end, low, high, colour, dashed=number == 1)
        for number, (answer, course) in enumerate(zip(answers, courses, strict=True))
        for trait, colour in shown.items()
    )
    bounds = f'<span class="high">{high:.2f}</span><span class="low">{low:.2f}</span>'
    return f'<div class="lines">{_drawing(100, lines)}{bounds}</div>'


def _line(times, values, start, end, low, high, colour, dashed):
    across = (np.array(times) - start) / (end - start) * PIXEL
    up = 100 - (values - low) / (high - low) * 100
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, up, strict=True))
    kind = "second" if dashed else "first"
    return f'<polyline points="{points}" stroke="{colour}" class="{kind}"/>'


def _sound(answers, start, end):
    areas = "".join(_loudness(answer, start, end, number == 1) for number, answer in enumerate(answers))
    return f'<div class="sound">{_drawing(100, areas)}</div>' if areas else '<p class="none">no sound</p>'


def _loudness(answer, start, end, second):
    levels, step = np.array(answer["loudness"]["decibels"]), answer["loudness"]["step"]
    if not len(levels):
        return ""
    group = max(1, len(levels) // LEVELS)
    levels = levels[: len(levels) // group * group].reshape(-1, group).max(axis=1)
    times = answer["loudness"]["start"] + (np.arange(len(levels)) + 0.5) * group * step
    across = (times - start) / (end - start) * PIXEL
    up = 100 * np.clip(levels / QUIETEST, 0, 1)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, up, strict=True))
    if second:
        return f'<polyline points="{points}" class="second level"/>'
    return f'<polygon points="{across[0]:.1f},100 {points} {across[-1]:.1f},100" class="level"/>'


def _seconds(start, end):
    ticks = "".join(f"<span>{clock(time)}</span>" for time in np.linspace(start, end, 4))
    return f'<p class="ends">{ticks}</p>'


def moment(found, trait, answer):
    """A frame with what moved the models' answers for `trait`. `found` is as of `takes.moment`."""
    if found is None:
        return '<p class="none">This take has no pictures.</p>'
    time, jpeg, evidence = found
    video = answer["video"]
    shape = f"aspect-ratio:{video['width']}/{video['height']}"
    picture = f'<img src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" alt="The frame at {clock(time)}">'
    parts = [_evidence(model, found, trait, picture, shape) for model, found in evidence.items()]
    if not parts:
        why = "Only models of the kind DAN can show where in the picture their answers come from; none of these is one."
        parts = [f'<figure><div class="frame" style="{shape}">{picture}</div><figcaption>{why}</figcaption></figure>']
    return (
        f'<section class="moment"><h2>At {clock(time)}: what moved {in_words(trait)}</h2>'
        f'<div class="grid">{"".join(parts)}</div></section>'
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
        f"{boxes}</div><figcaption><b>{escape(model)}: {evidence['score'][trait]:.3f}</b> for this frame. Red places "
        f"raise it, blue ones lower it. {_of_face(evidence, trait)}</figcaption></figure>"
    )


def _of_face(evidence, trait):
    face, share = evidence["face"], evidence["share"][trait]
    if share is None:
        return "No face was found in it."
    return (
        f"The face (box) covers {100 * face['area']:.0f} % of the picture, and {100 * share:.0f} % of the evidence "
        f"lies inside it. Inside {face['inside'][trait]:+.2f}, outside {face['outside'][trait]:+.2f} and the bias, the "
        f"same for every picture, {evidence['bias'][trait]:+.2f} add up to the logit {evidence['logit'][trait]:+.2f}, "
        "which is log(score / (1 - score))."
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


def beside(a, b):
    """Take `a` beside take `b`: what is measured, then what is guessed, and whether its differences are real."""
    answers = a.answer_json, b.answer_json
    models = comparison.models_of_both(*answers)
    changed = _measured(measures.changes(*(answer["measured"] for answer in answers)))
    guessed = (
        _guessed(a, b, models) if models else '<p class="none">No model has answered both, so nothing to compare</p>'
    )
    return (
        f'<section class="beside"><h2>{_take(a)} beside {_take(b)}</h2>'
        f"<h3>Measured</h3>{changed}<h3>Guessed</h3>{guessed}</section>"
    )


def _measured(lines):
    """The lines {part: text} of `measures`."""
    return f'<ul class="facts">{"".join(f"<li>{part}: {text}</li>" for part, text in lines.items())}</ul>'


def _guessed(a, b, models):
    answers, moves = (a.answer_json, b.answer_json), [take.moves(models) for take in (a, b)]
    length = max(answer["end"] - answer["start"] for answer in answers) or 0.1
    found = comparison.compare(*answers, models, moves)
    of_names = colours(tuple(found)).items()
    rows = "".join(_difference(trait, colour, found[trait], answers, models, length) for trait, colour in of_names)
    return (
        f'<ul class="legend"><li>— {_take(a)}</li><li>- - {_take(b)}</li></ul>'
        f'<p class="note">By {escape(", ".join(models))}, which answered both takes. The answer also varies within a '
        "take, from part to part; its standard deviation is given as "
        f"variation. Only a difference larger than that, and larger than the {comparison.RECORDING} by which two "
        "recordings of the same scene can differ, means anything.</p>"
        f'<div class="grid">{rows}</div><h3>Loudness</h3>{_sound(answers, 0, length)}{_seconds(0, length)}'
    )


def _take(take):
    return f"Take {take.number} ({escape(take.name)})"


def _difference(trait, colour, found, answers, models, length):
    heading = f"{title(trait)} {found['a']:.3f} → {found['b']:.3f}"
    return (
        f'<div class="trait" style="--trait:{colour}"><h3>{heading}</h3>'
        f"{_lines(answers, {trait: colour}, 0, length, models)}"
        f"<p>{in_words(trait)} {comparison.in_words(found['difference'], found['within'])}</p></div>"
    )


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
        '<p class="note">In JSON and CSV, neuroticism, the dataset’s word, is emotional stability: high is stable.</p>'
    )
