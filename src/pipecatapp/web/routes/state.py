"""Named states over HTTP: save what is remembered now, load it again, list and delete."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from pipecatapp.web.json_body import json_router
from pipecatapp.web.services import WebServices


class Named(BaseModel):
    """A state by its name."""

    model_config = ConfigDict(extra="forbid")
    save_name: str = Field(max_length=200)


def create_router(services: WebServices) -> APIRouter:
    """Make the routes."""
    router = json_router("/api/state")
    states = services.states

    @router.get("")
    async def list_states() -> dict[str, object]:
        return {"states": [asdict(info) for info in await states.all()]}

    @router.post("/save")
    async def save_state(body: Named) -> dict[str, object]:
        return asdict(await states.save(body.save_name))

    @router.post("/load")
    async def load_state(body: Named) -> dict[str, object]:
        before = await states.load(body.save_name)
        return {"loaded": body.save_name, "before": before, "facts": len(services.memory)}

    @router.delete("/{name}")
    async def delete_state(name: str) -> dict[str, object]:
        await states.delete(name)
        return {"deleted": name}

    return router
