"""Experts whose every word the test wrote down, and a probe that says what the test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from pipecatapp.domain import Expert, Message
from pipecatapp.experts.breaker import CircuitBreaker
from pipecatapp.experts.instance import Instance
from pipecatapp.experts.server import Load
from pipecatapp.experts.watch import Limits
from pipecatapp.ports import ChatChunk, ChatRequest, ModelProfile
from pipecatapp.registration import Registration
from testing.fakes.chat_model import Answer, ScriptedChatModel

GOES_ON = ModelProfile("scripted", context_tokens=4096, grammars=True, continues=True)
BEGINS_ANEW = ModelProfile("scripted", context_tokens=4096, grammars=False, continues=False)
# A server that hangs is found out at once; one that is slow on a busy machine is not.
HASTY = Limits(first_token_s=10.0, between_s=10.0, silent_s=0.05)


class ScriptedProbe:
    """``watch.Probe`` that answers, or does not."""

    def __init__(self) -> None:
        self.answers = True
        self.says: Load | None = None
        self.asked = 0
        self.closed = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def alive(self) -> bool:
        self.asked += 1
        await self.may_answer.wait()
        return self.answers

    async def load(self) -> Load | None:
        return self.says

    async def aclose(self) -> None:
        self.closed = True


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class ScriptedInstance(Instance):
    """An instance with its model and probe at hand."""

    def __init__(
        self,
        name: str,
        *answers: Answer,
        host: str = "h1",
        profile: ModelProfile | Exception = GOES_ON,
        context: int = 0,
        slots: int = 1,
        model: str = "",
        limits: Limits = HASTY,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        self.scripted = ScriptedChatModel(*answers, profile=profile)
        self.scripted_probe = ScriptedProbe()
        registration = Registration(name, f"http://{host}:1/v1", model=model, context=context, slots=slots)
        super().__init__(registration, self.scripted, self.scripted_probe, limits, breaker)


class ScriptedDirectory:
    """``ports.ExpertDirectory`` with one expert, which says these pieces.

    Attributes:
        sleeps_s: how long it takes to wake; None: it is awake.
        stand_in: who answers meanwhile; empty: nobody.
        woken: the fronts that it was woken with.
    """

    def __init__(self, *pieces: str | Exception, sleeps_s: float | None = None, stand_in: str = "") -> None:
        self.pieces, self.asked, self.begun = pieces, list[Sequence[Message]](), list[str]()
        self.sleeps_s, self.stand_in, self.woken = sleeps_s, stand_in, list[Message]()

    def experts(self) -> Sequence[Expert]:
        return [Expert("coding", "programs")]

    def wake_seconds(self, expert: str) -> float | None:
        return self.sleeps_s if expert == "coding" else None

    def wake(self, expert: str, front: Message) -> None:
        self.woken.append(front)

    async def ask(self, expert: str, request: ChatRequest, *, meanwhile: bool = False) -> AsyncIterator[ChatChunk]:
        self.asked.append(request.messages)
        self.begun.append(request.begun)
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield ChatChunk(piece, by=(self.stand_in if meanwhile else "") or expert)
