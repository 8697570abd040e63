"""A calculation as a language's grammar finds it in words: pieces in their order, not yet a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Sign = Literal[
    "number", "+", "-", "*", "/", "**", "mod", "(", ")", "percent", "percent*", "**2", "**3", "!", "root2", "root3",
    "factorial", "2*", "3*",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Piece:
    """A number, or what is done with numbers. ``said`` is how the answer repeats it.

    ``percent*``: so many hundredths of what follows. ``percent``: of what stands in front, where something is added or
    taken away; hundredths elsewhere. ``root2``, ``root3``, ``factorial``, ``2*``, ``3*`` stand in front of what they
    are for, ``**2``, ``**3`` and ``!`` behind it.
    """

    sign: Sign
    said: str
    value: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Share:
    """Asked for: how many percent of ``whole`` are ``part``."""

    part: Sequence[Piece]
    whole: Sequence[Piece]


class UnknownWordError(ValueError):
    """A word that is no part of a calculation; empty: the calculation is too long."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word
