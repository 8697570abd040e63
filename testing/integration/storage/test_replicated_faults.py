"""The journal of several PCs when things go wrong: servers killed, an agent frozen, answers lost, things forgotten."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pipecatapp.storage.part import Storage
from pipecatapp.storage.replication.link import Access, BehindError, Link, LinkError
from pipecatapp.storage.replication.replica import unpacked
from pipecatapp.storage.replication.stream import LogEntry, LogStream, Snapshot
from testing.house import QUICK, access_to, active, agent, audited, insist, told, tools_of, until
from testing.house_writing import write_and_kill, write_and_restart
from testing.nats import NatsHouse, nats_house

pytestmark = pytest.mark.integration

SECRET = "the cellar key hangs behind the clock"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[NatsHouse]:
    async with nats_house(tmp_path / "nats") as house:
        yield house


class ForgetfulLink(Link):
    """A connection on which answers to entries are lost."""

    chance = random.Random(7)

    async def ask(
        self, subject: str, body: bytes, headers: Mapping[str, str] | None = None, timeout_s: float | None = None
    ) -> dict[str, Any]:
        said = await super().ask(subject, body, headers, timeout_s)
        if subject.endswith(".entry") and b'"begin"' not in body and self.chance.random() < 0.4:
            raise LinkError("the answer was lost")
        return said


def entry(name: str, text: str = "") -> LogEntry:
    return LogEntry("event", 0, 1, {"topic": "audit", "body": {"entry": {"tool": name, "text": text}}})


async def log_of(link: Link) -> str:
    """A new log, made over this connection."""
    begin = LogEntry("begin", 0, 0, {"positions": {}, "parts": 0, "follows": ["", 0]})
    stream = LogStream(link)
    while True:
        try:
            log = await stream.create()
            await stream.fill(log, Snapshot([], begin))
            return log
        except LinkError:  # servers that have just met, or nobody leads the new stream yet
            await asyncio.sleep(0.1)


async def test_of_writers_who_expect_the_same_exactly_one_wins(house: NatsHouse) -> None:
    links = [Link(access_to(house)) for _ in range(3)]
    for link in links:
        await link.begin(link.connect())
    log = await links[0].begin(log_of(links[0]))
    place, wins = 1, [0, 0, 0]
    for number in range(60):
        outcomes = await asyncio.gather(
            *(link.begin(LogStream(link).append(log, entry(f"{number}"), place)) for link in links),
            return_exceptions=True,
        )
        (winner,) = (at for at, outcome in enumerate(outcomes) if isinstance(outcome, int))
        assert sum(isinstance(outcome, BehindError) for outcome in outcomes) == 2
        place, wins[winner] = place + 1, wins[winner] + 1
        assert outcomes[winner] == place
    assert sum(wins) == 60
    for link in links:
        await link.begin(link.close())
        link.end()


@pytest.mark.parametrize("size", [10, 1_200_000])
async def test_what_was_acknowledged_unheard_is_there_once(house: NatsHouse, size: int) -> None:
    link = ForgetfulLink(access_to(house))
    await link.begin(link.connect())
    stream = LogStream(link)

    async def scenario() -> list[LogEntry]:
        log = await log_of(link)
        place = 1
        for number in range(4):
            one = entry(f"{number}", "x" * size)
            while True:
                try:
                    place = await stream.append(log, one, place)
                    break
                except LinkError:
                    continue
        return [each async for each in stream.entries(log, 1)]

    found = await link.begin(scenario())
    assert [each.body["body"]["entry"]["tool"] for each in found] == ["0", "1", "2", "3"]
    await link.begin(link.close())
    link.end()


class HastyLink(Link):
    """A connection over which a leader says that it has what it only has on its way."""

    hasty = True

    async def ask(
        self, subject: str, body: bytes, headers: Mapping[str, str] | None = None, timeout_s: float | None = None
    ) -> dict[str, Any]:
        if self.hasty and subject.endswith(".entry") and b'"begin"' not in body:
            return {"stream": "any", "seq": 0, "duplicate": True}
        return await super().ask(subject, body, headers, timeout_s)


async def test_what_is_only_on_its_way_is_not_saved(house: NatsHouse) -> None:
    link = HastyLink(access_to(house))
    await link.begin(link.connect())
    log = await link.begin(log_of(link))
    stream, one = LogStream(link), entry("1")
    with pytest.raises(LinkError, match="on its way"):
        await link.begin(stream.append(log, one, 1))
    link.hasty = False
    assert await link.begin(stream.append(log, one, 1)) == 2
    link.hasty = True  # the same answer, and now it is there
    assert await link.begin(stream.append(log, one, 1)) == 2
    await link.begin(link.close())
    link.end()


async def test_servers_killed_while_an_agent_writes_lose_nothing_and_double_nothing(
    house: NatsHouse, tmp_path: Path
) -> None:
    outcome = await write_and_kill(house, tmp_path, faults=2, random=random.Random(5))
    assert outcome.acknowledged >= 20
    assert (outcome.lost, outcome.doubled, outcome.different) == (0, 0, 0)


async def test_servers_that_are_restarted_one_after_the_other_lose_nothing(house: NatsHouse, tmp_path: Path) -> None:
    outcome = await write_and_restart(house, tmp_path)
    assert outcome.acknowledged >= 20
    assert (outcome.lost, outcome.doubled, outcome.different) == (0, 0, 0)
    assert max(outcome.gap_s) < 20


async def test_what_is_forgotten_is_in_no_file_of_any_server_nor_of_any_agent(house: NatsHouse, tmp_path: Path) -> None:
    async with (
        agent(house, tmp_path / "kitchen", empty_waits_s=0, settle_s=0.1, again_s=0.5) as first,
        agent(house, tmp_path / "attic") as second,
    ):
        await active(first)
        await first.journal.append(told(1, "the neighbour is called Ada"))
        await first.journal.append(told(2, SECRET))

        await until("the second knows it", lambda: second.journal.run(lambda: _knows(second)))
        assert all(_found_in(server.store, SECRET) for server in house)
        # One server and the second are away when it is forgotten.
        await house.servers[2].stop()
        await second.stop()
        await insist(lambda: first.journal.erase("facts", ["2"]))
        await insist(lambda: first.journal.append(audited(1)))

        async def said() -> bool:
            return "when all of them are back" in (await first.health["journal"].health()).reason

        await until("it is said that the servers still have it", said)
        await insist(lambda: first.journal.append(audited(2)))
        await house.servers[2].start()
        await until("no server has it", lambda: not any(_found_in(server.store, SECRET) for server in house))
        await until("all is well", lambda: _well(first))
        async with agent(house, tmp_path / "attic") as second:
            await until("the second has followed", lambda: _has(second, "tool 2"))
            await until("nor is it in its files", lambda: not _found_in(tmp_path / "attic", SECRET))
            assert await second.journal.run(lambda: _knows(second, "the neighbour is called Ada"))
        assert not _found_in(tmp_path / "kitchen", SECRET)
        # A snapshot is compressed: what it says is read.
        assert SECRET not in await _snapshot(access_to(house))


async def test_a_frozen_agent_that_goes_on_cannot_write(house: NatsHouse, tmp_path: Path) -> None:
    access = asdict(access_to(house))
    paths = {name: str(access[name]) for name in ("ca", "certificate", "key")}
    told_it = {"folder": str(tmp_path / "kitchen"), "access": {**access, **paths}, "times": asdict(QUICK)}
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "testing.house_agent", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert program.stdin
    assert program.stdout
    try:
        program.stdin.write(f"{json.dumps(told_it)}\n".encode())

        async def line() -> dict[str, Any]:
            assert program.stdout
            return dict(json.loads(await asyncio.wait_for(program.stdout.readline(), 30)))

        while "saved" not in await line():
            pass
        async with agent(house, tmp_path / "attic") as second:
            await until("the second follows", lambda: second.state == "standby")
            program.send_signal(signal.SIGSTOP)
            await active(second)
            before = await tools_of(second)
            await second.journal.append(audited("of the second"))
            program.send_signal(signal.SIGCONT)
            refused = 0
            while refused < 20:
                said = await line()
                # What it had printed before it was frozen, then nothing but refusals.
                refused += "refused" in said
                assert "saved" in said or said["refused"]
                assert "saved" not in said or refused == 0
            after = await tools_of(second)
            assert after[: len(before)] == before
            assert after[len(before) :] == ["tool of the second"]
            assert second.state == "active"
    finally:
        program.kill()
        await program.wait()


async def test_a_member_without_the_password_and_a_stranger_without_a_certificate_have_no_part(
    house: NatsHouse,
) -> None:
    member = Link(access_to(house, password="another"), connect_s=2.0)
    with pytest.raises(LinkError, match="Authorization Violation"):
        await member.begin(member.connect())
    stranger = Link(access_to(house, certificate=None, key=None), connect_s=2.0)
    with pytest.raises(LinkError, match="no server of NATS can be reached"):
        await stranger.begin(stranger.connect())
    member.end()
    stranger.end()


def _knows(storage: Storage, text: str = SECRET) -> bool:
    return storage.facts.same_as(storage.journal.database, text) is not None


async def _well(storage: Storage) -> bool:
    return (await storage.health["journal"].health()).ok


async def _has(storage: Storage, tool: str) -> bool:
    return tool in await tools_of(storage)


def _found_in(folder: Path, text: str) -> bool:
    """Whether a file says it, as it is or in base64."""
    needles = [text.encode(), *(base64.b64encode((" " * n + text).encode())[4:-4] for n in range(3))]
    for place, _, names in os.walk(folder):  # folders go meanwhile
        for name in names:
            try:
                data = Path(place, name).read_bytes()
            except FileNotFoundError:
                continue
            if any(needle in data for needle in needles):
                return True
    return False


async def _snapshot(access: Access) -> str:
    link = Link(access)
    await link.begin(link.connect())

    async def read() -> Snapshot:
        stream = LogStream(link)
        return await stream.snapshot((await stream.head())[0])

    snapshot = await link.begin(read())
    await link.begin(link.close())
    link.end()
    return json.dumps([[event.topic, event.body] for event in unpacked(snapshot.parts)])
