"""What a person asks of alarms, and the sentences that say what was done."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime

from pipecatapp.domain import ToolResult
from pipecatapp.errors import ToolError
from pipecatapp.languages import language
from pipecatapp.ports import ToolContext
from pipecatapp.schedule.entries import Item
from pipecatapp.schedule.keeper import Keeper
from pipecatapp.schedule.naming import is_called_all, plain_label, say_list
from pipecatapp.schedule.plans import make_plan, match, named_day, say_item, say_next_time, say_plan, say_skipped
from pipecatapp.schedule.recurring import next_time
from pipecatapp.schedule.timers import keep, load, made

_TIMES = language().times
_MOST = 50


class Alarms:
    """The alarms of a schedule.

    Args:
        keeper: keeps them.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    async def set(self, when: str, context: ToolContext) -> ToolResult:
        """Set one."""
        if not when.strip():
            return ToolResult("For what time shall I set the alarm?", missing="when")
        plan = make_plan(when, self._keeper, context, wakes=True)
        if isinstance(plan, ToolResult):
            return plan
        now = self._keeper.clocks.now()
        async with self._keeper.lock:
            await load(self._keeper)
            alarms = self._keeper.items("alarm")
            if len(alarms) >= _MOST:
                raise ToolError(f"There are {len(alarms)} alarms already, so I set no more")
            wall = plan.wall.isoformat()
            if any((alarm.wall, alarm.zone, alarm.rule) == (wall, plan.zone, plan.rule) for alarm in alarms):
                return ToolResult(f"There is an alarm {say_plan(plan, now)} already.")
            item = Item(
                id=f"alarm-{secrets.token_hex(6)}", kind="alarm", label="", conversation=context.conversation,
                made_at=now, due=plan.due, wall=wall, zone=plan.zone, rule=plan.rule, start=wall if plan.rule else "",
            )  # fmt: skip
            text = f"Your alarm is set for {say_plan(plan, now).removeprefix('on ')}.{say_skipped(plan)}"
            await keep(self._keeper, [item], made=made(text, context))
        return ToolResult(text, detail=item.id)

    async def list(self) -> ToolResult:
        """All of them, those that were put off too."""
        async with self._keeper.lock:
            await load(self._keeper)
            alarms = sorted(self._keeper.items("alarm"), key=lambda item: item.due.at)
            rings = [ring for ring in self._keeper.rings() if ring.item.kind == "alarm" and ring.state != "missed"]
            said = [
                "one that is ringing" if ring.due is None
                else f"one that rings again in {_TIMES.say_duration(self._keeper.left(ring.due))}"
                for ring in rings
            ]  # fmt: skip
            said += [say_item(alarm, self._keeper.clocks.now()) for alarm in alarms]
        if not said:
            return ToolResult("No alarm is set.")
        return ToolResult(
            f"There is one alarm: {said[0]}." if len(said) == 1 else f"There are {len(said)} alarms: {say_list(said)}."
        )

    async def cancel(self, when: str, context: ToolContext) -> ToolResult:
        """Take one away, or of one that recurs only the day that was named."""
        async with self._keeper.lock:
            await load(self._keeper)
            rings = [ring for ring in self._keeper.rings() if ring.item.kind == "alarm" and ring.state != "missed"]
            alarms = sorted(self._keeper.items("alarm"), key=lambda item: item.due.at)
            if rings and not when.strip():
                await keep(self._keeper, drop=[ring.id for ring in rings])
                return ToolResult("The alarm is off.")
            if not alarms:
                raise ToolError("No alarm is set")
            found = self._find(alarms, when)
            if isinstance(found, ToolResult):
                return found
            now = self._keeper.clocks.now()
            if len(found) == 1 and (day := named_day(found[0], when, self._keeper)) is not None:
                return await self._skip(found[0], day, context)
            named = say_list([say_item(item, now) for item in found])
            text = (
                f"The alarm {named} is cancelled."
                if len(found) == 1
                else f"{len(found)} alarms are cancelled: {named}."
            )
            await keep(self._keeper, drop=[item.id for item in found], made=made(text, context))
        return ToolResult(text)

    async def _skip(self, item: Item, day: datetime, context: ToolContext) -> ToolResult:
        now = self._keeper.clocks.now()
        if day != item.wall_time:
            raise ToolError(
                f"Only its next time can be left out, which is {say_next_time(item, now)}; nothing is changed"
            )
        fresh = next_time(item, now, after=item.wall_time)
        text = f"The alarm {say_next_time(item, now)} is left out; the next one is {say_next_time(fresh, now)}."
        await keep(self._keeper, [fresh], made=made(text, context))
        return ToolResult(text)

    def _find(self, alarms: Sequence[Item], when: str) -> Sequence[Item] | ToolResult:
        now = self._keeper.clocks.now()
        if not when.strip():
            found: Sequence[Item] = alarms
        elif is_called_all(when):
            return alarms
        elif (choice := _TIMES.choose(when)) is not None:
            found = [alarms[choice.place]] if choice.place < len(alarms) else []
        elif plain_label(when) in ("", "next"):
            found = alarms[:1]
        else:
            found = match(alarms, when, self._keeper)
        if not found:
            there = say_list([say_item(item, now) for item in alarms])
            raise ToolError(f"There is no alarm {when}, so nothing is changed; there is one {there}")
        if len(found) > 1:
            return ToolResult(
                f"Which alarm: {say_list([say_item(item, now) for item in found], 'or')}?", missing="when"
            )
        return found
