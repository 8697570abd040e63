"""JSON as people write it by hand: with comments, commas behind the last member, a byte order mark."""

from __future__ import annotations

import json
import re
from typing import Any

# Strings are matched to be passed over. Each alternative takes what was never closed too, so nothing is read twice.
_COMMENT = re.compile(r'"(?:[^"\\]++|\\.)*+"?|//[^\n]*+|/\*(?:[^*]++|\*(?!/))*+(?:\*/)?', re.DOTALL)
_COMMA = re.compile(r'"(?:[^"\\]++|\\.)*+"?|,(?=\s*+[}\]])', re.DOTALL)
_NOT_LINE_END = re.compile(r"[^\n]")


class Doubled(dict[str, Any]):
    """An object in which a key stands twice. ``keys_twice`` names those; the last value counts, as everywhere."""

    keys_twice: tuple[str, ...] = ()


def parse(content: bytes) -> Any:
    """The value.

    Raises:
        ValueError: it is none; says where.
    """
    text = content.decode(json.detect_encoding(content))
    # What is taken out leaves its room, so that places are told as they stand in the file.
    text = _COMMENT.sub(lambda found: found[0] if found[0][0] == '"' else _NOT_LINE_END.sub(" ", found[0]), text)
    text = _COMMA.sub(lambda found: found[0] if found[0][0] == '"' else " ", text)
    try:
        return json.loads(text, object_pairs_hook=_make_object)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = Doubled(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        found.keys_twice = tuple(sorted({key for key in keys if keys.count(key) > 1}))
    return found
