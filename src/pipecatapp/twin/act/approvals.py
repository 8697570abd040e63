"""The gate: a call that acts on the world waits here, as data, for a person's yes to exactly this call.

    pending --yes--> approved --begin--> started --close--> (gone)
       |--no--> refused --close--> (gone)      `--restart--> lost --close--> (gone)
       `--two minutes--> expired --close--> (gone)

Every arrow is on the disk before anything follows from it, ``started`` before the tool runs: so a call runs at most
once, whenever the program is killed. A yes names the request and the digest of what was shown. What was decided while
no turn was waiting for it is handed to ``on_settled``, which has a turn tell it.

A call that has to be looked at first goes this way twice: the yes to looking starts a look and nothing else, and what
that found takes its place (``ask`` with ``after``) as a request of its own, with a digest of its own.

The gate never sees what the model writes but as the call that it asks for: no text can answer it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from pipecatapp.background import uninterrupted
from pipecatapp.domain import ApprovalAnswer, ApprovalRequest, ApprovalState, Preview, Step, ToolCall, ToolSpec
from pipecatapp.errors import SettledError, ToolError, UnfitDecisionError, UnknownRequestError
from pipecatapp.ports import ApprovalStore, EventSink, ToolContext
from pipecatapp.twin.act.approval_expiry import ExpiryWatch
from pipecatapp.twin.act.approval_records import ApprovalRecords
from pipecatapp.twin.act.approval_views import ALOUD, DECISIONS, approval_event, by_voice, decision_event
from pipecatapp.twin.act.audit import Auditor, digest_of, digest_of_request, digest_of_spec

LIFETIME_S = 120.0
MAX_PENDING = 4  # of one conversation
YES_HOLDS_S = 30.0  # at least, while another turn of the conversation is still at work


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
        self._records = ApprovalRecords(store)
        self._sink = sink
        self._mode = mode
        self._clock = clock
        self._lifetime_s = lifetime_s
        self._limit = limit
        self._grants: set[tuple[str, str, str]] = set()  # conversation, tool (as it was), scope
        self._lock = asyncio.Lock()
        self._loaded = False
        self._settled: Callable[[ApprovalRequest], None] = _nobody
        self._expiry = ExpiryWatch(self._first_end, self.expire)

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
            self._expiry.start()  # what failed now may work later

    async def reread(self) -> None:
        """Another agent wrote to the store: go on with what is there, as after a restart."""
        async with self._lock:
            self._loaded = False
            await self._load()
        self._expiry.look_again()

    async def aclose(self) -> None:
        """Stop watching; what waits stays on the disk."""
        await self._expiry.aclose()

    # What waits.

    def pending(self, conversation: str | None = None) -> list[ApprovalRequest]:
        """The requests that can still be answered, oldest first."""
        now = self._clock()
        return [
            request
            for request in self._records
            if request.state is ApprovalState.PENDING
            and now < request.expires_at
            and conversation in (None, request.conversation)
        ]

    def get(self, request_id: str) -> ApprovalRequest | None:
        """The request, while it is not told to the end."""
        return self._records.get(request_id)

    # From the model.

    @uninterrupted
    async def ask(
        self,
        call: ToolCall,
        spec: ToolSpec,
        preview: Preview,
        context: ToolContext,
        after: ApprovalRequest | None = None,
    ) -> ApprovalRequest:
        """Let a call wait for a person; the one that waits already, if it is the same.

        Args:
            call: what would be run.
            spec: the tool as it is now.
            preview: what the person is shown.
            context: who asks.
            after: the tool has looked, as this request allowed, and the preview is what it found.

        Raises:
            ToolError: nobody is asked, and why.
        """
        async with self._lock:
            await self._load()
            waiting = self.pending(context.conversation)
            if after is None:
                digest = digest_of(call.name, call.arguments)
                same = (request for request in waiting if digest_of(request.tool, request.arguments) == digest)
                if (request := next(same, None)) is not None:
                    return request
            await self._refuse(call, spec, context, len(waiting) if after is None else 0)
            now = self._clock()
            request = ApprovalRequest(
                id=secrets.token_hex(8),
                digest="",
                conversation=context.conversation,
                turn=context.turn,
                tool=call.name,
                arguments=dict(call.arguments),
                risk=spec.risk,
                preview=preview,
                words=after.words if after else context.words,
                speaker=after.speaker if after else context.speaker,
                requested_at=now,
                expires_at=now + self._lifetime_s,
                spec_digest=digest_of_spec(spec),
                after=after.id if after else "",
            )
            request = replace(request, digest=digest_of_request(request))
            await self.auditor.request(request, "requested", "look" if after else "model")
            await self._put(request)
        self._show(request)
        return request

    async def _refuse(self, call: ToolCall, spec: ToolSpec, context: ToolContext, waiting: int) -> None:
        """Raises ToolError where nobody is to be asked."""
        if self._mode == "deny":
            await self.auditor.call(call, spec, context, "refused", "settings")
            raise ToolError(f"{call.name} acts on the world, and APPROVAL_MODE=deny forbids that here")
        if waiting >= self._limit:
            await self.auditor.call(call, spec, context, "refused", "limit")
            raise ToolError(f"{waiting} requests wait for an answer already; those have to be answered first")

    async def allowed(self, call: ToolCall, spec: ToolSpec, preview: Preview, context: ToolContext) -> bool:
        """Whether the person allowed such calls for this session; then this is noted as decided by that."""
        key = (context.conversation, digest_of_spec(spec), preview.scope)
        if self._mode == "deny" or preview.look or not preview.scope or key not in self._grants:
            return False
        await self.auditor.call(call, spec, context, "approved", "session")
        return True

    # From the person.

    @uninterrupted
    async def decide(self, answer: ApprovalAnswer, edited: Preview | None = None) -> ApprovalRequest:
        """Answer a request.

        Args:
            answer: the person's.
            edited: what the answer's own arguments mean; None: it has none. Where these have to be looked at first, the
                yes is one to looking. Where the preview itself found what the person has not seen, or the yes was only
                to looking and there is nothing to look at, the request goes on waiting with these.

        Raises:
            UnknownRequestError: there is none of this id.
            SettledError: it was decided, it has expired, the digest is not its own, or there is something to see first.
            UnfitDecisionError: it cannot be answered in this way.
        """
        async with self._lock:
            await self._load()
            by = answer.by
            request = self._answerable(answer.request, answer.digest)
            if answer.decision == "refuse":
                return await self._settle(request, ApprovalState.REFUSED, by)
            if by in ALOUD and not by_voice(request):
                raise UnfitDecisionError(f"{request.tool} needs a yes on the page or in the terminal")
            if edited is not None:
                seen, only_looking = request.preview.found, request.step is Step.LOOK
                request = replace(request, arguments=dict(answer.arguments or {}), preview=edited, after="")
                request = replace(request, digest=digest_of_request(request))
                if edited.found not in ("", seen):
                    await self._ask_again(request, by)
                    raise SettledError("with these arguments there is something to see first; it waits for your answer")
                if only_looking and not edited.look:
                    await self._ask_again(request, by)
                    raise SettledError("with these arguments there is nothing to look at; it waits for your answer")
            if answer.scope == "session" and (request.step is Step.LOOK or not request.preview.scope):
                raise UnfitDecisionError(f"{request.tool} can only be allowed once")
            until = max(request.expires_at, self._clock() + YES_HOLDS_S)
            request = await self._settle(replace(request, expires_at=until), ApprovalState.APPROVED, by)
            if answer.scope == "session":
                self._grants.add((request.conversation, request.spec_digest, request.preview.scope))
            return request

    async def _ask_again(self, request: ApprovalRequest, by: str) -> None:
        """Inside the lock: it waits as a person changed it, until they have seen what that means."""
        request = replace(request, expires_at=self._clock() + self._lifetime_s)
        await self.auditor.request(request, "edited", by)
        await self._put(request)
        self._show(request)

    @uninterrupted
    async def withdraw(self, conversation: str, turn: str | None = None, *, decided: bool = False) -> None:
        """What this turn asked for (or all turns) is no longer wanted; nobody needs to be told.

        ``decided``: also what has a yes and was not begun.
        """
        async with self._lock:
            await self._load()
            for request in self.pending(conversation):
                if turn in (None, request.turn):
                    await self._settle(request, ApprovalState.REFUSED, "withdrawn", tell=False)
                    await self._records.drop(request.id)
            for request in self._records if decided else ():
                mine = request.conversation == conversation and turn in (None, request.turn)
                if mine and request.state is ApprovalState.APPROVED:
                    await self.auditor.request(request, "refused", "stopped")
                    await self._records.drop(request.id)
            if turn is None:
                self._grants = {grant for grant in self._grants if grant[0] != conversation}

    @uninterrupted
    async def prolong(self, request_id: str) -> None:
        """It is read out only now, since it had to wait for another: its time begins now."""
        async with self._lock:
            request = self._records.get(request_id)
            if request is None or request.state is not ApprovalState.PENDING or self._clock() >= request.expires_at:
                return
            request = replace(request, expires_at=self._clock() + self._lifetime_s)
            await self._put(request)
        self._show(request)

    @uninterrupted
    async def expire(self) -> None:
        """End what waited too long."""
        async with self._lock:
            await self._load()
            now = self._clock()
            for request in self._records:
                if request.state is ApprovalState.PENDING and now >= request.expires_at:
                    await self._settle(request, ApprovalState.EXPIRED, "timeout")

    # Carrying it out.

    @uninterrupted
    async def begin(self, request_id: str) -> ApprovalRequest:
        """It runs now; never again.

        Raises:
            SettledError: no yes to it waits to be carried out.
        """
        async with self._lock:
            request = self._records.get(request_id)
            if request is None or request.state is not ApprovalState.APPROVED:
                raise SettledError("there is no yes to this that was not used")
            if self._clock() >= request.expires_at:
                raise SettledError("the yes was given too long ago, so it was not done")
            if request.digest != digest_of_request(request):
                raise SettledError("this is not the call that was approved")
            request = replace(request, state=ApprovalState.STARTED)
            await self._put(request)
            return request

    @uninterrupted
    async def close(self, request_id: str) -> None:
        """The turn that tells how it ended has come. A yes that was not carried out until now never will be."""
        async with self._lock:
            request = self._records.get(request_id)
            if request is None or request.state is ApprovalState.PENDING:
                return
            if request.state is ApprovalState.APPROVED:
                await self.auditor.request(request, "refused", "stopped")
            await self._records.drop(request_id)

    # Inside the lock.

    def _answerable(self, request_id: str, digest: str) -> ApprovalRequest:
        request = self._records.get(request_id)
        state = self._records.ended_as(request_id) if request is None else request.state
        if state is None:
            raise UnknownRequestError(f"there is no request {request_id}")
        if request is None or state is not ApprovalState.PENDING:
            raise SettledError(f"this request was {DECISIONS.get(state, 'approved')} already")
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
        self._sink.emit(decision_event(settled))
        if tell and by not in ALOUD:
            self._settled(settled)
        return settled

    async def _put(self, request: ApprovalRequest) -> None:
        await self._records.put(request, instead_of=request.after)
        self._expiry.look_again()

    async def _load(self) -> None:
        """The first time: read what the last run of the program left."""
        if self._loaded:
            return
        await self._records.read()
        self._loaded = True
        now = self._clock()
        for request in self._records:
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

    def _first_end(self) -> float | None:
        """Seconds until the first request has waited too long; None while none waits."""
        ends = [request.expires_at for request in self._records if request.state is ApprovalState.PENDING]
        return min(ends) - self._clock() if ends else None


def _nobody(request: ApprovalRequest) -> None:
    """Nobody is told."""
