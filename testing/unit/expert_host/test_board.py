"""Where the ranks meet: who is there, which plan holds, and who may write it."""

from __future__ import annotations

import asyncio

import pytest

from pipecatapp.cluster.consul import ConsulClient, ConsulUnreachableError
from pipecatapp.expert_host.board import ConsulBoard, Peer, SupersededError
from pipecatapp.expert_host.facts import Plan
from testing.fakes.consul_store import ConsulStore
from testing.fakes.jumping_loop import run_jumping

pytestmark = pytest.mark.unit


def board(consul: ConsulStore) -> ConsulBoard:
    return ConsulBoard(ConsulClient("http://consul:8500", transport=consul), "creative-expert")


def test_of_two_heads_the_older_one_cannot_write_any_more() -> None:
    async def scene() -> None:
        consul = ConsulStore()
        old, new = board(consul), board(consul)
        await old.publish(Plan(generation="1", author="old"))
        await old.publish(Plan(generation="2", author="old"))
        await new.publish(Plan(generation="3", author="new"))

        with pytest.raises(SupersededError):
            await old.publish(Plan(generation="4", author="old"))
        assert (await new.plan("")).generation == "3"
        await new.publish(Plan(generation="5", author="new"))

    run_jumping(scene())


def test_a_plan_is_waited_for_and_nonsense_is_none() -> None:
    async def scene() -> None:
        consul = ConsulStore()
        reading, writing = board(consul), board(consul)
        await writing.publish(Plan(generation="1", author="a"))
        waiting = asyncio.create_task(reading.plan("1"))
        await asyncio.sleep(100)
        consul.keys["experts/creative-expert/plan"] = ('{"generation": "2", "members": [{"host": "evil.example"}]}', 99)
        consul.register("other", 7, "10.0.0.8", 8201)
        await asyncio.sleep(100)
        assert not waiting.done()

        consul.away = True
        await asyncio.sleep(100)
        consul.away = False
        await board(consul).publish(Plan(generation="3", author="b"))
        assert (await waiting).generation == "3"

    run_jumping(scene())


def test_of_two_allocations_of_a_rank_the_newer_one_counts() -> None:
    async def scene() -> None:
        consul = ConsulStore()
        consul.register("first", 0, "10.0.0.1", 8201)
        consul.register("second", 1, "10.0.0.2", 8201)
        consul.register("first, elsewhere", 0, "10.0.0.3", 8201)

        assert await board(consul).peers() == [Peer(0, "10.0.0.3", 8201), Peer(1, "10.0.0.2", 8201)]
        consul.away = True
        with pytest.raises(ConsulUnreachableError):
            await board(consul).peers()

    run_jumping(scene())
