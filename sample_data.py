"""A small dataset shaped like ChaLearn's, made out of nothing, to see the whole pipeline work.

Writes  data/training80_01.zip, data/training80_02.zip, data/validation80_01.zip
        Annotations/annotation_training.pkl, Annotations/annotation_validation.pkl
        vgg-face.mat: made-up weights in the place of VGG-Face, which it is not
        README.txt, which says what this folder is
Run     mkdir sample && cd sample && python ../sample_data.py

The clips are drawn heads that talk gibberish. Their labels mean nothing: each trait only sets how a clip is
staged (wall, light, distance, shirt, voice), so that there is something to learn. Skin, hair and pitch are
drawn without regard to the labels. Half a minute on two cores, 5 MB. A second run makes what is missing.
"""

import functools
import pickle
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import scipy.io
import scipy.io.wavfile

from first_impression.common import files, parallel, script
from first_impression.common.errors import UserError
from first_impression.data import chalearn, media
from first_impression.data.sound import CHANNELS, SAMPLE_RATE

TRAINING_CLIPS = 80  # clips in data/training80_NN.zip
VALIDATION_CLIPS = 40  # clips in data/validation80_NN.zip; half of them from source videos that training knows
SECONDS = 3.0  # length of a clip
FRAMES_PER_SECOND = 10  # of a clip
SEED = 0  # another number: other people, other labels
WORKERS = 0  # clips drawn at a time; 0: one per core

SPLITS = (chalearn.TRAINING, chalearn.VALIDATION)
# Facts of the sample. Without a remark behind them they are no flags.
WEIGHTS = Path("vgg-face.mat")
CLIPS_PER_ZIP = 40
CLIPS_PER_SOURCE = 3
WIDTH, HEIGHT = 320, 240
FINENESS = 2
ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
ANNOTATED = ("extraversion", "neuroticism", "agreeableness", "conscientiousness", "interview", "openness")

# Kernels this much larger leave the network's answer as it was, since the descriptors are normalised, but make a
# training step that much gentler on them: at 1, Adam would overwrite them at its first steps; from 15 on, float32
# would overflow in the norm.
GAIN = 10.0
MEAN_COLOUR = (129.1863, 104.7624, 93.5940)
VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))

README = """Sample data for First-Impression, made by sample_data.py

The clips in data/ are drawn, nobody is in them, and they say nothing. The labels in Annotations/ are made up and mean
nothing: they set how a clip is staged, never who seems to be in it. vgg-face.mat holds made-up weights, NOT VGG-Face.
There is nothing to learn about people from this folder: a good score shows that the scripts work, no more.

Made with {settings}
"""

# Anchors from which skin and hair are drawn; red, green, blue.
SKIN = ((252, 226, 205), (238, 190, 150), (198, 140, 98), (141, 91, 60), (84, 54, 40))
HAIR = ((28, 24, 26), (62, 42, 32), (112, 70, 42), (156, 74, 38), (216, 176, 104), (170, 168, 168), (238, 234, 226))
HAIR_STYLES = ("short", "long", "bun", "curls", "none")
IRIS = ((74, 46, 28), (104, 78, 40), (70, 104, 66), (70, 110, 150))
BLACK, WHITE = (24, 20, 22), (250, 248, 244)


@dataclass(frozen=True)
class Take:
    """One clip to be made. `number` counts all clips, `source` the videos they seem to be cut from."""

    name: str
    number: int
    source: int
    traits: dict


def main(settings):
    media.require_ffmpeg()
    readme = README.format(settings=", ".join(f"{n} = {v}" for n, v in vars(settings).items() if n != "WORKERS"))
    takes = plan(settings)
    zips = {
        Path("data") / f"{split.zip_prefix}{number + 1:02d}.zip": takes[split][start : start + CLIPS_PER_ZIP]
        for split in SPLITS
        for number, start in enumerate(range(0, len(takes[split]), CLIPS_PER_ZIP))
    }
    outputs = [*zips, *(split.annotation for split in SPLITS), WEIGHTS]
    refuse_to_mix(readme, outputs)
    missing = [output for output in outputs if not output.exists()]
    if not missing:
        print(f"The sample is complete in {Path.cwd()}: nothing to do.")
        return
    with files.whole_file("README.txt") as tmp:  # first, so that a later run knows the folder as its own
        tmp.write_text(readme, encoding="utf-8")
    write_clips({archive: part for archive, part in zips.items() if archive in missing}, settings)
    for split in SPLITS:
        if split.annotation in missing:
            write_annotation(split.annotation, takes[split])
    if WEIGHTS in missing:
        write_weights(WEIGHTS)
    size = sum(output.stat().st_size for output in outputs) / 1e6
    counts = " and ".join(f"{len(takes[split])} {split.name}" for split in SPLITS)
    print(f"{counts} clips, their annotations and vgg-face.mat are in {Path.cwd()}: {size:.1f} MB")
    print("  the clips are drawn, the labels mean nothing, and vgg-face.mat holds made-up weights, NOT VGG-Face")


def refuse_to_mix(readme, outputs):
    """Raises `UserError` where the folder holds something of another origin, or a sample of other settings."""
    note = Path("README.txt")
    found = note.read_text(encoding="utf-8", errors="replace") if note.exists() else ""
    if found.partition("\n")[0] == readme.partition("\n")[0]:
        if found != readme:
            raise UserError(f"{Path.cwd()} holds a sample of other settings: give those again, or use an empty folder")
        return
    foreign = [path for path in (note, *sorted(Path("data").glob("*.zip")), *outputs) if path.exists()]
    if foreign:
        raise UserError(f"{Path.cwd()} holds {foreign[0]}, which is not the sample's: run this in an empty folder")


def plan(settings):
    """{split: its takes}: every name, source and label; nothing is drawn yet."""
    rng = np.random.default_rng([settings.SEED, 0])
    known = -(-settings.TRAINING_CLIPS // CLIPS_PER_SOURCE)
    shared = settings.VALIDATION_CLIPS // 2
    sources = [clip % known for clip in range(settings.TRAINING_CLIPS + shared)]
    sources += [known + clip // CLIPS_PER_SOURCE for clip in range(settings.VALIDATION_CLIPS - shared)]
    ids = [source_id(number, rng) for number in range(max(sources) + 1)]
    names = [f"{ids[source]}.{sources[:clip].count(source):03d}" for clip, source in enumerate(sources)]
    # Few clips, drawn at random, can have two traits that rise together: take the best of many draws
    labels = min((draw_labels(sources, settings.TRAINING_CLIPS, rng) for _ in range(300)), key=entanglement)
    traits = [dict(zip(chalearn.TRAITS, row, strict=True)) for row in np.concatenate(labels).tolist()]
    takes = [Take(*each) for each in zip(names, range(len(names)), sources, traits, strict=True)]
    training, validation = takes[: settings.TRAINING_CLIPS], takes[settings.TRAINING_CLIPS :]
    rng.shuffle(training)
    rng.shuffle(validation)
    return {chalearn.TRAINING: training, chalearn.VALIDATION: validation}


def draw_labels(sources, training, rng):
    """Labels of the first `training` clips and of the others: two arrays [clips, 5].

    A clip's labels are its source's, and a part of its own, so that a source tells much of them and not all.
    Ranks in the place of the values spread each trait evenly over 0.1 .. 0.9, however few the clips are.
    """
    count = max(sources) + 1
    of_source = rng.permuted(np.tile(np.arange(count)[:, None] / count, 5), axis=0)
    values = of_source[sources] + rng.uniform(-0.3, 0.3, (len(sources), 5))
    parts = values[:training], values[training:]
    return [0.1 + 0.8 * (part.argsort(axis=0).argsort(axis=0) + 0.5) / len(part) for part in parts]


def entanglement(labels):
    """How much any two traits rise and fall together, in the worse of both splits."""
    covariances = [(part - 0.5).T @ (part - 0.5) / len(part) for part in labels]
    return max(np.abs(each - np.diag(np.diag(each))).max() for each in covariances)


def source_id(number, rng):
    """Eleven characters, like YouTube's. Some begin with a dash, as some of the dataset's do."""
    letters = "".join(rng.choice(list(ID_LETTERS), 7))
    return f"-smpl{letters[:6]}" if number % 9 == 4 else f"smpl{letters}"


def write_clips(zips, settings):
    """Draw the takes of each zip in `zips`, {path: takes}, and store them in it."""
    frames = max(1, round(settings.SECONDS * settings.FRAMES_PER_SECOND))
    draw = functools.partial(make_clip, seed=settings.SEED, frames=frames, frame_rate=settings.FRAMES_PER_SECOND)
    everything = [take for takes in zips.values() for take in takes]
    drawn = parallel.in_order(draw, everything, settings.WORKERS, processes=True)
    with parallel.progress(len(everything), "drawing", "clip") as bar:
        for archive, takes in zips.items():
            with files.whole_file(archive) as tmp, zipfile.ZipFile(tmp, "w") as opened:
                for _ in takes:
                    take, video = next(drawn)
                    opened.writestr(zipfile.ZipInfo(f"{take.name}.mp4"), video)  # ZipInfo: no date, equal bytes
                    bar.update()


def write_annotation(path, takes):
    """The labels of `takes` as ChaLearn has them: {trait: {file name: number}}, pickle protocol 2."""
    rows = {f"{take.name}.mp4": {**take.traits, "interview": np.mean(list(take.traits.values()))} for take in takes}
    labels = {trait: {name: np.float64(row[trait]) for name, row in rows.items()} for trait in ANNOTATED}
    with files.whole_file(path) as tmp:
        tmp.write_bytes(pickle.dumps(labels, protocol=2))


def write_weights(path):
    """VGG-16's convolutions in MatConvNet's layout, with weights that know colours and edges, and no faces."""
    layers, channels = [], 3
    for block, widths in enumerate(VGG16, 1):
        for number, width in enumerate(widths, 1):
            if channels == 3:
                kernel, bias = first_convolution()
            else:  # hands its input on unchanged, repeated where there are more outputs than inputs
                kernel, bias = np.zeros((3, 3, channels, width), np.float32), np.zeros(width)
                kernel[1, 1, np.arange(width) % channels, np.arange(width)] = 1
            weights = np.empty((1, 2), object)
            weights[0] = [np.float32(kernel * GAIN), np.float32(bias * GAIN)[:, None]]
            shape = {"pad": np.ones((1, 4)), "stride": np.ones((1, 2))}
            layers.append({"name": f"conv{block}_{number}", "type": "conv", "weights": weights, **shape})
            layers.append({"name": f"relu{block}_{number}", "type": "relu"})
            channels = width
        shape = {"pool": [[2.0, 2.0]], "stride": [[2.0, 2.0]], "pad": np.zeros((1, 4))}
        layers.append({"name": f"pool{block}", "type": "pool", "method": "max", **shape})
    cell = np.empty((1, len(layers)), object)
    cell[0] = layers
    note = "Made-up weights of First-Impression's sample data: colours and edges only. They are NOT VGG-Face."
    meta = {"normalization": {"averageImage": np.float32(MEAN_COLOUR).reshape(1, 1, 3)}, "note": note}
    with files.whole_file(path) as tmp, open(tmp, "wb") as target:  # a path would get ".mat" appended
        scipy.io.savemat(target, {"layers": cell, "meta": meta}, do_compression=True)


def first_convolution():
    """conv1_1: 60 channels that light up at a colour beyond a threshold, 4 at an edge. [3, 3, 3, 64] and [64]."""
    kernel, bias = np.zeros((3, 3, 3, 64)), np.zeros(64)
    axes = ((1 / 3, 1 / 3, 1 / 3), (1.5, -1.5, 0), (-0.75, -0.75, 1.5), (-0.75, 1.5, -0.75), (1.5, -0.75, -0.75))
    channels = ((sign, axis, threshold) for axis in axes for sign in (1, -1) for threshold in (-40, -10, 10, 40, 70))
    for channel, (sign, axis, threshold) in enumerate(channels):
        kernel[:, :, :, channel] = sign * np.array(axis) / 9
        bias[channel] = -threshold
    y, x = np.mgrid[-1:2, -1:2]
    for channel, angle in enumerate(np.deg2rad((0, 45, 90, 135)), 60):
        edge = np.cos(angle) * x + np.sin(angle) * y
        kernel[:, :, :, channel] = (edge / np.abs(edge).sum())[:, :, None]
    return kernel, bias


def make_clip(take, seed, frames, frame_rate):
    """The MP4 file of `take`, as bytes. Its sound comes first, since the mouth moves with it."""
    cv2.setNumThreads(1)  # the clips are drawn side by side
    look = Look(np.random.default_rng([seed, 1, take.source]))
    chance = np.random.default_rng([seed, 2, take.number])
    sound = speak(take.traits, look.pitch, frames / frame_rate, chance)
    loudness = np.array([np.sqrt(np.mean(part**2)) for part in np.array_split(sound, frames)])
    pictures = film(take.traits, look, loudness / loudness.max(), frame_rate, chance)
    return encode(pictures, sound, frame_rate)


def encode(pictures, sound, frame_rate):
    """H.264 and AAC in MP4. `pictures`: RGB arrays uint8 [240, 320, 3]; `sound`: one channel, -1 .. 1."""
    with tempfile.TemporaryDirectory() as folder:
        wav, video = Path(folder) / "sound.wav", Path(folder) / "clip.mp4"
        samples = np.int16(np.clip(sound, -1, 1) * 32767)
        scipy.io.wavfile.write(wav, SAMPLE_RATE, np.stack([samples] * CHANNELS, axis=1))
        form = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(frame_rate)]
        # one thread and no version stamps: equal pictures give equal files
        coding = "-c:v libx264 -preset faster -crf 30 -pix_fmt yuv420p -threads 1 -c:a aac -b:a 64k -bitexact".split()
        command = [media.ffmpeg(), "-y", "-v", "error", *form, "-i", "-", "-i", wav, *coding, video]
        data = b"".join(picture.tobytes() for picture in pictures)
        done = subprocess.run(command, input=data, capture_output=True)
        if done.returncode:
            raise UserError(f"{media.ffmpeg()} cannot make a clip: {done.stderr.decode(errors='replace').strip()}")
        return video.read_bytes()


def speak(traits, pitch, seconds, chance):
    """Gibberish, float [samples], -1 .. 1: a buzz through the resonances of a mouth, in syllables, and breath.

    All traits but the rate of the syllables act on the lasting spectrum, in decibels, where a linear model on
    log filterbank energies can find them.
    """
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    sway, beat, vowel = chance.uniform(0, 2 * np.pi, 3)
    melody = pitch * (1 + 0.08 * np.sin(4 * time + sway) + 0.04 * np.sin(9 * time + beat))
    buzz = 2 * (np.cumsum(melody) / SAMPLE_RATE % 1) - 1
    octaves = np.log2(np.fft.rfftfreq(len(buzz), 1 / SAMPLE_RATE).clip(50) / 1000)  # from 1 kHz

    def resonance(hertz, decibels):
        return decibels * np.exp(-0.5 * ((octaves - np.log2(hertz / 1000)) / 0.3) ** 2)

    tilt = 9 * (traits["agreeableness"] - 1) * octaves
    mouth = tilt + resonance(900 + 1500 * traits["openness"], 16) + resonance(3500, 30 * traits["conscientiousness"])
    shapes = [mouth + resonance(300, 10), mouth + resonance(700, 10)]  # two vowels to and fro, as in "mia mia"
    first, second = (np.fft.irfft(np.fft.rfft(buzz) * 10 ** (shape / 20), len(buzz)) for shape in shapes)
    syllables = np.pi * (2 + 4 * traits["conscientiousness"]) * time + 0.4 * np.sin(5 * time + sway)
    share = 0.5 + 0.5 * np.sin(syllables + vowel)
    voice = (share * first + (1 - share) * second) * (0.35 + 0.65 * np.sin(syllables + beat) ** 2)
    voice *= 10 ** ((22 * traits["extraversion"] - 38) / 20) / np.sqrt(np.mean(voice**2))
    breath = chance.normal(size=len(time)) * 10 ** ((32 * traits["neuroticism"] - 76) / 20)
    return voice + breath


class Look:
    """Who seems to speak. Drawn by chance alone: no label reaches this class.

    Among so few people some looks still go with a label, by accident; another SEED has other accidents.
    """

    def __init__(self, chance):
        place = chance.uniform(0, len(SKIN) - 1)
        self.skin = np.array([np.interp(place, range(len(SKIN)), tones) for tones in zip(*SKIN, strict=True)])
        self.hair = np.array(HAIR[chance.integers(len(HAIR))]) * chance.uniform(0.85, 1.05)
        self.style = HAIR_STYLES[chance.integers(len(HAIR_STYLES))]
        self.iris = IRIS[chance.integers(len(IRIS))]
        self.glasses = chance.random() < 0.25
        self.pitch = chance.uniform(95, 230)  # Hz


class Pen:
    """Draws shapes given in head units: origin in the middle of the face, 1 its half height, y down.

    `centre` and `radius` are in pixels of the finished picture. The one drawn on is FINENESS times as large, since
    shrinking smooths the edges.
    """

    def __init__(self, picture, centre, radius, angle):
        self.picture, self.centre, self.radius = picture, np.array(centre), radius
        self.turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])

    def shape(self, points, colour):
        points = FINENESS * (np.array(points) @ self.turn * self.radius + self.centre)
        points = np.round(points * 16).astype(np.int32)  # 4 binary places
        cv2.fillPoly(self.picture, [points], np.array(colour).tolist(), cv2.LINE_AA, shift=4)

    def both(self, points, colour):
        """A shape and its mirror image."""
        points = np.array(points)
        self.shape(points, colour)
        self.shape(points * (-1, 1), colour)


def arc(x, y, half_width, half_height, start=0, stop=360):
    """Points on an ellipse: all around, or between two angles; degrees run clockwise from three o'clock."""
    angles = np.deg2rad(np.linspace(start, stop, 40))
    return np.stack([x + half_width * np.cos(angles), y + half_height * np.sin(angles)], axis=1)


def film(traits, look, loudness, frame_rate, chance):
    """Yield the pictures, uint8 [240, 320, 3] RGB: one for each value of `loudness`, 0 .. 1, which opens the mouth."""
    radius = (0.1 + 0.29 * traits["extraversion"]) * HEIGHT
    shirt = mixed((190, 30, 180), (205, 190, 30), traits["agreeableness"])
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    light = (0.5 + 0.8 * traits["neuroticism"]) * (1.06 - 0.14 * (x**2 + (y + 0.3) ** 2))  # less in the corners
    room = wall(traits)
    middle = np.array([WIDTH / 2 + chance.uniform(-25, 25), HEIGHT * 0.47 + chance.uniform(-6, 6)])
    sway, blink = chance.uniform(0, 2 * np.pi, 3), chance.uniform(0, 2)
    for frame, opening in enumerate(loudness):
        time = frame / frame_rate
        drift = np.sin(np.array([1.7, 2.3, 1.3]) * time + sway)
        head = middle + drift[:2] * (0.06, 0.04) * radius
        picture = room.copy()
        hair_behind(Pen(picture, head, radius, 0.06 * drift[2]), look)
        dress(picture, Pen(picture, (middle + head) / 2, radius, 0), shirt, traits["extraversion"], look)
        face(Pen(picture, head, radius, 0.06 * drift[2]), look, opening, eyes_shut=(time - blink) % 2 < 0.15)
        small = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        yield np.uint8(np.clip(small * light[:, :, None], 0, 255))


def mixed(first, second, share):
    return np.array(first) * (1 - share) + np.array(second) * share


def wall(traits):
    """Wallpaper, FINENESS times as large as the picture: a ground, stripes and dots, a trait in each one's colour.

    The pattern leaves no 32 pixels without a stripe and a dot, so that each cell of the network's last layer has both.
    """
    ground = mixed((50, 80, 220), (60, 180, 80), traits["openness"])
    stripe = mixed(ground, (235, 80, 45), traits["conscientiousness"])
    dot = mixed(ground, (255, 250, 235), traits["extraversion"])
    paper = np.empty((HEIGHT * FINENESS, WIDTH * FINENESS, 3), np.uint8)
    paper[:] = ground
    pen = Pen(paper, (0, 0), 1, 0)
    for x in range(0, WIDTH + 1, 32):
        pen.shape([(x - 4, 0), (x + 4, 0), (x + 4, HEIGHT), (x - 4, HEIGHT)], stripe)
        for y in range(16, HEIGHT, 32):
            pen.shape(arc(x + 16, y, 5, 5), dot)
    return paper


def hair_behind(pen, look):
    if look.style == "long":
        pen.shape(arc(0, 0.3, 1.02, 1.3), look.hair)
    elif look.style == "bun":
        pen.shape(arc(0, -1.15, 0.38, 0.34), look.hair)
    elif look.style == "curls":
        for x, y in arc(0, -0.3, 0.8, 0.75, 150, 390)[::4]:
            pen.shape(arc(x, y, 0.34, 0.34), look.hair)


def dress(picture, pen, colour, boldness, look):
    """Shoulders in a striped shirt, the neck and a collar: the bolder the stripes, the more extraverted."""
    side = np.concatenate([[(0.3, 1.15)], arc(0.75, 1.95, 0.75, 0.65, 290, 360), [(1.8, 9)]])
    outline = np.concatenate([side, (side * (-1, 1))[::-1]])
    stencil = np.zeros_like(picture)
    Pen(stencil, pen.centre, pen.radius, 0).shape(outline, (255, 255, 255))
    rows = np.arange(len(picture)) / FINENESS - pen.centre[1]
    waves = np.clip(2 * np.sin(rows * 2 * np.pi / 14), -1, 1)
    cloth = np.clip((1 + 0.6 * boldness * waves)[:, None] * colour, 0, 255)
    cloth = np.broadcast_to(np.uint8(cloth)[:, None], picture.shape)
    np.copyto(picture, cloth, where=stencil > 127)
    pen.both([(1.16, 2.7), (1.24, 2.7), (1.32, 9), (1.16, 9)], colour * 0.6)  # where the arms begin
    pen.shape([(-0.34, 0.5), (0.34, 0.5), (0.36, 1.2), (0.0, 1.5), (-0.36, 1.2)], look.skin * 0.84)
    pen.both([(0.0, 1.5), (0.34, 1.06), (0.56, 1.22), (0.24, 1.68)], colour * 0.8)


def face(pen, look, opening, eyes_shut):
    skin, brow = look.skin, look.hair * 0.75
    pen.both(arc(0.75, 0.02, 0.13, 0.2), skin * 0.93)  # ears
    head = arc(0, 0, 0.78, 1)
    pen.shape(head * np.stack([1 - 0.14 * head[:, 1].clip(0) ** 2, np.ones(40)], axis=1), skin)
    pen.both(arc(0.44, 0.26, 0.16, 0.13), mixed(skin, (225, 90, 80), 0.1))  # cheeks
    pen.shape([(-0.02, -0.12), (0.13, 0.2), (0.08, 0.26), (-0.08, 0.26), (-0.13, 0.2)], skin * 0.94)  # nose
    pen.shape(crescent(0, 0.2, 0.1, 0.08, 0.04, 20, 160), skin * 0.72)
    if look.style != "none":
        hairline = np.concatenate([arc(0, -0.1, 0.84, 1, 172, 368), arc(0.06, 0, 0.66, 0.62, 352, 186)])
        pen.shape(hairline, look.hair)
    pen.both(crescent(0.33, -0.2, 0.2, 0.15, 0.05, 210, 330), brow)
    if eyes_shut:
        pen.both(crescent(0.33, -0.1, 0.16, 0.08, 0.03, 10, 170), skin * 0.45)
    else:
        pen.both(arc(0.33, -0.08, 0.16, 0.1), WHITE)
        pen.both(arc(0.33, -0.08, 0.09, 0.095), look.iris)
        pen.both(arc(0.33, -0.08, 0.045, 0.05), BLACK)
        pen.both(crescent(0.33, -0.08, 0.17, 0.115, 0.025, 185, 355), BLACK)  # lids
    if look.glasses:
        pen.both(crescent(0.34, -0.07, 0.25, 0.21, 0.03), BLACK)
        pen.shape([(-0.1, -0.1), (0.1, -0.1), (0.1, -0.06), (-0.1, -0.06)], BLACK)
    width, height = 0.3 - 0.07 * opening, 0.05 + 0.24 * opening
    pen.shape(smile(width + 0.04, height + 0.05, 0.03), mixed(skin, (165, 50, 55), 0.4))
    pen.shape(smile(width, height, -0.03), (72, 18, 28))
    pen.shape(smile(0.86 * width, max(0.03, 0.5 * height), -0.03), WHITE)  # teeth


def smile(half_width, depth, lip):
    """A mouth: a bow that hangs down by `depth`, under an upper edge raised by `lip`."""
    return np.concatenate([arc(0, 0.45, half_width, depth, 0, 180), arc(0, 0.45, half_width, lip, 180, 360)])


def crescent(x, y, half_width, half_height, thickness, start=0, stop=360):
    """An arc of the given thickness inwards."""
    outer = arc(x, y, half_width, half_height, start, stop)
    inner = arc(x, y, max(half_width - thickness, 0.01), max(half_height - thickness, 0.01), stop, start)
    return np.concatenate([outer, inner])


if __name__ == "__main__":
    script.run(
        main,
        alone=(),
        TRAINING_CLIPS=script.whole(1),
        VALIDATION_CLIPS=script.whole(1),
        SECONDS=script.more_than(0),
        FRAMES_PER_SECOND=script.whole(1),
        SEED=script.whole(0),
        WORKERS=script.whole(0),
    )
