"""A model's predictions for all records of a split."""

from collections import deque

import numpy as np
import tensorflow as tf

from first_impression import devices
from first_impression.chalearn import TRAITS
from first_impression.jobs import progress

WAITING = 4  # batches that may be under way on the device while the next ones are prepared


def predict(strategy, model, contents, batch_size, unit, title):
    """Run `model` over every record of `contents`, each once, under a bar with `title`; float32 [n, 5], by row.

    The replicas of `strategy` share the work, and every worker gets all predictions.
    """
    predicted = np.zeros((contents.records, len(TRAITS)), np.float32)
    waiting = deque()

    @tf.function(reduce_retracing=True)
    def infer(inputs):
        return strategy.run(lambda inputs: model(inputs, training=False), (inputs,))

    def note():
        for answers, rows in zip(*map(strategy.experimental_local_results, waiting.popleft()), strict=True):
            real = rows.numpy() >= 0
            predicted[rows.numpy()[real]] = answers.numpy()[real]

    with progress(contents.records, title, unit) as bar:
        for inputs, _, rows in devices.batches(strategy, contents, batch_size):
            waiting.append((infer(inputs), rows))
            if len(waiting) > WAITING:
                note()
            bar.update(min(batch_size, contents.records - bar.n))
        while waiting:
            note()
    return devices.add_up(strategy, predicted)
