"""Asks the power agent of this machine: who sleeps, and what a person wants instead."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipecatapp.errors import ConfigurationError

_ANSWERS_WITHIN_S = 10
_ANSWER_LIMIT = 4 * 1024 * 1024


class NoPowerAgentError(ConfigurationError):
    """None runs on this machine, or it does not answer."""


class PowerControl:
    """The power agent's control socket.

    Args:
        socket: where it listens.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def services(self) -> dict[str, Any]:
        """All that may sleep (``services``), what is wrong with the rest (``broken``), and ``measured_by``.

        Raises:
            NoPowerAgentError: there is none.
        """
        return await self._ask({"do": "list"})

    async def steer(self, verb: str, service: str) -> dict[str, Any]:
        """Have a service "sleep", "wake", "pin" or "unpin"; how it is then.

        Raises:
            NoPowerAgentError: there is no agent.
            ConfigurationError: it refuses, and says why.
        """
        return dict((await self._ask({"do": verb, "service": service}))["service"])

    async def _ask(self, request: Mapping[str, str]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                reader, writer = await asyncio.open_unix_connection(str(self._socket), limit=_ANSWER_LIMIT)
                try:
                    writer.write(json.dumps(request).encode() + b"\n")
                    await writer.drain()
                    answer = dict(json.loads(await reader.readline()))
                finally:
                    writer.close()
        except FileNotFoundError:
            raise NoPowerAgentError(
                f"there is no {self._socket}: no power agent runs here; see docs/howto/which-experts-sleep.md"
            ) from None
        except (OSError, ValueError, TypeError) as error:
            raise NoPowerAgentError(
                f"the power agent does not answer ({error or 'in time'}); see docs/operations/expert-does-not-wake.md"
            ) from error
        if "error" in answer:
            raise ConfigurationError(str(answer["error"]))
        return answer
