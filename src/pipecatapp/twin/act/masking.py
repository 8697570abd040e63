"""Hides secrets in what is kept or shown for the record: by the name of an argument, and by what a value looks like."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipecatapp.json_bounds import MAX_DEPTH

MASK = "***"
LEFT_OUT = "(nested too deep to be shown)"
# Of a longer text only the beginning is kept: looking through a megabyte would hold up everything else.
_LONGEST = 20_000

# As a part of an argument's name ("db_password", "apiKey"); a name that ends with "key" is one too.
_PARTS = frozenset(
    {"pass", "password", "passwd", "passphrase", "passcode", "pwd", "secret", "secrets", "token", "credential",
     "credentials", "authorization", "cookie", "bearer", "pin", "otp", "apikey", "privatekey", "accesskey"}
)  # fmt: skip
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
# As a name inside of a text (a command line, JSON, an assignment).
_NAME = (
    r"pass(?:word|wd|phrase|code)|pwd|secret|token|credentials?|authorization|cookie"
    r"|(?:api|access|private|secret|auth|signing|encryption)[_-]?key"
)
_PATTERNS = (
    re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"\bsk-[A-Za-z0-9_-]{8,}"),
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    re.compile(r"\bgh[pousr]_[A-Za-z0-9]{16,}"),
    re.compile(r"\bgithub_pat_[A-Za-z0-9_]{16,}"),
    re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{8,}"),
    re.compile(r"(?<![\w-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
)
# What stands in front of the secret stays. No pattern may try a long run of characters from each of them again: a text
# of 20,000 equal letters would hold up everything for minutes.
_LED_BY = (
    re.compile(r"(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}"),
    re.compile(r"(://)[^\s/@:]+:[^\s/]*@"),
    re.compile(rf"(?i)((?:{_NAME})[\"']?\s{{0,9}}[=:]\s{{0,9}}[\"']?)(?!(?:bearer|basic)\s)[^\s\"'&;,]+"),
    re.compile(rf"(?i)((?<![\w-])--?[\w-]{{0,40}}?(?:{_NAME})\s+)[^\s-]\S*"),
    re.compile(r"(\bsshpass\s+-p\s*)\S+"),
    re.compile(r"((?<![\w-])(?:-u|--user)[ =]?[^\s:/]{1,64}:)[^\s/]\S*"),
    re.compile(r"(\becho\s+)[^|\n]{1,200}(?=\|\s*sudo\s+-S\b)"),
)


def mask(value: Any, name: str = "", room: int = MAX_DEPTH) -> Any:
    """The value without its secrets. ``name`` is that of the argument it belongs to; what is nested deeper than
    ``room`` is left out."""
    if room < 0:
        return LEFT_OUT
    if value not in (None, "", True, False) and _is_secret(name):
        return MASK
    if isinstance(value, Mapping):
        return {str(key): mask(inner, str(key), room - 1) for key, inner in value.items()}
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # Python writes it, and no page can read it
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [mask(inner, name, room - 1) for inner in value]
    return value


def _is_secret(name: str) -> bool:
    parts = [part.lower() for part in _PART.findall(name)]
    return not _PARTS.isdisjoint(parts) or parts[-1:] in (["key"], ["keys"])


def mask_text(text: str) -> str:
    """The text without what looks like a secret."""
    if len(text) > _LONGEST:
        return f"{mask_text(text[:_LONGEST])}\n({len(text) - _LONGEST} more characters are left out)"
    for pattern in _PATTERNS:
        text = pattern.sub(MASK, text)
    for pattern in _LED_BY:
        text = pattern.sub(rf"\g<1>{MASK}", text)
    return text
