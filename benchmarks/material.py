"""The benchmarks' input, made from nothing: clips like ChaLearn's, and their labels.

A clip has 15.3 s, 1280 x 720 at 30 frames/s: H.264 of about 1.5 Mbit/s with B-frames, and AAC at 44.1 kHz in stereo.
Something moves over a still background under noise, as a camera's picture is never quite still. A few different clips
are encoded, and each is used under many names: encoding takes long, and no step notices that two clips are equal.
"""

import os
import pickle
import shutil
import subprocess
from pathlib import Path

import numpy as np
from runner import CLIPS  # finds the project as well

from first_impression.data import chalearn, media

SECONDS = 15.3
RATE = 30  # frames/s
BITS = 1_500_000  # per second, of the picture
DIFFERENT = 4  # clips


def make_clips(count, split=chalearn.TRAINING):
    """Put `count` clips into data/ and their annotation beside it; returns the clips' paths."""
    folder = Path("data", split.folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.mp4" for name in labels(count, split)]
    for number, path in enumerate(paths):
        encoded = encode(number % DIFFERENT)
        (os.link if encoded.stat().st_dev == folder.stat().st_dev else shutil.copy)(encoded, path)
    values = labels(count, split)
    traits = {trait: {f"{name}.mp4": values[name][i] for name in values} for i, trait in enumerate(chalearn.TRAITS)}
    chalearn.ANNOTATIONS.mkdir(exist_ok=True)
    (chalearn.ANNOTATIONS / f"annotation_{split.name}.pkl").write_bytes(pickle.dumps(traits, protocol=2))
    return paths


def labels(count, split=chalearn.TRAINING):
    """{clip name: float64 [5]}, random; no name is in two splits."""
    random = np.random.default_rng(0)
    return {f"{split.name}{number:05d}.000": random.random(len(chalearn.TRAITS)) for number in range(count)}


def encode(number):
    """The path of one encoded clip; another `number` is another picture and another sound."""
    clip = CLIPS / f"{number}.mp4"
    if clip.exists():
        return clip
    clip.parent.mkdir(parents=True, exist_ok=True)
    pictures = [
        *("-f", "lavfi", "-i", f"testsrc2=size=1280x720:rate={RATE}"),
        *("-f", "lavfi", "-i", f"mandelbrot=size=480x480:rate={RATE}:end_pts=600"),
    ]
    voice = f"0.3*sin(2*PI*{150 + 40 * number}*t)*(1+sin(8*t))"
    sound = ["-f", "lavfi", "-i", f"aevalsrc='{voice}+0.05*random(0)|{voice}+0.05*random(1)':s=44100"]
    # The first frame stands still as the wall behind; the other picture moves in front of it
    drawn = (
        f"[0]trim=end_frame=1,gblur=3,hue=h={60 * number}:s=0.5,loop=-1:1,setpts=N/{RATE}/TB[wall];"
        f"[1]hue=h={90 * number}[moving];[wall][moving]overlay=x='400+120*sin(1.3*t)':y='120+80*cos(2.1*t)':shortest=1,"
        f"noise=c0_strength=4:c0_flags=t:all_seed={number + 1},format=yuv420p"
    )
    coding = ["-c:v", "libx264", "-b:v", str(BITS), "-bf", "3", "-c:a", "aac", "-ac", "2", "-ar", "44100"]
    inputs = [*pictures, *sound, "-filter_complex", drawn, "-map", "2:a", "-t", str(SECONDS)]
    partial = clip.with_name(f"partial.{clip.name}")
    print(f"encoding {clip}", flush=True)
    subprocess.run([media.ffmpeg(), "-nostdin", "-v", "error", "-y", *inputs, *coding, partial], check=True)
    bits = 8 * partial.stat().st_size / SECONDS
    assert 0.8 < bits / BITS < 1.3, f"{clip} has {bits / 1e6:.2f} Mbit/s"
    partial.rename(clip)
    return clip
