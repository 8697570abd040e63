"""A connection to NATS ends, whatever the library waits for."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from nats.aio.client import Client
from nats.errors import ConnectionClosedError

from pipecatapp.storage.replication.link import close_client

pytestmark = pytest.mark.unit


class Closing:
    """A client whose ``close`` does what is given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.cancelled = asyncio.Event()

    async def close(self) -> None:
        if self.error is not None:
            raise self.error
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()


def client(closing: Any) -> Client:
    return cast(Client, closing)


async def test_a_server_that_was_killed_holds_nobody_back() -> None:
    closing = Closing()
    async with asyncio.timeout(20):
        await close_client(client(closing), within_s=0.01)
        await closing.cancelled.wait()


async def test_what_nats_says_of_a_closed_connection_is_no_failure() -> None:
    await close_client(client(Closing(ConnectionClosedError())))
    with pytest.raises(ZeroDivisionError):
        await close_client(client(Closing(ZeroDivisionError())))
