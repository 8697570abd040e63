"""The requests that are not told to the end, in memory as on the disk."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from pipecatapp.domain import ApprovalRequest, ApprovalState
from pipecatapp.ports import ApprovalStore

_REMEMBERED = 256  # ids of requests that are gone, to tell "decided" from "unknown"


class ApprovalRecords:
    """Every change is on the disk before it shows here, so what raised StorageError did not happen.

    Args:
        store: keeps them over restarts.
    """

    def __init__(self, store: ApprovalStore) -> None:
        self._store = store
        self._requests: dict[str, ApprovalRequest] = {}
        self._gone: OrderedDict[str, ApprovalState] = OrderedDict()

    def __iter__(self) -> Iterator[ApprovalRequest]:
        """Oldest first; changes meanwhile are not seen."""
        return iter(list(self._requests.values()))

    def get(self, request_id: str) -> ApprovalRequest | None:
        """The request, while it is not gone."""
        return self._requests.get(request_id)

    def ended_as(self, request_id: str) -> ApprovalState | None:
        """How a request stood that is gone; None for one that there never was."""
        return self._gone.get(request_id)

    async def read(self) -> None:
        """What the last run of the program left."""
        self._requests = {request.id: request for request in await self._store.load()}

    async def put(self, request: ApprovalRequest, instead_of: str = "") -> None:
        """Keep a request, new or changed; ``instead_of``: another one is gone in the same instant."""
        await self._become({**self._requests, request.id: request}, instead_of)

    async def drop(self, request_id: str) -> None:
        """It is told to the end."""
        await self._become(dict(self._requests), request_id)

    async def _become(self, requests: dict[str, ApprovalRequest], gone: str) -> None:
        dropped = requests.pop(gone, None)
        await self._store.save(list(requests.values()))
        self._requests = requests
        if dropped is not None:
            self._gone[gone] = dropped.state
        while len(self._gone) > _REMEMBERED:
            self._gone.popitem(last=False)
