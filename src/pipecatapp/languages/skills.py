"""What everyday skills ask of a language: lists, quantities, the calendar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pipecatapp.languages.calendar_question import CalendarQuestion
from pipecatapp.languages.measure import Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """How lists and what is on them are named.

    Attributes:
        defaults: the lists that are always there.
        name: what a list is called in "my shopping list": "shopping"; empty where no name is said ("the list").
        split: the things in "milk, eggs and bread"; ``tasks``: they are things to do, which hold an "and" more often.
        key: what is left of a thing without articles, amounts and endings: equal for what is meant to be the same.
        is_tasks, is_everything: whether things to do stand on this list; whether the words mean all that is on one.
        join: "milk, eggs and bread".
    """

    defaults: tuple[str, ...]
    name: Callable[[str], str]
    split: Callable[[str, bool], list[str]]
    key: Callable[[str], str]
    is_tasks: Callable[[str], bool]
    is_everything: Callable[[str], bool]
    join: Callable[[Sequence[str]], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Quantities and units, by the names that pint has for them.

    Attributes:
        quantity: what "eight ounces of milk" measures. Raises UnknownUnitError.
        unit: the unit of a name. Raises UnknownUnitError.
        say_unit: how a unit is called behind a number.
        reading: which of several units of a name is meant ("US cups"); empty where there is but one.
        density: grams in a millilitre of a thing, about; None where it is not known.
    """

    quantity: Callable[[str], Measured]
    unit: Callable[[str], str]
    say_unit: Callable[[str, Decimal], str]
    reading: Callable[[str], str]
    density: Callable[[str], Decimal | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Questions about days, and names of days that come every year.

    Attributes:
        weekdays, months: as they are written.
        read: what is asked; None where it is no question of the calendar.
        feast: days from Easter Sunday of a feast that moves with it; None for another day.
        split_year: the words without the year at their end, and the year, "this", "next", "last" or nothing.
        shifted: a day, and how many of which unit from there ("three weeks before Christmas"); None for another day.
        last_weekday: 0 (Monday) to 6 for "last Friday"; None for another day.
        month: 1 to 12 for the name of a month; None.
        capitals, title: names of days with their capitals; and the first letter.
        is_distance, is_name: whether these words say how far away a day is; more than the date does.
    """

    weekdays: tuple[str, ...]
    months: tuple[str, ...]
    read: Callable[[str], CalendarQuestion | None]
    feast: Callable[[str], int | None]
    split_year: Callable[[str], tuple[str, int | str]]
    shifted: Callable[[str], tuple[str, int, str] | None]
    last_weekday: Callable[[str], int | None]
    month: Callable[[str], int | None]
    capitals: Callable[[str], str]
    title: Callable[[str], str]
    is_distance: Callable[[str], bool]
    is_name: Callable[[str], bool]
