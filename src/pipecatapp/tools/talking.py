"""``say_again`` and ``what_can_you_do``: about the talk itself, without a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipecatapp.domain import ToolResult, ToolSpec
from pipecatapp.languages import language
from pipecatapp.ports import ConversationStore, Tool, ToolContext
from pipecatapp.tools.registry import ToolServices


class SayAgain:
    """Says the last answer of the conversation once more.

    Args:
        conversations: what was said.
    """

    spec = ToolSpec(
        name="say_again",
        description="Say the last answer once more.",
        asks=("say that again", "repeat that", "what did you say", "pardon"),
    )

    def __init__(self, conversations: ConversationStore) -> None:
        self._conversations = conversations

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Say it, as far as it was heard the first time."""
        records = await self._conversations.load(context.conversation) if context.conversation else []
        said = (record.turn.assistant_text for record in reversed(records) if record.turn.id != context.turn)
        last = next((text for text in said if text.strip()), "")
        return ToolResult(last or "I have not said anything here yet.")


class WhatCanYouDo:
    """Says what the tools that are on can do.

    Args:
        tools: those that are on.
    """

    spec = ToolSpec(
        name="what_can_you_do",
        description="What the assistant can do here.",
        asks=("what can you do", "help", "what are you able to do", "what can I ask you"),
    )

    def __init__(self, tools: Callable[[], Sequence[ToolSpec]]) -> None:
        self._tools = tools

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Say it."""
        names = [tool.name for tool in self._tools()]
        return ToolResult(language().say_abilities(names), detail="\n".join(names))


def create_say_again(services: ToolServices) -> Tool:
    """``say_again``, for the registry."""
    return SayAgain(services.conversations)


def create_what_can_you_do(services: ToolServices) -> Tool:
    """``what_can_you_do``, for the registry."""
    return WhatCanYouDo(services.tools)
