"""What the memory writes down: records of what happened to facts, in events of the journal and in lines of files.

A line is a JSON object with a checksum of itself. Named states have such lines; so had the record file of version 0.2,
a header and then records in the order in which they happened. Adding up the records gives the facts (fact_table.py).
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

FORMAT = "pipecatapp-memory"
VERSION = 1

_SEAL = b'{"crc":"'
_SEALED_AT = len(_SEAL) + 8 + len(b'",')


class BadRecordError(ValueError):
    """A line is not a record: torn, damaged or written by another program."""


@dataclass(frozen=True, slots=True)
class StoredFact:
    """A fact with everything that is known of it.

    ``supersedes`` are the facts that this one corrected or was merged with; they are kept as its history. ``seen``
    counts how often it was said.
    """

    id: int
    text: str
    kind: str
    turn: str
    created_at: float
    seen: int = 1
    last_seen: float = 0.0
    supersedes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Vector:
    """The embedding of a fact's text by the named model: float16 numbers, base64."""

    model: str
    data: str

    @classmethod
    def of(cls, model: str, raw: bytes) -> Vector:
        """From the numbers themselves."""
        return cls(model, base64.b64encode(raw).decode("ascii"))

    @property
    def raw(self) -> bytes:
        """The numbers themselves."""
        return base64.b64decode(self.data)


@dataclass(frozen=True, slots=True)
class Header:
    """First line of a file. ``next_id`` keeps ids from being given twice after a compaction.

    ``book`` names this set of ids: a file that knows the ids by another name belongs to other facts.
    """

    next_id: int
    book: str


@dataclass(frozen=True, slots=True)
class FactAdded:
    """A fact as it is: a new one, a correction (through ``supersedes``), or a line of a compacted file."""

    fact: StoredFact
    vector: Vector | None = None


@dataclass(frozen=True, slots=True)
class Merged:
    """The fact ``into`` was said again; the facts ``dropped`` say the same and become its history."""

    into: int
    dropped: tuple[int, ...]
    at: float


@dataclass(frozen=True, slots=True)
class Forgotten:
    """These facts and their history are gone. The record does not repeat what they said."""

    ids: tuple[int, ...]
    at: float


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vector of a fact, computed after it was kept."""

    id: int
    vector: Vector


Record = FactAdded | Merged | Forgotten | Embedded


def to_body(record: Record) -> dict[str, Any]:
    """The record as JSON holds it."""
    match record:
        case FactAdded(fact=fact, vector=vector):
            body: dict[str, Any] = {
                "op": "fact", "id": fact.id, "text": fact.text, "kind": fact.kind, "turn": fact.turn,
                "created": fact.created_at, "seen": fact.seen, "last": fact.last_seen, "old": list(fact.supersedes),
            }  # fmt: skip
            return body if vector is None else {**body, "model": vector.model, "vector": vector.data}
        case Merged(into=into, dropped=dropped, at=at):
            return {"op": "merge", "id": into, "old": list(dropped), "at": at}
        case Forgotten(ids=ids, at=at):
            return {"op": "forget", "ids": list(ids), "at": at}
        case Embedded(id=fact_id, vector=vector):
            return {"op": "vector", "id": fact_id, "model": vector.model, "vector": vector.data}


def from_body(body: Mapping[str, Any]) -> Record:
    """The record of ``to_body``.

    Raises:
        BadRecordError: it is none.
    """
    try:
        match body["op"]:
            case "fact":
                fact = StoredFact(
                    id=int(body["id"]), text=str(body["text"]), kind=str(body["kind"]), turn=str(body["turn"]),
                    created_at=float(body["created"]), seen=int(body["seen"]), last_seen=float(body["last"]),
                    supersedes=tuple(int(old) for old in body["old"]),
                )  # fmt: skip
                return FactAdded(fact, _vector(body) if "vector" in body else None)
            case "merge":
                return Merged(int(body["id"]), tuple(int(old) for old in body["old"]), float(body["at"]))
            case "forget":
                return Forgotten(tuple(int(gone) for gone in body["ids"]), float(body["at"]))
            case "vector":
                return Embedded(int(body["id"]), _vector(body))
            case unknown:
                raise BadRecordError(f"unknown operation {unknown!r}")
    except (KeyError, TypeError, ValueError) as error:
        raise BadRecordError(f"a field is missing or wrong: {error}") from error


def encode(record: Record | Header) -> bytes:
    """The record's line, newline included."""
    if isinstance(record, Header):
        return _seal({"format": FORMAT, "version": VERSION, "book": record.book, "next": record.next_id})
    return _seal(to_body(record))


def decode(line: bytes) -> Record:
    """The record of a line.

    Raises:
        BadRecordError: the line is torn, damaged or foreign.
    """
    return from_body(_unseal(line))


def decode_header(line: bytes) -> tuple[Header, int]:
    """The header of a file and the version of the format it is written in.

    Raises:
        BadRecordError: the line is no header of this format.
    """
    body = _unseal(line)
    if body.get("format") != FORMAT:
        raise BadRecordError("no header")
    try:
        return Header(next_id=int(body.get("next", 1)), book=str(body.get("book", ""))), int(body["version"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadRecordError(f"a field of the header is missing or wrong: {error}") from error


def said_again(fact: StoredFact, dropped: tuple[int, ...], at: float) -> StoredFact:
    """The fact after it was merged with what says the same."""
    fresh = tuple(old for old in dropped if old != fact.id and old not in fact.supersedes)
    return replace(fact, seen=fact.seen + 1, last_seen=max(fact.last_seen, at), supersedes=fact.supersedes + fresh)


def _vector(body: Mapping[str, Any]) -> Vector:
    return Vector(model=str(body["model"]), data=str(body["vector"]))


def _seal(body: Mapping[str, Any]) -> bytes:
    rest = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")[1:]
    return _SEAL + b"%08x" % zlib.crc32(rest) + b'",' + rest + b"\n"


def _unseal(line: bytes) -> dict[str, Any]:
    if not line.startswith(_SEAL) or not line.endswith(b"\n"):
        raise BadRecordError("no record")
    rest = line[_SEALED_AT:-1]
    if line[len(_SEAL) : _SEALED_AT] != b"%08x" % zlib.crc32(rest) + b'",':
        raise BadRecordError("the checksum does not match")
    try:
        body = json.loads(b"{" + rest)
    except ValueError as error:
        raise BadRecordError("no JSON") from error
    if not isinstance(body, dict):
        raise BadRecordError("no JSON object")
    return body
