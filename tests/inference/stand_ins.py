"""Tiny stand-ins for trained models, and predict.py asked within the tests' process."""

import json
from pathlib import Path

import keras
import numpy as np
from keras import layers

import predict
from first_impression.common.settings import read_settings
from first_impression.data import audio
from first_impression.data.chalearn import TRAITS
from first_impression.data.targets import FIVE
from first_impression.evaluation import predictions

LABELS = {f"clip.{n:03d}": np.full(5, n / 100) for n in range(101)}
VGG_FACE = {"words": "vgg-face.mat, the published VGG-Face", "published": True}


def save_run(name, model, labels=None, start=VGG_FACE, targets=FIVE, runs="runs"):
    """A trained run as train.py leaves it; `labels`: {training clip: [k]}, or None for a run without the file."""
    folder = Path(runs) / name
    folder.mkdir(parents=True)
    model.save(folder / "final.keras")
    (folder / "settings.json").write_text(json.dumps({"start": start, "constants": {}, **targets.as_json}))
    if labels is not None:
        predictions.write_csv(folder / "training_labels.csv", labels, targets)
    return model


def image_model(seed=0, targets=FIVE):
    images = keras.Input((224, 224, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(images))
    start = keras.initializers.RandomNormal(stddev=2.0, seed=seed)
    answers = layers.Dense(len(targets.names), activation="sigmoid", kernel_initializer=start)(pooled)
    return keras.Model(images, answers, name=targets.model_name("eye"))


def audio_model():
    sound = keras.Input((audio.FEATURES,))
    start = keras.initializers.RandomNormal(stddev=0.001, seed=5)
    return keras.Model(sound, layers.Dense(5, activation="sigmoid", kernel_initializer=start)(sound))


def tiny_dan(seed=None, targets=FIVE):
    """The head of DAN on three channels of the picture itself."""
    images = keras.Input((224, 224, 3))
    places = layers.AveragePooling2D(32, name="pool5")(images)
    parts = [
        layers.UnitNormalization(name="pool5_average_l2")(layers.GlobalAveragePooling2D()(places)),
        layers.UnitNormalization(name="pool5_max_l2")(layers.GlobalMaxPooling2D()(places)),
    ]
    start = keras.initializers.GlorotUniform(seed)
    head = layers.Dense(len(targets.names), activation="sigmoid", name="traits", kernel_initializer=start)
    return keras.Model(images, head(layers.Concatenate(name="descriptors")(parts)), name=targets.model_name("dan"))


def ask(*arguments, picture=False):
    """Call predict.py with these arguments in this process; returns its JSON, or None where it wrote none."""
    arguments = [*map(str, arguments), f"--PICTURE={picture}", "--JSON=out.json"]
    settings = read_settings(vars(predict), arguments, inputs="CLIPS")
    try:
        predict.main(settings)
    finally:
        answered = Path("out.json").exists()
    return json.loads(Path("out.json").read_text()) if answered else None


def values(scores):
    return np.array([scores[trait] for trait in TRAITS])
