"""One picture per clip: frames, the five traits among the training clips, the traits over time, the sound."""

import textwrap
import warnings

import numpy as np

from first_impression.common.files import whole_file
from first_impression.data.sound import LOUDNESS_STEP
from first_impression.evaluation.plots import plt
from first_impression.evaluation.traits import COLOURS, ROWS, SHOWN
from first_impression.inference import evidence
from first_impression.inference.answers import read_images
from first_impression.inference.tables import percent

STRIP = 7  # frames on top; an odd number, so that the middle frame is one of them
GREY = "#c9c9c9"
MARKERS = "osD^v<>P"
WIDTH = 12.0  # inches
FOOTER = (
    "Apparent traits: strangers' first impressions of this clip, as a model guesses them. No measure of the person, "
    "and no basis for decisions about people.",
    "A high “neuroticism” means emotionally stable, as in the dataset.",
)


def strip_indices(count):
    """Which of a clip's `count` frames the picture shows: sorted, the middle one among them."""
    return np.unique(np.linspace(0, count - 1, STRIP).round().astype(int)).tolist()


def draw(path, title, clip, answer, models, with_evidence=False):
    """Write the picture of one clip as PNG: its frames, its answer, with the evidence maps if asked for.

    `clip` is a `DecodedClip`, `answer` the `Answer` of these `Models` to it.
    """
    shown = strip_indices(len(clip.frames)) if clip.frames else []
    frames = [(index, read_images([clip.frames[index]])[0]) for index in shown]
    maps = {}
    if with_evidence and frames:
        middle = frames[len(frames) // 2][1][None]
        for model in models:
            if not model.no_evidence:
                maps[model.name] = evidence.combined(evidence.evidence_maps(model.network, middle)[0])[0]
    cautions = [model.caution for model in models if model.caution and model.name in answer.scores] + answer.warnings
    visual = [values for _, values in answer.over_time.values() if len(values) == answer.frames and answer.frames]
    by_frame = np.mean(visual, axis=0) if visual else None
    draw_report(path, title, clip, answer, by_frame, models.labels, frames, maps, cautions)


def draw_report(path, title, clip, answer, by_frame, labels, frames, maps, cautions):
    """Write the picture of what is given.

    `clip`      has `times` (seconds, [n]), `aspect` (width / height), `loudness` (dB, [m])
    `answer`    has `fused` [5], `scores` {model: [5]}, `percentile` [5] or None
    `by_frame`  the visual models' mean, [n, 5], or None
    `labels`    of the training clips, [clips, 5]; may have no rows
    `frames`    [(index, RGB picture)] for the strip; empty without pictures
    `maps`      {model: [h, w, 5]}, shares of the logits by place, over the strip's middle frame
    `cautions`  lines to print in red at the bottom
    """
    foot = [line for text in cautions for line in textwrap.wrap(text, 175)]
    timeline, sound = by_frame is not None, len(clip.loudness) > 0
    rows = [(0.5, _draw_title, [title])]  # height in inches, what draws it, with what
    if frames:
        rows.append((min(WIDTH / STRIP / clip.aspect, 2.4) + 0.35, _draw_strip, [clip, frames]))
    for model, shares in maps.items():
        middle = frames[len(frames) // 2]
        rows.append((min(WIDTH / 6 / clip.aspect, 2.4) + 0.75, _draw_evidence, [model, shares, middle, clip]))
    rows.append((4.2, _draw_traits, [answer, labels]))
    if timeline or sound:
        rows.append((3.1 * timeline + 1.5 * sound + 0.8, _draw_time, [clip, by_frame, sound]))
    rows.append((0.55 + 0.2 * len(foot), _draw_foot, [foot]))
    heights = [height for height, _, _ in rows]
    figure = plt.figure(figsize=(WIDTH, sum(heights)))
    areas = figure.subfigures(len(rows), 1, height_ratios=heights, hspace=0)
    for area, (height, draw_row, values) in zip(areas, rows, strict=True):
        draw_row(area, height, *values)
    with whole_file(path) as tmp, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a title in letters that the font lacks
        figure.savefig(tmp, format="png", dpi=110)
    plt.close(figure)


def _draw_title(area, height, title):
    area.text(0.02, 0.45, title, fontsize=14, weight="bold", va="center", parse_math=False)


def _draw_foot(area, height, cautions):
    lines = [(line, "#555555") for line in FOOTER] + [(line, "#b00020") for line in cautions]
    for number, (line, colour) in enumerate(lines, 1):
        area.text(0.02, 1 - 0.2 * number / height, line, fontsize=8.5, color=colour, parse_math=False)


def _draw_strip(area, height, clip, frames):
    sides = {"left": 0.02, "right": 0.98, "wspace": 0.04, "top": 1, "bottom": 0.3 / height}
    for ax in (axes := area.subplots(1, STRIP, gridspec_kw=sides)):
        ax.axis("off")
    for ax, (index, picture) in zip(axes, frames, strict=False):
        _show(ax, picture, clip.aspect)
        ax.set_title(f"{clip.times[index]:.1f} s", fontsize=8.5, color="#555555", y=0, va="top", pad=-3)


def _show(ax, picture, aspect, **options):
    """Draw an image as wide by high as the player shows it, whatever its own grid."""
    return ax.imshow(picture, extent=(0, aspect, 0, 1), aspect="equal", **options)


def _draw_evidence(area, height, model, shares, middle, clip):
    """Per trait, over the middle frame in grey: red places raise the trait's logit, blue ones lower it."""
    index, picture = middle
    title = f"Evidence of {model} at {clip.times[index]:.1f} s: red places raise the trait, blue ones lower it"
    area.text(0.02, 1 - 0.1 / height, title, fontsize=11, va="top", parse_math=False)
    sides = {"left": 0.02, "right": 0.92, "wspace": 0.05, "top": 1 - 0.55 / height, "bottom": 0.15 / height}
    most = np.abs(shares).max() or 1.0
    grey = picture @ np.array([0.299, 0.587, 0.114])
    for trait, row, ax in zip(SHOWN, ROWS, area.subplots(1, len(SHOWN), gridspec_kw=sides), strict=True):
        place = shares[:, :, row]
        _show(ax, grey, clip.aspect, cmap="gray", vmin=-40, vmax=300)
        strength = 0.85 * (np.abs(place) / most) ** 0.6  # the picture shows through where little comes from
        drawn = _show(ax, place, clip.aspect, cmap="RdBu_r", vmin=-most, vmax=most, alpha=strength)
        ax.set_title(f"{trait} {place.sum():+.2f}", fontsize=9, color=COLOURS[trait])
        ax.axis("off")
    bar = area.colorbar(drawn, cax=area.add_axes((0.935, 0.15 / height, 0.01, 1 - 0.7 / height)))
    bar.ax.tick_params(labelsize=7)
    bar.set_label("share of the logit", fontsize=8)


def _draw_traits(area, height, answer, labels):
    """A bar per trait from 0 to its score, on the histogram of the training labels; a mark per model."""
    ax = area.subplots(gridspec_kw={"left": 0.15, "right": 0.72, "top": 0.9, "bottom": 0.11})
    for line, (row, colour) in enumerate(zip(ROWS, COLOURS.values(), strict=True)):
        base, score = -line, answer.fused[row]
        if len(labels):
            counts, edges = np.histogram(labels[:, row], bins=25, range=(0, 1))
            ax.stairs(base + 0.72 * counts / counts.max(), edges, baseline=base, fill=True, color=GREY)
        ax.barh(base - 0.07, score, 0.14, color=colour)
        ax.vlines(score, base - 0.14, base + 0.72, color=colour, linewidth=2)
        place = f"above {percent(answer.percentile[row])} of them" if answer.percentile is not None else ""
        ax.text(1.02, base + 0.15, f"{score:.4f}", fontsize=12, color=colour, weight="bold", va="center")
        ax.text(1.13, base + 0.15, place, fontsize=10, color="#555555", va="center")
    for model, marker in zip(answer.scores if len(answer.scores) > 1 else (), MARKERS, strict=False):
        ax.plot(
            answer.scores[model][list(ROWS)],
            -np.arange(5) + 0.3,
            marker,
            color="white",
            markeredgecolor="#222222",
            markersize=6,
            label=model,
        )
    if len(answer.scores) > 1:
        ax.legend(fontsize=8, loc="lower left", bbox_to_anchor=(1.0, 0.98), ncols=4, frameon=False, handletextpad=0.1)
    clips = f"on the labels of the {len(labels):,} training clips (grey)" if len(labels) else ""
    ax.set_title(f"The five traits {clips}".strip(), fontsize=11, loc="left")
    ax.set(xlim=(0, 1), ylim=(-4.25, 0.85), yticks=-np.arange(5) + 0.15, yticklabels=SHOWN)
    ax.tick_params(axis="y", length=0, labelsize=11)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.grid(axis="x", alpha=0.25)


def _draw_time(area, height, clip, by_frame, sound):
    """The visual models' mean per frame, and under it the loudness, on one axis of seconds."""
    timeline = by_frame is not None
    ratios = [3.1] * timeline + [1.5] * sound
    sides = {"left": 0.075, "right": 0.86, "top": 1 - 0.3 / height, "bottom": 0.55 / height, "hspace": 0.12}
    axes = area.subplots(len(ratios), sharex=True, squeeze=False, height_ratios=ratios, gridspec_kw=sides)[:, 0]
    end = len(clip.loudness) * LOUDNESS_STEP
    if timeline:
        end = max(end, clip.times[-1])
        _draw_frames(axes[0], clip.times, by_frame)
    if sound:
        group = max(1, len(clip.loudness) // 800)  # an hour would be a black bar
        levels = clip.loudness[: len(clip.loudness) // group * group].reshape(-1, group).max(axis=1)
        times = (np.arange(len(levels)) + 0.5) * group * LOUDNESS_STEP
        axes[-1].fill_between(times, -70, np.maximum(levels, -70), color="#7a8793", linewidth=0)
        axes[-1].set(ylabel="loudness, dB", ylim=(-70, 0), yticks=(-60, -40, -20, 0))
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25)
    axes[0].set_title("Over the clip's time" + ", frame by frame" * timeline, fontsize=11, loc="left")
    axes[-1].set(xlabel="seconds", xlim=(0, end or 1))


def _draw_frames(ax, times, by_frame):
    for row, colour in zip(ROWS, COLOURS.values(), strict=True):
        ax.plot(times, by_frame[:, row], ".-" if len(times) < 30 else "-", color=colour, linewidth=1.4)
    low, high = by_frame.min(), by_frame.max()
    room = max(0.03, (0.15 - (high - low)) / 2)
    low, high = low - room, high + room
    ends = by_frame[-1]
    heights, below = {}, np.inf
    for row in np.argsort(-ends):  # names beside the lines' ends, moved apart
        heights[row] = below = min(ends[row], below - (high - low) * 0.085)
    up = max(0.0, low - below)
    for row, (trait, colour) in zip(ROWS, COLOURS.items(), strict=True):
        ax.text(
            1.01, heights[row] + up, trait, color=colour, fontsize=9, va="center", transform=ax.get_yaxis_transform()
        )
    ax.set(ylabel="score", ylim=(max(low, 0), min(high, 1)))
