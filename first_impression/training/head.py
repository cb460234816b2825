"""The dense layer of a network fitted in closed form, on what the rest of the network, left as it is, gives.

A clip's logits are linear in its descriptors x, the mean over its frames: x W + b. Ridge regression finds them from the
logits y of the labels of n training clips (Hoerl and Kennard 1970; the bias b is not penalised), as the minimum of

    sum |x W + b - y|^2 / n  +  strength * v * |W|^2          v: the mean of |x - their mean|^2

With v a strength means the same for any descriptors, however many or large they are. It is the one of STRENGTHS with
the highest accuracy in cross-validation by source, of the clips' answers: the mean of the sigmoid over their frames.
The largest leaves little but the mean label.
"""

from typing import NamedTuple

import numpy as np

from first_impression.data import record_reader
from first_impression.evaluation import folds, metrics
from first_impression.training import descriptors

STRENGTHS = tuple(float(f"{10 ** (step / 2):.3g}") for step in range(-8, 5))  # 0.0001 to 100, in half powers of ten
FOLDS = 10  # that choose the strength; fewer where there are fewer sources
COLUMNS = 4096  # of the descriptors, multiplied at a time
LEAST = 1e-10  # a direction in which descriptors vary less than by this share of the most has no coordinate


class Head(NamedTuple):
    """The dense layer: the answers to descriptors x [n, d] are sigmoid(x kernel + bias)."""

    kernel: np.ndarray  # [d, targets]
    bias: np.ndarray  # [targets]

    def answer(self, descriptors):
        """The answers [n, targets] to descriptors [n, d]."""
        return 1 / (1 + np.exp(-(descriptors @ self.kernel + self.bias)))


def fit(inputs, names, labels, sources=None, seed=0):
    """(the `Head` fitted to all clips, float32; how its strength was chosen: a dict for JSON).

    `inputs` are the descriptors of records, float32 [n, d], `names` the clips of these [n], `labels` {clip: [targets]},
    and `sources` as in `folds.deal`. Raises `UserError` where all clips are of one source.
    """
    clips, means, member = clip_means(names, inputs)
    true = np.array([labels[clip] for clip in clips], np.float64)
    targets, points, kernel_of = logits(true), *coordinates(means)
    count = max(2, min(FOLDS, len(set(metrics.sources_of(clips, sources)))))
    fold_of = folds.deal(clips, count, sources, seed)
    fold = np.array([fold_of[clip] for clip in clips])
    accuracies = np.zeros((count, len(STRENGTHS)))
    for left_out in range(count):
        heads = ridge(points[fold != left_out], targets[fold != left_out], STRENGTHS)
        outside = fold == left_out
        if len(clips) == len(names):
            answers = [head.answer(points[outside]) for head in heads]
        else:
            records = outside[member]
            of_frames = inputs[records] - means.mean(axis=0)
            answers = [Head(kernel_of(head.kernel), head.bias).answer(of_frames) for head in heads]
            answers = [metrics.by_clip(member[records], answer) for answer in answers]
            answers = [mean[np.argsort(rows)] for rows, mean in answers]
        accuracies[left_out] = [metrics.accuracy(answer, true[outside]).mean() for answer in answers]
    accuracies = np.bincount(fold) @ accuracies / len(clips)
    best = int(accuracies.argmax())
    (head,) = ridge(points, targets, STRENGTHS[best : best + 1])
    kernel = kernel_of(head.kernel)
    bias = head.bias - means.mean(axis=0, dtype=np.float64) @ kernel
    points_of_curve = zip(STRENGTHS, accuracies.tolist(), strict=True)
    curve = [{"strength": strength, "accuracy": accuracy} for strength, accuracy in points_of_curve]
    return Head(np.float32(kernel), np.float32(bias)), {"strength": STRENGTHS[best], "folds": count, "curve": curve}


def fit_model(devices, model, records, sources, seed):
    """Fit the dense layer of `model` to a `RecordSet`: (its mean squared error there, how it was chosen, for JSON).

    Raises `UserError` as `fit` and `descriptors.compute` do.
    """
    inputs = descriptors.compute(devices, model, records, "descriptors, training")
    names, true = record_reader.read_names(records)
    fitted, chosen = fit(inputs, names, records.labels, sources, seed)
    model.get_layer("traits").set_weights(fitted)
    print(f"ridge of strength {chosen['strength']}, chosen among {len(chosen['curve'])} by {chosen['folds']} folds")
    return float(np.square(fitted.answer(inputs) - true).mean()), chosen


def answers_of_model(devices, model, records, title):
    """What `model` answers to a `RecordSet`, float32 [n, targets], by their descriptors, which training has kept."""
    fitted = Head(*model.get_layer("traits").get_weights())
    return fitted.answer(descriptors.compute(devices, model, records, title))


def clip_means(names, descriptors):
    """(the clips, sorted; their mean descriptors [clips, d]; the number of the clip of each record, int [n])."""
    clips, first, member = np.unique(names, return_index=True, return_inverse=True)
    if len(clips) == len(names):
        return clips.tolist(), descriptors[first], member
    order = np.argsort(member, kind="stable")
    counts = np.bincount(member)
    sums = np.add.reduceat(descriptors[order], np.cumsum(counts) - counts, axis=0, dtype=np.float64)
    return clips.tolist(), sums / counts[:, None], member


def logits(labels):
    """The logits of `labels` [n, targets] in [0, 1]: float64 [n, targets].

    0 and 1 have none. They are moved half of the way to the target's next label, the least above 0 or the largest below
    1, or to 0.5 where that is nearer.
    """
    labels = np.asarray(labels, np.float64)
    inner = (labels > 0) & (labels < 1)
    low = np.where(inner, labels, 0.5).min(axis=0) / 2
    high = (1 + np.where(inner, labels, 0.5).max(axis=0)) / 2
    labels = np.clip(labels, low, high)
    return np.log(labels / (1 - labels))


def coordinates(rows):
    """(points float64 [n, k], a function from a kernel [k, ..] for them to that for `rows` less their mean [d, ..]).

    The points lie to each other as the `rows` [n, d] do, so that a ridge regression on some of them is that on the same
    rows. With n < d these are coordinates in the space that the rows span (the dual form): n * n numbers, not d * d.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    count, width = rows.shape
    if count >= width:
        return rows - mean, lambda kernel: kernel

    def centred():  # a block of columns at a time: float64 of all of them would be 4 GB for 6,000 sounds
        for start in range(0, width, COLUMNS):
            yield rows[:, start : start + COLUMNS] - mean[start : start + COLUMNS]

    squares, vectors = np.linalg.eigh(sum(block @ block.T for block in centred()))
    kept = squares > LEAST * squares[-1]
    vectors, lengths = vectors[:, kept], np.sqrt(squares[kept])
    weights = vectors / lengths

    def kernel_of(kernel):
        of_rows = weights @ kernel
        return np.concatenate([block.T @ of_rows for block in centred()])

    return vectors * lengths, kernel_of


def ridge(points, targets, strengths):
    """The `Head` of each of the `strengths`, for points [n, k] and the logits [n, targets] that they should give."""
    middle, mean = points.mean(axis=0), targets.mean(axis=0)
    centred = points - middle
    variances, vectors = np.linalg.eigh(centred.T @ centred / len(points))
    along = vectors.T @ (centred.T @ (targets - mean)) / len(points)
    heads = []
    for strength in strengths:
        kernel = vectors @ (along / (np.maximum(variances, 0) + strength * variances.sum())[:, None])
        heads.append(Head(kernel, mean - middle @ kernel))
    return heads
