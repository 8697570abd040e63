"""The experts: who is there and how they are, and choosing one by hand."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.exceptions import HTTPException

from pipecatapp.web.json_body import json_router
from pipecatapp.web.routes.api import ConversationId
from pipecatapp.web.services import WebServices


class Choice(BaseModel):
    """Who answers in a conversation from now on; empty: whoever fits."""

    model_config = ConfigDict(extra="forbid")
    conversation: ConversationId
    expert: Annotated[str, StringConstraints(max_length=64)] = ""


def create_router(services: WebServices) -> APIRouter:
    """Make the routes."""
    router = json_router("/api/experts")

    @router.get("")
    async def list_experts(conversation: ConversationId = "") -> dict[str, object]:
        table = services.experts
        return {
            "experts": list(table.table()) if table is not None else [],
            "stale": table is not None and table.stale,
            "chosen": services.chosen(conversation),
        }

    @router.post("/choose")
    async def choose(body: Choice) -> dict[str, str]:
        try:
            services.choose(body.conversation, body.expert)
        except LookupError as error:
            raise HTTPException(404, str(error.args[0])) from error
        return {"conversation": body.conversation, "expert": body.expert}

    return router
