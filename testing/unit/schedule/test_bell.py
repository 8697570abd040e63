"""Where a ring is heard, what the pages show, and how what was missed is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from pipecatapp.events import ScheduleChanged, UserMessage
from pipecatapp.ports import ToolContext
from pipecatapp.schedule.bell import Bell
from testing.fakes.agent_harness import RecordingSink
from testing.fakes.schedule import HERE, ScheduledHouse

pytestmark = pytest.mark.unit


class Sessions:
    """Voice sessions of these conversations."""

    def __init__(self, *conversations: str) -> None:
        self.rings: dict[str, Sequence[str]] = dict.fromkeys(conversations, ())
        self.told: list[tuple[str, str, Callable[[], None]]] = []

    def ring(self, sounding: Callable[[str], Sequence[str]]) -> None:
        self.rings = {conversation: sounding(conversation) for conversation in self.rings}

    def tell(self, conversation: str, notice: str, told: Callable[[], None]) -> None:
        self.told.append((conversation, notice, told))

    def is_listening(self, conversation: str) -> bool:
        return conversation in self.rings


class Home:
    def __init__(self, *conversations: str) -> None:
        self.house, self.sessions, self.sink = ScheduledHouse(), Sessions(*conversations), RecordingSink()
        self.bell = Bell(self.house.service, self.sessions, self.sink, lambda _: False)

    async def run(self, seconds: float) -> None:
        await self.house.run(seconds)
        self.bell.look()

    @property
    def shown(self) -> ScheduleChanged:
        return self.sink.of(ScheduleChanged)[-1]


async def test_it_rings_where_it_was_set_and_everywhere_after_half_a_minute() -> None:
    home = Home("kitchen", "bedroom")
    await home.house.service.set_timer("ten minutes", "pasta", HERE)
    await home.run(601)
    assert home.sessions.rings == {"kitchen": ["Your pasta timer is done."], "bedroom": []}
    assert [ring["everywhere"] for ring in home.shown.rings] == [False]
    await home.run(30)
    assert home.sessions.rings["bedroom"] == ["Your pasta timer is done."]
    assert [ring["everywhere"] for ring in home.shown.rings] == [True]
    await home.house.service.stop([home.shown.rings[0]["id"]])
    home.bell.look()
    assert home.sessions.rings == {"kitchen": [], "bedroom": []}


async def test_where_nobody_is_it_rings_everywhere_at_once() -> None:
    home = Home("bedroom")
    await home.house.service.set_reminder("call my mum", "in ten minutes", HERE)
    await home.run(601)
    assert home.sessions.rings == {"bedroom": ["A reminder: call your mum."]}
    assert await home.house.service.answer("bedroom", "okay") == "The reminder is off."


async def test_the_pages_are_told_of_changes_alone() -> None:
    home = Home()
    await home.house.service.set_timer("ten minutes", "pasta", HERE)
    home.bell.look()
    home.bell.look()
    await home.house.service.set_alarm("tomorrow at seven", HERE)
    home.bell.look()
    assert len(home.sink.of(ScheduleChanged)) == 2
    timer, alarm = home.shown.items
    assert (timer["name"], timer["ends_at"], timer["left_s"]) == ("pasta timer", home.house.clocks.now() + 600, None)
    assert (alarm["kind"], alarm["when"]) == ("alarm", "tomorrow, Thursday, 26 November at 7 in the morning")


async def test_what_was_missed_is_told_once_behind_the_next_answer() -> None:
    home = Home()
    await home.house.service.set_timer("ten minutes", "pasta", ToolContext("kitchen", "t"))
    home.house.clocks.advance(5000)
    await home.run(1)
    assert [entry["sentence"] for entry in home.shown.missed] == [
        "While I was off, your pasta timer ended today at 2:40 in the afternoon."
    ]
    for source in ("api", "typed", "typed"):
        home.bell.observe(UserMessage(conversation="bedroom", turn="t", text="hello", source=source))
    ((conversation, notice, told),) = home.sessions.told
    assert (conversation, notice) == ("bedroom", home.shown.missed[0]["sentence"])
    told()
    await home.bell.aclose()
    assert home.house.keeper.rings() == []
    home.house.kill()
    await home.house.run(1)
    assert home.house.service.missed() == ([], "")
