"""Is this a plain yes or a plain no? Decided by the words alone, before any model sees them.

Only a whole request that is nothing but an answer counts. "Yes, and also ..." or "no problem" is an ordinary request.
"""

from __future__ import annotations

import re

from pipecatapp.languages.language import YesOrNo

_LONGEST = 200  # characters
_YES = frozenset(
    {
        "yes", "yes yes", "yep", "yup", "yes do it", "yes do that", "yes do", "yes go ahead", "yes go", "yes sure",
        "yes of course", "yes you may", "yes you can", "yes run it", "yes that is right", "yes that's right",
        "yes i am sure", "yes i'm sure", "yes i confirm", "yes i approve", "yes i agree", "yes confirm", "yes approve",
        "yes approved", "yes confirmed", "yes allow it", "yes thanks", "yes thank you", "yeah do it", "yeah go ahead",
        "sure", "sure do it", "sure go ahead", "sure thing", "of course", "of course do it", "go ahead",
        "go ahead and do it", "go for it", "do it", "do that", "ok do it", "okay do it", "ok go ahead",
        "okay go ahead", "ok yes", "okay yes", "all right do it", "alright do it", "all right go ahead",
        "alright go ahead", "you may", "run it", "i confirm", "i approve", "i allow it", "confirm", "confirmed",
        "approve", "approved", "approve it", "allow it",
    }
)  # fmt: skip
_NO = frozenset(
    {
        "no", "no no", "nope", "nah", "no way", "no thanks", "no thank you", "no don't", "no do not", "no don't do it",
        "no do not do it", "no don't do that", "no stop", "no cancel", "no cancel it", "no cancel that", "no wait",
        "no never mind", "no leave it", "no forget it", "no not now", "don't", "do not", "don't do it",
        "do not do it", "don't do that", "do not do that", "don't you dare", "don't run it", "do not run it", "stop",
        "stop it", "stop that", "stop stop", "stop don't", "cancel", "cancel it", "cancel that", "abort", "abort it",
        "abort that", "never mind", "nevermind", "not now", "leave it", "forget it", "refuse", "refused", "i refuse",
        "deny", "denied", "better not", "rather not", "i'd rather not", "absolutely not", "certainly not",
    }
)  # fmt: skip
_GO_ON = frozenset(
    {
        "go on", "yes go on", "continue", "yes continue", "keep going", "yes keep going", "carry on", "yes carry on",
        "go on then", "more", "yes more", "tell me more", "yes tell me more", "tell me the rest", "the rest", "read on",
        "yeah", "yeah go on", "ok", "okay", "ok go on", "okay go on", "sure go on",
    }
)  # fmt: skip
_POLITE = re.compile(r"^(?:(?:um|uh|er|well)\s+)+|\bplease\b")


def yes_or_no(words: str) -> YesOrNo | None:
    """The answer, or None when the words are (also) something else."""
    for form in _forms(words):
        if form in _YES:
            return "yes"
        if form in _NO:
            return "no"
    return None


def means_go_on(words: str) -> bool:
    """Whether the words ask for the rest of an answer, once that was offered."""
    return yes_or_no(words) == "yes" or any(form in _GO_ON for form in _forms(words))


def _forms(words: str) -> tuple[str, ...]:
    """The words without signs, as they are and without what is only polite; nothing for more than a line, or for more
    words than any answer has."""
    if len(words) > _LONGEST or "\n" in words.strip():
        return ()
    plain = re.sub(r"[\s,.!;\u2013\u2014-]+", " ", words.replace("\u2019", "'")).strip().casefold()
    return plain, " ".join(_POLITE.sub("", plain).split())
