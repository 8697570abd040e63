"""The states of a service, what it is made of, and how a wake fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from power_agent.account import Cost
from power_agent.configuration import Policy
from power_agent.driving import Driver, Gate
from power_agent.errors import PowerError
from power_agent.records import Records
from power_agent.server import Server
from power_agent.traffic import Traffic, Usage


class State(StrEnum):
    """Where a service stands."""

    AWAKE = "awake"
    PINNED = "pinned"
    FALLING_ASLEEP = "falling asleep"
    ASLEEP = "asleep"
    WAKING = "waking"
    FAILED = "failed"
    AWAY = "away"


class NotAwakeError(PowerError):
    """The service did not come up.

    Args:
        reason: for the caller.
        retry_after_s: when it makes sense to ask again.
    """

    def __init__(self, reason: str, retry_after_s: float) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Parts:
    """What a service is made of."""

    driver: Driver
    gate: Gate
    server: Server
    traffic: Traffic
    records: Records
    policy: Callable[[], Policy]
    cost: Cost


def worked_since(before: Usage | None, after: Usage | None) -> bool:
    """Whether work came between two measurements."""
    return before is not None and after is not None and after.work_packets != before.work_packets
