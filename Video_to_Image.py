"""Step 1: frames of every clip.

Reads   data/training80_NN.zip, data/validation80_NN.zip (or what is already in unzippedData/)
Writes  unzippedData/<zip>/<clip>.mp4
        ImageData/trainingData/<clip>/frame1.jpg .., ImageData/validationData/<clip>/frame1.jpg ..
        ImageData/clips.jsonl, the log: constants and version of ffmpeg, then what became of each clip
        ImageData/unusable.csv, the clips that gave no frames, with the reason
Run     python Video_to_Image.py

A clip longer than ChaLearn's, 15.3 s, gives FRAMES_PER_CLIP frames of each of the windows that predict.py answers,
numbered one window after the other.
A second run makes what is missing, and remakes outputs whose video, or whose own content, has changed. With a SHARD the
names of log and table have its number in them.
"""

from first_impression.common import rules, script
from first_impression.common.errors import counted, name_some
from first_impression.common.files import whole_folder
from first_impression.data import media, steps
from first_impression.data.chalearn import FRAME_SIZE, IMAGES
from first_impression.data.clips import find_clips
from first_impression.data.frames import extract_frames

FRAMES_PER_CLIP = 100  # frames kept of each clip, or of each window of a long one; a short one gives all it has
SAMPLING = "even"  # "even": spread over the whole clip, so that all of it is seen; "first": the first ones

SHARD = ""  # "3/16": only the third of 16 shards of the clips, to run 16 of these side by side; "": all
DATA = "data"  # folder of the clips, in zips or not
MAX_ZIP_MEGABYTES = 2000.0  # what the clips of one zip may unpack to, and the zips in it
ZIP_PASSWORD = ""  # for encrypted zips; the environment variable CHALEARN_ZIP_PASSWORD does as well
WORKERS = 0  # clips decoded at a time; 0: one per core
NVDEC = False  # True: an NVIDIA GPU decodes what it can, to the same frames; see docs/speed.md

RULES = {
    "FRAMES_PER_CLIP": rules.whole(1, 10**6),
    "SAMPLING": rules.one_of("even", "first"),
    "SHARD": rules.shard,
    "MAX_ZIP_MEGABYTES": rules.more_than(0),
    "WORKERS": rules.whole(0, 10000),
}


def main(settings):
    media.require_ffmpeg()
    count, sampling = settings.FRAMES_PER_CLIP, settings.SAMPLING
    nvdec, on_cpu = settings.NVDEC, []
    if nvdec and (fault := media.nvdec_fault()):
        print(f"NVDEC = True: there is no NVIDIA GPU for ffmpeg ({fault}), so the CPU decodes")
        nvdec = False

    def make(video, folder, note):
        by_cpu = (lambda: on_cpu.append(video.stem)) if nvdec else None
        return extract_frames(video, folder, count, sampling, FRAME_SIZE, note=note, nvdec=by_cpu)

    clips = find_clips(settings.DATA, settings.MAX_ZIP_MEGABYTES, settings.ZIP_PASSWORD)
    made = steps.run_step(
        clips,
        make,
        IMAGES,
        whole_folder,
        constants={"FRAMES_PER_CLIP": count, "SAMPLING": sampling, "FFMPEG": media.ffmpeg_version()},
        shard=settings.SHARD,
        password=settings.ZIP_PASSWORD,
        workers=settings.WORKERS,
    )
    short = [clip.name for clip, frames in made.items() if frames < count]
    if short:
        print(f"  {counted(len(short), 'clip')} with fewer than {count} frames: {name_some(short)}")
    if on_cpu:
        print(f"  {counted(len(on_cpu), 'clip')} decoded on the CPU, as NVDEC could not: {name_some(on_cpu)}")


if __name__ == "__main__":
    script.run(main, single_instance=("SHARD",))
