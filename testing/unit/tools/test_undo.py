"""``undo``: the last change of the conversation is taken back, each once, and what cannot be is said."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from pipecatapp.domain import Change
from pipecatapp.errors import NoWayBackError, ToolError
from pipecatapp.ports import ToolContext
from pipecatapp.tools.memory import Forget, Remember, take_back
from pipecatapp.tools.power import IdleThreshold
from pipecatapp.tools.undo import NOTHING, Reversal, TakingBack, Undo
from testing.fakes.fact_store import ListedNotebook
from testing.fakes.storage import close_storage, storage_in

pytestmark = pytest.mark.unit

WORDS = "remember that the spare key is under the pot"


def said(words: str = "undo that", conversation: str = "c", **more: str) -> ToolContext:
    return ToolContext(conversation, "t", words, "person", **more)


async def put_back(change: Change) -> Reversal:
    return Reversal(f"I took {change.text} off again.")


async def test_the_last_change_of_this_conversation_goes_first_and_each_once(tmp_path: Path) -> None:
    taking_back = TakingBack(storage_in(tmp_path).changes)
    taking_back.let("lists", put_back)
    for text, conversation in (("milk", "c"), ("eggs", "c"), ("tea", "other")):
        await taking_back.changes.make(Change("lists", text, {}, conversation))
    undo = Undo(taking_back)
    assert (await undo.run({}, said())).text == "I took eggs off again."
    close_storage(tmp_path)
    undo = Undo(again := TakingBack(storage_in(tmp_path).changes))
    again.let("lists", put_back)
    assert (await undo.run({}, said())).text == "I took milk off again."
    assert (await undo.run({}, said())).text == NOTHING
    assert [change.text for change in await again.changes.latest()] == ["tea"]


async def test_two_at_once_take_back_one_thing_once(tmp_path: Path) -> None:
    taking_back = TakingBack(storage_in(tmp_path).changes)
    taking_back.let("lists", put_back)
    change = await taking_back.changes.make(Change("lists", "milk", {}, "c"))
    ended = await asyncio.gather(*[taking_back.take_back(change) for _ in range(3)], return_exceptions=True)
    assert [end for end in ended if isinstance(end, str)] == ["I took milk off again."]
    assert [str(end) for end in ended if not isinstance(end, str)] == ["that was taken back already"] * 2


async def test_what_cannot_be_taken_back_is_said_and_out_of_the_way(tmp_path: Path) -> None:
    taking_back = TakingBack(storage_in(tmp_path).changes)

    async def gone(change: Change) -> Reversal:
        raise NoWayBackError("milk is not on the list any more")

    async def busy(change: Change) -> Reversal:
        raise ToolError("the disk is full")

    taking_back.let("lists", gone)
    taking_back.let("power", busy)
    for kind in ("power", "lists"):
        await taking_back.changes.make(Change(kind, kind, {}, "c"))
    undo = Undo(taking_back)
    with pytest.raises(ToolError, match="not on the list any more"):
        await undo.run({}, said())
    for _ in range(2):
        with pytest.raises(ToolError, match="disk is full"):
            await undo.run({}, said())


async def test_a_yes_to_taking_back_holds_for_what_was_shown(tmp_path: Path) -> None:
    taking_back = TakingBack(storage_in(tmp_path).changes)
    taking_back.let("lists", put_back)
    undo = Undo(taking_back)
    with pytest.raises(ToolError, match="nothing here"):
        await undo.preview({}, said())
    await taking_back.changes.make(Change("lists", "I put milk on the shopping list.", {}, "c"))
    shown = await undo.preview({}, said())
    assert shown.sentence == "Take back the last change. I put milk on the shopping list."
    await taking_back.changes.make(Change("lists", "I put eggs on the shopping list.", {}, "c"))
    with pytest.raises(ToolError, match="changed meanwhile"):
        await undo.run({}, said(basis=shown.basis))


async def test_a_note_is_taken_back(tmp_path: Path) -> None:
    storage, notebook = storage_in(tmp_path), ListedNotebook("the dog is called Rex")
    taking_back = TakingBack(storage.changes)

    async def back(change: Change) -> Reversal:
        return await take_back(notebook, change)

    taking_back.let("memory", back)
    remember = Remember(notebook, storage.conversations, storage.changes)
    await remember.run({"text": "the spare key is under the pot"}, said(WORDS))
    assert (await Undo(taking_back).run({}, said())).text == "I took back the note: the spare key is under the pot."
    assert notebook.texts == ["the dog is called Rex"]


async def test_what_is_forgotten_stays_forgotten_and_undo_says_so(tmp_path: Path) -> None:
    storage, notebook = storage_in(tmp_path), ListedNotebook("the dog is called Rex")
    await Forget(notebook, storage.conversations, storage.changes).run({"query": "dog"}, said("forget the dog"))
    with pytest.raises(ToolError, match="gone from the disk; tell me again"):
        await Undo(TakingBack(storage.changes)).run({}, said())
    assert (await Undo(TakingBack(storage.changes)).run({}, said())).text == NOTHING


async def test_a_threshold_is_set_back_unless_it_was_changed_again(tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    taking_back = TakingBack(storage_in(tmp_path / "state").changes)
    tool = IdleThreshold(file, changes=taking_back.changes)
    taking_back.let("power", tool.take_back)
    undo = Undo(taking_back)
    for seconds in (600, 60, 90):
        await tool.run({"service": "coding", "seconds": seconds}, said())
    assert (await undo.run({}, said())).text == "I took that back. coding may sleep after 1 minute without use again."
    file.write_text(file.read_text().replace("60", "61"))
    with pytest.raises(ToolError, match="changed again meanwhile"):
        await undo.run({}, said())
    file.write_text(file.read_text().replace("61", "600"))
    assert (await undo.run({}, said())).text == "I took that back. coding has no idle time of its own again."
    assert json.loads(file.read_text())["services"] == {"coding": {}}
