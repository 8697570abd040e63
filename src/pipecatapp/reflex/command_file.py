"""``commands.yaml``: the household's own commands, read at the start and again when the file changes.

- say: ["check the disk on {machine}", "how full is {machine}"]
  do:
    ssh.run_command: {host: "{machine}", command: "df -h /"}
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pipecatapp.intents import Guess
from pipecatapp.reflex.checks import missing
from pipecatapp.reflex.commands import Command, Match, PatternError, forms, match, slots_of

logger = logging.getLogger(__name__)

_LARGEST = 256 * 1024  # bytes
_MOST = 300  # commands
_SHAPE = "a command is `say:` with a sentence or several, and `do:` with tools and their arguments"
_QUOTES = "put a sentence or a value with {slots} in quotes"


class _Entry(BaseModel):
    """One command of the file."""

    model_config = ConfigDict(extra="forbid")
    say: str | list[str] = Field(min_length=1)
    do: dict[str, dict[str, str]] = Field(min_length=1, max_length=4)

    @field_validator("do", mode="before")
    @classmethod
    def _without_arguments(cls, value: Any) -> Any:
        """``timer.list:`` has none."""
        return {tool: each or {} for tool, each in value.items()} if isinstance(value, Mapping) else value


class CommandFile:
    """The commands of one file. What is wrong with an entry is logged, and the others work.

    Args:
        path: the file; there need be none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int] | None = None
        self._commands: list[Command] = []

    def match(self, words: str) -> Match | None:
        """The command that these words are. Blocks for a look at the file."""
        self._refresh()
        return match(words, self._commands) if self._commands else None

    def _refresh(self) -> None:
        try:
            status = self.path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
        except OSError:
            self._stamp, self._commands = None, []
            return
        if stamp == self._stamp:
            return
        self._stamp = stamp
        commands, problems = read_commands(self.path)
        for problem in problems:
            logger.warning("%s: %s", self.path, problem)
        # A file that is no YAML at all, half written perhaps, leaves what held before.
        if commands or not problems:
            self._commands = commands


def read_commands(path: Path) -> tuple[list[Command], list[str]]:
    """The commands of a file, and what is wrong with those that are none."""
    try:
        if path.stat().st_size > _LARGEST:
            return [], [f"it is larger than {_LARGEST // 1024} KB"]
        # Everything is text to this loader: 7:30 would be the number 450 to the others.
        entries = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506 - makes no objects
    except (OSError, UnicodeDecodeError) as error:
        return [], [f"it cannot be read: {error}"]
    except yaml.YAMLError as error:
        return [], [f"it is no YAML: {' '.join(str(error).split())}; {_QUOTES}"]
    if not entries:
        return [], []
    if not isinstance(entries, list):
        return [], [f"it has to be a list; {_SHAPE}"]
    commands: list[Command] = []
    problems: list[str] = []
    said: dict[tuple[str, ...], int] = {}
    for number, entry in enumerate(entries, 1):
        try:
            if number > _MOST:
                raise PatternError(f"there is room for {_MOST} commands")
            command = _command(entry)
            for form in command.forms:
                if said.setdefault(form, number) != number:
                    raise PatternError(f"command {said[form]} is said the same way")
        except (PatternError, ValidationError) as error:
            said = {form: owner for form, owner in said.items() if owner != number}
            problems.append(f"command {number}{_name(entry)}: {_explain(error)}")
        else:
            commands.append(command)
    return commands, problems


def _command(value: Any) -> Command:
    """Raises PatternError or ValidationError."""
    entry = _Entry.model_validate(value)
    sentences = [entry.say] if isinstance(entry.say, str) else entry.say
    found: list[tuple[str, ...]] = []
    for sentence in sentences:
        try:
            found += forms(sentence)
        except PatternError as error:
            raise PatternError(f"{sentence!r}: {error}") from error
    calls = [Guess(tool, arguments) for tool, arguments in entry.do.items()]
    for call in calls:
        wanted = slots_of(list(call.arguments.values()))
        for form in found:
            if unknown := [name for name in wanted if name not in slots_of(form)]:
                raise PatternError(f"{call.tool} wants {{{unknown[0]}}}, which {' '.join(form)!r} does not say")
        if lacks := missing(call.tool, call.arguments):
            raise PatternError(f"{call.tool} needs {' and '.join(lacks)}")
    return Command(sentences[0], calls, found)


def _name(entry: Any) -> str:
    say = entry.get("say") if isinstance(entry, Mapping) else None
    first = say[0] if isinstance(say, Sequence) and not isinstance(say, str) and say else say
    return f" ({first!r})" if isinstance(first, str) else ""


def _explain(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("str", "list[str]"))
    advice = _QUOTES if isinstance(first["input"], Mapping) and where else _SHAPE
    return f"{f'{where}: ' if where else ''}{first['msg']}; {advice}"
