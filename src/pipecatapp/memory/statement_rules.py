"""What a person states about themselves and their things, taken out of their words by patterns: no model is asked.

For the starter model, which cannot summarise, and for when no model answers. Speech recognition gives lower case
without punctuation, so neither is relied on. Better nothing than something wrong: only clear statements are taken.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipecatapp.domain import Fact, Turn
from pipecatapp.languages import language
from pipecatapp.languages.assertions import asserted, is_doubtful, sentences
from pipecatapp.memory.fact_candidates import FactCandidate
from pipecatapp.memory.keywords import words
from pipecatapp.storage.fact_table import same_words

KIND = "stated"
_MIN_WORDS, _MAX_WORDS = 3, 30

_RULES = language().statements
_RECENT = 0.6
# One correction after the other is about the same: so many turns are looked back.
_CORRECTIONS = 4


def extract_statements(turn: Turn, before: Sequence[Turn], related: Sequence[Fact]) -> list[FactCandidate]:
    """What the person says in this turn that is worth keeping, and what of it replaces a related fact."""
    if "?" in turn.user_text:
        return []
    correction = _corrected(turn.user_text, before, related)
    if correction is not None:
        return [correction]
    notes: list[FactCandidate] = []
    for part in (part for said in asserted(turn.user_text) for part in _split(said)):
        sentence = part.strip()
        if _RULES.filler.match(sentence):
            sentence = _RULES.filler.sub("", " ".join(part.split()), count=1)
        sentence = _rewrite(sentence, _RULES.slips)
        said_no = _RULES.correction.fullmatch(sentence)
        if said_no is not None and _statement(said_no["value"]):
            sentence = said_no["value"]
        wish = _RULES.wish.fullmatch(sentence)
        text = wish[1] if wish else "" if _RULES.secret.search(sentence) else _statement(sentence)
        if text and _MIN_WORDS <= len(text.split()) <= _MAX_WORDS and not is_known(text, related):
            notes.append(FactCandidate(text, "told" if wish else KIND, _contradicted(text, related)))
    return notes


def is_unasked_secret(text: str, said: str) -> bool:
    """Whether this is a password, a code or the like that the person, whose words are ``said``, did not ask to keep."""
    asked = any(_RULES.wish.search(part) for sentence in sentences(said) for part in _split(sentence))
    return bool(_RULES.secret.search(text)) and not asked


def is_known(text: str, related: Sequence[Fact]) -> bool:
    """Whether one of the facts says this already, perhaps in another usual way."""
    said = _in_one_way(text)
    return any(_in_one_way(fact.text) == said and same_words(fact.text) != same_words(text) for fact in related)


def _in_one_way(text: str) -> str:
    return same_words(_rewrite(_rewrite(text.strip().rstrip("."), _RULES.slips), _RULES.same))


def _rewrite(text: str, rules: Sequence[tuple[re.Pattern[str], str]]) -> str:
    for pattern, instead in rules:
        text = pattern.sub(instead, text)
    return text.strip(" ,")


def _split(text: str) -> list[str]:
    """The statements of a sentence. A clause that leans on the one before it ("but my brother is not") stays with
    it."""
    parts: list[str] = []
    begin = 0
    for found in _RULES.boundary.finditer(text):
        before = text[begin : found.start()].rsplit(None, 1)
        if found[0] in (".", "!") and before and text[found.end() :].strip():
            continue  # sentences were told apart already: this is an abbreviation or a name
        if not found[0].strip(".!;\n") or not _RULES.leaning.match(text, found.end()):
            parts.append(text[begin : found.start()])
            begin = found.end()
    return [*parts, text[begin:]]


def _statement(sentence: str) -> str:
    sentence = _RULES.tail.sub("", sentence).strip(" ,")
    return sentence if _RULES.statement.fullmatch(sentence) else ""


def _contradicted(text: str, related: Sequence[Fact]) -> str:
    """The fact that says something else of the same: the same subject, and a value of which there can be one."""
    new = _RULES.subject.fullmatch(text)
    if new is None:
        return ""
    for fact in related:
        old = _RULES.subject.fullmatch(fact.text.rstrip("."))
        if old is None or same_words(old["subject"]) != same_words(new["subject"]):
            continue
        if same_words(old["value"]) != same_words(new["value"]) and _excludes(new, old):
            return fact.id
    return ""


def _excludes(new: re.Match[str], old: re.Match[str]) -> bool:
    """Whether both values cannot be true at once."""
    if _RULES.update.search(new["value"]):
        return True
    if _RULES.named.search(new["subject"]) or new["subject"].casefold().endswith(_RULES.names):
        return True
    if _RULES.single.search(new["subject"]) and not (
        _RULES.named.match(new["value"]) or _RULES.named.match(old["value"])
    ):
        return True
    if bool(_RULES.place.match(new["value"])) and bool(_RULES.place.match(old["value"])):
        return True
    return any(kind.search(new["value"]) and kind.search(old["value"]) for kind in _RULES.kinds)


def _corrected(text: str, before: Sequence[Turn], related: Sequence[Fact]) -> FactCandidate | None:
    """The fact that was just spoken of, with what it is now called instead."""
    found = _RULES.correction.fullmatch(" ".join(text.split()).rstrip(".! "))
    if found is None or not before or is_doubtful(" ".join(text.split())):
        return None
    value = _RULES.tail.sub("", found["value"]).strip(" ,.")
    spoken = set(words(_spoken_of(before)))
    for fact in related:
        about = words(fact.text)
        if not about or sum(word in spoken for word in about) < _RECENT * len(about):
            continue
        new = _put_in(fact.text, value)
        if new and same_words(new) != same_words(fact.text):
            return FactCandidate(new, KIND, fact.id)
    return None


def _spoken_of(before: Sequence[Turn]) -> str:
    """What was spoken of last: of a correction, what it corrected."""
    texts: list[str] = []
    for turn in reversed(before[-_CORRECTIONS:]):
        texts.append(f"{turn.user_text} {turn.assistant_text}")
        if _RULES.correction.fullmatch(" ".join(turn.user_text.split()).rstrip(".! ")) is None:
            break
    return " ".join(texts)


def _put_in(text: str, value: str) -> str:
    """The fact with this value in it; empty when it is not clear where it belongs."""
    text = text.rstrip(".")
    exchange = next((found for pattern in _RULES.exchanges if (found := pattern.fullmatch(value))), None)
    if exchange is not None:
        old, new = exchange["old"].strip(), exchange["new"].strip()
        return re.sub(rf"\b{re.escape(old)}\b", lambda _: new, text, flags=re.IGNORECASE)
    if len(value.split()) > 8:
        return ""
    changed = text
    for kind in _RULES.kinds:
        named = kind.search(value)
        if named is not None and kind.search(changed):
            changed = kind.sub(lambda _, word=named[0]: word, changed, count=1)  # type: ignore[misc]
    if changed != text:
        return changed
    parts = _RULES.subject.fullmatch(text)
    if parts is None or any(kind.search(value) for kind in _RULES.kinds):
        return ""
    if bool(_RULES.place.match(value)) != bool(_RULES.place.match(parts["value"])):
        return ""
    return f"{parts['subject']} {value}"
