"""Experts that sleep: the table knows them, wakes them once, and lets those answer who are awake."""

from __future__ import annotations

import asyncio

import pytest

from pipecatapp.domain import Message
from pipecatapp.experts.directory import Experts
from pipecatapp.experts.instance import Instance
from pipecatapp.ports import ChatRequest
from pipecatapp.registration import Registration, from_consul
from testing.fakes.agent_harness import RecordingSink
from testing.fakes.experts import Clock, ScriptedInstance

pytestmark = pytest.mark.unit

FRONT = Message("system", "You write programs.")
REQUEST = ChatRequest([Message("user", "hello")], slot_key="c")


class Harness:
    """Experts whose answers are the names of their hosts."""

    def __init__(self) -> None:
        self.made: dict[str, ScriptedInstance] = {}
        self.clock = Clock()
        self.experts = Experts(self._connect, RecordingSink(), wait_s=0.3, clock=self.clock)

    def _connect(self, registration: Registration) -> Instance:
        host = registration.address.partition(":")[0]
        made = ScriptedInstance(registration.expert, *[f"{host}."] * 9, host=host, slots=2)
        made.registration = registration
        self.made[host] = made
        return made

    async def ask(self, *, meanwhile: bool = False) -> str:
        return "".join([c.text async for c in self.experts.ask("coding", REQUEST, meanwhile=meanwhile)])


def at(expert: str, host: str, *, asleep: bool = False, wake_s: float = 0.0) -> Registration:
    return Registration(expert, f"http://{host}:1/v1", slots=2, asleep=asleep, wake_s=wake_s)


def test_an_entry_of_the_power_agent_is_known_by_its_tag() -> None:
    service = {"Service": "prima-api-coding", "Address": "10.0.0.1", "Port": 18081, "Tags": ["asleep"]}

    found = [
        from_consul({"Service": service | {"Meta": {"wake_s": said}}}) for said in ("17.2", "soon", "-1", "nan", "1e9")
    ]

    assert [(each.asleep, each.wake_s) for each in found if each] == [(True, 17.2)] + [(True, 0.0)] * 4


async def test_it_is_woken_once_and_its_front_is_readied() -> None:
    h = Harness()
    h.experts.update([at("coding", "sleeper", asleep=True, wake_s=20.0)])

    assert h.experts.wake_seconds("coding") == 20.0
    assert h.experts.wake_seconds("math") is None
    h.experts.wake("coding", FRONT)
    h.experts.wake("coding", FRONT)
    h.clock.now += 5
    h.experts.wake("coding", FRONT)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert h.made["sleeper"].scripted.prefilled == [[FRONT]]
    assert h.experts.wake_seconds("coding") == 15.0
    h.clock.now += 60
    assert h.experts.wake_seconds("coding") == 20.0  # it slept in again
    h.experts.wake("coding", FRONT)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(h.made["sleeper"].scripted.prefilled) == 2
    await h.experts.aclose()


async def test_who_is_awake_answers_first() -> None:
    h = Harness()
    h.experts.update([at("coding", "a", asleep=True, wake_s=20.0)])
    assert await h.ask() == "a."

    h.experts.update([at("coding", "a", asleep=True, wake_s=20.0), at("coding", "b")])

    assert h.experts.wake_seconds("coding") is None
    assert await h.ask() == "b."
    h.experts.wake("coding", FRONT)
    assert h.made["a"].scripted.prefilled == []


async def test_another_expert_answers_meanwhile_where_one_is_awake() -> None:
    h = Harness()
    sleeper = at("coding", "sleeper", asleep=True, wake_s=20.0)
    h.experts.update([sleeper, at("general", "general")])

    assert await h.ask(meanwhile=True) == "general."
    assert await h.ask() == "sleeper."
    h.experts.update([sleeper, at("general", "g2", asleep=True)])
    assert await h.ask(meanwhile=True) == "sleeper."
    assert [(row["name"], row["asleep"]) for row in h.experts.table()] == [("coding", True), ("general", True)]
