"""What a model trains and answers on: one device, all GPUs of a machine, or those of several machines.

All of them are one `tf.distribute` strategy, so that one loop does for any number of devices.
"""

import contextlib
import os

import numpy as np
import tensorflow as tf

from first_impression import Problem, records


def choose_strategy(deterministic=False):
    """The strategy for the devices that there are, told in a printed line.

    With TF_CONFIG in the environment those of all the machines that it names, else all GPUs of this one, else its CPU.
    `deterministic`: equal seeds give equal results on a GPU too, which is slower there; on a CPU they always do.
    To be called before TensorFlow does anything else. Raises `Problem` for a TF_CONFIG that it does not take.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if deterministic or not gpus:  # on a CPU it costs nothing
        tf.config.experimental.enable_op_determinism()
    if os.environ.get("TF_CONFIG"):
        try:
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
        except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, tf.errors.OpError) as error:
            raise Problem(f"TF_CONFIG = {os.environ['TF_CONFIG']}: no group of workers ({error})") from None
    else:
        devices = [device.name for device in tf.config.list_logical_devices("GPU" if gpus else "CPU")]
        one = len(devices) == 1
        strategy = tf.distribute.OneDeviceStrategy(devices[0]) if one else tf.distribute.MirroredStrategy(devices)
    # All workers have equally many batches: they need not ask each other before each one whether there is one
    strategy.extended.experimental_enable_get_next_as_optional = False
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
    device = f"GPU: {', '.join(names)}" if gpus else f"CPU ({os.cpu_count()} cores), since TensorFlow finds no GPU"
    others = f"; {strategy.num_replicas_in_sync} devices share the work" if strategy.num_replicas_in_sync > 1 else ""
    print(f"running on the {device}{others}", flush=True)
    return strategy


def position(strategy):
    """(number of this worker, number of workers): (0, 1) unless several processes train one model."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return 0, 1
    cluster = resolver.cluster_spec().as_dict()
    first = len(cluster.get("chief", [])) if resolver.task_type == "worker" else 0
    return first + resolver.task_id, sum(len(cluster.get(kind, [])) for kind in ("chief", "worker"))


@contextlib.contextmanager
def group(strategy):
    """In the block, a worker that is gone becomes a `Problem` of the others, which would wait for it for ever."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError):
        if position(strategy)[1] == 1:
            raise
        raise Problem("another worker has ended: start all of them again, to go on from the last checkpoint") from None


def batches(strategy, contents, batch_size, shuffle_seed=None, skip=0):
    """Iterate over `records.batches`, as values of every replica of this worker: the replicas split each batch.

    Raises `Problem` where the records turn out to be damaged.
    """
    share = records.Share(*position(strategy), strategy.num_replicas_in_sync)
    dataset = strategy.distribute_datasets_from_function(
        lambda context: records.batches(contents, batch_size, shuffle_seed, skip, share)
    )
    return records.watched(dataset, contents)


def add_up(strategy, values):
    """The sum of all workers' `values`, an array or a number; every worker gets it."""
    worker, workers = position(strategy)
    if workers == 1:
        return values
    here = strategy.num_replicas_in_sync // workers  # replicas of this worker: one of them brings the values in

    @tf.function
    def reduced():
        parts = strategy.run(lambda: tf.where(_replica() % here == 0, values, tf.zeros_like(values)))
        return strategy.reduce("SUM", parts, axis=None)

    return np.asarray(reduced())


def _replica():
    return tf.distribute.get_replica_context().replica_id_in_sync_group


def mixed_precision_pays():
    """Whether all GPUs calculate in bfloat16 (compute capability 8 and later); False where there is none."""
    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    capabilities = [found.get("compute_capability") or (0, 0) for found in details]
    return bool(capabilities) and min(capabilities) >= (8, 0)
