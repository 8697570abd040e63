"""Gives the models that are here to other machines of the house: a file is asked for by its checksum alone.

Models are public, so whoever reaches the port may have them; nothing else of this PC can be named. An interrupted copy
goes on where it was (``Range``), and the taker compares the checksum.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import AF_INET, AF_INET6

from pipecatapp.llm.catalogue import Catalogue

_CHUNK = 1 << 20
_RANGE = re.compile(r"bytes=(\d{1,15})-\Z")
# A taker that neither takes nor goes.
_SILENT_S = 60


def shared_files(catalogue: Catalogue, models: Path) -> dict[str, Path]:
    """The files of the catalogue that are here whole, by their checksums."""
    return {
        part.sha256: file
        for entry in catalogue
        for variant in entry.model.variants
        for part in variant.files
        if (file := models / entry.model.name / part.name).is_file()
    }


class SharingServer(ThreadingHTTPServer):
    """Serves ``GET /<sha256>``.

    Args:
        host: the address to listen on.
        port: the port; 0: any.
        catalogue: names the files that may be given.
        models: the folder of models. What comes while this runs is given, too.
        most: how many may take at once; the others are told to come again (503).
    """

    daemon_threads = True

    def __init__(self, host: str, port: int, catalogue: Catalogue, models: Path, most: int = 2) -> None:
        self.address_family = AF_INET6 if ":" in host else AF_INET
        self._catalogue = catalogue
        self._models = models
        self._room = threading.BoundedSemaphore(most)
        super().__init__((host, port), _Handler)

    def file(self, sha256: str) -> Path | None:
        """The file with this checksum; None: it is not here."""
        return shared_files(self._catalogue, self._models).get(sha256)

    def enter(self) -> bool:
        """Whether one more may take; then ``leave`` when it is done."""
        return self._room.acquire(blocking=False)

    def leave(self) -> None:
        """One has taken."""
        self._room.release()


class _Handler(BaseHTTPRequestHandler):
    timeout = _SILENT_S
    server: SharingServer

    def do_GET(self) -> None:
        """Send a file, or its rest."""
        sha256 = self.path.removeprefix("/")
        file = self.server.file(sha256) if re.fullmatch(r"[0-9a-f]{64}", sha256) else None
        if file is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        if not self.server.enter():
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, "others take; come again")
            return
        try:
            self._send(file, sha256)
        finally:
            self.server.leave()

    def _send(self, file: Path, sha256: str) -> None:
        size = file.stat().st_size
        etag = f'"{sha256}"'
        asked = _RANGE.match(self.headers.get("Range", ""))
        begin = int(asked[1]) if asked and self.headers.get("If-Range", etag) == etag else 0
        if begin >= size > 0:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(HTTPStatus.PARTIAL_CONTENT if begin else HTTPStatus.OK)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        self.send_header("Content-Length", str(size - begin))
        self.send_header("ETag", etag)
        self.end_headers()
        for chunk in _chunks(file, begin):
            self.wfile.write(chunk)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
        """What is taken is said by who takes it."""


def _chunks(file: Path, begin: int) -> Iterator[bytes]:
    with file.open("rb") as stream:
        stream.seek(begin)
        while chunk := stream.read(_CHUNK):
            yield chunk
