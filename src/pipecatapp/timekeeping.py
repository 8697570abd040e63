"""What the program wants of its timers, alarms and reminders, as small Protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pipecatapp.domain import Change, ToolResult
from pipecatapp.ports import ToolContext

SCHEDULE = "schedule"  # ``Change.kind`` of timers, alarms and reminders


class ScheduleStore(Protocol):
    """Keeps what comes due and what rings over restarts. Raises StorageError."""

    async def load(self) -> list[Mapping[str, Any]]:
        """All entries, oldest first; each has an ``id``."""

    async def change(
        self, put: Sequence[Mapping[str, Any]], drop: Sequence[str] = (), made: Change | None = None
    ) -> None:
        """Put these in and take those away, in one step; when it returns, a kill at any instant finds it so.

        ``made``: and keep with it how that is taken back.
        """


class Schedule(Protocol):
    """Timers, alarms and reminders as a person asks for them: every argument is in their own words.

    Each answer is a whole sentence that can be spoken. ``ToolResult.missing`` names the argument that it asks for.
    Raises ToolError with a sentence where something is not understood, not there or over: then nothing has changed.
    """

    async def set_timer(self, duration: str, label: str, context: ToolContext) -> ToolResult:
        """Start a timer."""

    async def list_timers(self) -> ToolResult:
        """All of them, with what is left."""

    async def cancel_timer(self, label: str, context: ToolContext) -> ToolResult:
        """End one; ``label`` may also be its length, what is left, its place ("the first"), or "all"."""

    async def pause_timer(self, label: str, context: ToolContext) -> ToolResult:
        """Let one stand still."""

    async def resume_timer(self, label: str, context: ToolContext) -> ToolResult:
        """Let it go on."""

    async def change_timer(self, change: str, label: str, context: ToolContext) -> ToolResult:
        """Make what is left of it more, less, or just so much."""

    async def set_alarm(self, when: str, context: ToolContext) -> ToolResult:
        """Set an alarm; it may recur."""

    async def list_alarms(self) -> ToolResult:
        """All of them."""

    async def cancel_alarm(self, when: str, context: ToolContext) -> ToolResult:
        """Take one away, or of one that recurs only the day that was named."""

    async def set_reminder(self, what: str, when: str, context: ToolContext) -> ToolResult:
        """Set a reminder; it may recur."""

    async def list_reminders(self) -> ToolResult:
        """All of them."""

    async def cancel_reminder(self, what: str, context: ToolContext) -> ToolResult:
        """Take one away, named by its words or its time."""

    async def take_back(self, change: Change) -> str:
        """Let it be as before a change of the kind ``SCHEDULE``; says what is so again.

        Raises NoWayBackError where it came due or was changed again meanwhile.
        """


class Ringing(Protocol):
    """What rings, for the brain: it hears a person's words first."""

    async def answer(self, conversation: str, words: str) -> str | None:
        """Where something rings in this conversation and the words end it: the sentence that says so. None: they are
        about something else."""
