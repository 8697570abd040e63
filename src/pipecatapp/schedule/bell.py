"""Lets what rings be heard where people are, shows it on the pages, and tells what was missed at the next contact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from pipecatapp.background import BackgroundTasks
from pipecatapp.events import Event, ScheduleChanged, UserMessage
from pipecatapp.ports import EventSink
from pipecatapp.schedule.naming import say_ring
from pipecatapp.schedule.service import ScheduleService
from pipecatapp.schedule.view import view


class Speakers(Protocol):
    """The voice sessions (``twin.turn_queue.TurnRunner``)."""

    def ring(self, sounding: Callable[[str], Sequence[str]]) -> None:
        """Let each ring with the sentences that ``sounding`` says of its conversation."""

    def tell(self, conversation: str, notice: str, told: Callable[[], None]) -> None:
        """Say this in a conversation once it is free, aloud where somebody listens; then call ``told``."""

    def is_listening(self, conversation: str) -> bool:
        """Whether there is one."""


class Bell:
    """What rings, for people.

    Args:
        service: the schedule.
        speakers: the voice sessions.
        sink: where the pages hear of it.
        is_watched: whether a page of a conversation is open.
    """

    def __init__(
        self, service: ScheduleService, speakers: Speakers, sink: EventSink, is_watched: Callable[[str], bool]
    ) -> None:
        self._service = service
        self._speakers = speakers
        self._sink = sink
        self._shown: ScheduleChanged | None = None
        self._telling: set[str] = set()
        self._noting = BackgroundTasks("what was told could not be noted, so it is told again")
        service.look_for_people(lambda conversation: is_watched(conversation) or speakers.is_listening(conversation))

    def look(self) -> None:
        """Something may have changed."""
        shown = view(self._service.keeper, self._service.is_everywhere)
        if shown != self._shown:
            self._shown = shown
            self._sink.emit(shown)
        self._speakers.ring(self._sentences)

    def observe(self, event: Event) -> None:
        """A person spoke: what was missed is told behind the answer."""
        if not isinstance(event, UserMessage) or event.source not in ("voice", "typed"):
            return
        ids, text = self._service.missed(without=self._telling)
        if ids:
            self._telling |= set(ids)
            self._speakers.tell(event.conversation, text, partial(self._note, ids))

    async def aclose(self) -> None:
        """Wait until what was told is noted."""
        await self._noting.wait()

    def _sentences(self, conversation: str) -> Sequence[str]:
        return [say_ring(ring) for ring in self._service.heard_in(conversation)]

    def _note(self, ids: Sequence[str]) -> None:
        self._telling -= set(ids)
        self._noting.start(self._service.told(ids))
