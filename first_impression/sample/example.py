"""A clip like those of the sample, drawn for itself."""

from first_impression.data.chalearn import TRAINING
from first_impression.sample import dataset, plan

SECONDS = 6.0
FRAME_RATE = 10
SEED = 0


def draw(path, longest=SECONDS):
    """Write an MP4 file of SECONDS, or of `longest` (seconds) if that is less, to `path`; it takes a second.

    Raises `UserError` where ffmpeg fails.
    """
    clip = plan.plan_clips(1, 1, SEED)[TRAINING][0]
    path.write_bytes(dataset.make_clip(clip, SEED, round(min(SECONDS, longest) * FRAME_RATE), FRAME_RATE))
