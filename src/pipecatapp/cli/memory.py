"""Looks into the memory of a running agent over HTTP, for the command line: list, search, export, import, forget."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipecatapp.cli.client import Client
from pipecatapp.errors import ConfigurationError
from pipecatapp.storage.atomic import replace_file

_PAGE = 500


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
                print(_line(fact))
            printed += len(answer["facts"])
        if printed < total:
            print(f"({total - printed} more; --limit {total} shows all)", file=sys.stderr)
        return 0 if printed else 1

    def export(self, file: str) -> int:
        """Write all facts to a file that only its owner can read (``-``: print them), as JSON Lines."""
        content = self._client.request("GET", "/api/memory/export").content
        if file == "-":
            sys.stdout.write(content.decode())
            return 0
        path = Path(file)
        try:
            if path.is_file() or not path.exists():
                replace_file(path.resolve(), content)
            else:  # a pipe, a device
                path.write_bytes(content)
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written: {error.strerror}; name another file") from error
        print(f"{len(content.splitlines())} facts are in {path}")
        return 0

    def import_file(self, file: str) -> int:
        """Add the facts of a file (``-``: standard input); says which lines are none. 1 when there were such."""
        try:
            content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from error
        report = self._client.request("POST", "/api/memory/import", content=content).json()
        print(f"{report['added']} added, {report['merged']} known already, {len(report['refused'])} refused")
        for number, reason in report["refused"]:
            print(f"  line {number}: {reason}", file=sys.stderr)
        return 1 if report["refused"] else 0

    def forget(self, fact_id: str) -> int:
        """Forget one fact with its history, and show it."""
        answer = self._client.request("DELETE", f"/api/memory/{quote(fact_id, safe='')}").json()
        print(f"forgotten: {answer['forgotten']}")
        return 0


def _line(fact: Mapping[str, Any]) -> str:
    day = time.strftime("%Y-%m-%d", time.localtime(fact["created_at"]))
    return f"{fact['id']:>6}  {day}  {fact['kind']:<8} {fact['text']}"
