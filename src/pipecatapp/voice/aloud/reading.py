"""What a voice says for a few words that belong together: each number, address and sign becomes words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipecatapp.languages import language
from pipecatapp.voice.aloud import addresses, dates, numbers, quantities
from pipecatapp.voice.aloud.numbers import joined

_ALOUD = language().aloud
_MONTHS = frozenset(language().numbers.months)
_N = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
_S = "(?:(?<![\\w.,)\u2019'])[-\u2212+])?"  # a sign, where nothing stands before it that it could stand between
_UNIT = "|".join(re.escape(unit) for unit in quantities.UNITS if unit not in _ALOUD.close_units)
_CLOSE = "|".join(re.escape(unit) for unit in sorted(_ALOUD.close_units, key=len, reverse=True))
_RATE = "|".join(re.escape(unit) for unit in quantities.UNITS if "/" in unit)
_CURRENCY = "|".join(re.escape(sign) for sign in quantities.CURRENCIES)
_SCALE = r"(?: ?(?:thousand|million|billion|trillion)\b|(?:[kKmMB]|bn)\b)"
_TO = r"(?: ?[-\u2013\u2014] ?)"


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around the words, in lower case: the word before them, and the one behind them as it is."""

    before: str = ""
    after: str = ""


_PATTERNS: Mapping[str, str] = {
    "email": r"[\w.%+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}",
    "url": r"(?:[a-zA-Z][a-zA-Z0-9+.-]{1,20}://|www\.|mailto:)[^\s<>\"]*[\w/]",
    "iso": r"(?<![\w-])\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?)?(?![\w-])",
    "date": r"(?<![\w/.-])(?:\d{1,2}/\d{1,2}/(?:\d{4}|\d\d)|\d{1,2}-\d{1,2}-\d{4}|\d{1,2}\.\d{1,2}\.\d{4})(?![\w/-])",
    "ip": r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?(?::\d{1,5})?(?![\w])(?!\.\d)",
    "hex": r"(?<![\w:])[0-9a-fA-F]{0,4}(?:::?[0-9a-fA-F]{1,4}){3,7}(?![\w:])",
    "phone": r"(?<![\w.])(?:\+\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,5}|(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[.-])\d{3}[ .-]\d{4}"
    r"|\d{3}-\d{4})(?![\w-])(?!\.\d)",
    "version": r"(?<!\w)(?:[vV]\d+(?:\.\d+)*|\d+(?:\.\d+){2,})(?:-(?:alpha|beta|rc|dev|pre)[\d.]*\d?)?(?!\w)(?!\.\d)",
    "span": rf"(?<![\w:])\d{{1,2}}(?:\:\d\d)?{_TO}\d{{1,2}}(?:\:\d\d)? ?(?:[aA]\.?[mM]\b\.?|[pP]\.?[mM]\b\.?)",
    "time": r"(?<![\w:.])\d{1,2}:\d\d(?::\d\d)?(?: ?(?:[aA]\.?[mM]\b|[pP]\.?[mM]\b)(?:(?<=\.[mM])\.)?)?(?![\w:])",
    "hour": r"(?<![\w:.])\d{1,2} ?(?:[aA]\.?[mM]\b|[pP]\.?[mM]\b)(?:(?<=\.[mM])\.)?",
    "prices": rf"(?<!\w)[$\u20ac\u00a3]{_N}{_TO}[$\u20ac\u00a3]?{_N}{_SCALE}?",
    "price": rf"{_S}(?<!\w)(?:{_CURRENCY}) ?-?{_N}{_SCALE}?",
    "cost": rf"{_S}(?<![\w.,]){_N}{_SCALE}? ?(?:{_CURRENCY})(?!\w)",
    "percent": rf"{_S}(?<![\w.,]){_N} ?%",
    "height": "(?<!\\w)\\d{1,2}['\u2032\u2019] ?\\d{1,2}(?:[\"\u2033\u201d]|'')",
    "inches": '(?<![\\w."\u201c])\\d{1,3}(?:\\.\\d)?["\u2033](?=[\\s,.;:)])',
    "size": f"(?<![\\w.])\\d[\\d.]*(?: ?[x\u00d7] ?\\d[\\d.]*){{1,2}}(?: ?(?:{_UNIT})|in)?(?![\\w/])",
    "mixed_fraction": r"(?<![\w/.])\d{1,4} \d{1,3}/\d{1,3}(?![\w/])",
    "fraction": r"(?<![\w/.])\d{1,4}/\d{1,4}(?![\w/])",
    "vulgar": f"(?<!\\w)\\d* ?[\u00bc-\u00be\u2150-\u215e](?: ?(?:{_UNIT})(?!\\w))?",
    "ordinal": r"(?<![\w.])\d[\d,]*(?:st|nd|rd|th)\b",
    "decade": "(?<!\\w)(?:\\d{3}0|['\u2019]?\\d0)['\u2019]?s\\b",
    "shared": rf"(?<![\w.,]){_N}-(?:{_UNIT}|{_CLOSE})(?![\w/])",
    "measure": rf"{_S}(?<![\w.,]){_N}(?: ?(?:{_UNIT})|(?:{_CLOSE}))(?![\w/\u00b2\u00b3])",
    "power": r"\b\w+\^-?\d+|\b\w+[\u00b2\u00b3]",
    "rank": r"(?<!\w)#\d+",
    "ratio": r"(?<![\w:.])\d{1,4}:\d{1,4}(?![\w:])",
    "to": r"(?<=[\d%mM\u00b0CF)]) ?[\u2013\u2014] ?(?=[$\u20ac\u00a3+.\d])|(?<=[\d%])-(?=[$\u20ac\u00a3.\d])",
    "minus": r"(?<=[\d)]) [-\u2212] (?=[\d(])",
    "number": rf"{_S}(?<![\w.,]){_N}(?![\w])",
    "mixed": r"(?<!\w)(?:[A-Za-z]+-?\d|\d+[A-Za-z])\w*",
    "about": r"(?<![\w/])~(?=[$\u20ac\u00a3\d.])",
    "arrow": r"<?(?:-{1,2}|={1,2})>|<-{1,2}(?!\d)",
    "path": r"(?<![\w/])(?:~|\.{1,2})?/[\w.~/-]*[\w/]|\b\w+(?:/\w+){2,}/?",
    "dotted": r"\b[A-Za-z][\w-]*(?:\.[A-Za-z][\w-]*)+(?::\d{1,5})?(?:/[\w./-]*\w)?",
    "option": r"(?<![\w-])--?(?=[A-Za-z])",
    "rate": rf"(?<![\w/])(?:{_RATE})(?![\w/])",
    "either": r"\band/or\b",
    "slash": r"(?<=\w)/(?=\w)",
    "acronym": r"\b[A-Z]{2,5}s?\b",
    "sign": "!=|<=|>=|==|[" + re.escape("".join(sign for sign in _ALOUD.signs if len(sign) == 1)) + "]",
}
_ANY = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _PATTERNS.items()))
_TIME = re.compile(r"(\d{1,2})(?::(\d\d))?(?::(\d\d))? ?([aApP]?\.?[mM]?)\.?")
_SPAN = re.compile(rf"(.+?){_TO}(.+)")
_MONEY = re.compile(rf"(?P<sign>{_CURRENCY}) ?(?P<minus>-?)(?P<amount>{_N})(?P<scale>{_SCALE})?")
_COST = re.compile(rf"(?P<amount>[-\u2212+]?{_N})(?P<scale>{_SCALE})? ?(?P<sign>{_CURRENCY})")
_AMOUNT = re.compile(rf"(?P<amount>[-\u2212+]?{_N})[ -]?(?P<unit>.*)")
_VULGAR = re.compile(r"(\d*) ?([^\w\s]|[^\W\d_]|\w)(?: ?(.+))?")
_SIZE = re.compile(r"([\d.]+|[x\u00d7]|[^\d.x\u00d7 ]+)")
_KEPT = frozenset(".,;:!?'\"()\u2019\u2018\u201c\u201d\u2026\u2013\u2014-")
_LONGEST_SIGN = 4  # characters, with the space behind it; more signs in a row are a drawing
_EDGE = re.compile(r"(?<![A-Za-z0-9])_+|_+(?![A-Za-z0-9])|(?<![\w)\"'!?])[!?]+(?=\w)")
_BEFORE_SIGNS = re.compile(r"\s+([.,;:!?])(?=\s|$)")


def read(text: str, around: Around) -> str:
    """The words for ``text``; its white space stays, and the words of one thing are joined by ``JOINED``."""
    if len(text) > _LONGEST_SIGN and not any(char.isalnum() for char in text):
        return _residue(text)
    said: list[str] = []
    at = 0
    for match in _ANY.finditer(text):
        kind = match.lastgroup or ""
        plain = text[at : match.start()]
        before = _last_word(plain) or (_last_word("".join(said)) if said else "") or around.before
        words = _HANDLERS[kind](match[0], before, text)
        said.append(_residue(plain))
        said.append(_set_apart(words, text, match.start(), match.end()))
        at = match.end()
    said.append(_residue(text[at:]))
    return "".join(said)


def _set_apart(words: str, text: str, start: int, end: int) -> str:
    """The words with a space where signs touched others: 5=3 is three words."""
    if not words:
        return " "
    left = " " if start and (text[start - 1].isalnum() or text[start - 1] in "=+<>%\u00d7") else ""
    right = " " if end < len(text) and (text[end].isalnum() or text[end] in "(") else ""
    return f"{left}{words}{right}"


def _last_word(text: str) -> str:
    found = text.replace("\u2060", " ").split()
    return found[-1].strip(".,:;!?(\"'").lower() if found else ""


def _residue(text: str) -> str:
    """Letters and the signs that a voice knows; drawings, emoji and brackets are silent."""
    if text.isascii() and text.replace(" ", "").isalnum():
        return text
    out = []
    for char in _EDGE.sub("", text):
        accent = unicodedata.category(char)[0] == "M" and not "\ufe00" <= char <= "\ufe0f" and char != "\u20e3"
        if char.isalnum() or char.isspace() or char in _KEPT or accent:
            out.append("'" if char == "\u2019" else char)
        elif char in "_/|":
            out.append(" ")
    return "".join(out)


def _iso(text: str, before: str, whole: str) -> str:
    day = dates.date_of(text[:10].split("-"))
    if day is None:
        return joined(numbers.digits(text))
    if len(text) == 10:
        return joined(day)
    clock = _TIME.match(text[11:])
    hour = dates.time_of_day(clock[1], clock[2], None, "") if clock else None
    return joined(f"{day}, {hour}" if hour else day)


def _date(text: str, before: str, whole: str) -> str:
    parts = re.split(r"[/.-]", text)
    if "." in text:
        parts[0], parts[1] = parts[1], parts[0]
    return joined(dates.date_of(parts) or " ".join(numbers.number(part) for part in parts))


def _time(text: str, before: str, whole: str) -> str:
    found = _TIME.fullmatch(text)
    said = dates.time_of_day(found[1], found[2], found[3], found[4]) if found else None
    if said is None:
        said = " to ".join(numbers.number(part) for part in re.findall(r"\d+", text))
    # "p.m." may end the sentence; who wrote only one stop meant both.
    return joined(said)


def _span(text: str, before: str, whole: str) -> str:
    found = _SPAN.fullmatch(text)
    if found is None:
        return joined(numbers.mixed(text))
    half = _TIME.fullmatch(found[2])
    first, second = _TIME.fullmatch(found[1]), _time(found[2], before, whole)
    said = None
    if first is not None and half is not None:
        bare = first[2] is None or int(first[2]) == 0
        said = numbers.number(first[1]) if bare else dates.time_of_day(first[1], first[2], None, "")
    return joined(said or found[1], "to", second.replace("\u2060", " "))


def _prices(text: str, before: str, whole: str) -> str:
    first, second = (part for part in re.split(r" ?[-\u2013\u2014] ?", text, maxsplit=1))
    sign = first[0]
    return joined(numbers.number(first[1:]), "to", _price(second if second[0] == sign else sign + second, "", ""))


def _price(text: str, before: str, whole: str) -> str:
    minus = text[:1] in "-\u2212"
    found = _MONEY.fullmatch(text.lstrip("-\u2212+"))
    if found is None:
        return joined(numbers.mixed(text))
    amount = f"{'-' if minus or found['minus'] else ''}{found['amount']}"
    return joined(quantities.money(found["sign"], amount, (found["scale"] or "").strip()))


def _cost(text: str, before: str, whole: str) -> str:
    found = _COST.fullmatch(text)
    if found is None:
        return joined(numbers.mixed(text))
    return joined(quantities.money(found["sign"], found["amount"], (found["scale"] or "").strip()))


def _measure(text: str, before: str, whole: str) -> str:
    found = _AMOUNT.fullmatch(text)
    if found is None:
        return joined(numbers.mixed(text))
    return joined(quantities.measure(found["amount"], found["unit"], shared="-" in text[1:]))


def _height(text: str, before: str, whole: str) -> str:
    feet, inches = re.findall(r"\d+", text)
    return joined(quantities.measure(feet, "\u2032"), quantities.measure(inches, "\u2033"))


def _fraction(text: str, before: str, whole: str) -> str:
    over, under = text.split("/")
    if (over, under) == ("24", "7"):
        return joined("twenty-four seven")
    return joined(numbers.fraction(int(over), int(under)))


def _mixed_fraction(text: str, before: str, whole: str) -> str:
    number, part = text.split()
    said = _fraction(part, before, whole)
    said = said.replace("one\u2060", "a\u2060", 1) if said.startswith("one\u2060") else said
    return joined(numbers.number(number), "and", said.replace("\u2060", " "))


def _vulgar(text: str, before: str, whole: str) -> str:
    found = _VULGAR.fullmatch(text)
    parts = unicodedata.normalize("NFKC", found[2]).replace("\u2044", "/") if found else text
    if found is None or "/" not in parts:
        return ""
    part = f"{parts}1" if parts.endswith("/") else parts
    said = _mixed_fraction(f"{found[1]} {part}", before, whole) if found[1] else _fraction(part, before, whole)
    unit = quantities.measure("2" if found[1] else "1", found[3]).partition(" ")[2] if found[3] else ""
    return joined(said.replace("\u2060", " "), unit)


def _size(text: str, before: str, whole: str) -> str:
    """20x30 cm is "by", 10 \u00d7 4 is "times"."""
    parts = _SIZE.findall(text)
    unit = parts[-1] if parts[-1][-1] not in ".0123456789" else ""
    amounts = [part for part in parts if part[0].isdigit()]
    sign = "times" if "\u00d7" in parts and " " in text and not unit else "by"
    said = f" {sign} ".join(numbers.number(amount) for amount in amounts[:-1])
    last = quantities.measure(amounts[-1], unit) if unit else numbers.number(amounts[-1])
    return joined(f"{said} {sign} {last}")


def _number(text: str, before: str, whole: str) -> str:
    if before in _MONTHS and text.isdigit() and 0 < int(text) < 32:
        return joined(numbers.ordinal(text))
    if text.isdigit() and len(text) == 4 and text[0] != "0":
        strong = before in _ALOUD.years or _is_day(before)
        if (strong and 1000 < int(text) < 2100) or (before in _ALOUD.perhaps_years and 1900 <= int(text) < 2100):
            return joined(numbers.year(text))
    if before in _ALOUD.versions and text.count(".") == 1 and "," not in text:
        return joined(addresses.version(text))
    return joined(numbers.number(text))


def _is_day(before: str) -> bool:
    """The last word of an ordinal: "March third, 2026"."""
    return before.endswith(("st", "nd", "rd", "th")) and before in _DAY_ENDS


_DAY_ENDS = frozenset(numbers.ordinal(str(day)).split()[-1] for day in range(1, 32))


def _decade(text: str, before: str, whole: str) -> str:
    number = re.sub(r"\D", "", text)
    return joined(numbers.decade(number) if len(number) == 4 else numbers.decade(f"19{number}").split()[-1])


def _power(text: str, before: str, whole: str) -> str:
    base, caret, exponent = text.partition("^")
    if not caret:
        base, exponent = text[:-1], unicodedata.normalize("NFKC", text[-1])
    said = numbers.number(base) if base.isdigit() else base
    named = {"2": "squared", "3": "cubed"}.get(exponent)
    return joined(f"{said} {named}" if named else f"{said} to the power of {numbers.number(exponent)}")


def _path(text: str, before: str, whole: str) -> str:
    return joined(addresses.spelled(text))


def _dotted(text: str, before: str, whole: str) -> str:
    """A file, a host, a module; or two sentences without a space between them."""
    if re.fullmatch(r"[A-Za-z]?[a-z]+\.[A-Z][a-z]+", text):
        return text.replace(".", ". ")
    return joined(addresses.page(text))


def _acronym(text: str, before: str, whole: str) -> str:
    bare = text.removesuffix("s")
    if (word := _ALOUD.as_words.get(bare)) is not None:
        return word
    spell = bare in _ALOUD.spelled or not any(letter in "AEIOUY" for letter in bare)
    if not spell or (whole.isupper() and " " in whole.strip()):
        return text
    return joined(" ".join(bare) + ("'s" if text != bare else ""))


def _sign(text: str, before: str, whole: str) -> str:
    return _ALOUD.signs[text]


def _phone(text: str, before: str, whole: str) -> str:
    return joined(("plus " if text[0] == "+" else "") + numbers.digits(text))


def _joined(say: Callable[[str], str]) -> Callable[[str, str, str], str]:
    return lambda text, before, whole: joined(say(text))


def _fixed(words: str) -> Callable[[str, str, str], str]:
    return lambda text, before, whole: words


_HANDLERS: Mapping[str, Callable[[str, str, str], str]] = {
    "email": _joined(addresses.person), "url": _joined(addresses.page), "iso": _iso, "date": _date,
    "ip": _joined(addresses.machine), "hex": _joined(addresses.hexadecimal), "phone": _phone,
    "version": lambda text, before, whole: joined(
        ("" if text[0] not in "vV" or before in ("version", "release") else "version ") + addresses.version(text)
    ),
    "span": _span, "time": _time, "hour": _time, "prices": _prices, "price": _price, "cost": _cost,
    "percent": _joined(lambda text: quantities.percent(text.rstrip(" %"))), "height": _height,
    "inches": lambda text, before, whole: _measure(f"{text[:-1]}\u2033", before, whole),
    "mixed_fraction": _mixed_fraction, "fraction": _fraction, "vulgar": _vulgar,
    "ordinal": _joined(lambda text: numbers.ordinal(text[:-2])), "decade": _decade, "shared": _measure,
    "measure": _measure, "size": _size, "power": _power,
    "rank": _joined(lambda text: f"number {numbers.number(text[1:])}"),
    "ratio": _joined(lambda text: " to ".join(numbers.number(part) for part in text.split(":"))),
    "to": _fixed(" to "), "minus": _fixed(" minus "), "number": _number, "mixed": _joined(numbers.mixed),
    "about": _fixed("about "), "arrow": _fixed(""), "path": _path, "dotted": _dotted,
    "rate": _joined(lambda text: _ALOUD.units[text][1]), "either": _fixed("and or"),
    "option": lambda text, before, whole: " ".join("dash" for _ in text) + " ", "slash": _fixed(" slash "),
    "acronym": _acronym, "sign": _sign,
}  # fmt: skip
