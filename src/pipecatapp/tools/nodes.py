"""``nodes.join``, ``remove``, ``heal`` and ``wake``: what the agent has the unit node_admin do to the house's machines.

The agent holds no key and no password: it hands over the id of the person's yes, and the unit looks itself at what that
yes was for.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipecatapp.domain import Preview, Risk, ToolResult, ToolSpec
from pipecatapp.errors import ToolError, ToolOffError
from pipecatapp.ports import Tool, ToolContext
from pipecatapp.tools.output import short
from pipecatapp.tools.registry import ToolServices

_RUN_S = 3700.0
_LONGEST_LINE = 64 * 1024
_NODE = {"type": "string", "minLength": 1, "maxLength": 63, "description": "The machine's name in the inventory."}
# The unit checks them again. What it would refuse nobody is asked about.
_SHAPES = {
    "node": (re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"), "small letters, digits and hyphens"),
    "address": (re.compile(r"\d{1,3}(?:\.\d{1,3}){3}"), "an IPv4 address"),
    "host_key": (re.compile(r"SHA256:[A-Za-z0-9+/]{43}"), "the fingerprint that setup.sh printed: SHA256:..."),
    "user": (re.compile(r"[a-z_][a-z0-9_-]{0,31}"), "an account"),
    "mac": (re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}"), "a card's address such as 00:11:22:33:44:55"),
}

JOIN = ToolSpec(
    name="nodes.join",
    description="Make a prepared PC a worker of this cluster.",
    parameters={
        "type": "object",
        "properties": {
            "node": _NODE,
            "address": {"type": "string", "maxLength": 15, "description": "Its IPv4 address."},
            "host_key": {
                "type": "string",
                "maxLength": 50,
                "description": "The fingerprint that setup.sh printed on it.",
            },
            "user": {"type": "string", "maxLength": 32, "description": "Who logs in there; default deploy."},
            "mac": {"type": "string", "maxLength": 17, "description": "Its card's address, to wake it by."},
        },
        "required": ["node", "address", "host_key"],
    },
    risk=Risk.DANGER,
    timeout_s=_RUN_S,
    copied=("node", "address", "host_key", "user", "mac"),
    asks=("add the new pc to the cluster", "let node4 join", "a new machine is ready"),
)
REMOVE = ToolSpec(
    name="nodes.remove",
    description="Take a worker out of this cluster.",
    parameters={"type": "object", "properties": {"node": _NODE}, "required": ["node"]},
    risk=Risk.DANGER,
    timeout_s=_RUN_S,
    copied=("node",),
    asks=("take node3 out of the cluster", "drop that machine", "retire a node"),
)
HEAL = ToolSpec(
    name="nodes.heal",
    description="Bring back what does not run in this cluster.",
    parameters={"type": "object", "properties": {"node": {**_NODE, "description": "Only this machine."}}},
    risk=Risk.DANGER,
    timeout_s=_RUN_S,
    copied=("node",),
    asks=("heal the cluster", "repair the nodes", "bring everything back up"),
)
WAKE = ToolSpec(
    name="nodes.wake",
    description="Switch on a sleeping machine of this cluster.",
    parameters={"type": "object", "properties": {"node": _NODE}, "required": ["node"]},
    risk=Risk.ACT,
    timeout_s=30.0,
    copied=("node",),
    asks=("wake node2", "switch on the pc in the cellar", "turn on that machine"),
)


class NodeTool:
    """One of the four.

    Args:
        spec: which one.
        socket: where the unit listens.
    """

    def __init__(self, spec: ToolSpec, socket: Path) -> None:
        self.spec = spec
        self._verb = spec.name.partition(".")[2]
        self._socket = socket

    async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        """What it would do, in a sentence."""
        for name, value in arguments.items():
            shape, what = _SHAPES[name]
            if shape.fullmatch(str(value)) is None:
                raise ToolError(f"{name} should be {what}, not {short(str(value), 60)!r}")
        node = arguments.get("node", "")
        match self._verb:
            case "join":
                sentence = f"Make {node} at {arguments['address']} a worker of the cluster."
            case "remove":
                sentence = f"Take {node} out of the cluster."
            case "heal":
                sentence = f"Heal {node or 'the whole cluster'}."
            case _:
                sentence = f"Wake {node}."
        detail = "\n".join(f"{name}: {value}" for name, value in arguments.items())
        return Preview(sentence, detail=detail, whole=self._verb != "join")

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Have it done; shows each step. Cancelled, it has the unit stop."""
        if not context.approval:
            raise ToolError(f"{self.spec.name} needs a person's yes to this very call")
        line = json.dumps({"verb": self._verb, "node": arguments.get("node", ""), "approval": context.approval})
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket, limit=_LONGEST_LINE)
        except OSError as error:
            raise ToolError("the unit for the cluster's machines does not answer; run playbook.yaml again") from error
        try:
            return await self._talk(reader, writer, line, context)
        except asyncio.CancelledError:
            writer.write(b'{"cancel": true}\n')
            raise
        except (OSError, ValueError) as error:
            raise ToolError("the unit for the cluster's machines stopped in the middle; its log says why") from error
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: str, context: ToolContext
    ) -> ToolResult:
        writer.write(line.encode() + b"\n")
        await writer.drain()
        while answer := await reader.readline():
            said = json.loads(answer)
            if "ok" in said:
                return ToolResult(short(str(said.get("text", "")), 500), ok=said["ok"] is True)
            context.progress(short(str(said.get("progress", "")), 200))
        raise ValueError("no last line")


def create_join(services: ToolServices) -> Tool:
    """``nodes.join``, for the registry."""
    return _create(JOIN, services)


def create_remove(services: ToolServices) -> Tool:
    """``nodes.remove``, for the registry."""
    return _create(REMOVE, services)


def create_heal(services: ToolServices) -> Tool:
    """``nodes.heal``, for the registry."""
    return _create(HEAL, services)


def create_wake(services: ToolServices) -> Tool:
    """``nodes.wake``, for the registry."""
    return _create(WAKE, services)


def _create(spec: ToolSpec, services: ToolServices) -> Tool:
    if services.node_admin is None or not services.node_admin.exists():
        raise ToolOffError(
            "this PC is no controller of a cluster; add a machine to inventory.yaml and run playbook.yaml"
        )
    return NodeTool(spec, services.node_admin)
