"""Step 1: frames of every clip.

Reads   data/training80_NN.zip, data/validation80_NN.zip (or what is already in unzippedData/)
Writes  unzippedData/<zip>/<clip>.mp4
        ImageData/trainingData/<clip>/frame1.jpg .., ImageData/validationData/<clip>/frame1.jpg ..
        ImageData/unusable.csv, the clips that gave no frames, with the reason
        ImageData/gone.json, the clips that are gone from the zips, if there are any
        ImageData/settings.json, what they were made with: constants and version of ffmpeg
Run     python Video_to_Image.py

A second run makes what is missing, and what is not as it was made from these very clips. With a SHARD the list
of the unusable has its number in its name.
"""

from first_impression.common import files, rules, script
from first_impression.common.errors import name_some
from first_impression.common.settings import keep_settings
from first_impression.data import chalearn, media, steps
from first_impression.data.clips import find_clips
from first_impression.data.frames import extract_frames

FRAMES_PER_CLIP = 100  # frames kept of each clip; a shorter clip gives all it has
SAMPLING = "even"  # "even": spread over the whole clip, so that all of it is seen; "first": the first ones

SHARD = ""  # "3/16": only the third of 16 shards of the clips, to run 16 of these side by side; "": all
DATA = "data"  # folder of the clips, in zips or not
MAX_ZIP_MEGABYTES = 2000.0  # what the clips of one zip may unpack to
ZIP_PASSWORD = ""  # for encrypted zips; the environment variable CHALEARN_ZIP_PASSWORD does as well
PRUNE = False  # True: remove what was made of clips that are gone from the zips, as of somebody who withdrew consent
WORKERS = 0  # clips decoded at a time; 0: one per core

RULES = {
    "FRAMES_PER_CLIP": rules.whole(1, 10**6),
    "SAMPLING": rules.one_of("even", "first"),
    "SHARD": rules.shard,
    "MAX_ZIP_MEGABYTES": rules.more_than(0),
    "WORKERS": rules.whole(0, 10000),
}


def main(settings):
    media.require_ffmpeg()
    clips = find_clips(settings.DATA, settings.MAX_ZIP_MEGABYTES, settings.ZIP_PASSWORD)
    made_with = {name: getattr(settings, name) for name in ("FRAMES_PER_CLIP", "SAMPLING")}
    made_with["FFMPEG"] = media.ffmpeg_version()
    keep_settings(chalearn.IMAGES, made_with, by=chalearn.shard_suffix(settings.SHARD))

    def make(video, tmp):
        return extract_frames(video, tmp, settings.FRAMES_PER_CLIP, settings.SAMPLING, chalearn.FRAME_SIZE)

    made = steps.for_each_clip(make, clips, "frames", files.whole_folder, chalearn.IMAGES, made_with, settings)
    short = [clip.name for clip, frames in made.items() if frames < settings.FRAMES_PER_CLIP]
    if short:
        print(f"  {len(short)} clips have fewer than {settings.FRAMES_PER_CLIP} frames: {name_some(short)}")


if __name__ == "__main__":
    script.run(main, single_instance=("SHARD",))
