"""Where measurements are kept: in a house in Consul, so that every PC shows all of them; on one PC in a file.

Of each model, engine and PC the latest one counts.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from pipecatapp.cluster.consul import ConsulClient, ConsulUnreachableError
from pipecatapp.errors import ConfigurationError
from pipecatapp.speed.measurement import Measurement
from pipecatapp.storage.atomic import replace_file

logger = logging.getLogger(__name__)

# Below it Consul keeps them: benchmarks/NODE/MODEL/ENGINE.
PREFIX = "benchmarks/"
_ROWS = TypeAdapter(list[Measurement])
_WITHIN_S = 5.0
_ODD = re.compile(r"[^A-Za-z0-9._-]")


class Results(Protocol):
    """What was measured."""

    async def all(self) -> list[Measurement]:
        """Every model on every PC, by model and node.

        Raises:
            ConsulUnreachableError, ConfigurationError: nobody can say.
        """

    async def keep(self, measured: Measurement) -> None:
        """Take the place of an earlier one of the same model, engine and PC.

        Raises:
            ConsulUnreachableError, ConfigurationError: it is not kept.
        """


class FileResults:
    """Results of this PC alone, in one file.

    Args:
        file: need not be there.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    async def all(self) -> list[Measurement]:
        """As in ``Results``."""
        return _sorted(await asyncio.to_thread(self._read))

    async def keep(self, measured: Measurement) -> None:
        """As in ``Results``."""
        await asyncio.to_thread(self._write, measured)

    def _read(self) -> list[Measurement]:
        try:
            return _ROWS.validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return []
        except (OSError, ValidationError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is damaged; remove it and measure again"
            raise ConfigurationError(f"the results of benchmarks in {self._file} cannot be read: {reason}") from error

    def _write(self, measured: Measurement) -> None:
        others = [row for row in self._read() if _key(row) != _key(measured)]
        rows = json.dumps(_ROWS.dump_python([*others, measured], mode="json"), indent=1)
        try:
            replace_file(self._file, rows, 0o640)
        except OSError as error:
            raise ConfigurationError(f"{self._file} cannot be written: {error.strerror}") from error


class ConsulResults:
    """Results of the whole house.

    Args:
        consul: the agent of this PC.
    """

    def __init__(self, consul: ConsulClient) -> None:
        self._consul = consul

    async def all(self) -> list[Measurement]:
        """As in ``Results``; what somebody wrote there that is none is passed over."""
        try:
            async with asyncio.timeout(_WITHIN_S):
                values = await self._consul.values(PREFIX)
        except TimeoutError as error:
            raise ConsulUnreachableError(f"Consul has not answered in {_WITHIN_S:.0f} s") from error
        rows = []
        for key, value in values.items():
            try:
                row = Measurement.model_validate_json(value)
            except ValidationError:
                logger.warning("what stands under %s is no result of a benchmark", key)
                continue
            if key == _key(row):
                rows.append(row)
        return _sorted(rows)

    async def keep(self, measured: Measurement) -> None:
        """As in ``Results``."""
        await self._consul.put(_key(measured), measured.model_dump_json())


def _key(row: Measurement) -> str:
    return PREFIX + "/".join(_ODD.sub("_", part) for part in (row.node, row.model, row.engine))


def _sorted(rows: Iterable[Measurement]) -> list[Measurement]:
    return sorted(rows, key=lambda row: (row.model, row.node, row.engine))
