"""Shows how a long work gets on."""

from __future__ import annotations

import sys
import time

from pipecatapp.cli.terminal import say


class Steps:
    """Shows the steps of a long work, one line each."""

    def __init__(self) -> None:
        self._last = ""
        self._at = 0.0

    def __call__(self, doing: str, progress: float | None) -> None:
        """Take note of what is being done; ``progress``: 0 to 1, None: not known."""
        now = time.monotonic()
        if doing != self._last and (now - self._at > 1.0 or progress in (None, 1.0)):
            say(f"  {'' if progress is None else f'{progress:4.0%} '}{doing}")
            self._last, self._at = doing, now


class Bar:
    """Shows a download: rewritten on a terminal, a line every ten seconds elsewhere."""

    def __init__(self) -> None:
        self.used = False
        self._at = 0.0

    def __call__(self, name: str, here: int, total: int | None) -> None:
        """Take note of the bytes that are here, and of how many there will be."""
        self.used = True
        now = time.monotonic()
        done = total is not None and here >= total
        if not done and now - self._at < (0.2 if sys.stdout.isatty() else 10.0):
            return
        self._at = now
        share = f"{here / total:4.0%}" if total else "    "
        end = "\r" if sys.stdout.isatty() and not done else "\n"
        left = f", {(total - here) >> 20} MB left" if total and not done else ""
        say(f"  {share} {name} {here >> 20} MB{left}", end=end)
