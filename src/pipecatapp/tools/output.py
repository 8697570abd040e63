"""What a program prints, however much it is: its beginning and its end are kept, the newest line is shown meanwhile."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable

KEPT_BYTES = 64 * 1024
_SPOKEN = 500  # characters
_TICK_S = 0.3
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class BoundedOutput:
    """Takes bytes without end and keeps the first three quarters of ``limit`` and the last quarter.

    Args:
        limit: bytes that are kept.
    """

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self._head, self._tail = bytearray(), bytearray()
        self._tail_limit = max(1, limit // 4)
        self._head_limit = limit - self._tail_limit
        self.total = 0

    def add(self, data: bytes) -> None:
        """More of it."""
        self.total += len(data)
        room = self._head_limit - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if data:
            self._tail += data[-self._tail_limit :]
            del self._tail[: -self._tail_limit]

    def text(self) -> str:
        """What is kept, readable: no escape sequences, and a line where something was left out."""
        left_out = self.total - len(self._head) - len(self._tail)
        gap = f"\n({left_out} bytes are left out here)\n".encode() if left_out else b""
        return readable((bytes(self._head) + gap + bytes(self._tail)).decode(errors="replace"))


class NewestLine:
    """Hands the newest whole line on, a few times a second at most.

    Args:
        show: where it goes.
        now: seconds of a clock.
    """

    def __init__(self, show: Callable[[str], None], now: Callable[[], float] = time.monotonic) -> None:
        self._show = show
        self._now = now
        self._next = 0.0
        self._rest = b""

    def add(self, data: bytes) -> None:
        """More of what is printed."""
        *lines, rest = (self._rest + data[-4096:]).split(b"\n")
        self._rest = rest[-4096:]
        if lines and self._now() >= self._next:
            line = readable(lines[-1].decode(errors="replace")).strip()
            if line:
                self._show(line[:200])
                self._next = self._now() + _TICK_S


async def drained(stream: asyncio.StreamReader | None) -> None:
    """Take and drop the rest: asyncio holds the end of a process back until somebody has taken all that it printed."""
    while stream is not None and await stream.read(KEPT_BYTES):
        pass


def readable(text: str) -> str:
    """The text without terminal escapes and control characters."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n"))).strip("\n")


def short(text: str, limit: int = _SPOKEN) -> str:
    """The first lines of it, for the ear; says how many more there are."""
    text = text.strip()
    if len(text) <= limit:
        return text
    cut = text[:limit]
    kept = cut.rpartition("\n")[0] or cut
    more = text.count("\n") - kept.count("\n")
    return f"{kept.rstrip()}\n(and {more} more lines)" if more > 0 else f"{kept} (and more)"
