"""Async iterators that are closed when their reader stops, so that what feeds them stops too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Generic, TypeVar

T = TypeVar("T")


class closing(Generic[T]):  # noqa: N801 - used like contextlib.aclosing
    """Like ``contextlib.aclosing``, also for iterators that have nothing to close."""

    def __init__(self, stream: AsyncIterator[T]) -> None:
        self._stream = stream

    async def __aenter__(self) -> AsyncIterator[T]:
        return self._stream

    async def __aexit__(self, *_: object) -> None:
        close = getattr(self._stream, "aclose", None)
        if close is not None:
            await close()


async def none() -> AsyncIterator[str]:
    """A stream without pieces."""
    nothing: tuple[str, ...] = ()
    for piece in nothing:
        yield piece


async def one(piece: T) -> AsyncIterator[T]:
    """A stream of one piece."""
    yield piece
