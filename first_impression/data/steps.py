"""What the steps do alike: over all clips (steps 1 and 2), and from their files to records (steps 3 and 4)."""

import csv
import time
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import numpy as np

from first_impression.common import files
from first_impression.common.errors import BadClipError, UserError, name_some
from first_impression.common.parallel import in_order, progress
from first_impression.common.provenance import Ledger
from first_impression.data import annotations, chalearn
from first_impression.data.clips import unzip

MOST_NAMED = 5  # how many unusable clips a summary names; the file lists them all


class Kept(Enum):
    """What became of a clip of which nothing was to be made."""

    THERE = "was there"


def for_each_clip(make, clips, output, whole, folder, made_with, settings):
    """One step over all clips: `make(video, tmp)` where the output is not there as it was made from this very video.

    `output` names the clip's attribute with the path of its output, `whole` is `files.whole_file` or `whole_folder`,
    `made_with` a dict of what else decides about the output. Of the `settings`, WORKERS, SHARD, ZIP_PASSWORD and PRUNE
    count. Writes `folder`/unusable.csv (split, clip, reason) and ends in a printed summary.
    Returns {clip: what make returned} of the clips made in this run. With a SHARD, "3/16", only its clips count.
    Raises `UserError` where more than half of all clips are unusable (then it is not the clips' fault), and where
    something that this step did not make is in an output's place.
    """
    start, shard = time.monotonic(), chalearn.shard_suffix(settings.SHARD)
    for split in {getattr(clip, output).parent for clip in clips}:
        split.mkdir(parents=True, exist_ok=True)  # so the next step's shards know of it, also one without clips of it
    name_gone(clips, output, folder, settings)
    clips = [clip for clip in clips if chalearn.in_shard(clip.name, settings.SHARD)]
    if not clips:
        print(f"{folder}: there are few clips, and none is in shard {settings.SHARD}: nothing to do")
    listing = chalearn.unusable_table(folder, settings.SHARD)
    listing.unlink(missing_ok=True)  # it is there only when the step has ended
    outputs, videos = Ledger(folder, shard), Ledger(chalearn.UNZIPPED, f"-{output}{shard}")

    def attempt(clip):
        target = getattr(clip, output)
        made_from = {"video": clip.content or outputs.content(clip.video), **made_with}
        if outputs.is_made_from(target, made_from):
            return Kept.THERE
        if target.exists() and outputs.is_as_made(target) is None:
            raise UserError(f"{target} is in the place of an output, and this step did not make it: move it away")
        try:
            video = unzip(clip, settings.ZIP_PASSWORD, videos, by=f"-{output}{shard}")
            with whole(target, by=shard) as tmp:
                made = make(video, tmp)
                outputs.note(target, tmp, made_from)
        except BadClipError:
            files.remove(target)  # of an earlier video of that name
            raise
        return made

    made, bad = {}, {}
    with progress(len(clips), folder.name, "clip") as bar:
        for clip, outcome in in_order(attempt, clips, settings.WORKERS):
            if outcome is not Kept.THERE:
                (bad if isinstance(outcome, BadClipError) else made)[clip] = outcome
            bar.update()
    with (
        files.whole_file(listing) as tmp,
        open(tmp, "w", newline="", encoding="utf-8", errors="backslashreplace") as table,
    ):
        writer = csv.writer(table)
        writer.writerow(["split", "clip", "reason"])
        writer.writerows([clip.split.name, clip.name, str(reason)] for clip, reason in bad.items())
    there = len(clips) - len(made) - len(bad)
    took = time.monotonic() - start
    print(f"{folder}: {len(made)} clips made, {there} were there, {len(bad)} unusable, in {took:.0f} s")
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


def name_gone(clips, output, folder, settings):
    """Name the outputs and unpacked videos whose clip is in no source any more; with PRUNE, remove them."""
    known = {path for clip in clips for path in (getattr(clip, output), clip.video)}
    there = [path for split in chalearn.SPLITS for path in files.listed(folder / split.folder, "[!.]*")]
    unpacked = [path for path in files.listed(chalearn.UNZIPPED, "[!.]*") if path.is_dir()]
    there += [path for each in unpacked for path in files.listed(each, "[!.]*")]
    gone = [path for path in there if path not in known and chalearn.in_shard(chalearn.clip_name(path), settings.SHARD)]
    if not gone:
        return
    names = name_some({chalearn.clip_name(path) for path in gone})
    if settings.PRUNE:
        for path in gone:
            files.remove(path)
        print(f"{folder}: removed what there was of clips that are gone from their source: {names}")
    else:
        print(f"{folder}: these clips are gone from their source, and what was made of them is still used: {names}")
        print("  PRUNE = True removes it; the steps after this one then leave them out, too")


def labelled_clips(folder, find, maker, shard=""):
    """What there is to pack into records: {split: {clip name: `LabelledClip`}}, by name.

    `find(folder, shard)` gives {clip name: the step's output} of one split's subfolder of `folder`, which the script
    `maker` has made. What has only a label or only an output is told. A shard without clips of a split has that split
    all the same: its file in the set is an empty one.
    Raises `UserError` where there is nothing to pack, where something is not as `maker` made it, where two splits
    share clips, and as `read_annotation` and `pair` do.
    """
    folders = {split: folder / split.folder for split in chalearn.SPLITS}
    found = {split: find(subfolder, shard) for split, subfolder in folders.items() if subfolder.is_dir()}
    if not (found if shard else any(found.values())):
        raise UserError(f"{folder.absolute()} is empty: run {maker} first")
    chalearn.refuse_unmade(folder, shard, maker)
    splits = [split for split in found if found[split] or shard]
    labels = {split: annotations.read_annotation(split.annotation, split.name) for split in splits}
    for earlier, later in zip(splits, splits[1:], strict=False):
        annotations.refuse_shared(labels[earlier], labels[later], f"{earlier.annotation} and {later.annotation}")
    clips = {split: annotations.pair(labels[split], found[split], folders[split], shard) for split in splits}
    ledger = Ledger(folder, chalearn.shard_suffix(shard))
    with progress(sum(map(len, clips.values())), f"checking {folder}", "clip", delay=2) as bar:
        return {
            split: {
                clip: _labelled(ledger, labels[split][clip], found[split][clip], maker, bar) for clip in clips[split]
            }
            for split in splits
        }


def shuffled(examples, seed):
    """The examples in an order that follows from the seed alone."""
    return [examples[index] for index in np.random.default_rng(seed).permutation(len(examples))]


class LabelledClip(NamedTuple):
    """A clip that has a label and files."""

    label: np.ndarray  # float32 [5]
    output: Path  # the folder of its frames, or its WAV file
    content: str  # of that, see provenance.content_of


def _labelled(ledger, label, output, maker, bar):
    if ledger.is_as_made(output) is False:
        raise UserError(f"{output} is not as {maker} made it: run that again")
    bar.update()
    return LabelledClip(label, output, ledger.content(output))
