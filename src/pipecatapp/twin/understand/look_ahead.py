"""Has an expert that sleeps woken while the person still speaks, where the words so far will go to it."""

from __future__ import annotations

import asyncio

from pipecatapp.twin.understand.routing import Routing

# The words must lead to the same expert for so long: half a sentence often leads elsewhere than the whole.
STEADY_S = 0.4


class LookAhead:
    """Listens to interim transcripts.

    Args:
        routing: knows where words go, and who sleeps.
        steady_s: how long they must go there before it is woken.
    """

    def __init__(self, routing: Routing, steady_s: float = STEADY_S) -> None:
        self._routing = routing
        self._steady_s = steady_s
        self._expected: dict[str, tuple[str, asyncio.TimerHandle]] = {}

    async def hear(self, conversation: str, words: str) -> None:
        """The part of a request that will not change; empty: it begins."""
        expert = ""
        if words and self._routing.sleepers():
            expert = await self._routing.choose_directly(conversation, words)
        expected = self._expected.get(conversation)
        if expected is not None and expected[0] == expert:
            return
        self.settle(conversation)
        if expert in self._routing.sleepers():
            later = asyncio.get_running_loop().call_later(self._steady_s, self._wake, conversation, expert)
            self._expected[conversation] = (expert, later)

    def settle(self, conversation: str) -> None:
        """The request is whole, and goes where it goes."""
        if (expected := self._expected.pop(conversation, None)) is not None:
            expected[1].cancel()

    def _wake(self, conversation: str, expert: str) -> None:
        self._expected.pop(conversation, None)
        self._routing.wake(expert)
