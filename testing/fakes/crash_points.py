"""Cut the power under the journal at every write and sync, open it again, and compare with what was acknowledged.

A random story (facts are added, said again, corrected, merged, forgotten, embedded; turns are stored and heard; calls
wait and are decided; the audit log grows; lists are written; everything is read afresh) is told once to count the
operations on the disk, then once for every operation with the power cut there. Some stories have a failing disk before
that, some a second power cut while the database recovers, some a kill of the process alone before the power goes.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from pipecatapp.domain import ApprovalRequest, Message, Preview, Risk, Turn, TurnRecord
from pipecatapp.errors import StorageError
from pipecatapp.ports import JournalEvent
from pipecatapp.storage import approvals, conversations, lists
from pipecatapp.storage.fact_table import FactTable
from pipecatapp.storage.part import Storage
from pipecatapp.storage.records import FactAdded, Merged, Record, StoredFact, Vector, to_body
from testing.fakes.crashing_disk import ERRORS, CrashingDisk, PowerCutError

FOLDER = Path("/memory")
# One change: it either happens as a whole or not at all.
Change = Callable[[Storage], None]
State = str


@dataclass
class Verdict:
    """How many crashes there were and what they cost."""

    crash_points: int = 0
    disk_errors: int = 0
    lost: int = 0
    unreadable: int = 0
    details: list[str] = field(default_factory=list)


def run_crash_points(stories: int, *, seed: int = 0, steps: int = 9) -> Verdict:
    """Tell that many stories, each once for every crash point."""
    verdict = Verdict()
    for story in range(stories):
        story_seed = seed * 1_000_003 + story
        length = _Story(story_seed, steps, None).tell()
        for point in range(length):
            verdict.crash_points += 1
            _Story(story_seed, steps, point).judge(verdict)
    return verdict


def state_of(storage: Storage) -> State:
    """Everything that the journal has led to, its vectors too."""
    database = storage.journal.database
    snapshot = storage.journal.snapshot_now()
    vectors = database.execute("SELECT id, model, hex(data) FROM vectors ORDER BY id")
    return re.sub("x{9,}", "xx", json.dumps([[event.topic, event.body] for event in snapshot.events] + [vectors]))


class _Story:
    def __init__(self, seed: int, steps: int, crash_at: int | None) -> None:
        self._seed, self._steps, self._crash_at = seed, steps, crash_at
        self._random = random.Random(seed)
        # The crash's own luck differs from point to point, the story does not.
        self._disk = CrashingDisk(seed * 7919 + (crash_at or 0))
        self._history: list[Change] = []
        # Changes whose fate is open: in flight at the crash, or refused by a disk error and maybe on the platter.
        self._open_fate: list[Change] = []

    def tell(self) -> int:
        """Run to the end without a crash; the number of operations on the disk."""
        self._run()
        return len(self._disk.operations)

    def judge(self, verdict: Verdict) -> None:
        """Run into the crash, recover, compare."""
        assert self._crash_at is not None
        luck = random.Random(self._seed * 31 + self._crash_at)
        if self._crash_at and luck.random() < 0.3:
            self._disk.plan(luck.randrange(self._crash_at), "error")
            verdict.disk_errors += 1
        self._disk.plan(self._crash_at, "power")
        with suppress(PowerCutError):
            self._run()
        where = f"story {self._seed} crash point {self._crash_at}"
        if luck.random() < 0.3:
            # The process alone dies. The next one keeps another fact, and then the power goes.
            self._disk.restart()
            self._inspect(verdict, f"{where}, killed", another=True)
        self._disk.cut_power()
        if luck.random() < 0.3:
            self._disk.plan(luck.randrange(4), "power")
            with suppress(PowerCutError, StorageError):
                self._opened()
            self._disk.cut_power()
        self._inspect(verdict, where)

    def _inspect(self, verdict: Verdict, where: str, *, another: bool = False) -> None:
        try:
            storage = self._opened()
            found = state_of(storage)
        except StorageError as error:
            verdict.unreadable += 1
            verdict.details.append(f"{where}: {error}")
            return
        if not self._settle(found):
            verdict.lost += 1
            verdict.details.append(f"{where}: {found} is none of {self._allowed()}")
        elif another:
            change = _facts(_added(900, "said after the kill"))
            change(storage)
            self._history.append(change)

    def _settle(self, found: State) -> bool:
        """Whether this is what was acknowledged, with any part of what was open; that part has happened then."""
        for size in range(len(self._open_fate) + 1):
            for chosen in combinations(self._open_fate, size):
                if _told([*self._history, *chosen]) == found:
                    self._history += chosen
                    self._open_fate = []
                    return True
        return False

    def _allowed(self) -> list[State]:
        return [
            _told([*self._history, *chosen])
            for size in range(len(self._open_fate) + 1)
            for chosen in combinations(self._open_fate, size)
        ]

    def _run(self) -> None:
        self._storage = self._opened_somehow()
        for number in range(self._steps):
            self._step(number)
        self._close()

    def _step(self, number: int) -> None:
        live = [fact.id for fact in self._storage.facts.live(self._storage.journal.database)]
        kinds = [
            "add",
            "batch",
            "again",
            "correct",
            "merge",
            "forget",
            "embed",
            "turn",
            "heard",
            "ask",
            "audit",
            "list",
            "load",
            "reopen",
        ]
        text = f"fact {number} " + "x" * self._random.choice([0, 10, 3000])
        fact = _added(100 + 2 * number, text)
        match self._random.choice(kinds):
            case "batch":
                self._change(_facts(fact, _added(101 + 2 * number, f"{text} too")))
            case "again" if live:
                self._change(_facts(Merged(self._random.choice(live), (), 5.0)))
            case "correct" if live:
                self._change(_facts(_added(100 + 2 * number, text, self._random.choice(live))))
            case "merge" if len(live) > 1:
                into, dropped = self._random.sample(live, 2)
                self._change(_facts(Merged(into, (dropped,), 6.0)))
            case "forget" if live:
                self._change(_erased(self._random.choice(live)))
            case "embed" if live:
                self._change(_embedded(self._random.choice(live), number))
            case "turn":
                self._change(_turn(number))
            case "heard":
                self._change(_event(conversations.TOPIC, {"conversation": "c", "at": 1.0, "heard": "t0", "text": "hm"}))
            case "ask":
                self._change(_waiting(number))
            case "audit":
                self._change(_event("audit", {"entry": {"tool": f"tool {number}"}}))
            case "list":
                self._change(_listed(number))
            case "load":
                records = [to_body(_added(100 + 2 * number, text)), to_body(_added(101 + 2 * number, "of a state"))]
                self._change(_event("facts", {"all": records, "next": 102 + 2 * number}))
            case "reopen":
                self._close()
                self._storage = self._opened_somehow()
            case _:
                self._change(_facts(fact))

    def _change(self, change: Change) -> None:
        self._open_fate.append(change)
        try:
            change(self._storage)
        except StorageError:
            self._disk.alive()  # or the machine is gone, and the process with it
            return
        # A commit writes over what was refused before it.
        self._history.append(change)
        self._open_fate = []

    def _close(self) -> None:
        self._storage.journal.close_now()
        self._disk.alive()
        self._disk.restart_files()

    def _opened_somehow(self) -> Storage:
        """Opening may meet the planned disk error: then a person frees space and it is opened again."""
        try:
            storage = self._opened()
        except StorageError:
            self._disk.alive()
            self._disk.restart_files()
            storage = self._opened()
        if self._open_fate and not self._settle(state_of(storage)):
            raise AssertionError(f"story {self._seed}: what was acknowledged is gone without a crash")
        return storage

    def _opened(self) -> Storage:
        storage = Storage(FOLDER, clock=lambda: 1.0, connect=self._disk.connect, errors=ERRORS)
        storage.journal.open_now()
        return storage


def _listed(number: int) -> Change:
    """Something is put on a list, and how to take it back is kept: both or neither."""
    item = {"id": f"i{number}", "list": "shopping", "text": f"thing {number}", "place": number, "at": 1.0}
    put = lists.change(lists={"shopping": "shopping"}, items=[item])
    made = {"kind": "lists", "text": "I put it there.", "back": {"drop": [item["id"]]}, "conversation": "c"}

    def change(storage: Storage) -> None:
        storage.journal.append_all_now([put, JournalEvent("changes", {"made": made})])

    return change


def _told(changes: Sequence[Change]) -> State:
    """What these changes lead to where nothing ever goes wrong."""
    storage = Storage(FOLDER, clock=lambda: 1.0, connect=CrashingDisk().connect, errors=ERRORS)
    storage.journal.open_now()
    for change in changes:
        change(storage)
    state = state_of(storage)
    storage.journal.close_now()
    return state


def _event(topic: str, body: dict[str, Any]) -> Change:
    def change(storage: Storage) -> None:
        storage.journal.append_now(JournalEvent(topic, body))

    return change


def _facts(*records: Record) -> Change:
    return _event("facts", {"records": [to_body(record) for record in records]})


def _added(number: int, text: str, *olds: int) -> FactAdded:
    return FactAdded(StoredFact(number, text, "note", "t1", 1.0, last_seen=1.0, supersedes=olds))


def _erased(fact_id: int) -> Change:
    def change(storage: Storage) -> None:
        storage.journal.erase_now("facts", [str(fact_id)])
        with suppress(StorageError):  # tried again at the next start
            storage.journal.scrub_now()

    return change


def _embedded(fact_id: int, number: int) -> Change:
    def change(storage: Storage) -> None:
        database = storage.journal.database
        with database.transaction():
            FactTable().put_vectors(database, {fact_id: Vector.of("toy", bytes([number] * 700))})

    return change


def _turn(number: int) -> Change:
    turn = Turn(f"t{number}", "what is it", "It is this.", "typed", float(number))
    record = conversations.to_body(TurnRecord(turn, (Message("user", "what is it"),)))
    return _event(conversations.TOPIC, {"conversation": "c", "at": float(number), "record": record})


def _waiting(number: int) -> Change:
    request = ApprovalRequest(
        f"a{number % 3}", "d" * 64, "c", "t", "ssh.run_command", {"n": number}, Risk.ACT, Preview("Do it."), "do it",
        1.0, 2.0,
    )  # fmt: skip
    drop = [replace(request, id=f"a{(number + 1) % 3}").id]
    return _event(approvals.TOPIC, {"put": [approvals.to_body(request)], "drop": drop})
