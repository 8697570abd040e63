"""A gate that never opens: where nobody can be asked, no call that acts is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from pipecatapp.domain import ApprovalRequest, AuditEntry, Preview, ToolCall, ToolSpec
from pipecatapp.errors import ToolError
from pipecatapp.events import Event
from pipecatapp.ports import ToolContext
from pipecatapp.twin.act.approvals import ApprovalGate
from pipecatapp.twin.act.audit import Auditor


class ClosedGate(ApprovalGate):
    """Nothing ever waits here, so nothing can be answered either. Writes nothing down."""

    def __init__(self) -> None:
        super().__init__(_Nothing(), Auditor(_Nothing(), _Nothing()), _Nothing(), mode="deny")

    async def ask(
        self,
        call: ToolCall,
        spec: ToolSpec,
        preview: Preview,
        context: ToolContext,
        after: ApprovalRequest | None = None,
    ) -> NoReturn:
        """Refuse.

        Raises:
            ToolError: always.
        """
        raise ToolError(f"{call.name} acts on the world, and that is not allowed here")


class _Nothing:
    """A disk, an audit log and a page that keep and show nothing."""

    async def load(self) -> list[ApprovalRequest]:
        return []

    async def save(self, requests: Sequence[ApprovalRequest]) -> None:
        """Nothing is kept."""

    async def record(self, entry: AuditEntry) -> Mapping[str, Any]:
        return {}

    async def entries(self, before: int | None = None, limit: int = 50) -> tuple[list[Mapping[str, Any]], bool]:
        return [], False

    def emit(self, event: Event) -> None:
        """Nobody listens."""
