"""A person's answers to calls that wait for them, and what was asked, decided and done so far."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, StringConstraints

from pipecatapp.domain import ApprovalAnswer
from pipecatapp.twin.act.approval_views import approval_event
from pipecatapp.web.json_body import json_router
from pipecatapp.web.services import WebServices


class Answer(BaseModel):
    """Yes or no to exactly the call that ``digest`` names, or yes to it with other arguments."""

    model_config = ConfigDict(extra="forbid")
    decision: Literal["approve", "refuse"]
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    scope: Literal["once", "session"] = "once"
    arguments: dict[str, Any] | None = None


def create_router(services: WebServices) -> APIRouter:
    """Make the routes."""
    router = json_router("/api")

    @router.get("/approvals")
    async def list_pending() -> dict[str, object]:
        requests = services.approvals.pending()
        return {"approvals": [approval_event(request).to_json() for request in requests]}

    @router.post("/approvals/{approval}")
    async def decide(approval: str, answer: Answer, request: Request) -> dict[str, str]:
        by = "terminal" if "authorization" in request.headers else "page"
        decided = await services.approvals.decide(
            ApprovalAnswer(approval, answer.digest, answer.decision, by, answer.scope, answer.arguments)
        )
        return {"id": decided.id, "decision": answer.decision, "state": str(decided.state), "step": decided.step.value}

    @router.get("/audit")
    async def list_audit(
        before: Annotated[int | None, Query(ge=1, le=2**53)] = None, limit: Annotated[int, Query(ge=1, le=500)] = 50
    ) -> dict[str, object]:
        entries, more = await services.audit.entries(before, limit)
        return {"entries": entries, "more": more}

    return router
