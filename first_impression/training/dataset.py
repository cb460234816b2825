"""What a run was trained on, as far as its clips and its annotation tell."""

from first_impression.common.files import md5
from first_impression.data import chalearn
from first_impression.evaluation import ceiling

DRAWN, CHALEARN = "drawn sample", "ChaLearn First Impressions V2"
OF_DRAWN = "trained on drawn clips with made-up labels: its numbers say nothing about anybody"


def dataset_of(clips):
    """DRAWN, CHALEARN, or "", what is neither or not known: of the training `clips` in the current folder.

    The sample's clips are known by their names, which travel with them; ChaLearn's by the MD5 of their annotation,
    which the records were compared with.
    """
    if any(map(chalearn.is_drawn, clips)):
        return DRAWN
    annotation = chalearn.TRAINING.annotation
    return CHALEARN if annotation.exists() and md5(annotation) in ceiling.ANNOTATIONS else ""


def about_drawn(runs):
    """What to say first of anything that these runs answer, if some were trained on the drawn sample; else ""."""
    drawn = [run.name for run in runs if run.dataset == DRAWN]
    words = OF_DRAWN.replace("its", "their") if len(drawn) > 1 else OF_DRAWN
    return f"{', '.join(drawn)}: {words}" if drawn else ""
