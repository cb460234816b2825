"""What the steps do alike: over all clips (steps 1 and 2), and from their files to records (steps 3 and 4)."""

import csv
import time

from first_impression.common.errors import BadClipError, UserError
from first_impression.common.files import whole_file
from first_impression.common.parallel import in_order, progress
from first_impression.data import annotations, chalearn

MOST_NAMED = 5  # how many unusable clips a summary names; the file lists them all


def for_each_clip(make, clips, output, folder, workers, shard=""):
    """One step over all clips: `make(clip)` where the output, the clip's attribute of that name, is not there yet.

    Writes `folder`/unusable.csv (split, clip, reason) and ends in a printed summary. Returns
    {clip: what make returned} of the clips made in this run. With a shard, "3/16", only its clips count.
    Raises `UserError` where more than half of all clips are unusable: then it is not the clips' fault.
    """
    start = time.monotonic()
    for split in {getattr(clip, output).parent for clip in clips}:
        split.mkdir(parents=True, exist_ok=True)  # so the next step's shards know of it, also one without clips of it
    clips = [clip for clip in clips if chalearn.in_shard(clip.name, shard)]
    if not clips:
        print(f"{folder}: there are few clips, and none is in shard {shard}: nothing to do")
    listing = chalearn.unusable_table(folder, shard)
    listing.unlink(missing_ok=True)  # it is there only when the step has ended
    missing = [clip for clip in clips if not getattr(clip, output).exists()]
    made, bad = {}, {}
    with progress(len(clips), folder.name, "clip", done=len(clips) - len(missing)) as bar:
        for clip, outcome in in_order(make, missing, workers):
            (bad if isinstance(outcome, BadClipError) else made)[clip] = outcome
            bar.update()
    with whole_file(listing) as tmp, open(tmp, "w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow(["split", "clip", "reason"])
        writer.writerows([clip.split.name, clip.name, str(reason)] for clip, reason in bad.items())
    print(
        f"{folder}: {len(made)} clips made, {len(clips) - len(missing)} were there, {len(bad)} unusable, "
        f"in {time.monotonic() - start:.0f} s"
    )
    for clip, reason in list(bad.items())[:MOST_NAMED]:
        print(f"  unusable: {clip.name}: {reason}")
    if len(bad) > MOST_NAMED:
        print(f"  and {len(bad) - MOST_NAMED} more: see {listing}")
    if 2 * len(bad) > len(clips):
        raise UserError(
            f"{len(bad)} of {len(clips)} clips are unusable (see {listing}), so something "
            "other than the clips must be wrong: look at the reasons there, mend it and run this step again"
        )
    return made


def labelled_clips(folder, find, maker, shard=""):
    """What there is to pack into records: {split: {clip name: (its label, float32 [5]; its files)}}, by name.

    `find(folder, shard)` gives {clip name: its files} of one split's subfolder of `folder`, which the script `maker`
    has made. What has only a label or only files is told. A shard without clips of a split has that split all the
    same: its file in the set is an empty one.
    Raises `UserError` where there is nothing to pack, and as `read_annotation` and `pair` do.
    """
    folders = {split: folder / split.folder for split in chalearn.SPLITS}
    found = {split: find(subfolder, shard) for split, subfolder in folders.items() if subfolder.is_dir()}
    if not (found if shard else any(found.values())):
        raise UserError(f"{folder.absolute()} is empty: run {maker} first")
    chalearn.refuse_unmade(folder, shard, maker)
    splits = [split for split in found if found[split] or shard]
    labels = {split: annotations.read_annotation(split.annotation) for split in splits}
    clips = {split: annotations.pair(labels[split], found[split], folders[split], shard) for split in splits}
    return {split: {clip: (labels[split][clip], found[split][clip]) for clip in clips[split]} for split in splits}
