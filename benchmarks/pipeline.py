"""The sample's pipeline, the commands of run_pipeline.sh one by one: wall time of each.

For scale, a process that only imports TensorFlow: six of the commands pay that too. There is no yardstick here.
"""

import statistics
from pathlib import Path

from runner import PROJECT, note, run_process, workshop

from first_impression.common import rules, script

TRAINING_CLIPS = 80  # of the sample
VALIDATION_CLIPS = 40  # of the sample
ROUNDS = 1  # of the whole pipeline
IMPORTS = 3  # times that the import is measured

RULES = dict.fromkeys(("TRAINING_CLIPS", "VALIDATION_CLIPS", "ROUNDS", "IMPORTS"), rules.whole(1))


def main(settings):
    sizes = [f"--{name}={getattr(settings, name)}" for name in ("TRAINING_CLIPS", "VALIDATION_CLIPS")]
    commands = {
        "sample_data.py": sizes,
        "Video_to_Image.py": ["--FRAMES_PER_CLIP", "2"],
        "vid_to_wav.py": [],
        "Write_Into_TFRecords.py": [],
        "feat_extraction_from_wav.py": [],
        "train.py sample_dan": [PROJECT / "recipes/sample_dan.py"],
        "train.py sample_audio": [PROJECT / "recipes/sample_audio.py"],
        "evaluate.py": [],
        "predict.py": ["--FRAMES_PER_CLIP", "20", "--EVIDENCE", "True"],
    }
    times = {name: [] for name in commands}
    for _ in range(settings.ROUNDS):
        with workshop():
            for name, flags in commands.items():
                if name == "predict.py":
                    flags = [*flags, min(Path("unzippedData/validation80_01").glob("*.mp4"))]
                times[name].append(run_process(PROJECT / name.split()[0], *flags))
                print(f"  {name:<30} {times[name][-1]:8.1f} s", flush=True)
            loading = [run_process("-c", "import tensorflow") for _ in range(settings.IMPORTS)]
    medians = {name: statistics.median(values) for name, values in times.items()}
    whole = sum(medians.values())
    print(f"\n{'median':<32} {'':8}   share")
    for name, took in medians.items():
        print(f"  {name:<30} {took:8.1f} s {took / whole:7.1%}")
    print(f"  {'all':<30} {whole:8.1f} s")
    print(f"  {'(import tensorflow)':<30} {statistics.median(loading):8.1f} s")
    note("pipeline", seconds=times, whole=whole, import_tensorflow=loading, sample=sizes)


if __name__ == "__main__":
    script.run(main)
