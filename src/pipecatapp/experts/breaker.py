"""A circuit breaker: who failed is left alone for a while, then tried with a probe before anybody depends on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

BreakerState = Literal["closed", "open", "half-open"]


class CircuitBreaker:
    """Closed: requests may go. Open: none may, until its pause is over. Half-open: one probe is under way.

    One failure opens it, because a moved turn is cheap and a person who waits is not; the first pause is short, and
    each further failure without a success between doubles it.

    Args:
        first_s: the first pause.
        most_s: the longest.
        clock: monotonic seconds.
    """

    def __init__(self, first_s: float = 1.0, most_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._first_s, self._most_s, self._clock = first_s, most_s, clock
        self._failures = 0
        self._until = 0.0
        self.state: BreakerState = "closed"
        self.reason = ""

    @property
    def allows(self) -> bool:
        """Whether a request may go."""
        return self.state == "closed"

    @property
    def wait_s(self) -> float:
        """Seconds until a probe may go; 0 when it may now, or none is needed."""
        return max(0.0, self._until - self._clock()) if self.state == "open" else 0.0

    def fail(self, reason: str, *, soon: bool = False) -> None:
        """A request or a probe failed. ``soon``: it is only starting, so look again after the first pause."""
        self._failures = 1 if soon else self._failures + 1
        pause = min(self._most_s, self._first_s * 2 ** min(self._failures - 1, 16))
        self._until = self._clock() + pause
        self.state, self.reason = "open", reason

    def probe(self) -> bool:
        """Take the one probe that may go now; False when none may."""
        if self.state != "open" or self.wait_s:
            return False
        self.state = "half-open"
        return True

    def hurry(self) -> None:
        """There is news of it: a probe may go now."""
        self._until = self._clock()

    def succeed(self) -> None:
        """A request or a probe went well."""
        self._failures = 0
        self.state, self.reason = "closed", ""
