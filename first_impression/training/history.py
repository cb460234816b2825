"""The validation scores of an epoch, and its row in history.csv."""

from first_impression.evaluation import metrics

NAMES = {"frame": "by frame", "clip": "by clip", "constant": "constant guess"}  # of the scores, in tables


def score(clips, predicted, true, label_mean):
    """Accuracies {"frame": as the original counts, "clip": as the paper does, "constant": of a guess}, float [targets].

    Without "frame" where each clip is one record, as for sound, and without "clip" where the records do not name them.
    """
    scores = {} if len(set(clips)) == len(clips) > 1 else {"frame": metrics.accuracy(predicted, true)}
    if len(clips) and all(clips):
        (_, predicted), (_, true) = metrics.by_clip(clips, predicted), metrics.by_clip(clips, true)
        scores["clip"] = metrics.accuracy(predicted, true)
    scores["constant"] = metrics.accuracy(label_mean, true)
    return scores


def row(epoch, loss, scores, targets):
    """The row of an epoch in history.csv, a dict of numbers: of each score the mean, and that of each target."""
    values = {"epoch": epoch, "training_loss": loss}
    for by, accuracies in scores.items():
        values[f"{by}_mean"] = float(metrics.with_mean(accuracies, targets.names)[0])
        values |= {f"{by}_{name}": float(value) for name, value in zip(targets.names, accuracies, strict=True)}
    return values
