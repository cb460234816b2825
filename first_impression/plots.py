"""Pictures of results, drawn without a display."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402, after the choice of a backend without a screen

from first_impression.chalearn import TRAITS  # noqa: E402
from first_impression.files import whole_file  # noqa: E402


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
    figure.suptitle(title, fontsize="small", wrap=True)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    with whole_file(path) as growing:
        figure.savefig(growing, format="png", dpi=110)
    plt.close(figure)
