"""A real Nomad for tests, from ``NOMAD_BIN``; and where there is none, a stand-in that reads its files as Nomad would.

The stand-in parses HCL, holds Nomad's rule that a block on one line has one argument, and knows which arguments and
blocks each block has, so that a slip of the pen in a template is found without Nomad. It does not know their values.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hcl2
import pytest

from testing.nomad_schema import CONFIGURATION, JOB, Block

MISSING = "no Nomad here: NOMAD_BIN names none"


class NomadFileError(AssertionError):
    """Nomad would refuse the file."""


@functools.cache
def why_missing() -> str:
    """Why there is no Nomad to run; empty: there is one."""
    named = os.environ.get("NOMAD_BIN", "")
    if not named:
        return MISSING
    try:
        done = subprocess.run([named, "version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return f"{MISSING} that runs: {error}"
    runs = done.returncode == 0 and done.stdout.startswith("Nomad v")
    return "" if runs else f"{MISSING}: {named} is another program"


def program() -> Path:
    """The real Nomad. Skips the test where there is none."""
    if reason := why_missing():
        pytest.skip(reason)
    return Path(os.environ["NOMAD_BIN"]).resolve()


def version() -> str:
    """The real Nomad's version, such as `2.0.5`."""
    said = subprocess.run([program(), "version"], capture_output=True, text=True, check=True).stdout
    return said.split()[1].removeprefix("v")


def run(*arguments: str | Path) -> str:
    """What the real Nomad says; it needs no agent for `fmt` and `config validate`.

    Raises:
        NomadFileError: it refuses.
    """
    command = [str(program()), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise NomadFileError(f"nomad {' '.join(command[1:])}: {done.stdout}{done.stderr}")
    return done.stdout


# The stand-in ---------------------------------------------------------------------------------------------------------


def check_configuration(text: str) -> dict[str, Any]:
    """An agent's configuration as Nomad understands it.

    Raises:
        NomadFileError: it would not.
    """
    return _check(text, CONFIGURATION)


def check_job(text: str) -> dict[str, Any]:
    """A job file as Nomad understands it. Raises NomadFileError as ``check_configuration`` does."""
    return _check(text, JOB)


# `name "label" { one = 1 two = 2 }`, with strings taken out before.
_ONE_LINE = re.compile(r'^\s*[\w-]+(?:\s+"")*\s*\{(.*\S.*)\}\s*$')
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def crowded_lines(text: str) -> list[int]:
    """The numbers of lines on which a whole block has more than one argument, or a block in it."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        plain = _STRING.sub('""', line).split("#")[0]
        inside = _ONE_LINE.match(plain)
        if inside and (len(re.findall(r"(?<![=!<>])=(?!=)", inside[1])) > 1 or "{" in inside[1].split("=")[0]):
            found.append(number)
    return found


def _check(text: str, schema: Block) -> dict[str, Any]:
    if crowded := crowded_lines(text):
        lines = ", ".join(map(str, crowded))
        raise NomadFileError(f"line {lines}: a block on one line may hold one argument only")
    try:
        parsed: dict[str, Any] = hcl2.loads(text)
    except Exception as error:  # its parser's errors have no common type that it promises
        raise NomadFileError(f"no HCL: {error}") from error
    reader = _Reader()
    reader.block(parsed, schema, "")
    if reader.wrong:
        raise NomadFileError("; ".join(reader.wrong))
    return parsed


@dataclass
class _Reader:
    """Walks through a file beside its schema."""

    wrong: list[str] = field(default_factory=list)

    def block(self, content: Mapping[str, Any], schema: Block, where: str) -> None:
        present = {_plain(key) for key in content if not key.startswith("__")}
        self.wrong += [f"{where or 'the file'} lacks {name}" for name in sorted(schema.required - present)]
        for raw, value in content.items():
            if raw.startswith("__"):
                continue
            key, place = _plain(raw), f"{where}.{_plain(raw)}".lstrip(".")
            blocks = list(_blocks(value, schema.labels(key)))
            if not blocks and not schema.has_argument(key):
                self.wrong.append(f"{place} is no argument" + (" but a block" if key in schema.blocks else ""))
            for label, inner in blocks:
                self._inner(inner, schema, key, f"{place} {label}".strip())

    def _inner(self, inner: Mapping[str, Any], schema: Block, key: str, place: str) -> None:
        if (below := schema.blocks.get(key)) is not None:
            self.block(inner, below, place)
        elif not schema.anything:
            self.wrong.append(f"{place} is no block")


def _plain(key: str) -> str:
    return key.strip('"')


def _blocks(value: object, labels: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The blocks in a value with their labels; none where it is an argument."""
    if not isinstance(value, list):
        return
    for one in value:
        if not isinstance(one, dict):
            continue
        if one.get("__is_block__") is True:
            yield "", one
        elif labels:
            for label, inner in one.items():
                if isinstance(inner, dict) and inner.get("__is_block__") is True:
                    yield _plain(label), inner
