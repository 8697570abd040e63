"""``power.set_idle_threshold``: after how long without a request the power agent may put a service to sleep.

What the power agent reads is one JSON file::

    {"version": 1, "services": {"prima-api-coding": {"idle_seconds": 600}}}

Services and fields that are not known here stay as they are.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipecatapp.domain import Change, Preview, Risk, ToolResult, ToolSpec
from pipecatapp.errors import NoWayBackError, ToolError, ToolOffError
from pipecatapp.ports import ChangeLog, Tool, ToolContext
from pipecatapp.storage.atomic import move, replace_file
from pipecatapp.tools.registry import ToolServices
from pipecatapp.tools.undo import Reversal

logger = logging.getLogger(__name__)

_EXPERT = "prima-api-"
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
_VERSION = 1
_KIND = "power"
_WEEK = 7 * 24 * 3600
_NEVER, _LEAST = 0, 10


class _Service(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)

    idle_seconds: int | None = Field(default=None, ge=0)
    never: bool = False

    def threshold(self) -> int | None:
        """After how many seconds it may sleep; 0: never, None: as the power agent is configured."""
        return _NEVER if self.never else self.idle_seconds

    def set(self, seconds: int | None) -> None:
        """The other way round. What it was before "never" stays beside it."""
        if seconds == _NEVER:
            self.never = True
            return
        if self.never:
            self.never = False
        self.idle_seconds = seconds


class _Policy(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)

    version: int = _VERSION
    services: dict[str, _Service] = Field(default_factory=dict)


class IdleThreshold:
    """Sets the idle time of a service.

    Args:
        file: what the power agent reads.
        now: epoch seconds.
        changes: how it is taken back.
    """

    spec = ToolSpec(
        name="power.set_idle_threshold",
        description="Set after how many seconds without use a service may be put to sleep.",
        parameters={
            "type": "object",
            "properties": {
                "service": {"type": "string", "minLength": 1, "maxLength": 100},
                "seconds": {"type": "integer", "minimum": 0, "maximum": _WEEK, "description": "0: never."},
            },
            "required": ["service", "seconds"],
        },
        risk=Risk.ACT,
        copied=("service",),
    )

    def __init__(self, file: Path, now: Callable[[], float] = time.time, changes: ChangeLog | None = None) -> None:
        self._file = file
        self._now = now
        self._changes = changes
        self._lock = asyncio.Lock()

    async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        """Say which service, and what it is now."""
        _check(int(arguments["seconds"]))
        policy = await asyncio.to_thread(self._read) or _Policy()
        service = _known_as(str(arguments["service"]), policy)
        entry = policy.services.get(service)
        before = entry.threshold() if entry else None
        seconds = int(arguments["seconds"])
        return Preview(
            f"Let {service} {_wish(seconds)}.",
            detail=f"{self._file}: {service}, idle_seconds {_written(before)} -> {_written(seconds)}",
            scope=service,
        )

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Write it down."""
        _check(int(arguments["seconds"]))
        async with self._lock:
            text, back = await asyncio.to_thread(self._set, str(arguments["service"]), int(arguments["seconds"]))
            if self._changes is not None:
                await self._changes.make(Change(_KIND, text, back, context.conversation, context.turn))
            return ToolResult(text)

    async def take_back(self, change: Change) -> Reversal:
        """Set it to what it was, unless somebody set it to something else meanwhile.

        Raises:
            NoWayBackError: somebody did.
            ToolError: the file cannot be written.
        """
        async with self._lock:
            return Reversal(await asyncio.to_thread(self._restore, **(change.back or {})))

    def _restore(self, service: str, before: int | None, now: int) -> str:
        policy = self._read()
        entry = policy.services.get(service) if policy is not None else None
        if policy is None or entry is None or entry.threshold() != now:
            raise NoWayBackError(f"the idle time of {service} was changed again meanwhile, so it stays as it is")
        if before is None:
            kept = entry.model_dump(exclude_unset=True, exclude={"idle_seconds", "never"})
            entry = _Service.model_validate(kept)
        else:
            entry.set(before)
        policy.services = {**policy.services, service: entry}
        try:
            self._write(policy)
        except OSError as error:
            raise ToolError(f"{self._file} cannot be written: {error.strerror}; check its folder") from error
        if before is None:
            return f"I took that back. {service} has no idle time of its own again."
        return f"I took that back. {service} {_rule(before)} again."

    def _set(self, name: str, seconds: int) -> tuple[str, dict[str, Any]]:
        """Do it; returns what was done, and how it is taken back."""
        note = ""
        try:
            policy = self._read()
            if policy is None:
                aside = self._file.with_name(f"{self._file.name}.damaged-{self._now():.0f}")
                move(self._file, aside)
                logger.error("%s is no power policy; it is now %s", self._file, aside)
                policy, note = _Policy(), f" The old policy was damaged; it is kept as {aside.name}."
            service = _known_as(name, policy)
            entry = policy.services.get(service, _Service())
            before = entry.threshold()
            entry.set(seconds)
            policy.services = {**policy.services, service: entry}
            self._write(policy)
        except OSError as error:
            raise ToolError(f"{self._file} cannot be written: {error.strerror}; check its folder") from error
        text = f"{service} {_rule(seconds, ' now')}.{note}"
        return text, {"service": service, "before": before, "now": seconds}

    def _read(self) -> _Policy | None:
        """The policy, empty where there is no file; None where the file is damaged."""
        try:
            policy = _Policy.model_validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return _Policy()
        except OSError as error:
            raise ToolError(f"{self._file} cannot be read: {error.strerror}") from error
        except ValidationError:
            return None
        if policy.version != _VERSION:
            raise ToolError(f"{self._file} has version {policy.version}, this program writes version {_VERSION}")
        return policy

    def _write(self, policy: _Policy) -> None:
        """Whole or not at all, whenever the power goes."""
        text = json.dumps(policy.model_dump(exclude_unset=True) | {"version": _VERSION}, indent=2, ensure_ascii=False)
        replace_file(self._file, f"{text}\n", 0o644)  # the power agent is another user


def create(services: ToolServices) -> Tool:
    """The tool, for the registry."""
    if services.power_policy_file is None:
        raise ToolOffError("there is no POWER_POLICY_FILE")
    if services.taking_back is None:
        return IdleThreshold(services.power_policy_file)
    tool = IdleThreshold(services.power_policy_file, changes=services.taking_back.changes)
    services.taking_back.let(_KIND, tool.take_back)
    return tool


def _known_as(name: str, policy: _Policy) -> str:
    """The name of the service in the policy: "the coding" may be there as ``prima-api-coding``.

    Raises:
        ToolError: it is no name of a service.
    """
    service = "-".join(name.lower().removeprefix("the ").split())
    if _NAME.fullmatch(service) is None:
        raise ToolError(f"{name!r} is no name of a service: letters, digits, dots and dashes are")
    expert = f"{_EXPERT}{service}"
    return expert if service not in policy.services and expert in policy.services else service


def _check(seconds: int) -> None:
    if _NEVER < seconds < _LEAST:
        raise ToolError(f"{seconds} seconds are too few: {_LEAST} are the least; 0 stands for never")


def _written(seconds: int | None) -> str:
    return "not set" if seconds is None else "never" if seconds == _NEVER else str(seconds)


def _wish(seconds: int) -> str:
    return "stay awake for good" if seconds == _NEVER else f"sleep after {_spoken(seconds)} without use"


def _rule(seconds: int, now: str = "") -> str:
    return "stays awake for good" if seconds == _NEVER else f"may{now} {_wish(seconds)}"


def _spoken(seconds: int) -> str:
    for unit, size in (("hour", 3600), ("minute", 60)):
        if seconds % size == 0:
            count = seconds // size
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return f"{seconds} seconds"
