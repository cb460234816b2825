"""What is kept of a clip whose windows pass by: frames, and sound, spread evenly over its time."""

import numpy as np


class Excerpt:
    """Up to so many `frames` of a `Clip`, and the features of up to so many windows with sound, `sounds`."""

    def __init__(self, clip, frames, sounds=0):
        shown = clip.video.times[[0, -1]] if clip.video else (clip.start, clip.end)
        self._frames = _Nearest(np.linspace(*np.clip(shown, clip.start, clip.end), frames))
        self._sounds = _Nearest(np.linspace(clip.start, clip.end, sounds))

    def look_at(self, window):
        """Take what is wanted of a `Window`."""
        self._frames.offer(window.times, window.frames)
        if window.features is not None:
            self._sounds.offer([(window.start + window.end) / 2], [window.features])

    @property
    def frames(self):
        """These frames, each once, in the order of time: [(time, JPEG as bytes)]."""
        return self._frames.taken

    @property
    def features(self):
        """The features of these windows, each once, in the order of time: a list of float32 [79534]."""
        return [features for _, features in self._sounds.taken]


class _Nearest:
    """What lies nearest to each of some points of time."""

    def __init__(self, points):
        self._points, self._found = points, [(np.inf, None)] * len(points)

    def offer(self, times, items):
        """Take those of the `items` of these `times` that are nearer to a point than what was taken so far."""
        times = np.asarray(times)
        for number, point in enumerate(self._points if len(items) else ()):
            index = np.abs(times - point).argmin()
            if abs(times[index] - point) < abs(self._found[number][0] - point):
                self._found[number] = float(times[index]), items[index]

    @property
    def taken(self):
        """Each once, in the order of time: [(time, item)]."""
        found = {time: item for time, item in self._found if item is not None}
        return [(time, found[time]) for time in sorted(found)]
