"""How the house is: its PCs, what runs on them, what is healing, and whether what is said is kept."""

from __future__ import annotations

from fastapi import APIRouter

from pipecatapp.web.json_body import json_router
from pipecatapp.web.services import WebServices


def create_router(services: WebServices) -> APIRouter:
    """Make the routes."""
    router = json_router("/api/house")

    @router.get("")
    async def show_house() -> dict[str, object]:
        return (await services.house.look()).as_json()

    return router
