"""The replicated log: the journal's entries in a JetStream stream, each acknowledged by more than half of its copies.

Every entry names the place of the last one that its writer knows, and the servers refuse it where that is no longer the
last: of two writers one wins, and whoever was replaced cannot write. A stream begins with a snapshot, so it is whole by
itself; to forget, or to become short again, the log moves to a new stream and the old one is deleted with its files.

    journal-head             subject ``journal.head``: the name of the stream that counts
    journal-<id>             subjects ``journal.<id>.snapshot`` and ``journal.<id>.entry``
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pipecatapp.storage.replication.link import BehindError, Link, LinkError, RefusedError

HEAD = "journal-head"
_PREFIX = "journal-"
# A server takes messages of up to 1 MB.
CHUNK = 512 * 1024
_AHEAD = 32  # entries that are asked for at once
_EXPECTED = "Nats-Expected-Last-Sequence"
_MADE_ID = "Nats-Msg-Id"
Kind = Literal["event", "term", "begin", "moved"]


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry. ``sequence``: of the journal's last event with it, ``term``: of who wrote it.

    ``body``: of an event its topic and its body, of a term who leads, of a beginning what the snapshot is, of a move
    where to. ``id``: by which its writer knows it again. ``place``: in the stream, once it is there.
    """

    kind: Kind
    sequence: int
    term: int
    body: Mapping[str, Any]
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    place: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a stream begins with: the parts of it, and the entry that says what they are."""

    parts: Sequence[bytes]
    begin: LogEntry


class LogStream:
    """The log, as it lies on the servers. All methods raise LinkError where more than half of them do not answer."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def prepare(self) -> None:
        """Make what is always there, in as many copies as there should be."""
        await ensure_stream(self._link, HEAD, ["journal.head"], storage="file", max_msgs=8)

    async def head(self) -> tuple[str, int]:
        """The name of the stream that counts, and the place of that answer; empty and 0 where there is none yet."""
        try:
            said = await self._link.api(f"STREAM.MSG.GET.{HEAD}", {"last_by_subj": "journal.head"})
        except RefusedError as error:
            if error.absent:
                return "", 0
            raise
        message = said["message"]
        return str(json.loads(base64.b64decode(message["data"]))["log"]), int(message["seq"])

    async def set_head(self, log: str, expected: int) -> None:
        """Let this stream count from now on. Raises BehindError when somebody else said so of another one."""
        await self._link.ask("journal.head", json.dumps({"log": log}).encode(), {_EXPECTED: str(expected)})

    async def create(self) -> str:
        """Make a new stream; its name. Nobody else knows it yet. Raises LinkError also where one server is away."""
        log = f"{_PREFIX}{secrets.token_hex(6)}"
        await ensure_stream(self._link, log, [f"{_subject(log)}.*"], storage="file")
        return log

    async def fill(self, log: str, snapshot: Snapshot) -> int:
        """Have a new stream begin with this; the place of its last entry."""
        place = 0
        for part in snapshot.parts:
            said = await self._link.ask(f"{_subject(log)}.snapshot", part, {_EXPECTED: str(place)})
            place = _behind(place, said)
        return await self.append(log, snapshot.begin, place)

    async def append(self, log: str, entry: LogEntry, expected: int) -> int:
        """Add an entry behind the one at this place; its own place, once most of the servers have it.

        Raises:
            BehindError: that is not the last one any more; nothing was added.
            LinkError: whether it was added is not known.
        """
        whole = json.dumps(
            {"kind": entry.kind, "sequence": entry.sequence, "term": entry.term, "id": entry.id, "body": entry.body},
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode()
        pieces = [whole[at : at + CHUNK] for at in range(0, len(whole), CHUNK)]
        for number, piece in enumerate(pieces, 1):
            headers = {_EXPECTED: str(expected), _MADE_ID: f"{entry.id}.{number}"}
            if len(pieces) > 1:
                headers["Piece"] = f"{entry.id} {number}/{len(pieces)}"
            expected = await self._put(log, piece, headers, expected)
        return expected

    async def entries(self, log: str, after: int) -> AsyncIterator[LogEntry]:
        """The entries behind this place, up to the last one now. Raises RefusedError where the stream is not there."""
        pieces: list[bytes] = []
        owner = ""
        async for place, _, headers, data in self._messages(log, after):
            name, _, count = headers.get("Piece", "").partition(" ")
            if name != owner:
                pieces, owner = [], name  # what stood before was never finished
            pieces.append(data)
            if name and int(count.split("/")[0]) < int(count.split("/")[1]):
                continue
            yield _decoded(b"".join(pieces), place)
            pieces, owner = [], ""

    async def snapshot(self, log: str) -> Snapshot:
        """What a stream begins with. Raises RefusedError where the stream is not there."""
        parts: list[bytes] = []
        async for place, subject, _, data in self._messages(log, 0):
            if subject.endswith(".entry"):
                return Snapshot(parts, _decoded(data, place))
            parts.append(data)
        raise RefusedError(f"the stream {log} has no beginning", code=404)

    async def begin(self, log: str) -> LogEntry:
        """The entry behind a stream's snapshot."""
        said = await self._link.api(f"STREAM.MSG.GET.{log}", {"seq": 1, "next_by_subj": f"{_subject(log)}.entry"})
        return _decoded(base64.b64decode(said["message"]["data"]), int(said["message"]["seq"]))

    async def delete_older(self, log: str) -> list[str]:
        """Delete the streams of the journal that were made before this one: their files leave the disks of all servers.

        None that is newer: whoever was replaced, and does not know it yet, must not delete what counts. None either
        while a server is away, or has not heard yet that another stream counts: it would keep files of it for good.

        Returns:
            The names of those servers; empty: all streams before this one are gone.
        """
        made = str((await self._link.api(f"STREAM.INFO.{log}"))["created"])
        away: set[str] = set()
        for name in (await self._link.api("STREAM.NAMES")).get("streams") or []:
            if not str(name).startswith(_PREFIX) or name in (log, HEAD):
                continue
            try:
                info = await self._link.api(f"STREAM.INFO.{name}")
                if _moment(str(info["created"])) >= _moment(made):
                    continue
                behind = _behind_or_away(info)
                if not behind:
                    await self._link.api(f"STREAM.DELETE.{name}")
                away.update(behind)
            except RefusedError as error:
                if not error.absent:
                    raise
        return sorted(away)

    async def fit_copies(self, log: str) -> None:
        """Have as many copies of everything as there should be, after servers came or went."""
        for name in (HEAD, log):
            await fit_copies(self._link, name)

    async def _put(self, log: str, piece: bytes, headers: Mapping[str, str], expected: int) -> int:
        try:
            said = await self._link.ask(f"{_subject(log)}.entry", piece, headers)
            if not said.get("duplicate"):
                return _behind(expected, said)
        except BehindError:
            if await self._has(log, expected + 1, headers[_MADE_ID]):
                return expected + 1
            raise
        # A leader also says so of what it has not got the others to agree to yet, and then names no place.
        if await self._has(log, expected + 1, headers[_MADE_ID]):
            return expected + 1
        raise LinkError("an earlier try is still on its way")

    async def _has(self, log: str, place: int, made_id: str) -> bool:
        """Whether it is there: the answer to an earlier try was lost."""
        there = await self._message(log, place)
        return there is not None and _headers(there.get("hdrs", "")).get(_MADE_ID) == made_id

    async def _messages(self, log: str, after: int) -> AsyncIterator[tuple[int, str, Mapping[str, str], bytes]]:
        while True:
            found = await asyncio.gather(*(self._message(log, after + n) for n in range(1, _AHEAD + 1)))
            for message in found:
                if message is None:
                    return
                after, subject = int(message["seq"]), str(message["subject"])
                yield after, subject, _headers(message.get("hdrs", "")), base64.b64decode(message.get("data", ""))

    async def _message(self, log: str, place: int) -> dict[str, Any] | None:
        try:
            return dict((await self._link.api(f"STREAM.MSG.GET.{log}", {"seq": place}))["message"])
        except RefusedError as error:
            if error.absent and "no message" in str(error):
                return None
            raise


async def ensure_stream(
    link: Link, name: str, subjects: Sequence[str], *, storage: Literal["file", "memory"], max_msgs: int = -1
) -> None:
    """Make a stream unless it is there."""
    wanted = {
        "name": name, "subjects": list(subjects), "num_replicas": link.access.replicas, "storage": storage,
        "retention": "limits", "discard": "old", "max_msgs": max_msgs, "duplicate_window": 120_000_000_000,
    }  # fmt: skip
    try:
        await link.api(f"STREAM.INFO.{name}")
    except RefusedError as error:
        if not error.absent:
            raise
        await link.api(f"STREAM.CREATE.{name}", wanted)


async def fit_copies(link: Link, name: str) -> None:
    """Change how many copies of a stream there are where that is another number than it should be."""
    config = (await link.api(f"STREAM.INFO.{name}"))["config"]
    if config["num_replicas"] != link.access.replicas:
        await link.api(f"STREAM.UPDATE.{name}", {**config, "num_replicas": link.access.replicas})


def _behind_or_away(info: Mapping[str, Any]) -> list[str]:
    """The names of the servers whose copy of a stream is not whole now."""
    copies = info.get("cluster", {}).get("replicas") or []
    return [str(copy["name"]) for copy in copies if copy.get("offline") or copy.get("lag") or not copy.get("current")]


def _behind(place: int, said: Mapping[str, Any]) -> int:
    """The place that an acknowledgement names: behind the one that was expected, or it is none."""
    if int(said["seq"]) != place + 1:
        raise LinkError(f"acknowledged as {said['seq']} behind {place}")
    return place + 1


def _subject(log: str) -> str:
    return f"journal.{log.removeprefix(_PREFIX)}"


def _moment(stamp: str) -> tuple[str, str]:
    """A time as NATS writes it, nanoseconds without trailing zeros, so that it can be compared."""
    seconds, _, fraction = stamp.removesuffix("Z").partition(".")
    return seconds, fraction.ljust(9, "0")


def _decoded(data: bytes, place: int) -> LogEntry:
    try:
        said = json.loads(data)
        return LogEntry(said["kind"], int(said["sequence"]), int(said["term"]), said["body"], str(said["id"]), place)
    except (ValueError, KeyError, TypeError) as error:
        raise LinkError(f"the entry at {place} cannot be read: {error}") from error


def _headers(encoded: str) -> dict[str, str]:
    lines = base64.b64decode(encoded).decode("utf-8", "replace").split("\r\n")[1:]
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
