"""Whether words that were said hold a value, so that nobody else can have thought of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_LONGEST_SAID = 300  # characters of a value that a person can have said word by word
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


def hold_all(words: str, arguments: Mapping[str, Any]) -> bool:
    """Whether these words hold every value: all of its own words, in their order.

    A value may be put together from several places ("tomorrow at five" from "tomorrow to call mum at five"); a word
    that nobody said, from a memory or a model, is in none of them.
    """
    return all(_hold(words, str(value)) for value in arguments.values())


def _hold(words: str, value: str) -> bool:
    said = iter(_WORD.findall(words.casefold()))
    return len(value) <= _LONGEST_SAID and all(word in said for word in _WORD.findall(value.casefold()))
