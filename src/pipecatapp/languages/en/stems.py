"""Words without their endings."""

from __future__ import annotations

import re


def stem(word: str) -> str:
    """The word without its regular English endings: visits, visited and visiting meet at visit."""
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes", "zes")):
        word = word[:-2]
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        base = word.removesuffix(ending)
        if base != word and len(base) > 2 and re.search("[aeiouy]", base):
            double = len(base) > 3 and base[-1] == base[-2] and base[-1] not in "aeiouls"
            word = base[:-1] if double else base
            break
    if len(word) > 3 and word.endswith("e"):
        word = word[:-1]
    return word
