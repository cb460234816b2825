"""What a model trains and predicts on: one device, all GPUs of a machine, or those of several machines.

All of them are one `tf.distribute` strategy, so that one loop serves any number of devices.
"""

import contextlib
import functools
import os
from collections import deque

import numpy as np
import tensorflow as tf

from first_impression.common.errors import UserError
from first_impression.common.parallel import progress
from first_impression.data import batching, record_reader

PENDING = 4  # batches that may be in flight on the device while the next ones are prepared
STEPS_PER_VOTE = 10  # steps between the moments when workers ask each other whether one of them is to stop
GPU_INFERENCE_BATCH, CPU_INFERENCE_BATCH = 256, 25  # records at a time; a CPU gains nothing from more


class Devices:
    """The devices, found and printed when this is made, which must be before TensorFlow does anything else.

    With TF_CONFIG in the environment they are those of all the machines that it names, else all GPUs of this one, else
    its CPU. `deterministic`: equal seeds give equal results on a GPU too, at some cost in speed; on a CPU they always
    do, except with `xla`, which cannot compile the gradients of max pooling then. Raises `UserError` for a TF_CONFIG
    that TensorFlow refuses.
    """

    def __init__(self, deterministic=False, xla=False):
        gpus = tf.config.list_physical_devices("GPU")
        if deterministic or not (gpus or xla):  # on a CPU it costs nothing
            tf.config.experimental.enable_op_determinism()
        self.strategy = _strategy(gpus)
        # All workers have equally many batches: they need not ask each other before each one whether it is there
        self.strategy.extended.experimental_enable_get_next_as_optional = False
        self.worker, self.workers = _place_among_workers(self.strategy.cluster_resolver)
        self.replicas = self.strategy.num_replicas_in_sync
        self.on_gpu = bool(gpus)
        self.inference_batch = self.replicas * (GPU_INFERENCE_BATCH if gpus else CPU_INFERENCE_BATCH)
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        self._sum = tf.function(self._sum_over_replicas)
        self._votes = 0
        names = [detail.get("device_name", gpu.name) for detail, gpu in zip(details, gpus, strict=True)]
        device = f"GPU: {', '.join(names)}" if gpus else f"CPU ({os.cpu_count()} cores), since TensorFlow finds no GPU"
        shared = f"; {self.replicas} devices share the work" if self.replicas > 1 else ""
        print(f"running on the {device}{shared}", flush=True)

    @property
    def writes(self):
        """Whether this process writes the results: of several workers only the first does."""
        return self.worker == 0

    @contextlib.contextmanager
    def worker_failures(self):
        """In the block, the end of one worker becomes a `UserError` of the others, which would wait for it for ever."""
        try:
            yield
        except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError):
            if self.workers == 1:
                raise
            raise UserError(
                "another worker has ended: start all of them again, to go on from the last checkpoint"
            ) from None

    def batches(self, record_set, batch_size, **options):
        """Iterate over `batching.batches`; each batch is split among the replicas.

        Raises `UserError` where the records turn out to be damaged.
        """
        if self.on_gpu or self.replicas > 1:
            dataset = self.strategy.distribute_datasets_from_function(
                lambda context: batching.batches(record_set, batch_size, context=context, **options)
            )
        else:  # slower by 3 to 40 % when TensorFlow hands the batches to its one CPU
            dataset = batching.batches(record_set, batch_size, **options)
        return record_reader.translate_read_errors(dataset, record_set)

    def predict(self, model, record_set, unit, title, batch_size=0):
        """Run `model` over every record of `record_set`, each once, under a bar with `title`: float32 [n, k], by index.

        The replicas share the work, and every worker gets all predictions. A `batch_size` of 0 is the device's default.
        Raises `UserError` where a prediction is not finite.
        """
        batch_size = batch_size or self.inference_batch
        predicted = None
        with progress(record_set.size, title, unit) as bar:
            for indices, outputs in self.outputs(model, record_set, batch_size):
                if predicted is None:
                    predicted = np.zeros((record_set.size, outputs.shape[1]), np.float32)
                predicted[indices] = outputs
                bar.update(min(batch_size, record_set.size - bar.n))
        predicted = self.sum_over_workers(predicted)
        if not np.isfinite(predicted).all():
            raise UserError(f"{title}: the model's predictions are not finite: train it with a lower LEARNING_RATE")
        return predicted

    def outputs(self, model, record_set, batch_size, skip=0):
        """Run `model` over the batches from number `skip` on: yields (indices int64 [k], outputs [k, ..]).

        Each worker gets those of its own replicas. Several batches are on the device at a time.
        """
        pending, infer = deque(), self._inference(model)

        def collect():
            parts = zip(*map(self.strategy.experimental_local_results, pending.popleft()), strict=True)
            outputs, indices = zip(*((outputs.numpy(), indices.numpy()) for outputs, indices in parts), strict=True)
            indices = np.concatenate(indices)
            return indices[indices >= 0], np.concatenate(outputs)[indices >= 0]  # without what pads the last batch

        for inputs, _, indices, _ in self.batches(record_set, batch_size, skip=skip):
            pending.append((infer(inputs), indices))
            if len(pending) > PENDING:
                yield collect()
        while pending:
            yield collect()

    @functools.lru_cache(maxsize=1)  # noqa: B019, a training asks one model after each epoch, and has one `Devices`
    def _inference(self, model):
        """A function that runs `model` on all replicas, traced once for a shape of batches."""

        @tf.function(reduce_retracing=True)
        def infer(inputs):
            return self.strategy.run(lambda inputs: model(inputs, training=False), (inputs,))

        return infer

    def any_worker(self, flag):
        """Whether `flag` is true on any worker: one that stopped alone would leave the others waiting.

        All of them must call this once a step; they ask each other every tenth time only.
        """
        if self.workers == 1:
            return flag
        self._votes += 1
        return self._votes % STEPS_PER_VOTE == 0 and float(self.sum_over_workers(float(flag))) > 0

    def sum_over_workers(self, values):
        """The sum of all workers' `values`, an array or a number; every worker gets it."""
        if self.workers == 1:
            return values
        return np.asarray(self._sum(tf.convert_to_tensor(values)))

    def _sum_over_replicas(self, values):
        replicas_per_worker = self.replicas // self.workers

        def values_once():  # of a worker's replicas one has its values, the others zeros
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            return tf.where(replica % replicas_per_worker == 0, values, tf.zeros_like(values))

        return self.strategy.reduce("SUM", self.strategy.run(values_once), axis=None)


def _strategy(gpus):
    if os.environ.get("TF_CONFIG"):
        try:
            return tf.distribute.MultiWorkerMirroredStrategy()
        except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, tf.errors.OpError) as error:
            raise UserError(f"TF_CONFIG = {os.environ['TF_CONFIG']}: TensorFlow refuses it ({error})") from None
    names = [device.name for device in tf.config.list_logical_devices("GPU" if gpus else "CPU")]
    return tf.distribute.OneDeviceStrategy(names[0]) if len(names) == 1 else tf.distribute.MirroredStrategy(names)


def _place_among_workers(resolver):
    """(number of this worker, number of workers): (0, 1) unless several processes train one model."""
    if resolver is None or not resolver.task_type:
        return 0, 1
    cluster = resolver.cluster_spec().as_dict()
    first = len(cluster.get("chief", [])) if resolver.task_type == "worker" else 0
    return first + resolver.task_id, sum(len(cluster.get(kind, [])) for kind in ("chief", "worker"))
