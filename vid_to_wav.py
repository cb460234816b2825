"""Step 2: the sound of every clip.

Reads   data/training80_NN.zip, data/validation80_NN.zip (or what is already in unzippedData/)
Writes  VoiceData/trainingData/<clip>.wav, VoiceData/validationData/<clip>.wav: 16-bit, 44,100 Hz, stereo
        VoiceData/unusable.csv, the clips that gave no sound, with the reason
        VoiceData/gone.json, the clips that are gone from the zips, if there are any
        VoiceData/settings.json, what they were made with: the version of ffmpeg
Run     python vid_to_wav.py

A second run makes what is missing, and what is not as it was made from these very clips. With a SHARD the list
of the unusable has its number in its name.
"""

from first_impression.common import files, rules, script
from first_impression.common.settings import keep_settings
from first_impression.data import chalearn, media, steps
from first_impression.data.clips import find_clips
from first_impression.data.sound import extract_sound

SHARD = ""  # "3/16": only the third of 16 shards of the clips, to run 16 of these side by side; "": all
DATA = "data"  # folder of the clips, in zips or not
MAX_ZIP_MEGABYTES = 2000.0  # what the clips of one zip may unpack to
ZIP_PASSWORD = ""  # for encrypted zips; the environment variable CHALEARN_ZIP_PASSWORD does as well
PRUNE = False  # True: remove what was made of clips that are gone from the zips, as of somebody who withdrew consent
WORKERS = 0  # clips converted at a time; 0: one per core

RULES = {"SHARD": rules.shard, "MAX_ZIP_MEGABYTES": rules.more_than(0), "WORKERS": rules.whole(0, 10000)}


def main(settings):
    media.require_ffmpeg()
    clips = find_clips(settings.DATA, settings.MAX_ZIP_MEGABYTES, settings.ZIP_PASSWORD)
    made_with = {"FFMPEG": media.ffmpeg_version()}
    keep_settings(chalearn.VOICES, made_with, by=chalearn.shard_suffix(settings.SHARD))
    steps.for_each_clip(extract_sound, clips, "wav", files.whole_file, chalearn.VOICES, made_with, settings)


if __name__ == "__main__":
    script.run(main, single_instance=("SHARD",))
