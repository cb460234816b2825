"""The pictures of a clip: a talking head in front of wallpaper. The labels set light, distance, wall and shirt."""

import cv2
import numpy as np

WIDTH, HEIGHT = 320, 240  # pixels
SUPERSAMPLING = 2  # pictures are drawn this many times as large: shrinking them smooths the edges
BLACK, WHITE = (24, 20, 22), (250, 248, 244)  # RGB, 0..255, as all colours here


def draw_frames(traits, speaker, openings, frame_rate, rng):
    """Yield the frames of a clip, uint8 [240, 320, 3] RGB: one for each of `openings` of the mouth, 0..1.

    `traits` is {trait: 0..1}, `speaker` a `plan.Speaker`, `frame_rate` in frames per second.
    """
    radius = (0.1 + 0.29 * traits["extraversion"]) * HEIGHT
    shirt = _blend((190, 30, 180), (205, 190, 30), traits["agreeableness"])
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    light = (0.5 + 0.8 * traits["neuroticism"]) * (1.06 - 0.14 * (x**2 + (y + 0.3) ** 2))  # less in the corners
    wall = _wallpaper(traits)
    middle = np.array([WIDTH / 2 + rng.uniform(-25, 25), HEIGHT * 0.47 + rng.uniform(-6, 6)])
    sway, blink = rng.uniform(0, 2 * np.pi, 3), rng.uniform(0, 2)
    for frame, opening in enumerate(openings):
        time = frame / frame_rate
        drift = np.sin(np.array([1.7, 2.3, 1.3]) * time + sway)
        head = middle + drift[:2] * (0.06, 0.04) * radius
        picture = wall.copy()
        pen = Pen(picture, head, radius, 0.06 * drift[2])
        _hair_behind(pen, speaker)
        _torso(Pen(picture, (middle + head) / 2, radius), speaker, shirt, traits["extraversion"])
        _face(pen, speaker, opening, eyes_shut=(time - blink) % 2 < 0.15)
        small = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        yield np.uint8(np.clip(small * light[:, :, None], 0, 255))


class Pen:
    """Draws shapes given in head units: the origin is the middle of the face, 1 is half its height, y points down.

    `picture` is uint8 [480, 640, 3] RGB, and changed in place. `centre` (x, y) and `radius`, half the face's height,
    are in pixels of the finished picture, which is SUPERSAMPLING times smaller; `angle` tilts the head, in radians.
    """

    def __init__(self, picture, centre, radius, angle=0.0):
        self.picture, self.centre, self.radius = picture, np.array(centre), radius
        self._rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])

    def shape(self, points, colour):
        """Fill the polygon through `points`, [n, 2] of x and y."""
        points = SUPERSAMPLING * (np.array(points) @ self._rotation * self.radius + self.centre)
        points = np.round(points * 16).astype(np.int32)  # 4 binary places
        cv2.fillPoly(self.picture, [points], np.array(colour).tolist(), cv2.LINE_AA, shift=4)

    def both(self, points, colour):
        """Fill the polygon and its mirror image, as for two eyes."""
        points = np.array(points)
        self.shape(points, colour)
        self.shape(points * (-1, 1), colour)


def _blend(first, second, share):
    return np.array(first) * (1 - share) + np.array(second) * share


def _arc(x, y, half_width, half_height, start=0, stop=360):
    """Points [40, 2] on an ellipse: all around, or between two angles; degrees run clockwise from three o'clock."""
    angles = np.deg2rad(np.linspace(start, stop, 40))
    return np.stack([x + half_width * np.cos(angles), y + half_height * np.sin(angles)], axis=1)


def _crescent(x, y, half_width, half_height, thickness, start=0, stop=360):
    """An arc of the given thickness inwards."""
    outer = _arc(x, y, half_width, half_height, start, stop)
    inner = _arc(x, y, max(half_width - thickness, 0.01), max(half_height - thickness, 0.01), stop, start)
    return np.concatenate([outer, inner])


def _smile(half_width, depth, lip):
    """A mouth: a bow that hangs down by `depth`, under an upper edge raised by `lip`."""
    return np.concatenate([_arc(0, 0.45, half_width, depth, 0, 180), _arc(0, 0.45, half_width, lip, 180, 360)])


def _wallpaper(traits):
    """The empty wall, uint8 [480, 640, 3]: a ground, stripes and dots, the colour of each set by a trait.

    Any 32 pixels have a stripe and a dot, so that each cell of the network's last layer sees both.
    """
    ground = _blend((50, 80, 220), (60, 180, 80), traits["openness"])
    stripe = _blend(ground, (235, 80, 45), traits["conscientiousness"])
    dot = _blend(ground, (255, 250, 235), traits["extraversion"])
    wall = np.empty((HEIGHT * SUPERSAMPLING, WIDTH * SUPERSAMPLING, 3), np.uint8)
    wall[:] = ground
    pen = Pen(wall, (0, 0), 1)
    for x in range(0, WIDTH + 1, 32):
        pen.shape([(x - 4, 0), (x + 4, 0), (x + 4, HEIGHT), (x - 4, HEIGHT)], stripe)
        for y in range(16, HEIGHT, 32):
            pen.shape(_arc(x + 16, y, 5, 5), dot)
    return wall


def _hair_behind(pen, speaker):
    """The hair that is seen beside and above the head."""
    if speaker.hair_style == "long":
        pen.shape(_arc(0, 0.3, 1.02, 1.3), speaker.hair)
    elif speaker.hair_style == "bun":
        pen.shape(_arc(0, -1.15, 0.38, 0.34), speaker.hair)
    elif speaker.hair_style == "curls":
        for x, y in _arc(0, -0.3, 0.8, 0.75, 150, 390)[::4]:
            pen.shape(_arc(x, y, 0.34, 0.34), speaker.hair)


def _torso(pen, speaker, shirt, boldness):
    """Shoulders in a striped shirt, the neck and a collar. `boldness`, 0..1, is the contrast of the stripes."""
    side = np.concatenate([[(0.3, 1.15)], _arc(0.75, 1.95, 0.75, 0.65, 290, 360), [(1.8, 9)]])
    outline = np.concatenate([side, (side * (-1, 1))[::-1]])
    stencil = np.zeros_like(pen.picture)
    Pen(stencil, pen.centre, pen.radius).shape(outline, (255, 255, 255))
    rows = np.arange(len(pen.picture)) / SUPERSAMPLING - pen.centre[1]
    waves = np.clip(2 * np.sin(rows * 2 * np.pi / 14), -1, 1)
    cloth = np.clip((1 + 0.6 * boldness * waves)[:, None] * shirt, 0, 255)
    cloth = np.broadcast_to(np.uint8(cloth)[:, None], pen.picture.shape)
    np.copyto(pen.picture, cloth, where=stencil > 127)
    pen.both([(1.16, 2.7), (1.24, 2.7), (1.32, 9), (1.16, 9)], shirt * 0.6)  # where the arms begin
    pen.shape([(-0.34, 0.5), (0.34, 0.5), (0.36, 1.2), (0.0, 1.5), (-0.36, 1.2)], speaker.skin * 0.84)  # neck
    pen.both([(0.0, 1.5), (0.34, 1.06), (0.56, 1.22), (0.24, 1.68)], shirt * 0.8)  # collar


def _face(pen, speaker, opening, eyes_shut):
    skin, brow = speaker.skin, speaker.hair * 0.75
    pen.both(_arc(0.75, 0.02, 0.13, 0.2), skin * 0.93)  # ears
    head = _arc(0, 0, 0.78, 1)
    pen.shape(head * np.stack([1 - 0.14 * head[:, 1].clip(0) ** 2, np.ones(len(head))], axis=1), skin)
    pen.both(_arc(0.44, 0.26, 0.16, 0.13), _blend(skin, (225, 90, 80), 0.1))  # cheeks
    pen.shape([(-0.02, -0.12), (0.13, 0.2), (0.08, 0.26), (-0.08, 0.26), (-0.13, 0.2)], skin * 0.94)  # nose
    pen.shape(_crescent(0, 0.2, 0.1, 0.08, 0.04, 20, 160), skin * 0.72)
    if speaker.hair_style != "none":
        hairline = np.concatenate([_arc(0, -0.1, 0.84, 1, 172, 368), _arc(0.06, 0, 0.66, 0.62, 352, 186)])
        pen.shape(hairline, speaker.hair)
    pen.both(_crescent(0.33, -0.2, 0.2, 0.15, 0.05, 210, 330), brow)
    if eyes_shut:
        pen.both(_crescent(0.33, -0.1, 0.16, 0.08, 0.03, 10, 170), skin * 0.45)
    else:
        pen.both(_arc(0.33, -0.08, 0.16, 0.1), WHITE)
        pen.both(_arc(0.33, -0.08, 0.09, 0.095), speaker.iris)
        pen.both(_arc(0.33, -0.08, 0.045, 0.05), BLACK)
        pen.both(_crescent(0.33, -0.08, 0.17, 0.115, 0.025, 185, 355), BLACK)  # lids
    if speaker.glasses:
        pen.both(_crescent(0.34, -0.07, 0.25, 0.21, 0.03), BLACK)
        pen.shape([(-0.1, -0.1), (0.1, -0.1), (0.1, -0.06), (-0.1, -0.06)], BLACK)
    width, height = 0.3 - 0.07 * opening, 0.05 + 0.24 * opening
    pen.shape(_smile(width + 0.04, height + 0.05, 0.03), _blend(skin, (165, 50, 55), 0.4))
    pen.shape(_smile(width, height, -0.03), (72, 18, 28))
    pen.shape(_smile(0.86 * width, max(0.03, 0.5 * height), -0.03), WHITE)  # teeth
