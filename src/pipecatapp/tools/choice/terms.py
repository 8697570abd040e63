"""Words as the chooser compares them: split, stemmed, the small ones left out; and the shapes of things that are no
words: an address of a page, a path, a host, an option of a command."""

from __future__ import annotations

import re

from pipecatapp.languages import language

_LANGUAGE = language()
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """All words, in lower case; names like ``getFile`` and ``get_file`` come apart."""
    plain = _CAMEL.sub(" ", text).lower().replace("\u2019", "'").replace("'s ", " ").replace("'", "")
    return _WORD.findall(plain)


def telling(found: list[str]) -> list[str]:
    """Those that say something, each once; all of them when none does."""
    return list(dict.fromkeys(word for word in found if word not in _LANGUAGE.stop_words.tools)) or list(
        dict.fromkeys(found)
    )


def stem(word: str) -> str:
    """Brings "lights" and "light", "tries" and "try", "planning" and "plan" together."""
    return _LANGUAGE.stem(word)


def shapes(text: str) -> list[tuple[str, ...]]:
    """What the things in the text that are no words are about."""
    lower = text.lower()
    return [shape.about for shape in _LANGUAGE.shapes if shape.pattern.search(lower)]


def trigrams(word: str) -> frozenset[str]:
    """The three-letter pieces of a word with its ends marked."""
    marked = f"^{word}$"
    return frozenset(marked[index : index + 3] for index in range(len(marked) - 2))
