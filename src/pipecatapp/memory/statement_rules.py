"""What a person states about themselves and their things, taken out of their words by patterns: no model is asked.

For the starter model, which cannot summarise, and for when no model answers. Speech recognition gives lower case
without punctuation, so neither is relied on. Better nothing than something wrong: only clear statements are taken.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipecatapp.domain import Fact, Turn
from pipecatapp.memory.keywords import words
from pipecatapp.memory.ledger import same_words
from pipecatapp.memory.notes import Note

KIND = "stated"
_MIN_WORDS, _MAX_WORDS = 3, 30

_PLACE = r"(?:in|on|under|behind|at|near|inside|beside|above|below|between|next to|in front of|on top of|by|opposite)\b"
_BE = r"(?:is|are|was|were)"
# Each run of signs or spaces is tried from its beginning alone: a page of blanks would take seconds otherwise.
_SENTENCE = re.compile(
    r"(?<![.!;\n])[.!;\n]+(?=\s|$)|(?<!\s),?\s+(?:and|but)\s+(?=(?:my|i|our|we|the)\b)", re.IGNORECASE
)
_FILLER = re.compile(
    r"(?:(?:um|uh|er|well|so|oh|ok|okay|hey|hi|hello|now|and|but|also|listen|please|yes|yeah|actually|by the way|"
    r"just so you know|for your information|fyi|you know|i think|i believe|as you know|you should know|"
    r"i want you to know|let me tell you)\b(?: that\b)?[\s,:]*)+",
    re.IGNORECASE,
)
_WISH = re.compile(
    r"(?:(?:please )?(?:remember|note|keep in mind|bear in mind|memori[sz]e|(?:do not|don't|never) forget|"
    r"make a note|take a note)\b)(?: this)?(?: that\b|:|,)?\s+(?!(?:to|what|when|where|how|who|me|about)\b)(.+)",
    re.IGNORECASE,
)
# A request that follows the statement is not part of it.
_TAIL = re.compile(
    r"(?<![\s,])[\s,]+(?:please|(?:can|could|would|will|do|did|are|is) (?:you|it|that|this)|what|where|when|why|how|"
    r"(?:so )?(?:tell|show|give|help|remind|remember|find) (?:me|us|that|it)|right|ok|okay|you know|thanks?|thank you)"
    r"\b.*$",
    re.IGNORECASE,
)
_NO_SUBJECT = (
    r"(?!(?:question|point|problem|guess|idea|request|answer|fault|mistake|turn|pleasure|understanding|opinion|bad|god|"
    r"goodness|next|last|other|message|words?|voice)\b)"
)
_STATEMENTS = re.compile(
    "|".join(
        (
            # My dentist is called Olsen; our meeting starts at nine.
            rf"(?:my|our) {_NO_SUBJECT}(?:[\w'\u2019-]+ ){{1,5}}?"
            r"(?:is|are|was|were|has|have|lives?|works?|likes?|loves?|hates?|prefers?|comes?|starts?|ends?|begins?|"
            r"goes|visits?|plays?|speaks?|drives?|studies|needs?|arrives?|leaves?|can't|cannot|doesn't|does not) .+",
            # Call me Joe; I was born in May; I am allergic to nuts.
            r"(?:call me|i was born|i grew up|i come from|we come from) .+",
            r"i(?: am|'m|\u2019m) (?:an? |the |called |named |from |allergic |afraid of |married |born |\w+ years old|"
            r"vegetarian|vegan|diabetic|retired|left[- ]handed|blind|deaf|divorced|pregnant|single).*",
            r"(?:i|we) (?:live|work|study|moved|own|drive|speak|collect|keep|kept|put|hid|left|parked|stored?|planted|"
            r"bought|married|take|play|grow|teach) (?!it\b|that\b|this\b|you\b|me\b|up\b|down\b|for you\b)\w.+",
            r"(?:i|we) (?:really |don't |do not |also )?(?:like|love|hate|prefer|dislike|enjoy|eat|drink) "
            r"(?!it\b|that\b|this\b|you\b|your\b|to know|to ask|to see|to hear|what\b|how\b|when\b|the way)\w.*",
            r"(?:i|we) have (?:an?|one|two|three|four|five|six|\d+|no) "
            r"(?!question|problem|idea|request|headache|minute|second|moment|feeling|look|clue|wish|suggestion)\w.*",
            # The spare key is under the pot; the meeting is on Friday.
            rf"the (?:[\w'\u2019-]+ ){{1,6}}?{_BE} (?:now )?{_PLACE} .+",
            # The code of the gate is 1234.
            rf"the (?:[\w'\u2019-]+ ){{0,3}}(?:password|code|number|address|pin|combination|birthday) "
            rf"(?:(?:of|for) (?:[\w'\u2019-]+ ){{1,4}})?{_BE} .+",
        )
    ),
    re.IGNORECASE,
)  # fmt: skip

_CORRECTION = re.compile(
    r"(?:(?:no|nope|wrong|actually|sorry|wait|correction|i meant?|that is wrong|that's wrong|not quite)\b[\s,.:]*)+"
    r"(?:(?:it|that|this|he|she|they|the answer) ?(?:is|'s|\u2019s|are|'re|\u2019re|was|were)|i meant?|"
    r"make (?:it|that)|(?:it|that) should be)?\s*(?:now |really )?(?P<value>\w.*)",
    re.IGNORECASE,
)
_NOT = re.compile(r"(?P<new>.+?)[\s,]+not (?P<old>.+)", re.IGNORECASE)
_NOT_BUT = re.compile(r"not (?P<old>.+?)[\s,]+but (?P<new>.+)", re.IGNORECASE)
_SUBJECT = re.compile(
    rf"(?P<subject>.+? (?:{_BE} (?:called|named)|{_BE}|lives?|works?|starts?|begins?)) (?P<value>.+)", re.I
)
_NAMED = re.compile(r"(?:called|named) ", re.IGNORECASE)
_ONE_VALUE = re.compile(
    r"\b(?:favou?rite|name|birthday|number|password|code|address|e-?mail|phone|age|pin|size)\b", re.I
)
_DAYS = "monday|tuesday|wednesday|thursday|friday|saturday|sunday|today|tomorrow"
_MONTHS = "january|february|march|april|june|july|august|september|october|november|december"
_NUMBERS = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|noon|midnight|"
    r"half past \w+|quarter (?:past|to) \w+"
)
# What kind of thing a word is: a correction puts one in the place of another of its kind.
_KINDS = tuple(
    re.compile(rf"\b(?:{names})\b", re.IGNORECASE)
    for names in (_DAYS, _MONTHS, rf"\d+(?:[:.]\d+)?(?:st|nd|rd|th)?(?: ?(?:am|pm|o'clock))?|{_NUMBERS}")
)
_AT_PLACE = re.compile(_PLACE, re.IGNORECASE)
_RECENT = 0.6


def stated(turn: Turn, before: Sequence[Turn], related: Sequence[Fact]) -> list[Note]:
    """What the person says in this turn that is worth keeping, and what of it replaces a related fact."""
    if "?" in turn.user_text:
        return []
    correction = _corrected(turn.user_text, before, related)
    if correction is not None:
        return [correction]
    notes: list[Note] = []
    for part in _SENTENCE.split(turn.user_text):
        sentence = _FILLER.sub("", " ".join(part.split()), count=1) if _FILLER.match(part.strip()) else part.strip()
        wish = _WISH.fullmatch(sentence)
        text = wish[1] if wish else _statement(sentence)
        if text and _MIN_WORDS <= len(text.split()) <= _MAX_WORDS:
            notes.append(Note(text, "told" if wish else KIND, _contradicted(text, related)))
    return notes


def _statement(sentence: str) -> str:
    sentence = _TAIL.sub("", sentence).strip(" ,")
    return sentence if _STATEMENTS.fullmatch(sentence) else ""


def _contradicted(text: str, related: Sequence[Fact]) -> str:
    """The fact that says something else of the same: the same subject, and a value of which there can be one."""
    new = _SUBJECT.fullmatch(text)
    if new is None:
        return ""
    for fact in related:
        old = _SUBJECT.fullmatch(fact.text.rstrip("."))
        if old is None or same_words(old["subject"]) != same_words(new["subject"]):
            continue
        if same_words(old["value"]) != same_words(new["value"]) and _excludes(new, old):
            return fact.id
    return ""


def _excludes(new: re.Match[str], old: re.Match[str]) -> bool:
    """Whether both values cannot be true at once."""
    if _NAMED.search(new["subject"]) or new["subject"].casefold().endswith((" called", " named")):
        return True
    if _ONE_VALUE.search(new["subject"]) and not (_NAMED.match(new["value"]) or _NAMED.match(old["value"])):
        return True
    if bool(_AT_PLACE.match(new["value"])) and bool(_AT_PLACE.match(old["value"])):
        return True
    return any(kind.search(new["value"]) and kind.search(old["value"]) for kind in _KINDS)


def _corrected(text: str, before: Sequence[Turn], related: Sequence[Fact]) -> Note | None:
    """The fact that was just spoken of, with what it is now called instead."""
    found = _CORRECTION.fullmatch(" ".join(text.split()).rstrip(".! "))
    if found is None or not before:
        return None
    value = _TAIL.sub("", found["value"]).strip(" ,.")
    spoken = set(words(f"{before[-1].user_text} {before[-1].assistant_text}"))
    for fact in related:
        about = words(fact.text)
        if not about or sum(word in spoken for word in about) < _RECENT * len(about):
            continue
        new = _put_in(fact.text, value)
        if new and same_words(new) != same_words(fact.text):
            return Note(new, KIND, fact.id)
    return None


def _put_in(text: str, value: str) -> str:
    """The fact with this value in it; empty when it is not clear where it belongs."""
    text = text.rstrip(".")
    exchange = _NOT_BUT.fullmatch(value) or _NOT.fullmatch(value)
    if exchange is not None:
        old, new = exchange["old"].strip(), exchange["new"].strip()
        return re.sub(rf"\b{re.escape(old)}\b", lambda _: new, text, flags=re.IGNORECASE)
    if len(value.split()) > 8:
        return ""
    changed = text
    for kind in _KINDS:
        named = kind.search(value)
        if named is not None and kind.search(changed):
            changed = kind.sub(lambda _, word=named[0]: word, changed, count=1)  # type: ignore[misc]
    if changed != text:
        return changed
    parts = _SUBJECT.fullmatch(text)
    if parts is None or any(kind.search(value) for kind in _KINDS):
        return ""
    if bool(_AT_PLACE.match(value)) != bool(_AT_PLACE.match(parts["value"])):
        return ""
    return f"{parts['subject']} {value}"
