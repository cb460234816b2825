"""predict.py on one clip of 15.3 s, 100 frames, as a whole process: wall time.

Against a sum: a process that only imports TensorFlow, and the bare inference of 100 frames (compiled, after warm-up, in
batches of 25, on frames in memory), and 1.5 s for all the rest. Once with a dan run alone, once with an audio run
beside it; the sum stays the same. Ratio 1 and above: ours stays within the sum.
"""

import os
import time
from pathlib import Path

import material
import numpy as np
from runner import PROJECT, compare, in_child, run_process, workshop

from first_impression.common import files, rules, script
from first_impression.common.tensorflow_start import load_tensorflow
from first_impression.data import chalearn
from first_impression.evaluation import predictions
from first_impression.training import saved_models

ROUNDS = 5  # of ours and the sum each
FRAMES = 100  # per clip
MATERIAL = ""  # a folder that keeps the clips for the next benchmark; "": none

RULES = {"ROUNDS": rules.whole(1), "FRAMES": rules.whole(1)}

_BATCH_SIZE = 25
REST = 1.5  # seconds allowed for what is neither import nor inference
TRAINING_CLIPS = 6000  # that a run names, as ChaLearn's
START = {"words": "random weights of the benchmarks", "file": "", "md5": "", "published": False}


def main(settings):
    kept = settings.MATERIAL and os.path.abspath(settings.MATERIAL)
    with workshop():
        clip = material.make_clips(kept)[0]
        for name in ("dan", "audio"):
            in_child(make_run, name)
        parts = []

        def bare():
            """import tensorflow + bare inference + 1.5 s."""
            loading = run_process("-c", "import tensorflow")
            inference = in_child(seconds_of_inference, settings.FRAMES)
            parts.append({"import": loading, "inference": inference})
            return loading + inference + REST

        for models in ("dan", "dan,audio"):
            command = [PROJECT / "predict.py", clip, "--MODELS", models, "--FRAMES_PER_CLIP", settings.FRAMES]
            run_process(*command)  # once without the clock: files into memory

            def whole(command=command):
                return run_process(*command)

            parts.clear()
            figure = f"predict_{models.replace(',', '_')}"
            compare(figure, whole, bare, settings.ROUNDS, 1, "clips", target=1.0, parts=parts)
            loading, inference = (np.median([part[name] for part in parts]) for name in ("import", "inference"))
            print(f"  the sum: import {loading:.2f} s + inference {inference:.2f} s + {REST} s")


def make_run(name):
    """runs/<name>/ with random weights, as far as predict.py reads it."""
    load_tensorflow()
    from model import build_audio, build_model

    folder = Path("runs") / name
    folder.mkdir(parents=True)
    model = build_audio(0.0, 1.0, seed=0) if name == "audio" else build_model(name, seed=0)
    saved_models.save(model, folder / saved_models.FINAL, {})
    files.write_json(folder / "settings.json", {"start": START, "constants": {}})
    predictions.write_csv(folder / saved_models.TRAINING_LABELS, material.labels(TRAINING_CLIPS))


def seconds_of_inference(frames):
    """How long DAN takes for so many frames in memory."""
    load_tensorflow()
    import tensorflow as tf

    from model import build_model

    model = build_model("dan", seed=0)
    infer = tf.function(lambda images: model(images, training=False), reduce_retracing=True)
    shape = (frames, chalearn.FRAME_SIZE, chalearn.FRAME_SIZE, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    batches = [tf.constant(images[start : start + _BATCH_SIZE]) for start in range(0, frames, _BATCH_SIZE)]
    for batch in (batches[0], batches[-1]):
        infer(batch).numpy()
    start = time.perf_counter()
    for batch in batches:
        infer(batch).numpy()
    return time.perf_counter() - start


if __name__ == "__main__":
    script.run(main)
