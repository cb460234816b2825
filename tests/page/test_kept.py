"""The folder of kept takes: what is written, listed and deleted, whatever else lies there."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from first_impression.common import files
from first_impression.common.errors import UserError
from first_impression.data.chalearn import TRAITS
from first_impression.data.targets import FIVE
from first_impression.evaluation.display import COLOURS
from first_impression.inference import document, measures
from first_impression.page import kept, takes
from first_impression.page.views import kept as view
from first_impression.page.views import measured

CLIP = b"a recording"
SHOWN = tuple(COLOURS)
MEASURED = {"sound": {"loudness": -23.5, "pauses": 4}, "pictures": {"brightness": 0.4}, "face": None}


def about(**weights):
    return {
        "schema": document.SCHEMA,
        "models": {name: {"files": {"final.keras": md5}} for name, md5 in weights.items()},
    }


def take_of(name="me.webm", suffix=".webm", parts=(), **scores):
    """A `takes.Take` that these models have answered with one score for each trait; `parts` are {model: score}."""
    path = Path(f"clip{suffix}")
    path.write_bytes(CLIP)
    models = {model: dict.fromkeys(SHOWN, score) for model, score in scores.items()}
    answer = {"file": name, "start": 0.5, "end": 15.0, "models": models, "measured": MEASURED}
    parts = [{model: np.full(len(TRAITS), score) for model, score in part.items()} for part in parts]
    return takes.Take(1, name, path, answer, {}, SimpleNamespace(targets=FIVE), parts)


@pytest.fixture
def place(folder):
    return kept.Folder(folder / "kept")


def names(place):
    return sorted(path.name for path in place.path.iterdir())


def test_a_kept_take_is_its_clip_and_its_answer_and_is_read_back(place):
    assert place.read() == ([], "") and not place.path.exists()
    place.keep(take_of(dan=0.5, audio=0.7, parts=[{"dan": 0.4, "audio": 0.6}, {"dan": 0.8}]), about(dan="1", audio="2"))
    answer, clip = map(place.path.joinpath, names(place))
    assert clip.read_bytes() == CLIP and clip.suffix == ".webm" and clip.stem == answer.stem
    written = json.loads(answer.read_text())
    assert written["clips"]["me.webm"]["models"] == {
        m: dict.fromkeys(SHOWN, v) for m, v in [("dan", 0.5), ("audio", 0.7)]
    }
    (take,), others = place.read()
    assert others == "" and take.title == "me.webm" and take.seconds == 14.5
    assert take.models == {"dan": ("1",), "audio": ("2",)} and take.measured["loudness_db"] == -23.5
    assert take.measured["face_size"] is None and take.measured["pitch_hz"] is None
    assert written["kept"]["date"] == take.date.isoformat() and written["kept"]["clip"] == clip.name
    assert take.mean(["dan", "audio"], "openness") == (pytest.approx(0.6), None)  # one part alone has both
    assert take.mean(["dan"], "openness") == (0.5, pytest.approx(0.2))


def test_the_parts_are_by_trait_as_the_answer_is(place):
    values = np.arange(5) / 10
    take = take_of(dan=0.5)
    take.parts = [{"dan": values}, {"dan": values + 0.1}]
    place.keep(take, about(dan="1"))
    (read,), _ = place.read()
    assert read.parts[0]["dan"] == dict(zip(TRAITS, values, strict=True))


@pytest.mark.parametrize("name", ["../../up.webm", "/etc/passwd", "a\0b", "\ud800", "<b>x</b>", "n" * 300, ""])
def test_a_name_of_a_visitor_s_is_no_path_and_can_be_shown(place, folder, name):
    before = {*folder.rglob("*"), folder / "clip.webm", place.path}
    place.keep(take_of(name, dan=0.5), about(dan="1"))
    assert all(path.parent == place.path for path in set(folder.rglob("*")) - before)
    assert all(kept.OWN.fullmatch(file) for file in names(place)) and len(names(place)) == 2
    shown = view.section(place.path, *place.read())
    assert shown.encode("utf-8") and "<b>x" not in shown


@pytest.mark.parametrize("fails_at", ["shutil.copyfile", "json.dumps"])
def test_what_cannot_be_written_leaves_nothing(place, monkeypatch, fails_at):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fails_at, full)
    with pytest.raises(UserError, match="No space left on device"):
        place.keep(take_of(dan=0.5), about(dan="1"))
    assert names(place) == []


@pytest.mark.parametrize("killed_at", ["clip", "answer"])
def test_a_take_whose_writing_was_killed_is_not_listed_and_goes_with_all(place, killed_at):
    place.keep(take_of(dan=0.5), about(dan="1"))
    answer, clip = map(place.path.joinpath, names(place))
    killed = clip.with_name(clip.name.replace("take_2", "take_1"))  # what a kill leaves: it cannot clean up
    files.partial(killed).write_bytes(CLIP[:3]) if killed_at == "clip" else killed.write_bytes(CLIP)
    listed, others = place.read()
    assert [take.name for take in listed] == [answer.stem]
    assert others == f"Passed over: {killed.stem} has no answer."
    place.delete()
    assert names(place) == []


def test_foreign_files_and_links_are_neither_read_nor_deleted(place, folder):
    place.keep(take_of(dan=0.5), about(dan="1"))
    answer, clip = names(place)
    precious = folder / "precious"
    precious.mkdir()
    (precious / clip).write_text("precious")
    (precious / answer).write_text((place.path / answer).read_text())
    other = [file.replace("take_2", "take_1") for file in (answer, clip)]
    for file in other:
        (place.path / file).symlink_to(precious / file.replace("take_1", "take_2"))
    (place.path / clip.replace("take_2", "take_3")).mkdir()
    os.mkfifo(place.path / answer.replace("take_2", "take_4"))
    foreign = ["notes.txt", "take_1.json", f"x{clip}", f"{clip}.bak", "clip.webm"]
    for file in foreign:
        (place.path / file).write_text("mine")
    listed, others = place.read()
    assert [take.name for take in listed] == [Path(clip).stem]
    assert others == "9 other files there, neither read nor deleted here."
    place.delete()
    assert answer not in names(place) and clip not in names(place) and len(names(place)) == 9
    assert (precious / clip).read_text() == "precious" and len(list(precious.iterdir())) == 2


def test_damaged_answers_and_missing_clips_are_one_line(place):
    for _ in range(4):
        place.keep(take_of(dan=0.5), about(dan="1"))
    whole, cut, odd, alone = [place.path / file for file in names(place) if file.endswith(".json")]
    cut.write_bytes(cut.read_bytes()[:-9])
    odd.write_text(odd.read_text().replace("0.5", "NaN", 1))
    alone.with_suffix(".webm").unlink()
    listed, others = place.read()
    assert [take.name for take in listed] == [whole.stem] and "\n" not in others
    for words in (f"{cut.name} is damaged", f"{odd.name} is damaged (nan cannot be)", f"{alone.stem} has no clip"):
        assert words in others
    for damage in ("", "[]", "null", "{}", '{"kept": 1, "schema": 2, "clips": {}}', "[" * 100_000, "\xff"):
        cut.write_text(damage, encoding="latin-1")
        assert [take.name for take in place.read()[0]] == [whole.stem]


def test_one_is_deleted_and_the_others_stay(place, folder):
    for _ in range(2):
        place.keep(take_of(dan=0.5), about(dan="1"))
    first, second = [take.name for take in place.read()[0]]
    for name in ("", ".", "..", "*", "../clip", f"../kept/{first}", f"{first}.json", first[:-1]):
        place.delete(name)
    assert len(names(place)) == 4 and (folder / "clip.webm").exists()
    place.delete(first)
    place.delete(first)
    assert names(place) == [f"{second}.json", f"{second}.webm"]


def test_the_clip_of_a_take_is_its_own_and_no_other_file(place):
    for suffix in (".webm", ".mp4"):
        place.keep(take_of(suffix=suffix, dan=0.5), about(dan="1"))
    for take in place.read()[0]:
        clip = place.clip(take.name)
        assert clip.parent == place.path and clip.stem == take.name and clip.read_bytes() == CLIP
    (linked := place.path / "take_2020-01-01_00-00-00_00000000.mp4").symlink_to(clip)
    for name in ("", "../clip", f"{take.name}.json", linked.stem):
        with pytest.raises(UserError, match="has no clip"):
            place.clip(name)


def test_a_take_goes_clip_first_so_that_a_kill_leaves_it_named(place, monkeypatch):
    place.keep(take_of(dan=0.5), about(dan="1"))
    gone, unlink = [], Path.unlink

    def unlink_one(path, **options):
        gone.append(path.suffix)
        if len(gone) > 1:
            raise KeyboardInterrupt
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", unlink_one)
    with pytest.raises(KeyboardInterrupt):
        place.delete()
    assert gone == [".webm", ".json"] and "has no clip" in place.read()[1]


def test_a_folder_that_is_a_file_is_one_line(folder):
    (folder / "kept").write_text("a file")
    place = kept.Folder(folder / "kept")
    for act in (place.read, place.delete, lambda: place.keep(take_of(dan=0.5), about(dan="1"))):
        with pytest.raises(UserError, match="kept"):
            act()
    assert (folder / "kept").read_text() == "a file"


def test_takes_are_compared_as_the_same_models_answered_them(place):
    place.keep(take_of("old", dan=0.1, audio=0.3), about(dan="trained before", audio="2"))
    place.keep(take_of("whole", dan=0.5, audio=0.7), about(dan="1", audio="2"))
    place.keep(take_of("mute", dan=0.4), about(dan="1"))
    listed, _ = place.read()
    groups = [(sorted(models), [take.title for take in group]) for models, group in kept.by_models(listed)]
    assert groups == [(["dan"], ["whole", "mute"]), (["audio", "dan"], ["old"])]
    groups = kept.by_models(listed[:2])
    assert [[take.title for take in group] for _, group in groups] == [["whole"], ["old"]]
    shown = view.section(place.path, listed, "")
    assert "0.50 → 0.40" in shown and "<b>0.20</b>" in shown
    assert shown.count("dan (its weights ") == 2 and "By audio" not in shown


def test_no_value_named_interview_is_shown_and_other_names_are(place):
    for values in ({"interview": 0.9, "warmth": 0.25}, {"openness": 0.75}):  # one was edited by hand
        take = take_of(dan=0.5)
        take.answer_json["models"]["dan"] = values
        place.keep(take, about(dan="1"))
    shown = view.section("a folder", *place.read())
    assert "Warmth <b>0.25 → none</b>" in shown and "Openness <b>none → 0.75</b>" in shown
    assert "nterview" not in shown and "0.90" not in shown


def test_each_measured_value_has_a_heading_and_its_numbers_in_words(place):
    assert list(measured.NAMES) == [quantity.column for quantity in measures.QUANTITIES]
    for loudness in (-23.5, None, -18.0):
        take = take_of(dan=0.5)
        take.answer_json["measured"] = {"sound": loudness and {"loudness": loudness}, "pictures": None, "face": None}
        place.keep(take, about(dan="1"))
    listed = sorted(place.read()[0], key=lambda take: [-23.5, None, -18.0].index(take.measured["loudness_db"]))
    shown = view.section(place.path, listed, "")
    assert 'aria-label="Loudness dB, take by take: -23.5, none, -18.0"' in shown
    assert "Loudness <b>-23.5 → -18.0</b> dB" in shown and "Pitch" not in shown
    again = view.section(place.path, [listed[0], listed[2], listed[0]], "")
    assert "Loudness <b>-23.5 → -23.5</b> dB" in again  # it has been another between
    assert "Loudness" not in view.section(place.path, listed[:1], "")  # there is nothing to draw it over
