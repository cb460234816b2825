"""The page under attack: by programs that go around it, by other sites in a visitor's browser, by other users."""

import os
import secrets
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from conftest import make_clip
from pages import Visitor, opened, wait_until

from first_impression.page.visitors import LOCK, PREFIX

pytestmark = pytest.mark.slow
VISITORS = 20
KEEP_SECONDS = 9


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    flags = f"--VISITORS={VISITORS}", f"--KEEP_MINUTES={KEEP_SECONDS / 60}"
    with opened(tmp_path_factory.mktemp("page"), *flags) as page:
        yield page


@pytest.fixture
def clip(folder):
    return make_clip("clip.mp4", range(20, 220, 4))


@pytest.fixture
def visitor(page):
    visitor = Visitor(page)
    yield visitor
    visitor.leave()
    wait_until(lambda: not page.clips)


def uploads(page):
    return [path for path in page.temporary.rglob("uploads/**/*") if path.is_file()]


@pytest.mark.parametrize("route", ["run/answer", "api/answer", "run/on_clip", "run/on_choice"])
def test_no_question_passes_the_queue(visitor, clip, route):
    sent = visitor.upload(clip.read_bytes(), "clip.mp4")
    question = {"data": [{"path": sent, "meta": {"_type": "gradio.FileData"}}], "session_hash": visitor.session}
    assert visitor.http.post(route, json=question).status_code == 404


@pytest.mark.parametrize(
    "route",
    ["process_recording", "component_server", "call/answer", "proxy=http://127.0.0.1:9/", "stream/a", "vibe-edit"],
)
def test_route_that_the_page_does_not_use_is_closed(page, visitor, route):
    before = set(page.temporary.rglob("*"))
    sent = {"file": ("clip.mp4", bytes(1000))}
    assert visitor.http.post(route, files=sent).status_code == visitor.http.get(route).status_code == 404
    assert set(page.temporary.rglob("*")) == before


def test_upload_that_broke_off_or_that_nobody_asks_about_is_removed(page, visitor):
    wait_until(lambda: not uploads(page))
    host, port = page.address.removeprefix("http://").split(":")
    part = b'--b\r\nContent-Disposition: form-data; name="files"; filename="clip.mp4"\r\n\r\n' + bytes(100_000)
    head = f"Host: {host}:{port}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n\r\n"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /gradio_api/upload HTTP/1.1\r\n" + head.encode() + part)
        wait_until(lambda: uploads(page))
    sent = Path(visitor.upload(b"clip", "clip.mp4"))
    assert sent.is_file()
    wait_until(lambda: not uploads(page) and not sent.parent.exists())


@pytest.mark.parametrize("origin", ["http://example.com", "https://example.com:7860", "http://localhost:9", "null"])
def test_other_site_cannot_post(page, visitor, origin):
    sent = {"files": ("clip.mp4", secrets.token_bytes(9))}
    assert visitor.http.post("/upload", files=sent, headers={"Origin": origin}).status_code == 403
    question = {"data": [], "fn_index": 0, "session_hash": visitor.session}
    assert visitor.http.post("/queue/join", json=question, headers={"Origin": origin}).status_code == 403
    assert visitor.http.post("/upload", files=sent, headers={"Origin": page.address}).status_code == 200


def test_other_name_for_this_machine_is_refused(page):
    port = page.address.rpartition(":")[2]
    statuses = {
        host: httpx.get(f"{page.address}/config", headers={"Host": f"{host}:{port}"}, trust_env=False).status_code
        for host in ("example.com", "127.0.0.1.example.com", "localhost", "127.0.0.1", "[::1]")
    }
    assert list(statuses.values()) == [400, 400, 200, 200, 200], statuses


def test_visitor_without_heartbeat_is_forgotten_and_one_with_a_heartbeat_stays(page, visitor, clip):
    visitor.give(clip)
    Visitor(page, heartbeat=False).give(clip)
    assert len(page.clips) == 2
    wait_until(lambda: len(page.clips) == 1)
    assert "Take 1 (clip.mp4)" in visitor.happen("which", "input", values=[1, 0])["answer"]


def test_twenty_visitors_at_once_are_answered_and_one_more_is_refused(page, clip):
    visitors = [Visitor(page) for _ in range(VISITORS)]
    names = [f"{number}.mp4" for number in range(VISITORS)]
    with ThreadPoolExecutor(VISITORS) as browsers:
        shown = list(browsers.map(Visitor.give, visitors, [clip] * VISITORS, names))
    assert all(f"Take 1 ({name})" in parts["answer"] for parts, name in zip(shown, names, strict=True))
    late = Visitor(page)
    assert "visitors" in late.give(clip)["error"] and len(page.clips) == VISITORS
    visitors.pop().leave()
    wait_until(lambda: len(page.clips) == VISITORS - 1)
    assert "Take 1 (clip.mp4)" in late.give(clip)["answer"]
    for visitor in (*visitors, late):
        visitor.leave()
    wait_until(lambda: not page.clips and not uploads(page))


def test_two_visitors_who_send_one_file_under_one_name_keep_their_own(page, visitor, clip):
    other = Visitor(page)
    first, second = visitor.upload(clip.read_bytes(), "clip.mp4"), other.upload(clip.read_bytes(), "clip.mp4")
    assert "Take 1 (anna.mp4)" in visitor.submit(first, "anna.mp4")["answer"]
    assert "Take 1 (ben.mp4)" in other.submit(second, "ben.mp4")["answer"]
    other.leave()
    wait_until(lambda: len(page.clips) == 1)
    assert page.clips[0].read_bytes() == clip.read_bytes() and not uploads(page)


def test_a_start_removes_what_a_kill_left_but_follows_no_links_and_touches_nothing_of_other_users(folder, clip):
    with opened(folder) as page:
        Visitor(page).give(clip)
        assert len(page.clips) == 1
        page.process.kill()
        page.process.wait(30)
    killed, without_lock = next(page.temporary.glob(f"{PREFIX}*/visitors")).parent, page.temporary / f"{PREFIX}left"
    without_lock.mkdir()
    precious = folder / "precious"
    precious.mkdir()
    kept = [precious / name for name in ("a", "b", "c")]
    for path in kept:
        path.write_text("precious")
    (page.temporary / f"{PREFIX}linked").symlink_to(precious)
    traps = {name: page.temporary / f"{PREFIX}{name}" for name in ("symbolic", "hard", "fifo", "other")}
    for trap in traps.values():
        trap.mkdir()
        (trap / "clip.mp4").touch()
    Path(f"{traps['symbolic']}{LOCK}").symlink_to(kept[0])
    os.link(kept[1], f"{traps['hard']}{LOCK}")
    os.mkfifo(f"{traps['fifo']}{LOCK}")
    if not os.getuid():
        os.chown(traps["other"], 65534, 65534)
    with opened(folder) as page:
        assert not page.clips and not killed.exists() and not without_lock.exists()
        Visitor(page).give(clip)
        (mine,) = page.clips
    assert not mine.exists()  # an ordinary end
    assert [path.read_text() for path in kept] == ["precious"] * 3
    assert os.getuid() or (traps["other"] / "clip.mp4").exists()
