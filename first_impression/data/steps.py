"""What the steps do alike: over all clips (steps 1 and 2), and from their outputs to records (steps 3 and 4)."""

import contextlib
import itertools
import time
from typing import NamedTuple

import numpy as np

from first_impression.common import files
from first_impression.common.errors import BadClipError, UserError, counted
from first_impression.common.parallel import in_order, progress
from first_impression.data import annotations, chalearn, records
from first_impression.data.clip_log import MAKERS, ClipLog, warn_of_missing
from first_impression.data.clips import unzip
from first_impression.data.record_writer import Example
from first_impression.data.targets import FIVE

_MOST_NAMED = 5  # clips in a summary; unusable.csv lists all that are unusable
_ENOUGH_MEMORY = 4 * 10**9  # bytes, for ffmpeg to decode any video that is taken
_KEPT = object()  # what becomes of a clip whose output is there already


def run_step(clips, make, folder, writer, constants, shard="", password="", workers=0):
    """Run step 1 or 2: `make(video, tmp, note)` for each clip whose output is not there as made from this very video.

    `make` calls `note` with what is to be known of a clip, as text, and it is printed.
    `writer` is `files.whole_file` or `whole_folder`, whichever an output is. Logs what becomes of each clip in `folder`
    (clip_log.py) and prints a summary. With a shard, "3/16", only its clips count.
    Returns {clip: what `make` returned} of the clips that were made in this run.
    Raises `UserError` where the folder holds outputs made with other constants, where something that this step did not
    make is in an output's place, and where more than half of the clips are unusable: then it is not the clips' fault.
    """
    start, log = time.monotonic(), ClipLog(folder, shard)
    for split in {clip.split for clip in clips}:  # so the next step's shards know of it, also one without clips of it
        (folder / split.folder).mkdir(parents=True, exist_ok=True)
    log.begin(constants)
    leftovers = find_leftovers(clips, log.entries, shard)
    for key in leftovers.moved:
        files.remove(chalearn.output_path(folder, key))
    missing = [key for key in leftovers.missing if chalearn.output_path(folder, key).exists()]
    clips = [clip for clip in clips if chalearn.in_shard(clip.name, shard)]
    if not clips:
        print(f"{folder}: no clip is in shard {shard}: nothing to do")
    by = chalearn.shard_suffix(shard)

    def attempt(clip):
        entry, output = log.compare(clip), chalearn.output_path(folder, clip.key)
        if entry.output:
            log.entries[entry.key] = entry
            return _KEPT
        try:
            video = unzip(clip, password, by=f"-{folder}{by}")
            with writer(output, by=by) as tmp:
                made = make(video, tmp, lambda words: notes.setdefault(clip.name, []).append(words))
                log.record_output(entry, tmp)
        except BadClipError as reason:
            _refuse_little_memory(clip, reason)
            files.remove(output)  # of an earlier video of that name
            log.record_unusable(entry, reason)
            return reason
        return made

    made, unusable, notes = {}, {}, {}
    with progress(len(clips), folder.name, "clip") as bar:
        for clip, outcome in in_order(attempt, clips, workers):
            if outcome is not _KEPT:
                (unusable if isinstance(outcome, BadClipError) else made)[clip] = outcome
            bar.update()
    kept, seconds = len(clips) - len(made) - len(unusable), time.monotonic() - start
    summary = f"{counted(len(made), 'clip')} made, {kept} already there, {len(unusable)} unusable"
    print(f"{folder}: {summary}, in {seconds:.0f} s")
    for name in sorted(notes)[:_MOST_NAMED]:
        print(f"  {name}: {'; '.join(notes[name])}")
    if len(notes) > _MOST_NAMED:
        print(f"  and remarks on {len(notes) - _MOST_NAMED} more")
    missing_names = {name for _, name in missing}
    log.end([clip.key for clip in clips] + missing, missing_names)
    warn_of_missing(missing_names, folder)
    _report_unusable(unusable, len(clips), log.unusable_table)
    return made


def _refuse_little_memory(clip, reason):
    """Raises `UserError` where a limit on memory may be why ffmpeg failed: it then ends in any way, even by a crash."""
    with contextlib.suppress(ImportError):  # Windows has no such limits
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY and limit < _ENOUGH_MEMORY:
            raise UserError(
                f"{clip.place} could not be used ({reason}), perhaps because ulimit -v allows {limit / 1e9:.1f} GB of "
                f"memory only: allow {_ENOUGH_MEMORY / 1e9:.0f}, and run this step again"
            )


class Leftovers(NamedTuple):
    """Logged outputs that are not those of the clips as they are now: keys of the log, (split, clip)."""

    moved: set  # the clip is in another split now
    missing: set  # the clip is gone from its source


def find_leftovers(clips, entries, shard=""):
    """The `Leftovers` among the logged `entries` of a shard.

    A clip that lies in unzippedData/ alone, out of a zip that is gone, is gone with it. Where that holds for all clips
    unzippedData/ is the source: the zips were deleted to save room.
    """
    of_zips = {key for key, entry in entries.items() if entry.zip}
    unpacked = {clip for clip in clips if clip.is_unpacked and clip.key in of_zips}
    sources = set(clips) - unpacked or unpacked
    keys = {clip.key for clip in sources}
    names = {name for _, name in keys}
    logged = {key for key, entry in entries.items() if entry.output and chalearn.in_shard(entry.clip, shard)}
    moved = {(split, name) for split, name in logged - keys if name in names}
    return Leftovers(moved, logged - keys - moved)


def _report_unusable(unusable, count, table):
    """Name the unusable clips among `count`, {clip: reason}. Raises `UserError` where they are more than half."""
    for clip, reason in list(unusable.items())[:_MOST_NAMED]:
        print(f"  unusable: {clip.name}: {reason}")
    if len(unusable) > _MOST_NAMED:
        print(f"  and {len(unusable) - _MOST_NAMED} more: see {table}")
    if 2 * len(unusable) > count:
        raise UserError(
            f"{len(unusable)} of {counted(count, 'clip')} are unusable, so something other than the clips must be "
            f"wrong: see the reasons in {table}, and run this step again"
        )


def labelled_examples(folder, find, shard="", targets=FIVE):
    """What there is to pack into records: {split: [`Example`]}, an example per clip, sorted by name.

    `find(path)` gives the names of the clips that have an output in a split's subfolder of `folder`, ImageData/ or
    VoiceData/; labels are those of the `targets`. Clips that have only a label or only an output are named in a printed
    line, and so are clips that are gone from their source. A shard without clips of a split has that split all the
    same: its file is empty.
    Raises `UserError` where there is nothing to pack, where something is not as step 1 or 2 made it, where two splits
    share clips, and as `read_annotation` and `pair` do.
    """
    splits = [split for split in chalearn.SPLITS if (folder / split.folder).is_dir()]
    found = {
        split: [name for name in find(folder / split.folder) if chalearn.in_shard(name, shard)] for split in splits
    }
    if not (found if shard else any(found.values())):
        raise UserError(f"{folder.absolute()} is empty: run {MAKERS[folder]} first")
    log = ClipLog(folder, shard)
    log.refuse_unended()
    splits = [split for split in splits if found[split] or shard]
    labels = {split: annotations.read_annotation(split.annotation, split.name, targets) for split in splits}
    for earlier, later in itertools.combinations(splits, 2):
        annotations.refuse_shared(labels[earlier], labels[later], f"{earlier.annotation} and {later.annotation}")
    paired = {split: annotations.pair(labels[split], found[split], folder / split.folder, shard) for split in splits}
    warn_of_missing(itertools.chain(*paired.values()), folder)
    examples = {split: [] for split in splits}
    with progress(sum(map(len, paired.values())), f"checking {folder}", "clip", delay=2) as bar:
        for split, names in paired.items():
            for name in names:
                source = chalearn.output_path(folder, (split.name, name))
                made = log.output_checksum((split.name, name))
                examples[split].append(Example(name, labels[split][name], source, made))
                bar.update()
    return examples


def warn_of_stale_records(packed, folder, records_of):
    """Print which records are there of splits that are not `packed`, since `folder` has no clips of them any more.

    `records_of(split)` gives the path of a split's records.
    """
    for split in set(chalearn.SPLITS) - set(packed):
        for file in records.files_here(records_of(split)):
            print(f"{file} stays, although {folder / split.folder} holds no clips: delete it if they are gone for good")


def shuffled(examples, seed):
    """The examples in an order that follows from the seed alone."""
    return [examples[index] for index in np.random.default_rng(seed).permutation(len(examples))]
