"""What a step of training needs on however many devices: counting, summing, and the first step that is not finite."""

import contextlib

import tensorflow as tf

from first_impression.common.errors import UserError, name_some
from first_impression.data import batching, record_reader


class NonFiniteLoss(ArithmeticError):
    """The loss or the gradient was not finite; its argument is the number of the step in the epoch."""


class TrainingStep:
    """A train step on all replicas of the devices: `step(batch)`, with a batch as `Devices.batches` gives it.

    Each replica takes `train_step` on its part of a batch, with its share of decay and penalty. A call does not wait
    for the device: the losses are added up there, and `read_loss` is the only wait. Made in the strategy's scope.
    With `xla`, for a single replica, XLA compiles the whole step.
    """

    def __init__(self, devices, train_step, model, optimizer, loss_fn, weight_decay=0.0, reg_penalty=0.0, xla=False):
        self._strategy, replicas = devices.strategy, devices.strategy.num_replicas_in_sync
        self._train_step = lambda batch: train_step(
            model, optimizer, loss_fn, batch, weight_decay / replicas, reg_penalty / replicas
        )
        # int64 and float64: TensorFlow keeps int32 variables on the CPU, and each step would wait for the GPU
        once = {"trainable": False, "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}
        self._steps = tf.Variable(0, dtype=tf.int64, **once)  # of the epoch, as are the next two
        self._seen = tf.Variable(0.0, dtype=tf.float64, **once)  # records
        self._loss_sum = tf.Variable(0.0, dtype=tf.float64, **once)  # over these records
        self._first_nonfinite = tf.Variable(0, dtype=tf.int64, **once)  # the number of that step; 0: none
        self._on_all_devices = tf.function(self._run, reduce_retracing=True, jit_compile=xla or None)

    def start_epoch(self, steps=0, seen=0, loss_sum=0.0):
        """Begin an epoch, or resume one of which so many steps and records are done."""
        self._steps.assign(steps)
        self._seen.assign(seen)
        self._loss_sum.assign(loss_sum)

    def read_loss(self):
        """Wait for the device: (mean loss of the epoch's records so far, the sum of their losses).

        Raises `NonFiniteLoss` where the loss or the gradient of a step was not finite.
        """
        if step := int(self._first_nonfinite.numpy()):
            raise NonFiniteLoss(step)
        loss_sum = float(self._loss_sum.numpy())
        return loss_sum / max(float(self._seen.numpy()), 1.0), loss_sum

    def __call__(self, batch):
        self._on_all_devices(batch)

    def _run(self, batch):
        self._strategy.run(self._on_replica, batch)

    def _on_replica(self, inputs, labels, indices, weights):
        loss, gradients = self._train_step((inputs, labels, indices, weights))
        count = tf.reduce_sum(tf.cast(indices >= 0, tf.float32))
        parts = [loss, tf.linalg.global_norm(gradients), count]
        loss, norm, count = tf.distribute.get_replica_context().all_reduce("SUM", parts)
        self._steps.assign_add(1)
        self._loss_sum.assign_add(tf.cast(loss * count, tf.float64))
        self._seen.assign_add(tf.cast(count, tf.float64))
        first = self._first_nonfinite
        is_first = (first == 0) & ~tf.math.is_finite(loss + norm)
        first.assign(tf.where(is_first, self._steps, first))


@contextlib.contextmanager
def nonfinite_loss_as_user_error(record_set, order, title):
    """In the block a `NonFiniteLoss` becomes a `UserError` that names the clips of the step in the epoch's `order`."""
    try:
        yield
    except NonFiniteLoss as error:
        (step,) = error.args
        batch = next(iter(batching.batches(record_set, skip=step - 1, pad=False, **order)))
        names = name_some(set(record_reader.read_names(record_set)[0][batch[2].numpy()]))
        raise UserError(
            f"{title}, step {step}: loss or gradient is not finite, on {names or 'clips without names'}. What "
            "was saved before this step is sound: check these clips, or start again with a lower LEARNING_RATE"
        ) from None
