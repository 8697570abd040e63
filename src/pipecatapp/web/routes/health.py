"""Can it answer, and how has it been doing: for supervisors and Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from pipecatapp.errors import ConfigurationError
from pipecatapp.web.access import GUEST, client_address
from pipecatapp.web.connections import Network, parse_address
from pipecatapp.web.health import can_answer
from pipecatapp.web.services import PowerAgent, WebServices

_POWER_WITHIN_S = 2.0


def create_router(services: WebServices) -> APIRouter:
    """Make the routes."""
    router = APIRouter()

    @router.get("/health")
    async def show_health(request: Request) -> Response:
        if getattr(request.state, GUEST) != "person":
            return JSONResponse({"role": services.role()}, 200 if can_answer(services.health.snapshot()) else 503)
        states = await services.health.fresh()
        ok = can_answer(states)
        body = {
            "ok": ok,
            "role": services.role(),
            "version": services.version,
            "components": {state.component: asdict(state) for state in states},
        }
        return JSONResponse(body, 200 if ok else 503)

    @router.get("/active")
    async def show_active(request: Request) -> Response:
        """For the proxies of the house: whether requests belong here. To others there is no such page."""
        if not _is_member(client_address(request.scope), services.proxies):
            raise HTTPException(404, "there is no such page")
        role = services.role()
        return JSONResponse({"role": role}, 200 if role in ("active", "alone") else 503)

    @router.get("/metrics")
    async def show_metrics() -> Response:
        if services.power is not None:
            services.metrics.show_power(await _sleepers(services.power))
        return Response(services.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return router


async def _sleepers(power: PowerAgent) -> Sequence[Mapping[str, Any]]:
    """What the power agent says now; nothing where it is slow, or there is none."""
    try:
        async with asyncio.timeout(_POWER_WITHIN_S):
            listed = await power.services()
    except (TimeoutError, ConfigurationError):
        return ()
    return list(listed["services"])


def _is_member(address: str, proxies: Sequence[Network]) -> bool:
    """Whether it is this machine or one of those that people come through."""
    asking = parse_address(address)
    return asking is not None and (asking.is_loopback or any(asking in network for network in proxies))
