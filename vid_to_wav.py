"""Step 2: the sound of every clip.

Reads   data/training80_NN.zip, data/validation80_NN.zip (or what is already in unzippedData/)
Writes  VoiceData/trainingData/<clip>.wav, VoiceData/validationData/<clip>.wav: 16-bit, 44,100 Hz, stereo
        VoiceData/clips.jsonl, the log: constants and version of ffmpeg, then what became of each clip
        VoiceData/unusable.csv, the clips that gave no sound, with the reason
Run     python vid_to_wav.py

A second run makes what is missing, and remakes outputs whose video, or whose own content, has changed. With a SHARD the
names of log and table have its number in them.
"""

from first_impression.common import rules, script
from first_impression.common.files import whole_file
from first_impression.data import media, steps
from first_impression.data.chalearn import VOICES
from first_impression.data.clips import find_clips
from first_impression.data.sound import extract_sound

SHARD = ""  # "3/16": only the third of 16 shards of the clips, to run 16 of these side by side; "": all
DATA = "data"  # folder of the clips, in zips or not
MAX_ZIP_MEGABYTES = 2000.0  # what the clips of one zip may unpack to, and the zips in it
ZIP_PASSWORD = ""  # for encrypted zips; the environment variable CHALEARN_ZIP_PASSWORD does as well
WORKERS = 0  # clips converted at a time; 0: one per core

RULES = {"SHARD": rules.shard, "MAX_ZIP_MEGABYTES": rules.more_than(0), "WORKERS": rules.whole(0, 10000)}


def main(settings):
    media.require_ffmpeg()
    clips = find_clips(settings.DATA, settings.MAX_ZIP_MEGABYTES, settings.ZIP_PASSWORD)
    steps.run_step(
        clips,
        extract_sound,
        VOICES,
        whole_file,
        constants={"FFMPEG": media.ffmpeg_version()},
        shard=settings.SHARD,
        password=settings.ZIP_PASSWORD,
        workers=settings.WORKERS,
    )


if __name__ == "__main__":
    script.run(main, single_instance=("SHARD",))
