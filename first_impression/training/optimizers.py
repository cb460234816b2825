"""The optimizers of the reference codes, where Keras' own differ from them."""

import keras
from keras import ops


class SGD(keras.optimizers.Optimizer):
    """Stochastic gradient descent with momentum, as Torch and MatConvNet write it.

        velocity <- momentum * velocity + (1 - dampening) * gradient
        weights  <- weights - rate * velocity

    Keras' own keeps each step's rate in the velocity, so that it differs where the rate falls, and has no dampening.
    MatConvNet has none either (examples/cnn_train_dag.m of v1.0-beta20, accumulate_gradients); Torch's `optim.sgd`
    dampens by the momentum by default, except at its very first step.
    """

    def __init__(self, learning_rate, momentum=0.0, dampening=0.0, name="sgd"):
        super().__init__(learning_rate=learning_rate, name=name)
        self._momentum, self._dampening = momentum, dampening

    def build(self, variables):
        if not self.built:
            super().build(variables)
            self._velocities = self.add_optimizer_variables(variables, "velocity")

    def update_step(self, gradient, variable, learning_rate):
        velocity = self._velocities[self._get_variable_index(variable)]
        share = ops.where(ops.equal(self.iterations, 0), 1.0, 1.0 - self._dampening) if self._dampening else 1.0
        self.assign(velocity, velocity * self._momentum + gradient * ops.cast(share, gradient.dtype))
        self.assign_sub(variable, velocity * ops.cast(learning_rate, variable.dtype))

    def forget_momentum(self):
        """Set the velocities back to 0, as MatConvNet does at every epoch."""
        for velocity in self._velocities:
            velocity.assign(ops.zeros_like(velocity))


class FallingRate(keras.optimizers.schedules.LearningRateSchedule):
    """The rate, a float32 scalar, of update n, from 0 on: rate * epoch_decay ** epoch / (1 + n * update_decay).

    The first factor is MatConvNet's way (a rate for each epoch), the second one Torch's `learningRateDecay`.
    """

    def __init__(self, settings, steps_per_epoch):
        self._rate, self._steps_per_epoch = settings.LEARNING_RATE, steps_per_epoch
        self._epoch_decay, self._update_decay = settings.LEARNING_RATE_DECAY, settings.LEARNING_RATE_UPDATE_DECAY

    def __call__(self, step):
        epoch = ops.cast(step // self._steps_per_epoch, "float32")
        return self._rate * self._epoch_decay**epoch / (1.0 + ops.cast(step, "float32") * self._update_decay)


def make_optimizer(settings, model, steps_per_epoch):
    """The optimizer that train.py's `settings` ask for, built for `model`."""
    if settings.TRAIN == "head":
        return keras.optimizers.SGD()  # unused, and small in the checkpoint
    rate = settings.LEARNING_RATE
    if settings.LEARNING_RATE_DECAY != 1 or settings.LEARNING_RATE_UPDATE_DECAY:
        rate = FallingRate(settings, steps_per_epoch)
    if settings.OPTIMIZER == "adam":
        optimizer = keras.optimizers.Adam(rate, epsilon=settings.ADAM_EPSILON)
    else:
        optimizer = SGD(rate, settings.MOMENTUM, settings.DAMPENING)
    optimizer.build(model.trainable_variables)
    return optimizer
