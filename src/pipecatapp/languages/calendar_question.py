"""What is asked of the calendar, as a language's grammar finds it in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "until", "since", "between", "date", "leap", "next leap", "week", "length", "left", "day of year"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class CalendarQuestion:
    """A question. ``first`` and ``second`` are the words for days, months or years; ``unit``: days, weeks or months."""

    kind: Kind
    first: str = ""
    second: str = ""
    unit: str = "days"
