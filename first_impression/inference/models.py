"""Trained models ready to answer, and what their answers are ranked among."""

from dataclasses import dataclass, field, replace

import numpy as np

from first_impression.common.errors import UserError
from first_impression.common.tensorflow_start import load_tensorflow
from first_impression.data.chalearn import FRAME_SIZE
from first_impression.data.targets import FIVE, Targets
from first_impression.evaluation import fusion
from first_impression.inference import evidence
from first_impression.inference.pool import Pool
from first_impression.training import rankings
from first_impression.training.runs import Run

BATCH_SIZE = 25  # frames at a time


@dataclass
class Model:
    """The model of a trained run, or the mean of several epochs of it, asked about some of the run's targets."""

    run: Run
    infer: object  # maps inputs [n, ...] to these targets, a tensor [n, k]; to be asked by `ask`
    targets: Targets = FIVE

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

    def ask(self, inputs):
        """The answers to a batch of inputs: float32 [n, k]. Raises `UserError` where one is not finite."""
        values = self.infer(inputs).numpy()
        if not np.isfinite(values).all():
            raise UserError(f"{self.name} answers what is not finite: train it with a lower LEARNING_RATE")
        return values

    def explain(self, image, time, faces):
        """The `evidence.Evidence` of one picture, uint8 [1, size, size, 3]; for a model that has evidence maps."""
        at = self.run.targets.columns(self.targets.names)
        return evidence.explain(self.run.networks[0], image, time, faces, self.targets.names, at)


@dataclass
class Ensemble:
    """The models that answer together, the labels that they were trained on, and what answers are ranked among."""

    models: list  # of `Model`
    training_clips: int = 0  # 0: not known
    quantiles: np.ndarray | None = None  # of the training labels, float64 [`manifest.QUANTILES`, k]
    pool: Pool | None = None  # answers to one's own clips, to rank among these instead
    targets: Targets = FIVE  # that all models answer
    _rankings: dict = field(default_factory=dict)  # by the names of the models that have answered a clip

    def below(self, values):
        """The share of the training clips whose labels are below `values` [n]: per cent, float64 [n, k].

        Computed from the quantiles, exact to 1 %, so that a published model answers as the run itself does.
        """
        shares = np.linspace(0, 100, len(self.quantiles))
        return np.stack([np.interp(values, labels, shares, left=0, right=100) for labels in self.quantiles.T], axis=1)

    @property
    def ranks_among_labels(self):
        """Whether training labels are what answers are ranked among, for want of answers to unseen clips."""
        runs = [model.run for model in self.models]
        return bool(self.training_clips) and not (self.pool or rankings.among_answers(runs, self.targets.names))

    def ranking(self, names, clip):
        """What the answer of the models of these `names` to the file `clip` is ranked among: a `Ranking`, or None.

        It is the pool, if there is one; else the models' own mean answers to clips that they were not trained on; and
        where these are not known, the training labels.
        """
        if self.pool and (found := self.pool.ranking(names, clip)):
            return found
        key = frozenset(names)
        if key not in self._rankings:
            runs = [model.run for model in self.models if model.name in key]
            found = rankings.among_answers(runs, self.targets.names)
            self._rankings[key] = found or rankings.among_labels(runs, self.targets.names)
        return self._rankings[key]


def shared_targets(runs, hidden=()):
    """The targets that all of the runs answer, but for the `hidden` names: `Targets`. What is left out is printed.

    Raises `UserError` as `fusion.shared_targets` does, and where nothing is left.
    """
    shared = fusion.shared_targets({run.name: run.targets for run in runs})
    names = tuple(name for name in shared.names if name not in hidden)
    if not names:
        asked = ", ".join(run.name for run in runs)
        raise UserError(f"together, {asked} answer {', '.join(shared.names)} alone, which is not shown here")
    return replace(shared, names=names)


def load(runs, targets=None, pool=None):
    """The `Ensemble` of trained runs, a list of `Run`, ready to answer; with a `pool` to rank among. Takes seconds.

    Its `targets` are those that all of them answer, unless others of theirs are given. The training labels are those of
    the first run that knows them: runs that are asked together are expected to have seen the same clips. Raises
    `UserError` as `Run.networks` and `shared_targets` do.
    """
    targets = targets or shared_targets(runs)
    load_tensorflow()
    import tensorflow as tf

    models = [Model(run, tf.function(_asked(run, targets), reduce_retracing=True), targets) for run in runs]
    for run in runs:
        run.networks  # noqa: B018, loaded here: not while they are traced
    labels = rankings.among_labels(runs, targets.names)
    known = (labels.clips, labels.quantiles) if labels else (0, None)
    return Ensemble(models, *known, pool, targets)


def _asked(run, targets):
    """What maps inputs [n, ...] to the run's answers to these targets."""
    if run.targets.names == targets.names:
        return run.network
    import tensorflow as tf

    return lambda inputs: tf.gather(run.network(inputs), run.targets.columns(targets.names), axis=1)


def warm_up(models, counts):
    """Have the visual models answer once with as many frames as a window of each of the `counts` has.

    Their first answer takes seconds longer than those that follow.
    """
    batches = {size for count in counts for size in (min(count, BATCH_SIZE), count % BATCH_SIZE) if size}
    for model in models:
        for size in batches if model.kind == "image" else ():
            model.ask(np.zeros((size, FRAME_SIZE, FRAME_SIZE, 3), np.uint8))
