"""Holds back what a model claims to have done or read where no tool did: a sentence of ours takes its place.

Only the sentences that may be such a claim wait for their end; all others stream. What the person, a fact, the camera
or a tool said before is no claim: it may be told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipecatapp.languages import language
from pipecatapp.languages.pretence import Want
from pipecatapp.twin.speak.turn_request import TurnRequest

# A sentence ends here; the figures of "3.5" do not end it.
_END = re.compile(r"[.!?\u2026]+[\"'\u201d\u2019)]*(?=\s)|\n")
_WORD = re.compile(r"[^\W\d_]{3,40}")
_MARKS = re.compile(r"[^\w'\u2019\s]+|_+")
# Characters: a longer sentence is judged by its beginning.
_LONGEST = 400
_SHORTEST = 3  # words of a statement that says how something is


class ClaimGuard:
    """The words of one message as they may be said.

    Args:
        request: the person's words.
        known: what was said, remembered, seen or reported before: it may be told again.
        may_call: the model has tools, and may announce that it is about to use one.
    """

    def __init__(self, request: str, known: Iterable[str] = (), *, may_call: bool = False) -> None:
        self._rules = language().pretence
        self._want = self._rules.want(request)
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
        if self._want is Want.WORDS:
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
        if not self._held[self._begun :].strip():
            self._begun = 0  # "Yes." is all that it says
        rest = self._judge(len(self._held), is_last=True) if self._held and not self.replaced else ""
        return rest if calls else rest + self._owed

    def _release(self) -> str:
        """What may go out of a sentence that has not ended."""
        begun = self._held[self._begun :]
        if not self._free and self._want is Want.TALK and begun.strip():
            *whole, half = begun.lstrip().split(" ")
            self._free = self._rules.claims_deed(_words(" ".join(whole or [half])), False) is False
        if self._free:
            return self._pass(len(self._held))
        return self._judge(len(self._held)) if len(begun) > _LONGEST else ""

    def _judge(self, end: int, *, is_last: bool = False) -> str:
        """The sentence that ends here, or what is said in its place."""
        sentence = self._held[self._begun : end]
        if self._free:
            self._free = False
            return self._pass(end)
        if not is_last and self._rules.interjection.fullmatch(sentence):
            self._begun = end  # it goes out with what follows it
            return ""
        if not self._pretends(sentence[: _LONGEST * 2]):
            return self._pass(end)
        self.replaced = True
        self._held, self._begun = "", 0
        instead = sentence[: len(sentence) - len(sentence.lstrip())] + self._instead()
        if self._may_call:
            self._owed, instead = instead, ""
        return instead

    def _pass(self, end: int) -> str:
        passed, self._held, self._begun = self._held[:end], self._held[end:], 0
        return passed

    def _pretends(self, sentence: str) -> bool:
        """Whether this sentence claims what neither a tool did nor anybody said."""
        rules = self._rules
        plain = sentence.rstrip()
        if not plain or plain.endswith("?") or (self._may_call and rules.promises.match(plain)):
            return False
        if rules.claims_deed(_words(sentence), True):
            return True
        if self._want is Want.TALK:
            return False
        if rules.excuses.search(sentence) or (self._want is Want.DEED and rules.denies.match(sentence)):
            return False
        if len(sentence.split()) < _SHORTEST:
            return rules.agrees.fullmatch(sentence) is not None
        asked, told, numbers = self._source()
        if {number.lower() for number in rules.numbers.findall(sentence)} - numbers:
            return True
        return not (frozenset(_stems(sentence)) - asked) & told

    def _instead(self) -> str:
        return self._rules.no_reading if self._want is Want.READING else self._rules.no_deed

    def _source(self) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
        """The words of the request, those that were known before, and the numbers of both."""
        if self._sources is None:
            texts = [self._request, *self._known]
            self._sources = (
                frozenset(_stems(self._request)),
                frozenset(stem for text in self._known for stem in _stems(text)),
                frozenset(number.lower() for text in texts for number in self._rules.numbers.findall(text)),
            )
        return self._sources


def guard_for(request: TurnRequest) -> ClaimGuard | None:
    """What looks at the words of an answer for which no tool worked."""
    if not request.is_watched or request.has_receipt:
        return None
    before = request.history.turns[-1:]
    if before and before[0].turn.tool_calls and language().pretence.want(request.words) is Want.TALK:
        return None  # what was done a moment ago may be told
    known = [message.content for message in request.history.messages() if message.role == "user"]
    known += [message.content for message in request.messages if message.role == "user"]
    said = [record.turn.assistant_text for record in request.history.turns if record.turn.tool_calls]
    told = [text.removesuffix(request.words) for text in [*known, *said]]
    return ClaimGuard(request.words, told, may_call=bool(request.tools))


def _words(text: str) -> list[str]:
    return _MARKS.sub(" ", text[: _LONGEST * 2].casefold()).split()


def _stems(text: str) -> list[str]:
    """The words that say what a text is about."""
    language_now = language()
    stop = language_now.stop_words.facts
    return [language_now.stem(word) for word in _WORD.findall(text.lower()) if word not in stop]
