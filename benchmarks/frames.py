"""Step 1, Video_to_Image.py, on all cores: clips per second.

`SAMPLING = "first"`, 100 frames, against one process that reads, resizes and writes the first 100 frames of each clip
with OpenCV, as the original code does. `SAMPLING = "even"`, 100 frames, against decoding every clip completely to
nothing, with as many ffmpeg at a time as there are cores: what any way has to pay that looks at the whole clip.

Both read unpacked clips.
"""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import material
from runner import compare, run_step, seconds, workshop

from first_impression.common import rules, script
from first_impression.data import chalearn, media

CLIPS = 40  # clips per round
ROUNDS = 3  # of ours and the yardstick each
MATERIAL = ""  # a folder that keeps the clips for the next benchmark; "": none

RULES = {"CLIPS": rules.whole(1), "ROUNDS": rules.whole(1)}

_FRAMES = 100


def main(settings):
    kept = settings.MATERIAL and os.path.abspath(settings.MATERIAL)
    with workshop():
        clips = material.unpack(material.make_clips(kept), settings.CLIPS)

        def step(sampling):
            shutil.rmtree(chalearn.IMAGES, ignore_errors=True)
            took = run_step("Video_to_Image", "--SAMPLING", sampling, "--FRAMES_PER_CLIP", str(_FRAMES))
            written = sum(1 for _ in chalearn.IMAGES.glob("*/*/frame*.jpg"))
            assert written == _FRAMES * settings.CLIPS, written
            return took

        def opencv():
            """one process that reads, resizes and writes with OpenCV."""
            shutil.rmtree("opencv", ignore_errors=True)
            return seconds(opencv_loop, clips)

        def decoding():
            """decoding the whole clips to nothing, one ffmpeg per core."""
            return seconds(decode_all, clips)

        rest = (settings.ROUNDS, settings.CLIPS, "clips")
        compare("frames_first", lambda: step("first"), opencv, *rest, target=1.8)
        compare("frames_even", lambda: step("even"), decoding, *rest, target=1.0)


def opencv_loop(clips):
    for number, clip in enumerate(clips):
        folder = Path("opencv") / str(number)
        folder.mkdir(parents=True)
        capture = cv2.VideoCapture(str(clip))
        for frame in range(1, _FRAMES + 1):
            _, picture = capture.read()
            size = (chalearn.FRAME_SIZE, chalearn.FRAME_SIZE)
            cv2.imwrite(f"{folder}/frame{frame}.jpg", cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC))
        capture.release()


def decode_all(clips):
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(decode, clips))


def decode(clip):
    command = [media.ffmpeg(), "-nostdin", "-v", "error", "-threads", "1", "-i", str(clip), "-map", "0:V:0"]
    subprocess.run([*command, "-f", "null", "-"], check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    script.run(main)
