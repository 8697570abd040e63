"""Can it answer, and how has it been doing: for supervisors and Prometheus."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from pipecatapp.web.access import GUEST
from pipecatapp.web.health import can_answer
from pipecatapp.web.services import WebServices


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

    @router.get("/metrics")
    async def show_metrics() -> Response:
        return Response(services.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return router
