"""Timers, alarms and reminders over HTTP, and what rings. Times are said in words, as to the agent."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pipecatapp.domain import ToolResult
from pipecatapp.errors import ToolError
from pipecatapp.ports import ToolContext
from pipecatapp.web.errors import BadRequestError
from pipecatapp.web.json_body import json_router
from pipecatapp.web.routes.api import ConversationId, ZoneName
from pipecatapp.web.services import WebServices

Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=300)]
EntryId = Annotated[str, StringConstraints(pattern=r"^[a-z]+-[0-9a-f]{1,32}$")]


class Edited(BaseModel):
    """What is changed: another text, another time; ``paused`` alone: let a timer stand still, or go on."""

    model_config = ConfigDict(extra="forbid")
    what: Words = ""
    when: Words = ""
    paused: bool | None = None
    conversation: ConversationId | Literal[""] = ""
    zone: ZoneName | None = None


class Wanted(Edited):
    """Something new. ``what``: a timer's name, or what to remind of; ``when``: how long, or when."""

    kind: Literal["timer", "alarm", "reminder"]


class Answered(BaseModel):
    """What a person says to rings: off, or again after so many minutes; of what was missed, that it was seen."""

    model_config = ConfigDict(extra="forbid")
    ids: Annotated[list[EntryId], Field(min_length=1, max_length=300)]
    answer: Literal["stop", "snooze", "seen"]
    minutes: Annotated[float, Field(gt=0, le=10_080)] = 5.0


def create_router(services: WebServices) -> APIRouter:
    """Make the routes."""
    router = json_router("/api/schedule")
    schedule = services.schedule

    @router.get("")
    async def show_schedule() -> dict[str, object]:
        shown = await schedule.view()
        return {"items": shown.items, "rings": shown.rings, "missed": shown.missed}

    @router.post("", status_code=201)
    async def set_entry(body: Wanted) -> dict[str, str]:
        context = _context(body)
        match body.kind:
            case "timer":
                work = schedule.set_timer(body.when, body.what, context)
            case "alarm":
                work = schedule.set_alarm(body.when, context)
            case _:
                work = schedule.set_reminder(body.what, body.when, context)
        return await _done(work)

    @router.post("/rings")
    async def answer_rings(body: Answered) -> dict[str, str]:
        if body.answer == "seen":
            await schedule.told(body.ids)
            return {"text": ""}
        try:
            said = schedule.snooze(body.ids, body.minutes * 60) if body.answer == "snooze" else schedule.stop(body.ids)
            return {"text": await said}
        except ToolError as error:
            raise HTTPException(503, f"{error}.") from error

    @router.put("/{entry}")
    async def edit_entry(entry: EntryId, body: Edited) -> dict[str, str]:
        if body.paused is not None:
            return await _done(schedule.editing.pause(entry, body.paused, _context(body)))
        return await _done(schedule.editing.amend(entry, body.what, body.when, _context(body)))

    @router.delete("/{entry}")
    async def remove_entry(entry: EntryId, conversation: ConversationId | Literal[""] = "") -> dict[str, str]:
        return await _done(schedule.editing.remove(entry, ToolContext(conversation, "")))

    return router


async def _done(work: Awaitable[ToolResult]) -> dict[str, str]:
    try:
        result = await work
    except ToolError as error:
        raise BadRequestError(f"{error}.", "when") from error
    except LookupError as error:
        raise HTTPException(404, f"{error.args[0]}; GET /api/schedule has them") from error
    if result.missing:
        raise BadRequestError(result.text, result.missing)
    return {"text": result.text}


def _context(body: Edited) -> ToolContext:
    return ToolContext(body.conversation, "", speaker="person", zone=body.zone or "")
