"""The parts of the page as HTML, each made of what docs/answers.md describes.

Text is HTML's own, so that it stays readable at any width; what is drawn is stretched to the width there is.
"""

import base64
import io
import itertools
from html import escape

import numpy as np
from PIL import Image

from first_impression.evaluation.traits import COLOURS, SHOWN
from first_impression.inference.tables import clock, counted
from first_impression.page import comparison

NAMES = {trait: trait.capitalize() for trait in SHOWN} | {"neuroticism": "Emotional stability"}
NO_TAKE = '<p class="none">Record yourself, or choose a clip: its answer will stand here.</p>'
MEANINGS = {  # of a high value, or a low one
    "extraversion": "outgoing and lively, or quiet and reserved",
    "agreeableness": "warm and friendly, or cool and critical",
    "conscientiousness": "careful and organised, or easy-going and careless",
    "neuroticism": "calm, or easily upset; the dataset calls it “neuroticism” and asks for it this way round",
    "openness": "curious and imaginative, or down to earth",
}
MARKS = "●■◆▲▼★"  # of the models, as in the picture of predict.py
QUIETEST = -70.0  # dB, where the drawn loudness begins
LEVELS = 400  # of loudness, at most, that are drawn
PIXEL = 1000  # width of a drawing, in its own units


def alert(text):
    """One line about what went wrong, which a screen reader speaks at once; empty without text."""
    return f'<p class="alert" role="alert">{escape(text)}</p>' if text else ""


def traits(take, about):
    """The five traits among the training labels, with each model's own answer."""
    clip, marks = take.told, dict(zip(take.told["models"], itertools.cycle(MARKS)))
    rows = "".join(_trait(trait, clip, about, marks) for trait in SHOWN)
    count, frames = about["training_clips"], counted(clip["frames"], "frame")
    among = f", on the labels of the {count:,} training clips (grey)" if count else ""
    legend = "".join(f"<li>{mark} {escape(model)}</li>" for model, mark in marks.items())
    warnings = "".join(f"<li>{escape(text)}</li>" for text in _cautions(clip, about))
    warned = f'<h3>To bear in mind</h3><ul class="warnings">{warnings}</ul>' if warnings else ""
    return (
        f'<section class="traits"><h2>{_take(take)}: the five traits</h2>'
        f'<p class="note">From 0 to 1{among}. The line is the answer, the mean of the models; the marks are:</p>'
        f'<ul class="legend">{legend}</ul><div class="grid">{rows}</div>{warned}'
        f'<p class="note">{frames} looked at, {clip["sound_seconds"]:.1f} s listened to.</p></section>'
    )


def _cautions(clip, about):
    return [text for model in clip["models"] if (text := about["models"][model]["caution"])] + clip["warnings"]


def _trait(trait, clip, about, marks):
    score, percentile = clip["fused"][trait], clip["percentile"]
    among = f"higher than {percentile[trait]:.0f} % of the training clips" if percentile else ""
    moves = f"; ± {clip['spread'][trait]:.3f} over its {len(clip['windows'])} parts" if clip["spread"] else ""
    own = {model: clip["models"][model][trait] for model in marks}
    models = "".join(
        f'<i class="model" style="left:{100 * own[model]:.2f}%" aria-hidden="true">{mark}</i>'
        for model, mark in marks.items()
    )
    values = ", ".join(f"{marks[model]} {value:.3f}" for model, value in own.items())
    return (
        f'<div class="trait" style="--trait:{COLOURS[trait]}"><h3>{NAMES[trait]} <b>{score:.3f}</b></h3>'
        f'<p class="note">{MEANINGS[trait]}</p>'
        f'<div class="scale">{_histogram(about["training_histogram"][trait])}'
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
    """An SVG that takes the size of its place; it is told in words elsewhere."""
    return (
        f'<svg viewBox="0 0 {PIXEL} {height}" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f"{content}</svg>"
    )


def course(take):
    """The traits over time above the loudness; a click, or the slider below, asks for a moment."""
    clip = take.told
    start, end = clip["start"], max(clip["end"], clip["start"] + 0.1)
    legend = "".join(f'<li><i class="key" style="--trait:{COLOURS[trait]}"></i>{NAMES[trait]}</li>' for trait in SHOWN)
    return (
        f'<section class="course" data-start="{start}" data-end="{end}"><h2>Over time</h2>'
        f'<ul class="legend">{legend}</ul>'
        f'<div class="seek">{_lines([clip], SHOWN, start, end)}{_sound([clip], start, end)}'
        '<i class="head" hidden></i></div>'
        f'<input type="range" min="{start}" max="{end}" step="0.1" value="{start}" '
        'aria-label="Moment of the clip, in seconds">'
        f"{_seconds(start, end)}"
        '<p class="note">Above: each frame of the pictures as the visual models judge it. Below: how loud it is. Click '
        "at a moment, or move the slider, to see what moved the models there.</p></section>"
    )


def _lines(clips, shown, start, end):
    """The courses of one clip or two, the second one dashed, over the seconds from `start` to `end`."""
    courses = [comparison.course(clip) for clip in clips]
    values = np.concatenate([each[trait] for each in courses for trait in shown])
    if not len(values):
        return '<p class="none">no pictures, so nothing over time</p>'
    low, high = max(values.min() - 0.03, 0), min(values.max() + 0.03, 1)
    lines = "".join(
        _line(clip["by_frame"]["times"], each[trait], start, end, low, high, COLOURS[trait], dashed=number == 1)
        for number, (clip, each) in enumerate(zip(clips, courses, strict=True))
        for trait in shown
    )
    bounds = f'<span class="high">{high:.2f}</span><span class="low">{low:.2f}</span>'
    return f'<div class="lines">{_drawing(100, lines)}{bounds}</div>'


def _line(times, values, start, end, low, high, colour, dashed):
    across = (np.array(times) - start) / (end - start) * PIXEL
    up = 100 - (values - low) / (high - low) * 100
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, up, strict=True))
    kind = "second" if dashed else "first"
    return f'<polyline points="{points}" stroke="{colour}" class="{kind}"/>'


def _sound(clips, start, end):
    areas = "".join(_loudness(clip, start, end, number == 1) for number, clip in enumerate(clips))
    return f'<div class="sound">{_drawing(100, areas)}</div>' if areas else '<p class="none">no sound</p>'


def _loudness(clip, start, end, second):
    levels, step = np.array(clip["loudness"]["decibels"]), clip["loudness"]["step"]
    if not len(levels):
        return ""
    group = max(1, len(levels) // LEVELS)
    levels = levels[: len(levels) // group * group].reshape(-1, group).max(axis=1)
    times = clip["loudness"]["start"] + (np.arange(len(levels)) + 0.5) * group * step
    across = (times - start) / (end - start) * PIXEL
    up = 100 * np.clip(levels / QUIETEST, 0, 1)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, up, strict=True))
    if second:
        return f'<polyline points="{points}" class="second level"/>'
    return f'<polygon points="{across[0]:.1f},100 {points} {across[-1]:.1f},100" class="level"/>'


def _seconds(start, end):
    ticks = "".join(f"<span>{clock(time)}</span>" for time in np.linspace(start, end, 4))
    return f'<p class="ends">{ticks}</p>'


def moment(found, trait, clip):
    """A frame with what moved the models' answers for `trait`. `found` is as of `takes.moment`."""
    if found is None:
        return '<p class="none">This take has no pictures.</p>'
    time, jpeg, evidence = found
    video = clip["video"]
    shape = f"aspect-ratio:{video['width']}/{video['height']}"
    picture = f'<img src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" alt="The frame at {clock(time)}">'
    parts = [_evidence(model, each, trait, picture, shape) for model, each in evidence.items()]
    if not parts:
        why = "None of these models can tell where its answer comes from; those of the kind DAN can."
        parts = [f'<figure><div class="frame" style="{shape}">{picture}</div><figcaption>{why}</figcaption></figure>']
    return (
        f'<section class="moment"><h2>At {clock(time)}: what moved {NAMES[trait].lower()}</h2>'
        f'<div class="grid">{"".join(parts)}</div></section>'
    )


def _evidence(model, told, trait, picture, shape):
    drawn = _map(told["maps"][trait])
    boxes = "".join(
        f'<i class="face" style="left:{100 * left:.1f}%;top:{100 * top:.1f}%;width:{100 * wide:.1f}%;'
        f'height:{100 * high:.1f}%"></i>'
        for left, top, wide, high in (told["face"] or {"boxes": ()})["boxes"]
    )
    return (
        f'<figure><div class="frame" style="{shape}">{picture}<img class="map" alt="" src="{drawn}">'
        f"{boxes}</div><figcaption><b>{escape(model)}: {told['score'][trait]:.3f}</b> for this frame. Red places "
        f"raise it, blue ones lower it. {_of_face(told, trait)}</figcaption></figure>"
    )


def _of_face(told, trait):
    face, share = told["face"], told["share"][trait]
    if share is None:
        return "No face was found in it."
    return (
        f"The face (box) covers {100 * face['area']:.0f} % of the picture, and {100 * share:.0f} % of the evidence "
        f"lies inside it: {face['inside'][trait]:+.2f} inside, {face['outside'][trait]:+.2f} outside."
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
    """Take `a` beside take `b`: what differs, and what that is worth."""
    clips, moves = (a.told, b.told), (a.moves, b.moves)
    length = max(clip["end"] - clip["start"] for clip in clips) or 0.1
    rows = "".join(_difference(trait, of, clips, length) for trait, of in comparison.compare(*clips, moves).items())
    facts = "".join(f"<li>{text}</li>" for text in _facts(clips, moves))
    return (
        f'<section class="beside"><h2>{_take(a)} beside {_take(b)}</h2>'
        f'<ul class="legend"><li>— {_take(a)}</li><li>- - {_take(b)}</li></ul>'
        '<p class="note">A take moves within itself, too: its parts are answered differently (by one standard '
        f"deviation). Only what differs by more than that, and by more than the {comparison.RECORDING} that two "
        "recordings of the same scene can differ by, is worth a thought.</p>"
        f'<div class="grid">{rows}</div><h3>Loudness</h3>'
        f"{_sound(clips, 0, length)}{_seconds(0, length)}"
        f'<ul class="facts">{facts}</ul></section>'
    )


def _take(take):
    return f"Take {take.number} ({escape(take.name)})"


def _difference(trait, of, clips, length):
    return (
        f'<div class="trait" style="--trait:{COLOURS[trait]}"><h3>{NAMES[trait]} {of["a"]:.3f} → {of["b"]:.3f}</h3>'
        f"{_lines(clips, [trait], 0, length)}"
        f"<p>{NAMES[trait].lower()} {comparison.in_words(of['difference'], of['within'])}</p></div>"
    )


def _facts(clips, moves):
    """The other things that differ, as texts."""
    levels = [comparison.loudness(clip) for clip in clips]
    if None not in levels:
        first, second = levels
        yield f"Loudness, the median: {first:.1f} and {second:.1f} dB, a difference of {second - first:+.1f}."
    faces = [comparison.face_share(clip) for clip in clips]
    if None not in faces:
        yield f"Share of the time with a face: {100 * faces[0]:.0f} % and {100 * faces[1]:.0f} %."
    if None not in moves:
        means = [np.mean(list(each.values())) for each in moves]
        yield f"How much the traits move within the take, on average: {means[0]:.3f} and {means[1]:.3f}."


def player(take, address):
    """The take to watch. `address` is of its clip."""
    return (
        f'<video controls playsinline preload="auto" src="{escape(address)}" aria-label="Take {take.number}"></video>'
        '<p class="note" hidden>This browser cannot play the clip; its numbers stand all the same.</p>'
    )


def downloads(links):
    """What there is to take home: `links` are {what it is: address}."""
    items = "".join(f'<a href="{escape(address)}" download>{name}</a>' for name, address in links.items())
    return f'<p class="downloads">Download: {items}</p>'
