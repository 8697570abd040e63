"""``timer.*``, ``alarm.*`` and ``reminder.*``: what each takes, handed to the schedule (``timekeeping.Schedule``)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from pipecatapp.domain import Change, Risk, ToolResult, ToolSpec
from pipecatapp.errors import ToolError, ToolOffError
from pipecatapp.ports import Tool, ToolContext
from pipecatapp.timekeeping import SCHEDULE, Schedule
from pipecatapp.tools.registry import ToolServices
from pipecatapp.tools.undo import Reversal

Work = Callable[[Schedule, Mapping[str, Any], ToolContext], Awaitable[ToolResult]]

_LONGEST = 300
_OPEN_QUESTIONS = 64
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_DURATION = "How long, as it was said: 'ten minutes', 'an hour and a half'."
_LABEL = "Its name, as it was said, where one was said: 'pasta'."
_WHICH = "Which one, as it was said: its name, 'the first', 'all'; empty: the only one."
_WHEN = "When, as it was said: 'tomorrow at seven', 'every weekday at half past six'."


class ScheduleTool:
    """One tool of the schedule. What it cannot do it says in a sentence that can be spoken.

    Args:
        spec: what it is.
        work: does it.
        schedule: with this.
    """

    def __init__(self, spec: ToolSpec, work: Work, schedule: Schedule) -> None:
        self.spec = spec
        self._work = work
        self._schedule = schedule
        self._asked: dict[str, str] = {}  # conversation -> the words behind which we asked for more

    async def is_carried(self, arguments: Mapping[str, Any], context: ToolContext) -> bool:
        """Whether the person's words hold every argument: those of this turn, behind those that a question of this tool
        was about ("Remind me to call mum." "When?" "Tomorrow at five.")."""
        words = _words(f"{self._asked.get(context.conversation, '')} {context.words}")
        return all(_stands_in(_words(str(value)), words) for value in arguments.values())

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Do it."""
        before = self._asked.pop(context.conversation, "")
        try:
            result = await self._work(self._schedule, arguments, context)
        except ToolError as error:
            return ToolResult(f"{error}.", ok=False)
        if result.missing:
            if len(self._asked) >= _OPEN_QUESTIONS:
                self._asked.pop(next(iter(self._asked)))
            self._asked[context.conversation] = f"{before} {context.words}"
        return result


def _spec(
    name: str, description: str, arguments: Mapping[str, str], asks: Sequence[str], *, changes: bool = True
) -> ToolSpec:
    """Arguments are the words of the request; one that is missing is asked for, so none has to be there."""
    properties = {
        argument: {"type": "string", "maxLength": _LONGEST, "description": text} for argument, text in arguments.items()
    }
    return ToolSpec(
        name=name, description=description, parameters={"type": "object", "properties": properties},
        copied=tuple(arguments), asks=asks, risk=Risk.OWN if changes else Risk.READ,
    )  # fmt: skip


TIMER_SET = _spec(
    "timer.set", "Start a timer.", {"duration": _DURATION, "label": _LABEL},
    ("set a timer for ten minutes", "start a pasta timer for eight minutes", "count down from a minute"),
)  # fmt: skip
TIMER_LIST = _spec(
    "timer.list", "Say what timers run and what is left of them.", {}, ("how long is left", "what timers are running"),
    changes=False,
)  # fmt: skip
TIMER_CANCEL = _spec(
    "timer.cancel", "End a timer.", {"label": _WHICH}, ("cancel the timer", "stop the pasta timer", "forget all timers")
)
TIMER_PAUSE = _spec("timer.pause", "Let a timer stand still.", {"label": _WHICH}, ("pause the timer", "hold the timer"))
TIMER_RESUME = _spec(
    "timer.resume",
    "Let a timer go on that stands still.",
    {"label": _WHICH},
    ("resume the timer", "go on with the timer"),
)
TIMER_CHANGE = _spec(
    "timer.change", "Make what is left of a timer more, less, or just so much.",
    {"change": "The change, as it was said: 'five minutes more', 'to twenty minutes'.", "label": _WHICH},
    ("five minutes more for the pasta", "add two minutes to the timer", "make the timer ten minutes"),
)  # fmt: skip
ALARM_SET = _spec(
    "alarm.set", "Set an alarm; it may recur.", {"when": _WHEN},
    ("wake me at seven", "set an alarm for half past six tomorrow", "alarm every weekday at seven"),
)  # fmt: skip
ALARM_LIST = _spec(
    "alarm.list", "Say what alarms are set.", {}, ("what alarms are set", "when do I get up"), changes=False
)
ALARM_CANCEL = _spec(
    "alarm.cancel", "Take an alarm away.", {"when": "Which one: its time, 'tomorrow', 'all'; empty: the only one."},
    ("cancel the seven o'clock alarm", "no alarm tomorrow", "delete all alarms"),
)  # fmt: skip
REMINDER_SET = _spec(
    "reminder.set", "Set a reminder; it may recur.", {"what": "Of what, as it was said: 'call mum'.", "when": _WHEN},
    ("remind me to call mum tomorrow at five", "remind me every evening at nine to take my pills"),
)  # fmt: skip
REMINDER_LIST = _spec(
    "reminder.list",
    "Say what reminders there are.",
    {},
    ("what reminders do I have", "read my reminders"),
    changes=False,
)
REMINDER_CANCEL = _spec(
    "reminder.cancel", "Take a reminder away.", {"what": "Which one: its words, its time, 'all'."},
    ("cancel the reminder about mum", "forget the dentist reminder"),
)  # fmt: skip


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _stands_in(value: Sequence[str], words: Sequence[str]) -> bool:
    """Whether all of these words were said, in this order."""
    said = iter(words)
    return all(word in said for word in value)


def _said(arguments: Mapping[str, Any], name: str) -> str:
    return str(arguments.get(name, "")).strip()


def create_timer_set(services: ToolServices) -> Tool:
    """``timer.set``, for the registry."""
    return _create(TIMER_SET, services, lambda s, a, c: s.set_timer(_said(a, "duration"), _said(a, "label"), c))


def create_timer_list(services: ToolServices) -> Tool:
    """``timer.list``, for the registry."""
    return _create(TIMER_LIST, services, lambda s, _a, _c: s.list_timers())


def create_timer_cancel(services: ToolServices) -> Tool:
    """``timer.cancel``, for the registry."""
    return _create(TIMER_CANCEL, services, lambda s, a, c: s.cancel_timer(_said(a, "label"), c))


def create_timer_pause(services: ToolServices) -> Tool:
    """``timer.pause``, for the registry."""
    return _create(TIMER_PAUSE, services, lambda s, a, c: s.pause_timer(_said(a, "label"), c))


def create_timer_resume(services: ToolServices) -> Tool:
    """``timer.resume``, for the registry."""
    return _create(TIMER_RESUME, services, lambda s, a, c: s.resume_timer(_said(a, "label"), c))


def create_timer_change(services: ToolServices) -> Tool:
    """``timer.change``, for the registry."""
    return _create(TIMER_CHANGE, services, lambda s, a, c: s.change_timer(_said(a, "change"), _said(a, "label"), c))


def create_alarm_set(services: ToolServices) -> Tool:
    """``alarm.set``, for the registry."""
    return _create(ALARM_SET, services, lambda s, a, c: s.set_alarm(_said(a, "when"), c))


def create_alarm_list(services: ToolServices) -> Tool:
    """``alarm.list``, for the registry."""
    return _create(ALARM_LIST, services, lambda s, _a, _c: s.list_alarms())


def create_alarm_cancel(services: ToolServices) -> Tool:
    """``alarm.cancel``, for the registry."""
    return _create(ALARM_CANCEL, services, lambda s, a, c: s.cancel_alarm(_said(a, "when"), c))


def create_reminder_set(services: ToolServices) -> Tool:
    """``reminder.set``, for the registry."""
    return _create(REMINDER_SET, services, lambda s, a, c: s.set_reminder(_said(a, "what"), _said(a, "when"), c))


def create_reminder_list(services: ToolServices) -> Tool:
    """``reminder.list``, for the registry."""
    return _create(REMINDER_LIST, services, lambda s, _a, _c: s.list_reminders())


def create_reminder_cancel(services: ToolServices) -> Tool:
    """``reminder.cancel``, for the registry."""
    return _create(REMINDER_CANCEL, services, lambda s, a, c: s.cancel_reminder(_said(a, "what"), c))


def _create(spec: ToolSpec, services: ToolServices, work: Work) -> Tool:
    if services.schedule is None:
        raise ToolOffError("nothing keeps the time here")
    if services.taking_back is not None:
        services.taking_back.let(SCHEDULE, partial(_take_back, services.schedule))
    return ScheduleTool(spec, work, services.schedule)


async def _take_back(schedule: Schedule, change: Change) -> Reversal:
    return Reversal(await schedule.take_back(change))
