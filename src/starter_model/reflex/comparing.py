"""Whether two sets of arguments mean the same to their tool, not letter by letter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pipecatapp.reflex.durations import seconds_of
from starter_model.scoring import normalized

_LEADS = re.compile(r"^(?:at|for|on|by|to|of|about|in my|in the|that|the|a|an|my|our|your|is|some) ")
_TRAILS = re.compile(r" (?:list|timer|alarm|reminder|playbook|please|expert|longer)$")
_UP = ("up", "loud", "raise", "increase", "high", "boost", "more", "bump")
_DOWN = ("down", "quiet", "soft", "lower", "low", "decrease", "reduce", "less", "off", "short", "cut", "take", "minus")


def same_arguments(tool: str, wanted: Mapping[str, Any], got: Mapping[str, Any]) -> bool:
    """Whether the tool would understand the same: small words in front and the noun it is about do not count."""
    return {k: _plain(tool, k, v) for k, v in wanted.items()} == {k: _plain(tool, k, v) for k, v in got.items()}


def _plain(tool: str, name: str, value: Any) -> str:
    if isinstance(value, int):
        value = f"{value} seconds" if name == "seconds" else value
    text = normalized(name, value)
    if name == "seconds":
        return _seconds(text)
    if name in ("command", "code", "url", "host", "playbook", "text"):
        return text
    text = text.replace(",", "")
    while (shorter := _LEADS.sub("", text)) != text:
        text = shorter
    text = _TRAILS.sub("", text)
    if name == "change":
        return _direction(tool, text)
    return text


def _direction(tool: str, text: str) -> str:
    """A change as its direction and its amount."""
    words = re.findall(r"[a-z]+|\d+", text)
    down = any(word.startswith(_DOWN) for word in words)
    up = any(word.startswith(_UP) for word in words)
    amount = [
        w for w in words
        if not w.startswith((*_UP, *_DOWN)) and w not in ("add", "another", "extra", "a", "bit", "little", "lot",
        "much", "the",
           "volume", "by", "to", "extend", "it", "timer", "give", "notch", "extend", "prolong", "lengthen", "percent",
           "way", "some")
    ]  # fmt: skip
    sign = "down" if down else ("up" if up or tool == "timer.change" else "")
    return " ".join([sign, *amount])


def _seconds(text: str) -> str:
    return str(seconds_of(text) or text)
