"""What lies in ``STATE_DIR``, made from the settings: the journal with its read models, the events for the page."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pipecatapp.errors import ConfigurationError
from pipecatapp.parts import Part
from pipecatapp.ports import HealthSource
from pipecatapp.settings import Settings
from pipecatapp.storage.approvals import Approvals, ApprovalTable
from pipecatapp.storage.atomic import create_file
from pipecatapp.storage.audit import Audit, AuditTable
from pipecatapp.storage.changes import Changes, ChangeTable
from pipecatapp.storage.conversations import Conversations, ConversationTables
from pipecatapp.storage.database import Connect
from pipecatapp.storage.erasure import Erasure
from pipecatapp.storage.event_log import EventLog
from pipecatapp.storage.fact_table import FactTable
from pipecatapp.storage.journal import SqliteJournal
from pipecatapp.storage.lists import Lists, ListTables
from pipecatapp.storage.migration import drop_old_copies, erase_in_copies, take_over
from pipecatapp.storage.replication.lease import Lease, LeaseTimes
from pipecatapp.storage.replication.link import Access, Link
from pipecatapp.storage.replication.replica import ReplicatedJournal
from pipecatapp.storage.replication.replication import Replication
from pipecatapp.storage.retention import Retention
from pipecatapp.storage.schedule import ScheduleStore, ScheduleTable

log = logging.getLogger(__name__)

# How long the other PCs of a house leave a new log to the one at home, with a memory of their own and without.
_GUEST: dict[str, Any] = {"full_waits_s": 15.0, "empty_waits_s": 60.0}
# A copy of the journal for a backup, until it is on its way.
_COPY = ".journal.db.copy-"


class Storage(Part):
    """Everything that must survive, of one state folder. Its files are opened by whoever needs them first.

    Args:
        folder: STATE_DIR.
        conversation_days: how long what was said is kept; 0: for ever.
        clock: seconds since 1970.
        connect, errors: how the database is opened; tests put a disk there that crashes.
        access: the servers that have the journal, too; None: it is this PC's alone.
        name: this PC's, for the others.
        times, replication: of ``Lease`` and ``Replication``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        conversation_days: int = 0,
        clock: Callable[[], float] = time.time,
        connect: Connect | None = None,
        errors: tuple[type[Exception], ...] = (sqlite3.Error,),
        access: Access | None = None,
        name: str = "",
        times: LeaseTimes | None = None,
        **replication: Any,
    ) -> None:
        self.folder = folder
        self.facts = facts = FactTable()
        turns, waiting, lines = ConversationTables(), ApprovalTable(), AuditTable()
        made, listed, due = ChangeTable(), ListTables(), ScheduleTable()
        models = (facts, turns, waiting, lines, made, listed, due)

        def older(at: Path, journal: SqliteJournal) -> list[str]:
            return take_over(at, journal.path, lambda there: SqliteJournal(there, models), facts, clock())

        kind = SqliteJournal if access is None else ReplicatedJournal
        self.journal = journal = kind(
            folder, models, older=older if connect is None else None, connect=connect, errors=errors, clock=clock
        )
        self.replication: Replication | None = None
        if access is not None and isinstance(journal, ReplicatedJournal):
            link = Link(access)
            self.replication = Replication(journal, link, Lease(link, name, times), **replication)
        self.conversations = Conversations(journal, turns, clock)
        self.approvals = Approvals(journal, waiting)
        self.audit = Audit(journal, lines)
        self.changes = Changes(journal, made, clock)
        self.lists = Lists(journal, listed)
        self.schedule = ScheduleStore(journal, due, self.changes)
        self._events: EventLog | None = None
        self._retention = Retention(conversation_days, [self.expire])

    @property
    def events(self) -> EventLog:
        """The events of the page. The hub closes it."""
        if self._events is None:
            self._events = EventLog(self.folder / "events")
        return self._events

    async def start(self) -> None:
        """Follow the other PCs, and erase what is too old, now and daily; in the background."""
        if self.replication is not None:
            await self.replication.start()
        self._retention.start()

    async def stop(self) -> None:
        """Let go of the files."""
        await self._retention.stop()
        if self.replication is not None:
            await self.replication.stop()
        await self.journal.close()

    @property
    def health(self) -> Mapping[str, HealthSource]:
        """The component ``journal``, where others have it, too."""
        return {} if self.replication is None else {"journal": self.replication}

    @property
    def state(self) -> Literal["active", "standby", "cut_off", "alone"]:
        """What this PC is among those that have the journal."""
        return "alone" if self.replication is None else self.replication.state

    def on_leading(self, then: Callable[[bool], Awaitable[None]]) -> None:
        """``then`` is called when this PC becomes the active one (``Replication.on_leading``)."""
        if self.replication is not None:
            self.replication.on_leading(then)

    async def copy_journal(self) -> Path:
        """Write the journal as it is, without what was deleted, into a file beside it; whoever takes it removes it."""
        return await self.journal.run(self._copy_journal)

    async def erase(self, erasure: Erasure) -> None:
        """Before facts are erased: the turns in which they were said, what calls repeat of them, and old files."""
        await self.journal.run(self._erase, erasure)

    async def expire(self, days: int) -> None:
        """Erase turns and events that are older than so many days (0: none), and old files whose time is over."""
        if self.state not in ("alone", "active"):
            days = 0  # the active one does it
        if days and (gone := await self.conversations.expire(days)):
            log.info("erased %d turns that were older than %d days", gone, days)
        if self._events is not None:
            await self._events.expire(days)
        await self.journal.run(drop_old_copies, self.folder, time.time())

    def _copy_journal(self) -> Path:
        for leftover in self.folder.glob(f"{_COPY}*"):
            leftover.unlink()
        target = self.folder / f"{_COPY}{secrets.token_hex(4)}"
        create_file(target, b"")
        self.journal.database.execute("VACUUM INTO ?", (str(target),))
        return target

    def _erase(self, erasure: Erasure) -> None:
        self.conversations.erase_now(erasure)
        erase_in_copies(self.folder, erasure)
        self.audit.erase_now(erasure)
        self.changes.erase_now(erasure)
        self.lists.erase_now(erasure)
        self.schedule.erase_now(erasure)


def create(settings: Settings) -> Storage:
    """The state folder, made where it is not there yet; nothing in it is opened.

    Raises:
        ConfigurationError: it cannot be written.
    """
    _prepare(settings.state_dir)
    return Storage(
        settings.state_dir,
        conversation_days=settings.conversation_days,
        access=access_of(settings),
        name=socket.gethostname(),
        **({} if settings.journal_home else _GUEST),
    )


def access_of(settings: Settings) -> Access | None:
    """How the servers that have the journal, too, are reached; None where there are none."""
    access = Access(
        settings.journal_servers,
        settings.nats_user,
        settings.nats_password,
        settings.nats_ca,
        settings.nats_certificate,
        settings.nats_key,
    )
    return access if access.servers else None


def _prepare(folder: Path) -> None:
    """Make sure that the state can be kept, before anything else fails in a less clear way."""
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"STATE_DIR {folder} cannot be written: {error.strerror}; run as its owner, or name another folder"
        ) from error
