"""A model's predictions for all records of a split."""

import numpy as np
import tensorflow as tf

from first_impression import records
from first_impression.jobs import progress


def predict(model, contents, batch_size, unit, title):
    """Run `model` over every record of `contents`, in their order, each once, under a bar with `title`.

    Returns clip names [n] (str, "" in records without), predictions [n, 5] and labels [n, 5], float32 in [0, 1].
    """
    infer = tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True)
    clips, predicted, true = [], [], []
    with progress(contents.records, title, unit) as bar:
        for inputs, labels, names in records.watched(records.batches(contents, batch_size), contents):
            predicted.append(infer(inputs).numpy())
            true.append(labels.numpy())
            clips += [name.decode(errors="replace") for name in names.numpy()]
            bar.update(len(predicted[-1]))
    return np.array(clips), np.concatenate(predicted), np.concatenate(true)
