"""``list.*``: put things on a list, read it, take things off it.

What is not known (a list, a thing on it) is named, and nothing is done: it is never taken for something like it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipecatapp.domain import ListItem, NamedList, Preview, Risk, ToolResult, ToolSpec
from pipecatapp.errors import StorageError, ToolError, ToolOffError
from pipecatapp.languages import language
from pipecatapp.own_words import hold_all
from pipecatapp.ports import Tool, ToolContext
from pipecatapp.tools.list_keeper import LONGEST, ListKeeper, put_on, taken_off
from pipecatapp.tools.registry import ToolServices

_MOST_AT_ONCE = 30
_READ_OUT = 12  # things; the rest is on the page
_WORDS = language().lists
_LIST = {"type": "string", "maxLength": LONGEST, "description": "As the person calls it, such as shopping or to do."}


def _parameters(item: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"list": _LIST, "item": {"type": "string", "maxLength": 2000, "description": item}},
    }


@dataclass(frozen=True, slots=True)
class _Read:
    """What a call says: the list by its ``key`` (empty: none was named) among all ``lists``, and the words for things
    on it. ``here`` is None where there is no list of that name."""

    key: str
    lists: Sequence[NamedList]
    here: NamedList | None
    item: str

    @property
    def there(self) -> NamedList:
        """The list. Raises ToolError where there is none of that name."""
        if self.here is None:
            raise ToolError(_unknown(self.key, self.lists))
        return self.here


async def _read(keeper: ListKeeper, arguments: Mapping[str, Any]) -> _Read:
    """What a call says, of the lists as they are. Raises StorageError."""
    key, lists = _WORDS.name(str(arguments.get("list", ""))), await keeper.all()
    return _Read(key, lists, _find(lists, key), str(arguments.get("item", "")).strip())


class ListAdd:
    """Puts things on a list.

    Args:
        keeper: changes the lists.
    """

    spec = ToolSpec(
        name="list.add",
        description="Put one or several things on a list.",
        parameters=_parameters("What to put there, in the person's words: milk, eggs and bread."),
        risk=Risk.OWN,
        copied=("list", "item"),
        asks=("put milk on the shopping list", "add call the dentist to my to do list", "we need eggs"),
    )

    def __init__(self, keeper: ListKeeper) -> None:
        self._keeper = keeper

    async def is_carried(self, arguments: Mapping[str, Any], context: ToolContext) -> bool:
        """Whether the words hold it; and a list that is not there yet is begun only after a yes."""
        if not hold_all(context.words, arguments):
            return False
        read = await _read(self._keeper, arguments)
        return not read.key or not _things(read) or read.here is not None

    async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        """What would stand there, and whether the list is a new one."""
        read = await _read(self._keeper, arguments)
        things = _things(read)
        if not read.key or not things:
            raise ToolError("both the list and what to put there have to be said")
        if read.here is None:
            return Preview(f"Begin a new list, {read.key}, and put {_WORDS.join(things)} on it.")
        return Preview(f"Put {_WORDS.join(things)} on the {read.here.name} list.")

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Put them there, or ask what is missing."""
        try:
            read = await _read(self._keeper, arguments)
            if not read.key:
                return ToolResult(_which_list(read.lists), missing="list")
            here = (read.here or NamedList(read.key, read.key)) if context.approved else read.there
            things = _things(read)
            if not things:
                return ToolResult(f"What shall I put on the {here.name} list?", missing="item")
            put, had = await self._keeper.add(here, things, conversation=context.conversation, turn=context.turn)
        except StorageError as error:
            raise ToolError(str(error)) from error
        said = [put_on(put, here.name)] if put else []
        if had:
            on = "it" if put else f"the {here.name} list"
            said.append(f"{_first_up(_WORDS.join(had))} {_is(had)} on {on} already.")
        return ToolResult(" ".join(said))


class ListRead:
    """Says what stands on a list.

    Args:
        keeper: knows the lists.
    """

    spec = ToolSpec(
        name="list.read",
        description="What is on a list; without a name, which lists there are.",
        parameters={"type": "object", "properties": {"list": _LIST}},
        copied=("list",),
        asks=("what is on the shopping list", "read me my to do list", "which lists do I have"),
    )

    def __init__(self, keeper: ListKeeper) -> None:
        self._keeper = keeper

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Say it."""
        try:
            read = await _read(self._keeper, arguments)
        except StorageError as error:
            raise ToolError(str(error)) from error
        if not read.key:
            counted = _WORDS.join([f"{each.name} with {_count(len(each.items))}" for each in read.lists])
            return ToolResult(f"There are {len(read.lists)} lists: {counted}.")
        here = read.there
        if not here.items:
            return ToolResult(f"There is nothing on the {here.name} list.")
        texts = [item.text for item in here.items]
        detail = "\n".join(texts)
        if len(texts) > _READ_OUT:
            first = ", ".join(texts[:_READ_OUT])
            more = f"and {len(texts) - _READ_OUT} more, which the page shows"
            return ToolResult(f"On the {here.name} list are {first}, {more}.", detail=detail)
        return ToolResult(f"On the {here.name} list {_is(texts)} {_WORDS.join(texts)}.", detail=detail)


class ListRemove:
    """Takes things off a list.

    Args:
        keeper: changes the lists.
    """

    spec = ToolSpec(
        name="list.remove",
        description="Take one or several things off a list.",
        parameters=_parameters("What to take off, in the person's words; everything: all of it."),
        risk=Risk.OWN,
        copied=("list", "item"),
        asks=("take milk off the shopping list", "cross the dentist off my to do list", "clear the shopping list"),
    )

    def __init__(self, keeper: ListKeeper) -> None:
        self._keeper = keeper

    async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        """What would be taken off. Raises ToolError where nothing would."""
        read = await _read(self._keeper, arguments)
        if not read.key:
            raise ToolError(_which_list(read.lists))
        found, trouble = _matching(read.there, read.item)
        if not found:
            raise ToolError(trouble or "what to take off has to be said")
        return Preview(f"Take {_WORDS.join([item.text for item in found])} off the {read.there.name} list.")

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Take them off, or ask what is missing."""
        try:
            read = await _read(self._keeper, arguments)
            if not read.key:
                return ToolResult(_which_list(read.lists), missing="list")
            here = read.there
            if not read.item:
                return ToolResult(f"What shall I take off the {here.name} list?", missing="item")
            found, trouble = _matching(here, read.item)
            gone = await self._keeper.remove(here, found, conversation=context.conversation, turn=context.turn)
        except StorageError as error:
            raise ToolError(str(error)) from error
        said = [taken_off([item.text for item in gone], here.name)] if gone else []
        if not said and not trouble:
            trouble = "That was taken off already."
        return ToolResult(" ".join([*said, trouble]).strip())


def _matching(here: NamedList, words: str) -> tuple[list[ListItem], str]:
    """The items that are meant, and a sentence about what is not there."""
    if _WORDS.is_everything(words):
        return list(here.items), "" if here.items else f"There is nothing on the {here.name} list."
    whole = [item for item in here.items if _WORDS.key(item.text) == _WORDS.key(words)]
    if whole:
        return whole, ""
    found: list[ListItem] = []
    missing: list[str] = []
    for thing in _WORDS.split(words, False):
        same = [item for item in here.items if _WORDS.key(item.text) == _WORDS.key(thing)]
        found += [item for item in same if item not in found]
        if not same:
            missing.append(thing)
    return found, _not_there(here, missing)


def _not_there(here: NamedList, missing: Sequence[str]) -> str:
    if not missing:
        return ""
    near = [item.text for item in here.items for thing in missing if _holds(item.text, thing)]
    but = f", but there is {_WORDS.join(near[:3])}" if near else ""
    return f"There {_is(missing)} no {_or(missing)} on the {here.name} list{but}."


def _holds(text: str, thing: str) -> bool:
    asked = set(_WORDS.key(thing).split())
    return bool(asked) and bool(asked & set(_WORDS.key(text).split()))


def _things(read: _Read) -> list[str]:
    """What to put on the list. Raises ToolError for more than anybody says in one breath."""
    things = _WORDS.split(read.item, _WORDS.is_tasks(read.key))
    if len(things) > _MOST_AT_ONCE:
        raise ToolError(f"those are {len(things)} things; {_MOST_AT_ONCE} at once are the most")
    if any(len(thing) > LONGEST for thing in things):
        raise ToolError(f"one of these is longer than {LONGEST} characters")
    return things


def _find(lists: Sequence[NamedList], key: str) -> NamedList | None:
    return next((each for each in lists if each.key == key), None)


def _unknown(key: str, lists: Sequence[NamedList]) -> str:
    return f"there is no {key} list; there are {_WORDS.join([each.name for each in lists])}"


def _which_list(lists: Sequence[NamedList]) -> str:
    return f"Which list: {_or([each.name for each in lists])}?"


def _or(things: Sequence[str]) -> str:
    *most, last = things
    return f"{', '.join(most)} or {last}" if most else last


def _is(things: Sequence[str]) -> str:
    """For one thing, by its ending: "milk is", "eggs are"."""
    return "is" if len(things) == 1 and not things[0].endswith("s") else "are"


def _count(number: int) -> str:
    return f"{number} thing" if number == 1 else f"{number} things"


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]


def create_add(services: ToolServices) -> Tool:
    """``list.add``, for the registry."""
    return ListAdd(_keeper(services))


def create_read(services: ToolServices) -> Tool:
    """``list.read``, for the registry."""
    return ListRead(_keeper(services))


def create_remove(services: ToolServices) -> Tool:
    """``list.remove``, for the registry."""
    return ListRemove(_keeper(services))


def _keeper(services: ToolServices) -> ListKeeper:
    if services.lists is None:
        raise ToolOffError("no lists are kept here")
    return services.lists
