"""What a person asks of reminders, and the sentences that say what was done."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence

from pipecatapp.domain import ToolResult
from pipecatapp.errors import ToolError
from pipecatapp.languages import language
from pipecatapp.ports import ToolContext
from pipecatapp.schedule.entries import Item
from pipecatapp.schedule.keeper import Keeper
from pipecatapp.schedule.naming import is_called_all, named_like, plain_label, say_list
from pipecatapp.schedule.plans import make_plan, match, say_item, say_plan, say_skipped
from pipecatapp.schedule.timers import keep, load, made

_TIMES = language().times
_MOST = 200
_LONGEST = 300
_LISTED = 10
_LEAD = re.compile(r"^(?:(?:please|me|to|that|about|of) )+", re.IGNORECASE)


class Reminders:
    """The reminders of a schedule.

    Args:
        keeper: keeps them.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    async def set(self, what: str, when: str, context: ToolContext) -> ToolResult:
        """Set one."""
        text = _LEAD.sub("", " ".join(what.split())).strip(" .,!?")
        if not text:
            return ToolResult("What shall I remind you of?", missing="what")
        if len(text) > _LONGEST:
            raise ToolError(f"A reminder has room for {_LONGEST} letters, so nothing is set")
        if not when.strip():
            return ToolResult("When shall I remind you?", missing="when")
        plan = make_plan(when, self._keeper, context, wakes=False)
        if isinstance(plan, ToolResult):
            return plan
        now, wall = self._keeper.clocks.now(), plan.wall.isoformat()
        async with self._keeper.lock:
            await load(self._keeper)
            reminders = self._keeper.items("reminder")
            if len(reminders) >= _MOST:
                raise ToolError(f"There are {len(reminders)} reminders already, so I set no more")
            item = Item(
                id=f"reminder-{secrets.token_hex(6)}", kind="reminder", label=text, conversation=context.conversation,
                made_at=now, due=plan.due, wall=wall, zone=plan.zone, rule=plan.rule, start=wall if plan.rule else "",
            )  # fmt: skip
            said = f"I will remind you {say_plan(plan, now)}: {_TIMES.address(text)}.{say_skipped(plan)}"
            await keep(self._keeper, [item], made=made(said, context))
        return ToolResult(said, detail=item.id)

    async def list(self) -> ToolResult:
        """All of them, the next one first."""
        async with self._keeper.lock:
            await load(self._keeper)
            reminders = sorted(self._keeper.items("reminder"), key=lambda item: item.due.at)
            now = self._keeper.clocks.now()
        if not reminders:
            return ToolResult("There is no reminder.")
        said = [f"{say_item(item, now)}, {_TIMES.address(item.label)}" for item in reminders[:_LISTED]]
        more = f"; and {len(reminders) - _LISTED} more" if len(reminders) > _LISTED else ""
        lead = "There is one reminder" if len(reminders) == 1 else f"There are {len(reminders)} reminders"
        return ToolResult(f"{lead}: {'; '.join(said)}{more}.", detail="\n".join(item.label for item in reminders))

    async def cancel(self, what: str, context: ToolContext) -> ToolResult:
        """Take one away, named by its words or its time."""
        async with self._keeper.lock:
            await load(self._keeper)
            reminders = sorted(self._keeper.items("reminder"), key=lambda item: item.due.at)
            if not reminders:
                raise ToolError("There is no reminder")
            found = self._find(reminders, what)
            if isinstance(found, ToolResult):
                return found
            names = say_list([_TIMES.address(item.label) for item in found])
            text = (
                f"The reminder is cancelled: {names}."
                if len(found) == 1
                else f"{len(found)} reminders are cancelled: {names}."
            )
            await keep(self._keeper, drop=[item.id for item in found], made=made(text, context))
        return ToolResult(text)

    def _find(self, reminders: Sequence[Item], what: str) -> Sequence[Item] | ToolResult:
        now = self._keeper.clocks.now()
        wanted = plain_label(_LEAD.sub("", what.strip()))
        if is_called_all(what):
            return reminders
        if not wanted:
            found: Sequence[Item] = reminders
        elif (choice := _TIMES.choose(what)) is not None:
            found = [reminders[choice.place]] if choice.place < len(reminders) else []
        else:
            found = named_like(reminders, wanted) or match(reminders, wanted, self._keeper)
        if not found:
            raise ToolError(f"There is no reminder about {wanted}, so nothing is changed")
        if len(found) > 1:
            said = [f"{_TIMES.address(item.label)}, {say_item(item, now)}" for item in found]
            return ToolResult(f"Which reminder: {say_list(said, 'or')}?", missing="what")
        return found
