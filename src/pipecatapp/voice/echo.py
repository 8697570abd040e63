"""Is this the agent's own voice, come back from the loudspeaker and misheard?

Echo cancellation comes first (the browser's, local audio's own). What it leaves is recognized badly: the words are
compared with what was played lately, in order, and half of them may be wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from pipecatapp.languages import language

# How long after the last sound of an answer words may still be its echo.
ECHO_WITHIN_S = 3.0
# Who begins to speak this long after a question has ended answers it: the echo of a room is earlier.
ANSWERS_AFTER_S = 0.25
_STOP_WORDS = language().stop_words.tools
_MOST_WRONG = 0.5  # of the words
_FEW = 4
_MOST_WRONG_OF_SMALL = 0.45  # where those that are right stand in every sentence
_ALIKE = 0.6
_MOST_HEARD, _MOST_PLAYED = 40, 120  # words that are compared
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_SENTENCE = re.compile(r"[.!?\n](?=\s)")


def words_of(text: str) -> list[str]:
    """The words in lower case, without signs."""
    return _WORD.findall(text.lower().replace("\u2019", "'"))


def is_echo(heard: str, played: str) -> bool:
    """Whether the words heard are, for the most part, a stretch of those played.

    Args:
        heard: what was recognized.
        played: what came out of the loudspeaker lately, as it was spoken.
    """
    words, said = words_of(heard)[:_MOST_HEARD], words_of(played)[-_MOST_PLAYED:]
    if not words or not said:
        return False
    # The distance to the stretch that is most alike, which may begin and end anywhere; of equal ones to that with most
    # words that mean something.
    row = [(0, 0)] * (len(said) + 1)
    for word in words:
        above, row = row, [(row[0][0] + 1, row[0][1])]
        for place, other in enumerate(said):
            wrong, meant = above[place]
            alike = _sounds_like(word, other)
            best = (wrong, meant - (other not in _STOP_WORDS)) if alike else (wrong + 1, meant)
            row.append(min(best, _further(above[place + 1]), _further(row[place])))
    wrong, meant = min(row)
    if not wrong:
        return True
    few = len(words) <= _FEW
    return wrong <= len(words) * (_MOST_WRONG if meant or few else _MOST_WRONG_OF_SMALL)


def _further(cell: tuple[int, int]) -> tuple[int, int]:
    return cell[0] + 1, cell[1]


def asks(text: str) -> bool:
    """Whether a text ends with a question."""
    return text.rstrip(" \n\t\"')*_`").endswith("?")


def is_asking(text: str, heard: str) -> bool:
    """Whether the question at the end of a text is being heard: what is left of it to hear is that question."""
    if not asks(text):
        return False
    ends = [match.end() for match in _SENTENCE.finditer(text.rstrip())]
    return len(heard) >= (ends[-1] if ends else 0)


@dataclass(slots=True)
class OwnVoice:
    """What the agent said lately.

    Attributes:
        words: the last of it, as it was spoken.
        ended_at: when its last sound was heard, on the monotonic clock.
        asked: it ended with a question.
    """

    words: str = ""
    ended_at: float = float("-inf")
    asked: bool = False

    def words_at(self, moment: float) -> str:
        """The words whose echo may come to somebody, or nobody, who began to speak at a moment."""
        return self.words if moment - self.ended_at <= ECHO_WITHIN_S else ""

    def may_be(self, heard: str, began: float) -> bool:
        """Whether words are its echo that somebody, or nobody, began to say at a moment, after it had ended."""
        after = began - self.ended_at
        if after > ECHO_WITHIN_S or (self.asked and after > ANSWERS_AFTER_S):
            return False
        return is_echo(heard, self.words)


@lru_cache(maxsize=4096)
def _sounds_like(heard: str, played: str) -> bool:
    if heard == played:
        return True
    if min(len(heard), len(played)) < 3:
        return False
    return SequenceMatcher(None, heard[:20], played[:20], autojunk=False).ratio() >= _ALIKE
