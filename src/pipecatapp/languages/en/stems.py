"""Words without their endings: Snowball's English stemmer (Porter 2)."""

from __future__ import annotations

import threading
from functools import lru_cache

from snowballstemmer.english_stemmer import EnglishStemmer

# Everyday forms that Snowball leaves apart. Those that are also other words (left, found, lives) are not here.
_IRREGULAR = {
    form: word
    for word, forms in {
        "go": "goes went gone", "take": "took taken", "give": "gave given", "come": "came", "buy": "bought",
        "bring": "brought", "keep": "kept", "meet": "met", "tell": "told", "know": "knew known",
        "write": "wrote written",
        "drive": "drove driven", "eat": "ate eaten", "drink": "drank drunk", "sell": "sold", "send": "sent",
        "spend": "spent", "lose": "lost", "win": "won", "pay": "paid", "get": "got gotten", "make": "made",
        "speak": "spoke spoken", "break": "broke broken", "choose": "chose chosen", "forget": "forgot forgotten",
        "grow": "grew grown", "sleep": "slept", "teach": "taught", "wear": "wore worn", "child": "children",
        "man": "men", "woman": "women", "person": "people", "foot": "feet", "tooth": "teeth", "mouse": "mice",
        "wife": "wives", "knife": "knives",
    }.items()
    for form in forms.split()
}  # fmt: skip
_STEMMER = EnglishStemmer()
# It works in fields of its own.
_TURN = threading.Lock()


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The word without its English endings: visits, visited and visiting meet at visit, goes and went at go."""
    with _TURN:
        stemmed: str = _STEMMER.stemWord(_IRREGULAR.get(word, word))
    return stemmed
