"""The log of steps 1 and 2: `clips.jsonl` in ImageData/ and VoiceData/ says what each output was made from.

JSON lines. When a step has ended they are, in this order:

    {"constants": {"FRAMES_PER_CLIP": 100, "SAMPLING": "even", "FFMPEG": "7.1"}}
    {"split": "training", "clip": "a.000", "video": checksum, .., "output": checksum, "stat": .., "unusable": ""}
    {"split": "training", "clip": "b.001", "video": checksum, .., "output": "", "stat": "", "unusable": "no sound"}
    {"ended": true, "missing": [names of clips whose video is gone from its source]}

A shard "3/16" has its own log, clips-3-of-16.jsonl; a run over all clips takes the shards' logs into its own.

What the log promises (tests/faults/test_changes.py holds the steps to it):

- replaced, touched, copied: an output is remade when its video's checksum or its own has changed, never because of a
  time alone;
- deleted: an output that is missing is made again; what lies in an output's place without a line here was made by
  somebody else, and is never overwritten;
- added, moved, removed: the log holds the outputs of the clips that are here, and of missing ones until
  remove_clips.py removes them; a clip that moved to another split is in that one alone;
- swapped, damaged: steps 3 and 4 refuse an output that is not the one logged last;
- other constants, another ffmpeg: refused, not mixed;
- killed: a line is appended by a single write before its output gets its final name, so that an output without a line,
  or a line without its output, is made again; steps 3 and 4 refuse a folder whose last step did not end;
- two at once: shards append to logs of their own; a second run of the same step is refused by the script's lock.
"""

import contextlib
import csv
import json
from typing import NamedTuple

from first_impression.common.checksums import checksum, is_unchanged, stat_key
from first_impression.common.errors import UserError, counted, name_some
from first_impression.common.files import listed, whole_file
from first_impression.common.settings import refuse_other_constants
from first_impression.data.chalearn import IMAGES, VOICES, output_path, shard_suffix
from first_impression.data.label_table import as_cell

MAKERS = {IMAGES: "Video_to_Image.py", VOICES: "vid_to_wav.py"}


class Entry(NamedTuple):
    """What became of a clip."""

    split: str  # the split's name
    clip: str
    video: str = ""  # checksum of the video
    video_stat: str = ""  # of a video that lies in no zip
    zip: str = ""  # name of the zip that the video was unpacked from
    output: str = ""  # checksum of the output; "" where there is none
    stat: str = ""  # of the output
    unusable: str = ""  # why there is none

    @property
    def key(self):
        return self.split, self.clip


class ClipLog:
    """The log of `folder`: for the run of one shard, or with the shard "" for one over all clips."""

    def __init__(self, folder, shard=""):
        self.folder, self._shard = folder, shard
        self._path = folder / f"clips{shard_suffix(shard)}.jsonl"
        self.unusable_table = _unusable_table(self._path)
        self.entries = {}  # {(split, clip): the entry that was logged last}
        self.missing = set()
        self._constants = []  # of each run
        self._ended = {}  # {log: whether its last run ended}
        # A run over all clips takes in what shards have logged before: what they log after it is newer
        for path in sorted(listed(folder, "clips*.jsonl"), key=lambda path: path.name != "clips.jsonl"):
            self._read(path)

    def _read(self, path):
        self._ended[path] = False
        for values in _lines(path):
            if "constants" in values:
                self._ended[path] = False
                self._constants.append(values["constants"])
            elif "ended" in values:
                self._ended[path] = True
                self.missing |= set(values["missing"])
            else:
                entry = Entry(**values)
                self.entries[entry.key] = entry

    def compare(self, clip):
        """The `Entry` of a clip as it is now, with `output` and `stat` only if its output is up to date.

        That is, if the output is there as it was made from the clip's video. The video is read only where neither a
        zip's directory nor the log gives its checksum.
        Raises `UserError` where something that no step has made is in the output's place.
        """
        key, output = clip.key, output_path(self.folder, clip.key)
        logged = self.entries.get(key) or Entry(*key)
        if clip.archive:
            now = Entry(*key, clip.checksum, zip=clip.archive.name)
        else:
            stat, archive = stat_key(clip.video), logged.zip if clip.is_unpacked else ""
            now = Entry(*key, logged.video if logged.video_stat == stat else checksum(clip.video), stat, archive)
        if logged.output and logged.video == now.video and is_unchanged(output, logged.stat, logged.output):
            return now._replace(output=logged.output, stat=stat_key(output))
        if output.exists() and not logged.output:
            raise UserError(
                f"{output} is in the place of an output, and {MAKERS[self.folder]} did not make it: move it away"
            )
        return now

    def output_checksum(self, key):
        """The checksum of an output, read only where it is not logged.

        Raises `UserError` where the output is not the one that was logged last.
        """
        output, entry = output_path(self.folder, key), self.entries.get(key)
        if not (entry and entry.output):  # another program's
            return checksum(output)
        if not is_unchanged(output, entry.stat, entry.output):
            raise UserError(f"{output} is not as {MAKERS[self.folder]} made it: run that again")
        return entry.output

    def refuse_unended(self):
        """Raises `UserError` where the step that fills this folder did not end, for this shard or for all clips.

        Without a shard, a folder that another program has filled is not refused.
        """
        self._refuse_older_form()
        logs, maker = self._ended, MAKERS[self.folder]
        if self._shard:
            maker += f" --SHARD {self._shard}"
            log = self._path if self._path in logs else self.folder / "clips.jsonl"
            logs = {log: logs.get(log)}
        for log, ended in logs.items():
            if not ended:
                raise UserError(f"{log}: {maker} did not end: run it first, so that no clip is missing or out of date")

    def begin(self, constants):
        """Log that a run has begun. Raises `UserError` where other constants or an older version made what is here."""
        self._refuse_older_form()
        for made_with in self._constants:
            refuse_other_constants(self.folder, made_with, constants)
        self._constants = [constants]
        self._append({"constants": constants})

    def _refuse_older_form(self):
        if not self._ended and listed(self.folder, "provenance*.jsonl"):
            raise UserError(
                f"{self.folder} was filled by an earlier version of this project: move it away, and run "
                f"{MAKERS[self.folder]} again"
            )

    def record_output(self, entry, tmp):
        """Append the entry of an output that is complete, and about to be renamed from `tmp`."""
        self._record(entry._replace(output=checksum(tmp), stat=stat_key(tmp)))

    def record_unusable(self, entry, reason):
        """Append the entry of a clip that gives no output."""
        self._record(entry._replace(unusable=str(reason)))

    def _record(self, entry):
        self._append(entry._asdict())
        self.entries[entry.key] = entry

    def end(self, keys, missing):
        """Write the log anew with the entries of these keys: the run has ended.

        `missing` are the names of clips that are gone from their source. The clips that are unusable go to a table
        beside the log, unusable.csv. A run over all clips takes the place of the shards' runs.
        """
        entries = [self.entries[key]._asdict() for key in keys]
        lines = [{"constants": self._constants[0]}, *entries, {"ended": True, "missing": sorted(missing)}]
        _write(self._path, lines)
        for log in self._ended.keys() - {self._path} if not self._shard else ():
            _unusable_table(log).unlink(missing_ok=True)
            log.unlink()

    def _append(self, values):
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self._path, "ab", buffering=0) as log:
            log.write(_line(values).encode())  # one call: lines of threads do not mix


def warn_of_missing(clip_names, folder):
    """Print which of these clips are gone from their source, as far as the step that fills `folder` has logged it."""
    if missing := ClipLog(folder).missing & set(clip_names):
        count = counted(len(missing), "clip")
        print(f"{folder}: {count} still used although missing from the source: {name_some(missing)}")
        print("  python remove_clips.py --MISSING True removes what was made of them")


def forget(clip_names, folder):
    """Remove these clips' names from all logs of `folder`, and from the tables beside them."""
    for log in listed(folder, "clips*.jsonl"):
        lines = [values for values in _lines(log) if values.get("clip") not in clip_names]
        for values in lines:
            if "missing" in values:
                values["missing"] = [name for name in values["missing"] if name not in clip_names]
        _write(log, lines)


def _unusable_table(log):
    return log.with_name(log.name.replace("clips", "unusable", 1)).with_suffix(".csv")


def _write(log, lines):
    with (
        whole_file(_unusable_table(log)) as tmp,
        open(tmp, "w", newline="", encoding="utf-8", errors="backslashreplace") as table,
    ):
        writer = csv.writer(table)
        writer.writerow(["split", "clip", "reason"])
        writer.writerows(
            [line["split"], as_cell(line["clip"]), as_cell(line["unusable"])] for line in lines if line.get("unusable")
        )
    with whole_file(log) as tmp:
        tmp.write_text("".join(map(_line, lines)), encoding="utf-8")


def _lines(log):
    """The JSON objects in a log. A line that a kill or a full disk has cut short counts as not written."""
    found = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    kinds = ({"constants"}, {"ended", "missing"}, set(Entry._fields))
    return [values for values in found if isinstance(values, dict) and values.keys() in kinds]


def _line(values):
    # The line break comes first: a line that was cut short does not spoil the next one
    return "\n" + json.dumps(values)
