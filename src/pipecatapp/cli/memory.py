"""The verbs ``memory``: what a running agent remembers, over HTTP: list, search, export, import, forget."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from pipecatapp.cli.terminal import printable, say
from pipecatapp.cli.verb import Verbs, url_option
from pipecatapp.errors import ConfigurationError

if TYPE_CHECKING:
    from pipecatapp.cli.client import Client

_PAGE = 500


@click.group(cls=Verbs, example="pipecatapp memory search 'spare key'")
def memory() -> None:
    """What the running agent remembers of people."""


def _which_options(function: Callable[..., int]) -> Callable[..., int]:
    function = url_option(function)
    text = "How many at most."
    function = click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help=text)(function)
    return click.option("--kind", default="", metavar="KIND", help="Only those of this kind.")(function)


@memory.command("list", example="pipecatapp memory list --kind told")
@_which_options
def show(kind: str, limit: int, url: str) -> int:
    """List the newest facts."""
    return _client(url).show("", kind, limit)


@memory.command(example="pipecatapp memory search 'spare key'")
@click.argument("query", help="What they are about.")
@_which_options
def search(query: str, kind: str, limit: int, url: str) -> int:
    """Find facts, the best first."""
    return _client(url).show(query, kind, limit)


@memory.command(example="pipecatapp memory export facts.jsonl")
@click.argument("file", help="Where to; `-`: print them.")
@url_option
def export(file: str, url: str) -> int:
    """Write all facts to a file, as JSON Lines."""
    return _client(url).export(file)


@memory.command("import", example="pipecatapp memory import facts.jsonl")
@click.argument("file", help="Which; `-`: standard input.")
@url_option
def import_facts(file: str, url: str) -> int:
    """Add the facts of an export."""
    return _client(url).import_file(file)


@memory.command(example="pipecatapp memory forget 17")
@click.argument("id", help="Its number in `pipecatapp memory list`.")
@url_option
def forget(id: str, url: str) -> int:  # noqa: A002 - the name stands in the help
    """Forget a fact for good."""
    return _client(url).forget(id)


def _client(url: str) -> MemoryClient:
    from pipecatapp.cli.client import Client
    from pipecatapp.settings import load_settings

    return MemoryClient(Client.of(load_settings(), url))


class MemoryClient:
    """Long-term memory of one agent. Every command prints for people and returns the exit code."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def show(self, query: str = "", kind: str = "", limit: int = 50) -> int:
        """Print facts: the newest, or those that fit the query best. 1 when there are none."""
        printed, total = 0, 1
        while printed < min(limit, total):
            page = {"query": query, "kind": kind, "offset": str(printed), "limit": str(min(_PAGE, limit - printed))}
            answer = self._client.request("GET", "/api/memory", params=page).json()
            total = int(answer["total"])
            if not answer["facts"]:
                break
            for fact in answer["facts"]:
                say(_line(fact))
            printed += len(answer["facts"])
        if printed < total:
            say(f"({total - printed} more; --limit {total} shows all)", to_stderr=True)
        return 0 if printed else 1

    def export(self, file: str) -> int:
        """Write all facts to a file that only its owner can read (``-``: print them), as JSON Lines."""
        content = self._client.request("GET", "/api/memory/export").content
        if file == "-":
            # A terminal shows it; a file or another program gets it as it is.
            if sys.stdout.isatty():
                say(content.decode(), end="")
            else:
                sys.stdout.write(content.decode())
            return 0
        from pipecatapp.storage.atomic import replace_file

        path = Path(file)
        try:
            if path.is_file() or not path.exists():
                replace_file(path.resolve(), content)
            else:  # a pipe, a device
                path.write_bytes(content)
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written: {error.strerror}; name another file") from error
        say(f"{len(content.splitlines())} facts are in {path}")
        return 0

    def import_file(self, file: str) -> int:
        """Add the facts of a file (``-``: standard input); says which lines are none. 1 when there were such."""
        try:
            content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from error
        report = self._client.request("POST", "/api/memory/import", content=content).json()
        say(f"{report['added']} added, {report['merged']} known already, {len(report['refused'])} refused")
        for number, reason in report["refused"]:
            say(f"  line {number}: {printable(reason)}", to_stderr=True)
        return 1 if report["refused"] else 0

    def forget(self, fact_id: str) -> int:
        """Forget one fact with its history, and show it."""
        answer = self._client.request("DELETE", f"/api/memory/{quote(fact_id, safe='')}").json()
        say(f"forgotten: {answer['forgotten']}")
        return 0


def _line(fact: Mapping[str, Any]) -> str:
    day = time.strftime("%Y-%m-%d", time.localtime(fact["created_at"]))
    # One line each: a fact must not look like several.
    return printable(f"{fact['id']:>6}  {day}  {fact['kind']:<8} {fact['text']}")
