"""Hides secrets in what is kept or shown for the record: by the name of an argument, and by what a value looks like."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

MASK = "***"

_NAME = (
    r"pass(?:word|wd|phrase|code)?|pwd|secret|token|credentials?|authorization|cookie"
    r"|(?:api|access|private|secret|auth|signing|encryption)[_-]?key"
)
_SECRET_NAME = re.compile(rf"(?i)(?:^|[_.-])(?:{_NAME}|key|pin|otp)s?$|^(?:{_NAME})|(?:password|secret|token)")
_PATTERNS = (
    re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"\bsk-[A-Za-z0-9_-]{8,}"),
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    re.compile(r"\bgh[pousr]_[A-Za-z0-9]{16,}"),
    re.compile(r"\bgithub_pat_[A-Za-z0-9_]{16,}"),
    re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{8,}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
)
# What stands in front of the secret stays.
_LED_BY = (
    re.compile(r"(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}"),
    re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s/@]+:[^\s/]*@"),
    re.compile(rf"(?i)([\w.-]*(?:{_NAME})[\"']?\s*[=:]\s*[\"']?)(?!(?:bearer|basic)\s)[^\s\"'&;,]+"),
    re.compile(rf"(?i)(--?[\w-]*(?:{_NAME})\s+)[^\s-]\S*"),
)


def masked(value: Any, name: str = "") -> Any:
    """The value without its secrets. ``name`` is that of the argument it belongs to."""
    if isinstance(value, Mapping):
        return {str(key): masked(inner, str(key)) for key, inner in value.items()}
    if name and _SECRET_NAME.search(name) and value not in (None, "", True, False):
        return MASK
    if isinstance(value, str):
        return masked_text(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [masked(inner, name) for inner in value]
    return value


def masked_text(text: str) -> str:
    """The text without what looks like a secret."""
    for pattern in _PATTERNS:
        text = pattern.sub(MASK, text)
    for pattern in _LED_BY:
        text = pattern.sub(rf"\g<1>{MASK}", text)
    return text
