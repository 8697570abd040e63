"""What a person wants forgotten, and how it is found in lines of JSON wherever they were copied to.

A fact is forgotten with the sentences that say it, in other words too, and with the turns in which it was said or told.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pipecatapp.storage.atomic import replacing

log = logging.getLogger(__name__)

_WORD = re.compile(r"\w+")
# A sentence of fewer words may stand in anything; it is only found where it is all that is said.
_TELLING = 3


class Erasure:
    """What is to leave the disk.

    Args:
        sentences: what the facts say, those that they corrected too.
        turns: the ids of the turns in which they were said.
        tells: whether a text tells one of them in other words.
    """

    def __init__(
        self, sentences: Iterable[str], turns: Iterable[str] = (), tells: Callable[[str], bool] = lambda _: False
    ) -> None:
        self.turns = {turn for turn in turns if turn}
        self._tells = tells
        found = {tuple(_WORD.findall(sentence.casefold())) for sentence in sentences}
        self._whole = {words for words in found if words}
        self._longest = max((len(" ".join(words)) for words in self._whole), default=0)
        told = sorted(r"\W+".join(map(re.escape, words)) for words in self._whole if len(words) >= _TELLING)
        self._in_text = re.compile(rf"(?<!\w)(?:{'|'.join(told)})(?!\w)") if told else None

    def add_turns(self, turns: Iterable[str]) -> None:
        """These turns repeat it: whatever else belongs to them goes as well."""
        self.turns |= set(turns)

    def concerns(self, value: Any) -> bool:
        """Whether this (text, or what JSON holds) says or tells it, or belongs to a turn in which that was done."""
        ahead = [value]
        while ahead:
            match ahead.pop():
                case str(text):
                    if self._says(text) or self._tells(text):
                        return True
                case Mapping() as inner:
                    turn = inner.get("turn")
                    named = turn.get("id") if isinstance(turn, Mapping) else turn
                    if any(isinstance(name, str) and name in self.turns for name in (named, inner.get("heard"))):
                        return True
                    if "user_text" in inner:  # the question says what the answer is about
                        ahead.append(f"{inner['user_text']}\n{inner.get('assistant_text', '')}")
                    ahead += inner.values()
                case list() | tuple() as items:
                    ahead += items
                case _:
                    pass
        return False

    def _says(self, text: str) -> bool:
        text = text.casefold()
        if self._in_text is not None and self._in_text.search(text):
            return True
        return len(text) <= 2 * self._longest and tuple(_WORD.findall(text)) in self._whole

    def in_line(self, line: bytes) -> bool:
        """Whether a line of JSON concerns it; one that cannot be read is taken for text."""
        try:
            return self.concerns(json.loads(line))
        except (ValueError, RecursionError):
            return self.concerns(line.decode("utf-8", "replace"))


Eraser = Callable[[Erasure], Awaitable[None]]


def erase_lines(path: Path, erasure: Erasure) -> int:
    """Take the lines that concern it out of a file, which is replaced at once; how many there were. Raises OSError."""
    with path.open("rb") as file:
        gone = sum(erasure.in_line(line) for line in file)
    if gone:
        mode = path.stat().st_mode & 0o777
        with path.open("rb") as file, replacing(path, mode) as fresh:
            fresh.writelines(line for line in file if not erasure.in_line(line))
    return gone
