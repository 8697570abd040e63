"""An expert on two machines, with the real llama.cpp over RPC and the real Consul."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest

from pipecatapp.expert_host.benchmark import measure_expert
from pipecatapp.expert_host.spec import read_spec
from testing.expert_group import expert_group

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]


async def test_a_group_answers_and_comes_back_when_a_worker_dies_in_mid_answer(tmp_path: Path) -> None:
    async with expert_group(tmp_path, 2, engines=["rpc"]) as group:
        head, worker = group.ranks
        await group.until_ready()
        assert await head.ask("what time is it", 8)
        state = await worker.state()
        assert (state["phase"], state["engine"], sum(state["windows"])) == ("ready", "rpc", 5)
        assert not await worker.ready(), "a worker's port is never offered"

        async def told() -> bool:
            return await group.value("active_model") == "starter"

        await group.until(told, "nobody is told which model answers")

        assert "starter runs on 2 machines over RPC" in await group.plan()

        await group.consul.register("creative", head.host, head.ports["api"])
        measured = await measure_expert(read_spec(head.folder / "expert.json"), print, [16])
        assert (measured.model, measured.engine, measured.machines) == ("starter", "rpc", 2)
        assert measured.generated[16] > 0

        before = state["plan"]
        asked = asyncio.create_task(head.ask("tell me everything", 400))
        for how in (signal.SIGSTOP, signal.SIGKILL):  # it stands still: the answer cannot be over before it is dead
            await asyncio.sleep(0.1)
            for pid in worker.engines:
                os.kill(pid, how)
        with pytest.raises(httpx.HTTPError):
            await asked

        async def anew() -> bool:
            return (await worker.state()).get("plan") != before and await head.ready()

        await group.until(anew, "the group does not come back")
        assert await head.ask("what time is it", 8)

        for rank in group.ranks:
            assert await rank.end() == 0
        assert [rank.engines for rank in group.ranks] == [[], []]
        assert await group.value("active_model") == ""
