"""Where the household's policy lies: in a file of this PC, or in Consul for all PCs."""

from __future__ import annotations

import logging
from pathlib import Path
from urllib.parse import quote

from power_agent.configuration import Policy, read_policy
from power_agent.errors import DriverError
from power_agent.job import HttpApi

logger = logging.getLogger(__name__)

_WAITS_S = 50


class PolicyFile:
    """The policy in a file, read again when that changed.

    Args:
        file: None: there is none.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._policy = Policy()
        self._stamp: tuple[int, int] | None = None

    def __call__(self) -> Policy:
        """The policy as it was read last."""
        return self._policy

    async def read(self) -> bool:
        """Read it where it changed; returns whether it did."""
        if self._file is None:
            return False
        before = self._policy
        try:
            stat = self._file.stat()
            stamp = stat.st_mtime_ns, stat.st_ino
            if stamp != self._stamp:
                self._policy, self._stamp = read_policy(self._file.read_text(encoding="utf-8")), stamp
        except FileNotFoundError:
            self._policy, self._stamp = Policy(), None
        except (OSError, UnicodeDecodeError) as error:
            self._policy = Policy(broken={"": str(error)})
        return _tell(str(self._file), before, self._policy)


class PolicyInConsul:
    """The policy under a key of Consul's store, in the form that the file has.

    Until it was read once, everything stays awake; while Consul is away, what was read last counts.

    Args:
        consul: its API.
        key: its name.
    """

    def __init__(self, consul: HttpApi, key: str) -> None:
        self._consul, self._key = consul, key
        self._policy = Policy(broken={"": "Consul was not asked yet"})
        self._index = 0

    def __call__(self) -> Policy:
        """The policy as it was read last."""
        return self._policy

    async def read(self) -> bool:
        """Read it, the first time at once, then when it changed or a minute is over; returns whether it changed."""
        wait = f"&index={self._index}&wait={_WAITS_S}s" if self._index else ""
        path = f"/v1/kv/{quote(self._key)}?raw=true{wait}"
        try:
            answer = await self._consul.ask("GET", path, within_s=5.0 + (1.1 * _WAITS_S if wait else 0.0))
        except DriverError as error:
            logger.info("the policy is what was last known: %s", error)
            self._index = 0
            return False
        if answer.status not in (200, 404):
            self._index = 0
            return self._now(
                Policy(broken={"": f"Consul: {answer.status} {answer.body[:100].decode(errors='replace')}"})
            )
        said = answer.fields.get("x-consul-index", "")
        index = int(said) if said.isdecimal() else 0
        # One that goes backwards begins anew: Consul was restored.
        self._index = index if index >= self._index else 0
        return self._now(Policy() if answer.status == 404 else read_policy(answer.body.decode(errors="replace")))

    def _now(self, policy: Policy) -> bool:
        before, self._policy = self._policy, policy
        return _tell(self._key, before, policy)


def _tell(where: str, before: Policy, now: Policy) -> bool:
    if now == before:
        return False
    for name, why in now.broken.items():
        logger.error("%s: %s: %s; so it stays awake", where, name or "the whole policy", why)
    return True
