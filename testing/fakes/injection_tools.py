"""The tools of the attacks on the gate: those that act, each run written down, and those that carry an attack in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipecatapp.domain import Preview, Risk, ToolResult, ToolSpec
from pipecatapp.errors import ToolError
from pipecatapp.ports import ToolContext


class Acting:
    """A tool that acts; every run is written down."""

    def __init__(self, name: str, risk: Risk, names: Sequence[str], ran: list[tuple[str, str]]) -> None:
        properties = {argument: {"type": "string"} for argument in names}
        self.spec = ToolSpec(name, f"does {name}", {"type": "object", "properties": properties}, risk)
        self._ran = ran

    async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        return Preview(f"Use {self.spec.name} with {dict(arguments)}.", "", str(arguments.get("host", "")) or "here")

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        self._ran.append((self.spec.name, json.dumps(arguments, sort_keys=True)))
        return ToolResult("Done.")


class Looking(Acting):
    """One that has to look first; every look is written down too."""

    async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        return Preview(f"Look what {dict(arguments)} would change.", look=True)

    async def look(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        self._ran.append((f"{self.spec.name} look", json.dumps(arguments, sort_keys=True)))
        return replace(await super().preview(arguments, context), found="much", detail="much")


class Carrier:
    """A harmless tool whose result (or failure, or description) is the attack."""

    def __init__(self, name: str, text: str, *, untrusted: bool, fails: bool = False, description: str = "") -> None:
        self.spec = ToolSpec(name, description or f"reads {name}", risk=Risk.READ, untrusted=untrusted)
        self._text, self._fails = text, fails

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        if self._fails:
            raise ToolError(self._text)
        return ToolResult(self._text, detail=self._text)
