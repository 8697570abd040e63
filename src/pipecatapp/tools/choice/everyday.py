"""What people say, in the words that tools are described with: "do I need an umbrella" is about the weather
(``everyday.txt`` of the language)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from pipecatapp.languages import language
from pipecatapp.tools.choice.terms import stem

Concept = tuple[str, ...]
_PART = re.compile(r"[^\W_]+|#")
_NUMBER = "#"


@cache
def _phrases() -> dict[str, list[tuple[Concept, tuple[str, ...]]]]:
    """Phrases in stems by their first one, with the concept that each evokes."""
    found: dict[str, list[tuple[Concept, tuple[str, ...]]]] = {}
    for line in language().everyday.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        about, _, phrases = line.partition(":")
        for phrase in phrases.split(","):
            stems = tuple(_stemmed(part) for part in _PART.findall(phrase.lower().replace("'", "")))
            if stems:
                found.setdefault(stems[0], []).append((tuple(about.split()), stems))
    return found


@cache
def concepts() -> tuple[Concept, ...]:
    """All concepts, each once."""
    return tuple(dict.fromkeys(concept for phrases in _phrases().values() for concept, _ in phrases))


@cache
def vocabulary() -> frozenset[str]:
    """The stems that phrases are made of."""
    return frozenset(stem for phrases in _phrases().values() for _, stems in phrases for stem in stems)


def evoked(words: Sequence[str]) -> dict[Concept, int]:
    """The concepts that these words evoke, with the length of the longest phrase that does."""
    stems = tuple(_stemmed(word) for word in words)
    found: dict[Concept, int] = {}
    for index, first in enumerate(stems):
        for concept, phrase in _phrases().get(first, ()):
            if stems[index : index + len(phrase)] == phrase:
                found[concept] = max(found.get(concept, 0), len(phrase))
    return found


def _stemmed(word: str) -> str:
    return _NUMBER if word == _NUMBER or word.isdigit() else stem(word)
