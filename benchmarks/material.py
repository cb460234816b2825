"""What the benchmarks work on, made out of nothing: clips like ChaLearn's, frames, sounds, annotations, weights.

A clip has 15.3 s, 1280 x 720 at 30 frames/s: H.264 of about 1.5 Mbit/s with B-frames, and AAC at 44.1 kHz in stereo.
Something moves over a still background under noise, as a camera's picture is never quite still. A few different clips
are encoded and stand under as many names as wanted: encoding takes long, and no step knows one clip from another.
"""

import os
import pickle
import subprocess
import zipfile
from pathlib import Path

import numpy as np
from runner import seconds  # finds the project as well

from first_impression.common.errors import UserError
from first_impression.data import chalearn, media, vggface
from first_impression.data.frames import extract_frames
from first_impression.data.sound import extract_sound

SECONDS = 15.3
RATE = 30  # frames/s
BITS = 1_500_000  # per second, of the picture
DIFFERENT = 4
ZIP = "training80_01"


def make_clips(folder=""):
    """Paths of the different clips in `folder` ("": the current one), made if they are not there."""
    folder = Path(folder).absolute() / "clips"
    folder.mkdir(parents=True, exist_ok=True)
    clips = [folder / f"{number}.mp4" for number in range(DIFFERENT)]
    missing = [clip for clip in clips if not clip.exists()]
    if missing:
        print(f"encoding {len(missing)} clips ...", flush=True)
        print(f"  {sum(seconds(encode, clip, clips.index(clip)) for clip in missing):.0f} s")
    for clip in clips:
        check(clip)
    return clips


def encode(clip, number):
    """Write one clip; another `number` is another picture and another sound."""
    length = ["-t", str(SECONDS)]
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
    tmp = clip.with_name(f"tmp.{clip.name}")
    inputs = [*pictures, *sound, "-filter_complex", drawn, "-map", "2:a"]
    command = [media.ffmpeg(), "-nostdin", "-v", "error", "-y", *inputs, *length, *coding, str(tmp)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"ffmpeg could not make a clip: {done.stderr.strip()}")
    os.replace(tmp, clip)


def check(clip):
    """Raises `UserError` where a clip is not what this module's docstring says."""
    command = [media.ffmpeg(), "-nostdin", "-v", "error", "-i", str(clip), "-map", "0:V:0", "-c", "copy"]
    packets = subprocess.run([*command, "-f", "framecrc", "-"], capture_output=True, text=True).stdout.splitlines()
    packets = [line.split(",") for line in packets if not line.startswith("#")]
    # Shown at another time than decoded, in growing distance: only B-frames are
    delays = {int(packet[2]) - int(packet[1]) for packet in packets}
    rate = 8 * sum(int(packet[4]) for packet in packets) / SECONDS
    if len(packets) != round(SECONDS * RATE) or len(delays) < 3 or not 0.8 < rate / BITS < 1.2:
        raise UserError(
            f"{clip}: {len(packets)} frames, {rate / 1e6:.2f} Mbit/s, {len(delays)} delays: not as it should be"
        )


def names(count, split=chalearn.TRAINING):
    """Of `count` clips; no name is in two splits."""
    return [f"{split.name}{number:05d}.000" for number in range(count)]


def pack(clips, count):
    """data/training80_01.zip with `count` clips, stored as they are."""
    Path("data").mkdir(exist_ok=True)
    with zipfile.ZipFile(f"data/{ZIP}.zip", "w", zipfile.ZIP_STORED) as archive:
        for number, name in enumerate(names(count)):
            archive.write(clips[number % len(clips)], f"{name}.mp4")


def unpack(clips, count):
    """unzippedData/training80_01/ with `count` clips, as step 1 leaves it; returns their paths."""
    return [
        link(clips[number % len(clips)], chalearn.UNZIPPED / ZIP / f"{name}.mp4")
        for number, name in enumerate(names(count))
    ]


def make_frames(clips, count, frames=100, split=chalearn.TRAINING):
    """ImageData/ of `count` clips with up to 100 `frames` each, as step 1 leaves it; returns the paths."""
    made = []
    for number, name in enumerate(names(count, split)):
        source = Path("made") / f"{number % len(clips)}.{frames}"
        if not source.exists():
            source.mkdir(parents=True)
            extract_frames(clips[number % len(clips)], source, frames, "even", chalearn.FRAME_SIZE)
        for frame in range(1, frames + 1):
            name_of_frame = f"frame{frame}.jpg"
            made.append(link(source / name_of_frame, chalearn.IMAGES / split.folder / name / name_of_frame))
    annotate(split, count)
    return made


def make_sounds(clips, count, split=chalearn.TRAINING):
    """VoiceData/ of `count` clips, as step 2 leaves it; returns the paths."""
    made = []
    for number, name in enumerate(names(count, split)):
        source = Path("made") / f"{number % len(clips)}.wav"
        if not source.exists():
            source.parent.mkdir(exist_ok=True)
            extract_sound(clips[number % len(clips)], source)
        made.append(link(source, chalearn.VOICES / split.folder / f"{name}.wav"))
    annotate(split, count)
    return made


def link(source, target):
    """One file under another name too."""
    target.parent.mkdir(parents=True, exist_ok=True)
    os.link(source, target) if source.stat().st_dev == target.parent.stat().st_dev else target.symlink_to(source)
    return target


def labels(count, split=chalearn.TRAINING):
    """{clip: float64 [5]}, drawn; those of the first clips are the same for any `count`."""
    return dict(zip(names(count, split), np.random.default_rng(0).random((count, 5)), strict=True))


def annotate(split, count):
    """The annotation of `count` clips, in ChaLearn's form."""
    split.annotation.parent.mkdir(exist_ok=True)
    drawn = labels(count, split).items()
    traits = {trait: {f"{name}.mp4": label[i] for name, label in drawn} for i, trait in enumerate(chalearn.TRAITS)}
    split.annotation.write_bytes(pickle.dumps(traits, protocol=2))


def write_weights(path):
    """A MATLAB file of VGG-16's convolutions in the layout of vgg-face.mat, with random weights."""
    from scipy.io import savemat

    rng = np.random.default_rng(0)
    cells = np.empty((1, len(vggface.CONVOLUTIONS)), object)
    for index, (name, shape) in enumerate(vggface.CONVOLUTIONS.items()):
        weights = np.empty((1, 2), object)
        stddev = np.sqrt(2 / np.prod(shape[:-1]))  # keeps the size of what passes through
        weights[0, 0] = rng.normal(0, stddev, shape).astype(np.float32)
        weights[0, 1] = np.zeros((shape[-1], 1), np.float32)
        cells[0, index] = {"name": name, "type": "conv", "weights": weights}
    savemat(path, {"layers": cells, "meta": {"note": "random weights of the benchmarks"}})
