"""Implements ``ports.Reflex``: what the dialogue explains, then what the judges say, then what is here to do it."""

from __future__ import annotations

import asyncio
import logging
import re

from pipecatapp.intents import Dialogue, Guess, Intent
from pipecatapp.reflex.checks import is_fit, missing
from pipecatapp.reflex.durations import seconds_of
from pipecatapp.reflex.follow_ups import answer_to_question, follow_up
from pipecatapp.reflex.judges import Judgement, Judges
from pipecatapp.reflex.network import Meaning
from pipecatapp.reflex.tokens import tokens_of

logger = logging.getLogger(__name__)

# So sure of a tool, it is used; below that and above the second, the person is asked whether it is meant.
THRESHOLD, ASKING = 0.82, 0.5
# A wish for what is not here is answered by us when both judges say so; else by the mind, which does no harm.
_CANNOT = 0.6
_EXPERT, _WISH = "expert ", "cannot "
# "My appointment is on Wednesday" tells something; nothing is wished for.
_STATED = re.compile(r"\s*(?:my|our|his|her|their)\b[^?]*\b(?:is|are|was|were|has|have|likes?)\b[^?]*$", re.IGNORECASE)
_LONGEST = 600  # characters; nobody gives a command in more


def is_tool(label: str) -> bool:
    """Whether this label of the judges is a tool."""
    return label not in ("mind", "talk") and not label.startswith((_EXPERT, _WISH))


class TrainedReflex:
    """Decides with the judges in a thread: some milliseconds.

    Args:
        meaning: the vector of a word.
    """

    def __init__(self, meaning: Meaning) -> None:
        self._meaning = meaning
        self._judges: Judges | None = None

    def load(self) -> None:
        """Read the trained file. Blocks for a fraction of a second.

        Raises:
            OSError: there is none.
        """
        self._judges = Judges.load(self._meaning)

    @property
    def tools(self) -> frozenset[str]:
        """The tools that it was trained for; none until the file is read."""
        return frozenset(filter(is_tool, self._judges.labels)) if self._judges is not None else frozenset()

    async def decide(self, words: str, dialogue: Dialogue) -> Intent:
        """What the words want; the mind where nothing is loaded."""
        if self._judges is None:
            return Intent("mind")
        return await asyncio.to_thread(self.decide_now, self._judges, words, dialogue)

    def decide_now(self, judges: Judges, words: str, dialogue: Dialogue) -> Intent:
        """The same in the calling thread."""
        if not words.strip() or len(words) > _LONGEST:
            return Intent("mind")
        judgement = judges.judge(words)
        sure = is_tool(judgement.label) and judgement.confidence >= THRESHOLD
        if dialogue.asked is not None:
            answered = answer_to_question(words, dialogue.asked, sure and not _lacks(judgement))
            if answered is not None:
                return answered
        if not sure and dialogue.last is not None:
            again = follow_up(words, dialogue.last, judges.mark, tokens_of)
            if again is not None:
                return again
        if judgement.label.startswith(_WISH) and _STATED.match(words):
            return Intent("mind", judgement.confidence)
        return _intent(judgement, dialogue)


def _lacks(judgement: Judgement) -> list[str]:
    return missing(judgement.label, judgement.arguments)


def _intent(judgement: Judgement, dialogue: Dialogue) -> Intent:
    """What a judgement means among the tools and experts that are here now."""
    label, sure = judgement.label, judgement.confidence
    if label.startswith(_EXPERT):
        name = judgement.arguments.get("expert", "") if label == f"{_EXPERT}named" else label.removeprefix(_EXPERT)
        expert = name.lower().removeprefix("prima-api-").strip()
        return Intent("expert" if expert in dialogue.experts else "mind", sure, expert=expert)
    if label.startswith(_WISH):
        wish = label.removeprefix(_WISH)
        return (
            Intent("cannot", judgement.wish, wants=wish)
            if judgement.wish >= _CANNOT
            else Intent("mind", sure, wants=wish)
        )
    if label in ("mind", "talk"):
        return Intent("talk" if label == "talk" else "mind", sure)
    arguments = {name: text for name, text in judgement.arguments.items() if is_fit(label, name, text)}
    if (said := arguments.get("seconds")) is not None:
        seconds = seconds_of(said)
        arguments = (
            arguments | {"seconds": str(seconds)} if seconds else {k: v for k, v in arguments.items() if k != "seconds"}
        )
    guess = Guess(label, arguments)
    lacks = tuple(missing(label, arguments))
    if sure < ASKING and not (lacks and judgement.named >= THRESHOLD):
        return Intent("mind", sure)
    if label not in dialogue.tools:
        return (
            Intent("cannot", sure, wants=label) if sure >= THRESHOLD or label in dialogue.off else Intent("mind", sure)
        )
    if sure < THRESHOLD and not (lacks and judgement.named >= THRESHOLD):
        other = Guess(judgement.second)
        near = is_tool(other.tool) and other.tool in dialogue.tools and not missing(other.tool, {})
        return Intent("unsure", sure, (guess, other) if near else (guess,), missing=lacks)
    return Intent("tool", max(sure, judgement.named if lacks else 0.0), (guess,), missing=lacks)
