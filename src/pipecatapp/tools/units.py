"""``units.convert``: a quantity in another unit, and which unit of several with that name was taken."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Context, Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pipecatapp.domain import ToolResult, ToolSpec
from pipecatapp.errors import ToolError
from pipecatapp.languages import language
from pipecatapp.languages.measure import Amount, Measured, UnknownUnitError
from pipecatapp.ports import Tool, ToolContext
from pipecatapp.tools.quantities import say_number
from pipecatapp.tools.registry import ToolServices

if TYPE_CHECKING:
    from pint import UnitRegistry

_DIGITS, _ROUGH_DIGITS = 4, 3
_OUNCE, _FLUID_OUNCE = "ounce", "fluid_ounce"
_ANGLE, _CELSIUS, _FAHRENHEIT = "degree", "degree_Celsius", "degree_Fahrenheit"
_TEMPERATURES = frozenset({_CELSIUS, _FAHRENHEIT, "kelvin"})
_WORDS = language().measures


class Converter:
    """Converts."""

    spec = ToolSpec(
        name="units.convert",
        description="Convert a quantity into another unit: lengths, weights, volumes, temperatures, times, speeds.",
        parameters={
            "type": "object",
            "properties": {
                "quantity": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 200,
                    "description": "Such as 8 ounces of milk.",
                },
                "unit": {"type": "string", "minLength": 1, "maxLength": 100, "description": "Such as millilitres."},
            },
            "required": ["quantity", "unit"],
        },
        copied=("quantity", "unit"),
        asks=("how many millilitres are eight ounces", "convert 70 fahrenheit to celsius", "5 miles in kilometres"),
    )

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Say what comes out."""
        # The table of units takes half a second and more to read the first time.
        return ToolResult(await asyncio.to_thread(convert, str(arguments["quantity"]), str(arguments["unit"])))


def convert(quantity: str, unit: str) -> str:
    """The quantity in that unit, in a sentence.

    Raises:
        ToolError: it cannot be converted; the sentence says why.
    """
    try:
        measured, target = _WORDS.quantity(quantity), _WORDS.unit(unit)
    except UnknownUnitError as error:
        raise ToolError(f"I know no unit in {error.words}") from error
    notes: list[str] = []
    measured, target = _choose_ounces(measured, target)
    measured = _choose_scale(measured, target, notes)
    value, rough = _converted(measured, target, notes)
    for name in dict.fromkeys([*(amount.unit for amount in measured.amounts), target]):
        if reading := _WORDS.reading(name):
            notes.append(reading)
    if rough:
        value = Context(prec=_ROUGH_DIGITS).plus(value)
    said = say_number(value, _DIGITS)
    about = "about " if rough and not said.startswith("about") else ""
    result = f"{_say(measured)} is {about}{said} {_WORDS.say_unit(target, value)}"
    taken = f", taking {' and '.join(notes)}" if notes else ""
    return f"{result[:1].upper()}{result[1:]}{taken}."


def _choose_ounces(measured: Measured, target: str) -> tuple[Measured, str]:
    """Ounces beside a volume are fluid ones; those of a thing may be weighed."""
    units = {amount.unit for amount in measured.amounts}
    if measured.thing:
        return measured, target
    if target == _OUNCE and all(_is_volume(unit) for unit in units):
        return measured, _FLUID_OUNCE
    if units == {_OUNCE} and _is_volume(target):
        return Measured(tuple(Amount(each.value, _FLUID_OUNCE) for each in measured.amounts)), target
    return measured, target


def _is_volume(unit: str) -> bool:
    return bool(_units().Quantity(1, _expression(unit)).is_compatible_with("liter"))


def _choose_scale(measured: Measured, target: str, notes: list[str]) -> Measured:
    """Degrees that are to become others of a temperature are those of the other scale."""
    if target not in _TEMPERATURES or measured.amounts[0].unit != _ANGLE:
        return measured
    scale = _FAHRENHEIT if target == _CELSIUS else _CELSIUS
    notes.append(_WORDS.say_unit(scale, Decimal(2)))
    return Measured((Amount(measured.amounts[0].value, scale),), measured.thing)


def _converted(measured: Measured, target: str, notes: list[str]) -> tuple[Decimal, bool]:
    """The number, and whether it is one of a kitchen rather than a laboratory."""
    from pint.errors import DimensionalityError, OffsetUnitCalculusError

    units = _units()
    try:
        total = units.Quantity(measured.amounts[0].value, _expression(measured.amounts[0].unit))
        for amount in measured.amounts[1:]:
            total = total + units.Quantity(amount.value, _expression(amount.unit))
        if measured.thing and not total.is_compatible_with(_expression(target)):
            weighed = _weigh(measured, total, target, notes)
            return weighed.to(_expression(target)).magnitude, True
        return total.to(_expression(target)).magnitude, False
    except (DimensionalityError, OffsetUnitCalculusError) as error:
        source = _WORDS.say_unit(measured.amounts[0].unit, Decimal(2))
        raise ToolError(f"{source} cannot be turned into {_WORDS.say_unit(target, Decimal(2))}") from error
    except ArithmeticError as error:
        raise ToolError("that number is too large for me") from error


def _weigh(measured: Measured, total: Any, target: str, notes: list[str]) -> Any:
    """A volume of a thing as its weight, or the other way round; other quantities as they are."""
    units = _units()
    grams = _WORDS.density(measured.thing)
    if not any(total.is_compatible_with(kind) for kind in ("gram", "liter")):
        return total
    if not any(units.Quantity(1, _expression(target)).is_compatible_with(kind) for kind in ("gram", "liter")):
        return total
    if grams is None:
        raise ToolError(f"I do not know how heavy {measured.thing} is, so I cannot tell volume and weight apart")
    notes.append(f"{say_number(grams)} grams to the millilitre")
    density = units.Quantity(grams, "gram / milliliter")
    return total * density if total.is_compatible_with("liter") else total / density


def _expression(unit: str) -> str:
    """``square_meter`` -> "meter ** 2", as pint writes it."""
    for start, power in (("square_", 2), ("cubic_", 3)):
        if unit.startswith(start):
            return f"{unit.removeprefix(start)} ** {power}"
    return unit


def _say(measured: Measured) -> str:
    amounts = " ".join(
        f"{say_number(amount.value, 12)} {_WORDS.say_unit(amount.unit, amount.value)}" for amount in measured.amounts
    )
    return f"{amounts} of {measured.thing}" if measured.thing else amounts


@lru_cache(maxsize=1)
def _units() -> UnitRegistry[Any]:
    from pint import UnitRegistry

    return UnitRegistry(non_int_type=Decimal, autoconvert_offset_to_baseunit=True)


def create(services: ToolServices) -> Tool:
    """The tool, for the registry."""
    return Converter()
