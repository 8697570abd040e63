"""What rings, where, how it ends, and what the clocks may do meanwhile."""

from __future__ import annotations

import pytest

from pipecatapp.errors import NoWayBackError
from pipecatapp.schedule.entries import Ring
from testing.fakes.schedule import HERE, ScheduledHouse

pytestmark = pytest.mark.unit

DAY = 86_400.0


async def house_with(timer: str = "ten minutes", label: str = "pasta", **options: str) -> ScheduledHouse:
    house = ScheduledHouse(**options)  # type: ignore[arg-type]
    await house.service.set_timer(timer, label, HERE)
    return house


def missed(house: ScheduledHouse) -> str:
    return house.service.missed()[1]


async def test_a_timer_rings_to_the_second_where_it_was_set_then_everywhere_then_it_is_missed() -> None:
    house = await house_with()
    assert await house.run(599) == []
    (ring,) = await house.run(2)
    assert house.service.heard_in("kitchen") == [ring]
    assert house.service.heard_in("bedroom") == []
    await house.run(29)
    assert house.service.heard_in("bedroom") == [ring]
    await house.run(568)
    assert house.keeper.sounding() == [ring]
    await house.run(5)
    assert house.keeper.sounding() == []
    assert missed(house) == "Nobody answered: your pasta timer ended today at 2:40 in the afternoon."
    await house.service.told(house.service.missed()[0])
    assert missed(house) == ""


@pytest.mark.parametrize("words", ["stop", "Quiet!", "okay", "stop the alarm", "thank you", "turn it off", "I'm up"])
async def test_a_word_ends_it_for_good(words: str) -> None:
    house = await house_with()
    await house.run(601)
    assert await house.service.answer("bedroom", words) is None
    assert await house.service.answer("kitchen", words) == "The pasta timer is off."
    house.kill()
    assert await house.run(DAY) == []
    assert missed(house) == ""


@pytest.mark.parametrize("words", ["what time is it", "stop talking about cats", "no", "set a timer for five minutes"])
async def test_other_words_are_about_something_else(words: str) -> None:
    house = await house_with()
    await house.run(601)
    assert await house.service.answer("kitchen", words) is None
    assert len(house.keeper.sounding()) == 1


@pytest.mark.parametrize(
    ("words", "seconds"),
    [("snooze", 300), ("snooze five minutes", 300), ("snooze for ten minutes please", 600), ("five more minutes", 300),
     ("remind me again in an hour", 3600), ("later", 300)],
)  # fmt: skip
async def test_snoozing_lets_it_ring_again_over_a_kill_and_a_reboot(words: str, seconds: int) -> None:
    house = await house_with()
    await house.run(601)
    said = await house.service.answer("kitchen", words)
    assert said is not None
    assert said.startswith("The pasta timer rings again in ")
    house.kill()
    assert await house.run(seconds / 2) == []
    house.reboot(off_s=seconds / 4)
    assert await house.run(seconds / 4 - 5) == []
    assert len(await house.run(10)) == 1


async def test_words_while_nothing_rings_are_nobody_s() -> None:
    house = await house_with()
    assert await house.service.answer("kitchen", "stop") is None


async def test_a_restart_goes_on_ringing_and_the_time_before_it_counts() -> None:
    house = await house_with()
    await house.run(605)
    house.kill()
    assert len(await house.run(1)) == 1
    house.reboot(off_s=30)
    assert len(await house.run(1)) == 1
    await house.run(600)
    assert house.keeper.sounding() == []
    assert missed(house).startswith("Nobody answered")


async def test_what_came_due_while_the_machine_was_off_is_told_and_does_not_ring() -> None:
    house = await house_with()
    await house.service.set_reminder("call my mum", "at five", HERE)
    await house.service.set_alarm("every day at six pm", HERE)
    house.reboot(off_s=3 * DAY + 4 * 3600)
    assert await house.run(60) == []
    assert missed(house) == (
        "While I was off, your pasta timer ended on Wednesday, 25 November at 2:40 in the afternoon. "
        "While I was off, I was to remind you on Wednesday, 25 November at 5 in the afternoon: call your mum. "
        "While I was off, your alarm came due today at 6 in the evening, the last of 4 times."
    )
    assert (await house.service.list_alarms()).text == "There is one alarm: every day at 6 in the evening."
    house.kill()
    await house.run(1)
    assert len(house.service.missed()[0]) == 3


async def test_what_came_due_just_now_still_rings() -> None:
    house = await house_with()
    house.reboot(off_s=700)
    assert len(await house.run(1)) == 1


@pytest.mark.parametrize("by", [-7200.0, 7200.0, -400 * DAY, 400 * DAY])
async def test_a_timer_runs_its_length_whatever_becomes_of_the_wall_clock(by: float) -> None:
    house = await house_with()
    await house.run(100)
    house.clocks.set_wall(by)
    assert await house.run(499) == []
    house.kill()
    assert len(await house.run(2)) == 1


@pytest.mark.parametrize("by", [-7200.0, 7200.0])
async def test_the_deadline_goes_with_the_wall_clock_for_a_reboot_later(by: float) -> None:
    house = await house_with()
    house.clocks.set_wall(by)
    await house.run(100)
    house.reboot(off_s=100)
    assert await house.run(398) == []
    assert len(await house.run(3)) == 1


async def test_an_alarm_goes_by_the_wall_clock() -> None:
    house = ScheduledHouse()
    await house.service.set_alarm("at five", HERE)
    house.clocks.set_wall(2 * 3600)
    assert await house.run(1799) == []
    assert len(await house.run(2)) == 1


async def test_an_alarm_that_was_acknowledged_does_not_ring_again_when_the_clock_is_set_back() -> None:
    house = ScheduledHouse()
    await house.service.set_alarm("every day at five pm", HERE)
    (ring,) = await house.run(2.6 * 3600)
    await house.service.stop([ring.id])
    house.clocks.set_wall(-3600)
    assert await house.run(20 * 3600) == []
    (item,) = house.keeper.items("alarm")
    assert item.wall == "2026-11-26T17:00:00"


async def test_alarms_come_back_from_a_clock_that_was_years_ahead() -> None:
    house = ScheduledHouse()
    await house.service.set_alarm("every day at five pm", HERE)
    await house.service.set_alarm("tomorrow at nine", HERE)
    house.reboot(wall_off=1000 * DAY)
    await house.run(30)
    assert "While I was off" in missed(house)
    house.clocks.set_wall(-1000 * DAY)
    await house.run(30)
    assert missed(house) == ""
    rings = await house.run(DAY)
    assert sorted(ring.item.wall for ring in rings) == ["2026-11-25T17:00:00", "2026-11-26T09:00:00"]


async def test_a_pc_with_an_empty_battery_keeps_its_timers_until_its_clock_is_right() -> None:
    house = await house_with("an hour")
    await house.service.set_alarm("at five", HERE)
    await house.run(600)
    house.reboot(off_s=60, wall_off=-10_000 * DAY)
    assert await house.run(1200) == []
    house.clocks.set_wall(10_000 * DAY)
    assert await house.run(3600 - 600 - 60 - 1200 - 10) == []
    (timer,) = await house.run(20)
    assert timer.item.kind == "timer"
    await house.service.stop([timer.id])
    assert [ring.item.kind for ring in await house.run(2 * 3600)] == ["alarm"]


async def test_a_pc_whose_clock_stays_wrong_still_lets_the_timer_ring() -> None:
    house = await house_with("an hour")
    house.reboot(off_s=60, wall_off=-10_000 * DAY)
    assert len(await house.run(3700)) == 1


async def test_a_reminder_in_ten_minutes_is_a_length_of_time() -> None:
    house = ScheduledHouse()
    await house.service.set_reminder("look at the oven", "in ten minutes", HERE)
    house.clocks.set_wall(20 * DAY)
    assert await house.run(590) == []
    assert len(await house.run(20)) == 1


async def test_two_that_ring_at_once_end_at_once() -> None:
    house = await house_with()
    await house.service.set_timer("ten minutes", "tea", HERE)
    await house.run(601)
    assert await house.service.answer("kitchen", "stop") == "The pasta timer and the tea timer are off."


async def test_a_full_disk_does_not_keep_it_from_ringing() -> None:
    house = await house_with()
    for at in range(40):
        house.disk.plan(at, "error")
    (ring,) = await house.run(601)
    assert ring.item.label == "pasta"
    for _ in range(30):
        await house.run(5)  # until the disk takes it
    house.kill()
    assert [again.id for again in await house.run(1)] == [ring.id]


async def test_a_change_can_be_taken_back_and_an_acknowledged_ring_cannot() -> None:
    house = await house_with()
    context = HERE
    await house.service.cancel_timer("pasta", context)
    (cancelled, _) = await house.storage.changes.latest("kitchen")
    house.clocks.advance(60)
    assert await house.service.take_back(cancelled) == "I took that back: the pasta timer is cancelled."
    assert (await house.service.list_timers()).text == "The pasta timer has 9 minutes left."
    await house.service.change_timer("an hour more", "", context)
    changed = (await house.storage.changes.latest("kitchen"))[0]
    await house.service.take_back(changed)
    assert (await house.service.list_timers()).text == "The pasta timer has 9 minutes left."
    (ring,) = await house.run(541)
    with pytest.raises(NoWayBackError):
        await house.service.take_back(changed)
    before = len(await house.storage.changes.latest("kitchen"))
    assert (await house.service.cancel_timer("", context)).text == "The pasta timer is cancelled."
    assert len(await house.storage.changes.latest("kitchen")) == before
    assert isinstance(ring, Ring)
    assert await house.run(DAY) == []
