"""``mcp.*``: what the agent can say of itself: its components, its memory of the conversation, and forgetting that."""

from __future__ import annotations

import resource
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from pipecatapp.domain import ComponentHealth, ToolResult, ToolSpec
from pipecatapp.errors import ToolError
from pipecatapp.ports import ConversationStore, FactStore, Tool, ToolContext
from pipecatapp.tools.registry import ToolServices

_SPOKEN = {"engine": "the language engine", "stt": "speech recognition", "tts": "speech output", "vision": "the camera"}


class Status:
    """Says which components work, and for how long the agent has been up.

    Args:
        health: asks every component.
        model: the name of the language model, empty while there is none.
        uptime: seconds since the start.
        conversations: where it says who answered last.
    """

    spec = ToolSpec(
        name="mcp.get_status",
        description="The state of this assistant: its components, the model it runs, how long it is up.",
    )

    def __init__(
        self,
        health: Callable[[], Awaitable[Sequence[ComponentHealth]]],
        model: Callable[[], Awaitable[str]],
        uptime: Callable[[], float],
        conversations: ConversationStore,
    ) -> None:
        self._conversations = conversations
        self._health = health
        self._model = model
        self._uptime = uptime

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Say it in a few sentences."""
        states = await self._health()
        bad = [_complaint(state) for state in states if not state.ok]
        sentences = bad or [f"All {len(states)} components are ok." if states else "Nothing reports a problem."]
        sentences += [
            f"Of the servers of tools, {s.reason}." for s in states if s.ok and s.component == "mcp" and s.reason
        ]
        if model := await self._model():
            sentences.append(f"The model is {model}.")
        if context.conversation and (earlier := await self._conversations.load(context.conversation)):
            who = f"the {earlier[-1].turn.expert} expert" if earlier[-1].turn.expert else "myself"
            sentences.append(f"The last answer came from {who}.")
        sentences.append(f"Up for {_duration(self._uptime())}.")
        detail = [f"{s.component}: {'ok' if s.ok else 'not ok'} {s.reason}".rstrip() for s in states]
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        return ToolResult(" ".join(sentences), detail="\n".join([*detail, f"peak memory: {memory} MB"]))


_NAMED = 3  # facts; nobody listens to more


class MemorySummary:
    """Says what is remembered, the newest of it in its own words, and what this conversation ended with.

    Args:
        conversations: where turns are kept.
        memory: what is known of the person, where there is a long-term memory.
    """

    spec = ToolSpec(
        name="mcp.get_memory_summary",
        description="What is remembered: this conversation and earlier ones.",
        asks=(
            "what do you know about me",
            "tell me everything you have kept",
            "what have you stored",
            "what is in your head",
            "tell me all you remember",
            "show me your memory",
            "how much do you remember of our talks",
        ),
    )

    def __init__(self, conversations: ConversationStore, memory: FactStore | None = None) -> None:
        self._conversations = conversations
        self._memory = memory

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Count, and name the newest."""
        records = await self._conversations.load(context.conversation) if context.conversation else []
        others = [info for info in await self._conversations.all() if info.id != context.conversation and info.turns]
        facts = len(self._memory) if self._memory is not None else 0
        if not records and not others and not facts:
            return ToolResult("There is nothing in my memory yet.")
        sentences = []
        if self._memory is not None and facts:
            named = "; ".join(_short(text, 120) for text in await self._memory.newest(_NAMED))
            last = f", the last {_NAMED} of them" if facts > _NAMED else ""
            sentences.append(f"I remember {_count(facts, 'fact')}{last}: {named}.")
        if records:
            sentences.append(f"In this conversation: {_count(len(records), 'turn')}.")
            sentences.append(f"The last one was about: {_short(records[-1].turn.user_text)}.")
        if others:
            sentences.append(f"I {'also ' if sentences else ''}keep {_count(len(others), 'other conversation')}.")
        detail = "\n".join(f"{r.turn.user_text}\n  {r.turn.assistant_text}" for r in records[-10:])
        return ToolResult(" ".join(sentences), detail=detail)


class ClearShortTermMemory:
    """Begins the conversation afresh. What is on disk stays: a misheard word destroys nothing.

    Args:
        clear: does it for a conversation.
    """

    spec = ToolSpec(
        name="mcp.clear_short_term_memory",
        description="Forget what was said in this conversation, and begin afresh.",
        asks=(
            "forget this conversation",
            "start over",
            "new session please",
            "let us begin again",
            "clear the chat",
            "don't keep our talk",
            "wipe what we said",
            "fresh start",
            "drop the context",
            "reset yourself",
        ),
    )

    def __init__(self, clear: Callable[[str], Awaitable[None]]) -> None:
        self._clear = clear

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Clear it."""
        if not context.conversation:
            raise ToolError("this conversation is kept by its client, so there is nothing to clear here")
        await self._clear(context.conversation)
        return ToolResult("Done. We start fresh.")


def create_status(services: ToolServices) -> Tool:
    """``mcp.get_status``, for the registry."""
    return Status(services.health, services.model, lambda: time.monotonic() - services.started, services.conversations)


def create_memory_summary(services: ToolServices) -> Tool:
    """``mcp.get_memory_summary``, for the registry."""
    return MemorySummary(services.conversations, services.memory)


def create_clear(services: ToolServices) -> Tool:
    """``mcp.clear_short_term_memory``, for the registry."""
    return ClearShortTermMemory(services.clear)


def _complaint(state: ComponentHealth) -> str:
    name = _SPOKEN.get(state.component, state.component)
    progress = f" {round(state.progress * 100)} percent done." if state.progress is not None else ""
    reason = state.reason.rstrip(".") or "it does not say why"
    return f"{name[:1].upper()}{name[1:]} is not ready: {reason}.{progress}"


def _duration(seconds: float) -> str:
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            return _count(int(seconds // size), unit)
    return _count(int(seconds), "second")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _short(text: str, limit: int = 60) -> str:
    words = " ".join(text.split()).rstrip(".?!")
    return words if len(words) <= limit else words[:limit].rsplit(" ", 1)[0]
