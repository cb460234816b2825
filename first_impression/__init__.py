"""What the scripts share: the dataset's layout, ffmpeg, records, scores, and the frame around a script."""

import os

# TensorFlow's start-up notes would bury our own lines; its warnings and errors stay
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


class Problem(Exception):
    """Something that the user can mend. Its text names the file, what is wrong and what to do."""


class Unusable(Exception):
    """A clip that cannot be used. A property of the data: the step reports it and goes on."""
