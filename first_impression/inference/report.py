"""One picture per clip: frames, the targets among those of other clips, the targets over time, the sound.

It is drawn from the JSON of the answer alone.
"""

import base64
import io
import textwrap
import warnings

import numpy as np
from PIL import Image

from first_impression.common.files import whole_file
from first_impression.common.words import clock, share_lower, span
from first_impression.data.targets import FIVE
from first_impression.evaluation.display import colours, in_words, names_in
from first_impression.evaluation.plots import plt
from first_impression.inference.answer import STRIP
from first_impression.inference.tables import face_lines

GREY = "#c9c9c9"
GREY_TEXT = "#555555"
RED = "#b00020"
MARKERS = "osD^v<>P"
WIDTH = 12.0  # inches
FOOTER = (
    "Apparent traits: strangers' first impressions of this clip, as a model guesses them. No measure of the person, "
    "and no basis for decisions about people."
)
STABILITY = "Emotional stability is what the dataset calls “neuroticism”."
MOST_ACROSS = 6  # maps of evidence in a row


def draw(path, title, answer, about):
    """Write the picture of an answer as PNG.

    `answer` is what the JSON holds of the clip, `about` what it holds of the models; see docs/answers.md.
    """
    aspect = answer["video"]["width"] / answer["video"]["height"] if answer["video"] else 1.0
    frames = [(frame["time"], _read_jpeg(frame["jpeg"])) for frame in answer["strip"]]
    cautions = [about["models"][model]["caution"] for model in answer["models"]] + answer["warnings"]
    notes = [(text, GREY_TEXT) for text in face_lines(answer)] + [(text, RED) for text in cautions if text]
    foot = [(FOOTER, GREY_TEXT)] + [(STABILITY, GREY_TEXT)] * ("neuroticism" in about["targets"])
    foot += [(line, colour) for text, colour in notes for line in textwrap.wrap(text, 175)]
    timeline, sound = bool(answer["by_frame"]["times"] or answer["spread"]), bool(answer["loudness"]["decibels"])
    rows = [(0.5, _draw_title, [title])]  # height in inches, what draws it, with what
    if about["not_for_hiring"]:
        rows.insert(0, (0.6, _draw_warning, [about["not_for_hiring"]]))
    if about["drawn_sample"]:
        rows.insert(0, (0.5, _draw_warning, [about["drawn_sample"]]))
    if frames:
        rows.append((min(WIDTH / STRIP / aspect, 2.4) + 0.35, _draw_strip, [frames, aspect]))
    for model, evidence in answer["evidence"].items():
        if "maps" not in evidence:
            continue
        middle = frames[len(frames) // 2][1]
        down = -(-len(names_in(evidence["maps"])) // MOST_ACROSS)
        height = (min(WIDTH / 6 / aspect, 2.4) + 0.85) * down + 0.2
        rows.append((height, _draw_evidence, [model, evidence, middle, aspect, down]))
    rows.append((max(0.84 * len(names_in(answer["fused"])), 1.6), _draw_targets, [answer]))
    if timeline or sound:
        rows.append((3.1 * timeline + 1.5 * sound + 0.8, _draw_time, [answer, timeline, sound]))
    rows.append((0.15 + 0.2 * len(foot), _draw_foot, [foot]))
    heights = [height for height, _, _ in rows]
    figure = plt.figure(figsize=(WIDTH, sum(heights)))
    areas = figure.subfigures(len(rows), 1, height_ratios=heights, hspace=0)
    for area, (height, draw_row, values) in zip(areas, rows, strict=True):
        draw_row(area, height, *values)
    with whole_file(path) as tmp, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a title in letters that the font lacks
        figure.savefig(tmp, format="png", dpi=110)
    plt.close(figure)


def _read_jpeg(text):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB"))


def _values(by_target):
    """The values {target: value or list} as an array [k, ...] in the order of display."""
    return np.array([by_target[name] for name in names_in(by_target)])


def _draw_title(area, height, title):
    area.text(0.02, 0.45, title, fontsize=14, weight="bold", va="center", parse_math=False)


def _draw_warning(area, height, text):
    area.set_facecolor(RED)
    area.text(0.02, 0.5, "\n".join(textwrap.wrap(text, 120)), fontsize=12, weight="bold", color="white", va="center")


def _draw_foot(area, height, notes):
    for number, (line, colour) in enumerate(notes, 1):
        area.text(0.02, 1 - 0.2 * number / height, line, fontsize=8.5, color=colour, parse_math=False)


def _draw_strip(area, height, frames, aspect):
    sides = {"left": 0.02, "right": 0.98, "wspace": 0.04, "top": 1, "bottom": 0.3 / height}
    for ax in (axes := area.subplots(1, STRIP, gridspec_kw=sides)):
        ax.axis("off")
    for ax, (time, picture) in zip(axes, frames, strict=False):
        _show(ax, picture, aspect)
        ax.set_title(clock(time), fontsize=8.5, color=GREY_TEXT, y=0, va="top", pad=-3)


def _show(ax, picture, aspect, **options):
    """Draw an image as wide by high as the player shows it, whatever its own grid."""
    return ax.imshow(picture, extent=(0, aspect, 0, 1), aspect="equal", **options)


def _draw_evidence(area, height, model, evidence, picture, aspect, down):
    """Per target, over the middle frame in grey: red places raise the target's logit, blue ones lower it."""
    names = names_in(evidence["maps"])
    what = "trait" if set(names) <= set(FIVE.names) else "target"
    title = f"Evidence of {model} at {clock(evidence['time'])}: red places raise the {what}, blue ones lower it"
    area.text(0.02, 1 - 0.1 / height, title, fontsize=11, va="top", parse_math=False)
    sides = {"left": 0.02, "right": 0.92, "wspace": 0.05, "top": 1 - 0.85 / height, "bottom": 0.15 / height}
    sides |= {"hspace": 0.45} if down > 1 else {}
    maps = {name: np.array(evidence["maps"][name]) for name in names}
    most = max(np.abs(places).max() for places in maps.values()) or 1.0
    grey, across = picture @ np.array([0.299, 0.587, 0.114]), min(len(names), MOST_ACROSS)
    axes = area.subplots(down, across, gridspec_kw=sides, squeeze=False).ravel()
    for ax in axes:
        ax.axis("off")
    for (name, colour), ax in zip(colours(names).items(), axes, strict=False):
        _show(ax, grey, aspect, cmap="gray", vmin=-40, vmax=300)
        strength = 0.85 * (np.abs(maps[name]) / most) ** 0.6  # the picture shows through where little comes from
        drawn = _show(ax, maps[name], aspect, cmap="RdBu_r", vmin=-most, vmax=most, alpha=strength)
        for left, top, wide, high in evidence["face"]["boxes"] if evidence["face"] else ():
            corner = (left * aspect, 1 - top - high)
            ax.add_patch(plt.Rectangle(corner, wide * aspect, high, fill=False, edgecolor="#222222", linewidth=1))
        ax.set_title(f"{in_words(name)}\n{_sum_of(evidence, name)}", fontsize=8, color=colour)
    bar = area.colorbar(drawn, cax=area.add_axes((0.935, 0.15 / height, 0.01, 1 - 1.0 / height)))
    bar.ax.tick_params(labelsize=7)
    bar.set_label("share of the logit", fontsize=8)


def _sum_of(evidence, target):
    """How the answer comes about, in two lines."""
    bias, places, logit, score = (evidence[part][target] for part in ("bias", "places", "logit", "score"))
    return f"bias {bias:+.2f}, places {places:+.2f},\nlogit {logit:+.2f}, score {score:.2f}"


def _draw_targets(area, height, answer):
    """A bar per target from 0 to its score, on the histogram of what it is ranked among; a mark per model."""
    rank, names = answer["rank"], names_in(answer["fused"])
    sides = {"left": 0.15, "right": 0.72, "top": 1 - 0.42 / height, "bottom": 0.462 / height}
    ax = area.subplots(gridspec_kw=sides)
    for line, (name, colour) in enumerate(colours(names).items()):
        base, score = -line, answer["fused"][name]
        if rank:
            shares = np.array(rank["histogram"][name])
            edges = np.linspace(0, 1, len(shares) + 1)
            ax.stairs(base + 0.72 * shares / shares.max(), edges, baseline=base, fill=True, color=GREY)
        ax.barh(base - 0.07, score, 0.14, color=colour)
        ax.vlines(score, base - 0.14, base + 0.72, color=colour, linewidth=2)
        if answer["spread"]:
            ax.errorbar(score, base - 0.07, xerr=answer["spread"][name], color="#222222", capsize=3, linewidth=1)
        ax.text(1.02, base + 0.15, f"{score:.4f}", fontsize=12, color=colour, weight="bold", va="center")
        notes = [_on_scale(answer["on_scale"], name)] if answer["on_scale"] else []
        notes += [f"± {answer['spread'][name]:.4f} over the windows"] if answer["spread"] else []
        notes += [f"higher than {share_lower(rank, name)}"] if rank else []
        ax.text(1.13, base + 0.15, "\n".join(notes), fontsize=10, color=GREY_TEXT, va="center")
    lines = -np.arange(len(names))
    look = {"color": "white", "markeredgecolor": "#222222", "markersize": 6}
    for model, marker in zip(answer["models"] if len(answer["models"]) > 1 else (), MARKERS, strict=False):
        ax.plot(_values(answer["models"][model]), lines + 0.3, marker, label=model, **look)
    if len(answer["models"]) > 1:
        ax.legend(fontsize=8, loc="lower left", bbox_to_anchor=(1.0, 0.98), ncols=4, frameon=False, handletextpad=0.1)
    among = f" among {rank['among']} (grey)" if rank else ""
    what = "The five traits" if set(names) == set(FIVE.names) else "The answers"
    ax.set_title(f"{what}{among}", fontsize=11, loc="left", parse_math=False)
    ax.set(xlim=(0, 1), ylim=(0.75 - len(names), 0.85), yticks=lines + 0.15, yticklabels=map(in_words, names))
    ax.tick_params(axis="y", length=0, labelsize=11)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.grid(axis="x", alpha=0.25)


def _on_scale(on_scale, name):
    return f"{on_scale['fused'][name]:.2f} from {span(on_scale['low'], on_scale['high'])}"


def _draw_time(area, height, answer, timeline, sound):
    """The visual models' mean per frame and the windows' answers, and under them the loudness, on one axis of time."""
    ratios = [3.1] * timeline + [1.5] * sound
    sides = {"left": 0.075, "right": 0.82, "top": 1 - 0.3 / height, "bottom": 0.55 / height, "hspace": 0.12}
    axes = area.subplots(len(ratios), sharex=True, squeeze=False, height_ratios=ratios, gridspec_kw=sides)[:, 0]
    if timeline:
        _draw_course(axes[0], answer)
    if sound:
        levels, step = np.array(answer["loudness"]["decibels"]), answer["loudness"]["step"]
        group = max(1, len(levels) // 800)  # an hour would be a black bar
        levels = levels[: len(levels) // group * group].reshape(-1, group).max(axis=1)
        times = answer["loudness"]["start"] + (np.arange(len(levels)) + 0.5) * group * step
        axes[-1].fill_between(times, -70, np.maximum(levels, -70), color="#7a8793", linewidth=0)
        axes[-1].set(ylabel="loudness, dB", ylim=(-70, 0), yticks=(-60, -40, -20, 0))
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25)
    axes[0].set_title(_whose_course(answer), fontsize=11, loc="left", parse_math=False)
    axes[-1].set(xlabel="seconds", xlim=(answer["start"], answer["end"] if answer["end"] > answer["start"] else 1))


def _whose_course(answer):
    """What the lines over time are, in a title."""
    lines = []
    if visual := list(answer["by_frame"]["models"]):
        lines.append(f"each frame by {_and(visual)}" + ", their mean" * (len(visual) > 1))
    if answer["spread"]:
        lines.append(f"each of the {len(answer['windows'])} windows by {_and(answer['models'])} (bars)")
    return "Over the clip's time" + (": " + "; ".join(lines) if lines else "")


def _and(names):
    """ "a", "a and b", "a, b and c"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _draw_course(ax, answer):
    of_names = colours(names_in(answer["fused"]))
    times, none = np.array(answer["by_frame"]["times"]), np.empty((len(of_names), 0))
    lines = none
    if len(times):
        lines = np.mean([_values(answers) for answers in answer["by_frame"]["models"].values()], axis=0)  # [k, n]
    several = bool(answer["spread"])
    bars = np.array([_values(window["fused"]) for window in answer["windows"]]).T if several else none
    for line, bar, colour in zip(lines, bars, of_names.values(), strict=True):
        style = {"color": colour, "linewidth": 0.6 if several else 1.4, "alpha": 0.4 if several else 1.0}
        ax.plot(times, line, ".-" if 0 < len(times) < 30 else "-", **style)
        for window, level in zip(answer["windows"], bar, strict=False):
            ax.hlines(level, window["start"], window["end"], color=colour, linewidth=2.2)
    if several and len(answer["windows"]) <= 30:
        for window in answer["windows"][1:]:
            ax.axvline(window["start"], color=GREY, linewidth=0.8, linestyle=":")
    drawn = np.concatenate([lines, bars], axis=1)
    low, high = drawn.min(), drawn.max()
    room = max(0.03, (0.15 - (high - low)) / 2)
    low, high = max(low - room, 0), min(high + room, 1)
    ax.set(ylabel="score", ylim=(low, high))
    shown = bars if several else lines
    _name_lines(ax, of_names, shown[:, -1], low, high)
    _draw_whole_scale(ax, of_names, (low, high), shown.mean(axis=1))


def _name_lines(ax, of_names, ends, low, high):
    """The targets' names, {name: colour}, beside the lines' ends, moved apart."""
    heights, below, apart = {}, np.inf, (high - low) * min(0.085, 1 / len(ends))
    for row in np.argsort(-ends):
        heights[row] = below = min(ends[row], below - apart)
    up = max(0.0, low - below)
    look = {"fontsize": 9, "va": "center", "transform": ax.get_yaxis_transform()}
    for row, (name, colour) in enumerate(of_names.items()):
        ax.text(1.01, heights[row] + up, in_words(name), color=colour, **look)


def _draw_whole_scale(ax, of_names, zoom, means):
    """A narrow axis of the whole scale, 0 to 1: which part of it `ax` shows, and where the `means` of its lines lie."""
    whole = ax.inset_axes((1.19, 0, 0.035, 1))
    whole.axhspan(*zoom, color="#e8e8e8", linewidth=0)
    whole.hlines(means, 0, 1, colors=list(of_names.values()), linewidth=1.6)
    whole.set(xlim=(0, 1), ylim=(0, 1), xticks=(), yticks=(0, 0.5, 1))
    whole.tick_params(labelsize=7)
    whole.set_title("0 to 1", fontsize=7.5, color=GREY_TEXT)
