"""Named states: what is loaded is what was saved, and what a person forgets leaves them too."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipecatapp.domain import Message, Turn, TurnRecord
from pipecatapp.errors import StorageError
from pipecatapp.events import UserMessage
from pipecatapp.hub import EventHub
from pipecatapp.memory.long_term import FaissMemory
from pipecatapp.memory.states import States
from pipecatapp.storage.event_log import EventLog
from testing.fakes.embedding import HashEmbedder
from testing.fakes.storage import close_storage, memory_in, storage_in

pytestmark = pytest.mark.integration

OLD = Path(__file__).parents[2] / "fixtures/state-0.2.0"


class House:
    """Memory, conversations, events and states of one folder, as the program has them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.storage = storage_in(folder)
        self.memory: FaissMemory = memory_in(folder, HashEmbedder(16), embedding_model="toy")
        self.reread: list[str] = []
        self.states = States(folder / "states", self.memory, self.storage.conversations, self._reread)
        self.hub = EventHub(EventLog(folder / "events"))
        for eraser in (self.states.erase, self.hub.erase):
            self.memory.erase_also(eraser)

    async def _reread(self, conversation: str) -> None:
        self.reread.append(conversation)

    async def open(self) -> None:
        await self.memory.open()
        await self.memory.settled()

    async def close(self) -> None:
        await self.memory.close()
        self.hub.close()
        close_storage(self.folder)

    async def say(self, turn: str, words: str) -> None:
        self.hub.emit(UserMessage(conversation="c", turn=turn, text=words, source="typed"))
        record = TurnRecord(Turn(turn, words, "All right.", "typed", 1.0), (Message("user", words),))
        await self.storage.conversations.append("c", record)

    async def texts(self) -> list[str]:
        return sorted(fact.text for fact in await self.memory.facts())

    def has(self, word: bytes) -> list[str]:
        """The files that hold these bytes, in capitals or not."""
        files = [file for file in self.folder.rglob("*") if file.is_file()]
        return sorted(str(file.relative_to(self.folder)) for file in files if word in file.read_bytes().lower())


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    # Of an older version, so that there are a migration copy and a state.
    house = House(Path(shutil.copytree(OLD, tmp_path / "state")))
    await house.open()
    yield house
    await house.close()


async def test_a_state_of_an_older_version_is_loaded_with_history_and_vectors(house: House) -> None:
    await house.states.load("before the move")

    assert await house.texts() == [
        "My dentist is called Okafor.",
        "The spare key is under the flowerpot.",
        "We are allergic to hazelnuts.",
    ]
    (dentist,) = [fact for fact in await house.memory.facts() if "dentist" in fact.text]
    assert [old.text for old in await house.memory.history(str(dentist.id))] == ["My dentist is called Olsen."]
    await house.close()
    again = House(house.folder)
    await again.open()
    assert len(await again.texts()) == 3
    assert await again.memory.recall("spare key flowerpot") != []
    await again.close()


async def test_ids_are_not_given_again_by_a_loaded_state(house: House) -> None:
    before = {fact.id for fact in await house.memory.facts()}
    await house.states.load("before the move")
    assert not before & {fact.id for fact in await house.memory.facts()}


async def test_what_is_forgotten_is_in_no_byte_of_the_state_folder(house: House) -> None:
    for number in range(300):  # enough that pages are split and balanced
        await house.memory.add(f"The number of shelf {number} is {number * 7919 % 1000}")
    await house.say("t8", "remember that the safe opens with Krokodilsbaum")
    secret = await house.memory.add("The safe opens with Krokodilsbaum", turn="t8")
    await house.say("t9", "no, the safe opens with Pflaumenwal now")
    corrected = await house.memory.replace(secret.id, "The safe opens with Pflaumenwal", turn="t9")
    assert corrected is not None
    await house.say("t10", "what time is it")
    await house.states.save("with the secret")
    await house.memory.settled()
    assert house.has(b"krokodilsbaum")
    assert len(house.has(b"pflaumenwal")) >= 3

    await house.memory.forget([corrected.id])
    await house.memory.settled()
    await house.storage.journal.snapshot()  # behind what the thread had to do

    assert house.has(b"krokodilsbaum") == []
    assert house.has(b"pflaumenwal") == []
    assert [r.turn.user_text for r in await house.storage.conversations.load("c")] == ["what time is it"]
    assert {info.name for info in await house.states.all()} == {"with the secret", "before the move"}
    await house.states.load("with the secret")
    assert len(house.memory) == 304


async def test_what_is_forgotten_leaves_what_an_older_version_wrote(house: House) -> None:
    found = house.has(b"okafor")
    assert any(name.startswith("migrated.") for name in found)
    assert "states/before the move/state.jsonl" in found
    assert house.has(b"olsen")
    (dentist,) = [fact for fact in await house.memory.facts() if "dentist" in fact.text]
    copy = next(house.folder.glob("migrated.*"))
    age = copy.stat().st_mtime

    await house.memory.forget([str(dentist.id)])
    await house.memory.settled()
    await house.storage.journal.snapshot()

    assert house.has(b"okafor") == []
    assert house.has(b"olsen") == []
    assert copy.stat().st_mtime == age
    assert house.has(b"hazelnuts") != []
    await house.states.load("before the move")
    assert await house.texts() == ["The spare key is under the flowerpot.", "We are allergic to hazelnuts."]


async def test_a_fact_that_cannot_be_erased_everywhere_is_not_forgotten(house: House) -> None:
    async def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    house.memory.erase_also(full)
    with pytest.raises(StorageError, match="cannot be erased"):
        await house.memory.forget(["3"])
    assert "We are allergic to hazelnuts." in await house.texts()


async def test_a_page_is_no_longer_sent_what_was_forgotten(house: House) -> None:
    await house.say("t8", "remember that the safe opens with Krokodilsbaum")
    await house.say("t9", "what time is it")
    secret = await house.memory.add("The safe opens with Krokodilsbaum", turn="t8")
    await house.memory.forget([secret.id])
    assert not any("Krokodilsbaum" in str(item) for item in house.hub.catch_up("c", 0))
    await house.say("t10", "good night")
    assert house.has(b"krokodilsbaum") == []
