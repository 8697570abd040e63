"""Fetches one file over HTTP: resumes where an earlier try stopped, checks, and only then gives it its name."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from pipecatapp.errors import ChecksumError, DownloadError, SourceUnreachableError
from pipecatapp.proxies import is_in_house
from pipecatapp.storage.atomic import move, replace_file, replacing

logger = logging.getLogger(__name__)

# (bytes here, bytes in all or None)
ByteProgress = Callable[[int, int | None], None]
# Tries in a row that bring no byte before a source counts as out of reach.
FRUITLESS_TRIES = 3
DISK_MARGIN = 200_000_000
_CHUNK = 1 << 20
# Nobody closes these clients: a connection ends with its file.
NO_IDLE_CONNECTIONS = httpx.Limits(max_keepalive_connections=0)


class Downloader:
    """Downloads with one HTTP client.

    Args:
        http: the client; it decides on proxies and timeouts. Without it: proxies of the environment for what leaves the
            house.
        wait: how to wait between tries.
    """

    def __init__(self, http: httpx.Client | None = None, wait: Callable[[float], None] = time.sleep) -> None:
        self._given = http
        self._clients: dict[bool, httpx.Client] = {}
        self._wait = wait
        self._unreachable: set[bytes] = set()

    def _client(self, url: str) -> httpx.Client:
        """The given client; else one for what leaves the house, by a proxy where one is set, and one for the rest."""
        if self._given is not None:
            return self._given
        outside = not is_in_house(url)
        if outside not in self._clients:
            timeout = httpx.Timeout(30.0, connect=10.0)
            self._clients[outside] = httpx.Client(
                timeout=timeout, limits=NO_IDLE_CONNECTIONS, follow_redirects=True, trust_env=outside
            )
        return self._clients[outside]

    def fetch(self, url: str, target: Path, sha256: str, progress: ByteProgress, size: int = 0) -> None:
        """Bring ``url`` to ``target``; what is there is kept when it is right.

        Raises:
            SourceUnreachableError: nobody answers; what arrived so far is kept for the next try.
            ChecksumError: the file is another one than the pinned one.
            DownloadError: the file is gone, or the disk is full.
        """
        if target.is_file() and file_sha256(target) == sha256:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        resumed = part.exists()
        self._bring(url, part, progress, size)
        found = file_sha256(part)
        if found != sha256 and resumed:
            # The beginning may be of an older file: once more from the start.
            _forget(part)
            self._bring(url, part, progress, size)
            found = file_sha256(part)
        if found != sha256:
            _forget(part)
            raise ChecksumError(f"{target.name} does not match its checksum: expected {sha256}, got {found}")
        move(part, target)
        _forget(part)

    def _bring(self, url: str, part: Path, progress: ByteProgress, size: int) -> None:
        fruitless, host, server = 0, httpx.URL(url).host, httpx.URL(url).netloc
        if server in self._unreachable:
            raise SourceUnreachableError(f"{host} cannot be reached")
        while True:
            before = _length(part)
            try:
                if self._try(url, part, progress, size):
                    return
                reason = "the connection broke"
            except (httpx.TransportError, httpx.DecodingError) as error:
                reason = str(error) or type(error).__name__
            fruitless = 0 if _length(part) > before else fruitless + 1
            if fruitless >= FRUITLESS_TRIES:
                self._unreachable.add(server)
                raise SourceUnreachableError(f"{host} cannot be reached: {reason}")
            logger.info("%s: %s, going on at %d bytes", part.name, reason, _length(part))
            self._wait(min(2.0**fruitless, 10.0))

    def _try(self, url: str, part: Path, progress: ByteProgress, size: int) -> bool:
        """One request; whether the file is complete. False asks for another try."""
        have = _length(part)
        etag = _etag_file(part)
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if etag.exists():
                headers["If-Range"] = etag.read_text()
        with self._client(url).stream("GET", url, headers=headers) as response:
            if url.startswith("https:") and response.url.scheme != "https":
                raise DownloadError(f"{httpx.URL(url).host} redirects to an unencrypted address; refused")
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                if response.headers.get("content-range") == f"bytes */{have}":
                    return True
                _forget(part)
                return False
            if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or response.status_code in (408, 425, 429):
                raise httpx.RemoteProtocolError(f"status {response.status_code}")
            if response.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
                raise DownloadError(f"{url} answers {response.status_code}: the file is not there any more")
            resuming = response.status_code == httpx.codes.PARTIAL_CONTENT
            if resuming and not response.headers.get("content-range", "").startswith(f"bytes {have}-"):
                _forget(part)
                return False
            start = have if resuming else 0
            _keep_etag(etag, response.headers.get("etag", ""))
            length = response.headers.get("content-length")
            total = start + int(length) if length and length.isdigit() else None
            check_disk(part, (total or size) - start)
            with part.open("ab" if resuming else "wb") as file:
                for chunk in response.iter_raw():
                    file.write(chunk)
                    progress(file.tell(), total)
            return total is None or _length(part) == total


def file_sha256(file: Path) -> str:
    """The checksum of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def copy_checked(source: Path, target: Path, sha256: str, mode: int, progress: ByteProgress | None = None) -> None:
    """Copy a file of a folder that may be somebody else's: the checksum is taken of what is written here.

    Raises:
        ChecksumError: it is another file; ``target`` is as it was.
    """
    total = source.stat().st_size
    digest = hashlib.sha256()
    with source.open("rb") as original, replacing(target, mode) as copy:
        while chunk := original.read(_CHUNK):
            copy.write(chunk)
            digest.update(chunk)
            if progress is not None:
                progress(copy.tell(), total)
        if digest.hexdigest() != sha256:
            raise ChecksumError(f"{source} is not the pinned file")


def _length(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _etag_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")


def _keep_etag(file: Path, etag: str) -> None:
    # A weak tag does not promise the same bytes.
    if etag and not etag.startswith("W/"):
        replace_file(file, etag, 0o644)
    else:
        file.unlink(missing_ok=True)


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _etag_file(part).unlink(missing_ok=True)


def check_disk(part: Path, needed: int) -> None:
    """Make sure that so many bytes more fit where the file will be.

    Raises:
        DownloadError: they do not.
    """
    with contextlib.suppress(FileNotFoundError):
        free = shutil.disk_usage(part.parent).free
        if free < needed + DISK_MARGIN:
            raise DownloadError(f"{part.name} needs {needed >> 20} MB, {part.parent} has only {free >> 20} MB free")
