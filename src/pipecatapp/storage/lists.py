"""Lists of things, as a read model of the journal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipecatapp.domain import ListItem, NamedList
from pipecatapp.ports import JournalEvent
from pipecatapp.storage.database import Database
from pipecatapp.storage.erasure import Erasure
from pipecatapp.storage.journal import Body, SqliteJournal

TOPIC = "lists"
_ITEMS = "SELECT id, text, place, at FROM list_items"


class ListTables:
    """``ReadModel`` of the lists. Its events::

        {"lists": {key: name}, "items": [{"id", "list", "text", "place", "at"}], "drop": [id], "drop_lists": [key]}

    ``items`` are put where they stand, new or changed; ids of items to ``erase``.
    """

    topic = TOPIC
    tables: Mapping[str, str] = {
        "lists": ("CREATE TABLE IF NOT EXISTS lists(key TEXT PRIMARY KEY, name TEXT NOT NULL, place INTEGER NOT NULL)"),
        "list_items": (
            "CREATE TABLE IF NOT EXISTS list_items(id TEXT PRIMARY KEY, list TEXT NOT NULL, text TEXT NOT NULL, "
            "place INTEGER NOT NULL, at REAL NOT NULL)"
        ),
    }
    indexes: Sequence[str] = ("CREATE INDEX IF NOT EXISTS list_items_by_list ON list_items(list, place)",)

    def apply(self, database: Database, body: Body) -> None:
        """Let an event happen."""
        for key, name in body.get("lists", {}).items():
            database.execute(
                "INSERT INTO lists VALUES (?, ?, (SELECT coalesce(max(place), 0) + 1 FROM lists)) "
                "ON CONFLICT(key) DO UPDATE SET name = excluded.name",
                (key, name),
            )
        for item in body.get("items", ()):
            database.execute(
                "INSERT OR REPLACE INTO list_items VALUES (?, ?, ?, ?, ?)",
                (item["id"], item["list"], item["text"], item["place"], item["at"]),
            )
        for gone in (*body.get("drop", ()), *body.get("erase", ())):
            database.execute("DELETE FROM list_items WHERE id = ?", (gone,))
        for key in body.get("drop_lists", ()):
            database.execute("DELETE FROM list_items WHERE list = ?", (key,))
            database.execute("DELETE FROM lists WHERE key = ?", (key,))

    def snapshot(self, database: Database) -> Iterator[Body]:
        """One event for each list."""
        for each in self.all(database):
            yield {"lists": {each.key: each.name}, "items": [as_body(each.key, item) for item in each.items]}

    def all(self, database: Database) -> list[NamedList]:
        """The lists with what stands on them, in their order."""
        found = [NamedList(*row) for row in database.execute("SELECT key, name FROM lists ORDER BY place")]
        return [replace(each, items=self._items(database, each.key)) for each in found]

    def _items(self, database: Database, key: str) -> tuple[ListItem, ...]:
        rows = database.execute(f"{_ITEMS} WHERE list = ? ORDER BY place, id", (key,))
        return tuple(ListItem(*row) for row in rows)


class Lists:
    """The lists in the journal, for reading; they change by events (``change``) that somebody appends.

    Args:
        journal: one that was made with these tables.
        tables: the read model.
    """

    def __init__(self, journal: SqliteJournal, tables: ListTables) -> None:
        self._journal = journal
        self._tables = tables

    async def all(self) -> list[NamedList]:
        """The lists with what stands on them, in their order."""
        return await self._journal.run(lambda: self._tables.all(self._journal.database))

    def erase_now(self, erasure: Erasure) -> None:
        """Erase the items that concern it. For code in the journal's thread."""
        lists = self._tables.all(self._journal.database)
        if found := [item.id for each in lists for item in each.items if erasure.concerns(item.text)]:
            self._journal.erase_now(TOPIC, found)


def as_body(key: str, item: ListItem) -> Mapping[str, Any]:
    """The item as JSON holds it."""
    return {"id": item.id, "list": key, "text": item.text, "place": item.place, "at": item.at}


def change(
    *,
    lists: Mapping[str, str] | None = None,
    items: Sequence[Mapping[str, Any]] = (),
    drop: Sequence[str] = (),
    drop_lists: Sequence[str] = (),
) -> JournalEvent:
    """The event that changes lists so (``ListTables``)."""
    said = {"lists": dict(lists or {}), "items": list(items), "drop": list(drop), "drop_lists": list(drop_lists)}
    return JournalEvent(TOPIC, {name: value for name, value in said.items() if value})
