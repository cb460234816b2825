"""The sample's files: clips in zips, and annotations, in ChaLearn's layout."""

import functools
import pickle
import struct
import subprocess
import tempfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import scipy.io.wavfile

from first_impression.common import files, parallel
from first_impression.common.errors import UserError
from first_impression.data import media
from first_impression.data.chalearn import TRAITS
from first_impression.data.sound import CHANNELS, SAMPLE_RATE
from first_impression.sample import drawing, plan, voice

CLIPS_PER_ZIP = 40
ANNOTATED = (*TRAITS[:-1], "interview", TRAITS[-1])  # the keys of ChaLearn's annotations, in their order


def zips_of(splits):
    """The zips that hold the clips of {split: list of clips}: {path: list of clips}, in data/."""
    return {
        Path("data") / f"{split.name}80_{number:02d}.zip": clips[start : start + CLIPS_PER_ZIP]
        for split, clips in splits.items()
        for number, start in enumerate(range(0, len(clips), CLIPS_PER_ZIP), 1)
    }


def write_zips(zips, seconds, frame_rate, seed, workers):
    """Make the clips of `zips`, {path: list of `plan.PlannedClip`}, `workers` (0: one per core) at a time, under a bar.

    `seconds` is the length of each, `frame_rate` in frames per second.
    """
    frames = max(1, round(seconds * frame_rate))
    make = functools.partial(make_clip, seed=seed, frames=frames, frame_rate=frame_rate)
    planned_clips = [clip for clips in zips.values() for clip in clips]
    videos = parallel.in_order(make, planned_clips, workers, processes=True)
    with parallel.progress(len(planned_clips), "drawing", "clip") as bar:
        for path, clips in zips.items():
            with files.whole_file(path) as tmp, zipfile.ZipFile(tmp, "w") as archive:
                for _ in clips:
                    clip, video = next(videos)
                    archive.writestr(zipfile.ZipInfo(f"{clip.name}.mp4"), video)  # ZipInfo: no date, equal files
                    bar.update()


def write_annotation(path, clips):
    """The labels of `clips` in ChaLearn's form: {trait: {file name: NumPy float64}}, as a pickle of protocol 2."""
    rows = {f"{clip.name}.mp4": {**clip.traits, "interview": np.mean(list(clip.traits.values()))} for clip in clips}
    labels = {trait: {name: np.float64(row[trait]) for name, row in rows.items()} for trait in ANNOTATED}
    with files.whole_file(path) as tmp:
        tmp.write_bytes(pickle.dumps(labels, protocol=2))


def make_clip(clip, seed, frames, frame_rate):
    """The MP4 file of a `plan.PlannedClip`, as bytes. The sound is made first, since the mouth moves with it."""
    cv2.setNumThreads(1)  # several clips are drawn at a time
    speaker = plan.draw_speaker(clip.source, seed)
    rng = np.random.default_rng([seed, 2, clip.number])
    sound = voice.speak(clip.traits, speaker.pitch, frames / frame_rate, rng)
    loudness = np.array([np.sqrt(np.mean(part**2)) for part in np.array_split(sound, frames)])
    pictures = drawing.draw_frames(clip.traits, speaker, loudness / loudness.max(), frame_rate, rng)
    return encode(pictures, sound, frame_rate)


def encode(pictures, sound, frame_rate):
    """The MP4 file, H.264 and AAC, of `pictures`, uint8 [240, 320, 3] RGB each, and `sound`, float [samples], -1..1.

    Raises `UserError` where ffmpeg fails or the file is not whole.
    """
    with tempfile.TemporaryDirectory() as folder:
        wav, video = Path(folder) / "sound.wav", Path(folder) / "clip.mp4"
        samples = np.int16(np.clip(sound, -1, 1) * 32767)
        scipy.io.wavfile.write(wav, SAMPLE_RATE, np.stack([samples] * CHANNELS, axis=1))
        size = f"{drawing.WIDTH}x{drawing.HEIGHT}"
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(frame_rate)]
        # one thread and no version stamps: equal pictures give equal files
        coding = "-c:v libx264 -preset faster -crf 30 -pix_fmt yuv420p -threads 1 -c:a aac -b:a 64k -bitexact".split()
        command = [media.ffmpeg(), "-y", "-v", "error", *raw, "-i", "-", "-i", wav, *coding, video]
        data = b"".join(picture.tobytes() for picture in pictures)
        done = subprocess.run(command, input=data, capture_output=True)
        mp4 = video.read_bytes() if video.exists() else b""
    if done.returncode or not _is_whole(mp4):
        reason = (done.stderr.decode(errors="replace").strip() or "no reason given").splitlines()[-1].split("] ")[-1]
        raise UserError(f"{media.ffmpeg()} could not make a clip ({reason}): fix that and run this again")
    return mp4


def _is_whole(mp4):
    """Whether the boxes of an MP4 file fill it, the index last: an old ffmpeg reports success even on a full disk."""
    position, kind = 0, b""
    while position + 8 <= len(mp4):
        size, kind = struct.unpack_from(">I4s", mp4, position)
        if size < 8:
            break
        position += size
    return position == len(mp4) and kind == b"moov"
