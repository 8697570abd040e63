"""A web server over a folder, on loopback: a mirror, a package index, another PC that serves files."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

JSON = "application/vnd.pypi.simple.v1+json"


class FileSite:
    """The files that it has, and the paths that were asked for."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self.folder = folder
        self.url = url
        self.asked: list[str] = []
        self.connections = 0
        """How many are open now."""

    def put(self, path: str, content: bytes | str) -> str:
        """Serve a file; its URL. ``.../index.html`` and ``.../index.json`` are what a folder shows."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return f"{self.url}/{path}"


@contextmanager
def running_file_site(folder: Path) -> Iterator[FileSite]:
    """The server on a free port, for as long as the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    site = FileSite(folder)

    class Handler(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        index_pages = ("index.html", "index.json")
        extensions_map = {".json": JSON, ".html": "text/html", "": "application/octet-stream"}  # noqa: RUF012

        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def setup(self) -> None:
            site.connections += 1
            super().setup()

        def finish(self) -> None:
            site.connections -= 1
            super().finish()

        def translate_path(self, path: str) -> str:
            found = Path(super().translate_path(path))
            page = found / "index.json"
            return str(page if page.is_file() else found)

        def log_message(self, *_: object) -> None:
            site.asked.append(self.path)

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Whoever asked has seen enough and is gone."""

    server = Server(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
