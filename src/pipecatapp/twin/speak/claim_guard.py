"""A deed is told only where a tool did it: "All done." of a model that used none is not said."""

from __future__ import annotations

import re

from pipecatapp.languages import language
from pipecatapp.twin.speak.turn_request import TurnRequest

NOTHING_DONE = "I have done nothing for that: no tool of mine was used."
_END = re.compile(r"[.!?\n]")
_LONGEST = 200  # characters of a first sentence
_CLAIMS = language().claims


class ClaimGuard:
    """Holds the first sentence of a message back as long as it may claim a deed, and the rest of one that does.

    Nearly every other answer passes with its first word.

    Args:
        watches: whether there is anything to look for.
    """

    def __init__(self, *, watches: bool) -> None:
        self._held = ""
        self._open = not watches
        self.claims = False

    def feed(self, words: str) -> str:
        """The words that can be said now."""
        if self._open:
            return words
        self._held += words
        if self.claims or not self._held.strip():
            return ""
        if (sentence := self._sentence()) is not None:
            self.claims = _CLAIMS.claims_deed(sentence)
        elif _CLAIMS.may_claim(self._held):
            return ""
        return "" if self.claims else self._let_go()

    def _sentence(self) -> str | None:
        """The first sentence that says more than "okay", once it is whole."""
        ends = (end.start() for end in _END.finditer(self._held))
        whole = next((self._held[:end] for end in ends if not _CLAIMS.is_opening(self._held[:end])), None)
        return self._held[:_LONGEST] if whole is None and len(self._held) > _LONGEST else whole

    def finish(self) -> str:
        """What is held at the end of a message and can be said."""
        if not self._open and not self.claims:
            self.claims = _CLAIMS.claims_deed(self._held)
        return "" if self.claims else self._let_go()

    def _let_go(self) -> str:
        self._open, held, self._held = True, self._held, ""
        return held


def watch(request: TurnRequest, *, has_result: bool) -> ClaimGuard:
    """The guard of the next message: it watches where a person asked for something, and no tool did anything in this
    turn or in the one before."""
    before = request.history.turns[-1].turn.tool_calls if request.history.turns else ()
    wished = request.context.speaker == "person" and not _CLAIMS.asks_for_the_past(request.words)
    nothing_done = not (has_result or request.calls or before)
    return ClaimGuard(watches=wished and nothing_done and request.dialect.rewords_results)
