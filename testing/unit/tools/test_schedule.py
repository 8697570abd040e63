"""The tools of the schedule: there by their names, asking for what is missing, carried by a person's words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipecatapp.domain import Risk
from pipecatapp.ports import OwnWordsTool, Tool, ToolContext
from pipecatapp.tools import schedule
from pipecatapp.tools.registry import TOOLS
from testing.fakes.schedule import ScheduledHouse

pytestmark = pytest.mark.unit

SAID = ToolContext("kitchen", "t", words="remind me to call mum", speaker="person")
NAMES = [name for name in TOOLS if name.startswith(("timer.", "alarm.", "reminder."))]


def tool(house: ScheduledHouse, name: str) -> Tool:
    spec = next(value for value in vars(schedule).values() if getattr(value, "name", "") == name)
    work: dict[str, Any] = {
        "reminder.set": lambda s, a, c: s.set_reminder(a.get("what", ""), a.get("when", ""), c),
        "timer.set": lambda s, a, c: s.set_timer(a.get("duration", ""), a.get("label", ""), c),
    }
    return schedule.ScheduleTool(spec, work[name], house.service)


def test_they_are_all_there_and_only_lists_need_nobodys_words() -> None:
    assert len(NAMES) == 12
    assert {name for name in NAMES if TOOLS[name].risk is Risk.READ} == {"timer.list", "alarm.list", "reminder.list"}
    assert {TOOLS[name].risk for name in NAMES} == {Risk.READ, Risk.OWN}


async def test_what_is_not_understood_is_a_sentence_to_be_spoken() -> None:
    house = ScheduledHouse()
    result = await tool(house, "timer.set").run({"duration": "ten bananas"}, SAID)
    assert not result.ok
    assert result.text == "I do not understand 'ten bananas' as a length of time, so I set no timer."


async def test_the_answer_to_its_question_carries_what_was_said_before() -> None:
    house = ScheduledHouse()
    remind = tool(house, "reminder.set")
    assert isinstance(remind, OwnWordsTool)
    whole = {"what": "call mum", "when": "tomorrow at noon"}
    later = replace(SAID, words="tomorrow at noon")
    assert not await remind.is_carried(whole, later)

    asked = await remind.run({"what": "call mum"}, SAID)
    assert (asked.text, asked.missing) == ("When shall I remind you?", "when")
    assert await remind.is_carried(whole, later)
    assert not await remind.is_carried({**whole, "what": "call dad"}, later)
    assert not await remind.is_carried(whole, replace(later, conversation="bedroom"))
    assert (await remind.run(whole, later)).ok
    assert not await remind.is_carried(whole, later)
