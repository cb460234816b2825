"""Step 4, feat_extraction_from_wav.py, on all cores: clips per second.

Against `python_speech_features.logfbank` with its defaults on the stereo array, one file after another in one process:
reading the WAV file, the features, cut or repeated to 3059 windows. Ours writes its records as well. Both give the
same numbers, within 1e-4: that is checked.
"""

import logging
import os
from pathlib import Path

import material
import numpy as np
from python_speech_features import logfbank
from runner import compare, run_step, seconds, workshop
from scipy.io import wavfile

from first_impression.common import rules, script
from first_impression.common.tensorflow_start import load_tensorflow
from first_impression.data import audio, batching, chalearn, record_reader
from first_impression.data.sound import SAMPLE_RATE

CLIPS = 40  # sounds per round
ROUNDS = 3  # of ours and the yardstick each
MATERIAL = ""  # a folder that keeps the clips for the next benchmark; "": none

RULES = {"CLIPS": rules.whole(1), "ROUNDS": rules.whole(1)}

_TOLERANCE = 1e-4


def main(settings):
    load_tensorflow()
    logging.disable(logging.WARNING)  # the library remarks on every file that its windows are longer than its FFT
    kept = settings.MATERIAL and os.path.abspath(settings.MATERIAL)
    with workshop():
        wavs = material.make_sounds(material.make_clips(kept), settings.CLIPS)
        features = {}

        def step():
            for old in Path().glob("train_audio_full.tfrecords*"):
                old.unlink()
            return run_step("feat_extraction_from_wav")

        def library():
            """logfbank with its defaults, one file after another."""
            features.clear()
            return seconds(lambda: features.update((wav.stem, library_features(wav)) for wav in wavs))

        step(), library()
        worst = largest_difference(features)
        print(f"largest difference of a feature: {worst:.2g}")
        assert worst <= _TOLERANCE, f"the features differ by {worst:.2g}"
        rest = (settings.ROUNDS, settings.CLIPS, "clips")
        compare("audio_features", step, library, *rest, target=1.8, largest_difference=worst)


def library_features(wav):
    _, samples = wavfile.read(wav)
    return np.resize(logfbank(samples, samplerate=SAMPLE_RATE), (audio.WINDOWS, audio.FILTERS))


def largest_difference(features):
    """Between the library's features, {clip: float64 [3059, 26]}, and those in the records."""
    records = record_reader.open_records(chalearn.TRAINING.audio_records, chalearn.TRAINING.key, "audio")
    assert records.size == len(features)
    names, _ = record_reader.read_names(records)
    worst = 0.0
    for inputs, _, indices, _ in batching.batches(records, 16, pad=False):
        for ours, name in zip(inputs.numpy(), names[indices.numpy()], strict=True):
            worst = max(worst, np.abs(ours - features[name].reshape(-1)).max())
    return float(worst)


if __name__ == "__main__":
    script.run(main)
