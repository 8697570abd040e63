"""Every conversation in a file of its own: JSON Lines, one record appended for each finished turn.

A line is written with one ``write`` and ``fsync``; only the last one can be torn by a kill, and a torn line is set
aside (``<id>.torn``) when the file is next read. A record is one of::

    {"v": 1, "turn": {...}, "messages": [["user", "..."], ...]}
    {"v": 1, "heard": "<turn id>", "text": "..."}        after barge-in
    {"v": 1, "cleared": 1763632800.0}                    what stands above is no longer loaded
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast
from weakref import WeakValueDictionary

from pipecatapp.domain import ConversationInfo, Message, Role, Source, ToolCall, Turn, TurnCost, TurnRecord, Usage
from pipecatapp.errors import ConfigurationError

logger = logging.getLogger(__name__)

_VERSION = 1
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def valid_id(conversation: str) -> bool:
    """Whether this can be a conversation's id (it becomes a file name)."""
    return _ID.fullmatch(conversation) is not None


class JsonlConversations:
    """``ports.ConversationStore`` in the files ``<folder>/<id>.jsonl``.

    One writer per conversation at a time; reading and writing happen in threads.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._counted: dict[str, tuple[tuple[int, int], int]] = {}  # a file's time and size, and its turns
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # each as long as it is used

    async def load(self, conversation: str) -> list[TurnRecord]:
        """All turns since the conversation was last cleared, oldest first; empty for a new one."""
        path = self._path(conversation)
        async with self._lock(conversation):
            return await asyncio.to_thread(_read, path)

    async def append(self, conversation: str, record: TurnRecord) -> None:
        """Keep a finished turn. When it returns, it lies on the disk."""
        turn = asdict(record.turn)
        messages = [[message.role, message.content] for message in record.messages]
        await self._write(conversation, {"turn": turn, "messages": messages})

    async def amend(self, conversation: str, turn_id: str, assistant_text: str) -> None:
        """What was really heard of a turn replaces its answer."""
        await self._write(conversation, {"heard": turn_id, "text": assistant_text})

    async def clear(self, conversation: str) -> None:
        """Earlier turns are no longer loaded. They stay in the file: nothing spoken can destroy it."""
        await self._write(conversation, {"cleared": time.time()})

    async def all(self) -> list[ConversationInfo]:
        """All stored conversations, the latest first."""
        return await asyncio.to_thread(self._all)

    async def stored(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The records of all conversations since each was cleared, as ``put_back`` takes them; reading on blocks."""
        paths = await asyncio.to_thread(lambda: sorted(self._folder.glob("*.jsonl")))
        return ((path.stem, record) for path in paths if valid_id(path.stem) for record in _records(path))

    async def put_back(self, conversation: str, records: Sequence[Mapping[str, Any]]) -> bool:
        """Let these be the conversation, as if it had been cleared and they had followed. False: it was just so."""
        path = self._path(conversation)
        lines = [{"v": _VERSION, "cleared": time.time()}, *records]
        content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        async with self._lock(conversation):
            if await asyncio.to_thread(_records, path) == list(records):
                return False
            await asyncio.to_thread(_append, path, content.encode("utf-8", "replace"))
        return True

    def _all(self) -> list[ConversationInfo]:
        found = []
        for path in self._folder.glob("*.jsonl"):
            if valid_id(path.stem):
                about = path.stat()
                found.append(ConversationInfo(path.stem, self._turns(path, about), about.st_mtime))
        return sorted(found, key=lambda info: info.updated_at, reverse=True)

    def _turns(self, path: Path, about: os.stat_result) -> int:
        """How many turns it has; a file that has not changed is not read again."""
        seen = (about.st_mtime_ns, about.st_size)
        known = self._counted.get(path.stem)
        if known is None or known[0] != seen:
            known = self._counted[path.stem] = (seen, len(_read(path)))
        return known[1]

    async def _write(self, conversation: str, record: Mapping[str, Any]) -> None:
        path = self._path(conversation)
        line = json.dumps({"v": _VERSION, **record}, ensure_ascii=False, default=_plain) + "\n"
        async with self._lock(conversation):
            await asyncio.to_thread(_append, path, line.encode("utf-8", "replace"))

    def _path(self, conversation: str) -> Path:
        if not valid_id(conversation):
            raise ConfigurationError(
                f"{conversation!r} is no conversation id: up to 64 letters, digits, hyphens and underscores"
            )
        return self._folder / f"{conversation}.jsonl"

    def _lock(self, conversation: str) -> asyncio.Lock:
        return self._locks.setdefault(conversation, asyncio.Lock())


def _append(path: Path, line: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    new = not path.exists()
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        end = os.lseek(file, 0, os.SEEK_END)
        if end and os.pread(file, 1, end - 1) != b"\n":
            line = b"\n" + line  # a torn line before this one: keep it apart
        written = 0
        while written < len(line):
            written += os.write(file, line[written:])
        os.fsync(file)
    finally:
        os.close(file)
    if new:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """So that a new file's name survives a power cut too."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _read(path: Path) -> list[TurnRecord]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    records: list[TurnRecord] = []
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            if "cleared" in value:
                records.clear()
            elif "heard" in value:
                _amend(records, value["heard"], value["text"])
            else:
                records.append(_record(value))
        except (ValueError, KeyError, TypeError) as error:
            _set_aside(path, number, line, error)
    return records


def _records(path: Path) -> list[Mapping[str, Any]]:
    """The lines since the last clearing as they are, without those that cannot be read."""
    records: list[Mapping[str, Any]] = []
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return records
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            if "cleared" in value:
                records.clear()
            else:
                records.append(value)
    return records


def _set_aside(path: Path, number: int, line: bytes, error: Exception) -> None:
    """Keep what cannot be read beside the file, once, and go on without it."""
    logger.warning("%s, line %d cannot be read (%s); it is set aside in %s.torn", path, number, error, path.stem)
    torn = path.with_suffix(".torn")
    known = torn.read_bytes().split(b"\n") if torn.exists() else []
    if line not in known:
        with torn.open("ab") as file:
            file.write(line + b"\n")


def _amend(records: list[TurnRecord], turn_id: str, text: str) -> None:
    for index, record in enumerate(records):
        if record.turn.id == turn_id:
            records[index] = record.heard(text)


def _record(value: Mapping[str, Any]) -> TurnRecord:
    turn = value["turn"]
    cost = turn["cost"]
    return TurnRecord(
        Turn(
            id=turn["id"],
            user_text=turn["user_text"],
            assistant_text=turn["assistant_text"],
            source=cast("Source", turn["source"]),
            started_at=turn["started_at"],
            interrupted=turn["interrupted"],
            tool_calls=tuple(ToolCall(call["id"], call["name"], call["arguments"]) for call in turn["tool_calls"]),
            cost=TurnCost(**{**cost, "usage": Usage(**cost["usage"])}),
            expert=turn.get("expert", ""),
        ),
        tuple(Message(cast("Role", role), content) for role, content in value["messages"]),
    )


def _plain(value: object) -> object:
    """Mappings that are no dict, in tool arguments."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"cannot store {type(value).__name__}")
