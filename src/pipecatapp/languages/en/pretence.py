"""How deeds and readings are claimed in a sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipecatapp.languages.en.wants import want
from pipecatapp.languages.pretence import Pretence


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_OPENERS = _words(
    """
    ok okay sure thing alright all right of course certainly great got it no problem absolutely yes very well
    perfect now then so and gladly
    """
)
_ADVERBS = _words(
    """
    just now already also successfully all going to been being gladly happily
    """
)
_PERFECT = frozenset({"have", "'ve", "had"})
_PROGRESS = frozenset({"am", "'m", "are", "'re"})
_FUTURE = frozenset({"will", "'ll"})
# What the speaker may say of itself without having done anything: speech, thought, being.
_TALKS = _words(
    """
    tell explain say answer help assist describe suggest think guess hope wish start begin give be try do always
    never need heard learned read trained designed made built meant known loved liked wanted enjoyed tried noticed
    understood here happy glad able ready sorry afraid fine good well doing not no an a the your only unable talking
    speaking thinking learning listening trying looking feeling hoping told said mentioned meant agreed suggested
    explained answered asked heard liked needed used seemed remembered felt thought believed hoped wondered keep
    leave make
    """
)
_DONE_BEFORE = _words(
    """
    set put sent shut made took wrote found saw got did ran left paid bought cut let gave told switched done begun
    written taken given seen gone shown lit fed woken woke rang rung hung held brought kept spoken read heard
    """
)
# "Done by hand it takes an hour."
_GOES_ON = frozenset({"by", "with", "in", "to", "at", "on", "for"})
_AUXILIARIES = frozenset({"is", "are", "was", "were", "has", "have", "'s", "will"})
_PRONOUNS = frozenset({"i", "you", "he", "she", "it", "we", "they", "there", "that", "this"})
# With one of these begins what may be a claim.
_FIRST = (*_OPENERS, "i", "we", "the", "your", "my", "done", "it", "that", "everything", "consider", "will")
_LONGEST_NAME = 4  # words: "the lights in the kitchen"
_STATES = frozenset({"on", "off"})


def claims_deed(words: Sequence[str], is_whole: bool) -> bool | None:
    """See ``Pretence``. One pass over the first words: a claim is known early, or it is none."""
    rest = [part for word in words for part in word.replace("\u2019", "'").replace("'", " '").split()]
    at = 0
    while at < len(rest) and rest[at] in _OPENERS:
        at += 1
    rest = rest[at:]
    undecided = None if not is_whole else False
    if not rest:
        return undecided
    if len(rest) == 1 and not is_whole and any(first.startswith(rest[0]) for first in _FIRST):
        return None
    if rest[0] == "consider":
        return undecided if len(rest) < 2 else rest[1] == "it"
    if rest[0] == "will":
        return undecided if len(rest) < 2 else rest[1] not in _TALKS and rest[1] not in _PRONOUNS
    if rest[0] in ("i", "we"):
        return _is_deed_of_mine(rest[1:], undecided)
    if rest[0] in ("the", "your", "my"):
        return _is_change(rest, undecided)
    return _is_done(rest, undecided)


def _is_done(rest: Sequence[str], undecided: bool | None) -> bool | None:
    """ "Done", "it's done", "that is all done"."""
    at = 0
    for opener in (("it", "that", "everything"), ("is", "'s"), ("all",)):
        if at < len(rest) and rest[at] in opener:
            at += 1
    if at == len(rest):
        return undecided
    if rest[at] != "done":
        return False
    if at + 1 == len(rest):
        return True if undecided is False else None
    return rest[at + 1] not in _GOES_ON


def _is_deed_of_mine(rest: Sequence[str], undecided: bool | None) -> bool | None:
    """ "I have set it", "I'm setting it", "I'll set it", "I set it"."""
    kinds = {rest[0]} if rest else set()
    spoken = [word for word in rest if word not in _ADVERBS and word not in _PERFECT | _PROGRESS | _FUTURE]
    if not spoken:
        return undecided if len(rest) <= _LONGEST_NAME else False
    verb = spoken[0]
    if verb in _TALKS or verb.startswith("'"):
        return False
    if kinds & _FUTURE or "going" in rest[:3]:
        return True
    if kinds & _PROGRESS:
        return verb.endswith("ing")
    return verb.endswith("ed") or verb in _DONE_BEFORE


def _is_change(rest: Sequence[str], undecided: bool | None) -> bool | None:
    """ "Your alarm has been set", "the lights are off now"."""
    at = next((place for place, word in enumerate(rest) if word in _AUXILIARIES), None)
    if at is None or at > _LONGEST_NAME + 1:
        return undecided if at is None and len(rest) <= _LONGEST_NAME + 1 else False
    told = [word for word in rest[at + 1 :] if word not in _ADVERBS and word != "be"]
    if not told:
        return undecided
    if told[0] in _STATES:
        is_now = "now" in rest[at + 1 : at + 4]
        return is_now or (None if undecided is None and len(rest) == at + 2 else False)
    if rest[0] == "the" and "been" not in rest[at + 1 : at + 4]:
        return False
    return told[0].endswith("ed") or told[0] in _DONE_BEFORE


_EXCUSES = re.compile(
    r"\b(?:cannot|can not|could not|unable|not able|impossible|sorry|apologi[sz]e|afraid|unfortunately)\b|"
    r"\b(?:ca|could)n['\u2019]t\b|\bi(?: am|['\u2019]m) not\b|"
    r"\b(?:i|we) (?:do|will|would)(?: not|n['\u2019]t)\b(?! (?:see|hear|find|notice|remember|recall))|"
    r"\bi won['\u2019]t\b|"
    r"\b(?:not have|no) (?:access|information|record|memory|idea|data|means|way|tools?|any|hands?|sensors?|"
    r"camera|eyes)\b|"
    r"^\W*(?:please|try|ask|make sure|let me know|check|look|if|perhaps|maybe)\b|"
    r"(?<!if )(?<!that )(?<!whether )\byou(?: (?:can|could|may|might|should|need|must|would|will need)\b|"
    r"['\u2019]d\b)|"
    r"\bdepends\b|\bi (?:would|['\u2019]d) need\b",
    re.IGNORECASE,
)
_AGREES = re.compile(
    r"\W*(?:sure|okay|ok|yes|yeah|yep|no|nope|of course|certainly|absolutely|will do|no problem|got it|right away)\W*",
    re.IGNORECASE,
)
# Near its beginning: "the group knows that it is not tonight" denies nothing.
_DENIES = re.compile(
    r"\W*(?:[\w'\u2019]+ ){0,4}?(?:no(?!,| problem| worries)|not|nothing|none|nobody|\w+n['\u2019]t)\b", re.IGNORECASE
)
_BEGIN = (
    r"\W*(?:(?:sure|okay|ok|of course|certainly|alright|all right|yes|great|absolutely|right|now|then|so|and)\b\W*)*"
)
_PROMISES = re.compile(
    rf"{_BEGIN}(?:(?:i|we)(?:['\u2019]ll| will|['\u2019]m going| am going)\b|let me\b|(?:one|just a|a) (?:moment|"
    rf"second)\b|(?:checking|looking|searching)\b)",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\d+(?:[.,:]\d+)*|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|"
    r"seven|eigh|"
    r"nine)(?:teen|ty)|twenty|forty|eighty|hundred|thousand|million|half past|quarter past)\b",
    re.IGNORECASE,
)
_INTERJECTION = re.compile(
    r"\W*(?:sure|okay|ok|of course|certainly|alright|all right|yes|no|great|absolutely|right|hello|hi|good \w+|well|"
    r"no problem|sure thing|got it|ah|oh|you're welcome|my pleasure)(?:\W+(?:thing|there|then|sir|"
    r"i can help with that))?\W*",
    re.IGNORECASE,
)

PRETENCE = Pretence(
    want=want,
    claims_deed=claims_deed,
    excuses=_EXCUSES,
    agrees=_AGREES,
    denies=_DENIES,
    promises=_PROMISES,
    numbers=_NUMBER,
    interjection=_INTERJECTION,
    no_deed="I have done nothing for that: no tool of mine was used.",
    no_reading="I cannot tell, because nothing here lets me know that.",
)
