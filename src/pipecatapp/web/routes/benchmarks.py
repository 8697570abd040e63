"""How fast models are in this house: what was measured, and the forecast for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from pipecatapp.web.services import WebServices


def create_router(services: WebServices) -> APIRouter:
    """Make the route."""
    router = APIRouter(prefix="/api/benchmarks")

    @router.get("")
    async def list_benchmarks() -> Mapping[str, Any]:
        if services.speeds is None:
            return {"measured": [], "forecasts": [], "problem": ""}
        return await services.speeds.table()

    return router
