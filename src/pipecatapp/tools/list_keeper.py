"""The lists as tools and the page change them: what is put on them and taken off, each time with the way back."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from pipecatapp.domain import Change, ListItem, NamedList
from pipecatapp.errors import NoWayBackError, ToolError
from pipecatapp.languages import language
from pipecatapp.ports import ChangeLog
from pipecatapp.storage.lists import as_body, change
from pipecatapp.tools.undo import Reversal

KIND = "lists"
MOST_ITEMS = 500  # on one list
MOST_LISTS = 50
LONGEST = 200  # characters of an item or a name
_WORDS = language().lists


class ListStore(Protocol):
    """Where the lists are (``storage.lists.Lists``)."""

    async def all(self) -> list[NamedList]:
        """The lists with what stands on them, in their order."""


class ListKeeper:
    """Changes the lists.

    Args:
        store: where they are.
        changes: how each change is taken back.
        clock: seconds since 1970.
        new_id: a name for an item that no other has.
    """

    def __init__(
        self,
        store: ListStore,
        changes: ChangeLog,
        *,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: secrets.token_hex(6),
    ) -> None:
        self._store = store
        self._changes = changes
        self._clock = clock
        self._new_id = new_id
        self._lock = asyncio.Lock()

    async def all(self) -> list[NamedList]:
        """The lists; those that are always there also when nothing ever stood on them. Raises StorageError."""
        kept = {each.key: each for each in await self._store.all()}
        first = {key: kept.pop(key, NamedList(key, key)) for key in _WORDS.defaults}
        return [*first.values(), *kept.values()]

    async def find(self, key: str) -> NamedList | None:
        """The list of this name, as ``Lists.name`` gives it. Raises StorageError."""
        return next((each for each in await self.all() if each.key == key), None)

    async def add(
        self, to: NamedList, texts: Sequence[str], *, conversation: str = "", turn: str = ""
    ) -> tuple[list[str], list[str]]:
        """Put these on the list, which may be a new one; returns those that are there now, and those that were already.

        Raises:
            ToolError: there is no room for them.
            StorageError: they cannot be kept.
        """
        async with self._lock:
            here = await self.find(to.key)
            have = {_WORDS.key(item.text) for item in here.items} if here else set()
            place = max((item.place for item in here.items), default=0) if here else 0
            now, fresh, already = self._clock(), [], []
            for text in texts:
                key = _WORDS.key(text)
                if key in have:
                    already.append(text)
                    continue
                have.add(key)
                place += 1
                fresh.append(ListItem(self._new_id(), text, place, now))
            if fresh:
                await self._check_room(here, len(fresh))
                event = change(lists={to.key: to.name}, items=[as_body(to.key, item) for item in fresh])
                said = [item.text for item in fresh]
                back: dict[str, Any] = {"drop": [item.id for item in fresh], "list": to.key}
                if here is None:
                    back["new"] = True
                await self._changes.make(Change(KIND, put_on(said, to.name), back, conversation, turn), event)
            return [item.text for item in fresh], already

    async def remove(
        self, from_list: NamedList, items: Sequence[ListItem], *, conversation: str = "", turn: str = ""
    ) -> list[ListItem]:
        """Take these off the list; returns those that were still there. Raises StorageError."""
        async with self._lock:
            here = await self.find(from_list.key)
            there = {item.id for item in here.items} if here else set()
            gone = [item for item in items if item.id in there]
            if gone:
                back = {
                    "items": [as_body(from_list.key, item) for item in gone],
                    "list": from_list.key,
                    "name": from_list.name,
                }
                text = taken_off([item.text for item in gone], from_list.name)
                event = change(drop=[item.id for item in gone])
                await self._changes.make(Change(KIND, text, back, conversation, turn), event)
            return gone

    async def amend(self, key: str, item: str, text: str) -> ListItem | None:
        """Give an item another text; None where it is not there. Raises StorageError."""
        async with self._lock:
            here = await self.find(key)
            old = next((each for each in here.items if each.id == item), None) if here else None
            if here is None or old is None:
                return None
            new = replace(old, text=text)
            back = {"amend": as_body(key, old), "now": text, "list": key}
            await self._changes.make(
                Change(KIND, f"I changed {old.text} to {text} on the {here.name} list.", back),
                change(items=[as_body(key, new)]),
            )
            return new

    async def begin(self, name: str) -> NamedList:
        """A list of this name, with nothing on it yet; the one that there is already.

        Raises:
            ToolError: it has no name, or there are too many.
            StorageError: it cannot be kept.
        """
        async with self._lock:
            key = _WORDS.name(name)
            if not key:
                raise ToolError("the list needs a name")
            if (here := await self.find(key)) is not None:
                return here
            await self._check_room(None, 0)
            back = {"drop": [], "list": key, "new": True}
            await self._changes.make(Change(KIND, f"I began the {key} list.", back), change(lists={key: key}))
            return NamedList(key, key)

    async def end(self, key: str) -> NamedList | None:
        """Remove a whole list; None where there is none. Raises StorageError."""
        async with self._lock:
            here = await self.find(key)
            if here is None:
                return None
            back = {"items": [as_body(key, item) for item in here.items], "list": key, "name": here.name}
            await self._changes.make(Change(KIND, f"I removed the {here.name} list.", back), change(drop_lists=[key]))
            return here

    async def take_back(self, made: Change) -> Reversal:
        """How a change of a list is taken back.

        Raises:
            NoWayBackError: nothing of it is there any more.
        """
        back: Mapping[str, Any] = made.back or {}
        here = await self.find(back["list"])
        if "amend" in back:
            return _amend_back(here, back)
        if "drop" in back:
            return _drop_again(here, back)
        return _put_back(here, back)

    async def _check_room(self, here: NamedList | None, more: int) -> None:
        if here is not None and len(here.items) + more > MOST_ITEMS:
            raise ToolError(f"there is no room for that on the {here.name} list: it holds {MOST_ITEMS} things at most")
        if here is None and len(await self.all()) >= MOST_LISTS:
            raise ToolError(f"there are {MOST_LISTS} lists already, remove one first")


def put_on(texts: Sequence[str], name: str) -> str:
    """What was put on a list, as a sentence."""
    return f"I put {_WORDS.join(texts)} on the {name} list."


def taken_off(texts: Sequence[str], name: str) -> str:
    """What was taken off a list, as a sentence."""
    if len(texts) > _NAMED:
        return f"I took all {len(texts)} things off the {name} list."
    return f"I took {_WORDS.join(texts)} off the {name} list."


_NAMED = 8  # things, in a sentence about what was done


def _drop_again(here: NamedList | None, back: Mapping[str, Any]) -> Reversal:
    key, gone = back["list"], set(back["drop"])
    there = [item for item in here.items if item.id in gone] if here else []
    if here is None or (gone and not there):
        raise NoWayBackError(f"what I put on the {key} list is not there any more, so there was nothing to take back")
    rest = [item for item in here.items if item.id not in gone]
    drop_lists = [key] if back.get("new") and not rest else []
    text = f"I took {_WORDS.join([item.text for item in there])} off the {here.name} list again." if there else ""
    if drop_lists:
        text = f"{text} The {here.name} list is gone again.".strip()
    elif not there:
        raise NoWayBackError(f"there is something on the {here.name} list by now, so it stays")
    return Reversal(text, [change(drop=[item.id for item in there], drop_lists=drop_lists)])


def _put_back(here: NamedList | None, back: Mapping[str, Any]) -> Reversal:
    key, name = back["list"], back["name"]
    have = {_WORDS.key(item.text) for item in here.items} if here else set()
    items = [item for item in back["items"] if _WORDS.key(item["text"]) not in have]
    if back["items"] and not items:
        raise NoWayBackError(f"{_WORDS.join([item['text'] for item in back['items']])} stands there again already")
    if here is None and not items:
        return Reversal(f"The {name} list is there again.", [change(lists={key: name})])
    said = [item["text"] for item in items]
    what = _WORDS.join(said) if len(said) <= _NAMED else f"all {len(said)} things"
    return Reversal(f"I put {what} back on the {name} list.", [change(lists={key: name}, items=items)])


def _amend_back(here: NamedList | None, back: Mapping[str, Any]) -> Reversal:
    old = back["amend"]
    now = next((item for item in here.items if item.id == old["id"]), None) if here else None
    if here is None or now is None or now.text != back["now"]:
        raise NoWayBackError(f"{back['now']} was changed again or taken off meanwhile, so it stays as it is")
    return Reversal(
        f"It says {old['text']} on the {here.name} list again.", [change(items=[{**old, "place": now.place}])]
    )
