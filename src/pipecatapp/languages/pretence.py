"""What a language needs to tell a claim of a deed or a reading from other words."""

from __future__ import annotations

from dataclasses import dataclass
from re import Pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretence:
    """Patterns for requests and for the sentences of their answers.

    Attributes:
        invented: a request for words that are made up or explained: what they say is no claim.
        wished: how a request begins that wants something done in the world ("turn on ...", "call ...").
        looked: a request about what only a look at this moment, this house or this person's affairs can tell.
        cannot: a sentence with it says that something cannot be done or known.
        advises: how a sentence goes that tells the person what they could do, or what might be.
        begins_deed: how a sentence may begin that claims a deed, in whole words; its group ``subject`` begins others
            far more often.
        deed: a sentence with it claims that something was done, is being done or will be done by the speaker.
        consents: how a sentence begins that says yes to a wish.
        promises: how a sentence begins that says what the speaker is about to do: a tool may follow.
        reading: a sentence with it says how something is or was.
        numbers: a number, in figures or in words.
        interjection: a whole sentence that says nothing by itself ("Sure!").
        no_deed: said in place of a claimed deed.
        no_reading: said in place of a claimed reading.
    """

    invented: Pattern[str]
    wished: Pattern[str]
    looked: Pattern[str]
    cannot: Pattern[str]
    advises: Pattern[str]
    begins_deed: Pattern[str]
    deed: Pattern[str]
    consents: Pattern[str]
    promises: Pattern[str]
    reading: Pattern[str]
    numbers: Pattern[str]
    interjection: Pattern[str]
    no_deed: str
    no_reading: str
