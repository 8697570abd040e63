"""Whether somebody speaks or waits for an answer now: the processor then belongs to the voice, the camera rests."""

from __future__ import annotations

import time
from collections.abc import Callable

from pipecatapp.events import Event, StateChanged

_BUSY = frozenset({"listening", "thinking", "speaking"})
# A state this old is not believed: a page that vanished in the middle of a sentence must not blind the agent.
BELIEVED_S = 30.0


class Attention:
    """Reads the states of all conversations; ``observe`` is a listener of the hub."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._busy: dict[str, float] = {}

    def observe(self, event: Event) -> None:
        """Take note of what a conversation does."""
        if isinstance(event, StateChanged):
            # Read by the watcher's thread: the mapping is replaced, never changed.
            others = {name: since for name, since in self._busy.items() if name != event.conversation}
            self._busy = {**others, event.conversation: self._clock()} if event.state in _BUSY else others

    def busy(self) -> bool:
        """Whether the voice needs the processor."""
        now = self._clock()
        return any(now - since < BELIEVED_S for since in self._busy.values())
