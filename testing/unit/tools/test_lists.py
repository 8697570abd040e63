"""``list.*``: what was said is put on the list and taken off it; what is not known is named, and nothing happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipecatapp.domain import ToolResult
from pipecatapp.errors import ToolError
from pipecatapp.ports import ToolContext
from pipecatapp.storage.erasure import Erasure
from pipecatapp.tools.list_keeper import KIND, MOST_ITEMS, ListKeeper
from pipecatapp.tools.lists import ListAdd, ListRead, ListRemove
from pipecatapp.tools.undo import TakingBack, Undo
from testing.fakes.storage import close_storage, storage_in

pytestmark = pytest.mark.unit


class Kitchen:
    """The three tools and ``undo`` over a real journal."""

    def __init__(self, folder: Path) -> None:
        storage = storage_in(folder)
        self.keeper = ListKeeper(storage.lists, storage.changes, clock=lambda: 5.0)
        self.add = ListAdd(self.keeper)
        self.read = ListRead(self.keeper)
        self.remove = ListRemove(self.keeper)
        self.undo = Undo(taking_back := TakingBack(storage.changes))
        taking_back.let(KIND, self.keeper.take_back)

    async def put(self, item: str, to: str = "shopping", *, approved: bool = False) -> ToolResult:
        return await self.add.run({"list": to, "item": item}, said(approved=approved))

    async def take(self, item: str, off: str = "shopping") -> ToolResult:
        return await self.remove.run({"list": off, "item": item}, said())

    async def on(self, name: str = "shopping") -> list[str]:
        here = await self.keeper.find(name)
        return [item.text for item in here.items] if here else []


@pytest.fixture
def kitchen(tmp_path: Path) -> Kitchen:
    return Kitchen(tmp_path)


def said(words: str = "x", *, approved: bool = False) -> ToolContext:
    return ToolContext("c", "t", words, "person", approved=approved)


@pytest.mark.parametrize(
    ("item", "things"),
    [
        ("milk, eggs and bread", ["milk", "eggs", "bread"]),
        ("milk, eggs, and bread please", ["milk", "eggs", "bread"]),
        ("milk and eggs and bread", ["milk", "eggs", "bread"]),
        ("some milk", ["milk"]),
        ("two litres of milk and a dozen eggs", ["two litres of milk", "a dozen eggs"]),
        ("macaroni and cheese and some olive oil", ["macaroni and cheese", "olive oil"]),
        ("a loaf of bread", ["a loaf of bread"]),
        ("a hammer", ["hammer"]),
        ("Dr. Oetker pizza", ["Dr. Oetker pizza"]),
    ],
)
async def test_several_things_in_one_breath(kitchen: Kitchen, item: str, things: list[str]) -> None:
    await kitchen.put(item, "my shopping list")
    assert await kitchen.on() == things


async def test_the_receipt_names_what_was_put_there(kitchen: Kitchen) -> None:
    assert (await kitchen.put("milk, eggs and bread")).text == "I put milk, eggs and bread on the shopping list."
    again = await kitchen.put("eggs and tea")
    assert again.text == "I put tea on the shopping list. Eggs are on it already."
    assert (await kitchen.put("the Milk")).text == "Milk is on the shopping list already."
    assert await kitchen.on() == ["milk", "eggs", "bread", "tea"]


async def test_a_thing_to_do_may_hold_an_and(kitchen: Kitchen) -> None:
    await kitchen.put("call mum and dad", "to-do list")
    await kitchen.put("buy stamps, post the letter and water the plants", "my to do list")
    assert await kitchen.on("to do") == ["call mum and dad", "buy stamps", "post the letter", "water the plants"]


@pytest.mark.parametrize("name", ["shopping", "the Shopping list", "grocery list", "groceries", "my shopping"])
async def test_a_list_is_found_by_what_people_call_it(kitchen: Kitchen, name: str) -> None:
    assert (await kitchen.put("milk", name)).text == "I put milk on the shopping list."


async def test_lists_are_read_out(kitchen: Kitchen) -> None:
    assert (await kitchen.read.run({"list": "shopping"}, said())).text == "There is nothing on the shopping list."
    await kitchen.put("milk")
    assert (await kitchen.read.run({"list": "shopping"}, said())).text == "On the shopping list is milk."
    await kitchen.put("eggs and bread")
    read = await kitchen.read.run({"list": "the shopping list"}, said())
    assert read.text == "On the shopping list are milk, eggs and bread."
    assert (
        await kitchen.read.run({}, said())
    ).text == "There are 2 lists: shopping with 3 things and to do with 0 things."
    await kitchen.put(", ".join(f"thing {number}" for number in range(12)))
    long = (await kitchen.read.run({"list": "shopping"}, said())).text
    assert long.endswith("thing 8, and 3 more, which the page shows.")


async def test_what_is_bought_comes_off_whatever_its_amount_and_form(kitchen: Kitchen) -> None:
    await kitchen.put("two litres of milk, a dozen eggs, bread and macaroni and cheese")
    assert (await kitchen.take("the milk")).text == "I took two litres of milk off the shopping list."
    assert (await kitchen.take("egg and bread")).text == "I took a dozen eggs and bread off the shopping list."
    assert (await kitchen.take("macaroni and cheese")).ok
    assert await kitchen.on() == []


async def test_what_is_not_there_is_named_and_nothing_happens(kitchen: Kitchen) -> None:
    await kitchen.put("oat milk and bread")
    refused = await kitchen.take("milk")
    assert refused.text == "There is no milk on the shopping list, but there is oat milk."
    half = await kitchen.take("bread and butter")
    assert half.text == "I took bread off the shopping list. There is no butter on the shopping list."
    assert await kitchen.on() == ["oat milk"]
    for tool in (kitchen.add, kitchen.read, kitchen.remove):
        with pytest.raises(ToolError, match="there is no shipping list; there are shopping and to do"):
            await tool.run({"list": "shipping", "item": "milk"}, said())
    assert [each.key for each in await kitchen.keeper.all()] == ["shopping", "to do"]


async def test_a_new_list_is_begun_after_a_yes(kitchen: Kitchen) -> None:
    call = {"list": "hardware", "item": "nails"}
    words = said("put nails on the hardware list")
    assert not await kitchen.add.is_carried(call, words)
    assert (await kitchen.add.preview(call, said())).sentence == "Begin a new list, hardware, and put nails on it."
    await kitchen.add.run(call, said(approved=True))
    assert await kitchen.add.is_carried(call, words)
    assert not await kitchen.add.is_carried(call, said("put screws on the hardware list"))
    assert await kitchen.on("hardware") == ["nails"]
    assert (await kitchen.undo.run({}, said())).text == (
        "I took nails off the hardware list again. The hardware list is gone again."
    )
    assert await kitchen.keeper.find("hardware") is None


async def test_what_is_missing_is_asked_for(kitchen: Kitchen) -> None:
    asked = await kitchen.add.run({"item": "milk", "list": "the list"}, said())
    assert (asked.text, asked.missing) == ("Which list: shopping or to do?", "list")
    asked = await kitchen.add.run({"list": "shopping", "item": ""}, said())
    assert (asked.text, asked.missing) == ("What shall I put on the shopping list?", "item")
    asked = await kitchen.remove.run({"list": "shopping"}, said())
    assert (asked.text, asked.missing) == ("What shall I take off the shopping list?", "item")


async def test_everything_comes_off_and_back(kitchen: Kitchen) -> None:
    await kitchen.put("milk, eggs and bread")
    assert (await kitchen.take("everything")).text == "I took milk, eggs and bread off the shopping list."
    assert (await kitchen.take("all of it")).text == "There is nothing on the shopping list."
    assert (await kitchen.undo.run({}, said())).text == "I put milk, eggs and bread back on the shopping list."
    assert await kitchen.on() == ["milk", "eggs", "bread"]


async def test_what_was_taken_off_goes_back_to_its_place(kitchen: Kitchen) -> None:
    await kitchen.put("milk, eggs and bread")
    await kitchen.take("eggs")
    await kitchen.undo.run({}, said())
    assert await kitchen.on() == ["milk", "eggs", "bread"]
    assert (await kitchen.undo.run({}, said())).text == "I took milk, eggs and bread off the shopping list again."
    assert await kitchen.on() == []


async def test_what_can_no_longer_be_taken_back_is_said(kitchen: Kitchen) -> None:
    await kitchen.put("milk")
    here = await kitchen.keeper.find("shopping")
    assert here is not None
    await kitchen.keeper.remove(here, here.items, conversation="another")
    with pytest.raises(ToolError, match="not there any more"):
        await kitchen.undo.run({}, said())
    await kitchen.put("tea")
    await kitchen.take("tea")
    await kitchen.keeper.add(here, ["tea"], conversation="another")
    with pytest.raises(ToolError, match="tea stands there again already"):
        await kitchen.undo.run({}, said())
    assert await kitchen.on() == ["tea"]


async def test_a_list_has_an_end(kitchen: Kitchen) -> None:
    here = await kitchen.keeper.find("shopping")
    assert here is not None
    await kitchen.keeper.add(here, [f"thing {number} x" for number in range(MOST_ITEMS)])
    with pytest.raises(ToolError, match="holds 500 things at most"):
        await kitchen.put("milk")
    with pytest.raises(ToolError, match="31 things; 30 at once"):
        await kitchen.put(", ".join(f"a{number}" for number in range(31)))


async def test_lists_survive_and_a_snapshot_makes_them_again(kitchen: Kitchen, tmp_path: Path) -> None:
    await kitchen.put("milk and eggs")
    await kitchen.put("call mum", "to do")
    await kitchen.take("milk")
    close_storage(tmp_path)
    before = storage_in(tmp_path)
    assert [(each.key, [item.text for item in each.items]) for each in await before.lists.all()] == [
        ("shopping", ["eggs"]),
        ("to do", ["call mum"]),
    ]
    other = storage_in(tmp_path / "other")
    for event in (await before.journal.snapshot()).events:
        await other.journal.append(event)
    assert await other.lists.all() == await before.lists.all()


async def test_what_is_forgotten_leaves_the_lists_too(kitchen: Kitchen, tmp_path: Path) -> None:
    await kitchen.put("my locker opens with marzipan, milk", "to do")
    storage = storage_in(tmp_path)
    await storage.erase(Erasure(["My locker opens with marzipan."]))
    assert await kitchen.on("to do") == ["milk"]
    assert b"marzipan" not in b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
