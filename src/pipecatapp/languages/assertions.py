"""What a person asserts in their words: not what they doubt, suppose, ask, quote, or tell of what others say.

Better nothing than something wrong: where a sentence holds a doubt, none of it is asserted.
"""

from __future__ import annotations

import re

from pipecatapp.languages import language

_STOP = re.compile(r"(?<![.!?;\n])[.!?;\n]+(?=\s|$|[\"\u201d\u2019)])")
_GOES_ON = re.compile(r"[ \t]+[a-z]")
_SMALL_OR_DIGIT = re.compile(r"[ \t]+[a-z0-9]")
_OPENING = (">", '"', "\u201c", "\u00ab", "'", "\u2018")
_LONGEST = 20_000  # characters of a text; a longer one is nobody's statement


def sentences(text: str) -> list[str]:
    """The sentences of a text. None ends at an abbreviation, behind the unit of a number (3 in. tall), or inside of
    quotation marks."""
    found: list[str] = []
    begin = 0
    for stop in _STOP.finditer(text):
        if not _ends_here(text, begin, stop):
            continue
        found.append(text[begin : stop.end()])
        begin = stop.end()
    found.append(text[begin:])
    return [sentence for sentence in found if sentence.strip()]


def asserted(text: str) -> list[str]:
    """The sentences that the person means as they stand; what they ask to have remembered is among them."""
    rules = language().statements
    kept: list[str] = []
    for sentence in sentences(text[:_LONGEST]):
        plain = " ".join(sentence.split())
        if (filler := rules.filler.match(plain)) is not None:
            plain = plain[filler.end() :] or plain
        if rules.task.match(plain):
            break  # what follows is what to do it with
        if rules.retraction.match(plain):
            kept = kept[:-1]
        elif rules.wish.match(plain) or not is_doubtful(plain):
            kept.append(sentence)
    return kept


def is_doubtful(sentence: str) -> bool:
    """Whether the sentence, or a part of it, is not meant as it stands."""
    rules = language().statements
    plain = sentence.strip()
    return plain.startswith(_OPENING) or plain.endswith("?") or rules.doubt.search(plain) is not None


def _ends_here(text: str, begin: int, stop: re.Match[str]) -> bool:
    if text.count('"', begin, stop.start()) % 2 and "\n" not in stop[0]:
        return False
    if text.count("\u201c", begin, stop.start()) > text.count("\u201d", begin, stop.start()) and "\n" not in stop[0]:
        return False
    if stop[0] == "!" and _GOES_ON.match(text, stop.end()):
        return False  # it belongs to a name: "Panic! at the Disco"
    if stop[0] != ".":
        return True
    words = text[max(begin, stop.start() - 60) : stop.start()].split()[-2:]
    if not words:
        return True
    if language().is_abbreviation(f"{words[-1]}."):
        return False
    is_unit = len(words) == 2 and words[0][-1:].isdigit() and words[1].lower() in language().units
    return not (is_unit and _SMALL_OR_DIGIT.match(text, stop.end()))
