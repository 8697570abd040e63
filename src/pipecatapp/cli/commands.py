"""The verb ``commands``: the household's own commands as they are understood, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click

from pipecatapp.cli.terminal import say
from pipecatapp.cli.verb import FAILED, OK, Verb

if TYPE_CHECKING:
    from pipecatapp.intents import Guess
    from pipecatapp.reflex.commands import Command


@click.command(cls=Verb, example="pipecatapp commands")
def commands() -> int:
    """Check the commands of your own (commands.yaml)."""
    from pipecatapp.paths import commands_file
    from pipecatapp.reflex.command_file import read_commands
    from pipecatapp.settings import load_settings

    path = commands_file(load_settings())
    if not path.exists():
        say(f"There are no commands of your own: {path} does not exist.")
        return OK
    found, problems = read_commands(path)
    for command in found:
        say(_line(command))
        problems += [f"{command.say!r}: {problem}" for problem in _problems(command)]
    for problem in problems:
        say(f"wrong: {problem}")
    return FAILED if problems else OK


def _line(command: Command) -> str:
    calls = [f"{call.tool}({_arguments(call.arguments)})" for call in command.calls]
    return f"{command.say} -> {', '.join(calls)}"


def _arguments(arguments: Mapping[str, str]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in arguments.items())


def _problems(command: Command) -> Iterator[str]:
    """What the tools of ours would not take. Those of other servers (mcp.json) are known when they run."""
    for call in command.calls:
        if (problem := _problem(call)) is not None:
            yield problem


def _problem(call: Guess) -> str | None:
    from pipecatapp.tools.registry import TOOLS, spec_of

    if call.tool not in TOOLS:
        group = call.tool.partition(".")[0]
        ours = sorted(name for name in TOOLS if name.partition(".")[0] == group)
        return f"there is no tool {call.tool}; there are {', '.join(ours)}" if ours else None
    try:
        parameters = spec_of(call.tool).parameters
    except ModuleNotFoundError:  # its extra is not installed
        return None
    known = parameters.get("properties", {})
    if unknown := [name for name in call.arguments if name not in known]:
        return f"{call.tool} takes no {unknown[0]}; it takes {', '.join(known) or 'nothing'}"
    if lacks := [name for name in parameters.get("required", ()) if name not in call.arguments]:
        return f"{call.tool} needs {' and '.join(lacks)}"
    return None
