"""A copy of the journal over HTTP, for `pipecatapp backup`: nobody but the running agent may open it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import IO

from fastapi import APIRouter, HTTPException
from starlette.responses import Response, StreamingResponse

from pipecatapp.web.json_body import json_router
from pipecatapp.web.services import WebServices

_CHUNK = 1 << 20


def create_router(services: WebServices) -> APIRouter:
    """Make the routes."""
    router = json_router("/api/backup")

    @router.get("/journal")
    async def copy_journal() -> Response:
        if services.copy_journal is None:
            raise HTTPException(404, "this node keeps no journal")
        path = await services.copy_journal()
        file = path.open("rb")
        # It lives on as long as it is sent, and no longer.
        path.unlink()
        return StreamingResponse(_send(file), media_type="application/vnd.sqlite3")

    return router


async def _send(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
