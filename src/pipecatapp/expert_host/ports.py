"""Ports of this machine: whether somebody listens, whether nobody does."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from pipecatapp.errors import EngineError


async def listens(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound to this address.

    Raises:
        EngineError: another program has it.
    """
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise EngineError(
            f"port {port} of {host} is taken by another program ({error.strerror}); each expert needs ports of its own"
        ) from error
    return found


def check_port(host: str, port: int) -> None:
    """Raises EngineError where another program has it."""
    listen(host, port).close()
