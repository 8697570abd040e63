"""Ranks and their coordinator, whatever happens: the engines fail as the real ones do, and a wait takes no time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pipecatapp.expert_host.facts import Phase
from testing.fakes.expert_house import LARGE, SMALL, ExpertHouse, expert_house, write_models
from testing.fakes.jumping_loop import run_jumping

pytestmark = pytest.mark.unit

Scene = Callable[[ExpertHouse], Coroutine[Any, Any, None]]
# Two of them hold the large model together, and each of them the small one alone.
TWO, THREE = (12, 12), (12, 12, 12)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def play(tmp_path: Path, models: Path) -> Callable[..., None]:
    """Plays a scene in a house with these machines."""

    def run(memory: tuple[int, ...], scene: Scene, **spec: Any) -> None:
        async def work() -> None:
            async with expert_house(tmp_path, models, memory, **spec) as house:
                await scene(house)

        run_jumping(work())

    return run


Play = Callable[..., None]


def test_a_group_serves_the_largest_model_that_it_holds(play: Play) -> None:
    async def scene(house: ExpertHouse) -> None:
        await house.until(house.all_ready, 60)
        await house.until(lambda: house.model == LARGE, 10)

        assert house.state(0).engine == "rpc"
        assert [ready for ready, _ in (s.rank.ready() for s in house.supervisors.values())] == [True, False]
        assert house.supervisors[1].rank.ready()[1] == "rank 1 computes for the head"
        assert sum(house.state(1).windows) == 12

    play(TWO, scene)


@pytest.mark.parametrize("lost", [0, 1])
def test_where_one_part_of_the_engine_dies_all_parts_are_started_anew(play: Play, lost: int) -> None:
    async def scene(house: ExpertHouse) -> None:
        await house.until(house.all_ready, 60)
        plan, house.engines.started[:] = house.state().plan, []

        house.engines.kill(house.host(lost))
        back = await house.until(lambda: house.all_ready() and house.state().plan != plan, 60)

        assert back < 20
        assert sorted(house.engines.started) == [("10.0.0.1", "llama-server"), ("10.0.0.2", "rpc-server")]

    play(TWO, scene)


def test_a_dead_ring_that_calls_itself_healthy_is_found_by_its_missing_token(play: Play) -> None:
    async def scene(house: ExpertHouse) -> None:
        await house.until(house.all_ready, 60)
        plan = house.state().plan
        # Not even its own supervisor knows: as when a cable is cut.
        house.engines.done_without = -1

        within = house.until(lambda: not house.serves(), 120)
        assert await within <= 60
        house.engines.done_without = 0
        await house.until(lambda: house.all_ready() and house.state().plan != plan, 60)

    play(TWO, scene, engines=["ring"])


def test_a_rank_that_a_ring_does_without_ends_nothing(play: Play) -> None:
    async def scene(house: ExpertHouse) -> None:
        await house.until(house.all_ready, 60)
        plan = house.state().plan

        house.engines.done_without = 1
        house.engines.kill(house.host(2), code=0)
        await asyncio.sleep(400)

        assert (house.state().plan, house.state().phase, house.state(2).phase) == (plan, Phase.READY, Phase.LEFT)
        assert house.state().tokens_ok > 30

    play(THREE, scene, engines=["ring"])


def test_a_ring_that_makes_no_token_without_the_rank_that_left_is_made_of_the_others(play: Play) -> None:
    async def scene(house: ExpertHouse) -> None:
        await house.until(house.all_ready, 60)

        house.engines.kill(house.host(2), code=0)
        await house.until(lambda: len(house.state().windows) == 2 and house.serves(), 180)

    play(THREE, scene, engines=["ring"])


def test_what_does_not_load_gives_way_to_the_next_and_is_tried_again_later(play: Play) -> None:
    async def scene(house: ExpertHouse) -> None:
        house.engines.broken = {f"{LARGE}.gguf"}
        await house.until(lambda: house.model == SMALL, 180)
        assert house.serves()

        house.engines.broken = set()
        waited = await house.until(lambda: house.model == LARGE, 3600)
        assert waited > 300, "it is not tried all the time"

    play(TWO, scene, engines=["plain", "rpc"])


def test_without_a_machine_a_smaller_model_answers_until_it_is_back(play: Play) -> None:
    async def scene(house: ExpertHouse) -> None:
        await house.until(lambda: house.model == LARGE, 60)

        await house.cut_power(1)
        await house.until(lambda: house.model == SMALL and house.serves(), 120)
        assert house.state().engine == "plain"

        await house.switch_on(1)
        await house.until(lambda: house.model == LARGE and house.serves(), 300)

    play(TWO, scene)


def test_nobody_is_interrupted_for_something_better(play: Play) -> None:
    async def scene(house: ExpertHouse) -> None:
        await house.until(lambda: house.model == LARGE, 60)
        await house.cut_power(1)
        await house.until(lambda: house.model == SMALL and house.serves(), 120)
        house.engines.on(house.host(0)).busy = True

        await house.switch_on(1)
        await asyncio.sleep(300)

        assert house.model == SMALL
        house.engines.on(house.host(0)).busy = False
        await house.until(lambda: house.model == LARGE, 300)

    play(TWO, scene)


def test_a_machine_with_less_memory_than_it_said_is_not_loaded(play: Play) -> None:
    async def scene(house: ExpertHouse) -> None:
        # Something else takes it, after each choice and before each start.
        house.memory[1] = lambda: 3 if house.a_plan_is_there() else 12

        await house.until(lambda: house.model == SMALL and house.serves(), 180)
        assert ("10.0.0.2", "rpc-server") not in house.engines.started
        assert house.engines.started == [("10.0.0.1", "llama-server")]

    play(TWO, scene, engines=["plain", "rpc"])


def test_the_head_elsewhere_takes_over_from_the_plan_that_is_there(play: Play) -> None:
    async def scene(house: ExpertHouse) -> None:
        await house.until(house.all_ready, 60)
        plan = house.state(1).plan

        await house.cut_power(0)
        await house.switch_on(0)
        await house.until(lambda: house.all_ready() and house.state().plan != plan, 90)

    play(TWO, scene)


def test_without_a_head_the_others_free_their_memory(play: Play) -> None:
    async def scene(house: ExpertHouse) -> None:
        await house.until(house.all_ready, 60)

        await house.cut_power(0)
        await house.until(lambda: not house.engines.runs(house.host(1), "rpc-server"), 90)

        assert house.state(1).phase is Phase.WAITING
        assert house.state(1).why == "rank 0 is gone for 40 s"

    play(TWO, scene)


def test_a_consul_that_is_away_ends_nothing(play: Play) -> None:
    async def scene(house: ExpertHouse) -> None:
        await house.until(house.all_ready, 60)
        plan = house.state().plan

        house.consul.away = True
        await asyncio.sleep(300)
        assert (house.state().plan, house.serves(), house.all_ready()) == (plan, True, True)

        house.consul.away = False
        house.engines.kill(house.host(1))
        await house.until(lambda: house.all_ready() and house.state().plan != plan, 60)

    play(TWO, scene)


def test_an_orderly_end_of_the_head_ends_all(play: Play) -> None:
    async def scene(house: ExpertHouse) -> None:
        await house.until(lambda: house.model == LARGE, 60)

        for task in reversed(house.supervisors[0].tasks):
            task.cancel()
        await house.until(lambda: not house.engines.runs(house.host(1), "rpc-server"), 10)

        assert (house.state(1).why, house.model) == ("the head ends", "")

    play(TWO, scene)


def test_what_nobody_can_load_is_said_and_tried_again(play: Play) -> None:
    async def scene(house: ExpertHouse) -> None:
        await house.until(lambda: "no model of the list can run" in house.state().why, 120)
        assert not house.serves()

        house.memory[1] = lambda: 12
        await house.until(lambda: house.model == SMALL and house.serves(), 120)

    play((1, 1), scene, engines=["plain", "rpc"])


def test_a_group_that_dies_again_and_again_is_started_less_and_less_often(play: Play) -> None:
    async def scene(house: ExpertHouse) -> None:
        starts = []
        clock = asyncio.get_running_loop().time
        for _ in range(7):
            await house.until(house.all_ready, 120)
            starts.append(clock())
            house.engines.kill(house.host(1))
            await house.until(lambda: not house.all_ready(), 10)

        pauses = [later - earlier for earlier, later in pairwise(starts)]
        assert pauses[-1] > 3 * pauses[0]
        assert pauses[-1] < 90

    play(TWO, scene)
