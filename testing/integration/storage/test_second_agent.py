"""A second agent, put together from the settings: what it holds in memory is what the first one wrote."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipecatapp.app import App, Node
from pipecatapp.domain import Message, Turn, TurnRecord
from pipecatapp.errors import StorageError
from pipecatapp.settings import Settings
from pipecatapp.storage.part import Storage
from testing.house import audited, until
from testing.nats import PASSWORD, NatsHouse, nats_house

pytestmark = pytest.mark.integration


@contextlib.asynccontextmanager
async def running(house: NatsHouse, folder: Path) -> AsyncIterator[tuple[Node, App]]:
    settings = Settings(
        _env_file=None,
        state_dir=folder,
        llm_url="http://127.0.0.1:9/v1",
        embedding_service="none",
        nats_servers=", ".join(house.urls),
        nats_password=PASSWORD,
        nats_ca=house.ca,
        nats_certificate=house.certificate,
        nats_key=house.key,
    )
    node = Node(settings)
    app = App(node, ("storage", "approvals", "schedule", "memory"))
    await app.start()
    try:
        yield node, app
    finally:
        await app.stop()


async def test_it_goes_on_with_what_the_first_one_knew(tmp_path: Path) -> None:
    record = TurnRecord(Turn("t1", "who are you", "your agent", "typed", 1.0), (Message("user", "who are you"),))
    before = Storage(tmp_path / "kitchen")  # one PC, which became several
    await before.journal.append(audited(1))
    await before.stop()
    async with nats_house(tmp_path / "nats", 1) as house, running(house, tmp_path / "kitchen") as (first, app):
        await until("the first is active", lambda: first.storage.state == "active", 90)
        await first.memory.facts.add("the spare key is under the blue pot")
        await first.storage.conversations.append("monday", record)
        async with running(house, tmp_path / "attic") as (second, _):
            facts = second.memory.facts
            await until("the second has it", lambda: len(facts) == 1)
            await first.storage.conversations.append("monday", record)
            with pytest.raises(StorageError, match="stands by for"):
                await facts.add("the second has a mind of its own")
            assert {state.component for state in await second.board.fresh()} >= {"journal"}
            await app.stop()
            await until("the second is active", lambda: second.storage.state == "active")
            assert [fact.text for fact in await facts.search("spare key")] == ["the spare key is under the blue pot"]
            assert len(await second.storage.conversations.load("monday")) == 2
            await facts.add("the cat is called Miezi")
            assert sorted(fact.text for fact in await facts.facts()) == [
                "the cat is called Miezi", "the spare key is under the blue pot",
            ]  # fmt: skip
