"""A published folder from wherever it is: a folder, a zip of one, or the address of its manifest.

What comes from an address or a zip is kept in the user's cache folder, under the SHA-256 of the address or of the zip's
manifest. manifest.json is written there last: a folder that has one is complete, and is used without the network.
"""

import hashlib
import os
import queue
import threading
import time
import zipfile
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import platformdirs
import requests
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from first_impression.common import files
from first_impression.common.errors import UserError, damage_as_user_error, short_message
from first_impression.common.parallel import progress
from first_impression.training import manifest

CACHE_VARIABLE = "FIRST_IMPRESSION_CACHE"  # environment variable: another folder than the system's for caches
MOST_BYTES = 10**10  # of all files of a published folder; the largest model here has 0.1 GB
MOST_REDIRECTS = 5
TIMEOUT = 30  # seconds without a byte, and before a slow answer is given up
SLOWEST = 10_000  # bytes per second, on the average of a file
CHUNK = 1 << 16  # bytes
LOOPBACK = ("localhost", "127.0.0.1", "::1")
REASONS = {  # the more specific errors first: they are ConnectionErrors too
    requests.exceptions.ProxyError: "the proxy of HTTPS_PROXY could not be reached",
    requests.exceptions.SSLError: "its certificate cannot be trusted",
    (requests.Timeout, ReadTimeoutError): f"no answer within {TIMEOUT} s",
    ProtocolError: "the connection was cut",
    requests.ConnectionError: "no connection, or a lost one; is there a network, or is HTTPS_PROXY needed?",
}


def published_folder(place):
    """The folder with the runs at `place`: a folder as it is, else one in the cache; a `Path`.

    Raises `UserError` for a zip or an address that is not of a published folder or cannot be fetched, and for a file
    that is not the one the manifest names.
    """
    if "://" in str(place):
        return _from_address(str(place))
    if Path(place).suffix.lower() == ".zip" and Path(place).is_file():
        return _from_zip(Path(place))
    return Path(place)


def _cached(key):
    cache = os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("first-impression", appauthor=False)
    return Path(cache) / hashlib.sha256(key).hexdigest()


def _from_address(address):
    folder = _cached(address.encode())
    if (folder / manifest.NAME).exists():
        print(f"{address}: from {folder}; to fetch it again, delete that folder")
    else:
        content = b"".join(_bounded(_download(address), manifest.MOST_BYTES, address))
        _fill(folder, content, address, lambda name: _download(urljoin(address, quote(name))))
    return folder


def _from_zip(path):
    with (
        damage_as_user_error(f"{path} is not a complete zip of a published folder", "fetch it again"),
        zipfile.ZipFile(path) as archive,
    ):
        files.refuse_packing(archive, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        found = [name for name in archive.namelist() if name.rpartition("/")[2] == manifest.NAME]
        if len(found) != 1:
            raise ValueError(f"it has {len(found)} files named {manifest.NAME}")
        root = found[0].removesuffix(manifest.NAME)
        content = b"".join(_bounded(_unpack(archive, found[0]), manifest.MOST_BYTES, path))
        folder = _cached(content)
        if not (folder / manifest.NAME).exists():
            _fill(folder, content, path, lambda name: _unpack(archive, root + name))
    return folder


def _fill(folder, content, where, chunks_of):
    """Put the models that a manifest names into `folder`, each from `chunks_of(name)`; then its bytes, `content`.

    Models that are there already, since a fetch was interrupted, are not fetched again.
    """
    about = manifest.parse(content, where)
    models = {name: about["files"][name] for run in about["runs"].values() for name in run["files"]}  # no .onnx
    size = sum(model["bytes"] for model in models.values())
    if size > MOST_BYTES:
        raise UserError(f"{where}: its files have {size / 1e9:,.1f} GB, more than any models of this project")
    print(f"{where}: copying {len(models)} files, {size / 1e6:,.1f} MB, to {folder}")
    with files.locked(folder.with_suffix(".lock"), f"a fetch of {where}"):
        for name, model in models.items():
            path = files.below(folder, name)
            if not path.exists() or files.sha256(path) != model["sha256"]:
                _fetch(path, model, f"{where}: {name}", chunks_of(name))
        with files.whole_file(folder / manifest.NAME) as tmp:
            tmp.write_bytes(content)


def _fetch(path, model, where, chunks):
    with files.whole_file(path) as tmp:
        with open(tmp, "wb") as file, progress(model["bytes"], path.name, "B", unit_scale=True) as bar:
            for chunk in _bounded(chunks, model["bytes"], where):
                bar.update(file.write(chunk))
        if files.sha256(tmp) != model["sha256"]:
            raise UserError(f"{where} is not the file that {manifest.NAME} names: its SHA-256 differs")


def _bounded(chunks, most, where):
    """The `chunks` of bytes. Raises `UserError` where they are more than `most` bytes in all."""
    count = 0
    for chunk in chunks:
        count += len(chunk)
        if count > most:
            raise UserError(f"{where}: more than the {most:,} bytes that it may have")
        yield chunk


def _unpack(archive, name):
    with archive.open(name) as file:
        yield from iter(lambda: file.read(CHUNK), b"")


def _timely(response, address):
    """The bytes of a `urllib3` response as they come. Raises `UserError` where they come slower than `SLOWEST`."""
    start, count = time.monotonic(), 0
    while chunk := response.read1(CHUNK, decode_content=False):  # `read` would wait for a whole chunk
        count += len(chunk)
        if time.monotonic() - start > TIMEOUT + count / SLOWEST:
            raise UserError(f"{address}: slower than {SLOWEST / 1000:,.0f} kB/s: try again later")
        yield chunk


def _answer(address, **options):
    """The response to a GET as soon as its head is there, within `TIMEOUT`; raises as `requests.get` does.

    The timeout of `requests` begins anew with every byte, so that a head that trickles in would never meet it.
    """
    answers = queue.SimpleQueue()

    def ask():
        try:
            answers.put(requests.get(address, **options))
        except Exception as error:  # to be raised by the thread that waits
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=TIMEOUT)
    except queue.Empty:
        raise requests.Timeout from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _download(address):
    """The bytes at `address` in pieces, after redirects that stay safe. Raises `UserError` where there are none."""
    for _ in range(MOST_REDIRECTS + 1):
        options = {"headers": {"Accept-Encoding": "identity"}, "timeout": TIMEOUT}
        try:
            parts = urlsplit(address)
            if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
                what = "only https:// addresses are taken, and http:// ones of this machine itself"
                raise UserError(f"{address}: {what}")
            with _answer(address, stream=True, allow_redirects=False, **options) as response:
                if not response.is_redirect:
                    response.raise_for_status()
                    yield from _timely(response.raw, address)
                    return
                address = urljoin(address, response.headers["Location"])
        except (requests.RequestException, HTTPError, ValueError) as error:  # ValueError: no valid address
            reason = next((words for kind, words in REASONS.items() if isinstance(error, kind)), short_message(error))
            raise UserError(f"{address}: {reason}") from None
    raise UserError(f"{address}: redirected more than {MOST_REDIRECTS} times")
