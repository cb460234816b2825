"""The page as programs and visitors meet it: the API, sessions, hostile files, starting and stopping."""

import json
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import FFMPEG, PROJECT, make_clip, ok, refused, run, run_alone
from gradio_client import Client, handle_file
from pages import Visitor, opened, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("page"), "--LONGEST=20", "--MOST_MEGABYTES=1", "--TAKES=2") as page:
        yield page


@pytest.fixture
def visitor(page):
    visitor = Visitor(page)
    yield visitor
    visitor.leave()
    wait_until(lambda: not page.clips)  # the next test counts its own


def test_a_program_gets_what_predict_writes(page, folder):
    make_clip("clip.mp4", range(20, 220, 2))
    answered = Client(page.address, verbose=False).predict(handle_file("clip.mp4"), api_name="/answer")
    runs = page.temporary.parent / "runs"
    ok(run("predict.py", "clip.mp4", "--RUNS", runs, "--JSON=out.json", "--PICTURE=False"))
    assert answered == json.loads(Path("out.json").read_text())


def test_a_program_is_told_what_is_wrong_with_a_clip(page, folder):
    Path("broken.mp4").write_bytes(b"no clip at all")
    with pytest.raises(Exception, match="broken.mp4 cannot be used: .*no MP4 that can be read"):
        Client(page.address, verbose=False).predict(handle_file("broken.mp4"), api_name="/answer")


def test_the_downloads_hold_what_predict_writes(page, visitor, folder):
    make_clip("clip.mp4", range(20, 220, 2))
    visitor.give("clip.mp4")
    downloads = dict(map(reversed, re.findall('file=([^"]+)" download>([^<]+)', shown_downloads(visitor))))
    assert sorted(downloads) == ["CSV", "JSON", "picture"]
    runs = page.temporary.parent / "runs"
    outputs = ["--JSON=out.json", "--CSV=out.csv", "--PICTURE=False", "--FRAMES_PER_CLIP=8"]
    ok(run("predict.py", "clip.mp4", "--RUNS", runs, *outputs))
    got = {name: visitor.http.get(f"/file={path}").content for name, path in downloads.items()}
    assert json.loads(got["JSON"]) == json.loads(Path("out.json").read_text())
    assert got["CSV"] == Path("out.csv").read_bytes()
    assert got["picture"].startswith(b"\x89PNG")


def shown_downloads(visitor):
    """What the page's second question after a clip brings."""
    which, downloads = visitor.part("which"), visitor.part("downloads")
    called = next(d for d in visitor.config["dependencies"] if d["inputs"] == [which] and d["outputs"] == [downloads])
    return visitor.ask(called, None, [1])["downloads"]


def test_the_download_of_a_take_asked_about_holds_what_predict_writes_with_what_if(page, visitor, folder):
    make_clip("clip.mp4", range(20, 220, 2))
    visitor.give("clip.mp4")
    (path,) = re.findall('file=([^"]+[.]json)"', shown_downloads(visitor))
    changed = [d for d in visitor.config["dependencies"] if visitor.part("what-if") in d["outputs"]]
    visitor.ask(next(d for d in changed if d["types"]["generator"]), None, [1])
    got = visitor.http.get(f"/file={path}").json()
    outputs = ["--JSON=out.json", "--PICTURE=False", "--FRAMES_PER_CLIP=8", "--WHAT_IF"]
    ok(run("predict.py", "clip.mp4", "--RUNS", page.temporary.parent / "runs", *outputs))
    assert got == json.loads(Path("out.json").read_text()) and got["clips"]["clip.mp4"]["what_if"]["edits"]


def test_a_moment_shows_what_moved_the_models(visitor, folder):
    make_clip("clip.mp4", range(20, 220, 2))
    assert "higher than" in visitor.give("clip.mp4")["answer"]
    shown = visitor.happen("course", "select", {"time": 2.0}, [1, "openness"])["moment"]
    assert "What moved the guess of openness at 2." in shown and "data:image/png" in shown


def test_a_second_take_is_laid_beside_the_first_and_the_oldest_goes(page, visitor, folder):
    for number in (1, 2, 3):
        make_clip(f"{number}.mp4", range(20, 200, 2 * number))
        shown = visitor.give(f"{number}.mp4")
        assert bool(shown["beside"]) == bool(not shown["measured"]) == (number > 1)
    assert "From Take 2 (2.mp4) to Take 3 (3.mp4)" in shown["beside"]
    assert [path.name for path in page.clips] == ["take-2.mp4", "take-3.mp4"]


@pytest.mark.parametrize("name", ["broken.mp4", "<b>.html", "a" * 300, ".."])
def test_a_hostile_file_is_one_line_and_the_next_clip_works(page, visitor, folder, name):
    Path("hostile").write_bytes(b"<script>alert(1)</script>")
    shown = visitor.give("hostile", name)
    assert "cannot be used" in shown["alert"]["value"] if isinstance(shown["alert"], dict) else shown["alert"]
    assert "<script" not in str(shown) and "<b>.html" not in str(shown)
    assert not page.clips
    make_clip("clip.mp4", [90] * 50)
    assert "Take 1 (clip.mp4)" in visitor.give("clip.mp4")["answer"]  # a failure uses up no number


def test_a_webm_without_a_duration_as_browsers_record_it(visitor, folder):
    clip = make_clip("clip.mp4", range(20, 220, 2))
    command = [FFMPEG, "-v", "error", "-i", clip, "-deadline", "realtime", "-f", "webm", "-"]
    piped = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # a pipe lets nothing be added at the start
    Path("live.webm").write_bytes(piped.stdout)
    assert "Duration: N/A" in subprocess.run([FFMPEG, "-i", "live.webm"], capture_output=True, text=True).stderr
    shown = visitor.give("live.webm")
    assert "8 frames looked at, 4.0 s listened to" in shown["answer"] and 'data-end="4.0' in shown["course"]


def test_too_long_and_too_large(visitor, folder):
    make_clip("long.mp4", [90] * 105, rate=5)
    assert "it lasts 21.0 s, and 20 are the most" in str(visitor.give("long.mp4")["alert"])
    refusal = visitor.http.post("/upload", files={"files": ("large.mp4", bytes(1_000_001))})
    assert refusal.status_code == 413


def test_one_click_answers_a_drawn_clip(page, visitor):
    shown = visitor.happen("example", "click", values=[None, None])
    assert "Take 1 (drawn clip)" in shown["answer"] and shown["answer"].count("higher than") == 5
    assert "<dt>Frames with one face</dt><dd>100 %" in shown["measured"]
    drawn, clip = page.clips  # two names of one file
    assert clip.name == "take-1.mp4" and drawn.samefile(clip)


def test_three_visitors_at_once_see_their_own_clips_alone_and_these_go_with_them(page, folder):
    clips = [make_clip(f"{name}.mp4", range(20, 200, step)) for name, step in (("anna", 2), ("ben", 3), ("cleo", 4))]
    visitors = [Visitor(page) for _ in clips]
    with ThreadPoolExecutor(3) as at_once:
        shown = list(at_once.map(Visitor.give, visitors, clips))
    for visitor, own, told in zip(visitors, clips, shown, strict=True):
        assert f"Take 1 ({own.name})" in told["answer"]
        again = visitor.happen("which", "input", values=[1, 0])
        assert not [clip for clip in clips if clip != own and clip.name in str([told, again])]
    assert len({path.parent for path in page.clips}) == len(page.clips) == 3
    anna, ben, cleo = visitors
    (of_anna,) = [path for path in page.clips if str(path) in shown[0]["player"]]
    assert ben.get(of_anna.parent) == ben.get(of_anna.parent.parent) == 403  # folders are not listed
    for path in (of_anna, PROJECT / "README.md", "/etc/passwd"):  # only what was just uploaded is taken as a clip
        assert "is not in the cache folder" in ben.submit(str(path), "mine.mp4")["error"]
    for path in (of_anna.parents[2] / "uploads", "http://127.0.0.1:9/clip.mp4"):
        assert "it is not there any more" in str(ben.submit(str(path), "mine.mp4")["alert"])
    anna.leave()
    wait_until(lambda: not of_anna.parent.exists())
    assert len(page.clips) == 2
    ben.leave()
    cleo.leave()
    wait_until(lambda: not page.clips)


@pytest.mark.soak
def test_clips_are_removed_at_ctrl_c(tmp_path):
    make_clip("clip.mp4", [90] * 50)
    with opened(tmp_path) as page:
        Visitor(page).give("clip.mp4")
        page.process.send_signal(signal.SIGINT)
        page.process.wait(30)
    assert not list(page.temporary.iterdir())


def test_three_programs_at_once_get_what_each_would_get_alone(page, folder):
    clips = [make_clip(f"{number}.mp4", range(20, 200, number)) for number in (2, 3)]

    def ask(clip):
        return Client(page.address, verbose=False).predict(handle_file(clip), api_name="/answer")["clips"][clip.name]

    alone = [ask(clip) for clip in clips]
    with ThreadPoolExecutor(3) as programs:
        assert list(programs.map(ask, [clips[0], clips[1], clips[0]])) == [alone[0], alone[1], alone[0]]


def test_without_runs_it_says_how_to_get_some():
    refused(run_alone("app.py"), "neither runs/ nor sample/runs/ has a trained run", "run_pipeline.sh")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "a-name.local"])
def test_takes_are_not_kept_on_a_page_that_others_reach(host):
    refused(run("app.py", "--HOST", host, "--KEEP=kept"), "whoever reaches the page could see and delete")
    assert not Path("kept").exists()


def test_a_folder_to_keep_takes_in_that_is_a_file_is_told():
    Path("kept").write_text("mine")
    refused(run("app.py", "--KEEP=kept"), "KEEP = 'kept' is no folder")


def test_a_port_that_is_taken_is_told(page):
    taken = page.address.rpartition(":")[2]
    refused(run("app.py", "--PORT", taken, "--RUNS", page.temporary.parent / "runs"), f"port {taken}")
