"""Step 2, vid_to_wav.py, on all cores: clips per second.

Against one plain ffmpeg after another, `ffmpeg -i clip -ac 2 -ar 44100 out.wav`. Both read the unpacked clips that
step 1 leaves.
"""

import os
import shutil
import subprocess
from pathlib import Path

import material
from runner import compare, run_step, seconds, workshop

from first_impression.common import rules, script
from first_impression.data import chalearn, media

CLIPS = 40  # clips per round
ROUNDS = 5  # of ours and the yardstick each
MATERIAL = ""  # a folder that keeps the clips for the next benchmark; "": none

RULES = {"CLIPS": rules.whole(1), "ROUNDS": rules.whole(1)}


def main(settings):
    kept = settings.MATERIAL and os.path.abspath(settings.MATERIAL)
    with workshop():
        clips = material.unpack(material.make_clips(kept), settings.CLIPS)

        def step():
            shutil.rmtree(chalearn.VOICES, ignore_errors=True)
            took = run_step("vid_to_wav")
            written = sum(1 for _ in chalearn.VOICES.glob("*/*.wav"))
            assert written == settings.CLIPS, written
            return took

        def plain():
            """one plain ffmpeg after another."""
            shutil.rmtree("plain", ignore_errors=True)
            Path("plain").mkdir()
            return seconds(convert_all, clips)

        compare("sound", step, plain, settings.ROUNDS, settings.CLIPS, "clips", target=1.7)


def convert_all(clips):
    for number, clip in enumerate(clips):
        command = [media.ffmpeg(), "-i", str(clip), "-ac", "2", "-ar", "44100", f"plain/{number}.wav"]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)


if __name__ == "__main__":
    script.run(main)
