"""What a rank says over HTTP: that it lives, whether it makes tokens, and to who has the expert's key all the rest."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from pipecatapp.expert_host.facts import RankState
from pipecatapp.expert_host.ports import listen
from pipecatapp.expert_host.spec import Place

_GRACE_S = 2


class Control:
    """The control port.

    Args:
        place: where it listens.
        key: the expert's API key.
        state: what the rank does.
        ready: whether it serves and makes tokens, and why not.
        file_of: a model's file by their names, with its sha256; None where it is not here whole.
    """

    def __init__(
        self,
        place: Place,
        key: str,
        state: Callable[[], RankState],
        ready: Callable[[], tuple[bool, str]],
        file_of: Callable[[str, str], tuple[Path, str] | None],
    ) -> None:
        self._place = place
        self._key = key
        self._state = state
        self._ready = ready
        self._file_of = file_of
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def app(self) -> Starlette:
        """The routes."""
        return Starlette(
            routes=[
                Route("/alive", self._alive),
                Route("/ready", self._tell_ready),
                Route("/state", self._tell_state),
                Route("/models/{model}/{file}", self._give),
            ]
        )

    async def start(self) -> None:
        """Listen on this rank's own address.

        Raises:
            EngineError: somebody else does.
        """
        listening = listen(self._place.host, self._place.control)
        config = uvicorn.Config(
            self.app,
            lifespan="off",
            log_config=None,
            access_log=False,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listening]), name="control port")
        while not self._server.started:
            if self._task.done():
                await self._task
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Answer nobody any more."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task

    async def _alive(self, request: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def _tell_ready(self, request: Request) -> Response:
        ready, why = self._ready()
        return PlainTextResponse(f"{why}\n", 200 if ready else 503)

    async def _tell_state(self, request: Request) -> Response:
        if not self._allowed(request):
            return PlainTextResponse("this wants the expert's key\n", 401)
        return Response(self._state().model_dump_json(), media_type="application/json")

    async def _give(self, request: Request) -> Response:
        if not self._allowed(request):
            return PlainTextResponse("this wants the expert's key\n", 401)
        found = self._file_of(request.path_params["model"], request.path_params["file"])
        if found is None:
            return PlainTextResponse("it is not here\n", 404)
        file, sha256 = found
        # The same on all machines: what one began to give another can go on with.
        return FileResponse(file, media_type="application/octet-stream", headers={"ETag": f'"{sha256}"'})

    def _allowed(self, request: Request) -> bool:
        given = request.headers.get("authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {self._key}".encode())


class _Server(uvicorn.Server):
    """Without uvicorn's signal handlers: the program has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield
