"""Words that carry a full stop in the middle of a sentence."""

from __future__ import annotations

ABBREVIATIONS = frozenset(
    {
        "a.m", "approx", "apr", "apt", "aug", "ave", "blvd", "bros", "ca", "capt", "cf", "co", "col", "corp", "dec",
        "dept", "dr", "e.g", "eg", "est", "etc", "excl", "ext", "feb", "fig", "fri", "ft", "gen", "h.c", "hon", "hwy",
        "i.e", "ie", "inc", "incl", "jan", "jr", "jul", "jun", "lb", "lbs", "lt", "ltd", "maj", "mar", "max", "min",
        "misc", "mon", "mr", "mrs", "ms", "mt", "no", "nov", "nr", "oct", "oz", "p.m", "ph.d", "pp", "prof", "rd",
        "rev", "sat", "sep", "sept", "sgt", "sr", "st", "sun", "tbsp", "tel", "temp", "thu", "tsp", "tue", "u.k",
        "u.s", "vol", "vs", "wed",
    }
)  # fmt: skip
# Words of their own as well, but for where a number stands before them.
UNITS = frozenset(
    {
        "in", "ft", "yd", "yds", "mi", "pt", "qt", "gal", "hr", "hrs", "sec", "secs", "mins", "yr", "yrs", "mo", "wk",
        "cm", "mm", "m", "km", "kg", "g", "mg", "l", "ml", "sq", "cu", "deg", "c", "f",
    }
)  # fmt: skip


def is_abbreviation(token: str) -> bool:
    """Whether a token that ends in a full stop is a known abbreviation, an initial or several ("D.C."); "I." is a
    sentence's end."""
    if not token.endswith("."):
        return False
    word = token[:-1].lower()
    if all(len(letter) == 1 and letter.isalpha() for letter in word.split(".")):
        return word != "i"
    return word in ABBREVIATIONS
