"""The journal of several PCs against real servers: what is saved is on most of them, and everybody has the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipecatapp.cli.main import main
from pipecatapp.errors import NotSavedError
from pipecatapp.ports import JournalEvent
from pipecatapp.storage.backup import BackupReader, BackupWriter, Manifest
from pipecatapp.storage.backup_parts import add_state, copy_journal_at_rest, restore_state
from pipecatapp.storage.part import Storage
from testing.house import UNHURRIED, active, agent, audited, told, tools_of, until
from testing.nats import PASSWORD, NatsHouse, nats_house

pytestmark = pytest.mark.integration


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[NatsHouse]:
    async with nats_house(tmp_path / "nats") as house:
        yield house


async def has(storage: Storage, *tools: str) -> bool:
    return await tools_of(storage) == list(tools)


async def test_the_second_has_what_the_active_one_wrote_and_goes_on_when_that_ends(
    house: NatsHouse, tmp_path: Path
) -> None:
    async with agent(house, tmp_path / "kitchen", empty_waits_s=0) as first:
        await active(first)
        assert await first.journal.append(audited(1)) == 1
        async with agent(house, tmp_path / "attic") as second:
            await until("the second follows", lambda: second.state == "standby")
            await first.journal.append(audited(2))
            await until("the second has it", lambda: has(second, "tool 1", "tool 2"))
            with pytest.raises(NotSavedError, match="stands by for kitchen"):
                await second.journal.append(audited("of the second"))
            await first.stop()
            await active(second)
            assert await second.journal.append(audited(3)) == 3
            assert second.journal.term == first.journal.term + 1


async def test_a_standby_that_was_away_has_everything_before_it_is_active(house: NatsHouse, tmp_path: Path) -> None:
    async with agent(house, tmp_path / "kitchen", empty_waits_s=0, long=100) as first:
        await active(first)
        async with agent(house, tmp_path / "attic") as second:
            await first.journal.append(audited(0))
            await until("the second has it", lambda: has(second, "tool 0"))
        for number in range(1, 250):
            await first.journal.append(audited(number))
    known: list[int] = []
    async with agent(house, tmp_path / "attic") as second:

        async def count(whole: bool) -> None:
            known.append(len(await tools_of(second)))

        second.on_leading(count)
        await active(second)
        await until("it was told", lambda: known)
        assert await tools_of(second) == [f"tool {number}" for number in range(250)]
    assert known == [250]


async def test_what_is_larger_than_a_message_is_one_event(house: NatsHouse, tmp_path: Path) -> None:
    long = JournalEvent("audit", {"entry": {"tool": "long", "arguments": {"text": "x" * 3_000_000}}})
    async with (
        agent(house, tmp_path / "kitchen", empty_waits_s=0) as first,
        agent(house, tmp_path / "attic") as second,
    ):
        await active(first)
        await first.journal.append(long)
        await first.journal.append(audited(2))
        await until("the second has it", lambda: has(second, "long", "tool 2"))


async def test_without_most_of_the_servers_nothing_is_said_to_be_saved_and_later_it_goes_on(
    house: NatsHouse, tmp_path: Path
) -> None:
    async with agent(house, tmp_path / "kitchen", empty_waits_s=0) as kitchen:
        await active(kitchen)
        await kitchen.journal.append(audited(1))
        await house.servers[1].stop()
        await house.servers[2].stop()
        with pytest.raises(NotSavedError, match="more than half of the house's journal servers cannot be reached"):
            await kitchen.journal.append(audited(2))
        await until("it knows", lambda: kitchen.state == "cut_off")
        # What is known is read as before, and at once.
        assert await tools_of(kitchen) == ["tool 1"]
        with pytest.raises(NotSavedError, match="nothing can be saved now"):
            await asyncio.wait_for(kitchen.journal.append(audited(3)), 1)
        assert not (await kitchen.health["journal"].health()).ok

        await house.servers[1].start()
        await active(kitchen)
        await kitchen.journal.append(audited(4))
        # Nobody said that 2 was saved; it may be, once.
        assert await tools_of(kitchen) in (["tool 1", "tool 4"], ["tool 1", "tool 2", "tool 4"])
        assert (await kitchen.health["journal"].health()).ok


async def test_servers_that_acknowledge_before_they_wrote_are_refused(tmp_path: Path) -> None:
    def late(text: str) -> str:
        return text.replace("sync_interval: always", 'sync_interval: "2m"')

    async with (
        nats_house(tmp_path / "nats", 1, late) as house,
        agent(house, tmp_path / "kitchen", empty_waits_s=0) as kitchen,
    ):

        async def reason() -> str:
            return (await kitchen.health["journal"].health()).reason

        async def said() -> bool:
            return "n1 may lose at a power cut what was saved; set `sync_interval: always`" in await reason()

        await until("it is said", said)
        with pytest.raises(NotSavedError, match="sync_interval: always"):
            await kitchen.journal.append(audited(1))
        assert kitchen.state != "active"


async def test_servers_that_do_not_say_how_they_keep_it_are_refused(tmp_path: Path) -> None:
    def silent(text: str) -> str:
        return "".join(line for line in text.splitlines(keepends=True) if "$SYS.REQ" not in line)

    async with (
        nats_house(tmp_path / "nats", 1, silent) as house,
        agent(house, tmp_path / "kitchen", empty_waits_s=0) as kitchen,
    ):

        async def said() -> bool:
            reason = (await kitchen.health["journal"].health()).reason
            return "no server says how it keeps what it acknowledges" in reason and "role nats again" in reason

        await until("it is said", said)
        with pytest.raises(NotSavedError):
            await kitchen.journal.append(audited(1))


async def test_one_pc_becomes_three_and_three_become_one(house: NatsHouse, tmp_path: Path) -> None:
    alone = Storage(tmp_path / "kitchen")
    await alone.journal.append(audited(1))
    await alone.journal.append(told(1, "the cellar key hangs behind the clock"))
    await alone.stop()

    async with (
        agent(house, tmp_path / "attic") as second,  # starts first and knows nothing: it waits for who does
        agent(house, tmp_path / "kitchen") as first,
    ):
        await active(first)
        await first.journal.append(audited(2))
        await until("the second has it", lambda: has(second, "tool 1", "tool 2"))
        everything = await first.journal.snapshot()
        assert await second.journal.snapshot() == everything

    for name in ("kitchen", "attic"):
        alone = Storage(tmp_path / name)
        assert await alone.journal.snapshot() == everything
        await alone.journal.append(audited(3))
        assert await tools_of(alone) == ["tool 1", "tool 2", "tool 3"]
        await alone.stop()


async def test_what_a_pc_wrote_alone_is_kept_beside_when_it_takes_over_the_memory_of_the_house(
    house: NatsHouse, tmp_path: Path
) -> None:
    alone = Storage(tmp_path / "attic")
    await alone.journal.append(audited("of the attic"))
    await alone.stop()
    async with agent(house, tmp_path / "kitchen", empty_waits_s=0) as first:
        await active(first)
        await first.journal.append(audited(1))
        async with agent(house, tmp_path / "attic") as second:
            await until("the second follows", lambda: has(second, "tool 1"))
            (kept,) = (tmp_path / "attic").glob("journal.db.alone-*")
            assert kept.stat().st_mode & 0o777 == 0o600
            assert b"tool of the attic" in kept.read_bytes()
            assert kept.name in second.journal.notices[0]
        assert await tools_of(first) == ["tool 1"]


async def test_of_two_memories_the_one_at_home_begins_the_log(tmp_path: Path) -> None:
    for name in ("kitchen", "attic"):
        alone = Storage(tmp_path / name)
        await alone.journal.append(audited(f"of the {name}"))
        await alone.stop()
    async with (
        nats_house(tmp_path / "nats", 1) as house,
        agent(house, tmp_path / "attic", full_waits_s=60) as guest,
    ):
        await until("the guest looks for a log", lambda: guest.state == "standby")
        async with agent(house, tmp_path / "kitchen") as home:
            await active(home)
            await until("the guest has the same", lambda: has(guest, "tool of the kitchen"))
            (kept,) = (tmp_path / "attic").glob("journal.db.alone-*")
            assert b"tool of the attic" in kept.read_bytes()


async def test_without_the_one_at_home_another_memory_begins_the_log(tmp_path: Path) -> None:
    alone = Storage(tmp_path / "attic")
    await alone.journal.append(audited("of the attic"))
    await alone.stop()
    async with (
        nats_house(tmp_path / "nats", 1) as house,
        agent(house, tmp_path / "attic", full_waits_s=0.5) as guest,
    ):
        await active(guest)
        assert await tools_of(guest) == ["tool of the attic"]


async def test_a_backup_is_restored_into_a_new_house(house: NatsHouse, tmp_path: Path) -> None:
    archive = tmp_path / "backup.tar.gz"
    async with agent(house, tmp_path / "kitchen", empty_waits_s=0) as kitchen:
        await active(kitchen)
        await kitchen.journal.append(audited(1))
    with archive.open("wb") as file:
        writer = BackupWriter(file, Manifest(1, "test", 0.0, ("state",)))
        kept = tmp_path / "kitchen"
        add_state(writer, kept, lambda target: copy_journal_at_rest(kept, target))
        writer.finish()

    with archive.open("rb") as file:
        restore_state(BackupReader(file).entries("state"), tmp_path / "new-kitchen")
    async with (
        nats_house(tmp_path / "new-nats") as fresh,
        agent(fresh, tmp_path / "new-kitchen") as kitchen,
        agent(fresh, tmp_path / "new-attic") as second,
    ):
        await active(kitchen)
        await kitchen.journal.append(audited(2))
        await until("the second has it", lambda: has(second, "tool 1", "tool 2"))


async def test_a_file_is_not_restored_into_a_house_whose_memory_would_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive, state = tmp_path / "backup.tar.gz", tmp_path / "state"
    kept = Storage(state)
    await kept.journal.append(audited("of the file"))
    await kept.stop()
    with archive.open("wb") as file:
        writer = BackupWriter(file, Manifest(1, "test", 0.0, ("state",)))
        add_state(writer, state, lambda target: copy_journal_at_rest(state, target))
        writer.finish()
    told = {"PIPECATAPP_CONFIG": tmp_path / "none.env", "STATE_DIR": state, "NATS_PASSWORD": PASSWORD}
    async with nats_house(tmp_path / "nats-1", 1) as house:
        told |= {"NATS_SERVERS": house.urls[0], "NATS_CA": house.ca, "NATS_CERTIFICATE": house.certificate}
        for name, value in (told | {"NATS_KEY": house.key}).items():
            monkeypatch.setenv(name, str(value))

        async def restored() -> int:
            return await asyncio.to_thread(main, ["cluster", "restore", "--yes", str(archive)])

        assert await restored() == 0, "a new house has no memory yet"
        async with agent(house, tmp_path / "kitchen", empty_waits_s=0) as kitchen:
            await active(kitchen)
        before = (state / "journal.db").stat()
        assert await restored() == 2
        assert "have one memory" in capsys.readouterr().err
        assert (state / "journal.db").stat() == before
    assert await restored() == 0
    assert "cannot be asked" in capsys.readouterr().out


async def test_two_halves_of_a_house_cannot_both_save(house: NatsHouse, tmp_path: Path) -> None:
    cellar, *others = house
    async with (
        agent(house, tmp_path / "kitchen", UNHURRIED, servers=[cellar.url], copies=3, empty_waits_s=0) as first,
        agent(house, tmp_path / "attic", UNHURRIED, servers=[each.url for each in others], copies=3) as second,
    ):
        await active(first)
        await first.journal.append(audited(1))
        await until("the second has it", lambda: has(second, "tool 1"))
        await house.split(others)
        with pytest.raises(NotSavedError):
            await first.journal.append(audited("of the smaller half"))
        await active(second)
        assert first.state == "cut_off"
        await second.journal.append(audited(2))

        await house.join(others)
        await until("the first has it", lambda: has(first, "tool 1", "tool 2"))
        # Their servers began anew: which of the two leads now depends on who asks first.
        await until("one leads, one stands by", lambda: {first.state, second.state} == {"active", "standby"})
