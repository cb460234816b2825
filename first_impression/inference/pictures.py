"""What can be measured of a clip's pictures without a model of impressions: light, sharpness, motion, and the face."""

import itertools
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass
class Pictures:
    """The frames of a window, [n] of them."""

    times: np.ndarray  # seconds of the clip
    brightness: np.ndarray  # mean grey, 0 (black) to 1 (white)
    sharpness: np.ndarray  # variance of the Laplacian, in grey levels of 255, squared
    motion: np.ndarray  # mean speed of what is seen since the frame before, heights of the picture per second
    faces: list | None  # per frame what `faces.find_faces` gives, float64 [k, 4]; None where it was not asked


def look(jpegs, times, aspect, faces):
    """The `Pictures` in frames, JPEGs as bytes, at these `times`, of pictures `aspect` times as wide as high."""
    greys = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE) for jpeg in jpegs]
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    moved = np.array([_mean_shift(flow.calc(*pair, None), aspect) for pair in itertools.pairwise(greys)])
    gaps = np.diff(times)
    return Pictures(
        times,
        np.array([grey.mean() for grey in greys]) / 255,
        np.array([cv2.Laplacian(grey, cv2.CV_32F)[1:-1, 1:-1].var() for grey in greys]),
        np.concatenate([[np.nan], np.divide(moved, gaps, out=np.full(len(gaps), np.nan), where=gaps > 0)]),
        faces,
    )


def _mean_shift(flow, aspect):
    """How far points move on average, in heights of the picture. `flow`: pixels of the squashed one, [h, w, 2]."""
    height, width = flow.shape[:2]
    return float(np.hypot(flow[..., 0] * aspect / width, flow[..., 1] / height).mean())


def measure(windows):
    """What the `Pictures` of a clip's windows measure together, as docs/answers.md describes it: (pictures, face).

    A frame that two windows share counts once. Either is None where there is nothing to measure.
    """
    if not windows:
        return None, None
    _, first = np.unique(np.concatenate([window.times for window in windows]), return_index=True)
    brightness, sharpness = (
        np.concatenate([getattr(window, name) for window in windows])[first] for name in ("brightness", "sharpness")
    )
    motion = np.concatenate([window.motion for window in windows])
    motion = motion[np.isfinite(motion)]
    pictures = {
        "brightness": float(brightness.mean()),
        "sharpness": float(np.median(sharpness)),
        "motion": float(motion.mean()) if len(motion) else None,
    }
    if windows[0].faces is None:
        return pictures, None
    faces = [boxes for window in windows for boxes in window.faces]
    return pictures, _of_faces([faces[index] for index in first])


def _of_faces(faces):
    """What the faces of all frames measure: of several in a frame, the largest counts."""
    seen = [max(map(_inside, boxes), key=_area) for boxes in faces if len(boxes)]
    middles = np.array([(box[:2] + box[2:]) / 2 for box in seen])
    x, y = np.median(middles, axis=0).tolist() if seen else (None, None)
    return {
        "one_face_share": float(np.mean([len(boxes) == 1 for boxes in faces])),
        "size": float(np.median([_area(box) for box in seen])) if seen else None,
        "x": x,
        "y": y,
    }


def _inside(box):
    """The part of a box (left, top, width, height) that the picture shows: (left, top, right, bottom)."""
    left, top, wide, high = box
    return np.clip([left, top, left + wide, top + high], 0, 1)


def _area(corners):
    left, top, right, bottom = corners
    return (right - left) * (bottom - top)
