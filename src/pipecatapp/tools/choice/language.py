"""Words as the chooser compares them: split, stemmed, the small ones left out; and the shapes of things that are no
words: an address of a page, a path, a host, an option of a command."""

from __future__ import annotations

import re
from functools import lru_cache

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORD = re.compile(r"[^\W_]+")
_STOP = frozenset(
    _WORD.findall(
        "a an the of to in on at for from by with and or is are was were be been am do does did has have had i me my "
        "we us our you your he she it its they them their this that these those what which who whom how when where why "
        "can could will would should shall may might must please not no so if as than then there here just now get got "
        "let s t m re ve ll d hey ok okay hello hi uh um well oh yes"
    )
)
_ENDINGS = ("ings", "ing", "ies", "ied", "ers", "ed", "es", "er", "s", "ly")
# What a thing looks like -> the words that tools are described with.
_SHAPES = (
    (re.compile(r"\bhttps?://|\bwww\."), ("web", "page", "browser", "url", "site")),
    (re.compile(r"(?:\w\.|\bdot )(?:com|org|net|io|de|dev|gov|edu|eu|info|uk)\b"), ("web", "page", "browser", "site")),
    (re.compile(r"(?:^|\s)(?:~|\.{0,2})/\w|\bslash \w"), ("path", "file", "folder")),
    (re.compile(r"\s--?[a-z]\w*\b|\bsudo\b|\|\s*\w+"), ("command", "run")),
    (re.compile(r"\b[a-z]{2,}[-_]?\d{1,3}(?:\.\w+)*\b|\b\d+\.\d+\.\d+\.\d+\b"), ("host", "computer", "server")),
    (re.compile(r"\S@\S+\.\w"), ("email", "address")),
    (re.compile(r"\d\s*(?:[-+*/^]|times|plus|minus|divided by|percent of)\s*\d"), ("calculate", "arithmetic")),
    (re.compile(r"\.ya?ml\b"), ("playbook", "yaml")),
    (re.compile(r"\.(?:jpe?g|png|gif)\b"), ("image", "picture")),
    (re.compile(r"\.(?:txt|md|csv|docx?|log)\b"), ("file", "document")),
    (re.compile(r"\.(?:mp3|wav|ogg)\b"), ("audio", "recording")),
    (re.compile(r"\.(?:mp4|mkv|avi)\b"), ("video", "clip")),
    (re.compile(r"\.(?:xlsx?|ods)\b"), ("spreadsheet", "table")),
)  # fmt: skip


def words(text: str) -> list[str]:
    """All words, in lower case; names like ``getFile`` and ``get_file`` come apart."""
    plain = _CAMEL.sub(" ", text).lower().replace("\u2019", "'").replace("'s ", " ").replace("'", "")
    return _WORD.findall(plain)


def telling(found: list[str]) -> list[str]:
    """Those that say something, each once; all of them when none does."""
    return list(dict.fromkeys(word for word in found if word not in _STOP)) or list(dict.fromkeys(found))


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
    return [about for pattern, about in _SHAPES if pattern.search(lower)]


def trigrams(word: str) -> frozenset[str]:
    """The three-letter pieces of a word with its ends marked."""
    marked = f"^{word}$"
    return frozenset(marked[index : index + 3] for index in range(len(marked) - 2))
