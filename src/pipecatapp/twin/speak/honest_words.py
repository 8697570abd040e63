"""Holds back what a model claims to have done or read where no tool did: a sentence of ours takes its place.

Only the sentences that may be such a claim wait for their end; all others stream. What the person, a fact, the camera
or a tool said before is no claim: it may be told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum, auto

from pipecatapp.languages import language

# A sentence ends here; the figures of "3.5" do not end it.
_END = re.compile(r"[.!?\u2026]+[\"'\u201d\u2019)]*(?=\s)|\n")
_WORD = re.compile(r"[^\W\d_]{3,40}")
# Characters: a longer sentence is judged by its beginning.
_LONGEST = 400
# Words after which it is known whether a sentence may claim a deed.
_BEGINNING = 7


class Watch(Enum):
    """What of an answer is looked at: nothing, claims of deeds alone, or every statement."""

    NOTHING = auto()
    DEEDS = auto()
    ALL = auto()


def watch_for(words: str) -> Watch:
    """What the answer to this request could pretend."""
    claims = language().pretence
    if claims.wished.match(words):
        return Watch.ALL
    if claims.invented.search(words):
        return Watch.NOTHING
    return Watch.ALL if claims.looked.search(words) else Watch.DEEDS


class HonestWords:
    """The words of one message as they may be said.

    Args:
        request: the person's words.
        known: what was said, remembered, seen or reported before: it may be told again.
        may_call: the model has tools, and may announce that it is about to use one.
    """

    def __init__(self, request: str, known: Iterable[str] = (), *, may_call: bool = False) -> None:
        self._watch = watch_for(request)
        self._is_wished = language().pretence.wished.match(request) is not None
        self._request = request
        self._may_call = may_call
        self._known = list(known)
        self._sources: tuple[frozenset[str], frozenset[str], frozenset[str]] | None = None
        self._held = ""  # a sentence that is not judged yet, and what stands in front of it
        self._begun = 0  # in ``_held``: where that sentence begins
        self._free = False  # the sentence that comes is none that claims
        self._owed = ""  # said at the end, where no call follows
        self.replaced = False

    @property
    def is_over(self) -> bool:
        """Whether nothing that follows counts."""
        return self.replaced and not self._may_call

    def feed(self, piece: str) -> str:
        """What may be said now."""
        if self._watch is Watch.NOTHING:
            return piece
        if self.replaced:
            return ""
        self._held += piece
        out = ""
        while not self.replaced:
            end = _END.search(self._held, self._begun)
            if end is None:
                return out + self._release()
            out += self._judge(end.end())
        return out

    def finish(self, *, calls: bool = False) -> str:
        """The rest, at the message's end; ``calls``: with a call in it, whose result is told."""
        rest = ""
        if self._watch is not Watch.NOTHING and not self.replaced and self._held:
            rest = self._judge(len(self._held), last=True)
        return rest if calls else rest + self._owed

    def _release(self) -> str:
        """What may go out of a sentence that has not ended."""
        begun = self._held[self._begun :]
        if not self._free and self._watch is Watch.DEEDS:
            self._free = _begins_no_deed(begun)
        if self._free:
            return self._pass(len(self._held))
        return self._judge(len(self._held)) if len(begun) > _LONGEST else ""

    def _judge(self, end: int, *, last: bool = False) -> str:
        """The sentence that ends here, or what is said in its place."""
        sentence = self._held[self._begun : end]
        if self._free:
            self._free = False
            return self._pass(end)
        if not last and language().pretence.interjection.fullmatch(sentence):
            self._begun = end  # it goes out with what follows it
            return ""
        if (instead := self._instead(sentence[: _LONGEST * 2])) is not None:
            self.replaced = True
            self._held, self._begun = "", 0
            instead = sentence[: len(sentence) - len(sentence.lstrip())] + instead
            if self._may_call:
                self._owed, instead = instead, ""
            return instead
        return self._pass(end)

    def _pass(self, end: int) -> str:
        passed, self._held, self._begun = self._held[:end], self._held[end:], 0
        return passed

    def _instead(self, sentence: str) -> str | None:
        """What is said instead of this sentence; None: it claims nothing, or what is known."""
        claims = language().pretence
        if sentence.rstrip().endswith("?") or claims.cannot.search(sentence):
            return None
        if self._may_call and claims.promises.match(sentence):
            return None
        if claims.deed.search(sentence) or (self._is_wished and claims.consents.match(sentence)):
            return self._refusal() if self._watch is Watch.ALL else claims.no_deed
        if self._watch is Watch.DEEDS or claims.advises.search(sentence):
            return None
        asked, told, numbers = self._source()
        if {number.lower() for number in claims.numbers.findall(sentence)} - numbers:
            return self._refusal()
        if claims.reading.search(sentence) is None:
            return None
        said = frozenset(_stems(sentence)) - asked
        return None if said & told else self._refusal()

    def _refusal(self) -> str:
        claims = language().pretence
        return claims.no_deed if self._is_wished else claims.no_reading

    def _source(self) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
        """The words of the request, those that were known before, and the numbers of both."""
        if self._sources is None:
            numbers = language().pretence.numbers
            texts = [self._request, *self._known]
            self._sources = (
                frozenset(_stems(self._request)),
                frozenset(stem for text in self._known for stem in _stems(text)),
                frozenset(number.lower() for text in texts for number in numbers.findall(text)),
            )
        return self._sources


def _begins_no_deed(begun: str) -> bool:
    """Whether the whole words of this beginning show that the sentence claims no deed."""
    words = begun[: len(begun) - len(begun.split(" ")[-1])]
    if not words.strip():
        return False
    claims = language().pretence
    begins = claims.begins_deed.match(words)
    if begins is None:
        return True
    named = begins["subject"] is not None and len(words.split()) >= _BEGINNING
    return named and claims.deed.search(words) is None


def _stems(text: str) -> list[str]:
    """The words that say what a text is about."""
    language_now = language()
    stop = language_now.stop_words.facts
    return [language_now.stem(word) for word in _WORD.findall(text.lower()) if word not in stop]
