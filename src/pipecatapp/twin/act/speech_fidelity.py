"""Was every value of a call said, by its sentence or by the person? Who did not hear of one cannot say yes to it.

``approval_views.by_voice`` asks whether the signs of the sentence are heard; here is whether it holds the whole call.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pipecatapp.domain import ApprovalRequest, Step

LONGEST_VALUE = 120  # characters; nobody follows a longer one
_DIGITS = 3  # the number of something on a page stands in the sentence by its name
_SCHEME = re.compile(r"https?://")


def says_all(request: ApprovalRequest) -> bool:
    """Whether each text in the arguments was said; numbers and truth values are the sentence's to say.

    What is only looked at need not be: what is not said of the call is not done yet either.
    """
    if request.step is Step.LOOK:
        return True
    said = " ".join(f"{request.preview.sentence}\n{request.words}".split()).casefold()
    return all(_is_said(value, said) for value in _texts(request.arguments))


def _is_said(value: str, said: str) -> bool:
    plain = " ".join(_SCHEME.sub("", value).split()).rstrip("/")
    if len(value) > LONGEST_VALUE or not plain.isascii():
        return False
    return (plain.isdigit() and len(plain) <= _DIGITS) or plain.casefold().rstrip(".") in said


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
