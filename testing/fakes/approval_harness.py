"""The agent with its gate, a lamp, a shell on another host, a web page and a playbook, for the tests of approvals."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipecatapp.domain import Risk
from testing.fakes.agent_harness import AgentHarness, LookingScriptedTool, PreviewedTool, ScriptedTool

ASKS_LAMP = "I am about to switch the lamp on. Shall I?"
ASKS_SSH = "I am about to run df -h on node3. Please confirm it on the page."


def call(name: str, **arguments: Any) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


LAMP = call("lamp.switch", lamp="lamp", to="on")
PLAY = call("play.book", book="site")
SSH = call("ssh.run_command", host="node3", command="df -h")


def strings(*names: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": list(names)}


def play(risk: Risk = Risk.DANGER, **options: Any) -> LookingScriptedTool:
    """A tool that has to look first."""
    return LookingScriptedTool(
        "play.book", asks="Look what {book} would change.", sentence="Run {book}.", finds="It would change 3 files.",
        result="It ran.", risk=risk, parameters=strings("book"), **options,
    )  # fmt: skip


class LampHarness(AgentHarness):
    """With a lamp, a shell on another host and a web page to read."""

    def __init__(self, folder: Path, *answers: Any, tools: Sequence[ScriptedTool] = (), **options: Any) -> None:
        self.lamp = PreviewedTool(
            "lamp.switch", sentence="Switch the {lamp} {to}.", scope="{lamp}", result="It is on.", risk=Risk.ACT,
            parameters=strings("lamp", "to"),
        )  # fmt: skip
        self.ssh = PreviewedTool(
            "ssh.run_command", sentence="Run {command} on {host}.", scope="{host}", result="All half full.",
            risk=Risk.DANGER, untrusted=True, parameters=strings("host", "command"),
        )  # fmt: skip
        self.web = ScriptedTool("web.read", "A page.", untrusted=True)
        super().__init__(folder, *answers, tools=[self.lamp, self.ssh, self.web, *tools], gated=True, **options)


MakeHarness = Callable[..., LampHarness]
