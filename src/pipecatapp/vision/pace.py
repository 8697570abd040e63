"""How much of the processor the eyes may take: rests as long after each look that the voice never waits for them."""

from __future__ import annotations

import logging
import os
import threading

logger = logging.getLogger(__name__)

# Of one core, at most.
SHARE = 0.25
# More looks show nothing new, however quick the processor.
LEAST_S = 0.2
# A look that took very long (a machine that was suspended) must not blind for minutes.
MOST_S = 30.0
_NICE = 10


def rest_after(worked_s: float, share: float = SHARE) -> float:
    """Seconds to rest after that much work, so that work is at most ``share`` of all time."""
    return min(MOST_S, max(LEAST_S, worked_s * (1 / share - 1)))


def stand_back() -> None:
    """Let every other thread go first; for the calling thread alone."""
    try:
        # Linux gives every thread a priority of its own, whatever POSIX says of processes.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
    except OSError as error:
        logger.info("the eyes cannot lower their priority: %s", error)
