"""A model hub on loopback that behaves like the real ones, and misbehaves on command.

It knows ranges, ETags and redirects to another path (as hubs send to their content network). Per file a script says
what happens to the next requests: ``drop:N`` breaks off after N bytes of the body, ``status:N`` refuses,
``ignore-range`` sends the whole file, ``slow`` sends in small pieces, ``good`` serves.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Hub:
    """The files it has, what it will do, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    script: dict[str, list[str]] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    ranges: list[str | None] = field(default_factory=list)
    sent: int = 0

    def put(self, name: str, content: bytes, *script: str) -> str:
        """Serve a file; returns its URL."""
        self.files[f"/{name}"] = content
        self.script[f"/{name}"] = list(script)
        return f"{self.url}/{name}"


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub on a free port, for as long as the block runs."""
    hub = Hub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self) -> None:
        hub = self.hub
        if self.path in hub.redirects:
            self.send_response(302)
            self.send_header("Location", hub.redirects[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        hub.ranges.append(self.headers.get("Range"))
        script = hub.script.get(self.path) or ["good"]
        action = script.pop(0)
        content = hub.files.get(self.path)
        if content is None or action.startswith("status:"):
            self._refuse(404 if content is None else int(action.removeprefix("status:")))
            return
        self._serve(content, action)

    def _serve(self, content: bytes, action: str) -> None:
        etag = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
        asked, wanted = self.headers.get("Range", ""), self.headers.get("If-Range")
        start = int(asked.removeprefix("bytes=").rstrip("-") or 0) if asked else 0
        if action == "ignore-range" or (wanted and wanted != etag):
            start, asked = 0, ""
        if asked and start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = content[start:]
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", etag)
        self.end_headers()
        if action.startswith("drop:"):
            body = body[: int(action.removeprefix("drop:"))]
            self.close_connection = True
        # Before the last byte leaves: whoever has it may look at once.
        self.hub.sent += len(body)
        step = 1000 if action == "slow" else len(body) or 1
        for at in range(0, len(body), step):
            self.wfile.write(body[at : at + step])
            self.wfile.flush()

    def _refuse(self, code: int) -> None:
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Say nothing: the test knows."""
