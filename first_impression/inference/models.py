"""Trained models ready to answer, and the labels that their answers are ranked among."""

from dataclasses import dataclass

import numpy as np

from first_impression.common.tensorflow_start import load_tensorflow
from first_impression.data.chalearn import FRAME_SIZE
from first_impression.inference import evidence
from first_impression.training.runs import Run

BATCH_SIZE = 25  # frames at a time


@dataclass
class Model:
    """The model of a trained run, or the mean of several epochs of it."""

    run: Run
    infer: object  # maps inputs [n, ...] to the traits, a tensor [n, 5]

    @property
    def name(self):
        return self.run.name

    @property
    def kind(self):
        """What it takes: "image" or "audio"."""
        return self.run.kind

    @property
    def no_evidence(self):
        """Why there are no evidence maps for it; "" where there are."""
        if len(self.run.networks) > 1:
            return "since it is the mean of several epochs"
        return "" if evidence.described(self.run.networks[0]) else "since it is not a DAN"

    @property
    def caution(self):
        """What speaks against it: a visual model's first weights, if they are no published ones, and its scores."""
        start = [f"did not start from published weights: {self.run.start['words']}"]
        found = start * (self.run.start["published"] is False) + self.run.verdicts
        return f"{self.name} {'; it '.join(found)}" if found else ""

    def explain(self, image, time, faces):
        """The `evidence.Evidence` of one picture, uint8 [1, size, size, 3]; for a model that has evidence maps."""
        return evidence.explain(self.run.networks[0], image, time, faces)


@dataclass
class Ensemble:
    """The models that answer together, and the labels that they were trained on."""

    models: list  # of `Model`
    training_clips: int = 0  # 0: not known
    quantiles: np.ndarray | None = None  # of the training labels, float64 [`manifest.QUANTILES`, 5]

    def below(self, values):
        """The share of the training clips whose labels are below `values` [n]: per cent, float64 [n, 5].

        Computed from the quantiles, exact to 1 %, so that a published model answers as the run itself does.
        """
        shares = np.linspace(0, 100, len(self.quantiles))
        return np.stack([np.interp(values, labels, shares, left=0, right=100) for labels in self.quantiles.T], axis=1)


def load(runs):
    """The `Ensemble` of trained runs, a list of `Run`, ready to answer. Takes seconds.

    The training labels are those of the first run that knows them: runs that are asked together are expected to have
    seen the same clips. Raises `UserError` as `Run.networks` does.
    """
    load_tensorflow()
    import tensorflow as tf

    models = [Model(run, tf.function(run.network, reduce_retracing=True)) for run in runs]
    for run in runs:
        run.networks  # noqa: B018, loaded here: not while they are traced
    for run in runs:
        if run.training_clips:
            return Ensemble(models, run.training_clips, run.quantiles)
    return Ensemble(models)


def warm_up(models, counts):
    """Have the visual models answer once with as many frames as a window of each of the `counts` has.

    Their first answer takes seconds longer than those that follow.
    """
    batches = {size for count in counts for size in (min(count, BATCH_SIZE), count % BATCH_SIZE) if size}
    for model in models:
        for size in batches if model.kind == "image" else ():
            model.infer(np.zeros((size, FRAME_SIZE, FRAME_SIZE, 3), np.uint8))
