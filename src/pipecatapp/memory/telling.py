"""Does a text tell a fact, in whatever words around it? "Your spare key is under the blue pot" tells what was noted as
"the spare key is under the blue pot", and so does "Where is the spare key? Under the blue pot."
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipecatapp.memory.keywords import words

_LEAST = 2  # words that say what a fact is about; one alone may stand in anything
_AROUND = 12  # other words that may stand between them
_BEGINNING = 4  # letters by which a text that cannot tell it is passed over


@dataclass(frozen=True, slots=True)
class _Told:
    wanted: frozenset[str]
    beginning: str


class Telling:
    """Finds texts that tell one of these facts.

    Args:
        sentences: what the facts say.
    """

    def __init__(self, sentences: Iterable[str]) -> None:
        found = {frozenset(words(sentence)) for sentence in sentences}
        self._told = [_Told(wanted, max(wanted, key=len)[:_BEGINNING]) for wanted in found if len(wanted) >= _LEAST]

    def __call__(self, text: str) -> bool:
        """Whether the text holds all that matters of one of them, close together."""
        lower = text.casefold()
        near = [told.wanted for told in self._told if told.beginning in lower]
        if not near:
            return False
        spoken = words(text)
        return any(_stand_together(spoken, wanted) for wanted in near if wanted.issubset(spoken))


def _stand_together(spoken: list[str], wanted: frozenset[str]) -> bool:
    """Whether all of the wanted words stand in a stretch that is not much longer than they are."""
    last: dict[str, int] = {}
    for place, word in enumerate(spoken):
        if word in wanted:
            last[word] = place
            if len(last) == len(wanted) and place - min(last.values()) < len(wanted) + _AROUND:
                return True
    return False
