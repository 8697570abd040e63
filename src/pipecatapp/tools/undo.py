"""``undo``: takes back what a tool changed of the agent's own, the last change of the conversation first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pipecatapp.domain import Change, Preview, Risk, ToolResult, ToolSpec
from pipecatapp.errors import NoWayBackError, StorageError, ToolError, ToolOffError
from pipecatapp.ports import ChangeLog, JournalEvent, Tool, ToolContext
from pipecatapp.tools.registry import ToolServices

NOTHING = "There is nothing here that I could take back."
ALREADY = "that was taken back already"


@dataclass(frozen=True, slots=True)
class Reversal:
    """How a change is taken back: ``text`` says what was taken back, in a sentence; ``events`` do it, together with the
    change's leaving the log (none: it is done already)."""

    text: str
    events: Sequence[JournalEvent] = ()


# Finds out how to take a change back, or does it. Raises NoWayBackError where that can never be done any more, and
# ToolError where it cannot be done now.
Reverser = Callable[[Change], Awaitable[Reversal]]


class TakingBack:
    """Takes changes back, each once.

    Args:
        changes: what was changed.
    """

    def __init__(self, changes: ChangeLog) -> None:
        self.changes = changes
        self._reversers: dict[str, Reverser] = {}
        self._lock = asyncio.Lock()

    def let(self, kind: str, reverser: Reverser) -> None:
        """Changes of this kind are taken back by ``reverser``."""
        self._reversers[kind] = reverser

    async def take_back(self, change: Change) -> str:
        """Take it back; says what was. What cannot be taken back any more leaves the log too, so that it does not stand
        in front of what was changed before.

        Raises:
            ToolError: it cannot be taken back; the sentence says why.
        """
        async with self._lock:
            try:
                if await self.changes.get(change.id) is None:
                    raise ToolError(ALREADY)
                try:
                    reversal = await self._reverse(change)
                except NoWayBackError:
                    await self.changes.take_back(change)
                    raise
                with suppress(LookupError):  # what was forgotten has left the log with it
                    await self.changes.take_back(change, *reversal.events)
            except StorageError as error:
                raise ToolError(str(error)) from error
            return reversal.text

    async def _reverse(self, change: Change) -> Reversal:
        reverser = self._reversers.get(change.kind)
        if change.back is None or reverser is None:
            raise NoWayBackError(f"this cannot be taken back: {change.text}")
        return await reverser(change)


class Undo:
    """Takes back the last change of the conversation.

    Args:
        taking_back: does it.
    """

    spec = ToolSpec(
        name="undo",
        description="Take back the last thing that was changed here: a list, a timer, a reminder, a note, a setting.",
        risk=Risk.OWN,
        asks=("undo that", "take that back", "I did not mean that", "put it back as it was"),
    )

    def __init__(self, taking_back: TakingBack) -> None:
        self._taking_back = taking_back

    async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        """Say what would be taken back, and hold on to it."""
        change = await self._last(context)
        if change is None:
            raise ToolError(NOTHING)
        return Preview(f"Take back the last change. {change.text}", basis=str(change.id))

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Take it back."""
        try:
            change = await self._last(context)
        except StorageError as error:
            raise ToolError(str(error)) from error
        if change is None:
            return ToolResult(NOTHING)
        if context.basis and context.basis != str(change.id):
            raise ToolError("something else was changed meanwhile, so nothing was taken back")
        return ToolResult(await self._taking_back.take_back(change), detail=f"change {change.id}: {change.text}")

    async def _last(self, context: ToolContext) -> Change | None:
        return next(iter(await self._taking_back.changes.latest(context.conversation, 1)), None)


def create(services: ToolServices) -> Tool:
    """The tool, for the registry."""
    return Undo(taking_back_of(services))


def taking_back_of(services: ToolServices) -> TakingBack:
    """Where a tool says how its changes are taken back. Raises ToolOffError where nothing of the kind is kept."""
    if services.taking_back is None:
        raise ToolOffError("what is changed is not kept here")
    return services.taking_back
