"""Sentences in which a model claims a deed: "All done.", "I've set the timer.", "The lights are off now."."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipecatapp.languages.skills import Claims

_DEEDS = (
    "set", "added", "put", "turned", "switched", "opened", "closed", "locked", "unlocked", "started", "stopped",
    "cancelled", "canceled", "created", "sent", "scheduled", "removed", "deleted", "cleared", "saved", "noted",
    "stored", "booked", "ordered", "called", "played", "paused", "resumed", "updated", "changed", "restarted",
    "rebooted", "executed", "activated", "deactivated", "adjusted", "dimmed", "muted", "unmuted", "installed",
    "enabled", "disabled", "arranged",
)  # fmt: skip
_DONE = "|".join(_DEEDS)
_OPENERS = (
    "ok", "okay", "sure", "sure thing", "alright", "all right", "right", "of course", "certainly", "great", "got it",
    "no problem", "absolutely", "yes", "very well", "perfect",
)  # fmt: skip
_ALONE = ("done", "all done", "it is done", "it's done", "that is done", "that's done", "that is all done")
_VERBS = frozenset({"is", "are", "was", "were", "has", "have"})
_BETWEEN = frozenset({"have", "been", "just", "now", "all", "already", "successfully"})
_LONGEST_NAME = 4  # words: "the lights in the kitchen"
_OPENER = re.compile(rf"^(?:(?:{'|'.join(sorted(_OPENERS, key=len, reverse=True))})\b[ ,.!]*)*")
_CLAIM = re.compile(
    rf"(?:(?:it is|it's|that is|that's|all)? ?done\b(?! (?:by|with|in|to|at|on|for)\b)"
    rf"|i(?:'ve| have| just| already| now)*(?: (?:just|now|already|successfully))* (?:{_DONE})\b"
    rf"|your (?:\w+ ){{1,4}}(?:is|are|has been|have been|was|were)(?: now| all| already)? (?:{_DONE})\b"
    rf"|the (?:\w+ ){{1,4}}(?:is|are|has been|have been)(?: now)? (?:{_DONE}|on now|off now|now on|now off)\b)"
)
_ASKS = re.compile(r"\?|^(?:is|are|am|do|does|has)\b|\b(?:did|have you|has|what|which|when|who|why|how|was|were)\b")


def may_claim(beginning: str) -> bool:
    """Whether a sentence that begins so may yet turn out to be a claim. Its last word may be half there."""
    rest = _OPENER.sub("", f"{_plain(beginning)} ").strip()
    first, *others = rest.split() or [""]
    if any(opener.startswith(rest) for opener in ("i've", "your", "the", *_OPENERS)):
        return True
    if first in ("i", "i've"):
        return _leads_to_deed([word for word in others if word not in _BETWEEN])
    if first in ("your", "the"):
        at = next((place for place, word in enumerate(others) if word in _VERBS), None)
        if at is None or at > _LONGEST_NAME:
            return len(others) <= _LONGEST_NAME
        return _leads_to_deed([word for word in others[at + 1 :] if word not in _BETWEEN])
    return any(alone.startswith(rest) or rest.startswith(f"{alone} ") for alone in _ALONE)


def _leads_to_deed(words: Sequence[str]) -> bool:
    if not words or words[0] in _DEEDS:
        return True
    if len(words) == 2 and words[0] in ("on", "off"):
        return "now".startswith(words[1])
    return len(words) == 1 and any(deed.startswith(words[0]) for deed in (*_DEEDS, *_BETWEEN, "on", "off"))


def is_opening(text: str) -> bool:
    """Whether there is nothing in it yet but "okay" or "got it"."""
    return not _OPENER.sub("", f"{_plain(text)} ").strip()


def claims_deed(sentence: str) -> bool:
    """Whether the sentence says that something was done."""
    return _CLAIM.match(_OPENER.sub("", _plain(sentence))) is not None


def asks_for_the_past(words: str) -> bool:
    """Whether a request asks about what is or was, so that a sentence about a deed may answer it."""
    return _ASKS.search(words.casefold()) is not None


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[*_\"\u201c\u201d]", "", text.casefold().replace("\u2019", "'")).split())


CLAIMS = Claims(
    is_opening=is_opening, may_claim=may_claim, claims_deed=claims_deed, asks_for_the_past=asks_for_the_past
)
