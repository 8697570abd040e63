"""``units.convert``: quantities as they are said, and which unit of several with one name was taken."""

from __future__ import annotations

import pytest

from pipecatapp.errors import ToolError
from pipecatapp.ports import ToolContext
from pipecatapp.tools.units import Converter, convert

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("quantity", "unit", "said"),
    [
        ("8 ounces of milk", "ml", "8 fluid ounces of milk is about 236.59 millilitres, taking US fluid ounces."),
        ("eight ounces", "grams", "8 ounces is about 226.8 grams."),
        ("ten ounces of water", "cups", "10 fluid ounces of water is 1.25 cups, taking US fluid ounces and US cups."),
        ("a cup of flour", "g", "1 cup of flour is about 125 grams, taking 0.53 grams to the millilitre and US cups."),
        ("half a pound of butter", "grams", "0.5 pounds of butter is about 226.8 grams."),
        ("two and a half cups", "ml", "2.5 cups is about 591.47 millilitres, taking US cups."),
        ("1/2 cup", "tablespoons", "0.5 cups is 8 tablespoons, taking US cups."),
        ("an imperial pint", "ml", "1 imperial pint is about 568.26 millilitres."),
        ("1 pint", "litres", "1 pint is about 0.4732 litres, taking US pints."),
        ("98.6 F", "c", "98.6 degrees Fahrenheit is 37 degrees Celsius."),
        ("seventy degrees fahrenheit", "degrees celsius", "70 degrees Fahrenheit is about 21.11 degrees Celsius."),
        ("20 degrees", "fahrenheit", "20 degrees Celsius is 68 degrees Fahrenheit, taking degrees Celsius."),
        ("minus 40 degrees", "Celsius",
         "Minus 40 degrees Fahrenheit is minus 40 degrees Celsius, taking degrees Fahrenheit."),
        ("0\u00b0C", "kelvin", "0 degrees Celsius is 273.15 kelvin."),
        ("five miles", "km", "5 miles is about 8.047 kilometres."),
        ("six foot two", "centimetres", "6 feet 2 inches is 187.96 centimetres."),
        ("6'2\"", "cm", "6 feet 2 inches is 187.96 centimetres."),
        ("an hour and a half", "minutes", "1.5 hours is 90 minutes."),
        ("1.5 million metres", "kilometres", "1,500,000 metres is 1,500 kilometres."),
        ("60 mph", "kilometers per hour", "60 miles an hour is about 96.56 kilometres an hour."),
        ("100 square meters", "square feet", "100 square metres is about 1,076.39 square feet."),
        ("1 inch", "centimeters", "1 inch is 2.54 centimetres."),
        ("two hundred calories", "kilojoules", "200 kilocalories is 836.8 kilojoules, taking food calories."),
    ],
)  # fmt: skip
def test_what_is_said_is_converted(quantity: str, unit: str, said: str) -> None:
    assert convert(quantity, unit) == said


@pytest.mark.parametrize(
    ("quantity", "unit", "why"),
    [
        ("3 litres", "metres", "litres cannot be turned into metres"),
        ("3 litres", "blorps", "no unit in blorps"),
        ("12 bananas", "grams", "no unit in 12 bananas"),
        ("a cup of gravel", "grams", "how heavy gravel is"),
        ("9**9**9 metres", "km", "no unit in"),
    ],
)
def test_what_cannot_be_converted_is_named(quantity: str, unit: str, why: str) -> None:
    with pytest.raises(ToolError, match=why):
        convert(quantity, unit)


async def test_the_tool_tells_it() -> None:
    result = await Converter().run({"quantity": "3 weeks", "unit": "days"}, ToolContext("c", "t"))
    assert result.text == "3 weeks is 21 days."
