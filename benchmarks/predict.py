"""predict.py on one clip of 15.3 s, 100 frames, as a whole process: wall time.

Against a sum: a process that only imports TensorFlow, the bare inference of 100 frames (compiled, after warm-up, in
batches of 25, on frames in memory), and 1.5 s for all the rest. Once with a dan run alone, once with an audio run
beside it; the sum stays the same.
"""

import functools
from pathlib import Path

import material
from runner import PROJECT, compare, in_child, run_process, temporary_folder
from training import seconds_of_bare_network

from first_impression.common import files, script
from first_impression.common.tensorflow_start import load_tensorflow
from first_impression.evaluation import predictions

ROUNDS = 5  # rounds of ours and the sum each
FRAMES = 100  # per clip, a multiple of 25

_BATCH_SIZE = 25
_REST = 1.5  # seconds allowed for what is neither import nor inference
_TRAINING_CLIPS = 6000  # in a run's training labels, as of ChaLearn
_START = {"words": "random weights of the benchmarks", "file": "", "md5": "", "published": False}


def main(settings):
    def bare():
        loading = run_process("-c", "import tensorflow")
        inference = in_child(seconds_of_bare_network, settings.FRAMES // _BATCH_SIZE, _BATCH_SIZE)
        print(f"  import {loading:.2f} s, inference {inference:.2f} s")
        return loading + inference + _REST

    with temporary_folder():
        (clip,) = material.make_clips(1)
        for name in ("dan", "audio"):
            in_child(make_run, name)
        for models in ("dan", "dan,audio"):
            command = [PROJECT / "predict.py", clip, "--MODELS", models, "--FRAMES_PER_CLIP", settings.FRAMES]
            run_process(*command)  # once without the clock: files into memory
            ours, name = functools.partial(run_process, *command), f"import + bare inference + {_REST} s"
            compare(f"predict.py --MODELS {models}", ours, bare, name, settings.ROUNDS, 1, "clips")


def make_run(name):
    """runs/<name>/ with random weights, as far as predict.py reads it."""
    load_tensorflow()
    from first_impression.training import saved_models
    from model import build_audio, build_model

    folder = Path("runs") / name
    folder.mkdir(parents=True)
    model = build_audio(0.0, 1.0, seed=0) if name == "audio" else build_model(name, seed=0)
    saved_models.save(model, folder / saved_models.FINAL, {})
    files.write_json(folder / "settings.json", {"start": _START, "constants": {}})
    predictions.write_csv(folder / saved_models.TRAINING_LABELS, material.labels(_TRAINING_CLIPS))


if __name__ == "__main__":
    script.run(main)
