"""The page opened for a test, in a process of its own, on tiny stand-ins for trained models; and a visitor without a
browser, who sends what Gradio's own script sends.
"""

import contextlib
import json
import os
import re
import secrets
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import PROJECT

sys.path.insert(0, str(PROJECT / "tests" / "inference"))

from stand_ins import LABELS, audio_model, image_model, save_run, tiny_dan  # noqa: E402, F401, once it can be found

pytest.importorskip("gradio", reason="Gradio is not installed (requirements-app.txt): the page is not tried")

import httpx  # noqa: E402, which comes with Gradio

from first_impression.page.visitors import PREFIX  # noqa: E402


class Page:
    """An open page: its `address`, and `temporary`, the folder in which its own temporary folder lies."""

    def __init__(self, process, address, temporary):
        self.process, self.address, self.temporary = process, address, temporary

    @property
    def clips(self):
        """The paths of all visitors' files, of any kind; os.walk passes over folders that are removed meanwhile."""
        found = [Path(folder, name) for folder, _, names in os.walk(self.temporary) for name in names]
        return sorted(path for path in found if path.match(f"{PREFIX}*/visitors/*/*"))


@contextlib.contextmanager
def opened(folder, *flags):
    """A `Page` in `folder`, where runs are made unless it has some; it is closed by SIGTERM."""
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    if not (folder / "runs").exists():
        with contextlib.chdir(folder):
            save_run("dan", tiny_dan(seed=3), LABELS)
            save_run("audio", audio_model(), LABELS)
    # With a short heartbeat the page soon notices that a visitor has left; no proxy is asked for this address
    environment = os.environ | {"TMPDIR": str(temporary), "GRADIO_HEARTBEAT_INTERVAL": "0.5", "NO_PROXY": "*"}
    command = [sys.executable, str(PROJECT / "app.py"), "--PORT=0", "--FRAMES_PER_CLIP=8", *flags]
    with open(folder / "app.log", "w+") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            lines = iter(process.stdout.readline, "")
            found = next(filter(None, (re.search(r"open at (http://\S+)/", line) for line in lines)), None)
            assert found, Path(folder / "app.log").read_text()
            yield Page(process, found[1], temporary)
        finally:
            process.terminate()
            process.communicate(timeout=60)


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


class Visitor:
    """A session with the page, which ends where there is no heartbeat."""

    def __init__(self, page, heartbeat=True):
        self.session = secrets.token_hex(6)
        self.http = httpx.Client(base_url=f"{page.address}/gradio_api", timeout=120, trust_env=False)
        self.config = httpx.get(f"{page.address}/config", trust_env=False).json()
        self._left = threading.Event()
        self._here = threading.Thread(target=self._be_here)
        if heartbeat:
            self._here.start()

    def _be_here(self):
        address = f"{self.http.base_url}heartbeat/{self.session}"
        with (
            contextlib.suppress(httpx.RemoteProtocolError),  # the page was closed first
            httpx.stream("GET", address, timeout=60, trust_env=False) as beats,
        ):
            for _ in beats.iter_raw():
                if self._left.is_set():
                    return

    def leave(self):
        """Close the page. It removes the visitor's files a moment later."""
        self._left.set()
        if self._here.is_alive():
            self._here.join()

    def upload(self, content, name):
        """Send bytes; returns the path that the server gives them."""
        sent = self.http.post("/upload", files={"files": (name, content)})
        assert sent.status_code == 200, sent.text
        return sent.json()[0]

    def give(self, clip, name=None):
        """Submit a clip as the page does; returns {part of the page: what it shows}."""
        name = name or Path(clip).name
        path = self.upload(Path(clip).read_bytes(), f"{secrets.token_hex(4)}{Path(name).suffix}")
        return self.submit(path, name)

    def submit(self, path, name):
        """Submit an uploaded clip; returns {part of the page: what it shows}."""
        return self.happen("recorder", "submit", {"path": path, "name": name}, [None, None])

    def happen(self, part, event, data=None, values=()):
        """Trigger an event of a part of the page; returns {changed part: what it shows}."""
        number = self.part(part)
        called = next(
            function
            for function in self.config["dependencies"]
            if function["backend_fn"] and [number, event] in map(list, function["targets"])
        )
        return self.ask(called, data, values, trigger_id=number)

    def part(self, name):
        """Gradio's number of a part of the page."""
        return next(part["id"] for part in self.config["components"] if part["props"].get("elem_id") == name)

    def ask(self, called, data, values, **more):
        """Call a function that the page's config lists; returns {part: what it shows}, or {"error": why}."""
        asked = {"data": list(values), "event_data": data, "fn_index": called["id"], "session_hash": self.session}
        joined = self.http.post("/queue/join", json=asked | more)
        assert joined.status_code == 200, joined.text
        with self.http.stream("GET", "/queue/data", params={"session_hash": self.session}) as messages:
            for line in messages.iter_lines():
                message = json.loads(line.removeprefix("data: ")) if line else {}
                if message.get("msg") == "process_completed":
                    break
        if not message["success"]:
            return {"error": message["output"]["error"]}
        names = {part["id"]: part["props"].get("elem_id") for part in self.config["components"]}
        shown = zip(called["outputs"], message["output"]["data"], strict=True)
        return {names[output]: value for output, value in shown}

    def get(self, path):
        """The HTTP status with which the server answers a request for a file."""
        return self.http.get(f"/file={path}").status_code
