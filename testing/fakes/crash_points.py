"""Kill the memory's record store at every operation on the disk, open it again, and compare with what was acknowledged.

A random story (add, say again, correct, merge, forget, embed, compact, close and open) is told once to count the
operations on the disk, then once for every operation with the power cut there; some stories have a failing disk
before that, some a second power cut while the store recovers.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from pipecatapp.errors import StorageError
from pipecatapp.memory.ledger import Ledger
from pipecatapp.memory.records import Embedded, FactAdded, Forgotten, Merged, Record, StoredFact, Vector
from pipecatapp.memory.store import RecordStore
from testing.fakes.crashing_disk import CrashingDisk, PowerCutError

FOLDER = Path("/memory")

# All facts (id, text, seen, history) and the ids of those that can be recalled.
State = tuple[tuple[tuple[int, str, int, tuple[int, ...]], ...], tuple[int, ...]]


@dataclass
class Verdict:
    """How many crashes there were and what they cost."""

    crash_points: int = 0
    disk_errors: int = 0
    lost: int = 0
    unreadable: int = 0
    details: list[str] = field(default_factory=list)


def run_crash_points(stories: int, *, seed: int = 0, steps: int = 12) -> Verdict:
    """Tell that many stories, each once for every crash point."""
    verdict = Verdict()
    for story in range(stories):
        story_seed = seed * 1_000_003 + story
        length = _Story(story_seed, steps, None).tell()
        for point in range(length):
            verdict.crash_points += 1
            _Story(story_seed, steps, point).judge(verdict)
    return verdict


class _Story:
    def __init__(self, seed: int, steps: int, crash_at: int | None) -> None:
        self._seed, self._steps, self._crash_at = seed, steps, crash_at
        self._random = random.Random(seed)
        # The crash's own luck differs from point to point, the story does not.
        self._disk = CrashingDisk(seed * 7919 + (crash_at or 0))
        self._acknowledged = Ledger()
        # Records whose fate is open: in flight at the crash, or refused by a disk error and maybe on the platter.
        self._open_fate: list[Record] = []
        self._store = self._new_store()

    def tell(self) -> int:
        """Run to the end without a crash; the number of operations on the disk."""
        self._run()
        return len(self._disk.operations)

    def judge(self, verdict: Verdict) -> None:
        """Run into the crash, recover, compare."""
        assert self._crash_at is not None
        errors = random.Random(self._seed * 31 + self._crash_at)
        if self._crash_at and errors.random() < 0.3:
            self._disk.plan(errors.randrange(self._crash_at), "error")
            verdict.disk_errors += 1
        self._disk.plan(self._crash_at, "power")
        with suppress(PowerCutError):
            self._run()
        where = f"story {self._seed} crash point {self._crash_at}"
        if errors.random() < 0.3:
            # The process alone dies. The next one keeps another fact, and then the power goes.
            self._disk.kill_process()
            self._inspect(verdict, f"{where}, killed", another=True)
        self._disk.cut_power()
        if errors.random() < 0.3:
            self._disk.plan(errors.randrange(4), "power")
            with suppress(PowerCutError):
                self._new_store().open(lambda _book: None, lambda _id, _vector: None)
            self._disk.cut_power()
        self._inspect(verdict, where)

    def _inspect(self, verdict: Verdict, where: str, *, another: bool = False) -> None:
        store = self._new_store()
        try:
            store.open(lambda _book: None, lambda _id, _vector: None)
        except StorageError as error:
            verdict.unreadable += 1
            verdict.details.append(f"{where}: {error}")
            return
        if (found := _state(store.ledger)) not in self._allowed():
            verdict.lost += 1
            verdict.details.append(f"{where}: {found} is none of {self._allowed()}")
        if another:
            record = FactAdded(StoredFact(store.ledger.next_id, "said after the kill", "note", "t2", 2.0))
            store.commit([record])
            self._history.append(record)

    def _allowed(self) -> list[State]:
        """What was acknowledged, and that with any part of what was in flight."""
        states = []
        for size in range(len(self._open_fate) + 1):
            for chosen in combinations(self._open_fate, size):
                ledger = Ledger()
                for record in [*self._history, *chosen]:
                    ledger.apply(record)
                states.append(_state(ledger))
        return states

    def _run(self) -> None:
        self._history: list[Record] = []
        self._opened(self._store)
        for _ in range(self._steps):
            self._step()

    def _step(self) -> None:
        live = [fact.id for fact in self._acknowledged.facts()]
        match self._random.choice(
            ["add", "add", "batch", "again", "correct", "merge", "forget", "embed", "compact", "reopen"]
        ):
            case "add":
                self._commit([self._kept()])
            case "batch":
                first = self._kept()
                self._commit([first, self._kept(number=first.fact.id + 1)])
            case "again" if live:
                self._commit([Merged(self._random.choice(live), (), 5.0)])
            case "correct" if live:
                self._commit([self._kept(old=(self._random.choice(live),))])
            case "merge" if len(live) > 1:
                into, dropped = self._random.sample(live, 2)
                self._commit([Merged(into, (dropped,), 6.0)])
            case "forget" if live:
                self._commit([Forgotten((self._random.choice(live),), 7.0)])
            case "embed" if live:
                self._commit([Embedded(self._random.choice(live), Vector("toy", "AAAA"))])
            case "compact":
                self._tolerate(self._store.compact)
            case "reopen":
                self._store.close()
                self._store = self._new_store()
                self._opened(self._store)

    def _commit(self, records: Sequence[Record]) -> None:
        before = list(self._open_fate)
        self._open_fate = [*before, *records]
        try:
            self._store.commit(records)
        except StorageError:
            return
        # The commit has repaired the file: what was refused earlier is not in it.
        self._open_fate = []
        for record in records:
            self._history.append(record)
            self._acknowledged.apply(record)

    def _opened(self, store: RecordStore) -> None:
        """Opening may meet the planned disk error: then a person frees space and it is opened again."""
        try:
            store.open(lambda _book: None, lambda _id, _vector: None)
        except StorageError:
            store.open(lambda _book: None, lambda _id, _vector: None)
        if self._open_fate:
            self._settle(store)

    def _settle(self, store: RecordStore) -> None:
        """A refused record that is found at the next opening has happened after all."""
        state = _state(store.ledger)
        for size in range(len(self._open_fate) + 1):
            for chosen in combinations(self._open_fate, size):
                ledger = Ledger()
                for record in [*self._history, *chosen]:
                    ledger.apply(record)
                if _state(ledger) == state:
                    self._history += chosen
                    self._acknowledged, self._open_fate = ledger, []
                    return
        raise AssertionError(f"story {self._seed}: an acknowledged fact is gone without a crash")

    def _tolerate(self, action: object) -> None:
        assert callable(action)
        try:
            action()
        except StorageError:
            return
        self._open_fate = []

    def _kept(self, old: tuple[int, ...] = (), number: int = 0) -> FactAdded:
        number = number or self._store.ledger.next_id
        text = f"fact {number} " + "x" * self._random.choice([0, 10, 3000])
        return FactAdded(StoredFact(number, text, "note", "t1", 1.0, last_seen=1.0, supersedes=old))

    def _new_store(self) -> RecordStore:
        return RecordStore(FOLDER, self._disk, clock=lambda: 0.0, vector_of=lambda _id: None)


def _state(ledger: Ledger) -> State:
    return (
        tuple(sorted((fact.id, fact.text[:12], fact.seen, fact.supersedes) for fact in ledger.everything())),
        tuple(sorted(fact.id for fact in ledger.facts())),
    )
