"""What is read out to the person, and which words of theirs answer it.

A yes counts only when the last thing the agent said in this conversation, to its end, was the announcement of the
request, and the person began to answer after that. Whatever comes between takes that away: then a yes is answered with
the announcement.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipecatapp.domain import ApprovalRequest, Source, Step
from pipecatapp.languages import language
from pipecatapp.twin.act.approval_views import ALOUD, READ_OUT_AT_MOST, by_voice
from pipecatapp.twin.act.approvals import ApprovalGate

SHALL_I = "Shall I?"
MAY_I = "May I"
ON_THE_PAGE = "Please confirm it on the page."
FIRST_THIS = "First I need your answer to this."
MEANT_THIS = "Do you mean this?"
DECIDED = "That is decided already."


@dataclass(frozen=True, slots=True)
class Answered:
    """The words answer this request."""

    request: ApprovalRequest
    approved: bool


@dataclass(frozen=True, slots=True)
class Repeated:
    """The words are an answer, but not one that counts: this is said, and the request is announced by it."""

    text: str
    request: ApprovalRequest


@dataclass(slots=True)
class _Question:
    """The announcement that was made last in a conversation: of which request, by its digest, for a person may change
    it on the page meanwhile. ``said_at`` is None until all of it was said."""

    digest: str
    turn: str
    text: str
    said_at: float | None = None


class ApprovalPrompts:
    """Reads requests out, one after the other.

    Args:
        gate: where they wait.
        clock: that of ``TurnProgress.began``.
    """

    def __init__(self, gate: ApprovalGate, clock: Callable[[], float] = time.monotonic) -> None:
        self._gate = gate
        self._clock = clock
        self._questions: dict[str, _Question] = {}
        self._read_out: set[str] = set()

    def answer(self, conversation: str, words: str, source: Source, began: float) -> Answered | Repeated | None:
        """What the words are to the requests that wait; None when they are an ordinary request.

        ``began``: when the person began to say or type them.
        """
        verdict = language().yes_or_no(words) if source in ALOUD else None
        pending = self._gate.pending(conversation)
        if verdict is None or not pending:
            return None
        question = self._questions.get(conversation)
        asked = next((request for request in pending if question and request.digest == question.digest), None)
        if asked is None or question is None or question.said_at is None or began < question.said_at:
            # A no may be meant for anything; a yes to nothing would be lost.
            return None if verdict == "no" else Repeated(f"{MEANT_THIS} {sentence(pending[0])}", pending[0])
        if verdict == "yes" and not by_voice(asked):
            return Repeated(sentence(asked), asked)
        return Answered(asked, verdict == "yes")

    async def closing(self, conversation: str, asked: ApprovalRequest | None) -> tuple[str, ApprovalRequest] | None:
        """What a turn says at its end, and which request this announces: the one that the turn ``asked`` for, or one
        that nobody heard of yet."""
        pending = self._gate.pending(conversation)
        if not pending:
            return None
        first = pending[0]
        if asked is not None:
            return sentence(first) if first.id == asked.id else f"{FIRST_THIS} {sentence(first)}", first
        if first.digest in self._read_out:
            return None
        await self._gate.prolong(first.id)
        return sentence(first), first

    def began(self, conversation: str) -> None:
        """A turn begins: what was announced before is no longer the last thing said."""
        self._questions.pop(conversation, None)

    def announce(self, conversation: str, turn: str, request: ApprovalRequest, text: str) -> None:
        """The turn is about to end with this text."""
        self._questions[conversation] = _Question(request.digest, turn, text)

    def said(self, conversation: str, turn: str) -> None:
        """All that the turn had to say was said."""
        question = self._questions.get(conversation)
        if question is None or question.turn != turn or question.said_at is not None:
            return
        question.said_at = self._clock()
        self._read_out &= {request.digest for request in self._gate.pending()}
        self._read_out.add(question.digest)

    def cut(self, conversation: str, turn: str, heard: str = "") -> None:
        """The turn was interrupted: only this was heard of it."""
        question = self._questions.get(conversation)
        if question is None or question.turn != turn:
            return
        if _plain(question.text) in _plain(heard):
            self.said(conversation, turn)
        else:
            del self._questions[conversation]


def sentence(request: ApprovalRequest) -> str:
    """The announcement of a request."""
    what = " ".join(request.preview.sentence.split()) or f"Use {request.tool}."
    if what.endswith(".") and not what.endswith((" .", "..")):
        what = what[:-1]
    if len(what) > READ_OUT_AT_MOST:
        return f"I am about to use {request.tool}, and it is too long to read out. {ON_THE_PAGE}"
    if what[1:2].islower():
        what = what[:1].lower() + what[1:]
    if request.step is Step.LOOK:
        return f"{MAY_I} {what}?" if by_voice(request) else f"I would like to {what}. {ON_THE_PAGE}"
    question = SHALL_I if by_voice(request) else ON_THE_PAGE
    return f"I am about to {what}. {question}"


def default_sentence(tool: str, arguments: Mapping[str, object]) -> str:
    """What a call is about to do, where its tool does not say it better."""
    named = ", ".join(f"{name} {value}" for name, value in arguments.items())
    return f"Use {tool} with {named}." if named else f"Use {tool}."


def _plain(text: str) -> str:
    return "".join(text.split())
