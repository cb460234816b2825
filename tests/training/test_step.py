"""One step of gradient descent, and what records that only fill up a batch do to it: nothing."""

from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import label_of

from first_impression.data import audio, record_reader, record_writer
from first_impression.training.devices import Devices
from first_impression.training.optimizers import SGD
from first_impression.training.step import TrainingStep
from train import LOSSES, train_step

CLIPS, BATCH = 7, 5  # the last batch of an epoch has two records


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    random = np.random.default_rng(0)
    sounds = random.normal(0, 0.1, (CLIPS, audio.FEATURES)).astype(np.float32)
    examples = [
        record_writer.Example(f"clip.{n:03d}", label_of(9 * n).astype(np.float32), Path()) for n in range(CLIPS)
    ]
    contents = (sound.tobytes() for sound in sounds)
    record_writer.write(folder / "t.tfrecords", "train", "audio", examples, lambda paths: contents, {})
    return record_reader.open_records(folder / "t.tfrecords", "train", "audio")


def an_epoch(records, pad, loss):
    """(the weights before an epoch and after it, the mean loss)."""
    keras.utils.set_random_seed(3)
    devices = Devices()
    with devices.strategy.scope():
        sound = keras.Input((audio.FEATURES,))
        model = keras.Model(sound, keras.layers.Dense(5, activation="sigmoid", name="traits")(sound))
        optimizer = SGD(learning_rate=0.5, momentum=0.5)
        optimizer.build(model.trainable_variables)
        step = TrainingStep(devices, train_step, model, optimizer, LOSSES[loss], weight_decay=0.01)
    step.start_epoch()
    first, steps = model.get_weights(), 0
    for batch in devices.batches(records, BATCH, shuffle_seed=2, pad=pad):
        assert len(batch[0]) == (BATCH if pad or steps == 0 else CLIPS - BATCH)
        step(batch)
        steps += 1
    assert steps == 2
    return first, model.get_weights(), step.read_loss()[0]


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["squared", "euclidean"])
def test_a_padded_batch_takes_the_step_of_its_real_records(records, loss):
    (first, padded, loss_padded), (_, plain, loss_plain) = (an_epoch(records, pad, loss) for pad in (True, False))
    for start, one, other in zip(first, padded, plain, strict=True):
        assert np.abs(one - start).max() > 1e-3
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    assert loss_padded == pytest.approx(loss_plain, rel=1e-6)
