"""Those who wait for a service to wake: any number, for the same wake."""

from __future__ import annotations

import asyncio

from power_agent.states import NotAwakeError


class Waiting:
    """A wake that callers wait for."""

    def __init__(self) -> None:
        self._wake: asyncio.Future[None] | None = None

    async def wait(self) -> None:
        """Until it is awake. The caller may be cancelled: the wake goes on.

        Raises:
            NotAwakeError: it does not come up.
        """
        if self._wake is None:
            self._wake = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._wake)

    def tell(self, error: NotAwakeError | None) -> None:
        """It is awake, or why it will not be."""
        wake, self._wake = self._wake, None
        if wake is None or wake.done():
            return
        if error is None:
            wake.set_result(None)
        else:
            wake.set_exception(error)
            wake.exception()  # all who waited may be gone
