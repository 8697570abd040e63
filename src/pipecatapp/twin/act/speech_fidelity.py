"""Was every value of a call said, by its sentence or by the person? Who did not hear of one cannot say yes to it.

``approval_views.by_voice`` asks whether the signs of the sentence are heard; here is whether it holds the whole call,
and whether a listener knows how each value is written: ``Backup`` sounds like ``backup``, ``node four`` like "node 4",
``re-cord`` like "re cord".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pipecatapp.domain import ApprovalRequest, Step
from pipecatapp.languages import language

LONGEST_VALUE = 120  # characters; nobody follows a longer one
_DIGITS = 3  # the number of something on a page stands in the sentence by its name
_SCHEME = re.compile(r"https?://")
_PARTS = re.compile(r"[@:]")  # of a value: a user, a host, a port
_SILENT = frozenset("-'")  # within a word
_WORD = re.compile(r"[a-z]+")
_SHORTEST_HIDDEN = 3  # letters of a number word that stands at an edge of a longer word ("nodefour")


def says_all(request: ApprovalRequest) -> bool:
    """Whether each text in the arguments was said; numbers and truth values are the sentence's to say.

    What is only looked at need not be said whole: what is not said of the call is not done yet either.
    """
    sentence, loose = _plain(request.preview.sentence), request.preview.loose
    words = "" if request.step is Step.LOOK else _plain(request.words)
    for name, argument in request.arguments.items():
        for value in _texts(argument):
            if request.step is Step.LOOK and not _holds(sentence.casefold(), _bare(value).casefold()):
                if not all(_is_said(part, sentence, words) for part in _parts_said(value, sentence)):
                    return False
                continue
            if not (_is_told(value, f"{sentence}\n{words}") if name in loose else _is_said(value, sentence, words)):
                return False
    return True


def is_spelled_by_sound(value: str) -> bool:
    """Whether who hears this knows how it is written: in small letters, numbers in digits, no sign without a sound."""
    if value != value.lower() or not _SILENT.isdisjoint(value):
        return False
    numbers = language().numbers
    for word in _WORD.findall(value):
        if word in numbers.sound_alike:
            return False
        if any(word.startswith(number) or word.endswith(number) for number in numbers.words_of(_SHORTEST_HIDDEN)):
            return False
    return True


def _is_said(value: str, sentence: str, words: str) -> bool:
    """A value of which every sign counts: the person's own words hold it to the letter, or the sentence does and it is
    spelled by its sound."""
    plain = _bare(value)
    if not _is_short(value, plain):
        return False
    return _holds(words, plain) or (_holds(sentence, plain) and is_spelled_by_sound(plain))


def _is_told(value: str, said: str) -> bool:
    """A value that only has to be recognised: the name of a button, a text for a field."""
    plain = _bare(value)
    return _is_short(value, plain) and (
        (plain.isdigit() and len(plain) <= _DIGITS) or _holds(said.casefold(), plain.casefold())
    )


def _parts_said(value: str, sentence: str) -> list[str]:
    """The parts of a value that the sentence holds, where it does not hold the whole: the host of "user@host:22"."""
    return [part for part in _PARTS.split(value) if part and _holds(sentence.casefold(), _bare(part).casefold())]


def _is_short(value: str, plain: str) -> bool:
    return len(value) <= LONGEST_VALUE and plain.isascii()


def _holds(said: str, value: str) -> bool:
    """Whether the value stands there, and not as a part of another word."""
    return re.search(rf"(?<![\w/.-]){re.escape(value)}(?![\w/-])(?!\.\w)", said) is not None


def _bare(value: str) -> str:
    """The value without what a sentence leaves out of it: a scheme, a stop, a slash at the end."""
    plain = _plain(_SCHEME.sub("", value))
    return plain.rstrip("/.") or plain


def _plain(text: str) -> str:
    return " ".join(text.split())


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
