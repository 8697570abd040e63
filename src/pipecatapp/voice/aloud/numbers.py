"""Numbers in words, as pipecat's ``VoiceFormatter`` says them; and what it does not know: years, ordinals, digits."""

from __future__ import annotations

import functools
import re

from num2words import num2words
from pipecat.utils.text.transforms.voice_formatter import VoiceFormatter

from pipecatapp.voice.aloud.pieces import JOINED

_LONGEST = 15  # digits; a longer number is read digit by digit
_FRACTIONS = {2: "half", 4: "quarter"}
_MOST_PARTS = 12  # 3/16 is a fraction in a workshop, 7/15 is seven out of fifteen
_WORKSHOP = frozenset({16, 32, 64, 100})


@functools.cache
def _formatter() -> VoiceFormatter:
    return VoiceFormatter(strip_markdown=False, normalize_acronyms=False, normalize_dates=False, expand_numbers=True)


@functools.lru_cache(maxsize=512)
def formatted(text: str) -> str:
    """What the formatter makes of one number with what belongs to it. It waits for nothing, so it is run to its end."""
    work = _formatter()(text, "*")
    try:
        work.send(None)
    except StopIteration as done:
        return str(done.value).replace(",", "")
    work.close()
    raise RuntimeError("pipecat's voice formatter waited for something")


def joined(*words: str) -> str:
    """Words among which no clause ends."""
    return JOINED.join(part for text in words for part in text.split() if part)


def digits(text: str) -> str:
    """Digit by digit."""
    return " ".join(num2words(int(digit)) for digit in text if digit.isdigit())


def number(text: str) -> str:
    """A number as it is written, with thousands' commas and a decimal point or without, perhaps with a sign."""
    if text[:1] in "-\u2212+":
        return f"{'plus' if text[0] == '+' else 'minus'} {number(text[1:])}"
    plain = text.replace(",", "")
    whole, point, fraction = plain.partition(".")
    if (len(whole) > 1 and whole[0] == "0") or len(whole) > _LONGEST:
        return digits(whole) + (f" point {digits(fraction)}" if point else "")
    return formatted(plain if whole else f"0{plain}")


def is_one(text: str) -> bool:
    """Whether a unit behind this number stands in the singular."""
    return text.lstrip("-\u2212+") == "1"


def year(text: str) -> str:
    """A year of four digits."""
    return str(num2words(int(text), to="year"))


def decade(text: str) -> str:
    """1990 -> "nineteen nineties"."""
    *before, last = year(text).split()
    plural = f"{last[:-1]}ies" if last.endswith("y") else f"{last}s"
    return " ".join([*before, plural])


def ordinal(text: str) -> str:
    """The ordinal of a whole number."""
    return str(num2words(int(text.replace(",", "")), to="ordinal"))


def fraction(over: int, under: int) -> str:
    """1/2, 3/4, 9 of 10."""
    if not 0 < over < under or (under > _MOST_PARTS and under not in _WORKSHOP):
        return f"{number(str(over))} out of {number(str(under))}"
    part = _FRACTIONS.get(under) or ordinal(str(under))
    return f"{number(str(over))} {part}{'s' if over > 1 else ''}"


_MIX = re.compile(r"\d+|[A-Z]+(?![a-z])|[A-Za-z]+|[^A-Za-z\d]+")


def mixed(text: str) -> str:
    """Letters and digits in one word: "B12", "4K", "mp3", "x86"."""
    parts = []
    for part in _MIX.findall(text):
        if part.isdigit():
            parts.append(number(part) if len(part) < 4 or part.endswith("00") else digits(part))
        elif part.isalpha():
            vowel = any(letter in "aeiouyAEIOUY" for letter in part)
            parts.append(part if vowel and not part.isupper() else " ".join(part.upper()))
    return " ".join(parts)
