"""Edits of a clip as the models take it: of its frames, uint8 [n, size, size, 3] RGB, or of its sound's features.

A face is (left, top, width, height) in shares of the picture; YuNet's box goes about from the forehead to the chin.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from first_impression.data.audio import amplified

STOP = 1.0  # photography's unit of exposure: a stop more is twice the light
GAMMA = 2.2  # of displays, about: a pixel's value is the light to the power of 1 / GAMMA
DECIBELS = 6.0  # the amplitude twice as large, or half
GREY = 128  # of the background, of 255
# Head and shoulders, in heights and widths of the face's box: people's shoulders are about three faces wide
ABOVE, BELOW, ACROSS = 0.5, 0.8, 3.2  # above the box, below it, and how wide
HEAD = (0.35, 0.8, 1.0)  # an ellipse: its centre below the box's top, half its width, half its height
SHOULDERS = (2.3, ACROSS / 2, 0.95)  # the same; what is under its centre, as wide, belongs to it


@dataclass(frozen=True)
class Edit:
    """An edit: what it is called, which kind of models it reaches, and what it does."""

    name: str
    words: str  # for people
    kind: str  # "image" or "audio", as of `models.Model`
    apply: Callable  # the images, or the features, edited; with `faces`, float64 [n, 4], where it needs them
    needs_faces: bool = False


def exposed(images, stops):
    """The images with so many stops more light, as a camera would have taken them: what is over white stays white."""
    levels = np.arange(256) * 2 ** (stops / GAMMA)
    return np.rint(levels.clip(0, 255)).astype(np.uint8)[images]


def mirrored(images):
    """The images with left and right exchanged."""
    return images[:, :, ::-1]


def cropped(images, faces):
    """Head and shoulders alone, in pictures of the same shape, as if the camera had been nearer; less sharp, though."""
    size = images.shape[1]
    edited = np.empty_like(images)
    for number, (left, top, side) in enumerate(map(crop_around, faces)):
        x, y, width = (round(share * size) for share in (left, top, side))
        part = images[number, y : y + width, x : x + width]
        edited[number] = cv2.resize(part, (size, size), interpolation=cv2.INTER_CUBIC)
    return edited


def crop_around(face):
    """Where head and shoulders of a face are: (left, top, side), in shares of the picture, at most all of it.

    As large a share of its width as of its height, so that the part has the shape of the whole.
    """
    left, top, wide, high = face
    side = min(1.0, max((ABOVE + 1 + BELOW) * high, ACROSS * wide))
    x, y = np.clip([left + wide / 2 - side / 2, top - ABOVE * high], 0, 1 - side)
    return float(x), float(y), float(side)


def greyed(images, faces):
    """All but head and shoulders in an even grey; they are taken to have a plain shape, which no outline is."""
    person = np.stack([_silhouette(face, images.shape[1]) for face in faces])
    return np.where(person[..., None], images, np.uint8(GREY))


def _silhouette(face, size):
    """Which pixels are taken for head and shoulders of a face: bool [size, size]."""
    left, top, wide, high = face
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    across, down = (x - left - wide / 2) / wide, (y - top) / high

    def inside(centre, half_width, half_height):
        return (across / half_width) ** 2 + ((down - centre) / half_height) ** 2 < 1

    centre, half_width, _ = SHOULDERS
    return inside(*HEAD) | inside(*SHOULDERS) | (abs(across) < half_width) & (down > centre)


EDITS = (
    Edit("brighter", f"brighter by {STOP:g} stop", "image", functools.partial(exposed, stops=STOP)),
    Edit("darker", f"darker by {STOP:g} stop", "image", functools.partial(exposed, stops=-STOP)),
    Edit("head_and_shoulders", "head and shoulders", "image", cropped, needs_faces=True),
    Edit("grey_background", "grey background", "image", greyed, needs_faces=True),
    Edit("mirrored", "mirrored", "image", mirrored),
    Edit("louder", f"louder by {DECIBELS:g} dB", "audio", functools.partial(amplified, decibels=DECIBELS)),
    Edit("softer", f"softer by {DECIBELS:g} dB", "audio", functools.partial(amplified, decibels=-DECIBELS)),
)
