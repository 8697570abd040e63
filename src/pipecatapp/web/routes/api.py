"""What the page's buttons do, as plain HTTP; ``pipecatapp ask`` uses it too."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.responses import FileResponse, Response

from pipecatapp.web.access import is_secure
from pipecatapp.web.addresses import host_names
from pipecatapp.web.health import can_answer
from pipecatapp.web.json_body import json_router
from pipecatapp.web.services import WebServices
from pipecatapp.web.tls import fingerprint

ConversationId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
# An IANA name, like Europe/Berlin; who uses it finds out whether there is such a zone.
ZoneName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+/-]{1,64}$")]
PictureName = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=8000)]


class Typed(BaseModel):
    """A typed message. ``zone``: the time zone of the device, where it is known."""

    model_config = ConfigDict(extra="forbid")
    conversation: ConversationId
    text: Words
    zone: ZoneName | None = None


class Interrupt(BaseModel):
    """Whom to interrupt."""

    model_config = ConfigDict(extra="forbid")
    conversation: ConversationId


class Pause(Interrupt):
    """Whom to pause, or to let go on."""

    paused: bool = True


def create_router(services: WebServices) -> APIRouter:
    """Make the routes."""
    router = json_router("/api")

    @router.post("/messages", status_code=202)
    async def submit_message(body: Typed) -> dict[str, str]:
        if body.zone is not None:
            services.set_zone(body.conversation, body.zone)
        return {"turn": await services.runner.submit(body.conversation, body.text, "typed")}

    @router.post("/interrupt")
    async def interrupt_turn(body: Interrupt) -> dict[str, bool]:
        await services.runner.interrupt(body.conversation)
        return {"ok": True}

    @router.post("/pause")
    async def pause_turns(body: Pause) -> dict[str, bool]:
        await services.runner.pause(body.conversation, body.paused)
        return {"paused": body.paused}

    @router.post("/ticket")
    async def make_ticket() -> dict[str, str]:
        return {"ticket": services.access.new_ticket()}

    @router.get("/status")
    async def show_status(request: Request) -> dict[str, object]:
        states = await services.health.fresh()
        return {
            "version": services.version,
            "boot": services.hub.boot,
            "host": host_names()[0],
            "secure": is_secure(request.scope),
            "tls_port": services.tls_port,
            "ca_fingerprint": fingerprint(services.ca_certificate) if services.ca_certificate else "",
            "ok": can_answer(states),
            "components": [asdict(state) for state in states],
        }

    @router.get("/tools")
    async def list_tools() -> dict[str, object]:
        offered = services.tools_offered()
        return {
            "tools": [
                {
                    "name": tool.name,
                    "description": tool.description,
                    "risk": str(tool.risk),
                    "offered": tool.name in offered,
                    "parameters": dict(tool.parameters),
                }
                for tool in services.tools()
            ],
            "off": [{"name": name, "off": reason} for name, reason in sorted(services.tools_off().items())],
        }

    @router.get("/pictures/{name}.png")
    async def show_picture(name: PictureName) -> Response:
        file = services.pictures / f"{name}.png" if services.pictures is not None else None
        if file is None or not await asyncio.to_thread(file.is_file):
            raise HTTPException(404, "there is no such picture; only the latest are kept")
        return FileResponse(file, media_type="image/png")

    @router.get("/conversations")
    async def list_conversations() -> dict[str, object]:
        recent = await asyncio.to_thread(services.event_log.recent)
        return {"conversations": [asdict(summary) for summary in recent]}

    return router
