"""What happens to an expert's machines, with the real engines and the real Consul."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from testing.engine_node import STARTER
from testing.expert_group import KEY, expert_group, wish
from testing.fakes.gguf import Shape, write_random_model

pytestmark = [pytest.mark.integration, pytest.mark.timeout(500)]

# prima.cpp's llama-server, with its llama-cli beside it.
RING = os.environ.get("PRIMACPP_SERVER", "")


async def test_a_supervisor_that_was_killed_leaves_nothing_that_the_next_one_does_not_end(tmp_path: Path) -> None:
    # One machine needs no Consul.
    async with expert_group(tmp_path, 1, consul=None) as group:
        (head,) = group.ranks
        await group.until_ready()
        assert await head.ask("what time is it", 4)
        (engine,) = head.engines
        assert (await head.state())["engine"] == "plain"

        # What forked, left its session and lost its parent: nothing but the mark is left to know it by.
        stray = await head.start_stray()
        assert sorted(head.engines) == sorted([engine, stray])
        await head.end(signal.SIGKILL)

        async def alone() -> bool:
            return head.engines == [stray]

        await group.until(alone, "the engine outlives its supervisor")

        await head.start()
        await group.until_ready()
        assert stray not in head.engines
        assert "ended 1 processes that an earlier supervisor of this rank left" in head.log
        assert await head.end() == 0
        assert head.engines == []


async def test_a_model_that_is_missing_comes_from_the_other_machine_and_its_control_port_wants_the_key(
    tmp_path: Path,
) -> None:
    model = wish("starter", file="starter.gguf")
    async with expert_group(tmp_path, 2, [model], engines=["rpc"], start=False) as group:
        head, worker = group.ranks
        there = worker.folder / "models/starter/starter.gguf"
        there.parent.mkdir(parents=True)
        shutil.copyfile(STARTER, there)
        for rank in group.ranks:
            await rank.start()
        await group.until_ready()

        assert (head.folder / "models/starter/starter.gguf").read_bytes() == STARTER.read_bytes()
        for path, key, code in [
            ("/alive", "", 200),
            ("/state", "", 401),
            ("/state", "another", 401),
            ("/models/starter/starter.gguf", "", 401),
            ("/models/starter/starter.gguf", KEY, 200),
            ("/models/starter/..%2f..%2fkey", KEY, 404),
            ("/models/other/starter.gguf", KEY, 404),
        ]:
            answer = await worker.get(path, key)
            assert answer is not None
            assert (path, key, answer.status_code) == (path, key, code)


async def test_a_model_that_does_not_load_gives_way_to_the_next(tmp_path: Path) -> None:
    # Whole by its header, and of an architecture that nobody knows.
    broken = write_random_model(tmp_path / "broken.gguf")
    content = broken.read_bytes()
    broken.write_bytes(
        content.replace(b"llama.", b"lIama.").replace(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0lIama", 1)
    )
    async with expert_group(tmp_path, 1, [wish("broken", file=str(broken)), wish()]) as group:
        await group.until_ready()
        assert (await group.head.state())["model"] == "starter"
        assert "does not load" in (await group.head.state())["why"]


async def test_a_mixture_of_experts_runs_over_rpc(tmp_path: Path) -> None:
    # Of the proportion of Qwen3 30B A3B: 8 of 128 in each layer, random weights.
    shape = Shape(layers=6, experts=128, experts_used=8, inner=32)
    model = write_random_model(tmp_path / "mixture.gguf", shape=shape)
    async with expert_group(tmp_path, 2, [wish("mixture", file=str(model))], engines=["rpc"]) as group:
        await group.until_ready()
        state = await group.ranks[1].state()
        assert (state["phase"], sum(state["windows"])) == ("ready", 6)
        assert await group.head.ask("what time is it", 8) is not None


@pytest.mark.skipif(not RING, reason="no prima.cpp here: PRIMACPP_SERVER names no llama-server of it")
async def test_a_ring_that_loses_a_rank_hangs_and_comes_back(tmp_path: Path) -> None:
    programs = {"prima_server": RING}
    async with expert_group(tmp_path, 3, engines=["ring"], programs=programs) as group:
        await group.until_ready()
        assert len((await group.head.state())["windows"]) == 3
        before = (await group.head.state())["plan"]

        for pid in group.ranks[2].engines:
            os.kill(pid, signal.SIGKILL)

        async def anew() -> bool:
            return (await group.head.state()).get("plan") != before and await group.head.ready()

        await group.until(anew, "the ring does not come back")
        for rank in group.ranks:
            assert await rank.end() == 0
        assert [rank.engines for rank in group.ranks] == [[], [], []]
