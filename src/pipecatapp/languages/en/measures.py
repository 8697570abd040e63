"""Quantities in words: "eight ounces of milk", "six foot two", "20 degrees", "a cup of flour"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from pipecatapp.languages.en.arithmetic import read_number
from pipecatapp.languages.measure import Amount, Measured, UnknownUnitError
from pipecatapp.languages.skills import Measures

# pint's name -> for one, for more, other ways to write it.
_UNITS: Mapping[str, tuple[str, str, str]] = {
    "millimeter": ("millimetre", "millimetres", "mm millimeter"),
    "centimeter": ("centimetre", "centimetres", "cm centimeter"),
    "meter": ("metre", "metres", "m meter"),
    "kilometer": ("kilometre", "kilometres", "km kilometer k"),
    "inch": ("inch", "inches", "in \" ''"),
    "foot": ("foot", "feet", "ft '"),
    "yard": ("yard", "yards", "yd yds"),
    "mile": ("mile", "miles", "mi"),
    "nautical_mile": ("nautical mile", "nautical miles", "nmi"),
    "light_year": ("light year", "light years", "lightyear"),
    "milligram": ("milligram", "milligrams", "mg milligramme"),
    "gram": ("gram", "grams", "g gr gramme"),
    "kilogram": ("kilogram", "kilograms", "kg kgs kilo kilogramme"),
    "metric_ton": ("tonne", "tonnes", "metric_ton"),
    "ton": ("short ton", "short tons", "ton us_ton"),
    "ounce": ("ounce", "ounces", "oz"),
    "pound": ("pound", "pounds", "lb lbs"),
    "stone": ("stone", "stone", "stones st"),
    "milliliter": ("millilitre", "millilitres", "ml milliliter mil mils"),
    "centiliter": ("centilitre", "centilitres", "cl centiliter"),
    "deciliter": ("decilitre", "decilitres", "dl deciliter"),
    "liter": ("litre", "litres", "l liter"),
    "teaspoon": ("teaspoon", "teaspoons", "tsp"),
    "tablespoon": ("tablespoon", "tablespoons", "tbsp"),
    "fluid_ounce": ("fluid ounce", "fluid ounces", "fl_oz us_fluid_ounce"),
    "cup": ("cup", "cups", "us_cup"),
    "pint": ("pint", "pints", "pt us_pint"),
    "quart": ("quart", "quarts", "qt"),
    "gallon": ("gallon", "gallons", "gal us_gallon"),
    "imperial_fluid_ounce": ("imperial fluid ounce", "imperial fluid ounces", "uk_fluid_ounce british_fluid_ounce"),
    "imperial_pint": ("imperial pint", "imperial pints", "uk_pint british_pint english_pint"),
    "imperial_quart": ("imperial quart", "imperial quarts", "uk_quart"),
    "imperial_gallon": ("imperial gallon", "imperial gallons", "uk_gallon british_gallon"),
    "square_meter": ("square metre", "square metres", "m2 sqm square_meter"),
    "square_kilometer": ("square kilometre", "square kilometres", "km2 square_kilometer"),
    "square_foot": ("square foot", "square feet", "sq_ft sqft square_feet"),
    "square_mile": ("square mile", "square miles", "sq_mi"),
    "acre": ("acre", "acres", ""),
    "hectare": ("hectare", "hectares", "ha"),
    "cubic_meter": ("cubic metre", "cubic metres", "m3 cubic_meter"),
    "cubic_centimeter": ("cubic centimetre", "cubic centimetres", "cc cm3 cubic_centimeter"),
    "degree_Celsius": ("degree Celsius", "degrees Celsius", "c celsius centigrade degree_c degree_centigrade \u00b0c"),
    "degree_Fahrenheit": ("degree Fahrenheit", "degrees Fahrenheit", "f fahrenheit degree_f \u00b0f"),
    "kelvin": ("kelvin", "kelvin", "kelvins"),
    "second": ("second", "seconds", "s sec secs"),
    "minute": ("minute", "minutes", "min mins"),
    "hour": ("hour", "hours", "h hr hrs"),
    "day": ("day", "days", ""),
    "week": ("week", "weeks", ""),
    "fortnight": ("fortnight", "fortnights", ""),
    "month": ("month", "months", ""),
    "year": ("year", "years", ""),
    "decade": ("decade", "decades", ""),
    "century": ("century", "centuries", ""),
    "kilometer_per_hour": ("kilometre an hour", "kilometres an hour",
                           "kph kmh km/h kilometer_per_hour kilometre_per_hour kilometer_an_hour"),
    "mile_per_hour": ("mile an hour", "miles an hour", "mph mile_per_hour"),
    "meter_per_second": ("metre a second", "metres a second", "m/s meter_per_second metre_per_second"),
    "knot": ("knot", "knots", "kt"),
    "joule": ("joule", "joules", "j"),
    "kilojoule": ("kilojoule", "kilojoules", "kj"),
    "calorie": ("small calorie", "small calories", "cal"),
    "kilocalorie": ("kilocalorie", "kilocalories", "kcal food_calorie calorie"),
    "kilowatt_hour": ("kilowatt hour", "kilowatt hours", "kwh"),
    "watt": ("watt", "watts", "w"),
    "kilowatt": ("kilowatt", "kilowatts", "kw"),
    "horsepower": ("horsepower", "horsepower", "hp"),
    "bar": ("bar", "bar", "bars"),
    "pascal": ("pascal", "pascals", "pa"),
    "hectopascal": ("hectopascal", "hectopascals", "hpa"),
    "psi": ("pound per square inch", "pounds per square inch", "psi"),
    "atmosphere": ("atmosphere", "atmospheres", "atm"),
    "byte": ("byte", "bytes", ""),
    "kilobyte": ("kilobyte", "kilobytes", "kb"),
    "megabyte": ("megabyte", "megabytes", "mb"),
    "gigabyte": ("gigabyte", "gigabytes", "gb"),
    "terabyte": ("terabyte", "terabytes", "tb"),
    "gibibyte": ("gibibyte", "gibibytes", "gib"),
    "bit": ("bit", "bits", ""),
    "megabit": ("megabit", "megabits", "mbit"),
    "gigabit": ("gigabit", "gigabits", "gbit"),
    "degree": ("degree", "degrees", "\u00b0"),
    "radian": ("radian", "radians", "rad"),
}  # fmt: skip
# Where a volume is named like a weight: an ounce of these is a fluid ounce.
_LIQUIDS = frozenset(
    {
        "milk", "water", "juice", "oil", "cream", "beer", "wine", "coffee", "tea", "soda", "lemonade", "vinegar",
        "broth", "stock", "soup", "rum", "vodka", "whisky", "whiskey", "gin", "buttermilk", "syrup", "liquid",
    }
)  # fmt: skip
# Grams in a millilitre, as kitchens measure it: spooned, not pressed.
_DENSITIES = {
    "water": "1", "milk": "1.03", "cream": "0.99", "oil": "0.92", "olive oil": "0.92", "vegetable oil": "0.92",
    "flour": "0.53", "sugar": "0.85", "brown sugar": "0.93", "powdered sugar": "0.51", "icing sugar": "0.51",
    "butter": "0.96", "honey": "1.42", "rice": "0.78", "oats": "0.38", "salt": "1.22", "cocoa": "0.36",
    "yogurt": "1.03", "yoghurt": "1.03", "syrup": "1.33", "wine": "0.99", "vinegar": "1.01", "beer": "1.01",
    "juice": "1.04",
}  # fmt: skip
_READINGS = {
    "fluid_ounce": "US fluid ounces", "cup": "US cups", "pint": "US pints", "quart": "US quarts",
    "gallon": "US gallons", "ton": "short tons of 2,000 pounds", "kilocalorie": "food calories",
}  # fmt: skip


def _names() -> dict[str, str]:
    found: dict[str, str] = {}
    for name, (one, many, others) in _UNITS.items():
        for way in (one, many, name.replace("_", " "), *(other.replace("_", " ") for other in others.split())):
            found.setdefault(way.casefold(), name)
            if way.isalpha() and len(way) > 3:
                found.setdefault(f"{way.casefold()}s", name)
        found.setdefault(name.replace("_", " ").replace("meter", "meters", 1) if "meter" in name else name, name)
    found |= {"feet": "foot", "degrees": "degree", "calories": "kilocalorie", "calorie": "kilocalorie"}
    for start in ("degree", "degrees"):
        found |= {f"{start} {scale}": unit for scale, unit in (
            ("celsius", "degree_Celsius"), ("centigrade", "degree_Celsius"), ("c", "degree_Celsius"),
            ("fahrenheit", "degree_Fahrenheit"), ("f", "degree_Fahrenheit"), ("kelvin", "kelvin"))}  # fmt: skip
    for spelled in ("kilometers", "miles", "kilometres"):
        unit = "mile_per_hour" if spelled == "miles" else "kilometer_per_hour"
        found |= {f"{spelled} per hour": unit, f"{spelled} an hour": unit}
    found |= {f"{spelled} per second": "meter_per_second" for spelled in ("meters", "metres")}
    for square in ("meter", "kilometer"):
        found |= {f"square {square}s": f"square_{square}", f"cubic {square}s": f"cubic_{square}"}
    return found


_NAMES = _names()
_LONGEST_NAME = max(len(name.split()) for name in _NAMES)
_AROUND = re.compile(
    r"^(?:(?:what(?:'s| is)|how (?:much|many) (?:is|are)|convert|in|into|to|the|exactly)\s+)+|[\s.?!]+$"
)
_SIGN = re.compile(r"(?<=\d)\s*(?=[a-z\u00b0'\"])")
_HEIGHT = re.compile(r"(\d+)\s*'\s*(\d+)\s*(?:\"|'')?")
_OF = re.compile(r"^(?:of )?(?:the |some )?(?P<thing>[a-z][a-z ]*)$")


def quantity(text: str) -> Measured:
    """What is measured: ``8 oz of milk`` -> 8 fluid ounces of milk.

    Raises:
        UnknownUnitError: there is no number, or no unit that is known.
    """
    plain = _AROUND.sub("", " ".join(text.casefold().replace("\u2019", "'").split()))
    words = _SIGN.sub(" ", _HEIGHT.sub(r"\1 feet \2 inches", plain)).split()
    amounts: list[Amount] = []
    at = 0
    while at < len(words):
        found = _amount(words, at, after=amounts[-1] if amounts else None)
        if found is None:
            break
        amount, at = found
        amounts.append(amount)
        if words[at : at + 1] == ["and"]:
            at += 1
            if (part := read_number(" ".join(words[at : at + 2]))) is not None and part < 1:
                amounts[-1] = Amount(amount.value + part, amount.unit)  # "an hour and a half"
                at += 2
    if not amounts:
        raise UnknownUnitError(" ".join(words[:6]))
    rest = " ".join(words[at:])
    thing = ""
    if rest:
        match = _OF.match(rest)
        if match is None:
            raise UnknownUnitError(rest)
        thing = match["thing"].strip()
    if thing and amounts[0].unit == "ounce" and _LIQUIDS & set(thing.split()):
        amounts = [Amount(amount.value, "fluid_ounce" if amount.unit == "ounce" else amount.unit) for amount in amounts]
    return Measured(tuple(amounts), thing)


def unit(text: str) -> str:
    """The unit of this name, as pint calls it.

    Raises:
        UnknownUnitError: it is not known.
    """
    words = _AROUND.sub("", " ".join(text.casefold().replace("\u2019", "'").split()))
    words = re.sub(r"^(?:how many|number of)\s+", "", words)
    if (name := _NAMES.get(words)) is None:
        raise UnknownUnitError(words)
    return name


def _amount(words: list[str], at: int, after: Amount | None) -> tuple[Amount, int] | None:
    """The number and the unit that begin here, and where they end; the unit may be left out behind another one."""
    for end in range(len(words), at, -1):
        for size in range(min(_LONGEST_NAME, end - at), 0, -1):
            name = _NAMES.get(" ".join(words[end - size : end]))
            if name is None:
                continue
            number = read_number(" ".join(words[at : end - size]) or "1")
            if number is not None:
                return Amount(number, name), end
    if after is not None and after.unit == "foot" and (number := read_number(" ".join(words[at:]))) is not None:
        return Amount(number, "inch"), len(words)  # "six foot two"
    return None


def say_unit(name: str, value: Decimal) -> str:
    """How a unit is called behind this number."""
    one, many, _ = _UNITS[name]
    return one if abs(value) == 1 else many


def reading(name: str) -> str:
    """Which of several units of this name is meant; empty where there is but one."""
    return _READINGS.get(name, "")


def density(thing: str) -> Decimal | None:
    """Grams in a millilitre of it, about; None where it is not known."""
    found = _DENSITIES.get(thing) or _DENSITIES.get(thing.split()[-1] if thing else "")
    return Decimal(found) if found else None


MEASURES = Measures(quantity=quantity, unit=unit, say_unit=say_unit, reading=reading, density=density)
