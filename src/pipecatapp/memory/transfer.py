"""Facts as JSON Lines that people and other programs can read: ``{"text", "kind", "created_at", "turn", "seen"}``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pipecatapp.json_bounds import load_json
from pipecatapp.memory.fact_index import NewFact, clean
from pipecatapp.storage.records import StoredFact


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of the lines of an import. ``refused`` are line numbers and reasons."""

    added: int = 0
    merged: int = 0
    refused: Sequence[tuple[int, str]] = ()


@dataclass(slots=True)
class Parsed:
    """The facts of a file, and what is wrong with its other lines."""

    facts: list[NewFact] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)


def to_line(fact: StoredFact) -> str:
    """One fact as a line of an export, newline included."""
    body = {
        "text": fact.text, "kind": fact.kind, "created_at": fact.created_at, "turn": fact.turn, "seen": fact.seen,
    }  # fmt: skip
    return json.dumps(body, ensure_ascii=False) + "\n"


def parse(lines: Iterable[str]) -> Parsed:
    """Read an export, ours or one written by hand: only ``text`` must be there."""
    parsed = Parsed()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            parsed.facts.append(_fact(line))
        except ValueError as error:
            parsed.refused.append((number, str(error)))
    return parsed


def _fact(line: str) -> NewFact:
    try:
        body = load_json(line)
    except ValueError:
        raise ValueError("no JSON") from None
    if not isinstance(body, dict):
        raise ValueError("no JSON object")
    text, kind, turn = body.get("text"), body.get("kind", "note"), body.get("turn", "")
    created, seen = body.get("created_at"), body.get("seen", 1)
    if not isinstance(text, str) or not clean(text):
        raise ValueError("`text` must be a sentence")
    if not isinstance(kind, str) or not isinstance(turn, str):
        raise ValueError("`kind` and `turn` must be text")
    # A bool is an int to Python; NaN and infinity are numbers to its JSON.
    if isinstance(created, bool) or not (created is None or (isinstance(created, int | float) and abs(created) < 1e12)):
        raise ValueError("`created_at` must be seconds since 1970")
    if isinstance(seen, bool) or not isinstance(seen, int) or not 1 <= seen <= 1_000_000:
        raise ValueError("`seen` must be a count")
    return NewFact(clean(text), clean(kind)[:40] or "note", clean(turn)[:80], created, seen)
