"""Step 4: the sound features of the paper and the labels into TFRecords for training.

Reads   VoiceData/trainingData/, VoiceData/validationData/ (step 2)
        Annotations/annotation_training.pkl, Annotations/annotation_validation.pkl
Writes  train_audio_full.tfrecords, val_audio_full.tfrecords; each with its table of contents, *.tfrecords.json
Run     python feat_extraction_from_wav.py

Each record is one clip: 3059 x 26 log filterbank energies, with the clip's own label and name. A longer clip is
cut to 3059 windows, a shorter one repeats itself; the summary says how many were.
With a SHARD only its clips are looked at, and only its file of each set is written:
train_audio_full.tfrecords-00002-of-00016 for 3/16.
A second run writes only what is not there for these sounds, labels and constants.
"""

import numpy as np

from first_impression import Problem, audio, chalearn, jobs, script
from first_impression.files import listed

SEED = 0  # of the order of the clips in the file
SHARD = ""  # "3/16": only the third of 16 shards of the clips, to run 16 of these side by side; "": all
WORKERS = 0  # clips at a time; 0: one per core


def main(settings):
    folders = {split: chalearn.VOICES / split.folder for split in chalearn.SPLITS}
    found = {split: find_sounds(split, settings.SHARD) for split, folder in folders.items() if folder.is_dir()}
    if not (found if settings.SHARD else any(found.values())):
        raise Problem(f"{chalearn.VOICES.absolute()} holds no sound: run vid_to_wav.py first")
    chalearn.refuse_unmade(chalearn.VOICES, settings.SHARD, "vid_to_wav.py")
    # A shard without clips of a split has its file in the set nevertheless, an empty one
    splits = [split for split in found if found[split] or settings.SHARD]
    labels = {split: chalearn.read_annotation(split.annotation) for split in splits}
    script.load_tensorflow()
    for split in labels:
        write_split(split, labels[split], found[split], settings)


def find_sounds(split, shard):
    """{clip name: its WAV file} for every clip of the split and the shard in VoiceData/."""
    wavs = listed(chalearn.VOICES / split.folder, "[!.]*.wav")
    return {wav.stem: wav for wav in wavs if chalearn.in_shard(wav.stem, shard)}


def write_split(split, labels, sounds, settings):
    from first_impression import records  # here: TensorFlow takes seconds to load, and complaints should not wait

    clips = chalearn.pair(labels, sounds, chalearn.VOICES / split.folder, settings.SHARD)
    (path,) = records.paths_to_write(split.audio_records, 1, settings.SHARD)
    order = np.random.default_rng(settings.SEED).permutation(len(clips))
    items = [records.Item(clips[index], labels[clips[index]], sounds[clips[index]]) for index in order]
    cut, repeated = [], []

    def payloads(wavs):
        for wav, (features, windows) in jobs.in_order(features_of, wavs, settings.WORKERS):
            cut.extend([wav] if windows > audio.WINDOWS else [])
            repeated.extend([wav] if windows < audio.WINDOWS else [])
            yield features

    sizes = [item.source.stat().st_size for item in items]
    records.write(path, split.key, "audio", items, payloads, {"sizes": sizes, "shard": settings.SHARD})
    if cut or repeated:
        print(
            f"  {len(cut)} clips cut to {audio.WINDOWS} windows, {len(repeated)} shorter ones repeated from their start"
        )


def features_of(wav):
    """The features of a WAV file as bytes (79,534 x float32, little-endian), and how many windows it has."""
    samples = audio.read_wav(wav)
    return audio.log_filterbank(samples).astype("<f4").tobytes(), audio.count_windows(samples)


if __name__ == "__main__":
    script.run(main, alone=("SHARD",), SEED=script.whole(0), SHARD=script.shard, WORKERS=script.whole(0))
