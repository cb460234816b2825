"""Published folders taken from a zip and from a server, which may misbehave."""

import hashlib
import json
import resource
import shutil
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from first_impression.common.errors import UserError
from first_impression.data.chalearn import TRAITS
from first_impression.sharing import fetching
from first_impression.training import manifest
from first_impression.training.runs import find_runs

MODELS = {"dan/epoch 1.keras": bytes(range(256)) * 4000, "ear/final.keras": b"sound" * 1000}


@pytest.fixture(autouse=True)
def cache(folder, monkeypatch):
    monkeypatch.setenv(fetching.CACHE_VARIABLE, str(folder / "cache"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    return folder / "cache"


@pytest.fixture
def published(folder):
    """A published folder whose models are bytes of no meaning: nothing here opens them."""
    quantiles = {trait: [number / 100 for number in range(101)] for trait in TRAITS}
    training = {"clips": 7, "quantiles": quantiles, "salt": "s", "names": []}
    kinds = {"dan": "image", "ear": "audio"}
    about = {
        "schema": 1,
        "traits": list(TRAITS),
        "files": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in MODELS.items()
        },
        "runs": {
            name.split("/")[0]: {
                "kind": kinds[name.split("/")[0]],
                "files": [name],
                "settings": {},
                "training": training,
            }
            for name in MODELS
        },
    }
    for name, content in MODELS.items():
        (folder / "published" / name).parent.mkdir(parents=True)
        (folder / "published" / name).write_bytes(content)
    write_manifest(about)
    return folder / "published"


def write_manifest(about):
    Path("published/manifest.json").write_text(json.dumps(about))


class Server(ThreadingHTTPServer):
    """Serves the current folder; `asked` lists the paths asked for, `answers` are by-path functions of the handler."""

    def __init__(self):
        self.asked, self.answers = [], {}
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        pass  # a client that has hung up


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802, the library's name
        path = unquote(self.path)
        self.server.asked.append(path)
        if path in self.server.answers:
            return self.server.answers[path](self)
        file = Path("." + path)
        if not file.is_file():
            return self.send_error(404)
        content = file.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(folder):
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def contents(place):
    return {str(path.relative_to(place)): path.read_bytes() for path in Path(place).rglob("*.keras")}


def kept(cache):
    """The files in the cache, relative to the folder of what was fetched."""
    return ["/".join(path.relative_to(cache).parts[1:]) for path in sorted(cache.rglob("*")) if path.is_file()]


def test_an_address_is_fetched_once_and_then_needs_no_network(published, server, cache, capsys):
    address = f"{server.address}/published/manifest.json"
    place = fetching.published_folder(address)
    assert contents(place) == MODELS and [run.name for run in find_runs(place)] == ["dan", "ear"]
    printed = capsys.readouterr()
    assert "copying 2 files, 1.0 MB, to" in printed.out and "epoch 1.keras: 100%" in printed.err
    asked = len(server.asked)
    assert asked == 3
    server.shutdown()
    server.server_close()
    assert fetching.published_folder(address) == place and len(server.asked) == asked
    assert f"{address}: from {place}" in capsys.readouterr().out


def test_a_zip_of_a_published_folder(published, cache):
    for root in ("", "mine/"):
        with zipfile.ZipFile("some.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in (path for path in published.rglob("*") if path.is_file()):
                archive.write(path, f"{root}{path.relative_to(published)}")
        assert contents(fetching.published_folder("some.zip")) == MODELS
        shutil.rmtree(cache)


@pytest.mark.parametrize("flaw", ["cut", "changed", "larger", "lacking", "no manifest", "no zip"])
def test_a_zip_that_is_not_one_is_refused_and_leaves_nothing(published, cache, flaw):
    with zipfile.ZipFile("some.zip", "w") as archive:
        for path in (path for path in published.rglob("*") if path.is_file()):
            content = path.read_bytes()
            if path.name == "final.keras":
                content = {"changed": b"SOUND" * 1000, "larger": content + b"x"}.get(flaw, content)
            if not (
                flaw == "lacking" and path.name == "final.keras" or flaw == "no manifest" and path.suffix == ".json"
            ):
                archive.writestr(str(path.relative_to(published)), content)
    if flaw in ("cut", "no zip"):
        content = Path("some.zip").read_bytes()
        Path("some.zip").write_bytes(content[:-30] if flaw == "cut" else b"zip")
    with pytest.raises(UserError, match=r"some\.zip"):
        fetching.published_folder("some.zip")
    assert not {"ear/final.keras", "manifest.json"} & set(kept(cache))


@pytest.mark.parametrize("says_size", [True, False])
def test_a_fetch_that_was_cut_is_resumed_with_the_file_that_was_cut(published, server, cache, says_size):
    path, address = "/published/ear/final.keras", f"{server.address}/published/manifest.json"

    def cut(handler):
        handler.send_response(200)
        if says_size:
            handler.send_header("Content-Length", "5000")
        handler.end_headers()
        handler.wfile.write(MODELS["ear/final.keras"][:4000])

    server.answers[path] = cut
    with pytest.raises(UserError, match="the connection was cut" if says_size else "its SHA-256 differs"):
        fetching.published_folder(address)
    assert kept(cache) == ["dan/epoch 1.keras"]
    del server.answers[path]
    assert contents(fetching.published_folder(address)) == MODELS
    assert [server.asked.count(f"/published/{name}") for name in MODELS] == [1, 2]


def answer(content, status=200, **headers):
    def send(handler):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    return send


def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65536)


def redirect(to):
    return answer(b"", 302, Location=to)


FLIPPED = bytearray(MODELS["ear/final.keras"])
FLIPPED[2500] ^= 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (answer(bytes(FLIPPED)), "not the file that manifest.json names: its SHA-256 differs"),
        (answer(b"other" * 1000), "not the file that manifest.json names"),  # of the same size
        (endless, "more than the 5,000 bytes"),
        (answer(b"", 404), "404"),
        (answer(b"", 500), "500"),
        (redirect("http://example.org/final.keras"), "only https:// addresses are taken"),
        (redirect("file:///etc/passwd"), "only https:// addresses are taken"),
        (redirect("https://[1/final.keras"), "Invalid IPv6 URL"),
        (redirect("/published/ear/final.keras"), "redirected more than 5 times"),
    ],
)
def test_a_file_other_than_the_one_named_is_refused_and_leaves_nothing(published, server, cache, answer, words):
    server.answers["/published/ear/final.keras"] = answer
    with pytest.raises(UserError) as refusal:
        fetching.published_folder(f"{server.address}/published/manifest.json")
    assert words in str(refusal.value) and "\n" not in str(refusal.value)
    assert kept(cache) == ["dan/epoch 1.keras"]  # the sound one alone


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (endless, "more than the 20,000,000 bytes"),
        (answer(b"<html>"), "is not a manifest of publish.py"),
        (answer(b"[" * 100_000), "is not a manifest of publish.py"),
        (answer(b"", 403), "403"),
        (redirect("http://example.org/manifest.json"), "only https:// addresses are taken"),
    ],
)
def test_anything_but_a_manifest_is_refused(published, server, cache, answer, words):
    server.answers["/published/manifest.json"] = answer
    with pytest.raises(UserError) as refusal:
        fetching.published_folder(f"{server.address}/published/manifest.json")
    assert words in str(refusal.value) and "\n" not in str(refusal.value) and not cache.exists()


@pytest.mark.parametrize("name", ["../../out.keras", "/tmp/out.keras", "dan/../../out.keras", "http://x/out.keras"])
def test_no_name_in_a_manifest_leaves_the_folder(published, server, cache, name):
    about = json.loads(Path("published/manifest.json").read_text())
    about["files"][name] = about["files"]["ear/final.keras"]
    write_manifest(about)
    with pytest.raises(UserError, match="is not a manifest of publish.py"):
        fetching.published_folder(f"{server.address}/published/manifest.json")
    assert not cache.exists() and len(server.asked) == 1


@pytest.mark.parametrize(
    ("key", "value"), [("clips", "many"), ("clips", -1), ("clips", 1.5), ("clips", True), ("quantiles", "falling")]
)
def test_a_manifest_whose_training_labels_make_no_sense_is_refused(published, key, value):
    about = json.loads(Path("published/manifest.json").read_text())
    training = about["runs"]["ear"]["training"]
    if key == "quantiles":
        value = {trait: numbers[::-1] for trait, numbers in training["quantiles"].items()}
    training[key] = value
    write_manifest(about)
    with pytest.raises(UserError, match="is not a manifest of publish.py .*quantiles") as refusal:
        manifest.read("published")
    assert "\n" not in str(refusal.value)


def test_sizes_are_bounded_before_anything_is_fetched(published, server, cache):
    about = json.loads(Path("published/manifest.json").read_text())
    about["files"]["ear/final.keras"]["bytes"] = 10**12
    write_manifest(about)
    with pytest.raises(UserError, match="its files have 1,000.0 GB"):
        fetching.published_folder(f"{server.address}/published/manifest.json")
    assert len(server.asked) == 1 and not cache.exists()


def test_a_redirect_that_stays_here_is_followed(published, server):
    server.answers["/latest/manifest.json"] = redirect("/published/manifest.json")
    server.answers["/latest/ear/final.keras"] = redirect("/published/ear/final.keras")
    server.answers["/latest/dan/epoch 1.keras"] = redirect("/published/dan/epoch%201.keras")
    assert contents(fetching.published_folder(f"{server.address}/latest/manifest.json")) == MODELS


@pytest.mark.parametrize(
    "address", ["http://example.org/manifest.json", "ftp://127.0.0.1/manifest.json", "file:///x/manifest.json"]
)
def test_only_safe_addresses_are_taken(address):
    with pytest.raises(UserError, match="only https:// addresses are taken"):
        fetching.published_folder(address)


def test_no_network_a_dead_proxy_and_a_silent_server_are_refused_in_a_line(published, server, monkeypatch):
    dead = "https://127.0.0.1:9/manifest.json"
    with pytest.raises(UserError, match="127.0.0.1:9/manifest.json: no connection"):
        fetching.published_folder(dead)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="the proxy of HTTPS_PROXY could not be reached"):
        fetching.published_folder("https://example.org/manifest.json")
    monkeypatch.setattr(fetching, "TIMEOUT", 0.2)
    wait = threading.Event()
    server.answers["/published/manifest.json"] = lambda handler: wait.wait(5)
    with pytest.raises(UserError, match="no answer within"):
        fetching.published_folder(f"{server.address}/published/manifest.json")
    wait.set()


def test_a_server_that_sends_a_byte_now_and_then_is_given_up(published, server, cache, monkeypatch):
    def trickle(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        for _ in range(1000):
            handler.wfile.write(b"s")
            time.sleep(0.1)

    monkeypatch.setattr(fetching, "TIMEOUT", 0.5)
    server.answers["/published/ear/final.keras"] = trickle
    start = time.monotonic()
    with pytest.raises(UserError, match="slower than 10 kB/s"):
        fetching.published_folder(f"{server.address}/published/manifest.json")
    assert time.monotonic() - start < 20 and kept(cache) == ["dan/epoch 1.keras"]


def test_a_server_whose_head_trickles_in_is_given_up(published, server, cache, monkeypatch):
    def trickle(handler):
        handler.send_response(200)
        handler.flush_headers()
        for number in range(1000):
            handler.wfile.write(f"X-{number}: 1\r\n".encode())
            time.sleep(0.1)

    monkeypatch.setattr(fetching, "TIMEOUT", 0.5)
    server.answers["/published/manifest.json"] = trickle
    start = time.monotonic()
    with pytest.raises(UserError, match="no answer within"):
        fetching.published_folder(f"{server.address}/published/manifest.json")
    assert time.monotonic() - start < 20 and kept(cache) == []


def test_a_full_disk_leaves_nothing(published, server, cache):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            fetching.published_folder(f"{server.address}/published/manifest.json")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not kept(cache)
