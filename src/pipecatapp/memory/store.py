"""The record file: every change is on the disk before it is acknowledged, and a kill at any instant leaves a file that
opens.

``long_term_memory.jsonl`` only grows until a compaction replaces it by a file that holds the facts as they are. What
does not belong there is set aside under another name, never overwritten and never a reason not to start.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipecatapp.errors import StorageError
from pipecatapp.memory.ledger import Change, Ledger
from pipecatapp.memory.records import (
    VERSION,
    BadRecordError,
    Embedded,
    FactAdded,
    Header,
    Record,
    Vector,
    decode,
    decode_header,
    encode,
)
from pipecatapp.storage.files import Files, Lock, OutputFile, keep_copy, set_aside

log = logging.getLogger(__name__)

NAME = "long_term_memory"
# Fewer superfluous lines than this are not worth a compaction.
_MIN_GARBAGE = 1000
_WRITE_SIZE = 1 << 20

OnVector = Callable[[int, Vector], None]
VectorOf = Callable[[int], Vector | None]


@dataclass(slots=True)
class _Reading:
    """What was found in a record file."""

    header: Header | None = None
    version: int = VERSION
    records: int = 0
    good_until: int = 0
    size: int = 0
    bad_lines: list[int] = field(default_factory=list)

    @property
    def torn(self) -> bool:
        """The end is a write that a kill interrupted."""
        return self.size > self.good_until

    @property
    def foreign(self) -> bool:
        return self.header is None and self.records == 0


class RecordStore:
    """The facts, and the record file that they can always be read from again.

    ``vector_of`` gives a fact's vector for a compaction, so that vectors need not lie in memory twice.
    Methods block: call them in a thread. ``commit`` and ``compact`` exclude each other; readers of ``ledger`` hold
    ``reading`` while they look.
    """

    def __init__(self, folder: Path, files: Files, *, clock: Callable[[], float], vector_of: VectorOf) -> None:
        self.path = folder / f"{NAME}.jsonl"
        self.ledger = Ledger()
        # Changes whenever an id may come to mean another fact: with a new file and after damage.
        self.book = secrets.token_hex(8)
        self.notices: list[str] = []
        self.reading = threading.Lock()
        self.writing = threading.RLock()
        self._folder = folder
        self._files = files
        self._clock = clock
        self._vector_of = vector_of
        self._lock: Lock | None = None
        self._output: OutputFile | None = None
        self._lines = self._size = 0
        # After a failed fsync nobody knows what is on the disk: only a new file is trusted then.
        self._doubtful = False
        # The first write after an opening starts a line of its own, whatever the platter holds at the end of the last.
        self._separator = b""

    def open(self, on_book: Callable[[str], None], on_vector: OnVector) -> None:
        """Take the lock, read the file, mend what a kill left, set aside what is not ours.

        ``on_book`` hears once which book the file is, before ``on_vector`` hears of the vectors in it.

        Raises:
            StorageError: another process has the lock, or the folder cannot be read or written.
        """
        try:
            self._files.make_folder(self._folder)
            self._lock = self._files.lock(self._folder / f"{NAME}.lock")
            self._recover(on_book, on_vector)
        except OSError as error:
            self._release()
            raise StorageError(
                f"cannot open the memory {self.path}: {error}; check the folder and its owner"
            ) from error
        except BaseException:
            self._release()
            raise

    def close(self) -> None:
        """Let go of the file and the lock. Everything acknowledged is on the disk already."""
        with self.writing:
            self._release()

    def commit(self, records: Sequence[Record], on_change: Callable[[Change], None] | None = None) -> None:
        """Write the records, wait until they survive a power cut, then let them happen.

        ``on_change`` hears of each change in the same breath (under ``reading``), so that indexes stay in step.

        Raises:
            StorageError: they could not be written; nothing happened, and the next commit repairs the file first.
        """
        if not records:
            return
        with self.writing:
            output = self._ready()
            data = self._separator + b"".join(map(encode, records))
            try:
                output.write(data)
                output.sync()
            except OSError as error:
                self._take_back(output)
                raise StorageError(f"cannot write to the memory {self.path}: {error}; free some disk space") from error
            self._size += len(data)
            self._separator = b""
            self._lines += len(records)
            with self.reading:
                for record in records:
                    change = self.ledger.apply(record)
                    if on_change is not None:
                        on_change(change)

    @property
    def wasteful(self) -> bool:
        """Many of the file's lines say nothing that is still so (a fact and its vector are two lines)."""
        return self._lines > 2 * self.ledger.known + _MIN_GARBAGE

    def compact(self) -> None:
        """Replace the file by one that holds the facts as they are.

        Raises:
            StorageError: the new file could not be written; the old one is still in use.
        """
        with self.writing:
            self._opened()
            try:
                self._rewrite()
            except OSError as error:
                raise StorageError(f"cannot rewrite the memory {self.path}: {error}; free some disk space") from error

    def replace(self, ledger: Ledger) -> None:
        """Put other facts in the place of all: either these or those are there, whenever it is killed.

        Their ids are ones that this book has not given yet.

        Raises:
            StorageError: they could not be written; the old facts are still there.
        """
        with self.writing:
            self._opened()
            old = self.ledger
            with self.reading:
                self.ledger = ledger
            try:
                self._rewrite()
            except BaseException as error:
                with self.reading:
                    self.ledger = old
                if isinstance(error, OSError):
                    raise StorageError(
                        f"cannot rewrite the memory {self.path}: {error}; free some disk space"
                    ) from error
                raise

    def _recover(self, on_book: Callable[[str], None], on_vector: OnVector) -> None:
        self._files.remove(self._fresh_path)
        if not self._files.exists(self.path):
            on_book(self.book)
            self._rewrite()
            return
        found = self._read(on_book, on_vector)
        if found.version > VERSION or (found.foreign and found.size):
            why = f"version{found.version}" if found.version > VERSION else "foreign"
            aside = set_aside(self._files, self.path, why, self._clock())
            self._notice(f"{self.path.name} is not a memory of this program; it is kept as {aside.name}")
            self.ledger = Ledger()
            self._rewrite()
        elif found.size == 0:
            self._rewrite()
        elif found.header is None or found.bad_lines:
            aside = keep_copy(self._files, self.path, "damaged", self._clock())
            where = ", ".join(map(str, found.bad_lines[:5])) or "1"
            self._notice(
                f"{self.path.name} is damaged at line {where}: {found.records} records were saved; "
                f"the file as it was is kept as {aside.name}"
            )
            self._rewrite()
        else:
            self.book = found.header.book
            self._output, self._size, self._separator = self._files.append(self.path), found.good_until, b"\n"
            if found.torn:
                self._output.truncate(found.good_until)
                log.info("cut off a write that was interrupted (%d bytes)", found.size - found.good_until)
            # What was read may lie in the page cache alone, and its name too: a kill keeps both, a power cut neither.
            self._output.sync()
            self._files.sync_folder(self._folder)

    def _read(self, on_book: Callable[[str], None], on_vector: OnVector) -> _Reading:
        found = _Reading()
        try:
            lines = self._files.lines(self.path)
            for number, line in enumerate(lines, start=1):
                found.size += len(line)
                if not line.endswith(b"\n"):
                    break
                if line == b"\n":
                    found.good_until = found.size
                    continue
                if number == 1:
                    self._read_header(line, found)
                    on_book(found.header.book if found.header and found.version <= VERSION else self.book)
                    if found.version > VERSION:
                        return found
                    if found.header is not None:
                        continue
                try:
                    record = decode(line)
                except BadRecordError:
                    found.bad_lines.append(number)
                    continue
                finally:
                    found.good_until = found.size
                found.records += 1
                self.ledger.apply(record)
                if isinstance(record, FactAdded | Embedded) and record.vector is not None:
                    on_vector(record.fact.id if isinstance(record, FactAdded) else record.id, record.vector)
        except IsADirectoryError:
            found.size = 1
        if found.good_until == 0 and not found.bad_lines:
            on_book(self.book)
        self._lines = found.records
        return found

    def _read_header(self, line: bytes, found: _Reading) -> None:
        try:
            found.header, found.version = decode_header(line)
        except BadRecordError:
            return
        self.ledger.next_id = max(self.ledger.next_id, found.header.next_id)
        found.good_until = found.size

    def _rewrite(self) -> None:
        """Write everything to a new file and put it in the place of the old one."""
        output = self._files.create(self._fresh_path)
        pending = [encode(Header(self.ledger.next_id, self.book))]
        lines, total, size = 0, len(pending[0]), 0
        try:
            for fact in sorted(self.ledger.everything(), key=lambda fact: fact.id):
                vector = self._vector_of(fact.id) if self.ledger.get(fact.id) else None
                pending.append(encode(FactAdded(fact, vector)))
                lines += 1
                size += len(pending[-1])
                total += len(pending[-1])
                if size > _WRITE_SIZE:
                    output.write(b"".join(pending))
                    pending, size = [], 0
            output.write(b"".join(pending))
            output.sync()
            # From here on the name may stand for either file until the folder is synced.
            self._doubtful = True
            self._files.rename(self._fresh_path, self.path)
        except BaseException:
            output.close()
            raise
        if self._output is not None:
            self._output.close()
        self._output, self._lines, self._size, self._separator = output, lines, total, b""
        self._files.sync_folder(self._folder)
        self._doubtful = False

    def _take_back(self, output: OutputFile) -> None:
        """Cut off what a failed write left, so that neither this process nor the next takes it for a fact."""
        self._doubtful = True
        try:
            output.truncate(self._size)
        except OSError as error:
            log.error("cannot cut a failed write off %s: %s", self.path, error)

    def _ready(self) -> OutputFile:
        self._opened()
        if self._doubtful:
            self.compact()
        if self._output is None:
            raise StorageError(f"the memory {self.path} is closed")
        return self._output

    def _opened(self) -> None:
        if self._lock is None:
            raise StorageError(f"the memory {self.path} is closed")

    def _release(self) -> None:
        if self._output is not None:
            self._output.close()
        if self._lock is not None:
            self._lock.release()
        self._output = self._lock = None

    def _notice(self, text: str) -> None:
        log.warning("%s", text)
        self.notices.append(text)

    @property
    def _fresh_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.new")
