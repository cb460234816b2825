"""Training's numbers against the authors' code, each derived here anew from what their libraries define.

Torch's `optim.sgd` as of June 2016, MatConvNet v1.0-beta20's `cnn_train_dag.m`, TensorFlow 1's Adam, and the authors'
own scripts. Where the lines are, and what is not as theirs: docs/faithfulness.md.
"""

import math
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import PROJECT, label_of, run

import train
from first_impression.common.settings import read_settings
from first_impression.data import frames, record_writer
from first_impression.training.optimizers import make_optimizer
from first_impression.training.step import TrainingStep
from model import build_audio, build_model, build_resnet

VISUAL = ("paper_dan", "paper_dan_plus", "paper_resnet")
FEATURES = 79_534


def settings_of(recipe, *flags):
    """The constants of train.py under a recipe; "" for its own, those of the TensorFlow 1 pipeline."""
    return read_settings(vars(train), [*([recipe_file(recipe)] if recipe else []), *flags], recipes=True)


def recipe_file(name):
    return str(PROJECT / "recipes" / f"{name}.py")


def write_clips(path, key, sounds, labels):
    items = []
    for number, (sound, label) in enumerate(zip(sounds, labels, strict=True)):
        source = Path(f"{key}-{number}.f32")
        source.write_bytes(sound.astype("<f4").tobytes())
        items.append(record_writer.Example(f"{key}.{number:03d}", label.astype(np.float32), source))
    record_writer.write(Path(path), key, "audio", items, lambda wavs: (wav.read_bytes() for wav in wavs), {})


def write_sounds(alike):
    """Six training clips and two for validation; returns the former's sounds, standardised, and labels.

    Where they are `alike` every batch has the same gradient, so that its order is of no account.
    """
    random = np.random.default_rng(7)
    sounds = random.normal(9, 3, (6, FEATURES)).astype(np.float32)
    labels = np.array([label_of(10 * clip) for clip in range(6)])
    if alike:
        sounds[:], labels[:] = sounds[0], labels[0]
    write_clips("train_audio_full.tfrecords", "train", sounds, labels)
    write_clips("val_audio_full.tfrecords", "val", random.normal(9, 3, (2, FEATURES)), labels[:2])
    sounds = sounds.astype(np.float64)
    return (sounds - sounds.mean()) / sounds.std(), labels


def train_audio(*arguments):
    """The trained weights after each epoch, [kernel, bias], by train.py itself; and those that it started from."""
    done = run("train.py", *arguments, "--MODEL", "audio", "--NAME", "it", "--KEEP_EPOCHS", "True")
    assert done.returncode == 0, done.stderr
    models = sorted(Path("runs/it").glob("epoch-*.keras"))
    after = [keras.models.load_model(model).get_layer("traits").get_weights() for model in models]
    return after, [weights.numpy() for weights in build_audio(0.0, 1.0, seed=0).weights]


def forward(inputs, weights):
    return 1 / (1 + np.exp(-(inputs @ weights[0] + weights[1])))


def backward(inputs, predicted, gradient):
    """The gradients of kernel and bias, from that of the answers: through the sigmoid and the dense layer."""
    gradient = gradient * predicted * (1 - predicted)
    return [inputs.T @ gradient, gradient.sum(axis=0)]


class TorchSGD:
    """torch/optim's sgd.lua: called with a momentum and no dampening, it dampens by the momentum.

    Its state is empty at first, and is then the whole first gradient; only later ones are dampened.
    """

    def __init__(self, rate, momentum, weight_decay, rate_decay):
        self.rate, self.momentum, self.weight_decay, self.rate_decay = rate, momentum, weight_decay, rate_decay
        self.state, self.evaluations = None, 0

    def __call__(self, weights, gradients):
        pairs = zip(gradients, weights, strict=True)
        gradients = [gradient + self.weight_decay * weight for gradient, weight in pairs]
        if self.state is None:
            self.state = gradients
        else:
            dampening = self.momentum
            pairs = zip(self.state, gradients, strict=True)
            self.state = [self.momentum * old + (1 - dampening) * new for old, new in pairs]
        rate = self.rate / (1 + self.evaluations * self.rate_decay)
        self.evaluations += 1
        return [weight - rate * moved for weight, moved in zip(weights, self.state, strict=True)]


# The last constant is too small to be seen in six updates: once it is made large
@pytest.mark.slow
@pytest.mark.parametrize(
    ("alike", "flags", "rate_decay", "steps"),
    [(False, (), 1.01e-6, 1), (True, ("--BATCH_SIZE", "3", "--LEARNING_RATE_UPDATE_DECAY", "0.5"), 0.5, 2)],
)
def test_the_audio_model_descends_as_torch_does(folder, alike, flags, rate_decay, steps):
    """logreg.ipynb: learningRate 8.3e-4, weightDecay 6.5, momentum .9, learningRateDecay 1.01e-6, MSECriterion."""
    inputs, labels = write_sounds(alike)
    after, weights = train_audio(recipe_file("paper_audio"), "--N_EPOCHS", "3", *flags)
    assert len(after) == 3
    sgd = TorchSGD(8.3e-4, 0.9, 6.5, rate_decay)
    for epoch in after:
        before = weights
        for _ in range(steps):
            predicted = forward(inputs, weights)
            weights = sgd(weights, backward(inputs, predicted, 2 * (predicted - labels) / predicted.size))
        for found, wanted, start in zip(epoch, weights, before, strict=True):
            assert np.abs(found - wanted).max() < 2e-4 * np.abs(wanted - start).max() + 1e-9


def test_the_rate_of_the_audio_model_falls_with_every_update(folder):
    """lr / (1 + n * learningRateDecay), over 100 epochs of ceil(6000 / 128) updates."""
    settings = settings_of("paper_audio")
    updates = settings.N_EPOCHS * math.ceil(6000 / settings.BATCH_SIZE)
    assert updates == 4700
    optimizer = make_optimizer(settings, build_audio(0.0, 1.0), updates // settings.N_EPOCHS)
    for update in (0, 1, 46, 47, 4699):
        optimizer.iterations.assign(update)
        assert np.isclose(float(optimizer.learning_rate), 8.3e-4 / (1 + update * 1.01e-6), rtol=2e-7)


def pdist(predicted, labels):
    """vl_nnloss.m, 'pdist': its value for each image, and its gradient with the floor of 1e-6 on the squares."""
    differences = predicted - labels
    squares = (differences**2).sum(axis=1, keepdims=True)
    return np.sqrt(squares[:, 0]), differences / np.sqrt(np.maximum(squares, 1e-6))


@pytest.mark.slow
@pytest.mark.parametrize("anew", [True, False])
def test_the_visual_recipes_descend_as_matconvnet_does(folder, anew):
    """cnn_train_dag.m: the momentum starts at 0 in each epoch, and is multiplied by the epoch's own rate.

    On the linear model, since the optimizer is the same for all; its many inputs need a lower rate, and a higher decay
    that shows. Without the new start the rates of two epochs meet in one velocity, which tells MatConvNet's form from
    Keras'.
    """
    inputs, labels = write_sounds(alike=True)
    flags = {"FLIP": False, "BATCH_SIZE": 2, "N_EPOCHS": 2, "LEARNING_RATE": 1e-5, "WEIGHT_DECAY": 5}
    flags |= {} if anew else {"NEW_MOMENTUM_EACH_EPOCH": False}
    after, weights = train_audio(recipe_file("paper_dan"), *(f"--{name}={value}" for name, value in flags.items()))
    assert len(after) == 2
    momentum = [0.0, 0.0]
    for epoch, rate in zip(after, np.logspace(-5, -8, 30), strict=False):
        momentum, before = [0.0, 0.0] if anew else momentum, weights
        for _ in range(3):
            predicted = forward(inputs[:2], weights)
            derivatives = backward(inputs[:2], predicted, pdist(predicted, labels[:2])[1])  # their sum over the batch
            parts = zip(momentum, weights, derivatives, strict=True)
            momentum = [0.9 * old - 5 * weight - derivative / 2 for old, weight, derivative in parts]
            weights = [weight + rate * moved for weight, moved in zip(weights, momentum, strict=True)]
        for found, wanted, start in zip(epoch, weights, before, strict=True):
            assert np.abs(found - wanted).max() < 2e-4 * np.abs(wanted - start).max() + 1e-9


@pytest.mark.parametrize("recipe", VISUAL)
def test_the_visual_recipes_have_the_published_numbers(recipe):
    """train_regression_DAN_l1.m, lines 24 to 34, and the defaults of cnn_train_dag.m, lines 22 and 23."""
    settings = settings_of(recipe)
    assert (settings.OPTIMIZER, settings.LOSS, settings.FLIP) == ("sgd", "euclidean", True)
    assert (settings.BATCH_SIZE, settings.MOMENTUM, settings.DAMPENING, settings.WEIGHT_DECAY) == (32, 0.9, 0, 5e-4)
    assert settings.N_EPOCHS == 1  # eval_val_reg_*.m, line 12: net-epoch-1
    assert settings.NEW_MOMENTUM_EACH_EPOCH and settings.KEEP_EPOCHS
    assert settings.MEAN == "training"  # lines 81 and 96: imdb.averageImage
    steps = 18_750  # of 600,000 frames
    optimizer = make_optimizer(settings, build_audio(0.0, 1.0), steps)
    for epoch, rate in enumerate(np.logspace(-3, -6, 30)[:10]):
        for step in (0, steps - 1):
            optimizer.iterations.assign(epoch * steps + step)
            assert np.isclose(float(optimizer.learning_rate), rate, rtol=1e-6)


def heads(build, recipe):
    """The weights [n] and biases [k] that the head starts from, of several seeds."""
    settings = settings_of(recipe)
    form = {"head_init": settings.HEAD_INIT, "head_stddev": settings.HEAD_STDDEV, "head_bias": settings.HEAD_BIAS}
    found = [build(image_size=32, seed=seed, **form).get_layer("traits").get_weights() for seed in range(2)]
    kernels, biases = zip(*found, strict=True)
    return np.concatenate(kernels).ravel(), np.concatenate(biases)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", VISUAL)
def test_the_head_starts_from_a_normal_distribution(recipe):
    """single(0.05 * randn(..)) and zeros: 4.55 % of it lie beyond two deviations, 0.27 % beyond three."""
    name = recipe.removeprefix("paper_")
    kernel, bias = heads(lambda **form: build_resnet(**form) if name == "resnet" else build_model(name, **form), recipe)
    assert len(kernel) >= 10_240 and not bias.any()
    assert abs(kernel.std() / 0.05 - 1) < 4 * (2 * len(kernel)) ** -0.5  # four of its own deviations: below 3 %
    assert abs(kernel.mean()) < 4 * 0.05 * len(kernel) ** -0.5
    for deviations in (1, 2, 3):
        share = math.erfc(deviations / 2**0.5)
        found = (np.abs(kernel) > 0.05 * deviations).mean()
        assert abs(found - share) < 4 * (share * (1 - share) / len(kernel)) ** 0.5


def test_the_head_of_the_default_is_the_tensorflow_1_codes():
    """dan.py: truncated_normal of stddev .1, which draws anew what lies beyond .2, and biases of 1."""
    kernel, bias = heads(lambda **form: build_model("dan", **form), "")
    assert (bias == 1).all() and 0.19 < np.abs(kernel).max() <= 0.2
    assert abs(kernel.std() / 0.08796 - 1) < 0.03  # of the truncated distribution


def test_the_audio_model_starts_as_torchs_linear_layer_except_its_biases():
    """nn/Linear.lua: uniform within 1 / sqrt(79534); biases too, which here are 0."""
    kernel, bias = build_audio(0.0, 1.0, seed=3).get_layer("traits").get_weights()
    reach = FEATURES**-0.5
    assert 0.999 * reach < np.abs(kernel).max() <= reach and abs(kernel.std() * 3**0.5 / reach - 1) < 0.01
    assert not bias.any()


def adam_path(gradients, rate, epsilon):
    """TensorFlow 1's AdamOptimizer, from its definition, on weights that start at 0; [steps, n]."""
    m, v, theta, path = 0.0, 0.0, 0.0, []
    for t, gradient in enumerate(gradients, 1):
        rate_t = rate * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        theta = theta - rate_t * m / (np.sqrt(v) + epsilon)
        path.append(theta)
    return np.array(path)


def test_adam_takes_tensorflow_1s_first_steps_where_gradients_are_small():
    """train.py of the TensorFlow 1 code leaves the epsilon at 1e-8; Keras' own is 1e-7, which shortens such steps."""
    settings = settings_of("")
    assert (settings.OPTIMIZER, settings.LEARNING_RATE, settings.BATCH_SIZE, settings.N_EPOCHS) == ("adam", 5e-4, 25, 2)
    random = np.random.default_rng(0)
    gradients = random.uniform(0.5, 1.5, (50, 40)) * random.choice([-1, 1], 40) * np.logspace(-8, -3, 40)
    weights = keras.Variable(np.zeros(40, np.float32))
    optimizer = make_optimizer(settings, SimpleNamespace(trainable_variables=[weights]), steps_per_epoch=50)
    found = []
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient, tf.float32)], [weights])
        found.append(weights.numpy())
    wanted = adam_path(gradients, 5e-4, 1e-8)
    assert (np.abs(found - wanted) <= 1e-3 * np.abs(wanted)).all()
    of_a_millionth = np.abs(np.log10(np.abs(gradients[0]) * 1e6)) < 0.3
    shorter = adam_path(gradients, 5e-4, 1e-7)[-1] / wanted[-1]
    assert of_a_millionth.any() and (shorter[of_a_millionth] < 0.9).all()  # so that the test can tell the two


def gradient_of(loss, answers, labels):
    """(loss, its gradient [k, 5] by the kernel) of one step of training, for answers [n, 5] to one-hot inputs."""
    model = keras.Sequential([keras.Input((len(answers),)), keras.layers.Dense(5, use_bias=False, name="traits")])
    model.get_layer("traits").kernel.assign(answers)
    devices = SimpleNamespace(strategy=tf.distribute.OneDeviceStrategy("/cpu:0"))
    with devices.strategy.scope():
        optimizer = keras.optimizers.SGD(1.0)
        step = TrainingStep(devices, train.train_step, model, optimizer, train.LOSSES[loss])
        optimizer.build(model.trainable_variables)
    step.start_epoch()
    count = len(answers)
    inputs, weights = np.eye(count, dtype=np.float32), np.full(count, 1 / count, np.float32)
    step((inputs, labels.astype(np.float32), np.arange(count), weights))
    return step.read_loss()[0], answers - model.get_layer("traits").kernel.numpy()


def answers_and_labels(distances):
    random = np.random.default_rng(5)
    directions = random.normal(size=(len(distances), 5))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    labels = random.uniform(-1e-3, 1e-3, (len(distances), 5))  # near 0, where float32 holds small differences
    return (labels + directions * np.array(distances)[:, None]).astype(np.float32), labels


def test_the_euclidean_loss_is_matconvnets_pdist():
    """vl_nnloss.m adds it up over the batch, Loss.m averages it; cnn_train_dag.m divides its gradient by the batch."""
    answers, labels = answers_and_labels([2e-3, 0.05, 0.3, 1.0])
    value, gradient = pdist(answers, labels)
    found, found_gradient = gradient_of("euclidean", answers, labels)
    assert np.isclose(found, value.mean(), rtol=1e-5)
    assert np.abs(found_gradient - gradient / 4).max() < 1e-5


def test_the_gradient_differs_from_matconvnets_only_within_a_thousandth_of_the_label():
    """The declared difference: there it falls with the distance, here it keeps its length down to a millionth."""
    answers, labels = answers_and_labels([1e-4, 0.3])
    _, gradient = pdist(answers, labels)
    found = gradient_of("euclidean", answers, labels)[1] * 2
    lengths, theirs = np.linalg.norm(found, axis=1), np.linalg.norm(gradient, axis=1)
    assert np.allclose(theirs, [0.1, 1], rtol=1e-3) and np.allclose(lengths, [1, 1], rtol=1e-2)
    exact = answers.astype(np.float64)  # where the answer is the label
    assert not gradient_of("euclidean", answers, exact)[1].any() and not pdist(exact, exact)[1].any()


def test_the_squared_loss_is_the_mean_over_clips_and_traits():
    """nn.MSECriterion averages over all elements, as reduce_mean of squared_difference does in TensorFlow 1."""
    answers, labels = answers_and_labels([0.01, 0.2, 0.4])
    found, gradient = gradient_of("squared", answers, labels)
    assert np.isclose(found, np.square(answers - labels).mean(), rtol=1e-5)
    assert np.abs(gradient - 2 * (answers - labels) / 15).max() < 1e-6


@pytest.mark.parametrize(("total", "count"), [(459, 92), (382, 96), (230, 115), (101, 101)])
def test_the_frames_of_the_published_test_script_can_be_reproduced(total, count):
    """readdata_test.m: 1:round((cnt-1)/100):cnt are counted, and as many frames written, from the first on."""
    samples = range(1, total + 1, round((total - 1) / 100))
    assert len(samples) == count
    assert frames.frame_indices(total, count, "first") == list(range(len(samples)))
