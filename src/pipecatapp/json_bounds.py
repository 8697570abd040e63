"""JSON of somebody else, kept within bounds: how deep it is nested, and how many values it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Python gives up at a thousand frames, and what shows, masks or writes a value takes several for each level of it.
MAX_DEPTH = 64
MAX_VALUES = 20_000


def load_json(text: str | bytes) -> Any:
    """``json.loads``, also of what is nested so deep that Python gives up on it.

    Raises:
        ValueError: it is not JSON, or nested too deep to be read.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def find_excess(value: Any, depth: int = MAX_DEPTH, values: int = MAX_VALUES) -> str:
    """What of the value is too much, as the end of "it is ..."; empty when nothing is.

    It is looked at level by level, without recursion, and no further than to the first thing that is too much.
    """
    level, seen = [value], 0
    for _ in range(depth + 1):
        below: list[Any] = []
        for item in level:
            if isinstance(item, Mapping):
                below.extend(item.values())
            elif isinstance(item, list | tuple):
                below.extend(item)
            if seen + len(below) > values:
                return f"more than {values} values"
        if not below:
            return ""
        seen += len(below)
        level = below
    return f"nested more than {depth} deep"
