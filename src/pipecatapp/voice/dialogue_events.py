"""What a voice session tells the page: its state, the words that are heard, what of an answer was heard."""

from __future__ import annotations

from pipecatapp.events import AssistantSpoke, ErrorSpoken, PartialTranscript, State, StateChanged
from pipecatapp.ports import EventSink

HEARING_FAILED = "Sorry, something went wrong while I was listening. Please say that again."


class DialogueEvents:
    """The events of one conversation.

    Args:
        sink: where they go.
        conversation: its id.
    """

    def __init__(self, sink: EventSink, conversation: str) -> None:
        self._sink = sink
        self._conversation = conversation
        self._state: State | None = None

    def state(self, state: State) -> None:
        """What the agent is doing, where that is something else than before."""
        if state != self._state:
            self._state = state
            self._sink.emit(StateChanged(conversation=self._conversation, state=state))

    def partial(self, text: str) -> None:
        """The words so far."""
        self._sink.emit(PartialTranscript(conversation=self._conversation, text=text))

    def spoke(self, turn: str, text: str) -> None:
        """This of the turn's answer was heard."""
        self._sink.emit(AssistantSpoke(conversation=self._conversation, turn=turn, text=text))

    def hearing_failed(self) -> None:
        """The words were lost."""
        self._sink.emit(ErrorSpoken(conversation=self._conversation, kind="stt", text=HEARING_FAILED))

    def silent(self, reason: str) -> None:
        """A clause could not be spoken."""
        self._sink.emit(
            ErrorSpoken(
                conversation=self._conversation,
                kind="tts",
                text=f"I cannot speak right now, so here is my answer in writing only. ({reason})",
            )
        )
