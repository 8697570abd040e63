"""How loud somebody wants the voice, as a language's grammar finds it in words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VolumeWish:
    """So many ``percent``, or where that is None so many percent more (``by``; less below 0)."""

    by: int = 0
    percent: int | None = None
