"""The gate: a call that acts on the world waits here, as data, for a person's yes to exactly this call.

    pending --yes--> approved --begin--> started --close--> (gone)
       |--no--> refused --close--> (gone)      `--restart--> lost --close--> (gone)
       `--two minutes--> expired --close--> (gone)

Every arrow is on the disk before anything follows from it, ``started`` before the tool runs: so a call runs at most
once, whenever the program is killed. A yes names the request and the digest of the call that was shown. What was
decided while no turn was waiting for it is handed to ``on_settled``, which has a turn tell it.

The gate never sees what the model writes but as the call that it asks for: no text can answer it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, Literal, TypeVar

from pipecatapp.domain import ApprovalRequest, ApprovalState, Preview, Risk, ToolCall, ToolResult, ToolSpec
from pipecatapp.errors import SettledError, ToolError, UnfitDecisionError, UnknownRequestError
from pipecatapp.events import ApprovalDecided, ApprovalRequested
from pipecatapp.ports import ApprovalStore, EventSink, ToolContext
from pipecatapp.twin.act.audit import Auditor, digest_of, digest_of_spec
from pipecatapp.twin.act.masking import mask

logger = logging.getLogger(__name__)

Decision = Literal["approve", "refuse"]
Scope = Literal["once", "session"]
T = TypeVar("T")

LIFETIME_S = 120.0
MAX_PENDING = 4  # of one conversation
ALOUD = frozenset({"voice", "typed"})  # ways of answering that are words in the conversation
READ_OUT_AT_MOST = 300  # characters; who did not hear all of a call cannot say yes to it
STOPPED = "it was stopped before it began"
_AGAIN_S = 3.0
_REMEMBERED = 256  # ids of requests that are gone, to tell "decided" from "unknown"


def by_voice(request: ApprovalRequest) -> bool:
    """Whether a yes in the conversation is enough."""
    said = " ".join(request.preview.sentence.split())
    # Nobody hears characters that cannot be seen.
    return request.risk is Risk.ACT and request.preview.whole and said.isprintable() and len(said) <= READ_OUT_AT_MOST


class ApprovalGate:
    """All requests of all conversations.

    Args:
        store: keeps them over restarts.
        auditor: writes down what happens.
        sink: tells the page.
        mode: ``deny`` refuses every call.
        clock: seconds since 1970.
        lifetime_s: how long a request waits.
        limit: how many may wait in one conversation.
    """

    def __init__(
        self,
        store: ApprovalStore,
        auditor: Auditor,
        sink: EventSink,
        *,
        mode: Literal["ask", "deny"] = "ask",
        clock: Callable[[], float] = time.time,
        lifetime_s: float = LIFETIME_S,
        limit: int = MAX_PENDING,
    ) -> None:
        self.auditor = auditor
        self._store = store
        self._sink = sink
        self._mode = mode
        self._clock = clock
        self._lifetime_s = lifetime_s
        self._limit = limit
        self._requests: dict[str, ApprovalRequest] = {}
        self._gone: OrderedDict[str, ApprovalState] = OrderedDict()
        self._grants: set[tuple[str, str, str]] = set()  # conversation, tool (as it was), scope
        self._lock = asyncio.Lock()
        self._loaded = False
        self._settled: Callable[[ApprovalRequest], None] = _nobody
        self._changed = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    # The beginning and the end of the program.

    def on_settled(self, tell: Callable[[ApprovalRequest], None]) -> None:
        """From now on ``tell`` hears of every request that was settled outside of a turn."""
        self._settled = tell

    async def open(self) -> None:
        """Read what was waiting when the program ended, and from now on end what waits too long."""
        try:
            async with self._lock:
                await self._load()
        finally:
            if self._watch is None:  # what failed now may work later
                self._watch = asyncio.create_task(self._expire_in_time(), name="approvals expire")

    async def aclose(self) -> None:
        """Stop watching; what waits stays on the disk."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            await asyncio.wait([watch])

    # What waits.

    def pending(self, conversation: str | None = None) -> list[ApprovalRequest]:
        """The requests that can still be answered, oldest first."""
        now = self._clock()
        return [
            request
            for request in self._requests.values()
            if request.state is ApprovalState.PENDING
            and now < request.expires_at
            and conversation in (None, request.conversation)
        ]

    def get(self, request_id: str) -> ApprovalRequest | None:
        """The request, while it is not told to the end."""
        return self._requests.get(request_id)

    # From the model.

    async def ask(self, call: ToolCall, spec: ToolSpec, preview: Preview, context: ToolContext) -> ApprovalRequest:
        """Let a call wait for a person; the one that waits already, if it is the same.

        Raises:
            ToolError: nobody is asked, and why.
        """
        return await _uninterrupted(self._ask(call, spec, preview, context))

    async def _ask(self, call: ToolCall, spec: ToolSpec, preview: Preview, context: ToolContext) -> ApprovalRequest:
        digest = digest_of(call.name, call.arguments)
        async with self._lock:
            await self._load()
            waiting = self.pending(context.conversation)
            same = next((request for request in waiting if request.digest == digest), None)
            if same is not None:
                return same
            if self._mode == "deny":
                await self.auditor.call(call, spec, context, "refused", "settings")
                raise ToolError(f"{call.name} acts on the world, and APPROVAL_MODE=deny forbids that here")
            if len(waiting) >= self._limit:
                await self.auditor.call(call, spec, context, "refused", "limit")
                raise ToolError(f"{len(waiting)} requests wait for an answer already; those have to be answered first")
            now = self._clock()
            request = ApprovalRequest(
                id=secrets.token_hex(8),
                digest=digest,
                conversation=context.conversation,
                turn=context.turn,
                tool=call.name,
                arguments=dict(call.arguments),
                risk=spec.risk,
                preview=preview,
                words=context.words,
                requested_at=now,
                expires_at=now + self._lifetime_s,
                spec_digest=digest_of_spec(spec),
            )
            await self.auditor.request(request, "requested", "model")
            await self._put(request)
        self._show(request)
        return request

    async def allowed(self, call: ToolCall, spec: ToolSpec, preview: Preview, context: ToolContext) -> bool:
        """Whether the person allowed such calls for this session; then this is noted as decided by that."""
        key = (context.conversation, digest_of_spec(spec), preview.scope)
        if self._mode == "deny" or not preview.scope or key not in self._grants:
            return False
        await self.auditor.call(call, spec, context, "approved", "session")
        return True

    # From the person.

    async def decide(
        self,
        request_id: str,
        digest: str,
        decision: Decision,
        *,
        by: str,
        scope: Scope = "once",
        edited: tuple[Mapping[str, Any], Preview] | None = None,
    ) -> ApprovalRequest:
        """Answer a request.

        Args:
            request_id: which one.
            digest: of the call that the person saw.
            decision: yes or no.
            by: how: ``page``, ``terminal``, or in the conversation by ``voice`` or ``typed``; then a turn waits for it.
            scope: ``session`` allows further calls of this tool within the preview's scope.
            edited: other arguments to run it with, already checked, and what they mean. Where looking at them found
                what the person has not seen, the request goes on waiting with these arguments instead.

        Raises:
            UnknownRequestError: there is none of this id.
            SettledError: it was decided, it has expired, ``digest`` is not its own, or there is something to see first.
            UnfitDecisionError: it cannot be answered in this way.
        """
        return await _uninterrupted(self._decide(request_id, digest, decision, by, scope, edited))

    async def _decide(
        self,
        request_id: str,
        digest: str,
        decision: Decision,
        by: str,
        scope: Scope,
        edited: tuple[Mapping[str, Any], Preview] | None,
    ) -> ApprovalRequest:
        async with self._lock:
            await self._load()
            request = self._answerable(request_id, digest)
            if decision == "refuse":
                return await self._settle(request, ApprovalState.REFUSED, by)
            if by in ALOUD and not by_voice(request):
                raise UnfitDecisionError(f"{request.tool} needs a yes on the page or in the terminal")
            if edited is not None:
                arguments, preview = edited
                digest = digest_of(request.tool, arguments)
                seen = request.preview.found
                request = replace(request, arguments=dict(arguments), digest=digest, preview=preview)
                if preview.found not in ("", seen):
                    await self._ask_again(request, by)
                    raise SettledError("with these arguments there is something to see first; it waits for your answer")
            if scope == "session" and not request.preview.scope:
                raise UnfitDecisionError(f"{request.tool} can only be allowed once")
            request = await self._settle(request, ApprovalState.APPROVED, by)
            if scope == "session":
                self._grants.add((request.conversation, request.spec_digest, request.preview.scope))
            return request

    async def _ask_again(self, request: ApprovalRequest, by: str) -> None:
        """Inside the lock: it waits as a person changed it, until they have seen what that means."""
        request = replace(request, expires_at=self._clock() + self._lifetime_s)
        await self.auditor.request(request, "edited", by)
        await self._put(request)
        self._show(request)

    async def withdraw(self, conversation: str, turn: str | None = None, *, decided: bool = False) -> None:
        """What this turn asked for (or all turns) is no longer wanted; nobody needs to be told.

        ``decided``: also what has a yes and was not begun.
        """
        await _uninterrupted(self._withdraw(conversation, turn, decided))

    async def _withdraw(self, conversation: str, turn: str | None, decided: bool) -> None:
        async with self._lock:
            await self._load()
            for request in self.pending(conversation):
                if turn in (None, request.turn):
                    await self._settle(request, ApprovalState.REFUSED, "withdrawn", tell=False)
                    await self._drop(request.id)
            for request in [each for each in self._requests.values() if decided and each.conversation == conversation]:
                if turn in (None, request.turn) and request.state is ApprovalState.APPROVED:
                    await self.auditor.request(request, "refused", "stopped")
                    await self._drop(request.id)
            if turn is None:
                self._grants = {grant for grant in self._grants if grant[0] != conversation}

    async def prolong(self, request_id: str) -> None:
        """It is read out only now, since it had to wait for another: its time begins now."""
        await _uninterrupted(self._prolong(request_id))

    async def _prolong(self, request_id: str) -> None:
        async with self._lock:
            request = self._requests.get(request_id)
            if request is None or request.state is not ApprovalState.PENDING or self._clock() >= request.expires_at:
                return
            request = replace(request, expires_at=self._clock() + self._lifetime_s)
            await self._put(request)
        self._show(request)

    async def expire(self) -> None:
        """End what waited too long."""
        await _uninterrupted(self._expire())

    async def _expire(self) -> None:
        async with self._lock:
            await self._load()
            now = self._clock()
            for request in list(self._requests.values()):
                if request.state is ApprovalState.PENDING and now >= request.expires_at:
                    await self._settle(request, ApprovalState.EXPIRED, "timeout")

    # Carrying it out.

    async def begin(self, request_id: str) -> ApprovalRequest:
        """It runs now; never again.

        Raises:
            SettledError: no yes to it waits to be carried out.
        """
        return await _uninterrupted(self._begin(request_id))

    async def _begin(self, request_id: str) -> ApprovalRequest:
        async with self._lock:
            request = self._requests.get(request_id)
            if request is None or request.state is not ApprovalState.APPROVED:
                raise SettledError("there is no yes to this that was not used")
            if request.digest != digest_of(request.tool, request.arguments):
                raise SettledError("this is not the call that was approved")
            request = replace(request, state=ApprovalState.STARTED)
            await self._put(request)
            return request

    async def close(self, request_id: str) -> None:
        """The turn that tells how it ended has come. A yes that was not carried out until now never will be."""
        await _uninterrupted(self._close(request_id))

    async def _close(self, request_id: str) -> None:
        async with self._lock:
            request = self._requests.get(request_id)
            if request is None or request.state is ApprovalState.PENDING:
                return
            if request.state is ApprovalState.APPROVED:
                await self.auditor.request(request, "refused", "stopped")
            await self._drop(request_id)

    # Inside the lock.

    def _answerable(self, request_id: str, digest: str) -> ApprovalRequest:
        request = self._requests.get(request_id)
        if request is None and request_id not in self._gone:
            raise UnknownRequestError(f"there is no request {request_id}")
        state = self._gone[request_id] if request is None else request.state
        if request is None or state is not ApprovalState.PENDING:
            raise SettledError(f"this request was {_DECISIONS.get(state, 'approved')} already")
        if self._clock() >= request.expires_at:
            raise SettledError("this request has expired")
        if digest != request.digest:
            raise SettledError("the answer is for another call than the one that waits; look at it again")
        return request

    async def _settle(
        self, request: ApprovalRequest, state: ApprovalState, by: str, *, tell: bool = True
    ) -> ApprovalRequest:
        settled = replace(request, state=state, by=by)
        await self.auditor.request(settled, str(state), by)
        await self._put(settled)
        self._sink.emit(
            ApprovalDecided(
                conversation=settled.conversation,
                turn=settled.turn,
                id=settled.id,
                tool=settled.tool,
                arguments=mask(settled.arguments),
                decision=_DECISIONS[state],
                by=by,
            )
        )
        if tell and by not in ALOUD:
            self._settled(settled)
        return settled

    async def _put(self, request: ApprovalRequest) -> None:
        changed = {**self._requests, request.id: request}
        await self._store.save(list(changed.values()))
        self._requests = changed
        self._changed.set()

    async def _drop(self, request_id: str) -> None:
        rest = dict(self._requests)
        request = rest.pop(request_id)
        await self._store.save(list(rest.values()))
        self._requests = rest
        self._gone[request_id] = request.state
        while len(self._gone) > _REMEMBERED:
            self._gone.popitem(last=False)

    async def _load(self) -> None:
        """The first time: read what the last run of the program left."""
        if self._loaded:
            return
        self._requests = {request.id: request for request in await self._store.load()}
        self._loaded = True
        now = self._clock()
        for request in list(self._requests.values()):
            match request.state:
                case ApprovalState.PENDING if now < request.expires_at:
                    continue
                case ApprovalState.PENDING:
                    await self._settle(request, ApprovalState.EXPIRED, "timeout")
                case ApprovalState.APPROVED if now >= request.expires_at:
                    # The yes was for then. Nobody expects it to be done hours later.
                    await self._settle(request, ApprovalState.EXPIRED, "restart")
                case ApprovalState.STARTED:
                    lost = replace(request, state=ApprovalState.LOST)
                    await self.auditor.request(lost, "lost", "restart")
                    await self._put(lost)
                    self._settled(lost)
                case _:
                    self._settled(request)

    # Outside.

    def _show(self, request: ApprovalRequest) -> None:
        self._sink.emit(approval_event(request))

    async def _expire_in_time(self) -> None:
        while True:
            self._changed.clear()
            ends = [r.expires_at for r in self._requests.values() if r.state is ApprovalState.PENDING]
            wait = max(0.0, min(ends) - self._clock()) if ends else None
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                try:
                    await self.expire()
                except Exception:
                    logger.exception("a request could not be ended; it is tried again")
                    await asyncio.sleep(_AGAIN_S)


def outcome_of(request: ApprovalRequest) -> ToolResult:
    """What is told of a request that was not carried out."""
    return ToolResult(f"error: {_OUTCOMES.get(request.state, STOPPED)}", ok=False)


def approval_event(request: ApprovalRequest) -> ApprovalRequested:
    """The request as the page and the terminal see it. Nothing is masked: a person says yes to exactly this."""
    return ApprovalRequested(
        conversation=request.conversation,
        turn=request.turn,
        id=request.id,
        tool=request.tool,
        arguments=dict(request.arguments),
        risk=str(request.risk),
        sentence=request.preview.sentence,
        detail=request.preview.detail,
        scope=request.preview.scope,
        by_voice=by_voice(request),
        digest=request.digest,
        expires_at=request.expires_at,
    )


_OUTCOMES = {
    ApprovalState.REFUSED: "the answer was no, so it was not done",
    ApprovalState.EXPIRED: "nobody answered in time, so it was not done",
    ApprovalState.LOST: "it was begun before a restart, and how it ended is not known",
}
_DECISIONS: Mapping[ApprovalState, Literal["approved", "refused", "expired"]] = {
    ApprovalState.APPROVED: "approved",
    ApprovalState.REFUSED: "refused",
    ApprovalState.EXPIRED: "expired",
}


def _nobody(request: ApprovalRequest) -> None:
    """Nobody is told."""


async def _uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Run a change of state to its end, also when the turn that wants it is cancelled in the middle."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if task.done() and (error := task.exception()) is not None:
            logger.error("an approval could not be kept", exc_info=error)
        raise
