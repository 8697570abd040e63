"""How much of the processor the camera watcher may take: it rests after each look, so that no voice waits for it."""

from __future__ import annotations

import logging
import os
import threading

logger = logging.getLogger(__name__)

# Of one core, at most: reading the camera and looking at its pictures together.
SHARE = 0.25
# A file is played no faster than this allows.
READING = SHARE / 2
# A stream that has to be decoded as it comes may take more than all of it; so much is left for looking.
LEAST_SHARE = 0.05
# More looks show nothing new, however quick the processor.
LEAST_S = 0.2
# A look that took very long (a machine that was suspended) must not blind for minutes.
MOST_S = 30.0
_NICE = 10


def rest_after(looked_s: float, read_s: float = 0.0) -> float:
    """Seconds to rest after a look, so that looking and what was read meanwhile are ``SHARE`` of all time at most."""
    # Reading happened in a thread beside: that time has not passed here yet.
    both = (looked_s + read_s) / SHARE - looked_s
    return min(MOST_S, max(LEAST_S, min(both, looked_s / LEAST_SHARE)))


def stand_back() -> None:
    """Let every other thread go first; for the calling thread alone."""
    try:
        # Linux gives every thread a priority of its own, whatever POSIX says of processes.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
    except OSError as error:
        logger.info("the camera watcher cannot lower its priority: %s", error)
