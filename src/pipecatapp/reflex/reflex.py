"""Implements ``ports.Reflex``: what the dialogue explains, then what the judges say, then what is here to do it.

Before all of that come the commands that the household gave words of its own. A request that joins two wishes is read
once more in two pieces: where both are sure, it is both.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from dataclasses import replace

from pipecatapp.intents import Dialogue, Guess, Intent, Part
from pipecatapp.reflex.checks import is_fit, missing
from pipecatapp.reflex.command_file import CommandFile
from pipecatapp.reflex.commands import match
from pipecatapp.reflex.durations import seconds_of
from pipecatapp.reflex.follow_ups import answer_to_question, follow_up
from pipecatapp.reflex.judges import Judgement, Judges
from pipecatapp.reflex.network import Meaning
from pipecatapp.reflex.plain_forms import PLAIN_FORMS
from pipecatapp.reflex.splitting import is_inside, is_open, joints, rejoin, spans
from pipecatapp.reflex.tokens import tokens_of
from pipecatapp.reflex.unmeant import is_for_a_change, is_refused, is_told

logger = logging.getLogger(__name__)

# So sure of a tool, it is used; below that and above the second, the person is asked whether it is meant.
THRESHOLD, ASKING = 0.82, 0.5
# A wish for what is not here is answered by us when both judges say so; else by the mind, which does no harm.
_CANNOT = 0.6
_EXPERT, _WISH = "expert ", "cannot "
# "My appointment is on Wednesday" tells something; nothing is wished for.
_STATED = re.compile(r"\s*(?:my|our|his|her|their)\b[^?]*\b(?:is|are|was|were|has|have|likes?)\b[^?]*$", re.IGNORECASE)
_LONGEST = 600  # characters; nobody gives a command in more
_MOST_PARTS = 3
_MOST_CALLS = 4  # of one turn (twin/speak/tool_loop.py)


def is_tool(label: str) -> bool:
    """Whether this label of the judges is a tool."""
    return label not in ("mind", "talk") and not label.startswith((_EXPERT, _WISH))


class TrainedReflex:
    """Decides with the judges in a thread: some milliseconds.

    Args:
        meaning: the vector of a word.
        commands: the household's own; None: there are none.
    """

    def __init__(self, meaning: Meaning, commands: CommandFile | None = None) -> None:
        self._meaning = meaning
        self._commands = commands
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
        """What the words want; where nothing is loaded a command of the household, or the mind."""
        return await asyncio.to_thread(self.decide_now, self._judges, words, dialogue)

    def decide_now(self, judges: Judges | None, words: str, dialogue: Dialogue) -> Intent:
        """The same in the calling thread."""
        if not words.strip() or len(words) > _LONGEST:
            return Intent("mind")
        command, open_end = self._command(words, dialogue)
        if command is not None and not open_end:
            return command
        if judges is None:
            return command or Intent("mind")
        judgement = judges.judge(words)
        if command is not None:
            parts = self._parts(judges, words, judgement, dialogue)
            return Intent("mind", parts=parts) if parts else command
        sure = _is_sure(judgement)
        if dialogue.asked is not None:
            answered = answer_to_question(words, dialogue.asked, sure and not _lacks(judgement))
            if answered is not None:
                return answered
        for done in reversed(dialogue.done):
            again = follow_up(words, done, judges.mark, tokens_of)
            # "No, twenty minutes" is sure to be a timer, and still not a second one.
            if again is not None and (not sure or (again.amends and judgement.label == done.tool)):
                return again
        intent = _intent(judges, words, judgement, dialogue)
        if is_tool(judgement.label) and (told := _unmeant(words, judgement, intent)) is not None:
            return told
        if parts := self._parts(judges, words, judgement, dialogue):
            return replace(intent, parts=parts)
        return _one_of_two(judges, words, judgement, dialogue) or intent

    def _command(self, words: str, dialogue: Dialogue) -> tuple[Intent | None, bool]:
        """The command of the household that the words are, with each of its calls; and whether a slot of it holds an
        "and", so that it may be two wishes."""
        found = self._commands.match(words) if self._commands is not None else None
        if found is None:
            plain = match(words, PLAIN_FORMS)
            found = plain if plain is not None and plain.calls[0].tool in dialogue.tools else None
        if found is None:
            return None, False
        say = found.command.say
        parts = [
            Part(words, Intent("tool", 1.0, (call,), command=say))
            if call.tool in dialogue.tools
            else Part(words, Intent("cannot", 1.0, wants=call.tool, command=say))
            for call in found.calls
        ]
        return Intent("tool", 1.0, found.calls[:1], command=say, parts=parts), any(
            joints(value) for value in found.values
        )

    def _parts(
        self, judges: Judges, words: str, whole: Judgement, dialogue: Dialogue, most: int = _MOST_PARTS
    ) -> list[Part]:
        """The wishes that a request joins, where each of them is sure by itself; else none. At most one lacks
        something."""
        found = joints(words) if most > 1 else []
        if not found:
            return []
        tokens = tokens_of(words)
        tags = judges.mark(whole.label, words, tokens)[1] if _is_sure(whole) else []
        for joint in found:
            if tags and is_inside(joint, tokens, tags):
                continue
            left, right = words[: joint.start], words[joint.end :]
            one = judges.judge(left)
            first = self._piece(judges, left, one, dialogue)
            is_command = bool(first and first[0].intent.command)
            if not first or (not is_command and is_open(one.label, judges.mark(one.label, left, tokens_of(left))[1])):
                continue
            two = judges.judge(right)
            rest = self._parts(judges, right, two, dialogue, most - 1) or self._piece(judges, right, two, dialogue)
            if not rest or (joint.by_comma and two.label == one.label):
                continue
            if _are_several([*first, *rest]):
                return [*first, *rest]
        return []

    def _piece(self, judges: Judges, words: str, judgement: Judgement, dialogue: Dialogue) -> list[Part]:
        """A piece of a request as one wish, or as the calls of a command; empty: it is not sure."""
        command, _ = self._command(words, dialogue)
        if command is not None:
            return list(command.parts)
        intent = _sure_intent(judges, words, judgement, dialogue)
        return [Part(words, intent)] if intent is not None else []


def _unmeant(words: str, judgement: Judgement, intent: Intent) -> Intent | None:
    """A wish that is somebody else's, or supposed, is asked about where it is a clear one; None: it is meant."""
    if is_refused(words, judgement.label) or is_for_a_change(words, judgement.label):
        return Intent("mind", judgement.confidence)
    if not is_told(words, judgement.label):
        return None
    if intent.kind == "tool" and not intent.missing:
        return replace(intent, kind="unsure")
    return Intent("mind", judgement.confidence)


def _are_several(parts: Sequence[Part]) -> bool:
    """Whether these are several wishes: "have a look and tell me what you see" is one."""
    wishes = [(part.intent.kind, part.intent.guesses, part.intent.wants) for part in parts]
    return (
        len(parts) <= _MOST_CALLS
        and any(part.intent.kind == "tool" for part in parts)
        and all(wishes.count(wish) == 1 for wish in wishes)
        and sum(bool(part.intent.missing) for part in parts) <= 1
    )


def _sure_intent(judges: Judges, words: str, judgement: Judgement, dialogue: Dialogue) -> Intent | None:
    """What a piece of a request wants, where that is sure."""
    intent = _intent(judges, words, judgement, dialogue)
    if intent.kind == "tool" and (intent.missing or judgement.confidence >= THRESHOLD):
        return intent
    is_wish = intent.kind == "cannot" and not is_tool(judgement.label)
    return intent if is_wish and judgement.confidence >= THRESHOLD else None


def _one_of_two(judges: Judges, words: str, whole: Judgement, dialogue: Dialogue) -> Intent | None:
    """The sure one of two things that a request seems to join, to be asked about: where the whole would take words of
    the other for its own ("restart attic and remind me to check it"), or could be one thing or two."""
    tokens = tokens_of(words)
    tags = judges.mark(whole.label, words, tokens)[1]
    for joint in joints(words):
        left, right = words[: joint.start], words[joint.end :]
        two = judges.judge(right)
        second = _sure_intent(judges, right, two, dialogue)
        if second is None or second.missing or joint.by_comma:
            continue
        if _is_sure(whole):
            if two.label == whole.label and spans(joint, tokens, tags) and not is_inside(joint, tokens, tags):
                return Intent("unsure", two.confidence, second.guesses, partly=True)
            continue
        first = _sure_intent(judges, left, judges.judge(left), dialogue)
        if first is not None and first.guesses and not first.missing:
            return Intent("unsure", whole.confidence, first.guesses, partly=True)
    return None


def _is_sure(judgement: Judgement) -> bool:
    return is_tool(judgement.label) and judgement.confidence >= THRESHOLD


def _with_its_unit(words: str, arguments: dict[str, str]) -> dict[str, str]:
    """A number and what is counted stay together: "ten bananas" is no timer of ten minutes called bananas."""
    duration, label = arguments.get("duration", ""), arguments.get("label", "")
    if duration and label and seconds_of(duration) is None and f"{duration} {label}" in words:
        rest = {name: text for name, text in arguments.items() if name != "label"}
        return {**rest, "duration": f"{duration} {label}"}
    return arguments


def _lacks(judgement: Judgement) -> list[str]:
    return missing(judgement.label, judgement.arguments)


def _intent(judges: Judges, words: str, judgement: Judgement, dialogue: Dialogue) -> Intent:
    """What a judgement of these words means among the tools and experts that are here now."""
    label, sure = judgement.label, judgement.confidence
    if label.startswith(_WISH) and _STATED.match(words):
        return Intent("mind", sure)
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
    tokens = tokens_of(words)
    tags = judges.mark(label, words, tokens)[1] if joints(words) else []
    arguments = {
        name: rejoin(words, tokens, tags, name, text) if tags else text
        for name, text in judgement.arguments.items()
        if is_fit(label, name, text)
    }
    if (said := arguments.get("seconds")) is not None:
        seconds = seconds_of(said)
        arguments = (
            arguments | {"seconds": str(seconds)} if seconds else {k: v for k, v in arguments.items() if k != "seconds"}
        )
    if label == "timer.set":
        arguments = _with_its_unit(words, arguments)
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
