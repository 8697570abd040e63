"""Named states: long-term memory with its history, and the conversations, as they were at one moment.

A state is one file, ``<folder>/<name>/state.jsonl``, replaced as a whole: a header, the facts as the record file has
them, the turns of each conversation, and an end that says how many lines there are, so that a part is never taken for
the whole. Before one is loaded, what is there is saved under a name of its own: the way back.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pipecatapp.errors import ConfigurationError, StorageError, UnknownChoiceError
from pipecatapp.memory.long_term import FaissMemory
from pipecatapp.storage.atomic import remove, replacing
from pipecatapp.storage.conversations import Conversations
from pipecatapp.storage.erasure import Erasure, erase_lines
from pipecatapp.storage.records import BadRecordError, FactAdded, decode, encode

log = logging.getLogger(__name__)

FORMAT = "pipecatapp-state"
VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,63}")
_FILE = "state.jsonl"
_WAY_BACK = "before-load-"
# So many of the states that were saved by themselves are kept.
_WAYS_BACK = 10
_WRITE_SIZE = 1 << 20


@dataclass(frozen=True, slots=True)
class StateInfo:
    """A saved state. ``saved_at`` in epoch seconds."""

    name: str
    saved_at: float
    facts: int
    bytes: int


@dataclass(slots=True)
class _State:
    """What a file holds."""

    facts: list[FactAdded]
    conversations: dict[str, list[Mapping[str, Any]]]


class States:
    """The saved states of one installation. One is saved or loaded at a time.

    Args:
        folder: where they are.
        memory: long-term memory.
        conversations: short-term memory.
        reread: told of each conversation that was put back.
    """

    def __init__(
        self,
        folder: Path,
        memory: FaissMemory,
        conversations: Conversations,
        reread: Callable[[str], Awaitable[None]],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._memory = memory
        self._conversations = conversations
        self._reread = reread
        self._clock = clock
        self._lock = asyncio.Lock()

    async def save(self, name: str) -> StateInfo:
        """Keep what is there now under this name, in place of what had it.

        Raises:
            ConfigurationError: it can be no name.
            StorageError: it could not be written; what had the name is still there.
        """
        async with self._lock:
            return await self._save(_checked(name))

    async def load(self, name: str) -> str:
        """Put a state in the place of what is there; the name under which that was saved before.

        Conversations that the state does not know stay as they are.

        Raises:
            ConfigurationError: it can be no name.
            UnknownChoiceError: there is no such state.
            StorageError: it is damaged, or could not be written.
        """
        async with self._lock:
            state = await asyncio.to_thread(self._read, _checked(name))
            way_back = await self._save(await asyncio.to_thread(self._free_way_back))
            await self._memory.replace_all(state.facts)
            for conversation, records in state.conversations.items():
                if await self._conversations.put_back(conversation, records):
                    await self._reread(conversation)
            await asyncio.to_thread(self._drop_old_ways_back)
            return way_back.name

    async def all(self) -> list[StateInfo]:
        """The saved states, the latest first."""
        return await asyncio.to_thread(self._all)

    async def delete(self, name: str) -> None:
        """Delete a state.

        Raises:
            ConfigurationError: it can be no name.
            UnknownChoiceError: there is no such state.
            StorageError: it could not be deleted.
        """
        async with self._lock:
            await asyncio.to_thread(self._delete, _checked(name))

    async def erase(self, erasure: Erasure) -> None:
        """Take what concerns it out of all states. Raises StorageError or OSError; then some may still have it."""
        async with self._lock:
            await asyncio.to_thread(self._erase, erasure)

    async def _save(self, name: str) -> StateInfo:
        facts = await self._memory.everything()
        turns = await self._conversations.stored()
        return await asyncio.to_thread(self._write, name, facts, turns)

    def _write(
        self,
        name: str,
        facts: Iterator[FactAdded],
        turns: Iterator[tuple[str, Mapping[str, Any]]],
        saved_at: float | None = None,
    ) -> StateInfo:
        path = self._folder / name / _FILE
        now = self._clock() if saved_at is None else saved_at
        try:
            with replacing(path) as output:
                lines = _Lines(output)
                lines.add(_line({"format": FORMAT, "version": VERSION, "saved_at": now}))
                ids: set[int] = set()
                superseded: set[int] = set()
                for record in facts:
                    ids.add(record.fact.id)
                    superseded.update(record.fact.supersedes)
                    lines.add(encode(record))
                for conversation, turn in turns:
                    lines.add(_line({"conversation": conversation, "record": turn}))
                living = len(ids - superseded)
                lines.add(_line({"end": lines.count, "facts": living}))
                lines.flush()
        except OSError as error:
            raise StorageError(f"cannot save the state {name!r} in {path}: {error}; free some disk space") from error
        return StateInfo(name, now, living, lines.size)

    def _read(self, name: str) -> _State:
        path = self._existing(name)
        state = _State([], {})
        count, ended = 0, False
        try:
            for line in _lines_of(path):
                count += 1
                if count == 1:
                    _check_head(json.loads(line))
                elif ended:
                    raise ValueError("something stands behind its end")
                elif line.startswith(b'{"crc"'):
                    record = decode(line)
                    if not isinstance(record, FactAdded):
                        raise ValueError("a record is no fact")
                    state.facts.append(record)
                else:
                    ended = _take(json.loads(line), state, count)
            if not ended:
                raise ValueError("its end is missing")
        except (OSError, ValueError, KeyError, TypeError, BadRecordError) as error:
            raise StorageError(
                f"the state {name!r} cannot be read (line {count}: {error}); load another, {path} stays as it is"
            ) from error
        return state

    def _erase(self, erasure: Erasure) -> None:
        for path in self._folder.glob(f"*/{_FILE}"):
            # A file that is damaged has what it has: it is searched as lines, and read no better than before.
            if not any(erasure.in_line(line) for line in _lines_of(path)):
                continue
            try:
                state = self._read(path.parent.name)
            except StorageError:
                erase_lines(path, erasure)
                continue
            saved_at = _info(path).saved_at
            facts = (fact for fact in state.facts if not erasure.concerns(fact.fact.text))
            turns = (
                (name, record)
                for name, records in state.conversations.items()
                for record in records
                if not erasure.concerns(record)
            )
            self._write(path.parent.name, facts, turns, saved_at)

    def _all(self) -> list[StateInfo]:
        found = []
        if self._folder.is_dir():
            for path in self._folder.glob(f"*/{_FILE}"):
                try:
                    found.append(_info(path))
                except (OSError, ValueError, KeyError, TypeError) as error:
                    log.warning("%s is no state: %s", path, error)
        return sorted(found, key=lambda info: info.saved_at, reverse=True)

    def _delete(self, name: str) -> None:
        path = self._existing(name)
        try:
            # The file first: a folder without it is no state.
            remove(path)
            shutil.rmtree(path.parent)
        except OSError as error:
            raise StorageError(f"cannot delete the state {name!r} in {path.parent}: {error}") from error

    def _existing(self, name: str) -> Path:
        path = self._folder / name / _FILE
        if not os.path.lexists(path):
            raise UnknownChoiceError("state", name, [info.name for info in self._all()] or ["(none is saved)"])
        return path

    def _free_way_back(self) -> str:
        stamp = _WAY_BACK + time.strftime("%Y%m%d-%H%M%S", time.localtime(self._clock()))
        name, number = stamp, 1
        while os.path.lexists(self._folder / name / _FILE):
            number += 1
            name = f"{stamp}-{number}"
        return name

    def _drop_old_ways_back(self) -> None:
        for info in [info for info in self._all() if info.name.startswith(_WAY_BACK)][_WAYS_BACK:]:
            self._delete(info.name)


def _checked(name: str) -> str:
    if _NAME.fullmatch(name) is None or name.endswith(" "):
        raise ConfigurationError(
            f"{name!r} can be no state's name: up to 64 letters, digits, spaces, hyphens and underscores, "
            "beginning with a letter or digit"
        )
    return name


def _lines_of(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=_WRITE_SIZE) as file:
        yield from file


def _line(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


class _Lines:
    """Hands lines on in large writes, and counts them."""

    def __init__(self, output: IO[bytes]) -> None:
        self.count = self.size = 0
        self._output = output
        self._waiting: list[bytes] = []
        self._bytes = 0

    def add(self, line: bytes) -> None:
        self.count += 1
        self._waiting.append(line)
        self._bytes += len(line)
        if self._bytes > _WRITE_SIZE:
            self.flush()

    def flush(self) -> None:
        self._output.write(b"".join(self._waiting))
        self.size += self._bytes
        self._waiting, self._bytes = [], 0


def _check_head(head: Any) -> None:
    if head["format"] != FORMAT or head["version"] > VERSION:
        raise ValueError("it is no state of this version")


def _take(body: Mapping[str, Any], state: _State, count: int) -> bool:
    """Take a line that is no fact; whether it was the last."""
    if "end" in body:
        if body["end"] != count - 1:
            raise ValueError("lines are missing")
        return True
    state.conversations.setdefault(str(body["conversation"]), []).append(dict(body["record"]))
    return False


def _info(path: Path) -> StateInfo:
    """Read the first and the last line alone."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = json.loads(file.readline())
        file.seek(max(0, size - 200))
        last = json.loads(file.read().splitlines()[-1])
    _check_head(head)
    return StateInfo(path.parent.name, float(head["saved_at"]), int(last["facts"]), size)
