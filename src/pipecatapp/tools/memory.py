"""``memory.*``: keep what the person says, look it up, forget it.

Only the person's own words become facts: a text that no person said in this conversation is refused, whoever wrote it
(a web page, a host, the model). What another program wants to have noted or forgotten waits until a person has read it
and said yes. Forgetting says what it forgot, and asks when it is not clear what was meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pipecatapp.domain import Change, Fact, Preview, Risk, ToolResult, ToolSpec
from pipecatapp.errors import NoWayBackError, StorageError, ToolError, ToolOffError
from pipecatapp.languages import language
from pipecatapp.languages.assertions import asserted, is_doubtful
from pipecatapp.ports import ChangeLog, ConversationStore, FactStore, Tool, ToolContext
from pipecatapp.tools.registry import ToolServices
from pipecatapp.tools.undo import Reversal

FROM_PROGRAM = "program"  # the kind of a fact that another program wrote and a person agreed to
_WORD = re.compile(r"[^\W_]+")
_EARLIER_TURNS = 10
_TOLD = 3
_NEAR = 0.7  # of the best fact's score; what fits so much worse is not told
# Of a text that the model put in its own words, so much must be words that the person used.
_OWN_WORDS = 0.5
# The best fact is the one that was meant when it fits so much better than the next.
_CLEARLY = 1.3
_FITS = 0.33
_LISTED = 4
_LANGUAGE = language()
_KIND = "memory"
_NOT_SAID = "I only keep what you tell me yourself; say it in your own words"
_GONE = "what was forgotten is gone from the disk; tell me again what I should know"


class Remember:
    """Keeps a fact.

    Args:
        memory: where.
        conversations: what the person said before in this conversation.
        changes: how it is taken back.
    """

    spec = ToolSpec(
        name="memory.remember",
        description="Keep something that the person said, for later conversations.",
        parameters={
            "type": "object",
            "properties": {
                "text": {"type": "string", "minLength": 1, "maxLength": 2000, "description": "In the person's words."}
            },
            "required": ["text"],
        },
        copied=("text",),
        risk=Risk.OWN,
    )

    def __init__(self, memory: FactStore, conversations: ConversationStore, changes: ChangeLog | None = None) -> None:
        self._memory = memory
        self._conversations = conversations
        self._changes = changes

    async def is_carried(self, arguments: Mapping[str, Any], context: ToolContext) -> bool:
        """Whether the person said it, in other words maybe."""
        return await self._said(str(arguments["text"]).strip(), context)

    async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        """The text, word for word. Raises ToolError where a person is asked about what they never said."""
        text = str(arguments["text"]).strip()
        if context.speaker == "person" and not await self._said(text, context):
            raise ToolError(_NOT_SAID)
        return Preview(f"Note: {_sentence(text)}", whole=False)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Keep it, unless somebody else may have said it and no person agreed to it."""
        text = str(arguments["text"]).strip()
        if not await self._said(text, context):
            raise ToolError(_NOT_SAID)
        try:
            kind = "told" if context.speaker == "person" else FROM_PROGRAM
            fact = await self._memory.add(text, kind=kind, turn=context.turn)
            told = f"I noted: {_sentence(fact.text)}"
            if self._changes is not None and await self._is_new(fact, context.turn):
                await self._changes.make(_change(told, {"fact": fact.id}, context))
        except (StorageError, ValueError) as error:
            raise ToolError(str(error)) from error
        return ToolResult(told, detail=f"fact {fact.id}: {fact.text}")

    async def _is_new(self, fact: Fact, turn: str) -> bool:
        """Whether this turn brought it; what was noted before stays where this turn is taken back."""
        kept = await self._memory.latest([turn])
        return kept is not None and kept.id == fact.id

    async def _said(self, text: str, context: ToolContext) -> bool:
        if context.approved:
            return True
        if context.speaker != "person":
            return False
        if context.tainted:
            return _contains(context.words, text)
        records = await self._conversations.load(context.conversation) if context.conversation else []
        said = [record.turn.user_text for record in records[-_EARLIER_TURNS:] if record.turn.speaker == "person"]
        said.append(context.words)
        # What somebody doubts, or tells of others, is theirs only together with that.
        meant = said if is_doubtful(text) else [sentence for words in said for sentence in asserted(words)]
        own = set(_words(" ".join(meant)))
        asked = _words(text)
        return bool(asked) and sum(word in own for word in asked) >= _OWN_WORDS * len(asked)


class Recall:
    """Says what is remembered about something.

    Args:
        memory: where to look.
    """

    spec = ToolSpec(
        name="memory.recall",
        description="What the person told you about something, also in earlier conversations.",
        parameters={
            "type": "object",
            "properties": {"query": {"type": "string", "minLength": 1, "maxLength": 500}},
            "required": ["query"],
        },
        copied=("query",),
    )

    def __init__(self, memory: FactStore) -> None:
        self._memory = memory

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Say the best few."""
        query = str(arguments["query"]).strip()
        facts = await self._memory.recall(query, 10)
        if not facts:
            return ToolResult(f"I know nothing about {query}.")
        near = [fact for fact in facts[:_TOLD] if fact.score >= _NEAR * facts[0].score]
        told = " ".join(_sentence(fact.text) for fact in near)
        detail = "\n".join(f"{fact.id} ({fact.score:.2f}) {fact.text}" for fact in facts)
        return ToolResult(f"You told me: {told}", detail=detail)


class Forget:
    """Forgets what the person means, and says what it was.

    Args:
        memory: what holds it.
        conversations: where "that" was said.
        changes: says that it cannot be taken back.
    """

    spec = ToolSpec(
        name="memory.forget",
        description="Forget something that the person told you.",
        parameters={
            "type": "object",
            "properties": {"query": {"type": "string", "minLength": 1, "maxLength": 500}},
            "required": ["query"],
        },
        copied=("query",),
        risk=Risk.OWN,
    )

    def __init__(self, memory: FactStore, conversations: ConversationStore, changes: ChangeLog | None = None) -> None:
        self._memory = memory
        self._conversations = conversations
        self._changes = changes

    async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        """What is looked for, and what there is of it now."""
        query = str(arguments["query"]).strip()
        found = await self._memory.search(query, _LISTED)
        detail = "\n".join(f"{fact.id} ({fact.score:.2f}) {fact.text}" for fact in found)
        return Preview(f"Forget what is noted about {_sentence(query)}", detail=detail, whole=False)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Forget what is clearly meant; otherwise list what could be."""
        query = str(arguments["query"]).strip()
        if not context.approved and (
            context.speaker != "person" or (context.tainted and not _contains(context.words, query))
        ):
            raise ToolError("I only forget what you tell me to forget yourself")
        result, gone = await self._find_and_forget(query, context)
        if gone and self._changes is not None:
            # Without its words: nothing of it is left.
            await self._changes.make(_change(_GONE, None, context))
        return result

    async def _find_and_forget(self, query: str, context: ToolContext) -> tuple[ToolResult, bool]:
        """The result, and whether anything was forgotten."""
        if not _words(query):
            return await self._forget_that(context)
        near = sorted(await self._memory.search(query, 20), key=lambda fact: -fact.score)
        found = [fact for fact in near if fact.score >= _FITS or _has(fact, query)]
        if not found:
            return ToolResult(f"I know nothing about {query}, so there was nothing to forget."), False
        asked = set(_WORD.findall(context.words.casefold()))
        named = [fact for fact in found if _has(fact, query)]
        if named and asked & _LANGUAGE.memory_requests.everything:
            return await self._forget(named)
        same = [fact for fact in found if _words(fact.text) == _words(query)]
        if same:
            return await self._forget(same[:1])
        if len(found) > 1 and found[0].score < _CLEARLY * found[1].score:
            return _which(query, found), False
        return await self._forget(found[:1])

    async def _forget_that(self, context: ToolContext) -> tuple[ToolResult, bool]:
        records = await self._conversations.load(context.conversation) if context.conversation else []
        fact = await self._memory.latest([record.turn.id for record in records[-_EARLIER_TURNS:]])
        if fact is None:
            return ToolResult("I noted nothing in this conversation. Tell me what I should forget."), False
        return await self._forget([fact])

    async def _forget(self, facts: Sequence[Fact]) -> tuple[ToolResult, bool]:
        try:
            gone = await self._memory.forget(fact.id for fact in facts)
        except StorageError as error:
            raise ToolError(str(error)) from error
        if not gone:
            return ToolResult("There was nothing to forget."), False
        told = " ".join(_sentence(fact.text) for fact in gone[:_LISTED])
        more = f" And {len(gone) - _LISTED} more." if len(gone) > _LISTED else ""
        detail = "\n".join(f"{fact.id}: {fact.text}" for fact in gone)
        return ToolResult(f"I forgot: {told}{more}", detail=detail), True


def create_remember(services: ToolServices) -> Tool:
    """``memory.remember``, for the registry."""
    memory = _memory(services)
    if services.taking_back is None:
        return Remember(memory, services.conversations)
    services.taking_back.let(_KIND, partial(take_back, memory))
    return Remember(memory, services.conversations, services.taking_back.changes)


def create_recall(services: ToolServices) -> Tool:
    """``memory.recall``, for the registry."""
    return Recall(_memory(services))


def create_forget(services: ToolServices) -> Tool:
    """``memory.forget``, for the registry."""
    changes = services.taking_back.changes if services.taking_back is not None else None
    return Forget(_memory(services), services.conversations, changes)


async def take_back(memory: FactStore, change: Change) -> Reversal:
    """Forget what was noted.

    Raises:
        NoWayBackError: it is not there any more.
    """
    gone = await memory.forget([str((change.back or {})["fact"])])
    if not gone:
        raise NoWayBackError("what I noted is gone already, so there was nothing to take back")
    return Reversal(f"I took back the note: {_sentence(gone[0].text)}")


def _change(text: str, back: Mapping[str, str] | None, context: ToolContext) -> Change:
    return Change(_KIND, text, back, context.conversation, context.turn)


def _memory(services: ToolServices) -> FactStore:
    if services.memory is None:
        raise ToolOffError("there is no long-term memory here")
    return services.memory


def _which(query: str, facts: Sequence[Fact]) -> ToolResult:
    listed = " ".join(_sentence(fact.text) for fact in facts[:_LISTED])
    detail = "\n".join(f"{fact.id} ({fact.score:.2f}) {fact.text}" for fact in facts)
    return ToolResult(f"I know {len(facts)} things about {query}. Which one should I forget? {listed}", detail=detail)


def _has(fact: Fact, query: str) -> bool:
    """Whether the fact has all the words of the query."""
    return set(_words(query)) <= set(_words(fact.text))


def _words(text: str) -> list[str]:
    """The words that say what a text is about."""
    return [word for word in _WORD.findall(text.casefold()) if word not in _LANGUAGE.stop_words.subject]


def _contains(said: str, text: str) -> bool:
    """Whether these very words were said, one after the other."""
    whole, part = (f" {' '.join(_WORD.findall(words.casefold()))} " for words in (said, text))
    return bool(part.strip()) and part in whole


def _sentence(text: str) -> str:
    return text if text[-1:] in ".!?" else f"{text}."
