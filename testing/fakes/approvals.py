"""What stands around the approval gate: a clock that jumps, a disk and an audit log in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pipecatapp.domain import ApprovalRequest, AuditEntry, ConversationInfo, TurnRecord
from pipecatapp.errors import StorageError


class JumpingClock:
    """Seconds that go on when the test says so."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def jump(self, seconds: float) -> None:
        self.now += seconds


class MemoryStore:
    """``ports.ApprovalStore`` that outlives the gate. ``broken``: the disk is full."""

    def __init__(self) -> None:
        self.saved: list[ApprovalRequest] = []
        self.broken = False

    async def load(self) -> list[ApprovalRequest]:
        return list(self.saved)

    async def save(self, requests: Sequence[ApprovalRequest]) -> None:
        if self.broken:
            raise StorageError("approvals.json cannot be written: no space left on device")
        self.saved = list(requests)


class MemoryAudit:
    """``ports.AuditLog`` in a list."""

    def __init__(self) -> None:
        self.lines: list[AuditEntry] = []
        self.broken = False

    async def record(self, entry: AuditEntry) -> Mapping[str, Any]:
        if self.broken:
            raise StorageError("audit.jsonl: no space left on device")
        self.lines.append(entry)
        return {"n": len(self.lines), **asdict(entry)}

    async def entries(self, before: int | None = None, limit: int = 50) -> tuple[list[Mapping[str, Any]], bool]:
        numbered = [{"n": n, **asdict(entry)} for n, entry in enumerate(self.lines, start=1)]
        older = [line for line in reversed(numbered) if before is None or line["n"] < before]
        return older[:limit], len(older) > limit

    def decisions(self) -> list[tuple[str, str]]:
        return [(line.decision, line.by) for line in self.lines]


class MemoryConversations:
    """``ports.ConversationStore`` in memory."""

    def __init__(self) -> None:
        self._records: dict[str, list[TurnRecord]] = {}

    async def load(self, conversation: str) -> list[TurnRecord]:
        return list(self._records.get(conversation, []))

    async def append(self, conversation: str, record: TurnRecord) -> None:
        self._records.setdefault(conversation, []).append(record)

    async def amend(self, conversation: str, turn_id: str, assistant_text: str) -> None:
        records = self._records.get(conversation, [])
        records[:] = [record.heard(assistant_text) if record.turn.id == turn_id else record for record in records]

    async def clear(self, conversation: str) -> None:
        self._records.pop(conversation, None)

    async def all(self) -> list[ConversationInfo]:
        return [ConversationInfo(name, len(records), 0.0) for name, records in self._records.items()]
