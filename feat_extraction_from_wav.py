"""Step 4: the sound features of the paper and the labels into TFRecords for training.

Reads   VoiceData/trainingData/, VoiceData/validationData/ (step 2)
        Annotations/annotation_training.pkl, Annotations/annotation_validation.pkl
Writes  train_audio_full.tfrecords, val_audio_full.tfrecords; each with its table of contents, *.tfrecords.json
Run     python feat_extraction_from_wav.py

Each record is one clip: 3059 x 26 log filterbank energies, with the clip's own label and name. A clip that is longer
than ChaLearn's, 15.3 s, gives a record for each part of that length, those that predict.py answers; a shorter one
repeats itself. The summary says how many were.
With a SHARD only its clips are looked at, and only its file of each set is written:
train_audio_full.tfrecords-00002-of-00016 for 3/16.
A second run writes only what is not there for these sounds, labels and constants.
"""

from first_impression.common import parallel, rules, script
from first_impression.common.errors import counted, name_some
from first_impression.common.files import listed
from first_impression.data import audio, record_writer, steps
from first_impression.data.chalearn import CLIP_SECONDS, VOICES
from first_impression.data.targets import of_settings, scale_rule, targets_rule

TARGETS = ""  # what to learn, as columns of the labels are named: "extraversion, interview"; "": ChaLearn's five traits
SCALE = "0..1"  # from the lowest to the highest of the labels in the tables; "1..7", for example
SEED = 0  # of the order of the clips in the file
SHARD = ""  # "3/16": only the third of 16 shards of the clips, to run 16 of these side by side; "": all
WORKERS = 0  # clips at a time; 0: one per core

RULES = {
    "TARGETS": targets_rule,
    "SCALE": scale_rule,
    "SEED": rules.whole(0),
    "SHARD": rules.shard,
    "WORKERS": rules.whole(0, 10000),
}


def main(settings):
    targets = of_settings(settings.TARGETS, settings.SCALE)
    examples = steps.labelled_examples(VOICES, clips_with_sound, settings.SHARD, targets)
    for split, clips in examples.items():
        write_split(split, clips, settings, targets)
    steps.warn_of_stale_records(examples, VOICES, lambda split: split.audio_records)


def clips_with_sound(folder):
    """The names of the clips that have a WAV file in a split's folder of VoiceData/."""
    return [wav.stem for wav in listed(folder, "[!.]*.wav")]


def write_split(split, clips, settings, targets):
    (path,) = record_writer.paths_to_write(split.audio_records, 1, settings.SHARD)
    parts = {clip.clip: audio.parts_of(clip.source) for clip in clips}
    examples = [clip._replace(source=part) for clip in clips for part in parts[clip.clip]]
    examples = steps.shuffled(examples, settings.SEED)
    cut, repeated = [], []

    def payloads(sounds):
        for sound, (features, windows) in parallel.in_order(features_of, sounds, settings.WORKERS):
            cut.extend([sound] if windows > audio.WINDOWS else [])
            repeated.extend([sound] if windows < audio.WINDOWS else [])
            yield features

    made_with = {"shard": settings.SHARD, "sources": {clip.clip: clip.checksum for clip in clips}}
    record_writer.write(path, split.key, "audio", examples, payloads, made_with, targets)
    if cut or repeated:
        cut_clips = counted(len(cut), "clip")
        print(f"  {cut_clips} cut to {audio.WINDOWS} windows, {len(repeated)} shorter ones repeated from their start")
    if long := [name for name, sounds in parts.items() if len(sounds) > 1]:
        print(f"  {counted(len(long), 'longer clip')} in parts of {CLIP_SECONDS} s: {name_some(long)}")


def features_of(sound):
    """The features of a WAV file, or of a part of one, as bytes (79,534 x float32, little-endian), and its windows."""
    samples = sound.read() if isinstance(sound, audio.Part) else audio.read_wav(sound)
    return audio.log_filterbank(samples).astype("<f4").tobytes(), audio.count_windows(samples)


if __name__ == "__main__":
    script.run(main, single_instance=("SHARD",))
