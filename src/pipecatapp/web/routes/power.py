"""Who sleeps on this machine, since when and why, and what a person wants instead."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.exceptions import HTTPException

from pipecatapp.errors import ConfigurationError
from pipecatapp.power_control import NoPowerAgentError
from pipecatapp.web.json_body import json_router
from pipecatapp.web.services import WebServices


class Wish(BaseModel):
    """What a service shall do."""

    model_config = ConfigDict(extra="forbid")
    service: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    do: Literal["sleep", "wake", "pin", "unpin"]


def create_router(services: WebServices) -> APIRouter:
    """Make the routes."""
    router = json_router("/api/power")

    @router.get("")
    async def list_services() -> dict[str, Any]:
        nothing = {"services": [], "broken": {}, "measured_by": ""}
        if services.power is None:
            return nothing
        try:
            return dict(await services.power.services())
        except NoPowerAgentError:
            return nothing

    @router.post("")
    async def steer(wish: Wish) -> dict[str, Any]:
        if services.power is None:
            raise HTTPException(503, "no power agent runs here")
        try:
            return {"service": await services.power.steer(wish.do, wish.service)}
        except NoPowerAgentError as error:
            raise HTTPException(503, str(error)) from error
        except ConfigurationError as error:
            raise HTTPException(409, str(error)) from error

    return router
