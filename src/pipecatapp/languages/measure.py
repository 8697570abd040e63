"""Quantities as a language's grammar finds them in words; units by the names that pint has for them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Amount:
    """So many of a unit."""

    value: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Measured:
    """What is measured, in one unit or several ("six foot two"), and of what ("flour"; empty: nobody said)."""

    amounts: tuple[Amount, ...]
    thing: str = ""


class UnknownUnitError(ValueError):
    """Words that name no unit that is known, or no number of one."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words
