"""Who may do what with the log: a member that is not the agent nothing, the agent what it needs and no more."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError

from pipecatapp.storage.replication.lease import Lease
from pipecatapp.storage.replication.link import Link, LinkError
from pipecatapp.storage.replication.stream import HEAD, LogStream
from testing.house import access_to, active, agent, audited, tools_of
from testing.nats import PASSWORD, NatsHouse, nats_house

pytestmark = pytest.mark.integration


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[NatsHouse]:
    async with nats_house(tmp_path / "nats", 1) as house:
        yield house


@pytest.mark.parametrize(
    "otherwise",
    [{"password": "guessed"}, {"password": ""}, {"user": "system"}, {"user": "route", "password": "guessed"}],
)
async def test_a_member_without_the_agents_password_gets_no_word_in(
    house: NatsHouse, otherwise: dict[str, str]
) -> None:
    link = Link(access_to(house, **otherwise), connect_s=1.0)  # with a certificate of the cluster's
    try:
        with pytest.raises(LinkError, match=r"(?i)authorization"):
            await link.begin(link.connect())
        for work in (LogStream(link).head(), Lease(link, "thief").look(), LogStream(link).set_head("mine", 0)):
            with pytest.raises(LinkError, match="not connected"):
                await link.begin(work)
    finally:
        await asyncio.to_thread(link.end)


async def _connect(house: NatsHouse, refused: asyncio.Queue[str]) -> Client:
    context = ssl.create_default_context(cafile=house.ca)
    context.load_cert_chain(house.certificate, house.key)

    async def note(error: Exception) -> None:
        refused.put_nowait(str(error))

    return await nats.connect(house.urls, user="app", password=PASSWORD, tls=context, error_cb=note)


async def test_the_agents_account_may_do_what_the_agent_does_and_no_more(house: NatsHouse, tmp_path: Path) -> None:
    refused: asyncio.Queue[str] = asyncio.Queue()
    async with agent(house, tmp_path / "kitchen", empty_waits_s=0) as first:
        await active(first)
        await first.journal.append(audited(1))
        client = await _connect(house, refused)
        try:
            forbidden = [
                f"$JS.API.STREAM.PURGE.{HEAD}", f"$JS.API.STREAM.MSG.DELETE.{HEAD}", f"$JS.API.STREAM.SNAPSHOT.{HEAD}",
                f"$JS.API.CONSUMER.CREATE.{HEAD}", f"$JS.API.STREAM.LEADER.STEPDOWN.{HEAD}", "$SYS.REQ.SERVER.PING",
                "journal.head.more", "anything",
            ]  # fmt: skip
            for subject in forbidden:
                with pytest.raises((NatsError, TimeoutError)):
                    await client.request(subject, json.dumps({"seq": 1}).encode(), timeout=0.2)
                assert "permissions violation" in (await asyncio.wait_for(refused.get(), 5)).lower(), subject
            for subject in ("journal.>", "lease.active", ">"):
                await client.subscribe(subject)
                await client.flush()
                assert "permissions violation" in (await asyncio.wait_for(refused.get(), 5)).lower(), subject
        finally:
            await client.close()
        await first.journal.append(audited(2))
        assert await tools_of(first) == ["tool 1", "tool 2"]
