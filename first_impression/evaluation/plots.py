"""Pictures of results, drawn without a display."""

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402, after the choice of a backend without a screen

from first_impression.common.files import whole_file  # noqa: E402
from first_impression.data.chalearn import TRAITS  # noqa: E402
from first_impression.evaluation.metrics import concordance  # noqa: E402


def draw_curves(path, losses, history, title):
    """Training loss over steps beside validation accuracy over epochs.

    `losses` is a list of (step, mean loss of the epoch so far), `history` a list of dicts as in history.csv.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.8), layout="constrained")
    left.plot(*zip(*losses, strict=True), linewidth=1)
    left.set(xlabel="step", ylabel="mean of the epoch so far", title="Training loss")
    left.set_ylim(bottom=0)
    by = "clip" if "clip_mean" in history[-1] else "frame"
    epochs = [row["epoch"] for row in history]
    for trait in TRAITS:
        right.plot(epochs, [row[f"{by}_{trait}"] for row in history], ".-", linewidth=1, label=trait)
    right.plot(epochs, [row[f"{by}_mean"] for row in history], "o-k", linewidth=2, label="mean of the five")
    right.axhline(history[-1]["constant_mean"], color="grey", linestyle="--", label="constant guess, mean")
    right.set(xlabel="epoch", ylabel="mean accuracy (1 - mean absolute error)", title=f"Validation, by {by}")
    right.set_xticks(epochs if len(epochs) <= 20 else epochs[:: len(epochs) // 10])
    right.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    for axes in (left, right):
        axes.grid(alpha=0.3)
    _finish(figure, path, title)


def draw_scatter(path, predicted, true, title):
    """Predicted against true, a panel per trait with its CCC. Both [clips, 5] in [0, 1]."""
    figure, panels = plt.subplots(1, len(TRAITS), figsize=(15, 3.6), layout="constrained", sharex=True, sharey=True)
    agreement = concordance(predicted, true)
    for column, (axes, trait) in enumerate(zip(panels, TRAITS, strict=True)):
        axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
        axes.scatter(true[:, column], predicted[:, column], s=max(2, 40 / len(true) ** 0.3), alpha=0.5, linewidths=0)
        axes.set(title=f"{trait}, CCC {agreement[column]:.4f}", xlabel="true", xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("predicted")
    _finish(figure, path, title)


def draw_errors(path, predicted, true, title):
    """How often which error occurs, a panel per trait. Both [clips, 5] in [0, 1]."""
    errors = predicted - true
    reach = max(0.05, float(np.abs(errors).max()))
    figure, panels = plt.subplots(1, len(TRAITS), figsize=(15, 3.2), layout="constrained", sharex=True, sharey=True)
    for column, (axes, trait) in enumerate(zip(panels, TRAITS, strict=True)):
        axes.hist(errors[:, column], bins=np.linspace(-reach, reach, 31))
        axes.axvline(0, color="grey", linewidth=1)
        axes.axvline(errors[:, column].mean(), color="black", linestyle="--", linewidth=1)
        axes.set(title=f"{trait}, mean {errors[:, column].mean():+.4f}", xlabel="predicted - true")
    panels[0].set_ylabel("clips")
    _finish(figure, path, title)


def draw_models(path, report):
    """Mean accuracy of the models side by side, with intervals and floors. `report`: as evaluate.py saves it."""
    figure, axes = plt.subplots(figsize=(8, 1.6 + 0.7 * len(report["models"])), layout="constrained")
    for group, offset, colour in (("all clips", -0.15, "C0"), ("clips of unseen sources", 0.15, "C1")):
        scored = {name: groups[group] for name, groups in report["models"].items() if group in groups}
        for name, scores in scored.items():
            mean, row = scores["accuracy"]["mean"], list(report["models"]).index(name) + offset
            axes.plot(scores["interval"], [row, row], color=colour, linewidth=3, alpha=0.4)
            axes.plot(mean, row, "o", color=colour, label=group if name == next(iter(scored)) else None)
            axes.annotate(f"{mean:.4f}", (mean, row), (0, 5), textcoords="offset points", ha="center", fontsize="small")
        for floor, style in (("constant guess", ":"), ("same-source lookup", "--")):
            values = [scores[floor]["mean"] for scores in scored.values() if floor in scores]
            if values:
                axes.axvline(values[0], color=colour, linestyle=style, linewidth=1, label=f"{floor}, {group}")
    axes.set_yticks(range(len(report["models"])), list(report["models"]), parse_math=False)
    axes.set(xlabel="mean accuracy by clip, with 95 % of resamples", ylim=(len(report["models"]) - 0.4, -0.6))
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    axes.grid(alpha=0.3, axis="x")
    _finish(figure, path, f"Models side by side, {report['split']}")


def _finish(figure, path, title):
    figure.suptitle(title, fontsize="small", wrap=True, parse_math=False)
    with whole_file(path) as tmp:
        figure.savefig(tmp, format="png", dpi=110)
    plt.close(figure)
