"""``summarizer.get_summary``: what was said about something, taken out of the whole stored conversation.

Extractive: the sentences that fit the query best (BM25), each new one different from those chosen, in the order they
were said. No model is asked, so it also works on a Core 2 in milliseconds.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipecatapp.domain import ToolResult, ToolSpec, TurnRecord
from pipecatapp.languages import language
from pipecatapp.ports import ConversationStore, Tool, ToolContext
from pipecatapp.tools.registry import ToolServices

_SENTENCES = 3
_SAME = 0.6  # share of words from which on two sentences say the same
_ECHO = 0.7  # what the agent said counts less: it often repeats the person
_PERSON, _AGENT = "You said:", "I said:"
_K1, _B = 1.2, 0.75
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[^\s])|\n+")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_STOP = language().stop_words.summary


@dataclass(frozen=True, slots=True)
class _Sentence:
    order: int
    speaker: str
    text: str
    words: Counter[str]


class Summarizer:
    """Finds what was said about a subject.

    Args:
        conversations: where every turn is kept, also those that the model no longer sees.
    """

    spec = ToolSpec(
        name="summarizer.get_summary",
        description="What was said in this conversation about a subject, also long ago.",
        parameters={"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
        copied=("query",),
    )

    def __init__(self, conversations: ConversationStore) -> None:
        self._conversations = conversations

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Sum it up."""
        query = str(arguments["query"])
        records = await self._conversations.load(context.conversation) if context.conversation else []
        if not records:
            return ToolResult("We have not talked about anything yet.")
        chosen = await asyncio.to_thread(summarize, records, query)
        if not chosen:
            return ToolResult(f"I found nothing about {query}.")
        return ToolResult(" ".join(chosen))


def create(services: ToolServices) -> Tool:
    """The tool, for the registry."""
    return Summarizer(services.conversations)


def summarize(records: Sequence[TurnRecord], query: str, limit: int = _SENTENCES) -> list[str]:
    """The sentences of these turns that say most about ``query``, in the order they were said.

    A query without a word of its own ("everything") takes the sentences that are typical of the whole conversation.
    """
    sentences = _sentences(records)
    asked = _words(query)
    if not asked:
        asked = Counter(word for sentence in sentences for word in sentence.words)
    scores = _bm25(sentences, asked)
    chosen: list[_Sentence] = []
    for score, sentence in sorted(zip(scores, sentences, strict=True), key=lambda pair: (-pair[0], pair[1].order)):
        if score <= 0 or len(chosen) == limit:
            break
        if all(_overlap(sentence.words, other.words) < _SAME for other in chosen):
            chosen.append(sentence)
    return [f"{s.speaker} {s.text}" for s in sorted(chosen, key=lambda s: s.order)]


def _sentences(records: Sequence[TurnRecord]) -> list[_Sentence]:
    """Every sentence of both speakers; not the requests for a summary, nor what they were answered."""
    found: list[_Sentence] = []
    for record in records:
        if any(call.name == Summarizer.spec.name for call in record.turn.tool_calls):
            continue
        for speaker, text in ((_PERSON, record.turn.user_text), (_AGENT, record.turn.assistant_text)):
            for part in _SENTENCE_END.split(text):
                sentence = " ".join(part.split())
                if words := _words(sentence):
                    found.append(_Sentence(len(found), speaker, _closed(sentence), words))
    return found


def _bm25(sentences: Sequence[_Sentence], asked: Counter[str]) -> list[float]:
    count = len(sentences)
    average = sum(s.words.total() for s in sentences) / max(1, count)
    frequency = Counter(word for s in sentences for word in s.words)
    weight = {w: math.log(1 + (count - frequency[w] + 0.5) / (frequency[w] + 0.5)) for w in asked}
    scores = []
    for s in sentences:
        length = _K1 * (1 - _B + _B * s.words.total() / average)
        score = sum(weight[w] * s.words[w] * (_K1 + 1) / (s.words[w] + length) for w in asked if w in s.words)
        scores.append(score if s.speaker == _PERSON else score * _ECHO)
    return scores


def _words(text: str) -> Counter[str]:
    said = _WORD.findall(text.lower())
    return Counter(stem for word in said if word not in _STOP and (stem := language().stem(word)) not in _STOP)


def _overlap(one: Counter[str], other: Counter[str]) -> float:
    return (one & other).total() / max(1, min(one.total(), other.total()))


def _closed(sentence: str) -> str:
    return sentence if sentence[-1] in ".!?" else f"{sentence}."
