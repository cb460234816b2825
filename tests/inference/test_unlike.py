"""Warnings about clips unlike those of the training, and finding faces."""

import subprocess

import cv2
import numpy as np
import pytest
from conftest import FFMPEG
from stand_ins import ask, audio_model, image_model, save_run

from first_impression.data.chalearn import TRAITS
from first_impression.data.sound import SAMPLE_RATE
from first_impression.inference import faces, unlike
from first_impression.sample import drawing, plan

# Noise in the rhythm of speech
NOISE = "anoisesrc=d=4:a=0.3,volume='if(lt(mod(t,0.5),0.3),1,0.01)':eval=frame"


def film(path, pictures="testsrc2=s=64x48:r=25:d=4", sound=NOISE, options=()):
    inputs = ["-f", "lavfi", "-i", pictures, *(["-f", "lavfi", "-i", sound] if sound else [])]
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "pcm_s16le"]
    subprocess.run([FFMPEG, "-v", "error", *inputs, *coding, *options, path], check=True)
    return path


@pytest.fixture
def warned(folder):
    """A function: the warnings of a clip as `film` makes it, faces aside."""
    save_run("eye", image_model()), save_run("ear", audio_model())

    def ask_for(**options):
        (clip,) = ask(film("a.mkv", **options), "--FACES=False")["clips"].values()
        return clip["warnings"]

    return ask_for


def test_ordinary_clip_gets_no_warning(warned):
    assert warned() == []


@pytest.mark.parametrize(
    "options, wanted",
    [
        ({"pictures": "testsrc2=s=48x64:r=25:d=4"}, "portrait format, 48 x 64"),
        ({"pictures": "testsrc2=s=64x48:r=25:d=1", "options": ["-t", "1"]}, "it lasts 1.0 s"),
        ({"pictures": "testsrc2=s=64x48:r=3:d=4"}, "3.0 frames a second"),
        ({"pictures": "color=black:s=64x48:r=25:d=4"}, "black pictures: 100 of 100 frames"),
        ({"pictures": "color=white:s=64x48:r=25:d=4"}, "frozen pictures: 99 of 100 frames"),
        ({"sound": None}, "no sound; answered by eye alone"),
        ({"sound": f"{NOISE},volume=0.001"}, "near silence"),
        ({"sound": f"{NOISE},aresample=8000"}, "sound of a narrow band, up to 4."),
        ({"sound": "anoisesrc=d=4:a=0.3"}, "no speech-like loudness: quiet, or steady"),
    ],
)
def test_each_difference_gets_its_warning_and_no_other(warned, options, wanted):
    found = warned(**options)
    assert len(found) == 1 and found[0].startswith(wanted), found


def test_windows_without_speech_are_counted(folder):
    save_run("ear", audio_model())
    film("a.mkv", sound=f"{NOISE},apad=whole_dur=12")
    (clip,) = ask("a.mkv", "--WINDOW", 4)["clips"].values()
    assert [text for text in clip["warnings"] if "speech" in text] == [
        "no speech-like loudness in 2 of 3 windows: quiet, or steady as a hum"
    ]


@pytest.mark.parametrize("right", [1, 0, -1])
@pytest.mark.parametrize("highest", [500, 4_000, 12_000])
def test_bandwidth(highest, right):
    """Of a sound that reaches so far, with a little noise above, as rounding causes."""
    spectrum = np.zeros(SAMPLE_RATE + 1, complex)
    random = np.random.default_rng(0)
    spectrum[100 : 2 * highest] = random.normal(size=2 * highest - 100) + 1j * random.normal(size=2 * highest - 100)
    sound = np.fft.irfft(spectrum)
    samples = np.rint(5_000 * sound / sound.std()).clip(-32768, 32767).astype(np.int16)
    assert unlike.bandwidth(np.stack([samples, right * samples], axis=1)) == pytest.approx(highest, abs=60)


def test_share_inside():
    np.testing.assert_array_equal(faces.share_inside([], 2, 2), np.zeros((2, 2)))
    half = faces.share_inside([[0.25, 0, 0.5, 0.5], [0.25, -0.5, 0.5, 1.0]], 2, 2)
    np.testing.assert_array_equal(half, [[0.5, 0.5], [0, 0]])
    np.testing.assert_array_equal(faces.share_inside([[-1, -1, 3, 3]], 7, 7), np.ones((7, 7)))


@pytest.fixture(scope="module")
def head():
    """A picture of the sample's, a drawn head, uint8 [240, 320, 3], BGR."""
    speaker, random = plan.draw_speaker(0, 0), np.random.default_rng(0)
    (picture,) = drawing.draw_frames(dict.fromkeys(TRAITS, 0.5), speaker, [0.3], 10, random)
    return np.ascontiguousarray(picture[:, :, ::-1])


def squashed(picture):
    return cv2.resize(picture, (224, 224), interpolation=cv2.INTER_AREA)


def test_face_is_found_where_it_is_in_landscape_and_portrait(head):
    ((left, top, width, height),) = faces.find_faces(squashed(head), 4 / 3)
    assert abs(left + width / 2 - 0.5) < 0.12 and abs(top + height / 2 - 0.5) < 0.12 and 0.2 < height < 0.8
    portrait = cv2.copyMakeBorder(head[:, 80:240], 20, 24, 0, 0, cv2.BORDER_REPLICATE)
    ((portrait_left, _, portrait_width, _),) = faces.find_faces(squashed(portrait), 160 / 284)
    assert portrait_left == pytest.approx((320 * left - 80) / 160, abs=0.1)
    assert portrait_width == pytest.approx(2 * width, rel=0.3)


def test_no_face_and_two(head):
    stripes = np.tile(np.arange(224, dtype=np.uint8), (224, 1))
    assert faces.find_faces(cv2.merge([stripes] * 3), 16 / 9).shape == (0, 4)
    assert faces.find_faces(squashed(np.hstack([head, head])), 8 / 3).shape == (2, 4)


@pytest.mark.slow
def test_faces_are_counted_and_reported(folder, head):
    save_run("eye", image_model())
    for name, picture in (("one", head), ("two", np.hstack([head, head])), ("none", np.full_like(head, 90))):
        cv2.imwrite(f"{name}.png", picture)
        film(f"{name}.mkv", f"movie={name}.png,loop=20:1,scale=640:-2")
    answers = ask("one.mkv", "two.mkv", "none.mkv", "--FRAMES_PER_CLIP", 4)["clips"]
    assert [answers[f"{name}.mkv"]["faces"] for name in ("one", "two", "none")] == [[0, 4], [0, 0, 4], [4]]
    about_faces = [[text for text in answer["warnings"] if "face" in text] for answer in answers.values()]
    assert about_faces == [[], ["several faces in 4 of 4 frames"], ["no face in 4 of 4 frames"]]
