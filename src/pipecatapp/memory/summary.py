"""Writes what is worth keeping of a turn: the chat model in one or two sentences, patterns where it cannot.

Only the person's words become facts. What tools and other people's pages said is not shown to the model, and a sentence
that it writes is kept only where the person's own words carry it: names and numbers all of them, the rest by half.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from pipecatapp.defusing import defuse
from pipecatapp.domain import Fact, Message, Turn
from pipecatapp.errors import ModelError
from pipecatapp.languages import language
from pipecatapp.languages.assertions import asserted, is_doubtful
from pipecatapp.languages.pretence import Want
from pipecatapp.memory.fact_candidates import FactCandidate
from pipecatapp.memory.keywords import words
from pipecatapp.memory.statement_rules import extract_statements, is_known, is_unasked_secret
from pipecatapp.ports import ChatModel, ChatRequest

log = logging.getLogger(__name__)

# No conversation has this name: it gets a slot of its own where the engine has several.
SLOT = "what to remember"
_MAX_NOTES = 2
_MAX_TOKENS = 120
_CARRIED = 0.5
_SYSTEM = """\
You keep the notebook of a voice assistant. Read what the person said and write down what is worth knowing in later \
conversations: facts about the person, their family, home, things, plans, habits and wishes. Do not write down \
questions, commands, small talk, what everybody knows, or anything about the assistant.
Answer with at most two lines of these forms:
NEW: <one sentence in the words of the person>
REPLACE <number>: <one sentence>
REPLACE is for a correction: the sentence stands in the place of the note with that number. Do not repeat notes.
Mostly nothing is worth keeping. Then answer: NOTHING"""
_GRAMMAR = r"""root ::= "NOTHING" | line ("\n" line)?
line ::= ("NEW: " | "REPLACE " [1-9] ": ") [^\n]+
"""
_LINE = re.compile(r"\s*(?:NEW|REPLACE\s+#?(?P<number>\d+))\s*:\s*(?P<text>\S.*)", re.IGNORECASE)
_SMALL = language().numbers.small
# Words of the notebook, not of the person.
_ITS_OWN = frozenset(words("user person speaker name they their named called has appointment wants likes lives"))


class Summariser:
    """``fact_candidates.Summarise`` by a chat model.

    Args:
        model: the one that talks; its profile says whether it can summarise.
    """

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    async def __call__(self, turn: Turn, before: Sequence[Turn], related: Sequence[Fact]) -> list[FactCandidate]:
        """What to keep of the turn. Raises nothing but for cancellation: without a model patterns decide."""
        if turn.speaker != "person" or not turn.user_text.strip():
            return []
        # What these tools were told is kept, or forgotten, already.
        if any(call.name.startswith("memory.") for call in turn.tool_calls):
            return []
        try:
            profile = await self._model.profile()
            if profile.summarises:
                written = await self._ask(_prompt(turn, before, related), constrained=profile.grammars)
                notes = [note for note in _parse(written, related) if _carried(note, turn, before, related)]
                notes = [note for note in notes if note.replaces or not is_known(note.text, related)]
                if notes := [note for note in notes if not is_unasked_secret(note.text, turn.user_text)]:
                    return notes
                # It overlooks what is stated plainly; patterns do not.
        except ModelError as error:
            log.info("no model to say what to remember (%s); patterns decide", error)
        return extract_statements(turn, before, related)

    async def _ask(self, messages: Sequence[Message], *, constrained: bool) -> str:
        request = ChatRequest(
            messages,
            max_tokens=_MAX_TOKENS,
            temperature=0.0,
            grammar=_GRAMMAR if constrained else None,
            slot_key=SLOT,
        )
        stream = self._model.stream(request)
        try:
            return "".join([chunk.text async for chunk in stream])
        finally:
            # Cancelled: the server must stop now, not when this is collected.
            if (close := getattr(stream, "aclose", None)) is not None:
                await close()


def _may_state(said: str) -> bool:
    """Whether it is more than a question or a command. What is stated beside one is for the patterns."""
    return language().pretence.want(said) is Want.TALK or bool(language().statements.wish.search(said))


def _prompt(turn: Turn, before: Sequence[Turn], related: Sequence[Fact]) -> list[Message]:
    lines = ["Notes so far:", *(f"{number}. {fact.text}" for number, fact in enumerate(related[:9], start=1))]
    if not related:
        lines.append("(none)")
    for earlier in before[-1:]:
        lines += ["Said before:", *_exchange(earlier)]
    lines += ["Said now:", *_exchange(turn)]
    return [Message("system", _SYSTEM), Message("user", "\n".join(defuse(line) for line in lines))]


def _exchange(turn: Turn) -> list[str]:
    lines = [f"Person: {_short(turn.user_text)}"]
    # An answer that a tool had a part in may repeat what somebody else wrote.
    if turn.assistant_text and not turn.tool_calls:
        lines.append(f"Assistant: {_short(turn.assistant_text)}")
    return lines


def _short(text: str, limit: int = 800) -> str:
    return " ".join(text.split())[:limit]


def _parse(written: str, related: Sequence[Fact]) -> list[FactCandidate]:
    notes = []
    for line in written.splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        number = int(found["number"] or 0)
        replaces = related[number - 1].id if 0 < number <= len(related) else ""
        notes.append(FactCandidate(found["text"].strip(), replaces=replaces))
    return notes[:_MAX_NOTES]


def _carried(note: FactCandidate, turn: Turn, before: Sequence[Turn], related: Sequence[Fact]) -> bool:
    """Whether it states something, and the person's words carry it."""
    if (
        not _may_state(turn.user_text)
        or is_doubtful(note.text)
        or language().pretence.interjection.fullmatch(note.text)
    ):
        return False
    said_now = " ".join(asserted(turn.user_text))
    own = [said_now, *(earlier.user_text for earlier in before[-1:] if earlier.speaker == "person")]
    own += [fact.text for fact in related if fact.id == note.replaces]
    said = set(_plain(" ".join(own)))
    about = [word for word in _plain(note.text) if word not in _ITS_OWN]
    exact = _plain(" ".join(re.findall(r"\b[A-Z][\w'-]*|\S*\d\S*|\S+[/@]\S+", note.text)))
    carried = bool(about) and sum(word in said for word in about) >= _CARRIED * len(about)
    answered = set(_plain(turn.assistant_text))
    if any(word in answered and word not in said for word in about):
        return False  # it is the assistant's
    if not carried or any(word not in said and word not in _ITS_OWN for word in exact):
        log.info("a note was not kept: the person's words do not carry it")
        return False
    return bool(set(about) & set(_plain(said_now)))


def _plain(text: str) -> list[str]:
    return [_SMALL[int(word)] if word.isdigit() and int(word) < len(_SMALL) else word for word in words(text)]
