"""A request as others see it: the page, the terminal, the person who hears it, the model that is told how it ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from pipecatapp.domain import ApprovalRequest, ApprovalState, Risk, Step, ToolResult
from pipecatapp.events import ApprovalDecided, ApprovalRequested
from pipecatapp.twin.act.masking import mask
from pipecatapp.twin.act.speech_fidelity import says_all

ALOUD = frozenset({"voice", "typed"})  # ways of answering that are words in the conversation
READ_OUT_AT_MOST = 300  # characters; who did not hear all of a call cannot say yes to it
STOPPED = "it was stopped before it began"
DECISIONS: Mapping[ApprovalState, Literal["approved", "refused", "expired"]] = {
    ApprovalState.APPROVED: "approved",
    ApprovalState.REFUSED: "refused",
    ApprovalState.EXPIRED: "expired",
}
# What every voice says. It drops stars, hyphens at the edge of a word and brackets without a sound, and who hears a
# letter does not hear whether it is one of ASCII.
_AUDIBLE = re.compile(
    r"(?: (?! )|/|[A-Za-z0-9]|(?<=[A-Za-z0-9])[.'-](?=[A-Za-z0-9])|(?<=[0-9]):(?=[0-9])"
    r"|(?<=[A-Za-z0-9']),(?= )|(?<=[A-Za-z0-9'])\.(?= [A-Z])"  # pauses
    r"|(?<= )'(?=\w)|(?<=\w)'(?=[ .,]|$))+\.?"
)
_OUTCOMES = {
    ApprovalState.REFUSED: "the answer was no, so it was not done",
    ApprovalState.EXPIRED: "nobody answered in time, so it was not done",
    ApprovalState.LOST: "it was begun before a restart, and how it ended is not known",
}
_LOST_LOOK = "a restart came while it was only looked at, so it was not done"


def by_voice(request: ApprovalRequest) -> bool:
    """Whether a yes in the conversation is enough: only where every sign of the call can be heard. Looking changes
    nothing, whatever is looked at."""
    said = request.preview.sentence
    mild = request.risk in (Risk.OWN, Risk.ACT) or request.step is Step.LOOK
    heard = len(said) <= READ_OUT_AT_MOST and _AUDIBLE.fullmatch(said) is not None
    return mild and request.preview.whole and heard and says_all(request)


def outcome_of(request: ApprovalRequest) -> ToolResult:
    """What is told of a request that was not carried out."""
    if request.state is ApprovalState.LOST and request.step is Step.LOOK:
        return ToolResult(f"error: {_LOST_LOOK}", ok=False)
    lost = request.state is ApprovalState.LOST
    return ToolResult(f"error: {_OUTCOMES.get(request.state, STOPPED)}", ok=False, lost=lost)


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
        step=request.step.value,
        after=request.after,
    )


def decision_event(request: ApprovalRequest) -> ApprovalDecided:
    """The answer to a request."""
    return ApprovalDecided(
        conversation=request.conversation,
        turn=request.turn,
        id=request.id,
        tool=request.tool,
        arguments=mask(request.arguments),
        decision=DECISIONS[request.state],
        by=request.by,
        step=request.step.value,
    )
