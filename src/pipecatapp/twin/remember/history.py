"""What the model sees of a conversation: the last turns, exactly as they were sent, cut in blocks.

A server's prefix cache holds only while the front of the prompt stays the same. So old turns are not dropped one by one
but ``BLOCK`` at a time: between two cuts every prompt begins with the whole prompt before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pipecatapp.domain import Message, Turn, TurnRecord, Usage

KEPT_TURNS = 10  # never fewer than these, as long as they fit the context
BLOCK = 5  # dropped at once

_MESSAGE_OVERHEAD = 6  # markers around a message, in tokens
_CAUTION = 0.95  # the estimate may be this far off


@dataclass(slots=True)
class TokenEstimate:
    """Guesses the tokens of a text from what the server counted before."""

    characters_per_token: float = 2.5

    def tokens(self, messages: Sequence[Message]) -> int:
        """About how many tokens these messages are."""
        return sum(_MESSAGE_OVERHEAD + round(len(m.content) / self.characters_per_token) for m in messages)

    def learn(self, messages: Sequence[Message], usage: Usage) -> None:
        """The server counted ``usage.prompt_tokens`` for these messages."""
        tokens = usage.prompt_tokens - _MESSAGE_OVERHEAD * len(messages)
        characters = sum(len(m.content) for m in messages)
        if tokens > 0 and characters > 0:
            self.characters_per_token = characters / tokens


class History:
    """The turns of one conversation that still go into the prompt."""

    def __init__(self, records: Sequence[TurnRecord] = ()) -> None:
        self._records = list(records)

    @classmethod
    def resume(cls, stored: Sequence[TurnRecord]) -> History:
        """The end of a stored conversation, cut where it was cut while it ran."""
        history = cls()
        for record in stored:
            history.drop_unheard(record.turn.user_text)
            history.add(record)
        return history

    @property
    def turns(self) -> Sequence[TurnRecord]:
        """The turns, oldest first."""
        return tuple(self._records)

    def messages(
        self, request: str = "", understands: Callable[[TurnRecord], bool] = lambda record: True
    ) -> list[Message]:
        """All of it that the model ``understands``, as sent; without a last turn that ``request`` goes on with
        (``drop_unheard``)."""
        records = self._records[:-1] if self._goes_on(request) else self._records
        return [message for record in records if understands(record) for message in record.messages]

    def drop_unheard(self, request: str) -> TurnRecord | None:
        """The person went on speaking before a word was heard, and says all of it again: the first part goes."""
        return self._records.pop() if self._goes_on(request) else None

    def _goes_on(self, request: str) -> bool:
        if not request or not self._records:
            return False
        last = self._records[-1].turn
        unheard = last.interrupted and not last.assistant_text and not last.tool_calls
        return unheard and bool(last.user_text) and request.startswith(last.user_text)

    def add(self, record: TurnRecord) -> bool:
        """Keep a finished turn; True when a block of old ones went. A turn without messages leaves no trace."""
        if not record.messages:
            return False
        self._records.append(record)
        return len(self._records) >= KEPT_TURNS + BLOCK and self.drop_block()

    def drop_block(self) -> bool:
        """Forget the oldest turns; False when there is nothing left to forget."""
        if not self._records:
            return False
        del self._records[: _block(len(self._records))]
        return True

    def fit(self, around: Sequence[Message], estimate: TokenEstimate, budget: int) -> bool:
        """Drop blocks until this history and the messages around it fit the budget; True when something went."""
        costs = [estimate.tokens(record.messages) for record in self._records]
        over = estimate.tokens(around) + sum(costs) - budget * _CAUTION
        dropped = 0
        while over > 0 and dropped < len(costs):
            block = _block(len(costs) - dropped)
            over -= sum(costs[dropped : dropped + block])
            dropped += block
        del self._records[:dropped]
        return dropped > 0

    def record_heard(self, turn_id: str, text: str) -> TurnRecord | None:
        """After barge-in ``text`` is all that was said in this turn; gives back what is now on record."""
        for index, record in enumerate(self._records):
            if record.turn.id == turn_id:
                self._records[index] = record.heard(text)
                return self._records[index]
        return None

    def clear(self) -> None:
        """Begin afresh."""
        self._records.clear()

    def become(self, stored: Sequence[TurnRecord]) -> None:
        """Go on with the end of this stored conversation instead."""
        self._records = list(History.resume(stored).turns)


def _block(turns: int) -> int:
    """How many of so many turns are forgotten at once."""
    return min(BLOCK, max(1, turns // 2))


def history_of(messages: Sequence[Message]) -> History:
    """The history that a client sent with its request: all of it, however long."""
    records: list[TurnRecord] = []
    for message in messages:
        if message.role == "user" or not records:
            records.append(TurnRecord(Turn("", "", "", "api", 0.0), ()))
        turn = records[-1].turn
        if message.role == "user":
            turn = replace(turn, user_text=message.content)
        else:
            turn = replace(turn, assistant_text=message.content)
        records[-1] = TurnRecord(turn, (*records[-1].messages, message))
    return History(records)
