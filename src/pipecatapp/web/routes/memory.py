"""Long-term memory over HTTP: list, search, add, correct, forget, export and import facts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.responses import Response, StreamingResponse

from pipecatapp.memory.fact_index import MAX_TEXT
from pipecatapp.memory.long_term import FaissMemory
from pipecatapp.storage.records import StoredFact
from pipecatapp.web.errors import BadRequestError
from pipecatapp.web.json_body import json_router
from pipecatapp.web.services import WebServices

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT)]
Kind = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)]
Words = Annotated[str, Query(max_length=2000)]

# More than these nobody looks through.
_FOUND = 500
# More facts than there ever are.
_MOST = 10**9
NDJSON = "application/x-ndjson"


class Corrected(BaseModel):
    """A fact's new text."""

    model_config = ConfigDict(extra="forbid")
    text: Text


class Added(Corrected):
    """A new fact."""

    kind: Kind = "told"


def create_router(services: WebServices) -> APIRouter:
    """Make the routes."""
    router = json_router("/api/memory")
    memory = services.memory

    @router.get("")
    async def list_facts(
        query: Words = "",
        kind: Words = "",
        offset: Annotated[int, Query(ge=0, le=_MOST)] = 0,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> dict[str, object]:
        if query.strip():
            found = [fact for fact in await _search(memory, query) if not kind or fact["kind"] == kind]
            total, page = len(found), found[offset : offset + limit]
        else:
            total = await memory.count(kind)
            page = [_describe(fact) for fact in await memory.facts(kind=kind, offset=offset, limit=limit)]
        return {"facts": page, "total": total, "health": asdict(await memory.health())}

    @router.post("", status_code=201)
    async def add_fact(body: Added) -> dict[str, object]:
        try:
            return await _read_fact(memory, (await memory.add(body.text, kind=body.kind)).id)
        except ValueError as error:
            raise BadRequestError(f"text: {error}") from error

    @router.get("/export")
    async def export_facts() -> Response:
        headers = {"content-disposition": 'attachment; filename="pipecatapp-memory.jsonl"'}
        return StreamingResponse(_encode_lines(memory), media_type=NDJSON, headers=headers)

    @router.post("/import")
    async def import_facts(request: Request) -> dict[str, object]:
        try:
            lines = await asyncio.to_thread(_split, await request.body())
        except UnicodeDecodeError as error:
            raise BadRequestError(f"the body is no UTF-8 text: {error}") from error
        return asdict(await memory.import_lines(lines))

    @router.put("/{fact_id}")
    async def correct_fact(fact_id: str, body: Corrected) -> dict[str, object]:
        try:
            fact = await memory.replace(fact_id, body.text)
        except ValueError as error:
            raise BadRequestError(f"text: {error}") from error
        if fact is None:
            raise _unknown_fact(fact_id)
        return await _read_fact(memory, fact.id)

    @router.delete("/{fact_id}")
    async def forget_fact(fact_id: str) -> dict[str, object]:
        gone = await memory.forget([fact_id])
        if not gone:
            raise _unknown_fact(fact_id)
        return {"forgotten": gone[0].text}

    @router.get("/{fact_id}/history")
    async def show_history(fact_id: str) -> dict[str, object]:
        if await memory.get(fact_id) is None:
            raise _unknown_fact(fact_id)
        return {"history": [_describe(fact) for fact in await memory.history(fact_id)]}

    return router


def _split(body: bytes) -> list[str]:
    return body.decode("utf-8-sig").split("\n")


async def _search(memory: FaissMemory, query: str) -> Sequence[dict[str, object]]:
    found = []
    for fact in await memory.search(query, _FOUND):
        if (stored := await memory.get(fact.id)) is not None:
            found.append(_describe(stored, fact.score))
    return found


async def _read_fact(memory: FaissMemory, fact_id: str) -> dict[str, object]:
    stored = await memory.get(fact_id)
    if stored is None:
        raise _unknown_fact(fact_id)
    return _describe(stored)


def _describe(fact: StoredFact, score: float | None = None) -> dict[str, object]:
    return {
        "id": str(fact.id),
        "text": fact.text,
        "kind": fact.kind,
        "created_at": fact.created_at,
        "seen": fact.seen,
        "turn": fact.turn,
        "score": score,
    }


async def _encode_lines(memory: FaissMemory) -> AsyncIterator[bytes]:
    async for line in memory.export():
        yield line.encode("utf-8", "replace")


def _unknown_fact(fact_id: str) -> HTTPException:
    return HTTPException(404, f"there is no fact {fact_id!r}; GET /api/memory lists them")
