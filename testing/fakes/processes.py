"""Looks at what runs on this machine, and waits for it to change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path


def running(words: str) -> bool:
    """Whether a process with these words in its command line exists."""
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if words in line.read_text(errors="replace").replace("\0", " "):
                return True
        except OSError:
            continue
    return False


async def until(happened: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until it has happened."""
    async with asyncio.timeout(seconds):
        while not happened():
            await asyncio.sleep(0.05)
