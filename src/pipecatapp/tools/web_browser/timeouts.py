"""How long the browser waits for what, in seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """``answer`` of a server until its first byte; ``parsed`` from then on, until the text is there; ``complete`` from
    then on, for pictures and what scripts add; ``read`` for reading a page; ``idle`` until a page that nobody uses is
    closed, and Chromium with the last one."""

    answer: float = 25.0
    parsed: float = 10.0
    complete: float = 3.0
    read: float = 20.0
    idle: float = 300.0


USUAL = Timeouts()
