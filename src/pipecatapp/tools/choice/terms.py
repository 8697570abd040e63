"""Words as the chooser compares them: split, stemmed, the small ones left out; and the shapes of things that are no
words: an address of a page, a path, a host, an option of a command."""

from __future__ import annotations

import re
from functools import lru_cache

from pipecatapp.languages import language

_LANGUAGE = language()
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORD = re.compile(r"[^\W_]+")
_ENDINGS = ("ings", "ing", "ies", "ied", "ers", "ed", "es", "er", "s", "ly")


def words(text: str) -> list[str]:
    """All words, in lower case; names like ``getFile`` and ``get_file`` come apart."""
    plain = _CAMEL.sub(" ", text).lower().replace("\u2019", "'").replace("'s ", " ").replace("'", "")
    return _WORD.findall(plain)


def telling(found: list[str]) -> list[str]:
    """Those that say something, each once; all of them when none does."""
    return list(dict.fromkeys(word for word in found if word not in _LANGUAGE.stop_words.tools)) or list(
        dict.fromkeys(found)
    )


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """Enough to bring "lights" and "light", "tries" and "try", "planning" and "plan" together."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            base = word[: -len(ending)]
            if len(base) > 3 and base[-1] == base[-2] and base[-1] not in "ls":
                base = base[:-1]
            return base + ("y" if ending in ("ies", "ied") else "")
    return word[:-1] if word.endswith("e") and len(word) > 4 else word


def shapes(text: str) -> list[tuple[str, ...]]:
    """What the things in the text that are no words are about."""
    lower = text.lower()
    return [shape.about for shape in _LANGUAGE.shapes if shape.pattern.search(lower)]


def trigrams(word: str) -> frozenset[str]:
    """The three-letter pieces of a word with its ends marked."""
    marked = f"^{word}$"
    return frozenset(marked[index : index + 3] for index in range(len(marked) - 2))
