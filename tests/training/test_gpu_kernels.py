"""The training step on a GPU that is not here: no operation of it may fall back to the CPU and wait for the device.

TensorFlow registers its GPU kernels on every machine, so that the traced step can be compared with them.
"""

import functools

import pytest
import tensorflow as tf
from conftest import PROJECT
from tensorflow.python.framework import kernels

import train
from first_impression.common.settings import read_settings
from first_impression.training import optimizers
from first_impression.training.devices import Devices
from first_impression.training.step import TrainingStep
from model import build_audio, build_model, build_resnet

SIDE = 64  # pixels; the operations are those of 224
SOURCES = {"Placeholder", "Const", "NoOp"}  # no work of the device: captured variables, the batch, numbers


@functools.cache
def registered(kind):
    """The kernels of an operation of this type on a GPU."""
    found = kernels.get_registered_kernels_for_op(kind).kernel
    return [kernel for kernel in found if kernel.device_type in ("GPU", "DEFAULT")]


def gpu_kernel(op):
    """The GPU kernel of an operation in a traced graph; None if there is none."""
    fitting = (kernel for kernel in registered(op.type) if all(map(fits(op.node_def), kernel.constraint)))
    return next(fitting, None)


def fits(node):
    def allows(constraint):
        value, allowed = node.attr[constraint.name], set(constraint.allowed_values.list.type)
        return not allowed or ({value.type} if value.type else set(value.list.type)) <= allowed

    return allows


def on_cpu_only(traced):
    """The operations of a traced function for which there is no GPU kernel."""
    return {op.type for op in traced.graph.get_operations() if op.type not in SOURCES and gpu_kernel(op) is None}


def waits(traced):
    """The operations whose GPU kernel reads in the host's memory what another one computed on the device."""
    found = set()
    for op in traced.graph.get_operations():
        kernel = None if op.type in SOURCES else gpu_kernel(op)
        for tensor, argument in zip(op.inputs, arguments(op, op.op_def.input_arg, len(op.inputs)), strict=True):
            maker = gpu_kernel(tensor.op)
            if kernel is None or argument not in kernel.host_memory_arg or tensor.op.type in SOURCES or maker is None:
                continue
            outputs = arguments(tensor.op, tensor.op.op_def.output_arg, len(tensor.op.outputs))
            if outputs[tensor.value_index] not in maker.host_memory_arg:
                found.add(f"{tensor.op.type} -> {op.type}")
    return found


def arguments(op, definitions, count):
    """The name of the argument that each of an operation's `count` inputs or outputs belongs to."""
    names = []
    for definition in definitions:
        length = op.get_attr(definition.number_attr) if definition.number_attr else 1
        length = len(op.get_attr(definition.type_list_attr)) if definition.type_list_attr else length
        names += [definition.name] * length
    assert len(names) == count
    return names


@pytest.fixture(scope="module")
def devices():
    conv2d = kernels.get_registered_kernels_for_op("Conv2D").kernel
    if not any(kernel.device_type == "GPU" for kernel in conv2d):
        pytest.skip("this TensorFlow is built without GPU kernels")
    return Devices()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", "paper_dan", "paper_dan_plus", "paper_resnet", "paper_audio"])
def test_every_operation_of_the_step_has_a_gpu_kernel(devices, name):
    recipe = [str(PROJECT / "recipes" / f"{name}.py")] if name else []
    settings = read_settings(vars(train), recipe, recipes=True)
    with devices.strategy.scope():
        if settings.MODEL == "audio":
            model, inputs = build_audio(9.7, 3.0), tf.zeros((4, 79_534))
        else:
            model = build_resnet(SIDE) if settings.MODEL == "resnet" else build_model(settings.MODEL, SIDE)
            inputs = tf.zeros((4, SIDE, SIDE, 3), tf.uint8)
        optimizer = optimizers.make_optimizer(settings, model, steps_per_epoch=10)
        step = TrainingStep(
            devices, train.train_step, model, optimizer, train.LOSSES[settings.LOSS], settings.WEIGHT_DECAY, 0.1
        )
    batch = (inputs, tf.zeros((4, 5)), tf.range(4, dtype=tf.int64), tf.fill([4], 0.25))
    traced = step._on_all_devices.get_concrete_function(batch)
    assert len(traced.graph.get_operations()) > 50 and "PartitionedCall" not in str(traced.graph.as_graph_def().node)
    assert on_cpu_only(traced) == set()
    assert waits(traced) == set()
    assert not {variable.dtype.name for variable in traced.graph.variables} & types_kept_on_the_cpu()


def types_kept_on_the_cpu():
    """The types of which TensorFlow has no variables on a GPU."""
    found = kernels.get_registered_kernels_for_op("VarHandleOp").kernel
    gpu = [
        constraint for kernel in found if kernel.device_type in ("GPU", "DEFAULT") for constraint in kernel.constraint
    ]
    types = {value for constraint in gpu for value in constraint.allowed_values.list.type}
    return {dtype.name for dtype in (tf.int32, tf.int64, tf.float32, tf.float64) if dtype.as_datatype_enum not in types}


def test_what_would_wait_is_found(devices):
    """The mistakes that this file is there for: an int32 variable, a branch or a coin on a number of the device."""
    assert types_kept_on_the_cpu() == {"int32"}
    norm, steps = tf.Variable(1.0), tf.Variable(0, dtype=tf.int64)

    @tf.function
    def branch():
        return tf.cond(norm * 2 > 1, lambda: norm + 1, lambda: norm * 1)

    @tf.function
    def coin():
        return tf.random.stateless_uniform([], tf.stack([tf.constant(0, tf.int64), steps + 1]))

    for mistake in (branch, coin):
        assert waits(mistake.get_concrete_function())
