"""Several instances of one expert: least busy, sticky, bounded."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from pipecatapp.errors import ExpertBusyError
from pipecatapp.experts.pool import Pool
from testing.fakes.experts import ScriptedInstance

pytestmark = pytest.mark.unit


def pool_of(*instances: ScriptedInstance, queue: int = 2) -> Pool:
    pool = Pool("coding", queue)
    pool.set(instances)
    return pool


async def test_the_least_busy_instance_is_taken() -> None:
    one, two = ScriptedInstance("coding", host="h1", slots=2), ScriptedInstance("coding", host="h2", slots=2)
    pool = pool_of(one, two)
    async with pool.seat("a") as first, pool.seat("b") as second:
        assert {first, second} == {one, two}
    two.elsewhere = 1  # somebody else keeps it busy
    async with pool.seat("c") as third:
        assert third is one


async def test_a_conversation_stays_where_its_cache_is() -> None:
    one, two = ScriptedInstance("coding", host="h1"), ScriptedInstance("coding", host="h2")
    pool = pool_of(one, two)
    homes = {}
    for name in ("a", "b"):
        async with pool.seat(name) as instance:
            homes[name] = instance
    assert len(set(homes.values())) == 2  # idle as they are, each gets one of its own
    for name in ("b", "a", "a", "b"):
        async with pool.seat(name) as instance:
            assert instance is homes[name]


async def test_it_leaves_an_instance_that_is_full_or_open() -> None:
    one, two = ScriptedInstance("coding", host="h1"), ScriptedInstance("coding", host="h2")
    pool = pool_of(one, two)
    async with pool.seat("a") as home, pool.seat("a") as other:
        assert home is not other
    assert home is not None
    home.breaker.fail("gone")
    async with pool.seat("a") as instance:
        assert instance is not home


async def test_a_request_waits_for_a_seat_in_the_order_of_coming() -> None:
    pool = pool_of(ScriptedInstance("coding"))
    order: list[str] = []

    async def one(name: str) -> None:
        async with pool.seat(name):
            order.append(name)

    async with pool.seat("first"):
        tasks = [asyncio.create_task(one(name)) for name in ("second", "third")]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (pool.waiting, pool.running, order) == (2, 1, [])
    await asyncio.gather(*tasks)
    assert order == ["second", "third"]
    assert (pool.waiting, pool.running) == (0, 0)


async def test_a_full_expert_says_so() -> None:
    pool = pool_of(ScriptedInstance("coding"), queue=1)
    async with pool.seat("first"):
        waiting = asyncio.create_task(anext(_seats(pool)))
        await asyncio.sleep(0)
        with pytest.raises(ExpertBusyError, match="the coding expert is full: 1 request at work and 1 waiting"):
            async with pool.seat("third"):
                pass
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert pool.waiting == 0


async def _seats(pool: Pool):  # type: ignore[no-untyped-def]
    async with pool.seat("second") as instance:
        yield instance


async def test_who_waits_goes_on_when_the_instance_dies_meanwhile() -> None:
    only = ScriptedInstance("coding")
    pool = pool_of(only)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(pool.seat("first"))
        waiting = asyncio.create_task(_seated(pool))
        await asyncio.sleep(0)
        only.breaker.fail("gone")
    assert await waiting is None


async def _seated(pool: Pool) -> object:
    async with pool.seat("second") as instance:
        return instance


async def test_without_a_usable_instance_there_is_no_seat() -> None:
    only = ScriptedInstance("coding")
    pool = pool_of(only)
    async with pool.seat("a", {only.id}) as instance:
        assert instance is None
    assert pool.best("a") is only
