"""What a language needs to tell a claim of a deed or a reading from other words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from re import Pattern


class Want(Enum):
    """What a request asks for: words that are made up or explained, talk, a look at something here, or a deed."""

    WORDS = auto()
    TALK = auto()
    READING = auto()
    DEED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretence:
    """How requests ask, and how the sentences of their answers claim.

    Attributes:
        want: what a request asks for.
        claims_deed: whether the sentence of these words, in lower case, says that the speaker did, does or will do
            something; None: they are a beginning (of which a single word may be half there), and more words decide.
        excuses: a sentence with it says that something cannot be done or known, or what the person could do.
        agrees: a whole sentence that says yes or no, and nothing else.
        denies: how a sentence begins that says that something is not so; where a deed was wished for, it claims none.
        promises: how a sentence begins that says what the speaker is about to do: a tool may follow.
        numbers: a number, in figures or in words.
        interjection: a whole sentence that says nothing by itself ("Sure!").
        no_deed: said in place of a claimed deed.
        no_reading: said in place of a claimed reading.
    """

    want: Callable[[str], Want]
    claims_deed: Callable[[Sequence[str], bool], bool | None]
    excuses: Pattern[str]
    agrees: Pattern[str]
    denies: Pattern[str]
    promises: Pattern[str]
    numbers: Pattern[str]
    interjection: Pattern[str]
    no_deed: str
    no_reading: str
