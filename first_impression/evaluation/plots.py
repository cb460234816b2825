"""Pictures of results as PNG, drawn without a display."""

import io

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402, after the choice of a backend without a screen

from first_impression.common.files import whole_file  # noqa: E402
from first_impression.data.targets import FIVE  # noqa: E402
from first_impression.evaluation.baselines import CONSTANT, LOOKUP  # noqa: E402
from first_impression.evaluation.calibration import bins, line  # noqa: E402
from first_impression.evaluation.comparison import ALL, UNSEEN  # noqa: E402
from first_impression.evaluation.display import colours, in_words, shown  # noqa: E402
from first_impression.evaluation.metrics import MEAN, all_scores, averaged, terms  # noqa: E402

MOST_CURVES = 12  # beside their mean
MOST_PANELS = 6  # in a row
MOST_LETTERS = 20  # of a name beside a number above a panel


def draw_curves(path, losses, history, title, targets=FIVE):
    """Write a picture of the training loss over steps beside the validation accuracy over epochs.

    `losses` is a list of (step, mean loss of the epoch so far), `history` a list of dicts as in history.csv. More than
    `MOST_CURVES` targets show their mean alone.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.8), layout="constrained")
    left.plot(*zip(*losses, strict=True), linewidth=1)
    left.set(xlabel="step", ylabel="mean of the epoch so far", title="Training loss")
    left.set_ylim(bottom=0)
    by = "clip" if "clip_mean" in history[-1] else "frame"
    epochs = [row["epoch"] for row in history]
    names = targets.names
    for name, colour in colours(names).items() if len(names) <= MOST_CURVES else ():
        values = [row[f"{by}_{name}"] for row in history]
        right.plot(epochs, values, ".-", color=colour, linewidth=1, label=in_words(name))
    mean = "mean of the five" if averaged(names) == FIVE.names else "mean"
    right.plot(epochs, [row[f"{by}_{MEAN}"] for row in history], "o-k", linewidth=2, label=mean)
    right.axhline(history[-1]["constant_mean"], color="grey", linestyle="--", label="constant guess, mean")
    right.set(xlabel="epoch", ylabel="mean accuracy (1 - mean absolute error)", title=f"Validation, by {by}")
    right.set_xticks(epochs if len(epochs) <= 20 else epochs[:: len(epochs) // 10])
    right.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    for axes in (left, right):
        axes.grid(alpha=0.3)
    with whole_file(path) as tmp:
        tmp.write_bytes(_png(figure, title))


def scatter(predicted, true, targets, title):
    """A PNG, as bytes: predicted against true, a panel per target with its CCC. Both [clips, k] in [0, 1]."""
    agreement = all_scores(predicted, true)["CCC"]
    figure, panels = _panels(targets.names, 3.6, "predicted")
    for name, (axes, column, colour) in panels.items():
        axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
        look = {"s": max(2, 40 / len(true) ** 0.3), "alpha": 0.5, "linewidths": 0, "color": colour}
        axes.scatter(true[:, column], predicted[:, column], **look)
        what = _heading(name, f"CCC {agreement[column]:.4f}")
        axes.set(title=what, xlabel="true", xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes.grid(alpha=0.3)
    return _png(figure, title)


def errors(predicted, true, targets, title):
    """A PNG, as bytes: how often which error occurs, a panel per target. Both [clips, k] in [0, 1]."""
    difference = predicted - true
    reach = max(0.05, float(np.abs(difference).max()))
    figure, panels = _panels(targets.names, 3.2, "clips")
    for name, (axes, column, colour) in panels.items():
        mean = difference[:, column].mean()
        axes.hist(difference[:, column], bins=np.linspace(-reach, reach, 31), color=colour)
        axes.axvline(0, color="grey", linewidth=1)
        axes.axvline(mean, color="black", linestyle="--", linewidth=1)
        unit = f"\n{mean * (targets.high - targets.low):+.2f} on its scale" if targets.has_own_scale else ""
        axes.set(title=_heading(name, f"mean {mean:+.4f}{unit}"), xlabel="predicted - true")
    return _png(figure, title)


def calibration(predicted, true, targets, sources, title):
    """A PNG, as bytes: mean labels of clips in bins by their answer, a panel per target. Both [clips, k] in [0, 1]."""
    lines = line(terms(predicted, true).mean(axis=0), true.mean(axis=0))
    figure, panels = _panels(targets.names, 3.6, "mean true, with 95 %")
    for name, (axes, column, colour) in panels.items():
        answers, labels, low, high = bins(predicted[:, column], true[:, column], sources)
        slope, intercept = lines["slope"][column], lines["intercept"][column]
        ends = np.array([predicted[:, column].min(), predicted[:, column].max()])
        axes.axline((0.5, 0.5), slope=1, color="grey", linewidth=1)
        axes.plot(ends, intercept + slope * ends, color="black", linestyle="--", linewidth=1)
        if np.isfinite(low).all():
            axes.vlines(answers, low, high, color=colour, linewidth=2, alpha=0.5)
        axes.plot(answers, labels, "o", color=colour, markersize=4)
        axes.set(title=_heading(name, f"slope {slope:.2f}"), xlabel="predicted", aspect="equal")
        axes.grid(alpha=0.3)
    return _png(figure, title)


def _heading(name, number):
    """A panel's title, in two lines where one is too long for it."""
    words = in_words(name)
    return f"{words}{', ' if len(words) < MOST_LETTERS else chr(10)}{number}"


def _panels(names, height, ylabel):
    """(a figure, {name: (axes, its column in arrays, colour)}): a panel per target, up to `MOST_PANELS` in a row.

    The `ylabel` stands beside the first one.
    """
    across = min(len(names), MOST_PANELS)
    down = -(-len(names) // across)
    size = (max(3 * across, 6), height * down)
    figure, grid = plt.subplots(
        down, across, figsize=size, layout="constrained", sharex=True, sharey=True, squeeze=False
    )
    grid[0, 0].set_ylabel(ylabel)
    for spare in grid.flat[len(names) :]:
        spare.set_axis_off()
    of_names = colours(names)
    panels = {
        name: (axes, names.index(name), of_names[name]) for name, axes in zip(shown(names), grid.flat, strict=False)
    }
    return figure, panels


def side_by_side(models, title):
    """A PNG, as bytes: the models' mean accuracies with intervals and baselines. `models`: as in docs/scores.md."""
    figure, axes = plt.subplots(figsize=(8, 1.6 + 0.7 * len(models)), layout="constrained")
    for group, offset, colour in ((ALL, -0.15, "C0"), (UNSEEN, 0.15, "C1")):
        scored = {name: model["groups"][group] for name, model in models.items() if group in model["groups"]}
        for name, scores in scored.items():
            mean, row = scores["scores"]["accuracy"]["mean"], list(models).index(name) + offset
            axes.plot([mean["low"], mean["high"]], [row, row], color=colour, linewidth=3, alpha=0.4)
            axes.plot(mean["value"], row, "o", color=colour, label=group if name == next(iter(scored)) else None)
            text = f"{mean['value']:.4f}"
            place = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center", "fontsize": "small"}
            axes.annotate(text, (mean["value"], row), **place)
        for baseline, style in ((CONSTANT, ":"), (LOOKUP, "--")):
            known = [scores["baselines"][baseline] for scores in scored.values() if scores["baselines"]]
            if known:
                at = known[0]["scores"]["accuracy"]["mean"]["value"]
                axes.axvline(at, color=colour, linestyle=style, linewidth=1, label=f"{baseline}, {group}")
        ceilings = [scores["ceiling"]["scores"]["accuracy"]["mean"] for scores in scored.values() if scores["ceiling"]]
        if ceilings:
            axes.axvline(ceilings[0]["value"], color=colour, linestyle="-.", linewidth=1, label=f"ceiling, {group}")
    names = [name if len(name) <= 50 else f"..{name[-48:]}" for name in models]  # of a path, its end
    axes.set_yticks(range(len(models)), names, parse_math=False)
    axes.set(xlabel="mean accuracy by clip, with 95 % of the resamples", ylim=(len(models) - 0.4, -0.6))
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    axes.grid(alpha=0.3, axis="x")
    return _png(figure, title)


def _png(figure, title):
    figure.suptitle(title, fontsize="small", wrap=True, parse_math=False)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=110)
    plt.close(figure)
    return png.getvalue()
