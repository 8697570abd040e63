"""The one tool that is not a tool: ``route_to_expert`` hands the request to another model, whose answer is spoken."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from pipecatapp.domain import Expert, Message, ToolSpec
from pipecatapp.ports import ChatChunk, ExpertDirectory

ROUTE = "route_to_expert"


def route_spec(experts: Sequence[Expert]) -> ToolSpec:
    """How the model is told of the experts that answer now."""
    return ToolSpec(
        name=ROUTE,
        description="Let an expert answer. Pass the person's whole request as query.",
        parameters={
            "type": "object",
            "properties": {
                "expert": {"type": "string", "enum": [expert.name for expert in experts]},
                "query": {"type": "string"},
            },
            "required": ["expert", "query"],
        },
        copied=("query",),
    )


class Routing:
    """Finds the expert that a call names and streams its answer.

    Args:
        directory: the experts that answer now; None on a PC alone.
        persona: how an expert of this name speaks.
    """

    def __init__(self, directory: ExpertDirectory | None, persona: Callable[[str], str]) -> None:
        self._directory = directory
        self._persona = persona

    def experts(self) -> list[Expert]:
        """The experts now, by name."""
        return sorted(self._directory.experts(), key=lambda expert: expert.name) if self._directory else []

    async def ask(self, arguments: Mapping[str, Any], history: Sequence[Message]) -> AsyncIterator[ChatChunk]:
        """The expert's answer. Raises ModelError, and LookupError for a name that nobody has."""
        name = str(arguments.get("expert", "")).removeprefix("prima-api-")
        query = str(arguments.get("query", "")).strip()
        if self._directory is None or name not in {expert.name for expert in self._directory.experts()}:
            raise LookupError(f"no expert {name or 'without a name'} is running")
        messages = [Message("system", self._persona(name)), *history, Message("user", query)]
        async for chunk in await self._directory.ask(name, messages):
            yield chunk
