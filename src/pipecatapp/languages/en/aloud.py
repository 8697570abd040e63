"""How what is written in short is said."""

from __future__ import annotations

from pipecatapp.languages.en.numbers import NUMBERS
from pipecatapp.languages.language import Aloud

_MONTHS = {name[:3]: name.capitalize() for name in NUMBERS.months if name != "may"} | {"sept": "September"}
_DAYS = {
    "mon": "Monday", "tue": "Tuesday", "tues": "Tuesday", "wed": "Wednesday", "thu": "Thursday", "thurs": "Thursday",
    "fri": "Friday", "sat": "Saturday", "sun": "Sunday",
}  # fmt: skip

ALOUD = Aloud(
    on_the_page="The code is on the page.",
    abbreviations={
        "e.g": "for example", "eg": "for example", "i.e": "that is", "etc": "et cetera", "vs": "versus",
        "cf": "compare", "approx": "approximately", "ca": "about", "mr": "Mister", "mrs": "Missus", "ms": "Miz",
        "dr": "Doctor",
        "prof": "Professor", "st": "Saint", "capt": "Captain", "gen": "General", "col": "Colonel", "lt": "Lieutenant",
        "sgt": "Sergeant", "rev": "Reverend", "hon": "Honorable", "jr": "Junior", "sr": "Senior", "inc": "Incorporated",
        "ltd": "Limited", "corp": "Corporation", "co": "Company", "bros": "Brothers", "dept": "Department",
        "est": "established", "ave": "Avenue", "blvd": "Boulevard", "rd": "Road", "hwy": "Highway", "apt": "apartment",
        "mt": "Mount", "ft": "Fort", "temp": "temperature", "tel": "telephone", "max": "maximum", "min": "minimum",
        "incl": "including", "excl": "excluding", "misc": "miscellaneous", "a.m": "A M", "p.m": "P M", "u.s": "U S",
        "u.k": "U K", "u.s.a": "U S A", "d.c": "D C", "ph.d": "P H D", "a.k.a": "A K A", "w/o": "without",
        "w/": "with", "r.i.p": "R I P", "p.s": "P S",
    } | _MONTHS | _DAYS,
    before_names=frozenset(
        {"mr", "mrs", "ms", "dr", "prof", "st", "capt", "gen", "col", "lt", "sgt", "rev", "hon", "mt", "ft"}
    ),
    behind_names={"st": "Street", "dr": "Drive"},
    before_numbers={
        "no": "number", "nr": "number", "nos": "numbers", "fig": "figure", "vol": "volume", "pp": "pages",
        "p": "page", "ch": "chapter", "sec": "section", "ext": "extension",
    },
    as_words={"OK": "okay"},
    spelled=frozenset(
        {
            "AC", "AI", "AM", "API", "ATA", "ATM", "AVI", "AVX", "CEO", "CIA", "CPU", "DIY", "DNA", "EEG", "EKG", "ETA",
            "EU", "EV", "FAQ", "FBI", "GPU", "GUI", "HIV", "IBM", "ID", "IDE", "IO", "IOT", "IP", "IPA", "ISO", "ISP",
            "LED", "MIT", "NBA", "NHL", "OLED", "OS", "UEFI", "UI", "UK", "UN", "UPS", "URL", "US", "USA", "USB", "UTC",
            "UV", "UX", "VAT", "VIP",
        }
    ),
    signs={
        "=": "equals", "\u2260": "is not equal to", "+": "plus", "\u2212": "minus", "\u00d7": "times",
        "\u00b7": "times", "\u00f7": "divided by", "<": "less than", ">": "greater than", "\u2264": "at most",
        "\u2265": "at least", "<=": "at most", ">=": "at least", "!=": "is not equal to", "==": "equals",
        "\u2248": "about", "\u00b1": "plus or minus", "\u221a": "the square root of", "\u221e": "infinity",
        "\u03c0": "pi", "&": "and", "%": "percent", "\u20ac": "euros", "\u00a9": "copyright", "\u00ae": "",
        "\u2122": "", "@": "at",
    },
    units={
        "\u00b0C": ("degree Celsius", "degrees Celsius"), "\u00b0F": ("degree Fahrenheit", "degrees Fahrenheit"),
        "\u2103": ("degree Celsius", "degrees Celsius"), "\u2109": ("degree Fahrenheit", "degrees Fahrenheit"),
        "\u00b0": ("degree", "degrees"), "km/h": ("kilometer per hour", "kilometers per hour"),
        "m/s": ("meter per second", "meters per second"), "km\u00b2": ("square kilometer", "square kilometers"),
        "m\u00b2": ("square meter", "square meters"), "cm\u00b2": ("square centimeter", "square centimeters"),
        "m\u00b3": ("cubic meter", "cubic meters"), "ft\u00b2": ("square foot", "square feet"),
        "sqm": ("square meter", "square meters"), "sq ft": ("square foot", "square feet"),
        "kWh": ("kilowatt hour", "kilowatt hours"), "kW": ("kilowatt", "kilowatts"), "MW": ("megawatt", "megawatts"),
        "mW": ("milliwatt", "milliwatts"), "W": ("watt", "watts"), "V": ("volt", "volts"),
        "mV": ("millivolt", "millivolts"),
        "mA": ("milliampere", "milliamperes"), "mAh": ("milliampere hour", "milliampere hours"),
        "A": ("ampere", "amperes"), "h": ("hour", "hours"), "hr": ("hour", "hours"), "hrs": ("hours", "hours"),
        "min": ("minute", "minutes"), "mins": ("minutes", "minutes"), "sec": ("second", "seconds"),
        "secs": ("seconds", "seconds"), "s": ("second", "seconds"), "ms": ("millisecond", "milliseconds"),
        "\u00b5s": ("microsecond", "microseconds"), "ns": ("nanosecond", "nanoseconds"), "B": ("byte", "bytes"),
        "KB": ("kilobyte", "kilobytes"), "KiB": ("kibibyte", "kibibytes"), "MiB": ("mebibyte", "mebibytes"),
        "GiB": ("gibibyte", "gibibytes"), "kbps": ("kilobit per second", "kilobits per second"),
        "Mbps": ("megabit per second", "megabits per second"), "Gbps": ("gigabit per second", "gigabits per second"),
        "Mbit/s": ("megabit per second", "megabits per second"),
        "MB/s": ("megabyte per second", "megabytes per second"),
        "GB/s": ("gigabyte per second", "gigabytes per second"), "dB": ("decibel", "decibels"),
        "cal": ("calorie", "calories"), "kcal": ("kilocalorie", "kilocalories"), "kJ": ("kilojoule", "kilojoules"),
        "hPa": ("hectopascal", "hectopascals"), "kPa": ("kilopascal", "kilopascals"), "psi": ("P S I", "P S I"),
        "\u00b5g": ("microgram", "micrograms"), "t": ("ton", "tons"), "lbs": ("pounds", "pounds"),
        "cl": ("centiliter", "centiliters"), "dl": ("deciliter", "deciliters"), "tsp": ("teaspoon", "teaspoons"),
        "tbsp": ("tablespoon", "tablespoons"), "px": ("pixel", "pixels"), "rpm": ("revolution per minute",
        "revolutions per minute"), "fps": ("frame per second", "frames per second"), "yr": ("year", "years"),
        "yrs": ("years", "years"), "wk": ("week", "weeks"), "mo": ("month", "months"), "m": ("meter", "meters"),
        "g": ("gram", "grams"), "l": ("liter", "liters"), "L": ("liter", "liters"), "mL": ("milliliter", "milliliters"),
        "\u2033": ("inch", "inches"), "\u2032": ("foot", "feet"), "gal": ("gallon", "gallons"),
    },
    close_units=frozenset({"in", "A", "t", "B", "s", "mo", "\u2033", "\u2032"}),
    currencies={
        "$": ("dollar", "dollars"), "US$": ("US dollar", "US dollars"), "\u20ac": ("euro", "euros"),
        "\u00a3": ("pound", "pounds"), "\u00a5": ("yen", "yen"), "\u20b9": ("rupee", "rupees"),
        "USD": ("US dollar", "US dollars"), "EUR": ("euro", "euros"), "GBP": ("British pound", "British pounds"),
        "CHF": ("Swiss franc", "Swiss francs"), "JPY": ("yen", "yen"), "\u00a2": ("cent", "cents"),
    },
    versions=frozenset(
        {
            "version", "release", "python", "debian", "ubuntu", "fedora", "linux", "kernel", "firmware", "java", "node",
            "ios", "android", "macos", "django", "chromium", "firefox", "postgresql", "bluetooth",
        }
    ),
    years=frozenset(
        {
            "in", "since", "until", "till", "year", "spring", "summer", "autumn", "winter", "copyright", "\u00a9",
            "born", "died", *NUMBERS.months,
        }
    ),
    perhaps_years=frozenset(
        {"from", "by", "of", "before", "after", "during", "fall", "early", "mid", "late", "around", "and", "to", "the"}
    ),
)  # fmt: skip
