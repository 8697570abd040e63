"""Calculations in words and signs: "18 percent of 240", "three squared", "20 + 10 %", "one point five million"."""

from __future__ import annotations

import re
from decimal import Decimal

from num2words import num2words

from pipecatapp.languages.calculation import Piece, Share, Sign, UnknownWordError

_LONGEST = 300  # characters; nobody says more in one breath

_FRACTIONS = {
    "\u00bd": " 1/2 ", "\u00bc": " 1/4 ", "\u00be": " 3/4 ", "\u2153": " 1/3 ", "\u2154": " 2/3 ", "\u215b": " 1/8 ",
}  # fmt: skip
_SIGNS = {
    "\u00d7": "*", "\u00b7": "*", "\u22c5": "*", "\u00f7": "/", "\u2212": "-", "\u2013": "-", "\u2014": "-",
    "\u221a": " square root of ", "\u00b2": " squared ", "\u00b3": " cubed ", "^": "**", "\u2019": "'",
    "=": " ", "<": " ", ">": " ",
}  # fmt: skip
_AROUND = re.compile(
    r"^(?:(?:please|can you|could you|tell me|calculate|compute|evaluate|work out|figure out|solve|what(?:'s| is| are)|"
    r"how much (?:is|are|does)|and|so|hey|the result of|the answer to|the value of)\s+)+|"
    r"(?:\s*(?:equals?|is|make|makes|please|\?|!(?=\?)|\.(?!\d)))+$"
)
_GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_NUMBER = r"(?:\d+(?:\.\d+)?|\.\d+)"
_SCALES = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12, "quadrillion": 15}
_SCALED = re.compile(rf"({_NUMBER})\s+(1000000000|1000000|1000|{'|'.join(_SCALES)})\b")
_ORDINALS = {"half": 2, "halves": 2, "third": 3, "3rd": 3, "quarter": 4}
_ORDINALS |= {f"{number}th": number for number in range(4, 11)}
_PARTS = "|".join(sorted(_ORDINALS, key=len, reverse=True))
_MIXED = re.compile(rf"\b(\d+)\s+and\s+(?:(?:a|an|1)\s+)?(\d+\s+)?({_PARTS})s?\b")
_MIXED_WRITTEN = re.compile(r"\b(\d+)\s+(?:and\s+)?(\d+)\s*/\s*(\d+)\b")
_FRACTION = re.compile(rf"\b(?:(\d+)\s+|(?:a|an)\s+)?({_PARTS})s?\b(?!\s+power)")

_WRITTEN = re.compile(r"^(\d+) ?/ ?([1-9]\d*)$")

_WHOLE: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), form)
    for pattern, form in (
        (r"^add (.+?) (?:and|to) (.+)$", r"\1 plus \2"),
        (r"^(?:subtract|take) (.+?) (?:away )?from (.+)$", r"\2 minus \1"),
        (r"^multiply (.+?) (?:by|and|with|times) (.+)$", r"\1 times \2"),
        (r"^divide (.+?) by (.+)$", r"\1 divided by \2"),
        (r"^(?:the )?difference (?:between|of) (.+?) and (.+)$", r"\1 minus \2"),
        (rf"^({_NUMBER}) (?:percent|per cent|%) off(?: of)? (.+)$", r"\2 minus \1 percent"),
        (
            rf"^(.+?) with (?:a )?({_NUMBER}) (?:percent|per cent|%) (?:tip|tax|vat|on top|added)$",
            r"\1 plus \2 percent",
        ),
        (rf"^(?:a )?({_NUMBER}) (?:percent|per cent|%) tip (?:on|for|of) (.+)$", r"\1 percent of \2"),
    )
)
_SUM = re.compile(r"^(?:the )?(sum|product) of (.+)$")
_SHARES = tuple(
    re.compile(pattern)
    for pattern in (
        r"^(?:what|which) (?:percent|per cent|percentage|%) of (?P<whole>.+?) (?:is|are|does) (?P<part>.+)$",
        r"^(?P<part>.+?) (?:is|are) (?:what|how many) (?:percent|per cent|percentage|%)(?: is)? of (?P<whole>.+)$",
        r"^(?P<part>.+?) as (?:a )?(?:percent|per cent|percentage|%) of (?P<whole>.+)$",
        r"^(?P<part>.+?) out of (?P<whole>.+?) (?:as (?:a )?percentage|in percent)$",
    )
)
# In words and in signs, what they become, and how it is said; what begins like another stands in front of it.
_PHRASES: tuple[tuple[str, str, Sign, str], ...] = (
    (r"multiplied (?:by|with)|multiply by|times|x", r"\*(?!\*)", "*", "times"),
    (r"divided by|over", "/", "/", "divided by"),
    (r"(?:raised )?to the power(?: of)?|raised to(?: the)?|to the", r"\*\*", "**", "to the power of"),
    (r"plus|added to", r"\+", "+", "plus"),
    (r"minus|less|take away|subtract|negative", "-", "-", "minus"),
    (r"modulo|mod", "", "mod", "modulo"),
    (r"per ?cent of", "% of(?![a-z])", "percent*", "percent of"),
    (r"per ?cent", "%", "percent", "percent"),
    (r"squared", "", "**2", "squared"),
    (r"cubed", "", "**3", "cubed"),
    (r"cub(?:e|ic) root(?: of)?", "", "root3", "the cube root of"),
    (r"(?:square )?root(?: of)?|sqrt", "", "root2", "the square root of"),
    (r"factorial of", "", "factorial", "the factorial of"),
    (r"factorial", "!", "!", "factorial"),
    (r"double|twice", "", "2*", "twice"),
    (r"triple", "", "3*", "three times"),
    (r"open (?:bracket|parenthesis)", r"\(", "(", "("),
    (r"close (?:bracket|parenthesis)", r"\)", ")", ")"),
    (r"of", "", "*", "of"),
)
_SILENT = frozenset({"the", "a", "and", ",", "power"})
_TOKEN = re.compile(
    rf"\s*(?:<(?P<part>\d+)/(?P<of>\d+)>|(?P<number>{_NUMBER})(?:st|nd|rd|th)?|"
    + "|".join(
        f"(?P<p{at}>(?:{words})(?![a-z]){f'|{signs}' if signs else ''})"
        for at, (words, signs, _, _) in enumerate(_PHRASES)
    )
    + r"|(?P<word>[^\W\d_]+|\S))"
)


def read(text: str) -> list[Piece] | Share:
    """The pieces of a calculation, in their order; or of which whole something is a share.

    Raises:
        UnknownWordError: a word in it is no part of a calculation.
    """
    said = _numbers(_plain(text))
    for pattern in _SHARES:
        if found := pattern.match(said):
            return Share(_pieces(found["part"]), _pieces(found["whole"]))
    if found := _SUM.match(said):
        sign = " plus " if found[1] == "sum" else " times "
        said = re.sub(r",? and |, ", sign, found[2])
    for pattern, form in _WHOLE:
        said = pattern.sub(form, said)
    return _pieces(said)


def read_number(text: str) -> Decimal | None:
    """The number that this is, and nothing else: ``two and a half`` -> 2.5, ``a`` -> 1; None for anything else."""
    if text.casefold().strip() in ("a", "an", "one"):
        return Decimal(1)
    try:
        pieces = _pieces(_WRITTEN.sub(r"<\1/\2>", _numbers(_plain(text))))
    except UnknownWordError:
        return None
    signs = [piece.sign for piece in pieces]
    if signs not in (["number"], ["-", "number"]):
        return None
    return -pieces[1].value if len(pieces) == 2 else pieces[0].value


def _plain(text: str) -> str:
    text = " ".join(text[: _LONGEST + 1].casefold().split())
    if len(text) > _LONGEST:
        raise UnknownWordError("")
    for sign, meaning in (_FRACTIONS | _SIGNS).items():
        text = text.replace(sign, meaning)
    text = re.sub(r"(?<=\d)x(?=\d)|(?<=\d) x (?=\d)", " * ", text)
    return _AROUND.sub("", " ".join(text.split())).strip()


def _numbers(text: str) -> str:
    """Number words and fractions as digits: ``one point five million`` -> "1500000"."""
    text = _GROUPED.sub(lambda found: found[0].replace(",", ""), text)
    text = re.sub(r"\ba (?=hundred|thousand|million|billion|trillion|dozen)", "one ", text)
    text = re.sub(r"(?<![\w ])\s*\bpoint(?= )|(?<=plus |inus |imes |d by )point(?= )|^point(?= )", "zero point", text)
    text = re.sub(r"(?<=[a-z0-9]) dozen\b", " times twelve", re.sub(r"\b(?:a |one )dozen\b|^dozen\b", "twelve", text))
    from text_to_num import alpha2digit  # compiled: loaded once somebody calculates

    text = alpha2digit(text, "en", threshold=0)
    text = re.sub(r"\b(\d+) point (\d+)\b", r"\1.\2", text)
    while (scaled := _SCALED.sub(_scale, text)) != text:
        text = scaled
    text = _MIXED.sub(_mixed, text)
    text = _MIXED_WRITTEN.sub(
        lambda found: _text(
            Decimal(found[1]) + Decimal(found[2]) / Decimal(found[3] or 1) if int(found[3]) else Decimal(found[1])
        ),
        text,
    )
    text = _FRACTION.sub(lambda found: f"<{found[1] or 1}/{_ORDINALS[found[2]]}>", text)
    return re.sub(r">(?: of)?(?: an?)? (?=\d)", "> of ", text)


def _say_fraction(count: int, parts: int) -> str:
    """``1, 2`` -> "half", ``2, 3`` -> "2 thirds"."""
    if parts == 2:
        return "half" if count == 1 else f"{count} halves"
    name = "quarter" if parts == 4 else num2words(parts, to="ordinal")
    return f"a {name}" if count == 1 else f"{count} {name}s"


def _scale(found: re.Match[str]) -> str:
    digits = _SCALES.get(found[2], len(found[2]) - 1)
    return _text(Decimal(found[1]).scaleb(digits))


def _mixed(found: re.Match[str]) -> str:
    return _text(int(found[1]) + Decimal((found[2] or "1").strip()) / _ORDINALS[found[3]])


def _text(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _pieces(text: str) -> list[Piece]:
    found: list[Piece] = []
    for match in _TOKEN.finditer(text):
        if match["part"]:
            count, parts = Decimal(match["part"]), Decimal(match["of"])
            found.append(Piece("number", _say_fraction(int(count), int(parts)), count / parts))
        elif match["number"]:
            found.append(Piece("number", "", Decimal(match["number"])))
        elif match["word"]:
            if match["word"] not in _SILENT:
                raise UnknownWordError(match["word"])
        else:
            _, _, sign, said = _PHRASES[int((match.lastgroup or "")[1:])]
            found.append(Piece(sign, said))
    return found
