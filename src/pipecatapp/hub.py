"""The hub: every event of the program goes in, every open page gets them in order.

* ``seq`` counts up in each conversation; what matters after the fact (requests, answers, tools, costs) is kept on
  disk and replayed to a page that reconnects, also after a restart of the server.
* A page that reads slowly never holds up a turn: its queue is bounded. When it overflows the queue is emptied, and
  the page gets the kept events and the running answer once it reads again.

On the wire stand the events of ``events.py`` and three messages of the hub's own: ``hello`` (first), ``live`` (the
whole text of the answer that is being written) and ``replayed`` (from here on everything is new).
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pipecatapp.events import (
    ApprovalDecided,
    ApprovalRequested,
    AssistantDelta,
    AssistantMessage,
    AssistantSpoke,
    AuditRecorded,
    ConversationCleared,
    ErrorSpoken,
    Event,
    ExpertsChanged,
    HealthChanged,
    LogLine,
    PartialTranscript,
    ScheduleChanged,
    StateChanged,
    ToolFinished,
    ToolProgress,
    ToolStarted,
    TurnFinished,
    UserMessage,
)
from pipecatapp.storage.conversations import valid_id
from pipecatapp.storage.erasure import Erasure
from pipecatapp.storage.event_log import EventLog
from pipecatapp.twin.act.masking import mask, mask_text

log = logging.getLogger(__name__)

KEPT: tuple[type[Event], ...] = (
    UserMessage, AssistantMessage, ToolStarted, ToolFinished, ApprovalRequested, ApprovalDecided, TurnFinished,
    ConversationCleared, ErrorSpoken,
)  # fmt: skip
PASSING: tuple[type[Event], ...] = (PartialTranscript, AssistantSpoke, ToolProgress, AuditRecorded, LogLine)

Listener = Callable[[Event], None]


class _Line:
    """One message on its way to the pages, encoded once for all of them. ``stored``: as it goes to the disk."""

    __slots__ = ("kept", "passing", "seq", "stored", "text")

    def __init__(
        self, record: dict[str, Any], *, kept: bool, passing: bool, stored: dict[str, Any] | None = None
    ) -> None:
        self.text = _encode(record)
        self.stored = self.text if stored is None else _encode(stored)
        self.seq: int = record["seq"]
        self.kept = kept
        self.passing = passing


def _encode(record: dict[str, Any]) -> str:
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    # Half of a character (a model may write one) can be neither stored nor sent.
    return text.encode("utf-8", "replace").decode("utf-8")


def _mask(event: Event) -> dict[str, Any]:
    """The fields of an event that hold a call as it is, for the person who is asked; here without its secrets."""
    match event:
        case ApprovalRequested():
            call, detail = mask_text(event.sentence), mask_text(event.detail)
            return {"arguments": mask(event.arguments), "sentence": call, "detail": detail}
        case ToolFinished():
            call, newline, rest = event.detail.partition("\n")  # what was printed is kept as it is
            return {"text": mask_text(event.text), "detail": f"{mask_text(call)}{newline}{rest}"}
        case _:
            return {}


class _Channel:
    """What the hub knows of one conversation."""

    def __init__(self, history: list[_Line], keep: int) -> None:
        self.history: deque[_Line] = deque(history, maxlen=keep)
        self.seq = history[-1].seq if history else 0
        self.lines_on_disk = len(history)
        self.state: _Line | None = None
        self.live_turn = ""
        self.live_pieces: list[str] = []
        self.pages: set[Subscription] = set()


class Subscription:
    """One open page: a bounded queue of messages. ``async for`` yields them as JSON text until the hub closes."""

    def __init__(self, hub: EventHub, conversation: str, after: int, limit: int) -> None:
        self._hub = hub
        self.conversation = conversation
        self._limit = limit
        self._queue: deque[_Line | str] = deque()
        self._first = 0  # how many of the queue are what it started with
        self._wake = asyncio.Event()
        self._closed = False
        self._delivered = after
        self._behind = False

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> str:
        while not self._queue:
            if self._behind:
                self._behind = False
                self.start_with(self._hub.catch_up(self.conversation, self._delivered))
                continue
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        item = self._queue.popleft()
        self._first = max(0, self._first - 1)
        if isinstance(item, str):
            return item
        if item.kept:
            self._delivered = item.seq
        return item.text

    @property
    def waiting(self) -> int:
        """How many messages wait to be read."""
        return len(self._queue)

    def offer(self, line: _Line) -> None:
        """Queue a message. A full queue drops what passes anyway, else everything until the page reads again."""
        if self._behind:
            return
        if len(self._queue) - self._first >= self._limit:
            if line.passing:
                return
            self._drop()
        else:
            self._queue.append(line)
        self._wake.set()

    def start_with(self, items: list[_Line | str]) -> None:
        """What the page gets before anything new, however much: it takes no room from what is new."""
        self._queue.extend(items)
        self._first = len(self._queue)

    def _drop(self) -> None:
        """Forget what is new: the page catches up once it has read what it started with."""
        while len(self._queue) > self._first:
            self._queue.pop()
        self._behind = True

    def close(self) -> None:
        """End the iteration once the queue is empty."""
        self._closed = True
        self._wake.set()


class EventHub:
    """Implements ``ports.EventSink``: numbers, keeps and hands out events."""

    def __init__(
        self,
        event_log: EventLog,
        *,
        keep: int = 400,
        compact_at: int = 1200,
        queue_limit: int = 512,
        channels: int = 64,
        log_lines: int = 300,
        clock: Callable[[], float] = time.time,
        version: str = "",
    ) -> None:
        self.boot = secrets.token_hex(6)
        self._event_log = event_log
        self._keep = keep
        self._compact_at = compact_at
        self._queue_limit = queue_limit
        self._channels: OrderedDict[str, _Channel] = OrderedDict()
        self._max_channels = channels
        self._clock = clock
        self._version = version
        self._listeners: list[Listener] = []
        self._node_seq = 0
        self._health: dict[str, _Line] = {}
        self._experts: list[_Line] = []
        self._schedule: list[_Line] = []
        self._log: deque[_Line] = deque(maxlen=log_lines)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.get_ident()

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Name the loop (and so the thread) that pages are served from; other threads hand their events to it."""
        self._loop = loop
        self._thread = threading.get_ident()

    def add_listener(self, listener: Listener) -> None:
        """Call ``listener`` with every event (metrics, benchmark report)."""
        self._listeners.append(listener)

    def emit(self, event: Event) -> None:
        """Number the event, keep it where it matters, hand it to the pages. From any thread; never raises."""
        if threading.get_ident() != self._thread and self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._emit, event)
            except RuntimeError:
                log.debug("an event came after the loop had ended")
            return
        self._emit(event)

    @contextmanager
    def subscribe(self, conversation: str, after: int = 0, boot: str = "") -> Iterator[Subscription]:
        """Open a page on a conversation. ``after`` counts within the server run named by ``boot`` ("": this one)."""
        channel = self._channel(conversation)
        known = boot in ("", self.boot) and after <= channel.seq and not self._has_gap(channel, after)
        start = after if known else 0
        page = Subscription(self, conversation, start, self._queue_limit)
        hello = {
            "type": "hello",
            "boot": self.boot,
            "conversation": conversation,
            "seq": channel.seq,
            "replay": "rest" if known and after else "full",
            "version": self._version,
        }
        page.start_with([json.dumps(hello), *self._log, *self.catch_up(conversation, start)])
        channel.pages.add(page)
        try:
            yield page
        finally:
            channel.pages.discard(page)

    def catch_up(self, conversation: str, after: int) -> list[_Line | str]:
        """Health, kept events after ``after``, state and the running answer of a conversation."""
        channel = self._channel(conversation)
        items: list[_Line | str] = [*self._health.values(), *self._experts, *self._schedule]
        items += [line for line in channel.history if line.seq > after]
        if channel.state is not None:
            items.append(channel.state)
        text = "".join(channel.live_pieces)
        live = {"type": "live", "conversation": conversation, "turn": channel.live_turn, "text": text}
        items.append(json.dumps(live, ensure_ascii=False))
        items.append(json.dumps({"type": "replayed", "conversation": conversation, "seq": channel.seq}))
        return items

    def pages(self) -> int:
        """How many pages are open."""
        return sum(len(channel.pages) for channel in self._channels.values())

    def is_watched(self, conversation: str) -> bool:
        """Whether a page of this conversation is open."""
        channel = self._channels.get(conversation)
        return channel is not None and bool(channel.pages)

    def close(self) -> None:
        """End every page's stream and write what is left."""
        for channel in self._channels.values():
            for page in channel.pages:
                page.close()
        self._event_log.close()

    def _emit(self, event: Event) -> None:
        try:
            if event.conversation:
                if not valid_id(event.conversation):
                    raise ValueError(f"not a conversation id: {event.conversation!r}")
                self._emit_to_conversation(event)
            else:
                self._emit_to_all(event)
            for listener in self._listeners:
                listener(event)
        except Exception:  # a sink never raises: the turn that emits must go on
            log.exception("the event %s could not be handed on", event.type)

    async def erase(self, erasure: Erasure) -> None:
        """Take events out of what is kept, in memory and on the disk; a page that shows them does so until reloaded."""
        for channel in self._channels.values():
            kept = [line for line in channel.history if not erasure.in_line(line.text.encode())]
            if len(kept) < len(channel.history):
                channel.history = deque(kept, maxlen=channel.history.maxlen)
        await asyncio.to_thread(self._event_log.erase, erasure)

    def _emit_to_all(self, event: Event) -> None:
        self._node_seq += 1
        line = self._line(event, self._node_seq)
        if isinstance(event, HealthChanged):
            self._health[event.component] = line
        elif isinstance(event, ExpertsChanged):
            self._experts = [line]
        elif isinstance(event, ScheduleChanged):
            self._schedule = [line]
        elif isinstance(event, LogLine):
            self._log.append(line)
        for channel in self._channels.values():
            for page in channel.pages:
                page.offer(line)

    def _emit_to_conversation(self, event: Event) -> None:
        channel = self._channel(event.conversation)
        channel.seq += 1
        line = self._line(event, channel.seq)
        if isinstance(event, StateChanged):
            channel.state = line
        elif isinstance(event, AssistantDelta):
            if event.turn != channel.live_turn:
                channel.live_turn, channel.live_pieces = event.turn, []
            channel.live_pieces.append(event.text)
        elif isinstance(event, AssistantMessage | ConversationCleared):
            channel.live_turn, channel.live_pieces = "", []
        if line.kept:
            self._store(event, channel, line)
        for page in channel.pages:
            page.offer(line)

    def _store(self, event: Event, channel: _Channel, line: _Line) -> None:
        cleared = isinstance(event, ConversationCleared)
        if cleared:
            channel.history.clear()
        channel.history.append(line)
        if cleared or channel.lines_on_disk >= self._compact_at:
            self._event_log.replace(event.conversation, [kept.stored for kept in channel.history])
            channel.lines_on_disk = len(channel.history)
        else:
            self._event_log.append(event.conversation, line.stored)
            channel.lines_on_disk += 1

    def _line(self, event: Event, seq: int) -> _Line:
        record = {**event.to_json(), "seq": seq, "at": round(self._clock(), 3)}
        kept = isinstance(event, KEPT)
        stored = {**record, **_mask(event)} if kept else None
        return _Line(record, kept=kept, passing=isinstance(event, PASSING), stored=stored)

    def _channel(self, conversation: str) -> _Channel:
        channel = self._channels.get(conversation)
        if channel is None:
            records = self._event_log.load(conversation)
            channel = _Channel([_Line(record, kept=True, passing=False) for record in records], self._keep)
            channel.lines_on_disk = len(records)
            self._channels[conversation] = channel
            self._evict(conversation)
        self._channels.move_to_end(conversation)
        return channel

    def _evict(self, spared: str) -> None:
        """Forget, in memory only, conversations that nobody looks at."""
        for name in list(self._channels):
            if len(self._channels) <= self._max_channels:
                return
            channel = self._channels[name]
            if name != spared and not channel.pages and not channel.live_turn:
                del self._channels[name]

    @staticmethod
    def _has_gap(channel: _Channel, after: int) -> bool:
        """Whether events after ``after`` are no longer kept (only when the history was cut)."""
        return len(channel.history) == channel.history.maxlen and after < channel.history[0].seq
