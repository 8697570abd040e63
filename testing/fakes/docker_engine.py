"""A Docker engine as far as ``sandbox_docker`` speaks to it: the Engine's HTTP API on a Unix socket.

What a container does is scripted by a ``Behaviour``. Paths, states and errors are those of the real one (API 1.41): an
unknown image is a 404 with a message, ``attach`` upgrades the connection and sends multiplexed frames, ``kill`` on a
container that does not run is a 409.
"""

from __future__ import annotations

import asyncio
import json
import re
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

_STDOUT, _STDERR = 1, 2


@dataclass(slots=True)
class Behaviour:
    """What a container prints and how it ends. ``endless``: it goes on until it is killed, printing ``flood``."""

    stdout: bytes = b""
    stderr: bytes = b""
    code: int = 0
    oom: bool = False
    endless: bool = False
    flood: bytes = b""


@dataclass(slots=True)
class Container:
    """A container as it was asked for, and its state."""

    id: str
    config: dict[str, Any]
    behaviour: Behaviour
    status: str = "created"
    code: int = 0
    created: float = field(default_factory=time.time)
    attached: asyncio.StreamWriter | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class DockerEngine:
    """Listens on ``socket``; ``images`` is what was pulled, ``behaviour`` what the next container does.

    ``silent``: it takes connections and never answers, as an engine does that hangs.
    """

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.images = {"python:3.13-slim"}
        self.behaviour = Behaviour()
        self.containers: dict[str, Container] = {}
        self.created: list[dict[str, Any]] = []
        self.silent = False
        self._server: asyncio.Server | None = None
        self._work: set[asyncio.Task[None]] = set()
        self._number = 0

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._connection, str(self.socket))

    async def stop(self) -> None:
        """The engine is gone, and its containers with it."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.socket.unlink(missing_ok=True)
        for task in list(self._work):
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._work.add(task)
        try:
            while await self._request(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()
            self._work.discard(task)

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether another may follow on this connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        length = re.search(r"^content-length: *(\d+)", head, re.IGNORECASE | re.MULTILINE)
        body = await reader.readexactly(int(length[1])) if length else b""
        if self.silent:
            await asyncio.Event().wait()
        url = urlsplit(target)
        path = re.sub(r"^/v1\.\d+", "", unquote(url.path))
        if match := re.fullmatch(r"/containers/([^/]+)/attach", path):
            return await self._attach(self.containers[match[1]], reader, writer)
        status, answer = await self._answer(method, path, body)
        data = b"" if answer is None else answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        kind = "text/plain" if isinstance(answer, bytes) else "application/json"
        writer.write(
            f"HTTP/1.1 {status} X\r\nApi-Version: 1.41\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(data)}\r\n\r\n".encode()
            + (b"" if method == "HEAD" else data)
        )
        await writer.drain()
        return True

    async def _answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        if path == "/_ping":
            return 200, b"OK"
        if path == "/version":
            return 200, {"ApiVersion": "1.41", "Version": "20.10.24"}
        if match := re.fullmatch(r"/images/(.+)/json", path):
            if match[1] not in self.images:
                return 404, {"message": f"No such image: {match[1]}"}
            return 200, {"Id": "sha256:1", "RepoTags": [match[1]]}
        if path == "/containers/json":
            return 200, [{"Id": c.id, "Created": c.created} for c in self.containers.values()]
        if path == "/containers/create":
            return self._create(json.loads(body))
        match = re.fullmatch(r"/containers/([^/]+)(?:/(\w+))?", path)
        container = self.containers.get(match[1]) if match else None
        if match is None or container is None:
            return 404, {"message": f"No such container: {path}"}
        return await self._container(method, container, match[2] or "")

    async def _container(self, method: str, container: Container, verb: str) -> tuple[int, Any]:
        if method == "DELETE":
            self._end(container, 137)
            del self.containers[container.id]
            return 204, None
        if verb == "json":
            oom = container.behaviour.oom and container.status == "exited"
            state = {"Status": container.status, "ExitCode": container.code, "OOMKilled": oom}
            return 200, {"Id": container.id, "Name": "/x", "Config": {"Tty": False}, "State": state}
        if verb == "start":
            container.status = "running"
            task = asyncio.create_task(self._run(container))
            self._work.add(task)
            task.add_done_callback(self._work.discard)
            return 204, None
        if verb == "wait":
            await container.ended.wait()
            return 200, {"StatusCode": container.code}
        if verb == "kill":
            if container.status != "running":
                return 409, {"message": f"Container {container.id} is not running"}
            if container.attached is not None:
                await container.attached.drain()  # it does not end before its output was taken
            self._end(container, 137)
            return 204, None
        return 404, {"message": "page not found"}

    def _create(self, config: dict[str, Any]) -> tuple[int, Any]:
        if config["Image"] not in self.images:
            return 404, {"message": f"No such image: {config['Image']}"}
        self._number += 1
        container = Container(f"c{self._number}", config, self.behaviour)
        self.containers[container.id] = container
        self.created.append(config)
        return 201, {"Id": container.id, "Warnings": []}

    async def _attach(self, container: Container, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(
            b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
            b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        )
        await writer.drain()
        container.attached = writer
        await container.ended.wait()
        return False

    async def _run(self, container: Container) -> None:
        does, writer = container.behaviour, container.attached
        assert writer is not None, "started before somebody attached: its output would be lost"
        try:
            for stream, data in ((_STDOUT, does.stdout), (_STDERR, does.stderr)):
                if data:
                    writer.write(_frame(stream, data))
            while does.endless and not container.ended.is_set():
                if does.flood:
                    writer.write(_frame(_STDOUT, does.flood))
                    await writer.drain()
                await asyncio.sleep(0)
                if not does.flood:
                    await container.ended.wait()
            await writer.drain()
        except ConnectionError:
            await container.ended.wait()
        self._end(container, does.code)

    def _end(self, container: Container, code: int) -> None:
        if container.status == "running":
            container.status, container.code = "exited", code
        container.ended.set()


def _frame(stream: int, data: bytes) -> bytes:
    return struct.pack(">BxxxL", stream, len(data)) + data
