"""Words without their endings: Snowball's English stemmer (Porter 2)."""

from __future__ import annotations

import threading
from functools import lru_cache

from snowballstemmer.english_stemmer import EnglishStemmer

_STEMMER = EnglishStemmer()
# It works in fields of its own.
_TURN = threading.Lock()


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The word without its regular English endings: visits, visited and visiting meet at visit."""
    with _TURN:
        stemmed: str = _STEMMER.stemWord(word)
    return stemmed
