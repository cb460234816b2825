"""A published folder from wherever it lies: a folder, a zip of one, or the address of its manifest.

What is fetched is kept in the user's cache folder by its SHA-256, and never asked for again:

    files/<sha256>.keras          the models; one that was cut lies there as <sha256>.keras.part, and is gone on with
    folders/<sha256>/             a published folder, by the SHA-256 of its manifest, with links to these files
    addresses/<sha256>.json       which folder an address gave, by the SHA-256 of the address
"""

import hashlib
import json
import os
import shutil
import zipfile
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import platformdirs

from first_impression.common import files
from first_impression.common.errors import UserError, damage_as_user_error
from first_impression.common.parallel import progress
from first_impression.training import manifest

CACHE_VARIABLE = "FIRST_IMPRESSION_CACHE"  # environment variable: another folder than the system's for caches
MOST_BYTES = 10**10  # of all files of a published folder; the largest model here has 0.1 GB
MOST_REDIRECTS = 5
TIMEOUT = 30  # seconds without a byte
CHUNK = 1 << 16  # bytes
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def published_folder(place):
    """The folder with the runs at `place`: a folder as it is, else one in the cache; a `Path`.

    Raises `UserError` for a zip or an address that is not of a published folder, that cannot be fetched, or whose files
    are not those that the manifest names.
    """
    if "://" in str(place):
        return _from_address(str(place))
    if Path(place).suffix.lower() == ".zip" and Path(place).is_file():
        return _from_zip(Path(place))
    return Path(place)


def cache():
    """The folder for what is fetched."""
    return Path(os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("first-impression", appauthor=False))


def _from_address(address):
    refuse_unsafe(address)
    note = cache() / "addresses" / f"{hashlib.sha256(address.encode()).hexdigest()}.json"
    if note.exists():
        with damage_as_user_error(f"{note} is damaged", "delete it"):
            folder = cache() / "folders" / json.loads(note.read_text(encoding="utf-8"))["folder"]
        if folder.is_dir():
            print(f"{address}: from {folder}. Deleting {note} has it asked for anew")
            return folder
    content = _fetch_small(address, manifest.MOST_BYTES)
    about = manifest.parse(content, address)
    _refuse_large(about, address)
    missing = {name: of for name, of in manifest.models_of(about).items() if not _is_whole(of)}
    if missing:
        size = sum(of["bytes"] for of in missing.values())
        print(f"{address}: {len(missing)} files, {size / 1e6:,.1f} MB, are fetched into {cache()}")
        for name, of in missing.items():
            _fetch_file(urljoin(address, quote(name)), name, of)
    folder = _lay_out(content, about)
    files.write_json(note, {"address": address, "folder": folder.name})
    return folder


def _from_zip(path):
    with damage_as_user_error(f"{path} is not a whole zip of a published folder", "fetch it again"):
        with zipfile.ZipFile(path) as archive:
            inside = [name for name in archive.namelist() if name.rpartition("/")[2] == manifest.NAME]
            if len(inside) != 1:
                raise ValueError(f"it has {len(inside)} files named {manifest.NAME}")
            if archive.getinfo(inside[0]).file_size > manifest.MOST_BYTES:
                raise ValueError(f"its {manifest.NAME} is too large")
            content, root = archive.read(inside[0]), inside[0].removesuffix(manifest.NAME)
            about = manifest.parse(content, f"{path}: {inside[0]}")
            _refuse_large(about, path)
            for name, of in manifest.models_of(about).items():
                if not _is_whole(of):
                    with archive.open(root + name) as source, files.whole_file(_kept(of)) as tmp:
                        with open(tmp, "wb") as target:
                            _copy(source, target, of["bytes"], f"{path}: {name}")
                        _refuse_other(tmp, of, f"{path}: {name}")
    return _lay_out(content, about)


def refuse_unsafe(address):
    """Raises `UserError` for an address that is not https, or http on this very machine."""
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise UserError(f"{address}: only https:// addresses are taken, and http:// ones of this machine itself")


def _refuse_large(about, where):
    size = sum(of["bytes"] for of in manifest.models_of(about).values())
    if size > MOST_BYTES:
        raise UserError(f"{where}: its files have {size / 1e9:,.1f} GB, more than any models of this project")


def _kept(of):
    return cache() / "files" / f"{of['sha256']}.keras"


def _is_whole(of):
    path = _kept(of)
    return path.exists() and path.stat().st_size == of["bytes"] and files.sha256(path) == of["sha256"]


def _lay_out(content, about):
    """The published folder in the cache, of files that are there: its path."""
    folder = cache() / "folders" / hashlib.sha256(content).hexdigest()
    if not folder.is_dir():
        with files.whole_folder(folder) as tmp:
            (tmp / manifest.NAME).write_bytes(content)
            for name, of in manifest.models_of(about).items():
                (tmp / name).parent.mkdir(exist_ok=True)
                try:
                    os.link(_kept(of), tmp / name)
                except OSError:  # a file system without links
                    shutil.copyfile(_kept(of), tmp / name)
    return folder


def _fetch_small(address, most):
    with _open(address, {}) as response:
        content = bytearray()
        for chunk in _chunks(response, address):
            content += chunk
            if len(content) > most:
                raise UserError(f"{address}: more than {most:,} bytes, which no {manifest.NAME} has")
    return bytes(content)


def _fetch_file(address, name, of):
    """Fetch a file into the cache, from where an earlier attempt was cut."""
    path = _kept(of)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with files.locked(part.with_name(f".{part.name}.lock"), "another fetch"):
        have = part.stat().st_size if part.exists() else 0
        if have > of["bytes"]:
            part.unlink()
            have = 0
        if have < of["bytes"]:
            with _open(address, {"Range": f"bytes={have}-"} if have else {}) as response:
                if response.status_code != 206:
                    have = 0  # the server knows no parts: all of it comes
                bar = progress(of["bytes"], name, "B", have, unit_scale=True)
                with open(part, "ab" if have else "wb") as target, bar:
                    for chunk in _chunks(response, address):
                        have += len(chunk)
                        if have > of["bytes"]:
                            break
                        target.write(chunk)
                        bar.update(len(chunk))
        if have < of["bytes"]:
            raise UserError(
                f"{address}: cut after {have:,} of {of['bytes']:,} bytes; the same command goes on from there"
            )
        try:
            if have > of["bytes"]:
                raise UserError(f"{address}: more than the {of['bytes']:,} bytes that {manifest.NAME} tells")
            _refuse_other(part, of, address)
        except UserError:
            part.unlink(missing_ok=True)
            raise
        os.replace(part, path)


def _refuse_other(path, of, where):
    if path.stat().st_size != of["bytes"] or files.sha256(path) != of["sha256"]:
        raise UserError(
            f"{where}: not the file that {manifest.NAME} names, its SHA-256 differs; nothing of it was kept"
        )


def _copy(source, target, most, where):
    count = 0
    while chunk := source.read(CHUNK):
        count += len(chunk)
        if count > most:
            raise UserError(f"{where}: more than the {most:,} bytes that {manifest.NAME} tells")
        target.write(chunk)


def _open(address, headers):
    """The answer of the server, after redirects that stay safe. Raises `UserError` where there is none, or not this."""
    import requests  # here, since it takes a while and most runs lie on this machine

    for _ in range(MOST_REDIRECTS + 1):
        refuse_unsafe(address)
        try:
            response = requests.get(
                address,
                headers={"Accept-Encoding": "identity", **headers},
                stream=True,
                timeout=TIMEOUT,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise UserError(f"{address}: {_reason(error)}") from None
        if not response.is_redirect:
            break
        response.close()
        address = urljoin(address, response.headers["Location"])
    else:
        raise UserError(f"{address}: redirected more than {MOST_REDIRECTS} times")
    if response.status_code not in (200, 206):
        response.close()
        raise UserError(f"{address}: the server answers {response.status_code} {response.reason}")
    return response


def _chunks(response, address):
    import requests

    try:
        yield from response.iter_content(CHUNK)
    except requests.RequestException as error:
        raise UserError(f"{address}: {_reason(error)}; the same command goes on from there") from None


def _reason(error):
    """What happened, without the chain of objects that requests puts around it."""
    import requests

    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy of HTTPS_PROXY could not be reached"
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate cannot be trusted"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was cut"
    if isinstance(error, requests.ConnectionError):
        return "no connection; is there a network, or is HTTPS_PROXY needed?"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
