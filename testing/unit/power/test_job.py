"""A job of Nomad that sleeps: who decides, how often it is scaled, what is left behind."""

from __future__ import annotations

import pytest

from power_agent.errors import BlockedError, DriverError
from power_agent.gate import Entry
from power_agent.job import JobDriver, Lock
from testing.fakes.nomad_cluster import ConsulDouble, NomadDouble

pytestmark = pytest.mark.unit


@pytest.fixture
def nomad() -> NomadDouble:
    return NomadDouble(count=3)


@pytest.fixture
def consul() -> ConsulDouble:
    return ConsulDouble()


def _driver(nomad: NomadDouble, consul: ConsulDouble, node: str = "n1") -> JobDriver:
    return JobDriver("llm", "llm", nomad.seen_from(node), Lock(consul, "llm"))


async def test_a_group_sleeps_and_wakes_by_one_call_each(nomad: NomadDouble, consul: ConsulDouble) -> None:
    driver = _driver(nomad, consul)

    await driver.sleep()
    asleep = await driver.look()
    await driver.wake()
    awake = await driver.look()

    assert nomad.scalings == [0, 3]
    assert (asleep.wanted, asleep.slept, asleep.here) == (False, True, True)
    assert (awake.wanted, awake.running, awake.here, awake.slept) == (True, True, True, False)
    assert consul.values == {}
    assert consul.sessions == set()


async def test_only_the_agent_of_its_node_decides(nomad: NomadDouble, consul: ConsulDouble) -> None:
    here, elsewhere = _driver(nomad, consul), _driver(nomad, consul, "n2")

    assert (await here.look()).here
    assert not (await elsewhere.look()).here

    await here.sleep()
    assert not (await elsewhere.look()).here


async def test_two_agents_never_act_at_once(nomad: NomadDouble, consul: ConsulDouble) -> None:
    first, second = _driver(nomad, consul), _driver(nomad, consul)
    consul.made = 10
    lock = Lock(consul, "llm")
    assert await lock.take({"count": 3})

    with pytest.raises(BlockedError, match="another agent"):
        await first.sleep()
    with pytest.raises(BlockedError, match="another agent"):
        await second.sleep()

    assert nomad.scalings == []


async def test_another_agent_stands_in_when_the_one_that_put_it_to_sleep_is_gone(
    nomad: NomadDouble, consul: ConsulDouble
) -> None:
    await _driver(nomad, consul).sleep()
    consul.expire()
    other = _driver(nomad, consul, "n2")

    look = await other.look()
    await other.wake()

    assert (look.slept, look.here) == (True, True)
    assert nomad.scalings == [0, 3]


async def test_an_agent_elsewhere_leaves_the_lock_of_one_that_is_about_to_act(
    nomad: NomadDouble, consul: ConsulDouble
) -> None:
    lock = Lock(consul, "llm")
    await lock.take({"count": 3})

    await _driver(nomad, consul, "n2").look()

    assert await lock.value() == {"count": 3}


async def test_the_count_outlives_agent_and_leader(nomad: NomadDouble, consul: ConsulDouble) -> None:
    await _driver(nomad, consul).sleep()
    nomad.leaderless = True
    again = _driver(nomad, consul)
    with pytest.raises(DriverError, match="leader"):
        await again.wake()
    nomad.leaderless = False
    await again.wake()

    assert nomad.scalings == [0, 3]


async def test_a_deployment_blocks_sleep_and_leaves_no_lock(nomad: NomadDouble, consul: ConsulDouble) -> None:
    nomad.deploying = True
    driver = _driver(nomad, consul)

    assert (await driver.look()).blocked == "a deployment is under way"
    with pytest.raises(BlockedError):
        await driver.sleep()

    assert nomad.scalings == []
    assert consul.values == {}
    assert consul.sessions == set()


async def test_after_a_move_it_is_asked_at_its_new_place(nomad: NomadDouble, consul: ConsulDouble) -> None:
    nomad.places = ["n1", "n2"]
    driver = _driver(nomad, consul)
    assert await driver.address() == ("10.0.0.1", 22000)

    await driver.sleep()
    with pytest.raises(DriverError, match="no allocation"):
        await driver.address()
    await driver.wake()

    assert await driver.address() == ("10.0.0.2", 22000)
    assert not (await driver.look()).here


async def test_it_is_woken_without_consul_but_not_put_to_sleep(nomad: NomadDouble, consul: ConsulDouble) -> None:
    driver = _driver(nomad, consul)
    await driver.sleep()
    consul.cut_off = True

    await driver.wake()
    assert nomad.scalings == [0, 3]

    with pytest.raises(DriverError):
        await driver.sleep()
    assert nomad.scalings == [0, 3]


async def test_a_job_that_a_person_stopped_is_not_scaled(nomad: NomadDouble, consul: ConsulDouble) -> None:
    driver = _driver(nomad, consul)
    await driver.sleep()
    nomad.stopped = True

    assert "person stopped" in (await driver.look()).trouble
    with pytest.raises(DriverError, match="stopped"):
        await driver.wake()
    assert nomad.scalings == [0]


async def test_a_purged_job_leaves_no_lock(nomad: NomadDouble, consul: ConsulDouble) -> None:
    driver = _driver(nomad, consul)
    await driver.sleep()
    nomad.purged = True

    assert not (await driver.look()).there
    assert consul.values == {}


async def test_a_job_that_sleeps_because_a_person_scaled_it_is_not_ours(
    nomad: NomadDouble, consul: ConsulDouble
) -> None:
    nomad.count = 0

    look = await _driver(nomad, consul).look()

    assert (look.wanted, look.slept) == (False, False)


async def test_while_it_sleeps_consul_names_the_activator(consul: ConsulDouble) -> None:
    meta = {"model": "qwen", "description": "programs"}
    consul.services["awake"] = {"ID": "awake", "Name": "prima-api-coding", "Tags": ["ctx=4096", "x"], "Meta": meta}
    entry = Entry(consul, "prima-api-coding", "10.0.0.1", 18081)

    await entry.close()
    del consul.services["awake"]  # the job has ended
    (registered,) = consul.services.values()
    assert (registered["Name"], registered["Port"]) == ("prima-api-coding", 18081)
    assert (registered["Tags"], registered["Meta"]) == (["asleep", "ctx=4096"], meta)
    # An agent that is gone leaves no entry behind.
    assert registered["Check"]["DeregisterCriticalServiceAfter"] == "1m"

    # An agent that starts anew says the same, and what it learned of wakes meanwhile.
    again = Entry(consul, "prima-api-coding", "10.0.0.1", 18081, lambda: 17.24)
    await again.close()
    (registered,) = consul.services.values()
    assert registered["Meta"] == meta | {"wake_s": "17.2"}

    await entry.open()
    await entry.open()
    assert consul.services == {}
