"""Words that only the open dialogue explains: "at five" to "when?", "the timer" to "which?", "and in Paris?"."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from pipecatapp.intents import Guess, Intent, OpenQuestion
from pipecatapp.reflex.amending import amend
from pipecatapp.reflex.checks import fits, is_fit, missing
from pipecatapp.reflex.tagger import OUT
from pipecatapp.reflex.tokens import Token

# Marks the arguments of a tool in words: their values, the tag of each word, how clear it is.
Mark = Callable[[str, str, Sequence[Token]], tuple[dict[str, str], list[str], float]]

_DROP = re.compile(
    r"(?:no |oh )?(?:never ?mind|forget (?:it|that|about it)|nothing|cancel(?: (?:it|that))?"
    r"|none(?: of (?:them|those|these))?|neither"
    r"|stop(?: it)?|leave it|not now|no(?: thanks?| thank you)?|doesn't matter|drop it)",
    re.IGNORECASE,
)
_YES = re.compile(
    r"(?:yes|yeah|yep|yup|sure|ok|okay|please|please do|do it|go ahead|right|exactly|correct)(?: please)?",
    re.IGNORECASE,
)
_AND = re.compile(
    r"(?:and|and what about|what about|how about|and how about|also|and also)\s+(?P<rest>.+)", re.IGNORECASE | re.DOTALL
)
# "no, Thursday", "sorry, I said fifteen", "not ten, twenty minutes", "no wait, make it five".
_NO = re.compile(
    r"(?:(?:oh )?(?:no|nope|sorry|wait|actually|i meant|i mean|i said|i wanted|make (?:it|that)|change (?:it|that) to"
    r"|it should be|that should be|rather|better)\b[,.!\s]+)+"
    r"(?:not (?P<old>[^,]{1,40}), (?:but )?)?(?P<rest>.+)",
    re.IGNORECASE | re.DOTALL,
)
_NOT = re.compile(r"not (?P<old>[^,]{1,40}), (?:but )?(?P<rest>.+)", re.IGNORECASE | re.DOTALL)
_LEAD = re.compile(
    r"^(?:uh|um|oh|well|please|let's say|say|it's|it is|make it|call it|that would be"
    r"|to|for|about|on|the|maybe|put|add|set it for|i said)\s+",
    re.IGNORECASE,
)
# In front of free text only what is no part of it: "the key is under the mat".
_SIGH = re.compile(r"^(?:uh|um|oh|well|please|let's say|i said)[, ]+", re.IGNORECASE)
_FREE = frozenset({"text", "query", "what", "code", "command"})
_SHORT = 9  # words; a longer answer is a request of its own
_CLEAR = 0.3
# Small words that an argument may leave out of a follow-up.
_SMALL = frozenset(
    [
        "and",
        "in",
        "at",
        "for",
        "to",
        "the",
        "a",
        "an",
        "on",
        "of",
        "what",
        "about",
        "how",
        "is",
        "it",
        "then",
        "too",
        "as",
        "well",
        "instead",
        "please",
        "one",
        "by",
        "another",
    ]
)
# What these tools are called by when one of several is meant.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "timer": ("timer", "countdown"), "alarm": ("alarm", "wake"), "reminder": ("reminder", "remind"), "list": ("list",),
    "memory": ("memory", "remember", "note", "notes", "forget"), "clock": ("time", "clock"), "calendar": ("calendar",
    "date", "day"),
    "calculator": ("sum", "calculate", "calculator"), "units": ("convert", "units"), "audio": ("volume", "sound"),
    "mcp": ("status",), "summarizer": ("summary", "sum up"), "vision": ("camera", "look", "see"), "ssh": ("command",
    "machine"),
    "web_browser": ("page", "browser", "website"), "power": ("sleep", "power"), "ansible": ("playbook",),
    "undo": ("undo",),
    "code_runner": ("code", "python"),
}  # fmt: skip


def answer_to_question(words: str, asked: OpenQuestion, sure_of_another: bool) -> Intent | None:
    """What the words are to the question that is open; None: a request of their own."""
    said = " ".join(words.split()).strip(" .!?,")
    if _DROP.fullmatch(said):
        return Intent("dropped", 1.0)
    if asked.missing:
        return None if sure_of_another else _fill(said, asked)
    guesses = list(asked.guesses)
    if len(guesses) == 1:
        return _settle(guesses[0]) if _YES.fullmatch(said) else None
    low = f" {said.lower()} "
    named = [
        guess for guess in guesses if any(f" {name}" in low for name in _NAMES.get(guess.tool.partition(".")[0], ()))
    ]
    if len(said.split()) > _SHORT:
        return None
    if len(named) == 1:
        return _settle(named[0])
    if re.fullmatch(r"(?:the )?(?:first|former)(?: one)?", said, re.IGNORECASE):
        return _settle(guesses[0])
    if re.fullmatch(r"(?:the )?(?:second|other|latter|last)(?: one)?", said, re.IGNORECASE):
        return _settle(guesses[1])
    return None


def _settle(guess: Guess) -> Intent:
    return Intent("tool", 1.0, (guess,), missing=tuple(missing(guess.tool, guess.arguments)), continues=True)


def _fill(said: str, asked: OpenQuestion) -> Intent | None:
    """The words as the first thing that is missing, where they can be that."""
    guess, name = asked.guesses[0], asked.missing[0]
    if not said or len(said.split()) > _SHORT:
        return None
    value, lead = said, _SIGH if name in _FREE else _LEAD
    while (shorter := lead.sub("", value)) != value:
        value = shorter
    if not is_fit(guess.tool, name, value):
        return None
    if name == "when" and guess.arguments.get(name):
        # "Next Friday." "At what time?" "At noon."
        value = amend({name: guess.arguments[name]}, {name: value})[name]
    return _settle(Guess(guess.tool, {**guess.arguments, name: value}))


def follow_up(words: str, last: Guess, mark: Mark, tokens: Callable[[str], list[Token]]) -> Intent | None:
    """The last tool again with another argument ("and in Paris?"), or put right ("no, Thursday"); None: neither."""
    said = " ".join(words.split()).strip(" .!?")
    amends = False
    if (found := _AND.fullmatch(said)) is None:
        found, amends = _NO.fullmatch(said) or _NOT.fullmatch(said), True
    if found is None or not last.arguments:
        return None
    rest = found["rest"].strip(" ,")
    pieces = tokens(rest)
    if not pieces or len(pieces) > _SHORT:
        return None
    values, tags, clear = mark(last.tool, rest, pieces)
    values = {name: text for name, text in values.items() if is_fit(last.tool, name, text)}
    covered = all(tag != OUT or token.word in _SMALL for token, tag in zip(pieces, tags, strict=True))
    if not (values and covered and clear >= _CLEAR):
        values = _only_fit(last, rest)
    arguments = amend(last.arguments, values)
    if not values or not fits(last.tool, arguments):
        return None
    return Intent("tool", 1.0, (Guess(last.tool, arguments),), amends=amends, continues=True)


def _only_fit(last: Guess, rest: str) -> dict[str, str]:
    """The one argument of the last call that these words can be and most words cannot."""
    telling = {"timezone", "when", "duration", "change", "unit", "item"}
    names = [name for name in last.arguments if name in telling and is_fit(last.tool, name, rest)]
    value = re.sub(r"^(?:in|for|to)\s+", "", rest, flags=re.IGNORECASE) if names in (["timezone"], ["unit"]) else rest
    return {names[0]: value} if len(names) == 1 and names[0] != "item" and len(rest.split()) <= 4 else {}
