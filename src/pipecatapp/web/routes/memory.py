"""Long-term memory over HTTP: list, search, add, correct, forget, export and import facts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.responses import Response, StreamingResponse

from pipecatapp.errors import StorageError
from pipecatapp.memory.fact_index import MAX_TEXT
from pipecatapp.memory.long_term import FaissMemory
from pipecatapp.memory.records import StoredFact
from pipecatapp.web.services import WebServices

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT)]
Kind = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)]
Words = Annotated[str, Query(max_length=2000)]

# More than these nobody looks through.
_FOUND = 500
NDJSON = "application/x-ndjson"


class Corrected(BaseModel):
    """A fact's new text."""

    model_config = ConfigDict(extra="forbid")
    text: Text


class Added(Corrected):
    """A new fact."""

    kind: Kind = "told"


def routes(services: WebServices) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api/memory")
    memory = services.memory

    @router.get("")
    async def facts(
        query: Words = "",
        kind: Words = "",
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> dict[str, object]:
        if query.strip():
            found = [fact for fact in await _found(memory, query) if not kind or fact["kind"] == kind]
            total, page = len(found), found[offset : offset + limit]
        else:
            total = await memory.count(kind)
            page = [_json(fact) for fact in await memory.facts(kind=kind, offset=offset, limit=limit)]
        return {"facts": page, "total": total, "health": asdict(await memory.health())}

    @router.post("", status_code=201)
    async def add(body: Added) -> dict[str, object]:
        try:
            return await _one(memory, (await memory.add(body.text, kind=body.kind)).id)
        except ValueError as error:
            raise HTTPException(400, f"text: {error}") from error
        except StorageError as error:
            raise _failed(error) from error

    @router.get("/export")
    async def export() -> Response:
        headers = {"content-disposition": 'attachment; filename="pipecatapp-memory.jsonl"'}
        return StreamingResponse(_lines(memory), media_type=NDJSON, headers=headers)

    @router.post("/import")
    async def import_facts(request: Request) -> dict[str, object]:
        try:
            lines = await asyncio.to_thread(_split, await request.body())
        except UnicodeDecodeError as error:
            raise HTTPException(400, f"the body is no UTF-8 text: {error}") from error
        try:
            report = await memory.import_lines(lines)
        except StorageError as error:
            raise _failed(error) from error
        return asdict(report)

    @router.put("/{fact_id}")
    async def correct(fact_id: str, body: Corrected) -> dict[str, object]:
        try:
            fact = await memory.replace(fact_id, body.text)
        except ValueError as error:
            raise HTTPException(400, f"text: {error}") from error
        except StorageError as error:
            raise _failed(error) from error
        if fact is None:
            raise _unknown(fact_id)
        return await _one(memory, fact.id)

    @router.delete("/{fact_id}")
    async def forget(fact_id: str) -> dict[str, object]:
        try:
            gone = await memory.forget([fact_id])
        except StorageError as error:
            raise _failed(error) from error
        if not gone:
            raise _unknown(fact_id)
        return {"forgotten": gone[0].text}

    @router.get("/{fact_id}/history")
    async def history(fact_id: str) -> dict[str, object]:
        if await memory.get(fact_id) is None:
            raise _unknown(fact_id)
        return {"history": [_json(fact) for fact in await memory.history(fact_id)]}

    return router


def _split(body: bytes) -> list[str]:
    return body.decode("utf-8-sig").split("\n")


async def _found(memory: FaissMemory, query: str) -> Sequence[dict[str, object]]:
    found = []
    for fact in await memory.search(query, _FOUND):
        if (stored := await memory.get(fact.id)) is not None:
            found.append(_json(stored, fact.score))
    return found


async def _one(memory: FaissMemory, fact_id: str) -> dict[str, object]:
    stored = await memory.get(fact_id)
    if stored is None:
        raise _unknown(fact_id)
    return _json(stored)


def _json(fact: StoredFact, score: float | None = None) -> dict[str, object]:
    return {
        "id": str(fact.id),
        "text": fact.text,
        "kind": fact.kind,
        "created_at": fact.created_at,
        "seen": fact.seen,
        "turn": fact.turn,
        "score": score,
    }


async def _lines(memory: FaissMemory) -> AsyncIterator[bytes]:
    async for line in memory.export():
        yield line.encode("utf-8", "replace")


def _unknown(fact_id: str) -> HTTPException:
    return HTTPException(404, f"there is no fact {fact_id!r}; GET /api/memory lists them")


def _failed(error: StorageError) -> HTTPException:
    return HTTPException(507, str(error))
