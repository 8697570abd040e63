"""A duration in words or figures as seconds, for the tools that take a number."""

from __future__ import annotations

from pipecatapp.languages.en.durations import scan
from pipecatapp.languages.en.spoken_numbers import plain


def seconds_of(text: str) -> int | None:
    """``ten minutes``: 600; ``an hour and a half``: 5400; None where no span of time is named, as of a number alone."""
    words = plain(text).strip()
    found = scan(words)
    return None if found is None or words[found[1] :].strip() else round(found[0])
