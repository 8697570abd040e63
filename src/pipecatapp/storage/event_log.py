"""Events on disk: one append-only JSON Lines file per conversation, written by a thread of its own.

A file may end in a torn line (the process was killed while writing): reading cuts it off, so that the next line
starts clean. A file that has grown is replaced, atomically, by its newest events.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipecatapp.errors import ConfigurationError
from pipecatapp.storage.atomic import append_lines, replace_file
from pipecatapp.storage.conversations import valid_id
from pipecatapp.storage.erasure import Erasure, erase_lines

log = logging.getLogger(__name__)

Record = dict[str, Any]
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    """One line of the list of recent conversations. ``title`` is its first request that is still kept."""

    id: str
    title: str
    updated_at: float


class EventLog:
    """The events of all conversations under one folder."""

    def __init__(self, folder: Path, *, keep_conversations: int = 200) -> None:
        self._folder = folder
        self._keep_conversations = keep_conversations
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        try:
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"cannot create {folder}: {error.strerror}; check STATE_DIR and its owner"
            ) from error
        self._forget_oldest()
        self._thread = threading.Thread(target=self._work, name="event-journal", daemon=True)
        self._thread.start()

    def load(self, conversation: str) -> list[Record]:
        """Everything kept of a conversation, oldest first."""
        self.flush()
        path = self._path(conversation)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(path, len(whole))
        records = []
        for line in whole.splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                log.warning("skipped an unreadable event in %s", path.name)
                continue
            if isinstance(record, dict) and isinstance(record.get("seq"), int):
                records.append(record)
        return records

    def append(self, conversation: str, line: str) -> None:
        """Add one event, already in JSON. Returns at once."""
        path = self._path(conversation)

        def job() -> None:
            append_lines(path, f"{line}\n".encode("utf-8", "replace"), sync=False)

        self._jobs.put(job)

    def replace(self, conversation: str, lines: Sequence[str]) -> None:
        """Keep only these events. Returns at once."""
        path = self._path(conversation)
        text = "".join(line + "\n" for line in lines)

        def job() -> None:
            replace_file(path, text.encode("utf-8", "replace"))

        self._jobs.put(job)

    def erase(self, erasure: Erasure) -> None:
        """Take events out of all files; when it returns they have left the disk. Blocks: call it in a thread."""

        def job() -> None:
            for path in self._files():
                erase_lines(path, erasure)

        self._jobs.put(job)
        self.flush()

    async def expire(self, days: int) -> None:
        """Take out what is older than so many days (0: nothing), in a while."""
        if days:
            self._jobs.put(lambda: self._drop_older_than(time.time() - days * _DAY_S))

    def recent(self, limit: int = 20) -> list[ConversationSummary]:
        """The conversations that changed last, newest first. Reads files: call it in a thread."""
        self.flush()
        found = []
        for path in self._files()[:limit]:
            title = self._title(path)
            if title:
                found.append(ConversationSummary(path.stem, title, path.stat().st_mtime))
        return found

    def flush(self) -> None:
        """Wait until everything handed over so far is written."""
        if not self._thread.is_alive():
            return
        done = threading.Event()
        self._jobs.put(done.set)
        done.wait()

    def close(self) -> None:
        """Write what is left and end the thread."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:
                # Whatever it was, this thread goes on: who waits for it (flush) would wait for ever.
                log.exception("an event could not be written to %s", self._folder)

    def _drop_older_than(self, oldest: float) -> None:
        for path in self._files():
            if path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)
            elif _is_older(_first_line(path), oldest):
                lines = path.read_bytes().splitlines(keepends=True)
                replace_file(path, b"".join(line for line in lines if not _is_older(line, oldest)))

    def _path(self, conversation: str) -> Path:
        if not valid_id(conversation):
            raise ValueError(f"not a conversation id: {conversation!r}")
        return self._folder / f"{conversation}.jsonl"

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime, reverse=True)

    def _forget_oldest(self) -> None:
        for path in self._files()[self._keep_conversations :]:
            path.unlink(missing_ok=True)

    @staticmethod
    def _title(path: Path) -> str:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    record = json.loads(line)
                except ValueError:
                    continue
                if isinstance(record, dict) and record.get("type") == "user":
                    return " ".join(str(record.get("text", "")).split())[:80]
        return ""


def _first_line(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.readline()


def _is_older(line: bytes, oldest: float) -> bool:
    """Whether an event says that it happened before then."""
    try:
        at = json.loads(line)["at"]
    except (ValueError, KeyError, TypeError):
        return False
    return isinstance(at, int | float) and at < oldest
