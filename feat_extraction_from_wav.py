"""Step 4: the sound features of the paper and the labels into TFRecords for training.

Reads   VoiceData/trainingData/, VoiceData/validationData/ (step 2)
        Annotations/annotation_training.pkl, Annotations/annotation_validation.pkl
Writes  train_audio_full.tfrecords, val_audio_full.tfrecords; each with its table of contents, *.tfrecords.json
Run     python feat_extraction_from_wav.py

Each record is one clip: 3059 x 26 log filterbank energies, with the clip's own label and name. A longer clip is
cut to 3059 windows, a shorter one repeats itself; the summary says how many were.
A second run writes only what is not there for these sounds, labels and constants.
"""

import numpy as np

from first_impression import Problem, audio, chalearn, jobs, script

SEED = 0  # of the order of the clips in the file
WORKERS = 0  # clips at a time; 0: one per core


def main(settings):
    found = {split: find_sounds(split) for split in chalearn.SPLITS}
    if not any(found.values()):
        raise Problem(f"{chalearn.VOICES.absolute()} holds no sound: run vid_to_wav.py first")
    labels = {split: chalearn.read_annotation(split.annotation) for split in found if found[split]}
    script.load_tensorflow()
    for split in labels:
        write_split(split, labels[split], found[split], settings)


def find_sounds(split):
    """{clip name: its WAV file} for every clip of the split in VoiceData/."""
    folder = chalearn.VOICES / split.folder
    return {wav.stem: wav for wav in sorted(folder.glob("[!.]*.wav"))}


def write_split(split, labels, sounds, settings):
    from first_impression import records  # here: TensorFlow takes seconds to load, and complaints should not wait

    clips = chalearn.pair(labels, sounds, chalearn.VOICES / split.folder)
    order = np.random.default_rng(settings.SEED).permutation(len(clips))
    items = [records.Item(clips[index], labels[clips[index]], sounds[clips[index]]) for index in order]
    cut, repeated = [], []

    def payloads(wavs):
        for wav, (features, windows) in jobs.in_order(features_of, wavs, settings.WORKERS):
            cut.extend([wav] if windows > audio.WINDOWS else [])
            repeated.extend([wav] if windows < audio.WINDOWS else [])
            yield features

    sizes = [item.source.stat().st_size for item in items]
    records.write(split.audio_records, split.key, "audio", items, payloads, {"sizes": sizes})
    if cut or repeated:
        print(
            f"  {len(cut)} clips cut to {audio.WINDOWS} windows, {len(repeated)} shorter ones repeated from their start"
        )


def features_of(wav):
    """The features of a WAV file as bytes (79,534 x float32, little-endian), and how many windows it has."""
    samples = audio.read_wav(wav)
    return audio.log_filterbank(samples).astype("<f4").tobytes(), audio.count_windows(samples)


if __name__ == "__main__":
    script.run(main, alone=(), SEED=script.whole(0), WORKERS=script.whole(0))
