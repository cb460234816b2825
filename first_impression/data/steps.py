"""What the steps do alike: over all clips (steps 1 and 2), and from their files to records (steps 3 and 4)."""

import csv
import json
import time
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import numpy as np

from first_impression.common import files
from first_impression.common.errors import BadClipError, UserError, damage_as_user_error, name_some
from first_impression.common.parallel import in_order, progress
from first_impression.common.provenance import Ledger
from first_impression.data import annotations, chalearn, records
from first_impression.data.clips import INNER_ZIPS, unzip

MOST_NAMED = 5  # how many unusable clips a summary names; the file lists them all


class Kept(Enum):
    """What became of a clip of which nothing was to be made."""

    THERE = "was there"


def for_each_clip(make, clips, output, whole, folder, made_with, settings):
    """One step over all clips: `make(video, tmp)` where the output is not there as it was made from this very video.

    `output` names the clip's attribute with the path of its output, `whole` is `files.whole_file` or `whole_folder`,
    `made_with` a dict of what else decides about the output. Of the `settings`, WORKERS, SHARD, ZIP_PASSWORD and PRUNE
    count. Writes `folder`/unusable.csv (split, clip, reason) and ends in a printed summary. Names the clips that are
    gone from their source, in `folder`/gone.json too, for the steps after this one; with PRUNE, removes them.
    Returns {clip: what make returned} of the clips made in this run. With a SHARD, "3/16", only its clips count.
    Raises `UserError` where more than half of all clips are unusable (then it is not the clips' fault), and where
    something that this step did not make is in an output's place.
    """
    start, shard = time.monotonic(), chalearn.shard_suffix(settings.SHARD)
    for split in {getattr(clip, output).parent for clip in clips}:
        split.mkdir(parents=True, exist_ok=True)  # so the next step's shards know of it, also one without clips of it
    outputs, videos = Ledger(folder, shard), Ledger(chalearn.UNZIPPED, f"-{output}{shard}")
    clips = name_gone(clips, output, folder, outputs, videos, settings)
    clips = [clip for clip in clips if chalearn.in_shard(clip.name, settings.SHARD)]
    if not clips:
        print(f"{folder}: there are few clips, and none is in shard {settings.SHARD}: nothing to do")
    listing = chalearn.unusable_table(folder, settings.SHARD)
    listing.unlink(missing_ok=True)  # it is there only when the step has ended

    def attempt(clip):
        target = getattr(clip, output)
        made_from = {"video": clip.content or outputs.content(clip.video), **made_with}
        if outputs.is_made_from(target, made_from):
            return Kept.THERE
        if target.exists() and target not in outputs:
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
    _write_unusable(listing, bad)
    there = len(clips) - len(made) - len(bad)
    took = time.monotonic() - start
    print(f"{folder}: {len(made)} clips made, {there} were there, {len(bad)} unusable, in {took:.0f} s")
    _judge_unusable(bad, len(clips), listing)
    return made


def _judge_unusable(bad, count, listing):
    """Name the unusable clips among `count`. Raises `UserError` where they are more than half."""
    for clip, reason in list(bad.items())[:MOST_NAMED]:
        print(f"  unusable: {clip.name}: {reason}")
    if len(bad) > MOST_NAMED:
        print(f"  and {len(bad) - MOST_NAMED} more: see {listing}")
    if 2 * len(bad) > count:
        raise UserError(
            f"{len(bad)} of {count} clips are unusable (see {listing}), so something "
            "other than the clips must be wrong: look at the reasons there, mend it and run this step again"
        )


def _write_unusable(listing, bad):
    """Write the table of the unusable clips, {clip: reason}."""
    with (
        files.whole_file(listing) as tmp,
        open(tmp, "w", newline="", encoding="utf-8", errors="backslashreplace") as table,
    ):
        writer = csv.writer(table)
        writer.writerow(["split", "clip", "reason"])
        writer.writerows([clip.split.name, clip.name, str(reason)] for clip, reason in bad.items())


def name_gone(clips, output, folder, made, videos, settings):
    """The clips to make something of: all, but with PRUNE none that is gone from its source.

    A clip is gone where its zip does not have it any more, or where its zip is gone and other sources are there. What
    there is of it, the step's output and the unpacked video, is named, or with PRUNE removed, and with it what a kill
    has left. `made` is the ledger of the step's `folder`, `videos` that of unzippedData/.
    """
    here = _still_there(clips, videos)
    names = {clip.name for clip in here}
    outputs = [path for split in chalearn.SPLITS for path in files.listed(folder / split.folder, "[!.]*")]
    stale = [*_but(outputs, {getattr(clip, output) for clip in here}), *_unpacked_of_none(here, videos)]
    stale = [path for path in stale if chalearn.in_shard(chalearn.clip_name(path), settings.SHARD)]
    moved = [path for path in stale if chalearn.clip_name(path) in names and (path in made or path in videos)]
    for path in moved:  # to another split or zip
        files.remove(path)
    stale = _but(stale, set(moved))
    gone = {name for path in stale if (name := chalearn.clip_name(path)) not in names or folder in path.parents}
    shard = chalearn.shard_suffix(settings.SHARD)
    for listing in files.listed(folder, f"gone{shard or '*'}.json"):
        files.remove(listing)
    if settings.PRUNE:
        zips = _but(_files_below(INNER_ZIPS, "*.zip"), {clip.archive for clip in clips})
        for path in [*stale, *_left_by_kills(folder, shard, videos), *zips]:
            files.remove(path)
        made.forget_missing()
        videos.forget_missing()
        if gone:
            print(f"{folder}: removed what there was of clips that are gone from their source: {name_some(gone)}")
        return here
    if gone:
        files.write_json(folder / f"gone{shard}.json", sorted(gone))
        name_still_used(gone, folder)
    return clips


def _still_there(clips, videos):
    """The clips but for those that lie in unzippedData/ only, out of a zip that is gone where other sources are not."""
    unpacked = {clip for clip in clips if not clip.archive and chalearn.UNZIPPED in clip.video.parents}
    others = len(unpacked) < len(clips)
    return [clip for clip in clips if not (others and clip in unpacked and clip.video in videos)]


def _left_by_kills(folder, shard, videos):
    left = [path for split in chalearn.SPLITS for path in files.listed(folder / split.folder, f".partial.*{shard}")]
    return [*left, *_files_below(chalearn.UNZIPPED, f".partial.*{videos.suffix}*")]


def _unpacked_of_none(clips, videos):
    """Yield the unpacked videos that are none of these clips'. `videos` is the ledger of unzippedData/."""
    zips = {clip.archive.stem for clip in clips if clip.archive}
    for path in _but(_files_below(chalearn.UNZIPPED, "[!.]*"), {clip.video for clip in clips}):
        is_video = chalearn.name_of_video(path.name) != path.name
        if is_video and path.parent.name in zips or path in videos:
            yield path


def _files_below(folder, pattern):
    """The paths that match `pattern` in the folders of `folder`."""
    below = [path for path in files.listed(folder, "[!.]*") if path.is_dir()]
    return [path for each in below for path in files.listed(each, pattern)]


def _but(paths, known):
    return [path for path in paths if path not in known]


def name_still_used(clips, folder):
    """Say which of these clips are gone from their source, as far as the step that fills `folder` has noted it."""
    noted = set()
    for listing in files.listed(folder, "gone*.json"):
        with damage_as_user_error(f"{listing} is damaged", "run its step again"):
            noted.update(json.loads(listing.read_text(encoding="utf-8")))
    gone = noted & set(clips)
    if gone:
        print(f"{folder}: {len(gone)} clips are gone from their source and still used: {name_some(gone)}")
        print("  steps 1 to 4 with PRUNE = True remove what was made of them")


def labelled_clips(folder, find, maker, output, settings):
    """What there is to pack into records: {split: {clip name: `LabelledClip`}}, by name.

    `find(folder, shard)` gives {clip name: the step's output} of one split's subfolder of `folder`, which the script
    `maker` has made. What has only a label or only an output is told, and so is a clip that is gone from its source.
    `output` names the split's attribute with the path of its records: those of a split that has no clips are named,
    or with PRUNE removed. A SHARD without clips of a split has that split all the same: its file in the set is empty.
    Raises `UserError` where there is nothing to pack, where something is not as `maker` made it, where two splits
    share clips, and as `read_annotation` and `pair` do.
    """
    shard = settings.SHARD
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
    name_still_used({clip for split in splits for clip in clips[split]}, folder)
    for split in chalearn.SPLITS:
        if split not in splits:
            _name_vanished(getattr(split, output), folders[split], settings.PRUNE)
    ledger = Ledger(folder, chalearn.shard_suffix(shard))
    with progress(sum(map(len, clips.values())), f"checking {folder}", "clip", delay=2) as bar:
        return {
            split: {
                clip: _labelled(ledger, labels[split][clip], found[split][clip], maker, bar) for clip in clips[split]
            }
            for split in splits
        }


def _name_vanished(path, source, prune):
    """Name the records at `path`, whose clips have all left `source`; with `prune`, remove those that we have made."""
    for file in records.files_here(path):
        ours = bool(records.read_table(file, of_any_file=True))
        if prune and ours:
            files.remove(records.table_path(file))
            files.remove(file)
        what = "removed" if prune and ours else f"stays as it is{' (PRUNE = True removes it)' if ours else ''}"
        print(f"{file} {what}: {source} holds no clips")


def shuffled(examples, seed):
    """The examples in an order that follows from the seed alone."""
    return [examples[index] for index in np.random.default_rng(seed).permutation(len(examples))]


class LabelledClip(NamedTuple):
    """A clip that has a label and files."""

    label: np.ndarray  # float32 [5]
    output: Path  # the folder of its frames, or its WAV file
    content: str  # of that, see provenance.content_of


def _labelled(ledger, label, output, maker, bar):
    content = ledger.content(output)
    if output in ledger and not ledger.is_last_made(output, content):
        raise UserError(f"{output} is not as {maker} made it: run that again")
    bar.update()
    return LabelledClip(label, output, content)
