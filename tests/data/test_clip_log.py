"""The log of steps 1 and 2: what it says of the clips, and when a file is read."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import pytest

from first_impression.common import checksums
from first_impression.common.checksums import checksum, stat_key
from first_impression.common.errors import UserError
from first_impression.data.chalearn import TRAINING, VALIDATION, VOICES, Clip, output_path
from first_impression.data.clip_log import ClipLog, Entry, forget
from first_impression.data.steps import find_leftovers

ONE, TWO = (Clip(name, TRAINING, Path("data", f"{name}.mp4")) for name in ("one", "two"))


@pytest.fixture
def read(monkeypatch):
    """The names of the files that were read for their checksum, as a list that grows."""
    names, original = [], checksums.checksum

    def noted(path, *more):
        names.append(Path(path).name)
        return original(path, *more)

    monkeypatch.setattr(checksums, "checksum", noted)
    return names


def make(log, clip, text, video):
    """What step 2 does for a clip: log the output, and give it its name."""
    output = output_path(VOICES, clip.key)
    output.parent.mkdir(parents=True, exist_ok=True)
    tmp = output.with_name("tmp")
    tmp.write_text(text)
    log.record_output(Entry(clip.split.name, clip.name, video), tmp)
    tmp.rename(output)
    return output


def up_to_date(clip, video):
    """Whether a new run finds the clip's output made from a video, of a zip, with this checksum."""
    return bool(ClipLog(VOICES).compare(dataclasses.replace(clip, archive=Path("a.zip"), checksum=video)).output)


def begun(shard="", **constants):
    log = ClipLog(VOICES, shard)
    log.begin(constants)
    return log


def test_an_output_is_read_only_where_its_stat_differs(folder, read):
    output = make(begun(), ONE, "sound", "video")
    assert up_to_date(ONE, "video") and not up_to_date(ONE, "other") and not read
    os.utime(output, ns=(0, 0))
    assert up_to_date(ONE, "video") and read == ["one.wav"]
    output.write_text("other")
    assert not up_to_date(ONE, "video")
    output.unlink()
    assert not up_to_date(ONE, "video")


def test_of_a_folder_every_file_counts(folder):
    for change in (lambda: Path("a/1").write_text("1"), lambda: Path("a/2").write_text("2"), Path("a/1").unlink):
        Path("a").mkdir(exist_ok=True)
        before = checksum("a"), stat_key("a")
        change()
        assert checksum("a") != before[0] and stat_key("a") != before[1]


def test_an_earlier_output_that_was_brought_back_is_neither_up_to_date_nor_accepted(folder):
    log = begun()
    output = make(log, ONE, "first", "video 1")
    shutil.copy2(output, "older")
    make(log, ONE, "second", "video 2")
    shutil.copy2("older", output)
    assert not up_to_date(ONE, "video 2")
    with pytest.raises(UserError, match="one.wav is not as vid_to_wav.py made it: run that again"):
        ClipLog(VOICES).output_checksum(ONE.key)


def test_an_output_of_another_program_is_taken_as_it_is(folder):
    output = output_path(VOICES, ONE.key)
    output.parent.mkdir(parents=True)
    output.write_text("sound")
    ClipLog(VOICES).refuse_unended()
    assert ClipLog(VOICES).output_checksum(ONE.key) == checksum(output)


def test_a_line_that_was_cut_short_counts_as_not_written_and_does_not_spoil_the_next_one(folder):
    make(begun(), ONE, "sound", "video")
    log = Path("VoiceData/clips.jsonl")
    whole = log.read_bytes()
    for length in range(len(whole)):
        log.write_bytes(whole[:length])
        assert not ClipLog(VOICES).entries or length == len(whole)
    log.write_bytes(whole[:-9])
    make(ClipLog(VOICES), ONE, "sound", "video")
    assert up_to_date(ONE, "video")


@pytest.mark.parametrize(
    "line", ["[1]", "5", "null", '{"constants"', '{"clip": "x"}', '{"ended": true, "more": 1}', "\0"]
)
def test_lines_of_another_kind_are_passed_over(folder, line):
    make(begun(), ONE, "sound", "video")
    with open("VoiceData/clips.jsonl", "a") as log:
        log.write(f"\n{line}\n")
    assert ClipLog(VOICES).entries.keys() == {("training", "one")}


def test_the_log_of_a_run_that_ended_has_constants_clips_and_the_end_in_this_order(folder):
    log = begun(FFMPEG="7.1")
    make(log, TWO, "sound", "video")
    log.record_unusable(Entry("training", "one", "video"), "no sound")
    log.end([("training", "one"), ("training", "two")], {"three"})
    first, *clips, last = [json.loads(line) for line in Path("VoiceData/clips.jsonl").read_text().split("\n")[1:]]
    assert first == {"constants": {"FFMPEG": "7.1"}} and last == {"ended": True, "missing": ["three"]}
    assert [(line["clip"], line["unusable"]) for line in clips] == [("one", "no sound"), ("two", "")]
    assert Path("VoiceData/unusable.csv").read_text().splitlines() == ["split,clip,reason", "training,one,no sound"]
    forget({"one", "three"}, VOICES)
    assert not [path for path in Path("VoiceData").glob("*.*") if {"one", "three"} & set(path.read_text().split('"'))]
    assert ClipLog(VOICES).entries.keys() == {("training", "two")} and not ClipLog(VOICES).missing


def test_a_run_that_did_not_end_is_refused_by_the_next_step_and_one_with_other_constants_by_the_same(folder):
    log = begun(FFMPEG="7.1")
    with pytest.raises(UserError, match="clips.jsonl: vid_to_wav.py did not end: run it first"):
        ClipLog(VOICES).refuse_unended()
    log.end([], set())
    ClipLog(VOICES).refuse_unended()
    ClipLog(VOICES, "1/2").refuse_unended()
    with pytest.raises(UserError, match="FFMPEG = '7.1' .now '8.0'."):
        begun(FFMPEG="8.0")
    begun(FFMPEG="7.1")
    with pytest.raises(UserError, match="did not end"):
        ClipLog(VOICES).refuse_unended()


def test_shards_have_logs_of_their_own_until_a_run_over_all_clips_takes_them_in(folder):
    for shard, clip in (("1/2", ONE), ("2/2", TWO)):
        log = begun(shard)
        make(log, clip, "sound", "video")
        log.end([("training", clip.name)], set())
    assert all(up_to_date(clip, "video") for clip in (ONE, TWO))
    begun("1/2")
    for shard in ("1/2", ""):
        with pytest.raises(UserError, match="did not end"):
            ClipLog(VOICES, shard).refuse_unended()
    ClipLog(VOICES, "2/2").refuse_unended()
    with pytest.raises(UserError, match="vid_to_wav.py --SHARD 1/3 did not end: run it first"):
        ClipLog(VOICES, "1/3").refuse_unended()
    log = begun()
    log.end(list(log.entries), set())
    assert [path.name for path in sorted(Path("VoiceData").glob("*.*"))] == ["clips.jsonl", "unusable.csv"]
    assert ClipLog(VOICES).entries.keys() == {("training", "one"), ("training", "two")}


def test_leftovers_are_moved_or_missing():
    def entry(split, name, archive="a.zip"):
        return Entry(split.name, name, zip=archive, output="1-0")

    entries = {e.key: e for e in (entry(TRAINING, "stays"), entry(TRAINING, "moved"), entry(TRAINING, "missing"))}
    clips = [Clip("stays", TRAINING, Path("data/stays.mp4")), Clip("moved", VALIDATION, Path("data/moved.mp4"))]
    moved, missing = find_leftovers(clips, entries)
    assert moved == {("training", "moved")} and missing == {("training", "missing")}
    # One that lies in unzippedData/ alone is gone with its zip, unless all zips are
    unpacked = Clip("missing", TRAINING, Path("unzippedData/a/missing.mp4"))
    assert find_leftovers([*clips, unpacked], entries).missing == {("training", "missing")}
    assert find_leftovers([unpacked], {("training", "missing"): entries["training", "missing"]}) == (set(), set())
    # One that somebody unpacked by hand is a source
    entries["training", "missing"] = entry(TRAINING, "missing", "")
    assert not find_leftovers([*clips, unpacked], entries).missing
