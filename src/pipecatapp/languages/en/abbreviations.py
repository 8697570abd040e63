"""Words that carry a full stop in the middle of a sentence."""

from __future__ import annotations

ABBREVIATIONS = frozenset(
    {
        "dr", "mr", "mrs", "ms", "st", "vs", "prof", "gen", "col", "sgt", "rev", "jr", "sr", "no", "nr", "fig",
        "approx", "ca", "cf", "e.g", "i.e", "eg", "ie", "p.m", "a.m", "u.s", "u.k", "inc", "ltd", "dept", "est",
        "min", "max", "mon", "tue", "wed", "thu", "fri", "sat", "sun", "jan", "feb", "mar", "apr", "jun", "jul",
        "aug", "sep", "sept", "oct", "nov", "dec", "ft", "mt", "rd", "ave", "blvd", "apt", "hwy", "co", "corp", "hon",
        "capt", "lt", "maj", "tel", "ext", "tbsp", "tsp", "lb", "lbs", "oz", "h.c", "ph.d",
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
