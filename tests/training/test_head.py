"""The head in closed form: the algebra against normal equations, the choice of its strength, the runs and the cache."""

import json
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import PROJECT, ok, refused, run

from first_impression.common.errors import UserError
from first_impression.data import batching, record_reader, record_writer
from first_impression.data.label_table import read
from first_impression.evaluation import metrics
from first_impression.training import cross_validation, descriptors, head
from first_impression.training.runs import find_runs


def normal_equations(x, y, strength):
    """Ridge with a bias that is not penalised, solved as one linear system in float64."""
    n, d = x.shape
    x = np.column_stack([x, np.ones(n)]).astype(np.float64)
    penalty = strength * np.square(x[:, :d] - x[:, :d].mean(axis=0)).sum() / n * np.eye(d + 1)
    penalty[d, d] = 0
    solved = np.linalg.solve(x.T @ x / n + penalty, x.T @ y / n)
    return solved[:d], solved[d]


@pytest.mark.parametrize(("clips", "width"), [(40, 9), (12, 70)])  # more clips than numbers: primal; fewer: dual
def test_the_closed_form_solves_the_normal_equations(clips, width):
    random = np.random.default_rng(1)
    x, labels = random.normal(3, 2, (clips, width)), random.uniform(0.1, 0.9, (clips, 5))
    y = np.log(labels / (1 - labels))
    points, kernel_of = head.coordinates(x)
    for strength, found in zip((1e-3, 0.1, 10), head.ridge(points, y, (1e-3, 0.1, 10)), strict=True):
        kernel, bias = normal_equations(x, y, strength)
        assert np.allclose(kernel_of(found.kernel), kernel, atol=1e-9)
        assert np.allclose(found.bias - x.mean(axis=0) @ kernel_of(found.kernel), bias, atol=1e-9)


def test_the_dual_form_equals_the_primal_one_on_any_part_of_the_clips(monkeypatch):
    random = np.random.default_rng(2)
    x, y = random.normal(3, 2, (30, 50)), random.normal(size=(30, 5))
    monkeypatch.setattr(head, "COLUMNS", 7)
    points, kernel_of = head.coordinates(x)
    assert points.shape[1] < 50
    for part in (slice(0, 30), slice(4, 21)):
        (dual,), (primal,) = head.ridge(points[part], y[part], (0.3,)), head.ridge(x[part], y[part], (0.3,))
        kernel = kernel_of(dual.kernel)
        assert np.allclose(kernel, primal.kernel, atol=1e-9)
        assert np.allclose(dual.bias - x.mean(axis=0) @ kernel, primal.bias, atol=1e-9)


def test_labels_of_0_and_1_go_half_way_to_the_next_label_or_the_middle():
    labels = np.array([[0, 0.2, 0.5, 1, 0], [0.1, 0.6, 1, 1, 1], [1, 0.8, 0.75, 1, 0]])
    found = 1 / (1 + np.exp(-head.logits(labels)))
    wanted = [[0.05, 0.2, 0.5, 0.75, 0.25], [0.1, 0.6, 0.875, 0.75, 0.75], [0.75, 0.8, 0.75, 0.75, 0.25]]
    assert np.allclose(found, wanted)


def drawn(effect, sources=40, seed=0):
    """(descriptors, clips of the records, labels): two clips a source, three frames a clip; `effect` on one direction.

    A source has something of its own in descriptors and labels, which helps nobody with other sources.
    """
    random = np.random.default_rng(seed)
    names = [f"s{source}.{part:03d}" for source in range(sources) for part in range(2)]
    hidden = random.normal(size=len(names))
    own = random.normal(size=(sources, 30)).repeat(2, axis=0)
    x = own + hidden[:, None] * np.eye(30)[0] * 3
    frames = x.repeat(3, axis=0) + random.normal(0, 0.3, (3 * len(names), 30))
    noise = random.normal(0, 0.5, (sources, 5)).repeat(2, axis=0)
    labels = 1 / (1 + np.exp(-(effect * hidden[:, None] + noise)))
    return np.float32(frames), np.repeat(names, 3), dict(zip(names, np.float32(labels), strict=True))


def gain(x, names, labels):
    """How much more accurate the head is than the mean label, on sources that it was not fitted to."""
    outside = np.array([int(name[1:].split(".")[0]) % 4 == 0 for name in names])
    training = {clip: label for clip, label in labels.items() if clip in set(names[~outside])}
    fitted, about = head.fit(x[~outside], names[~outside], training)
    clips, answers = metrics.by_clip(names[outside], fitted.answer(x[outside]))
    true = np.array([labels[clip] for clip in clips])
    constant = np.mean(list(training.values()), axis=0)
    return np.abs(constant - true).mean() - np.abs(answers - true).mean(), about


def test_a_planted_effect_is_found_and_shuffled_labels_are_not():
    gains = []
    for seed in range(5):
        x, names, labels = drawn(1.0, seed=seed)
        found, about = gain(x, names, labels)
        assert found > 0.05 and about["folds"] == 10 and len(about["curve"]) == len(head.STRENGTHS)
        assert max(about["curve"], key=lambda point: point["accuracy"])["strength"] == about["strength"]
        clips = sorted(labels)
        order = np.random.default_rng(seed).permutation(len(clips) // 2)  # whole sources change places
        moved = [clips[2 * source + part] for source in order for part in range(2)]
        gains.append(gain(x, names, {clip: labels[other] for clip, other in zip(clips, moved, strict=True)})[0])
    assert np.mean(gains) < 0.005


# Runs


def write_sounds(path, sources, seed=0, planted=2.0):
    """Two clips a source; a sound is louder where the clip's labels are higher."""
    random, items, values = np.random.default_rng(seed), [], {}
    for clip in range(2 * sources):
        hidden = random.normal()
        source = Path(f"{path}-{clip}.f32")
        values[source] = (random.normal(9, 3, 79_534) + planted * hidden).astype("<f4").tobytes()
        label = np.full(5, 1 / (1 + np.exp(-hidden)), np.float32)
        items.append(record_writer.Example(f"{Path(path).stem}{clip // 2}.{clip:03d}", label, source))
    key = "val" if path.startswith("val") else "train"
    made_with = {"contents": seed}
    record_writer.write(Path(path), key, "audio", items, lambda paths: (values[path] for path in paths), made_with)


RECIPE = str(PROJECT / "recipes/head_audio.py")
TRAIN, VAL = "train_audio_full.tfrecords", "val_audio_full.tfrecords"


def test_a_run_of_the_head_is_a_run_as_any_other(folder):
    write_sounds(TRAIN, 12)
    write_sounds(VAL, 4, seed=1)
    assert "runs/head_audio: trained" in ok(run("train.py", RECIPE))
    settings = json.loads(Path("runs/head_audio/settings.json").read_text())
    assert settings["head"]["strength"] in head.STRENGTHS and settings["constants"]["TRAIN"] == "head"
    assert "LEARNING_RATE" not in settings["constants"] and "N_EPOCHS" not in settings["constants"]
    history = pd.read_csv("runs/head_audio/history.csv")
    assert history["clip_mean"].item() > history["constant_mean"].item() + 0.05

    # final.keras answers what the formula gives
    model = keras.models.load_model("runs/head_audio/final.keras")
    records = record_reader.open_records(TRAIN, "train", "audio")
    ((sounds, labels, rows, _),) = batching.batches(records, 99)
    names, x = record_reader.read_names(records)[0][rows.numpy()], sounds.numpy().astype(np.float64)
    x = (x - x.mean()) / x.std()
    order = np.argsort(names)
    kernel, bias = normal_equations_by_gram(x[order], head.logits(labels.numpy()[order]), settings["head"]["strength"])
    assert np.abs(model(sounds).numpy() - 1 / (1 + np.exp(-(x @ kernel + bias)))).max() < 1e-3

    # It is finished, refuses other constants, and has no use for those of descent
    before = Path("runs/head_audio/final.keras").read_bytes()
    assert "ridge" not in ok(run("train.py", RECIPE))
    assert Path("runs/head_audio/final.keras").read_bytes() == before
    refused(run("train.py", RECIPE, "--SEED", "1"), "was made with SEED = 0")
    refused(run("train.py", RECIPE, "--TRAIN", "all"), "was made with TRAIN = 'head'")
    refused(run("train.py", RECIPE, "--N_EPOCHS", "3"), "N_EPOCHS", "no meaning with TRAIN")
    write_sounds(TRAIN, 12, seed=5)
    refused(run("train.py", RECIPE), "was trained on other training records")


def normal_equations_by_gram(x, y, strength):
    """`normal_equations` for few rows of many numbers, through the matrix inversion lemma."""
    middle = x.mean(axis=0)
    gram = (x - middle) @ (x - middle).T
    weights = np.linalg.solve(gram + strength * np.trace(gram) * np.eye(len(x)), y - y.mean(axis=0))
    kernel = (x - middle).T @ weights
    return kernel, y.mean(axis=0) - middle @ kernel


def test_the_names_of_records_are_read_once_for_both_parts_of_a_fold(folder, monkeypatch):
    write_sounds(TRAIN, 6)
    records, passes, read_through = (
        record_reader.open_records(TRAIN, "train", "audio"),
        [],
        record_reader._without_inputs,
    )
    names, labels = record_reader.read_names(records)
    monkeypatch.setattr(record_reader, "_without_inputs", lambda *what: passes.append(what) or read_through(*what))
    parts = cross_validation.parts(records, "2/3", None, 0)
    for part in parts:
        rows = np.isin(names, list(part.labels))
        found, true = record_reader.read_names(part)
        assert found.tolist() == names[rows].tolist() and (true == labels[rows]).all() and 0 < len(found) < len(names)
    assert len(passes) == 1 and sum(part.size for part in parts) == len(names)


@pytest.mark.parametrize("training", ["head", "all"])
def test_all_folds_answer_every_clip_once_without_validation_records(folder, training):
    write_sounds(TRAIN, 6)
    slow = ("--MODEL", "audio", "--NAME", "head_audio", "--N_EPOCHS", 1, "--LEARNING_RATE", 1e-6)
    flags = (RECIPE,) if training == "head" else slow
    done = ok(run("train.py", *flags, "--FOLD", "all/3"))
    assert "predictions_3-folds.csv: 12 clips" in done and not Path(VAL).exists()
    table = Path("runs/head_audio/predictions_3-folds.csv")
    answers = read(table).values
    labels = record_reader.open_records(TRAIN, "train", "audio").labels
    assert answers.keys() == labels.keys()
    seen = [set(read(path).values) for path in sorted(Path("runs").glob("*/fold-*-of-3/training_labels.csv"))]
    held_out = [labels.keys() - clips for clips in seen]
    assert sum(map(len, held_out)) == len(set().union(*held_out)) == 12
    for clips, left_out in zip(seen, held_out, strict=True):
        assert not set(metrics.sources_of(clips)) & set(metrics.sources_of(left_out))

    # Each answer is that of the model that has not seen the clip; a second run finds all done, and answers the same
    model = keras.models.load_model("runs/head_audio/fold-2-of-3/final.keras")
    records = record_reader.open_records(TRAIN, "train", "audio")
    ((sounds, _, rows, _),) = batching.batches(records, 99)
    names, predicted = record_reader.read_names(records)[0][rows.numpy()], model(sounds).numpy()
    for name, answer in zip(names, predicted, strict=True):
        assert (name in held_out[1]) == np.allclose(answers[name], answer, atol=2e-5)
    content = table.read_bytes()
    again = ok(run("train.py", *flags, "--FOLD", "all/3"))
    assert table.read_bytes() == content and "ridge" not in again and "epoch 1/1" not in again
    with pytest.raises(UserError, match="holds no trained run"):  # folds are not taken for runs
        find_runs(Path("runs"))
    constant = read("runs/head_audio/constant_3-folds.csv").values
    for clips, left_out in zip(seen, held_out, strict=True):
        mean = np.mean([labels[clip] for clip in clips], axis=0)
        assert all(np.allclose(constant[clip], mean, atol=1e-6) for clip in left_out)
    refused(run("train.py", *flags, "--FOLD", "all/7"), "6 sources cannot be dealt to 7 folds")
    refused(run("train.py", *flags, "--FOLD", "1/3", "--VAL_RECORDS", VAL), "VAL_RECORDS", "FOLD")


# The cache


class Frozen:
    """A small network with a dense layer above, in the place of a DAN; and the devices that count what they compute."""

    workers, on_gpu = 1, False

    def __init__(self, scale=1.0, fail_after=None):
        inputs = keras.Input((224, 224, 3), name="images")
        x = keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.Rescaling(scale, name="scale")(inputs))
        self.model = keras.Model(inputs, keras.layers.Dense(5, name="traits")(x))
        self.fail_after, self.computed = fail_after, 0

    def outputs(self, body, records, batch_size, skip=0):
        for inputs, _, indices, _ in batching.batches(records, batch_size, skip=skip, pad=False):
            if self.computed == self.fail_after:
                raise KeyboardInterrupt
            self.computed += len(indices)
            yield indices.numpy(), body(inputs).numpy()


def write_images(seed=0):
    random, items, pixels = np.random.default_rng(seed), [], {}
    for number in range(10):
        source = Path(f"{number}.raw")
        pixels[source] = np.full(150_528, random.integers(256), np.uint8).tobytes()
        items.append(record_writer.Example(f"c{number // 2}.000", np.full(5, 0.5, np.float32), source))
    payloads = lambda paths: (pixels[path] for path in paths)  # noqa: E731
    record_writer.write(Path("images"), "train", "image", items, payloads, {"seed": seed})
    values = [np.frombuffer(pixels[item.source], np.uint8)[:3] for item in items]
    return record_reader.open_records("images", "train", "image"), np.array(values, np.float32)


def test_descriptors_are_computed_once_and_again_for_other_weights_or_frames(folder, monkeypatch):
    monkeypatch.setattr(descriptors, "PART", 4)
    monkeypatch.setattr(descriptors, "CPU_BATCH", 2)
    records, values = write_images()
    stopped = Frozen(fail_after=6)  # as by a kill in the second part: the first one is kept
    with pytest.raises(KeyboardInterrupt):
        descriptors.compute(stopped, stopped.model, records, "it")
    assert [path.name for path in descriptors.CACHE.rglob("*.npz")] == ["000000.npz"]
    for computed in (6, 0):
        frozen = Frozen()
        found = descriptors.compute(frozen, frozen.model, records, "it")
        assert found.dtype == np.float32 and np.allclose(found, values) and frozen.computed == computed
    frozen = Frozen(0.5)
    assert np.allclose(descriptors.compute(frozen, frozen.model, records, "it"), values / 2) and frozen.computed == 10
    frozen, (records, wanted) = Frozen(), write_images(seed=1)
    assert np.allclose(descriptors.compute(frozen, frozen.model, records, "it"), wanted) and frozen.computed == 10
    # A damaged part is computed again, and a part of the records has its own ones
    for path in descriptors.CACHE.rglob("000002.npz"):
        path.write_bytes(path.read_bytes()[:-9])
    frozen, known = Frozen(), record_reader.read_names(records)
    part = record_reader.restricted(records, known, {"c1.000", "c4.000"})
    assert np.allclose(descriptors.compute(frozen, frozen.model, part, "it"), wanted[[2, 3, 8, 9]])
    assert frozen.computed == 2
    assert part.size == 4 and list(record_reader.read_names(part)[0]) == ["c1.000"] * 2 + ["c4.000"] * 2
    indices = np.concatenate([indices.numpy() for _, _, indices, _ in batching.batches(part, 3, pad=False)])
    assert indices.tolist() == [0, 1, 2, 3]
