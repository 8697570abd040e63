"""The states of a service that may sleep, on a clock that jumps."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from power_agent.driving import Look
from power_agent.errors import BlockedError, DriverError
from power_agent.service import Service
from power_agent.states import NotAwakeError, State
from testing.fakes.power import PowerWorld

pytestmark = pytest.mark.unit


@pytest.fixture
def world(tmp_path: Path) -> PowerWorld:
    return PowerWorld(tmp_path)


async def _callers(service: Service, count: int) -> list[asyncio.Task[tuple[str, int]]]:
    waiting = [asyncio.ensure_future(service.ready()) for _ in range(count)]
    await asyncio.sleep(0)
    return waiting


# Falling asleep -------------------------------------------------------------------------------------------------------


async def test_it_sleeps_when_nobody_uses_it(world: PowerWorld) -> None:
    service = world.service()

    await world.pass_by(service, 599)
    assert service.state is State.AWAKE
    await world.pass_by(service, 2)

    assert service.state is State.ASLEEP
    assert world.calls[2:5] == ["close", "sleep", "settle"]


async def test_the_clock_of_idleness_starts_at_the_last_work(world: PowerWorld) -> None:
    service = world.service()
    await world.pass_by(service, 500)
    world.work()

    await world.pass_by(service, 599)
    assert service.state is State.AWAKE
    await world.pass_by(service, 2)
    assert service.state is State.ASLEEP


async def test_a_long_silent_computation_is_work(world: PowerWorld) -> None:
    """No packet for an hour; the server's slots say that it computes."""
    service = world.service()
    world.computes = True

    await world.pass_by(service, 3600)

    assert service.state is State.AWAKE
    assert world.count("sleep") == 0


@pytest.mark.parametrize("how", ["slots", "counters"])
async def test_a_missing_measurement_means_busy(world: PowerWorld, how: str) -> None:
    if how == "slots":
        world.computes = None
    else:
        world.measured, world.done = False, None
    service = world.service()

    await world.pass_by(service, 3600)

    assert service.state is State.AWAKE


async def test_without_the_kernel_the_servers_own_account_counts(world: PowerWorld) -> None:
    world.measured = False
    service = world.service()
    await world.pass_by(service, 590)
    world.done = "1"

    await world.pass_by(service, 590)
    assert service.state is State.AWAKE
    await world.pass_by(service, 30)
    assert service.state is State.ASLEEP


async def test_it_stays_awake_for_its_minimum(world: PowerWorld) -> None:
    world.idle_s = 0
    service = world.service()

    await world.pass_by(service, 129)
    assert service.state is State.AWAKE
    await world.pass_by(service, 2)
    assert service.state is State.ASLEEP


async def test_never_sleeps_without_an_idle_time(world: PowerWorld) -> None:
    world.idle_s = None
    service = world.service()

    await world.pass_by(service, 10_000)

    assert service.state is State.AWAKE


async def test_work_in_the_last_moment_keeps_it_awake(world: PowerWorld) -> None:
    service = world.service()

    class Closing(list[str]):
        def append(self, call: str) -> None:
            super().append(call)
            if call == "close" and self.count("close") == 1:
                world.work()

    world.calls = Closing()
    await world.pass_by(service, 605)

    assert service.state is State.AWAKE
    assert world.count("sleep") == 0
    assert world.calls[-2:] == ["open", "watch 8081"]


async def test_a_request_that_the_activator_passes_on_keeps_it_awake(world: PowerWorld) -> None:
    service = world.service()
    await world.settle_down(service)
    service.activity.began()
    await world.pass_by(service, 3600)
    assert service.state is State.AWAKE

    service.activity.ended()
    await world.pass_by(service, 605)
    assert service.state is State.ASLEEP


@pytest.mark.parametrize("why", ["deployment", "lock", "nomad", "consul"])
async def test_it_stays_awake_when_it_cannot_be_put_to_sleep(world: PowerWorld, why: str) -> None:
    service = world.service()
    await world.settle_down(service)
    if why == "deployment":
        world.looks = Look(wanted=True, running=True, blocked="a deployment is under way")
    elif why == "lock":
        world.refusals["sleep"] = [BlockedError("another agent decides about it")] * 9
    elif why == "nomad":
        world.refusals["sleep"] = [DriverError("no leader")] * 9
    else:
        world.refusals["close"] = [DriverError("Consul does not answer")] * 9

    await world.pass_by(service, 1000)
    assert service.state is State.AWAKE
    assert world.runs

    world.looks, world.refusals = None, {}
    await world.pass_by(service, 1000)
    assert service.state is State.ASLEEP


async def test_a_pinned_service_does_not_sleep_and_one_that_sleeps_wakes(world: PowerWorld) -> None:
    service = world.service()
    await world.settle_down(service)
    service.pin(True)
    await world.pass_by(service, 3600)
    assert service.state is State.PINNED

    service.pin(False)
    await world.pass_by(service, 700)
    assert service.state is State.ASLEEP

    service.pin(True)
    await world.settle_down(service)
    assert service.state is State.PINNED


async def test_a_person_may_send_it_to_sleep_but_not_out_of_its_work(world: PowerWorld) -> None:
    service = world.service()
    await world.settle_down(service)
    world.computes = True
    service.sleep()
    await world.pass_by(service, 10)
    assert service.state is State.AWAKE

    world.computes = False
    await world.pass_by(service, 5)
    assert service.state is State.ASLEEP
    service.wake()
    await world.pass_by(service, 100)
    assert service.state is State.AWAKE


# Waking ---------------------------------------------------------------------------------------------------------------


async def test_any_number_of_callers_wake_it_once(world: PowerWorld) -> None:
    service = await world.asleep()
    waiting = await _callers(service, 10)

    await world.pass_by(service, 2)

    assert await asyncio.gather(*waiting) == [("127.0.0.1", 8081)] * 10
    assert world.count("wake") == 1
    assert world.calls.index("wake") < world.calls.index("open")


async def test_the_first_caller_giving_up_does_not_end_the_wake(world: PowerWorld) -> None:
    service = await world.asleep()
    world.comes_up = False
    waiting = await _callers(service, 10)
    await world.pass_by(service, 2)
    waiting[0].cancel()
    await world.pass_by(service, 5)
    world.answers = True
    await world.pass_by(service, 1)

    answered = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(answered[0], asyncio.CancelledError)
    assert answered[1:] == [("127.0.0.1", 8081)] * 9
    assert world.count("wake") == 1


async def test_running_is_not_ready(world: PowerWorld) -> None:
    service = await world.asleep()
    world.comes_up = False
    waiting = await _callers(service, 1)

    await world.pass_by(service, 20)
    assert world.runs
    assert service.state is State.WAKING
    assert not waiting[0].done()

    world.answers = True
    await world.pass_by(service, 1)
    assert await waiting[0] == ("127.0.0.1", 8081)
    assert service.describe()["wake_estimate_s"] == pytest.approx(20, abs=1)


async def test_a_wake_that_is_refused_is_tried_again(world: PowerWorld) -> None:
    """A deployment; then Nomad is without a leader."""
    service = await world.asleep()
    world.refusals["wake"] = [BlockedError("a deployment is under way"), DriverError("no leader")]
    waiting = await _callers(service, 1)

    await world.pass_by(service, 5)

    assert await waiting[0] == ("127.0.0.1", 8081)
    assert world.count("wake") == 3


async def test_a_crash_loop_is_a_bounded_wait_with_the_reason_and_heals_by_itself(world: PowerWorld) -> None:
    service = await world.asleep()
    world.comes_up = False
    waiting = await _callers(service, 1)
    await world.pass_by(service, 1)
    world.looks = Look(wanted=True, running=False, trouble="coding.service failed (core-dump)")

    await world.pass_by(service, 3)
    assert service.state is State.FAILED
    with pytest.raises(NotAwakeError, match="core-dump") as refused:
        await waiting[0]
    assert refused.value.retry_after_s == 10
    with pytest.raises(NotAwakeError, match="core-dump"):
        await service.ready()
    assert world.count("wake") == 1

    world.looks, world.answers = None, True
    await world.pass_by(service, 6)
    assert service.state is State.AWAKE
    assert await service.ready() == ("127.0.0.1", 8081)


async def test_a_wake_has_a_limit_and_the_next_request_after_a_while_tries_anew(world: PowerWorld) -> None:
    service = await world.asleep()
    world.comes_up = False
    waiting = await _callers(service, 1)
    await world.pass_by(service, 302)
    with pytest.raises(NotAwakeError, match="within 300 s"):
        await waiting[0]

    world.comes_up = True
    await world.pass_by(service, 11)
    waiting = await _callers(service, 1)
    await world.pass_by(service, 6)

    assert await waiting[0] == ("127.0.0.1", 8081)
    assert world.count("wake") == 2


async def test_consul_cut_off_while_it_wakes_delays_nobody(world: PowerWorld) -> None:
    service = await world.asleep()
    world.refusals["refresh"] = [DriverError("Consul does not answer")] * 9
    world.refusals["open"] = [DriverError("Consul does not answer")]
    waiting = await _callers(service, 2)

    await world.pass_by(service, 1)

    assert await asyncio.gather(*waiting) == [("127.0.0.1", 8081)] * 2


# Others act too -------------------------------------------------------------------------------------------------------


async def test_what_a_person_stopped_is_not_woken(world: PowerWorld) -> None:
    service = world.service()
    await world.settle_down(service)
    world.runs = False
    await world.pass_by(service, 100)

    assert service.state is State.AWAY
    with pytest.raises(NotAwakeError, match="stopped"):
        await service.ready()
    assert world.count("wake") == 0

    world.runs = True
    await world.pass_by(service, 40)
    assert service.state is State.AWAKE


async def test_what_somebody_else_starts_is_awake_without_another_wake(world: PowerWorld) -> None:
    service = await world.asleep()
    world.runs = world.answers = True

    await world.pass_by(service, 40)

    assert service.state is State.AWAKE
    assert world.count("wake") == 0
    assert world.count("open") == 1


async def test_what_is_purged_leaves_nothing_behind_and_nobody_waiting(world: PowerWorld) -> None:
    service = await world.asleep()
    world.looks = Look(wanted=False, running=False, there=False)
    await world.pass_by(service, 40)

    assert service.state is State.AWAY
    assert world.calls[-1] == "open"


async def test_what_is_purged_while_it_wakes_leaves_nobody_waiting(world: PowerWorld) -> None:
    service = await world.asleep()
    world.comes_up = False
    waiting = await _callers(service, 3)
    await world.pass_by(service, 1)
    world.looks = Look(wanted=False, running=False, there=False)
    await world.pass_by(service, 3)

    answered = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(each) for each in answered] == ["nobody knows it any more"] * 3


async def test_the_agent_of_another_node_decides_after_a_move(world: PowerWorld) -> None:
    service = await world.asleep()
    world.looks = Look(wanted=True, running=True, here=False)

    await world.pass_by(service, 40)

    assert service.state is State.AWAY
    assert world.calls[-1] == "open"


# The agent ends and starts anew ---------------------------------------------------------------------------------------


async def test_an_agent_that_starts_anew_finds_who_sleeps(world: PowerWorld) -> None:
    await world.asleep()
    world.calls.clear()

    service = world.service()
    await world.settle_down(service)

    assert service.state is State.ASLEEP
    assert world.calls[:2] == ["close", "settle"]


async def test_an_agent_that_ended_in_a_wake_goes_on_with_it(world: PowerWorld) -> None:
    service = await world.asleep()
    world.comes_up = False
    waiting = await _callers(service, 1)
    await world.pass_by(service, 2)
    waiting[0].cancel()

    service = world.service()
    await world.settle_down(service)
    assert service.state is State.WAKING
    world.answers = True
    await world.pass_by(service, 1)

    assert service.state is State.AWAKE
    assert world.count("wake") == 1


@pytest.mark.parametrize("stopped", [True, False])
async def test_an_agent_that_ended_while_it_fell_asleep(world: PowerWorld, stopped: bool) -> None:
    service = world.service()
    await world.settle_down(service)
    world.refusals["sleep"] = [asyncio.CancelledError()]  # type: ignore[list-item]
    with pytest.raises(asyncio.CancelledError):
        await world.pass_by(service, 700)
    world.runs = world.answers = not stopped

    service = world.service()
    await world.settle_down(service)

    assert service.state is (State.ASLEEP if stopped else State.AWAKE)


async def test_a_damaged_record_loses_no_service(world: PowerWorld) -> None:
    (world.folder / "state.json").write_text("{")

    service = world.service()
    await world.settle_down(service)

    assert service.state is State.AWAKE
    assert (world.folder / "state.damaged").exists()


async def test_fifty_services_do_not_flap(tmp_path: Path) -> None:
    worlds = []
    for number in range(50):
        folder = tmp_path / str(number)
        folder.mkdir()
        worlds.append(PowerWorld(folder, idle_s=600 + number))
    services = [world.service() for world in worlds]

    for world, service in zip(worlds, services, strict=True):
        await world.pass_by(service, 3600)

    assert {service.state for service in services} == {State.ASLEEP}
    assert {world.count("sleep") for world in worlds} == {1}
    assert {world.count("wake") for world in worlds} == {0}
