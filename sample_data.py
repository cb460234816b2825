"""Make a small synthetic dataset in ChaLearn's layout, to see the whole pipeline work.

Writes  data/training80_01.zip, data/training80_02.zip, data/validation80_01.zip
        Annotations/annotation_training.pkl, Annotations/annotation_validation.pkl
        vgg-face.mat: made-up weights in place of VGG-Face
        README.txt, which says what this folder is
Run     mkdir sample && cd sample && python ../sample_data.py

The clips are drawn heads that talk gibberish. Their labels mean nothing: each trait only sets how a clip is
staged (wall, light, distance, shirt, voice), so that there is something to learn. Skin, hair and pitch do not
depend on the labels. Half a minute on two cores, 5 MB. A second run makes what is missing.
"""

from pathlib import Path

from first_impression.common import files, rules, script
from first_impression.common.errors import UserError
from first_impression.data import media
from first_impression.sample import dataset, plan, weights

TRAINING_CLIPS = 80  # clips in data/training80_NN.zip
VALIDATION_CLIPS = 40  # clips in data/validation80_NN.zip; half of them from source videos of training clips
SECONDS = 3.0  # length of a clip
FRAMES_PER_SECOND = 10  # of a clip
SEED = 0  # another seed: other people, other labels
WORKERS = 0  # clips drawn at a time; 0: one per core

RULES = {
    "TRAINING_CLIPS": rules.whole(1),
    "VALIDATION_CLIPS": rules.whole(1),
    "SECONDS": rules.more_than(0),
    "FRAMES_PER_SECOND": rules.whole(1),
    "SEED": rules.whole(0),
    "WORKERS": rules.whole(0, 10000),
}

WEIGHTS, NOTE = Path("vgg-face.mat"), Path("README.txt")
_README = """Sample data for First-Impression, made by sample_data.py

The clips in data/ are drawn, nobody is in them, and they say nothing. The labels in Annotations/ are made up and mean
nothing: they set how a clip is staged, never who seems to be in it. vgg-face.mat holds made-up weights, NOT VGG-Face.
There is nothing to learn about people from this folder: a good score shows that the scripts work, no more.

Made with {constants}
"""


def main(settings):
    media.require_ffmpeg()
    clips = plan.plan_clips(settings.TRAINING_CLIPS, settings.VALIDATION_CLIPS, settings.SEED)
    zips = dataset.zips_of(clips)
    outputs = [*zips, *(split.annotation for split in clips), WEIGHTS]
    readme = readme_of(settings)
    refuse_to_mix(readme, outputs)
    missing = [output for output in outputs if not output.exists()]
    if not missing:
        print(f"The sample is complete in {Path.cwd()}: nothing to do.")
        return

    with files.whole_file(NOTE) as tmp:  # first, so that a later run recognises the folder
        tmp.write_text(readme, encoding="utf-8")
    if wanted := {path: zips[path] for path in zips if path in missing}:
        dataset.write_zips(wanted, settings.SECONDS, settings.FRAMES_PER_SECOND, settings.SEED, settings.WORKERS)
    for split in clips:
        if split.annotation in missing:
            dataset.write_annotation(split.annotation, clips[split])
    if WEIGHTS in missing:
        weights.write(WEIGHTS)

    size = sum(output.stat().st_size for output in outputs) / 1e6
    counts = " and ".join(f"{len(clips[split])} {split.name}" for split in clips)
    print(f"{counts} clips, their annotations and vgg-face.mat are in {Path.cwd()}: {size:.1f} MB")
    print("  the clips are drawn, the labels mean nothing, and vgg-face.mat holds made-up weights, NOT VGG-Face")


def readme_of(settings):
    """The text of README.txt, which names the constants that made the sample."""
    made_with = {name: value for name, value in settings.constants().items() if name != "WORKERS"}
    return _README.format(constants=", ".join(f"{name} = {value}" for name, value in made_with.items()))


def refuse_to_mix(readme, outputs):
    """Raises `UserError` where the folder holds something else, or a sample of other settings."""
    found = NOTE.read_text(encoding="utf-8", errors="replace") if NOTE.exists() else ""
    if found.partition("\n")[0] == readme.partition("\n")[0]:
        if found != readme:
            raise UserError(f"{Path.cwd()} holds a sample of other settings: use those, or an empty folder")
        return
    foreign = [path for path in (NOTE, *sorted(Path("data").glob("*.zip")), *outputs) if path.exists()]
    if foreign:
        raise UserError(f"{Path.cwd()} holds {foreign[0]}, which is not the sample's: run this in an empty folder")


if __name__ == "__main__":
    script.run(main, single_instance=())
