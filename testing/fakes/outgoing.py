"""What leaves the program: connections, look-ups of names, and other programs, told by Python's own audit events."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_EVENTS = frozenset(
    {
        "socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
        "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo", "subprocess.Popen", "os.exec", "os.fork",
        "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn", "os.kill", "os.killpg",
    }
)  # fmt: skip
_watching: list[list[str]] = []
_installed = False


@contextmanager
def outgoing() -> Iterator[list[str]]:
    """The events from here on, in all threads, with what they were about."""
    global _installed
    if not _installed:
        sys.addaudithook(_note)
        _installed = True
    seen: list[str] = []
    _watching.append(seen)
    try:
        yield seen
    finally:
        _watching.remove(seen)


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if _watching and event in _EVENTS:
        for seen in _watching:
            seen.append(f"{event} {arguments!r}")
