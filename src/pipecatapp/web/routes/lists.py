"""The lists over HTTP, and what was changed lately, so that it can be taken back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, StringConstraints

from pipecatapp.domain import NamedList
from pipecatapp.errors import NoWayBackError, ToolError
from pipecatapp.tools.list_keeper import LONGEST
from pipecatapp.web.errors import BadRequestError
from pipecatapp.web.json_body import json_router
from pipecatapp.web.services import WebServices

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST)]


class Named(BaseModel):
    """The name of a list."""

    model_config = ConfigDict(extra="forbid")
    name: Words


class Written(BaseModel):
    """What stands on a list."""

    model_config = ConfigDict(extra="forbid")
    text: Words


def create_router(services: WebServices) -> APIRouter:
    """Make the routes."""
    router = json_router("/api")
    keeper, taking_back = services.lists, services.taking_back

    async def find(key: str) -> NamedList:
        here = await keeper.find(key)
        if here is None:
            raise HTTPException(404, f"there is no list {key!r}; GET /api/lists has them")
        return here

    @router.get("/lists")
    async def show_lists() -> dict[str, object]:
        return {"lists": [_describe(each) for each in await keeper.all()]}

    @router.post("/lists", status_code=201)
    async def begin_list(body: Named) -> dict[str, object]:
        try:
            return _describe(await keeper.begin(body.name))
        except ToolError as error:
            raise BadRequestError(str(error), "name") from error

    @router.delete("/lists/{key}")
    async def end_list(key: str) -> dict[str, object]:
        here = await find(key)
        await keeper.end(key)
        return {"removed": here.name}

    @router.post("/lists/{key}/items", status_code=201)
    async def add_item(key: str, body: Written) -> dict[str, object]:
        try:
            _, had = await keeper.add(await find(key), [body.text])
        except ToolError as error:
            raise BadRequestError(str(error), "text") from error
        if had:
            raise BadRequestError(f"{had[0]} is on the list already", "text")
        return _describe(await find(key))

    @router.put("/lists/{key}/items/{item}")
    async def amend_item(key: str, item: str, body: Written) -> dict[str, object]:
        if await keeper.amend(key, item, body.text) is None:
            raise _unknown_item(key, item)
        return _describe(await find(key))

    @router.delete("/lists/{key}/items/{item}")
    async def remove_item(key: str, item: str) -> dict[str, object]:
        here = await find(key)
        gone = await keeper.remove(here, [each for each in here.items if each.id == item])
        if not gone:
            raise _unknown_item(key, item)
        return {"removed": gone[0].text}

    @router.get("/changes")
    async def show_changes(limit: Annotated[int, Query(ge=1, le=200)] = 20) -> dict[str, object]:
        changes = await taking_back.changes.latest(limit=limit)
        shown = [
            {
                "id": change.id,
                "kind": change.kind,
                "text": change.text,
                "at": change.at,
                "undo": change.back is not None,
            }
            for change in changes
        ]
        return {"changes": shown}

    @router.post("/changes/{change}/undo")
    async def take_back(change: int) -> dict[str, object]:
        found = await taking_back.changes.get(change)
        if found is None:
            raise HTTPException(404, "that was taken back already, or is too long ago")
        try:
            return {"text": await taking_back.take_back(found)}
        except NoWayBackError as error:
            raise BadRequestError(_sentence(str(error)), status=409) from error
        except ToolError as error:
            raise BadRequestError(_sentence(str(error)), status=503) from error

    return router


def _describe(each: NamedList) -> dict[str, object]:
    return {"key": each.key, "name": each.name, "items": [asdict(item) for item in each.items]}


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _unknown_item(key: str, item: str) -> HTTPException:
    return HTTPException(404, f"there is no {item!r} on the list {key!r} any more")
