"""Steps 1 to 4 on all cores, each against a yardstick on the same input, which the step before has made.

frames_first        step 1, the first 100 frames, against one process that reads, resizes and writes them with OpenCV,
                    as the original code does
frames_even         step 1, 100 frames spread over the clip, against decoding every clip completely to nothing, one
                    ffmpeg per core: what any way that looks at the whole clip has to pay
sound               step 2, against one plain ffmpeg after another
image_records       step 3, against the original's way, one frame after another: open the JPEG with Pillow, resize to
                    224 x 224 with the Lanczos filter, write raw pixels and label as one Example
                    and again from frames of 256 x 256, as the original's step 1 leaves them
audio_features      step 4, against `python_speech_features.logfbank` with its defaults on the stereo array, one file
                    after another, cut or repeated to 3059 windows; ours writes its records as well
"""

import logging
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import material
import numpy as np
from PIL import Image
from python_speech_features import logfbank
from runner import compare, run_step, seconds, temporary_folder
from scipy.io import wavfile

from first_impression.common import script
from first_impression.common.tensorflow_start import load_tensorflow
from first_impression.data import audio, chalearn, media
from first_impression.data.sound import SAMPLE_RATE

CLIPS = 40  # clips per round
ROUNDS = 3  # rounds of ours and the yardstick each

_FRAMES = 100  # per clip


def main(settings):
    load_tensorflow()
    logging.disable(logging.WARNING)  # the library remarks on every file that its windows are longer than its FFT
    frames = ("--FRAMES_PER_CLIP", _FRAMES, "--SAMPLING")
    table = (  # figure, script and flags, its output, yardstick, its name, units per clip
        ("frames_first", ("Video_to_Image", *frames, "first"), "ImageData", opencv, "a loop with OpenCV", 1),
        ("frames_even", ("Video_to_Image", *frames, "even"), "ImageData", decoding, "decoding to nothing", 1),
        ("sound", ("vid_to_wav",), "VoiceData", plain_ffmpeg, "one ffmpeg after another", 1),
        ("image_records", ("Write_Into_TFRecords",), "train_full.*", pillow, "the original's way", _FRAMES),
        ("image_records", ("Write_Into_TFRecords",), "train_full.*", pillow_256, "the same from 256 x 256", _FRAMES),
        ("audio_features", ("feat_extraction_from_wav",), "train_audio_full.*", library, "logfbank", 1),
    )
    with temporary_folder():
        material.make_clips(settings.CLIPS)
        for figure, step, output, yardstick, name, per_clip in table:

            def ours(step=step, output=output):
                for path in Path().glob(output):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                return run_step(*step)

            ours(), yardstick()  # once without the clock: the first calls import modules and prepare frames
            amount, unit = settings.CLIPS * per_clip, "clips" if per_clip == 1 else "frames"
            compare(figure, ours, partial(seconds, yardstick), name, settings.ROUNDS, amount, unit)
        assert len(list(Path("ImageData").rglob("*.jpg"))) == _FRAMES * settings.CLIPS
        for path in ("train_full.tfrecords", "raw.tfrecords"):
            print(f"{path}: {Path(path).stat().st_size / settings.CLIPS / _FRAMES:,.0f} bytes per record")


def opencv():
    size = (chalearn.FRAME_SIZE, chalearn.FRAME_SIZE)
    for clip in Path("data").rglob("*.mp4"):
        folder = Path("opencv", clip.stem)
        folder.mkdir(parents=True, exist_ok=True)
        capture = cv2.VideoCapture(str(clip))
        for number in range(1, _FRAMES + 1):
            picture = cv2.resize(capture.read()[1], size, interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(f"{folder}/frame{number}.jpg", picture)
        capture.release()


def decoding():
    def decode(clip):
        ffmpeg("-threads", 1, "-i", clip, "-map", "0:V:0", "-f", "null", "-")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(decode, Path("data").rglob("*.mp4")))


def plain_ffmpeg():
    Path("plain").mkdir(exist_ok=True)
    for clip in Path("data").rglob("*.mp4"):
        ffmpeg("-y", "-i", clip, "-ac", 2, "-ar", SAMPLE_RATE, f"plain/{clip.stem}.wav")


def ffmpeg(*arguments):
    subprocess.run([media.ffmpeg(), "-nostdin", "-v", "error", *map(str, arguments)], check=True)


def pillow():
    write_raw(sorted(Path("ImageData").glob("*/*/*.jpg")))


def pillow_256():
    folder = Path("256")
    if not folder.exists():
        folder.mkdir()
        for number, frame in enumerate(Path("ImageData").glob("*/*/*.jpg")):
            with Image.open(frame) as image:
                image.resize((256, 256)).save(folder / f"{number}.jpg", quality=95)  # OpenCV's default
    write_raw(sorted(folder.iterdir()))


def write_raw(frames):
    import tensorflow as tf

    def feature(content):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))

    label = np.full(len(chalearn.TRAITS), 0.5, np.float32)
    size = (chalearn.FRAME_SIZE, chalearn.FRAME_SIZE)
    with tf.io.TFRecordWriter("raw.tfrecords") as writer:
        for frame in frames:
            pixels = np.array(Image.open(frame).resize(size, Image.Resampling.LANCZOS)).astype(np.uint8)
            values = {"train/label": feature(label.tobytes()), "train/image": feature(pixels.tobytes())}
            writer.write(tf.train.Example(features=tf.train.Features(feature=values)).SerializeToString())


def library():
    for wav in Path("VoiceData").glob("*/*.wav"):
        np.resize(logfbank(wavfile.read(wav)[1], samplerate=SAMPLE_RATE), audio.FEATURES)


if __name__ == "__main__":
    script.run(main)
